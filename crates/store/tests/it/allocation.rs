//! Segments made ahead of need, and what a full disk does to appends.

use std::{sync::Arc, time::Duration};

use base::LogPosition;
use futures::FutureExt as _;
use store::{
    disk::Disk,
    log::{AppendError, Log, Urgency, local::LocalLog},
};

use crate::{
    crash_disk::CrashDisk,
    support::{SHARD, TestClock, append, append_as, commit, open, open_from, options},
};

fn open_with_clock(disk: &CrashDisk) -> (Arc<LocalLog>, Arc<TestClock>) {
    let clock = TestClock::new();
    let (log, _) = LocalLog::open(
        disk.as_disk(),
        SHARD,
        options(),
        Arc::<TestClock>::clone(&clock),
        LogPosition::new(0),
        &mut |_| (),
    )
    .unwrap();
    (log, clock)
}

#[test]
fn the_next_segment_is_made_when_the_active_one_is_half_full_and_sizes_double() {
    let disk = CrashDisk::new();
    let (log, ..) = open(&disk.as_disk());
    assert_eq!(disk.list().unwrap().len(), 1, "an idle log has one segment");
    let mut files = 1;
    while disk.list().unwrap().len() == 1 {
        let used = log.tail().get();
        assert!(used < 34 * 1024, "half full at {used}");
        append(&log, &[0; 1_000]).unwrap();
        commit(&log).unwrap();
    }
    while disk.list().unwrap().len() < 5 {
        append(&log, &[0; 1_000]).unwrap();
        commit(&log).unwrap();
        files = files.max(disk.list().unwrap().len() - log.segments().len());
    }
    assert_eq!(files, 1, "one segment ahead at most");
    let sizes: Vec<u64> = log
        .segments()
        .iter()
        .map(|segment| (segment.disk_bytes - 4096) / 1024)
        .collect();
    assert_eq!(sizes, [64, 128, 256, 256]);
}

#[test]
fn an_append_that_must_wait_for_a_segment_is_told_when_it_is_there() {
    let disk = CrashDisk::new();
    let (log, ..) = open(&disk.as_disk());
    // Nobody makes segments: the first one fills up.
    let refused = loop {
        if let Err(error) = append(&log, &[0; 5_000]) {
            break error;
        }
    };
    assert!(matches!(refused, AppendError::Busy { .. }), "{refused}");
    let tail = log.tail();
    let mut writable = log.writable();
    assert!((&mut writable).now_or_never().is_none());
    log.prepare();
    assert!(writable.now_or_never().is_some());
    assert_eq!(log.tail(), tail, "the refused append left nothing behind");
    let appended = append(&log, &[0; 10_000]).unwrap();
    assert_eq!(appended.position.get(), 64 * 1024);
    commit(&log).unwrap();
}

#[test]
fn a_segment_made_ahead_that_is_too_small_is_made_again_larger() {
    let disk = CrashDisk::new();
    let (log, ..) = open(&disk.as_disk());
    while disk.list().unwrap().len() == 1 {
        append(&log, &[0; 4_000]).unwrap();
        commit(&log).unwrap();
    }
    let large = vec![3; 200_000];
    let error = append(&log, &large).unwrap_err();
    assert!(matches!(error, AppendError::Busy { .. }), "{error}");
    log.prepare();
    let appended = append(&log, &large).unwrap();
    commit(&log).unwrap();
    assert_eq!(log.segments()[1].disk_bytes, 256 * 1024 + 4096);
    drop(log);
    let (_log, _, replayed) = open(&disk.as_disk());
    assert_eq!(replayed.last().unwrap().0, appended.position.get());
    assert_eq!(replayed.last().unwrap().2, large);
}

#[test]
fn an_append_that_no_segment_can_hold_is_refused_for_good() {
    let (log, ..) = open(&CrashDisk::new().as_disk());
    let error = append(&log, &vec![0; 256 * 1024 - 31]).unwrap_err();
    assert!(
        matches!(error, AppendError::TooLarge { limit: 262_144, .. }),
        "{error}"
    );
    let error = append(&log, &vec![0; base::limits::RECORD_BYTES_MAX]).unwrap_err();
    assert!(matches!(error, AppendError::TooLarge { .. }), "{error}");
}

