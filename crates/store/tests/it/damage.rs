//! What recovery does with bytes that are not as they were written: cut what a crash can leave,
//! refuse what it cannot.

use std::sync::Arc;

use futures::executor::block_on;
use store::{
    disk::Disk,
    log::{
        Log,
        local::{LocalLog, OpenError},
    },
};

use crate::{
    crash_disk::CrashDisk,
    support::{Seen, append, commit, open, open_from},
};

/// Where records begin in a segment file.
const HEADER: usize = 4096;
const FIRST: &str = "000000000000000.log";

/// A log of one segment: records that were committed one by one, and where the last commit begins.
fn small_log() -> (CrashDisk, Vec<Seen>, usize) {
    let disk = CrashDisk::new();
    let (log, ..) = open(&disk.as_disk());
    let mut written = Vec::new();
    for number in 0..5_u8 {
        written.push(put(&log, &vec![number; 30 + usize::from(number)]));
        commit(&log).unwrap();
    }
    let start = log.tail().get() as usize;
    for number in 0..3_u8 {
        written.push(put(&log, &[number; 10]));
    }
    commit(&log).unwrap();
    (disk, written, start)
}

fn put(log: &LocalLog, payload: &[u8]) -> Seen {
    let appended = append(log, payload).unwrap();
    (appended.position.get(), 16, payload.to_vec())
}

/// Opens, and checks that the log works on from there and nothing comes back that was cut.
fn check_survivors(disk: &CrashDisk, written: &[Seen], at_least: usize) -> usize {
    let (log, _, replayed) = open(&disk.as_disk());
    assert!(
        replayed.len() >= at_least,
        "{} of {at_least}",
        replayed.len()
    );
    assert_eq!(replayed, written[..replayed.len()]);
    let mut expected = replayed.clone();
    expected.push(put(&log, b"after"));
    commit(&log).unwrap();
    drop(log);
    let (_log, recovery, again) = open(&disk.as_disk());
    assert_eq!(again, expected);
    assert_eq!(recovery.cut_bytes, 0, "the cut was made good");
    replayed.len()
}

#[test]
fn a_tail_torn_at_any_byte_is_cut_and_the_log_goes_on() {
    let (disk, written, start) = small_log();
    let end = disk.edit(FIRST, |bytes| {
        HEADER + bytes[HEADER..].iter().rposition(|byte| *byte != 0).unwrap() + 1
    });
    let mut fewest = usize::MAX;
    for cut in HEADER + start..end {
        let torn = disk.copy();
        torn.edit(FIRST, |bytes| bytes[cut..end].fill(0));
        let survivors = check_survivors(&torn, &written, written.len() - 3);
        fewest = fewest.min(survivors);
    }
    assert_eq!(fewest, written.len() - 3);
}

#[test]
fn a_byte_lost_anywhere_in_the_last_commit_cuts_there_even_if_later_records_are_whole() {
    let (disk, written, start) = small_log();
    let mut cut = 0;
    for at in HEADER + start..HEADER + start + 3 * 42 {
        let torn = disk.copy();
        torn.edit(FIRST, |bytes| bytes[at] ^= 0x40);
        let survivors = check_survivors(&torn, &written, written.len() - 3);
        assert_eq!(survivors, written.len() - 3 + (at - HEADER - start) / 42);
        cut += 1;
    }
    assert_eq!(cut, 126);
}

#[test]
fn a_byte_lost_before_the_last_commit_is_damage_and_nothing_is_cut() {
    let (disk, _, start) = small_log();
    for at in HEADER..HEADER + start {
        let damaged = disk.copy();
        damaged.edit(FIRST, |bytes| bytes[at] ^= 0x04);
        let before = damaged.edit(FIRST, |bytes| bytes.clone());
        let error = open_from(&damaged.as_disk(), 0).err().unwrap();
        let OpenError::Corrupt { file, position, .. } = &error else {
            panic!("byte {at}: {error}");
        };
        assert_eq!(file, FIRST);
        assert!(position.get() as usize <= at - HEADER, "{error}");
        assert_eq!(damaged.edit(FIRST, |bytes| bytes.clone()), before);
    }
}

/// Several segments, committed as they fill.
fn long_log() -> (CrashDisk, Vec<Seen>) {
    let disk = CrashDisk::new();
    let (log, ..) = open(&disk.as_disk());
    let mut written = Vec::new();
    while log.segments().len() < 4 {
        written.push(put(&log, &[written.len() as u8; 3_000]));
        commit(&log).unwrap();
    }
    (disk, written)
}

