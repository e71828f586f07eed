//! Reading a page of records: the same records as one by one, with fewer calls of the disk.

use std::sync::Arc;

use base::{LogPosition, Random as _, SeededRandom, limits};
use futures::executor::block_on;
use store::log::{ENVELOPE_BYTES, Log, ReadError, RecordPlace, local::LocalLog};

use crate::{
    crash_disk::CrashDisk,
    support::{Seen, append, commit, open, open_from, seen},
};

const FIRST: &str = "000000000000000.log";

/// Where records begin in a segment file.
const HEADER: u64 = 4096;

fn place(record: &Seen) -> RecordPlace {
    RecordPlace {
        position: LogPosition::new(record.0),
        len: record.2.len() + ENVELOPE_BYTES,
    }
}

fn places<'a>(records: impl IntoIterator<Item = &'a Seen>) -> Vec<RecordPlace> {
    records.into_iter().map(place).collect()
}

/// Records of 1,000 bytes in some segments of a log, of which nothing is in memory.
fn stored(disk: &CrashDisk) -> (Arc<LocalLog>, Vec<Seen>) {
    let (log, ..) = open(&disk.as_disk());
    let mut written = Vec::new();
    while log.segments().len() < 3 {
        let payload = [written.len() as u8; 1_000];
        let appended = append(&log, &payload).unwrap();
        written.push((appended.position.get(), 16, payload.to_vec()));
        commit(&log).unwrap();
    }
    drop(log);
    let (log, ..) = open(&disk.as_disk());
    (log, written)
}

fn read(log: &LocalLog, records: &[&Seen]) -> Vec<Seen> {
    let read = block_on(log.read_all(&places(records.iter().copied())));
    read.into_iter().map(|read| seen(&read.unwrap())).collect()
}

#[test]
fn a_page_reads_as_its_records_do_one_by_one() {
    let disk = CrashDisk::new();
    let (log, mut written) = stored(&disk);
    // Some that memory has, behind those on disk.
    for number in 0..50_u8 {
        let payload = vec![number; usize::from(number) * 40];
        let appended = append(&log, &payload).unwrap();
        written.push((appended.position.get(), 16, payload));
        if number % 7 == 0 {
            commit(&log).unwrap();
        }
    }
    commit(&log).unwrap();
    let random = SeededRandom::new(1);
    for _ in 0..300 {
        // In order with gaps, as a queue has them, and in no order at all.
        let step = 1 + random.below(40) as usize;
        let first = random.below(written.len() as u64) as usize;
        let mut page: Vec<&Seen> = written[first..].iter().step_by(step).collect();
        if random.below(4) == 0 {
            page.reverse();
        }
        let read = read(&log, &page);
        assert!(read.iter().eq(page.iter().copied()), "{first} {step}");
    }
    assert!(read(&log, &[]).is_empty());
}

#[test]
fn neighbours_are_read_with_one_call_and_those_in_between_with_none() {
    let disk = CrashDisk::new();
    let (log, written) = stored(&disk);
    let reads = |page: &[&Seen]| {
        let before = disk.counts().reads;
        assert!(read(&log, page).iter().eq(page.iter().copied()));
        disk.counts().reads - before
    };
    let of_queue = |queue: usize| -> Vec<&Seen> { written[queue..48].iter().step_by(4).collect() };
    assert_eq!(reads(&of_queue(0)), 1);
    for queue in 1..4 {
        // Their last record lies behind what was read.
        assert_eq!(reads(&of_queue(queue)[..11]), 0, "queue {queue}");
    }
    // Far apart, each is read alone, and only it.
    let bytes = disk.counts().bytes_read;
    let far: Vec<&Seen> = written[60..].iter().step_by(20).take(3).collect();
    assert_eq!(reads(&far), 3);
    assert_eq!(disk.counts().bytes_read - bytes, 3 * 1_032);
}

#[test]
fn a_page_ends_at_what_is_damaged_and_not_before() {
    let disk = CrashDisk::new();
    let (_, written) = stored(&disk);
    let at = (HEADER + written[5].0) as usize + 500;
    disk.edit(FIRST, |bytes| bytes[at] ^= 1);
    let (log, ..) = open_from(&disk.as_disk(), written[60].0).unwrap();
    let mut read = block_on(log.read_all(&places(&written[..10])));
    assert!(matches!(read.pop(), Some(Err(ReadError::Corrupt { .. }))));
    let read: Vec<Seen> = read
        .iter()
        .map(|read| seen(read.as_ref().unwrap()))
        .collect();
    assert_eq!(read, written[..5]);
    let behind = block_on(log.read_all(&places(&written[6..10])));
    assert!(behind.iter().all(Result::is_ok));
}

#[test]
fn a_place_that_cannot_be_read_does_not_hide_its_neighbours() {
    let disk = CrashDisk::new();
    let (log, written) = stored(&disk);
    disk.set_faults(|faults| faults.unreadable = Some(HEADER + written[5].0 + 500));
    let mut read = block_on(log.read_all(&places(&written[..10])));
    assert!(matches!(read.pop(), Some(Err(ReadError::Disk { .. }))));
    let read: Vec<Seen> = read
        .iter()
        .map(|read| seen(read.as_ref().unwrap()))
        .collect();
    assert_eq!(read, written[..5]);
}

#[test]
fn what_was_given_back_is_not_handed_out_from_memory() {
    let disk = CrashDisk::new();
    let (log, written) = stored(&disk);
    assert_eq!(block_on(log.read_all(&places(&written[..10]))).len(), 10);
    let start = log.trim(log.segments()[1].start).unwrap();
    assert!(start.get() > written[10].0);
    let read = block_on(log.read_all(&places(&written[..10])));
    assert_eq!(read.len(), 1);
    assert!(matches!(read[0], Err(ReadError::Trimmed { .. })));
}

#[test]
fn a_wrong_place_is_refused() {
    let disk = CrashDisk::new();
    let (log, written) = stored(&disk);
    let right = place(&written[0]);
    let wrong = |change: u64, len: usize| RecordPlace {
        position: LogPosition::new(written[1].0 + change),
        len,
    };
    for wrong in [
        wrong(0, 1_031),
        wrong(0, 1_033),
        wrong(0, 0),
        wrong(0, limits::RECORD_BYTES_MAX + 1),
        wrong(0, usize::MAX),
        wrong(8, 1_032),
    ] {
        let read = block_on(log.read_all(&[right, wrong]));
        assert!(read[0].is_ok());
        assert!(
            matches!(read[1], Err(ReadError::Corrupt { .. })),
            "{wrong:?}: {:?}",
            read[1]
        );
    }
}