#[test]
fn a_full_disk_refuses_sends_and_keeps_room_for_acks_until_there_is_space() {
    let disk = CrashDisk::new();
    let (log, clock) = open_with_clock(&disk);
    disk.set_faults(|faults| faults.full = true);
    let mut sent = 0;
    let full = loop {
        match append(&log, &[1; 1_000]) {
            Ok(_) => sent += 1,
            Err(error) => break error,
        }
        commit(&log).unwrap();
    };
    assert!(
        matches!(
            full,
            AppendError::Full {
                segment_bytes: 135_168,
                ..
            }
        ),
        "{full}"
    );
    assert!(full.to_string().contains("no space left"), "{full}");
    assert!(
        (30..35).contains(&sent),
        "refused from half full on, not {sent}"
    );
    // Acks go on in the rest.
    let mut acks = 0;
    let refused = loop {
        match append_as(&log, Urgency::Ride, &[2; 68]) {
            Ok(_) => acks += 1,
            Err(error) => break error,
        }
    };
    commit(&log).unwrap();
    assert!(matches!(refused, AppendError::Full { .. }), "{refused}");
    assert!(acks > 200, "{acks}");
    assert_eq!(log.durable_end(), log.tail());
    // Space comes back; making a segment is tried again once a second, not at every call.
    disk.set_faults(|faults| faults.full = false);
    let retry_at = log.prepare().unwrap();
    assert!(append(&log, b"too early").is_err());
    clock.advance(retry_at - Duration::from_millis(1));
    assert_eq!(log.prepare(), Some(retry_at));
    clock.advance(Duration::from_millis(1));
    assert_eq!(log.prepare(), None);
    append(&log, b"works again").unwrap();
    commit(&log).unwrap();
    drop(log);
    let (_log, _, replayed) = open(&disk.as_disk());
    assert_eq!(replayed.len(), sent + acks + 1);
}

#[test]
fn the_log_of_a_full_disk_can_be_opened_many_times() {
    let disk = CrashDisk::new();
    let (log, ..) = open(&disk.as_disk());
    disk.set_faults(|faults| faults.full = true);
    while append_as(&log, Urgency::Ride, &[0; 10]).is_ok() {}
    commit(&log).unwrap();
    drop(log);
    let (_, _, before) = open(&disk.as_disk());
    for _ in 0..90 {
        let (_, _, replayed) = open(&disk.as_disk());
        assert_eq!(replayed.len(), before.len());
    }
}

#[test]
fn a_failed_attempt_to_make_a_segment_leaves_no_file() {
    let disk = CrashDisk::new();
    let (log, clock) = open_with_clock(&disk);
    while log.tail().get() < 40_000 {
        append(&log, &[0; 4_000]).unwrap();
    }
    for (operations, files) in [(1, 1), (2, 1), (3, 1)] {
        // Creating works, then writing the header, syncing it or syncing its name fails once.
        disk.set_faults(|faults| {
            faults.write = operations == 1;
            faults.sync = operations >= 2;
        });
        clock.advance(Duration::from_secs(2));
        assert!(log.prepare().is_some());
        assert_eq!(disk.list().unwrap().len(), files);
    }
    clock.advance(Duration::from_secs(2));
    assert!(log.prepare().is_none());
    assert_eq!(disk.list().unwrap().len(), 2);
    commit(&log).unwrap();
    drop(log);
    assert!(open_from(&disk.as_disk(), 0).is_ok());
}

#[test]
fn too_much_that_waits_for_the_disk_makes_senders_wait() {
    let (log, ..) = open(&CrashDisk::new().as_disk());
    let mut waiting = 0;
    let busy = loop {
        log.prepare();
        match append(&log, &[0; 60_000]) {
            Ok(_) => waiting += 60_032_u64,
            Err(error) => break error,
        }
    };
    let limit = options().pending_bytes_max;
    assert!(
        matches!(busy, AppendError::Busy { limit: l, .. } if l == limit),
        "{busy}"
    );
    assert!(waiting > limit - 120_000 && waiting <= limit, "{waiting}");
    let mut writable = log.writable();
    assert!((&mut writable).now_or_never().is_none());
    let mut first = log.begin_commit().unwrap();
    first.write().unwrap();
    first.sync().unwrap();
    assert!((&mut writable).now_or_never().is_none());
    first.finish();
    assert!(writable.now_or_never().is_some());
    append(&log, &[0; 60_000]).unwrap();
    commit(&log).unwrap();
    assert!(log.writable().now_or_never().is_some());
}