#[test]
fn damage_in_a_sealed_segment_is_refused_with_file_and_position() {
    let (disk, written) = long_log();
    for at in (HEADER..HEADER + 60_000).step_by(1_009) {
        let damaged = disk.copy();
        damaged.edit(FIRST, |bytes| bytes[at] ^= 0x80);
        let error = open_from(&damaged.as_disk(), 0).err().unwrap();
        assert!(matches!(error, OpenError::Corrupt { .. }), "{error}");
    }
    // The end of a sealed segment is as precious: its last record, and the one that seals it.
    let last = written.iter().rfind(|record| record.0 < 64 * 1024).unwrap();
    for position in [last.0 as usize + 40, last.0 as usize + 3_032 + 8] {
        let damaged = disk.copy();
        damaged.edit(FIRST, |bytes| bytes[HEADER + position] ^= 0x80);
        let error = open_from(&damaged.as_disk(), 0).err().unwrap();
        assert!(
            matches!(error, OpenError::Corrupt { .. }),
            "{position}: {error}"
        );
    }
    // Behind a checkpoint it is not looked at, and reading it says what is wrong.
    let damaged = disk.copy();
    damaged.edit(FIRST, |bytes| {
        bytes[HEADER + written[3].0 as usize + 50] ^= 0x80
    });
    let (log, ..) = open_from(&damaged.as_disk(), written[30].0).unwrap();
    let position = base::LogPosition::new(written[3].0);
    let error = block_on(log.read(position, 3_032)).unwrap_err();
    assert!(
        matches!(error, store::log::ReadError::Corrupt { .. }),
        "{error}"
    );
}

#[test]
fn missing_foreign_newer_and_cut_files_are_refused_each_with_its_reason() {
    let (disk, _) = long_log();
    let second = "000000000065536.log";
    let without = disk.copy();
    without.remove(second).unwrap();
    let error = open_from(&without.as_disk(), 0).err().unwrap();
    assert!(matches!(error, OpenError::Missing { .. }), "{error}");

    let clock = crate::support::TestClock::new();
    let error = LocalLog::open(
        disk.copy().as_disk(),
        base::ShardId::new(9),
        crate::support::options(),
        clock,
        base::LogPosition::new(0),
        &mut |_| (),
    );
    let error = error.err().unwrap();
    assert!(matches!(error, OpenError::Foreign { .. }), "{error}");

    let newer = disk.copy();
    newer.edit(second, |bytes| {
        bytes[12] = 2;
        let crc = crc32c::crc32c(&bytes[12..40]);
        bytes[8..12].copy_from_slice(&crc.to_le_bytes());
    });
    let error = open_from(&newer.as_disk(), 0).err().unwrap();
    assert!(
        matches!(
            error,
            OpenError::NewerFormat {
                found: 2,
                supported: 1,
                ..
            }
        ),
        "{error}"
    );

    for name in [FIRST, second] {
        let cut = disk.copy();
        cut.edit(name, |bytes| bytes.truncate(30_000));
        let error = open_from(&cut.as_disk(), 0).err().unwrap();
        assert!(matches!(error, OpenError::Corrupt { .. }), "{error}");
        let headless = disk.copy();
        headless.edit(name, |bytes| bytes[..HEADER].fill(0));
        let error = open_from(&headless.as_disk(), 0).err().unwrap();
        assert!(matches!(error, OpenError::Corrupt { .. }), "{error}");
    }
}

#[test]
fn a_newest_file_whose_making_was_cut_short_is_made_again() {
    for damage in [0, 100, HEADER, 70_000] {
        let (disk, written) = long_log();
        let (log, ..) = open(&disk.as_disk());
        let next = log.segments().last().unwrap().start.get();
        drop(log);
        // The one after the newest: made ahead, cut short by a crash.
        let newest = disk.list().unwrap().into_iter().max().unwrap();
        let start: u64 = newest.trim_end_matches(".log").parse().unwrap();
        if start == next {
            let len = disk.edit(&newest, |bytes| bytes.len()) as u64;
            let name = format!("{:015}.log", start + len - HEADER as u64);
            drop(disk.create(&name, 300_000).unwrap());
            disk.edit(&name, |bytes| bytes.truncate(damage));
        } else {
            disk.edit(&newest, |bytes| {
                bytes.fill(0);
                bytes.truncate(damage);
            });
        }
        disk.sync_names().unwrap();
        let survivors = check_survivors(&disk, &written, written.len());
        assert_eq!(survivors, written.len());
    }
}

