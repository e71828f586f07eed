//! Measures ways to make a chunk of log durable, for `docs/adr/0004-log-writer.md`.
//!
//! `cargo run --release -p store --example log_writer [FOLDER]` writes chunks of several sizes into
//! files, through the page cache and past it, into blocks that were only reserved and blocks that
//! were written before, and prints how long each took to be durable. The ways take turns chunk by
//! chunk, so that whatever else the machine does meanwhile weighs on all of them alike.

use std::{
    fs::{File, OpenOptions},
    os::unix::fs::{FileExt as _, OpenOptionsExt as _},
    path::{Path, PathBuf},
    time::{Duration, Instant},
};

use anyhow::Context as _;
use rustix::fs::{FallocateFlags, OFlags};

const FILE_BYTES: u64 = 64 * 1024 * 1024;
const CHUNKS_KIB: [usize; 5] = [1, 4, 16, 64, 512];
const ROUNDS: usize = 300;
/// What direct writes must be aligned to.
const PAGE: usize = 4096;

/// How the blocks of the file came to be.
#[derive(Clone, Copy, Debug)]
enum Blocks {
    /// The file grows with each write.
    None,
    /// Reserved, not written: the first write to a block changes metadata.
    Reserved,
    /// Written with zeros and synced before.
    Zeroed,
}

/// How a chunk gets to the disk.
#[derive(Clone, Copy, Debug)]
enum Way {
    /// `pwrite` to the page cache, then `fdatasync`.
    Buffered,
    /// `pwrite` past the page cache, then `fdatasync`.
    Direct,
    /// `pwrite` past the page cache to a file in synchronous mode.
    DirectSync,
}

fn main() -> anyhow::Result<()> {
    let folder = PathBuf::from(std::env::args().nth(1).unwrap_or_else(|| ".".to_owned()));
    report("way", "blocks", "KiB", "median us", "p99 us", "MiB/s");
    for kib in CHUNKS_KIB {
        let mut subjects = Vec::new();
        for way in [Way::Buffered, Way::Direct, Way::DirectSync] {
            for blocks in [Blocks::None, Blocks::Reserved, Blocks::Zeroed] {
                subjects.push(Subject::new(&folder, way, blocks, kib * 1024)?);
            }
        }
        let rounds = ROUNDS.min(usize::try_from(FILE_BYTES)? / (kib * 1024).max(PAGE) - 1);
        for round in 0..rounds {
            for subject in &mut subjects {
                subject.write(round)?;
            }
        }
        for mut subject in subjects {
            std::fs::remove_file(&subject.path)?;
            subject.times.sort_unstable();
            let times = &subject.times;
            let total: Duration = times.iter().sum();
            let rate = (times.len() * kib) as f64 / 1024.0 / total.as_secs_f64();
            let micros = |at: usize| times[at].as_micros().to_string();
            report(
                &format!("{:?}", subject.way),
                &format!("{:?}", subject.blocks),
                &kib.to_string(),
                &micros(times.len() / 2),
                &micros(times.len() * 99 / 100),
                &format!("{rate:.0}"),
            );
        }
    }
    Ok(())
}

#[expect(clippy::print_stdout, reason = "the report is the program's output")]
fn report(way: &str, blocks: &str, kib: &str, median: &str, p99: &str, rate: &str) {
    println!("{way:<12}{blocks:<10}{kib:>6}{median:>12}{p99:>10}{rate:>8}");
}

/// One way to write to one kind of file.
struct Subject {
    way: Way,
    blocks: Blocks,
    path: PathBuf,
    file: File,
    buffer: Vec<u8>,
    len: usize,
    times: Vec<Duration>,
}

impl Subject {
    fn new(folder: &Path, way: Way, blocks: Blocks, chunk: usize) -> anyhow::Result<Self> {
        let path = folder.join(format!("measured-{way:?}-{blocks:?}"));
        prepare(&path, blocks)?;
        let file = open(&path, way)?;
        // A direct write is of whole pages from an aligned buffer: a short chunk costs a whole
        // page.
        let len = match way {
            Way::Buffered => chunk,
            Way::Direct | Way::DirectSync => chunk.next_multiple_of(PAGE),
        };
        Ok(Self {
            way,
            blocks,
            path,
            file,
            buffer: vec![0x5a; len + PAGE],
            len,
            times: Vec::with_capacity(ROUNDS),
        })
    }

    fn write(&mut self, round: usize) -> anyhow::Result<()> {
        let aligned = self.buffer.as_ptr().align_offset(PAGE);
        let chunk = &self.buffer[aligned..][..self.len];
        let start = now();
        self.file
            .write_all_at(chunk, (round * self.len) as u64)
            .context("write")?;
        if !matches!(self.way, Way::DirectSync) {
            rustix::fs::fdatasync(&self.file)?;
        }
        self.times.push(start.elapsed());
        Ok(())
    }
}

#[expect(clippy::disallowed_methods, reason = "this measures real time")]
fn now() -> Instant {
    Instant::now()
}

fn prepare(path: &Path, blocks: Blocks) -> anyhow::Result<()> {
    let file = File::create(path).context("create")?;
    match blocks {
        Blocks::None => {}
        Blocks::Reserved => {
            rustix::fs::fallocate(&file, FallocateFlags::empty(), 0, FILE_BYTES)?;
        }
        Blocks::Zeroed => {
            let zeros = vec![0; 1024 * 1024];
            for mib in 0..FILE_BYTES / 1024 / 1024 {
                file.write_all_at(&zeros, mib * 1024 * 1024)?;
            }
        }
    }
    file.sync_all()?;
    Ok(())
}

fn open(path: &Path, way: Way) -> anyhow::Result<File> {
    let flags = match way {
        Way::Buffered => OFlags::empty(),
        Way::Direct => OFlags::DIRECT,
        Way::DirectSync => OFlags::DIRECT | OFlags::DSYNC,
    };
    OpenOptions::new()
        .write(true)
        .custom_flags(flags.bits().cast_signed())
        .open(path)
        .with_context(|| format!("open `{}`", path.display()))
}
