//! Recovery of the log from the bytes that a disk gives back.
//!
//! The first byte of an input says whether checksums are made right before the rest is read (odd)
//! or not: otherwise hardly an input would get past them.

use std::collections::BTreeMap;
use std::io;
use std::sync::Arc;
use std::time::Duration;

use base::{Clock, LogPosition, ShardId, Sleep, StreamKey, Timestamp};
use bytes::Bytes;
use parking_lot::Mutex;
use store::disk::{Disk, DiskFile};
use store::log::local::scan::{self, Scan};
use store::log::local::{LocalLog, LocalLogOptions, OpenError};
use store::log::{ENVELOPE_BYTES, Log, NewRecord, Record, RecordKind, Urgency};

use super::{note, note_count};

/// Bytes in front of the records of a segment file.
const HEADER_BYTES: usize = 4096;

/// The records of an input.
fn records(input: &[u8]) -> Vec<u8> {
    let Some((mode, rest)) = input.split_first() else {
        return Vec::new();
    };
    let mut bytes = rest.to_vec();
    let mut at = 0;
    while mode & 1 == 1
        && let Ok(len) = Record::claimed_len(&bytes[at..])
        && at + len <= bytes.len()
    {
        let crc = crc32c::crc32c(&bytes[at + 8..at + len]);
        bytes[at + 4..at + 8].copy_from_slice(&crc.to_le_bytes());
        at += len;
    }
    bytes
}

pub(super) fn scan(input: &[u8]) {
    let bytes = Bytes::from(records(input));
    let start = LogPosition::new(0);
    for epoch in [None, Some(1)] {
        let mut end = 0;
        let mut count = 0;
        let found = scan::scan(&bytes, start, epoch, &mut |record: Record| {
            assert!(record.position.get() >= end, "records overlap");
            end = record.position.get() + record.len as u64;
            count += 1;
        });
        assert!(found.end.get() >= end && found.end.get() <= bytes.len() as u64);
        note(format_args!("{:?}", found.stop));
        note_count(count);
        // What counted once counts again without what came after it.
        let kept = bytes.slice(..usize::try_from(found.end.get()).expect("within the input"));
        let again = scan::scan(&kept, start, epoch, &mut |_| ());
        let same = |scan: &Scan| (scan.end, scan.epoch, scan.commit_start, scan.records);
        assert_eq!(same(&again), same(&found));
    }
    if let Some(position) = scan::find_commit_start(&bytes, start, 1) {
        assert!(position.get() + ENVELOPE_BYTES as u64 <= bytes.len() as u64);
        note("commit start");
    }
}

pub(super) fn open(input: &[u8]) {
    let records = records(input);
    let disk = MemoryDisk::default();
    let as_disk: Arc<dyn Disk> = Arc::new(disk.clone());
    // A segment of a log that was opened once, with the input for its records.
    drop(open_log(&as_disk).expect("an empty disk is a new log"));
    for bytes in disk.files.lock().values() {
        let mut bytes = bytes.lock();
        let len = records.len().min(bytes.len() - HEADER_BYTES);
        bytes[HEADER_BYTES..].fill(0);
        bytes[HEADER_BYTES..HEADER_BYTES + len].copy_from_slice(&records[..len]);
    }
    let (log, count) = match open_log(&as_disk) {
        Ok(opened) => opened,
        Err(error) => return note(format_args!("{error:?}")),
    };
    note_count(count);
    // It works from there on, and the next opening agrees.
    let record = NewRecord {
        kind: RecordKind::new(16),
        stream: StreamKey::new(0),
        payload_len: 1,
    };
    let appended = log.append(&[record], Urgency::Now, &mut |_, _, out| out.push(1));
    note(appended.is_ok());
    while let Some(mut commit) = log.begin_commit() {
        commit.write().expect("memory takes all writes");
        commit.sync().expect("memory is synced");
        commit.finish();
    }
    drop(log);
    let (_log, again) = match open_log(&as_disk) {
        Ok(opened) => opened,
        // That was the last of all openings.
        Err(error @ OpenError::EpochsUsedUp(_)) => return note(format_args!("{error:?}")),
        Err(error) => panic!("what was opened once opens again: {error}"),
    };
    assert_eq!(again, count + usize::from(appended.is_ok()));
}

fn open_log(disk: &Arc<dyn Disk>) -> Result<(Arc<LocalLog>, usize), OpenError> {
    let options = LocalLogOptions {
        segment_bytes_min: LocalLogOptions::SEGMENT_BYTES_MIN,
        segment_bytes_max: LocalLogOptions::SEGMENT_BYTES_MIN,
        recent_bytes_max: 0,
        ..LocalLogOptions::default()
    };
    let mut count = 0;
    let (log, _) = LocalLog::open(
        Arc::clone(disk),
        ShardId::new(0),
        options,
        Arc::new(StoppedClock),
        LogPosition::new(0),
        &mut |_| count += 1,
    )?;
    Ok((log, count))
}

/// Time that stands still.
struct StoppedClock;

impl Clock for StoppedClock {
    fn now(&self) -> Timestamp {
        Timestamp::from_ms(0)
    }

    fn elapsed(&self) -> Duration {
        Duration::ZERO
    }

    fn sleep(&self, _duration: Duration) -> Sleep {
        Box::pin(std::future::pending())
    }
}

type FileBytes = Arc<Mutex<Vec<u8>>>;

/// Files in memory.
#[derive(Clone, Default)]
struct MemoryDisk {
    files: Arc<Mutex<BTreeMap<String, FileBytes>>>,
}

impl Disk for MemoryDisk {
    fn list(&self) -> io::Result<Vec<String>> {
        Ok(self.files.lock().keys().cloned().collect())
    }

    fn create(&self, name: &str, len: u64) -> io::Result<Box<dyn DiskFile>> {
        let len = usize::try_from(len).map_err(io::Error::other)?;
        let bytes = Arc::new(Mutex::new(vec![0; len]));
        self.files
            .lock()
            .insert(name.to_owned(), Arc::clone(&bytes));
        Ok(Box::new(MemoryFile(bytes)))
    }

    fn open(&self, name: &str) -> io::Result<Box<dyn DiskFile>> {
        let bytes = self.files.lock().get(name).cloned();
        Ok(Box::new(MemoryFile(bytes.ok_or(io::ErrorKind::NotFound)?)))
    }

    fn remove(&self, name: &str) -> io::Result<()> {
        self.files.lock().remove(name);
        Ok(())
    }

    fn sync_names(&self) -> io::Result<()> {
        Ok(())
    }
}

struct MemoryFile(FileBytes);

impl DiskFile for MemoryFile {
    fn len(&self) -> io::Result<u64> {
        Ok(self.0.lock().len() as u64)
    }

    fn write_at(&self, offset: u64, bytes: &[u8]) -> io::Result<()> {
        let offset = usize::try_from(offset).map_err(io::Error::other)?;
        self.0.lock()[offset..offset + bytes.len()].copy_from_slice(bytes);
        Ok(())
    }

    fn sync(&self) -> io::Result<()> {
        Ok(())
    }

    fn read_at(&self, offset: u64, len: usize) -> io::Result<Bytes> {
        let bytes = self.0.lock();
        let start = usize::try_from(offset).map_err(io::Error::other)?;
        let start = start.min(bytes.len());
        let end = bytes.len().min(start + len);
        Ok(Bytes::copy_from_slice(&bytes[start..end]))
    }

    fn read_cached(&self, offset: u64, len: usize) -> io::Result<Option<Bytes>> {
        self.read_at(offset, len).map(Some)
    }
}