#[test]
fn a_checkpoint_that_the_log_does_not_reach_is_refused() {
    let (disk, written, _) = small_log();
    let (log, ..) = open(&disk.as_disk());
    let end = log.durable_end().get();
    drop(log);
    let opens = |from| open_from(&disk.copy().as_disk(), from);
    assert!(opens(end).is_ok());
    for beyond in [end + 1, end + 8, end + 32, 65_535, 65_536, 1 << 40] {
        let error = opens(beyond).err().unwrap();
        let OpenError::CheckpointPastEnd {
            checkpoint,
            end: at,
        } = &error
        else {
            panic!("{beyond}: {error}");
        };
        assert_eq!((checkpoint.get(), at.get()), (beyond, end));
    }
    // Between the records, where no position can be.
    let error = opens(written[2].0 + 1).err().unwrap();
    assert!(matches!(error, OpenError::Corrupt { .. }), "{error}");
    let empty = CrashDisk::new();
    let error = open_from(&empty.as_disk(), 64).err().unwrap();
    assert!(
        matches!(error, OpenError::CheckpointPastEnd { .. }),
        "{error}"
    );
    assert!(empty.list().unwrap().is_empty(), "nothing was made");
}

#[test]
fn a_checkpoint_before_the_start_of_the_log_is_refused() {
    let (disk, _) = long_log();
    let (log, ..) = open(&disk.as_disk());
    let start = log.trim(log.durable_end()).unwrap();
    assert!(start.get() > 0);
    drop(log);
    let error = open_from(&disk.as_disk(), start.get() - 1).err().unwrap();
    assert!(
        matches!(error, OpenError::CheckpointTrimmed { .. }),
        "{error}"
    );
    assert!(open_from(&disk.as_disk(), start.get()).is_ok());
}

/// What a torn commit left behind the cut must not count again when the log has grown up to it.
#[test]
fn remains_of_a_torn_commit_never_come_back() {
    let (disk, written, start) = small_log();
    let remains = disk.edit(FIRST, |bytes| {
        bytes[HEADER + start..HEADER + start + 126].to_vec()
    });
    // The first record of the last commit is lost; recovery clears the other two.
    disk.edit(FIRST, |bytes| bytes[HEADER + start] ^= 1);
    let (log, recovery, replayed) = open(&disk.as_disk());
    assert_eq!(replayed, written[..5]);
    assert!(recovery.cut_bytes > 0);
    // As if it had not: the remains stand exactly where the log goes on. The opening record takes
    // 40 bytes, so a record of 2 bytes ends where the second of them begins...
    let filler = put(&log, &[9; 42 + 42 - 40 - 32]);
    commit(&log).unwrap();
    let tail = log.tail().get() as usize;
    assert_eq!(tail, start + 84);
    drop(log);
    disk.edit(FIRST, |bytes| {
        bytes[HEADER + tail..HEADER + tail + 42].copy_from_slice(&remains[84..126]);
    });
    let (_log, recovery, replayed) = open(&disk.as_disk());
    assert_eq!(replayed.last(), Some(&filler));
    assert_eq!(replayed.len(), 6);
    assert_eq!(recovery.end.get() as usize, tail);
    assert_eq!(recovery.cut_bytes, 42);
}

#[test]
fn opening_again_and_again_changes_nothing_but_the_epoch() {
    let (disk, written) = long_log();
    let disk: Arc<dyn Disk> = disk.as_disk();
    for round in 0..20 {
        let (log, recovery, replayed) = open(&disk);
        assert_eq!(replayed, written);
        assert_eq!((recovery.epoch, recovery.cut_bytes), (round + 2, 0));
        drop(log);
    }
}

/// The opening record needs 40 bytes. Where fewer are left, the segment is sealed for it.
#[test]
fn a_log_that_ends_just_before_its_segment_does_opens_in_the_next() {
    for left in [0, 1, 8, 31, 32, 39, 40, 41] {
        let disk = CrashDisk::new();
        let (log, ..) = open(&disk.as_disk());
        let mut written = Vec::new();
        while log.tail().get() < 60_000 {
            written.push(put(&log, &[1; 1_000]));
            commit(&log).unwrap();
        }
        let room = 65_536 - log.tail().get() as usize;
        written.push(put(&log, &vec![2; room - left - 32]));
        commit(&log).unwrap();
        drop(log);
        for round in 2..5 {
            let (log, recovery, replayed) = open(&disk.as_disk());
            assert_eq!(
                (replayed, recovery.epoch),
                (written.clone(), round),
                "{left} left"
            );
            written.push(put(&log, b"more"));
            commit(&log).unwrap();
        }
    }
}
