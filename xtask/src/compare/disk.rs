//! What the disk can do by itself: the floor under every durable send.

use std::fs::File;
use std::path::Path;

use anyhow::{Context as _, Result};
use rustix::fs::{FallocateFlags, fallocate, fdatasync};
use rustix::io::pwrite;

use crate::conformance::deadline::Stopwatch;

/// What a message of 1 KiB takes up in a log, in bytes.
const RECORD_BYTES: usize = 1_300;

/// Records of one write: as many as are in flight in the scenario that this is compared with.
pub(super) const RECORDS: usize = 64;

/// What a log could take per second that waits for each such write of `seconds`.
pub(super) fn messages_per_second(seconds: f64) -> f64 {
    RECORDS as f64 / seconds
}

/// How often it is tried.
const ATTEMPTS: usize = 400;

/// The median time, in seconds, of writing [`RECORDS`] records to a file in `folder` with one
/// `pwrite` and waiting for `fdatasync`, one behind the other as a log does.
pub(super) fn write_seconds(folder: &Path) -> Result<f64> {
    let bytes = RECORD_BYTES * RECORDS;
    let file = tempfile::tempfile_in(folder).context("create a file to write to")?;
    reserve(&file, bytes * ATTEMPTS)?;
    let content = vec![0xa5_u8; bytes];
    let mut times = Vec::with_capacity(ATTEMPTS);
    for attempt in 0..ATTEMPTS {
        let watch = Stopwatch::start();
        let written = pwrite(&file, &content, (attempt * bytes) as u64).context("write")?;
        anyhow::ensure!(written == bytes, "wrote {written} of {bytes} bytes");
        fdatasync(&file).context("fdatasync")?;
        times.push(watch.elapsed().as_secs_f64());
    }
    times.sort_by(f64::total_cmp);
    Ok(times[ATTEMPTS / 2])
}

fn reserve(file: &File, bytes: usize) -> Result<()> {
    fallocate(file, FallocateFlags::empty(), 0, bytes as u64).context("reserve room on the disk")
}
