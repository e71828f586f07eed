//! The phases of a commit, one at a time, and what a failure in one of them means.

use std::sync::{Arc, Weak};

use base::LogPosition;
use futures::{FutureExt as _, executor::block_on};
use parking_lot::Mutex;
use store::log::{AppendError, DurableObserver, Log, Record, Urgency};

use crate::{
    crash_disk::CrashDisk,
    support::{Durable, append, append_as, commit, open, seen},
};

#[test]
fn everything_that_arrived_goes_in_one_write_and_one_sync() {
    let disk = CrashDisk::new();
    let (log, ..) = open(&disk.as_disk());
    for _ in 0..500 {
        append(&log, &[1; 20]).unwrap();
    }
    let before = disk.counts();
    let mut first = log.begin_commit().unwrap();
    assert!(log.begin_commit().is_none(), "one commit at a time");
    // What comes now goes into the next one.
    let late = append(&log, b"late").unwrap();
    assert!(first.end() <= late.position);
    first.write().unwrap();
    first.sync().unwrap();
    assert_eq!(
        log.durable_end().get(),
        40,
        "only the opening record so far"
    );
    first.finish();
    assert_eq!(log.durable_end(), late.position);
    let after = disk.counts();
    assert_eq!(
        (after.writes - before.writes, after.syncs - before.syncs),
        (1, 1)
    );
    commit(&log).unwrap();
    assert_eq!(log.durable_end(), late.end);
}

#[test]
fn a_commit_never_spans_segments() {
    let disk = CrashDisk::new();
    let (log, ..) = open(&disk.as_disk());
    while log.segments().len() < 3 {
        if append(&log, &[1; 10_000]).is_err() {
            log.prepare();
        }
        log.prepare();
    }
    assert!(log.pending_chunks() >= 3);
    let mut ends = Vec::new();
    while let Some(mut commit) = log.begin_commit() {
        ends.push(commit.end());
        commit.write().unwrap();
        commit.sync().unwrap();
        commit.finish();
    }
    let segments = log.segments();
    assert_eq!(ends[..2], [segments[1].start, segments[2].start]);
    assert_eq!(ends[2], log.tail());
}

#[test]
fn a_failed_write_or_sync_poisons_the_log_until_it_is_opened_again() {
    for operation in ["write", "fdatasync"] {
        let disk = CrashDisk::new();
        let (log, ..) = open(&disk.as_disk());
        let durable = Durable::observing(&log);
        let kept = append(&log, b"kept").unwrap();
        commit(&log).unwrap();
        let lost = append(&log, b"lost").unwrap();
        let wait = log.durable(lost.end);
        disk.set_faults(|faults| {
            faults.write = operation == "write";
            faults.sync = operation == "fdatasync";
        });
        let error = commit(&log).unwrap_err();
        assert!(
            matches!(&error, AppendError::Poisoned { operation: failed, .. } if *failed == operation),
            "{error}"
        );
        assert_eq!(wait.now_or_never(), Some(Err(error.clone())));
        assert_eq!(
            log.durable(lost.end).now_or_never(),
            Some(Err(error.clone()))
        );
        assert_eq!(append(&log, b"refused").unwrap_err(), error);
        assert_eq!(
            append_as(&log, Urgency::Ride, b"refused").unwrap_err(),
            error
        );
        assert!(log.begin_commit().is_none());
        assert!(
            log.writable().now_or_never().is_some(),
            "nobody waits for a poisoned log"
        );
        assert_eq!(durable.records.lock().len(), 1);
        let read = block_on(log.read(kept.position, 36)).unwrap();
        assert_eq!(seen(&read).2, b"kept");
        assert!(log.trim(log.durable_end()).is_ok());
        drop(log);
        let (log, _, replayed) = open(&disk.as_disk());
        assert_eq!(replayed[0].2, b"kept");
        append(&log, b"works again").unwrap();
        commit(&log).unwrap();
    }
}

#[test]
fn an_abandoned_commit_poisons_the_log() {
    let (log, ..) = open(&CrashDisk::new().as_disk());
    let appended = append(&log, b"lost").unwrap();
    let wait = log.durable(appended.end);
    drop(log.begin_commit().unwrap());
    assert!(matches!(
        wait.now_or_never(),
        Some(Err(AppendError::Poisoned { .. }))
    ));
}

#[test]
fn a_payload_writer_that_panics_leaves_nothing_behind() {
    let (log, ..) = open(&CrashDisk::new().as_disk());
    append(&log, b"first").unwrap();
    let tail = log.tail();
    for wrong_len in [3, 5] {
        let record = store::log::NewRecord {
            kind: store::log::RecordKind::new(16),
            stream: base::StreamKey::new(0),
            payload_len: 4,
        };
        let panicked = std::panic::catch_unwind(std::panic::AssertUnwindSafe(|| {
            let _ = log.append(&[record, record], Urgency::Now, &mut |index, _, out| {
                out.resize(out.len() + if index == 0 { 4 } else { wrong_len }, 0);
            });
        }));
        assert!(panicked.is_err());
        assert_eq!(log.tail(), tail);
    }
    append(&log, b"second").unwrap();
    let durable = Durable::observing(&log);
    commit(&log).unwrap();
    let payloads: Vec<Vec<u8>> = durable.records.lock().iter().map(|r| r.2.clone()).collect();
    assert_eq!(payloads, [b"first".to_vec(), b"second".to_vec()]);
}

/// Reads in its callback what it is shown, as a broker that answers a waiting pull does.
struct ReadsBack {
    log: Weak<store::log::local::LocalLog>,
    read: Mutex<Vec<Vec<u8>>>,
    durable_end: Mutex<Vec<u64>>,
}

impl DurableObserver for ReadsBack {
    fn on_durable(&self, records: &[Record], end: LogPosition) {
        let log = self.log.upgrade().unwrap();
        for record in records {
            let read = log.read(record.position, record.len).now_or_never();
            self.read
                .lock()
                .push(read.unwrap().unwrap().payload.to_vec());
        }
        self.durable_end.lock().push(log.durable_end().get());
        assert!(end > log.durable_end());
    }
}

#[test]
fn what_an_observer_is_shown_can_be_read_and_is_not_yet_called_durable() {
    let (log, ..) = open(&CrashDisk::new().as_disk());
    let reads_back = Arc::new(ReadsBack {
        log: Arc::downgrade(&log),
        read: Mutex::default(),
        durable_end: Mutex::default(),
    });
    let observer: Arc<dyn DurableObserver> = Arc::<ReadsBack>::clone(&reads_back);
    log.observe(Arc::downgrade(&observer));
    append(&log, b"one").unwrap();
    append(&log, b"two").unwrap();
    commit(&log).unwrap();
    assert_eq!(*reads_back.read.lock(), [b"one".to_vec(), b"two".to_vec()]);
    assert_eq!(*reads_back.durable_end.lock(), [40]);
}

#[test]
fn recent_records_are_slices_of_the_commit_buffer() {
    let (log, ..) = open(&CrashDisk::new().as_disk());
    let shown = Arc::new(Mutex::new(Vec::new()));
    struct Keeps(Arc<Mutex<Vec<bytes::Bytes>>>);
    impl DurableObserver for Keeps {
        fn on_durable(&self, records: &[Record], _end: LogPosition) {
            self.0
                .lock()
                .extend(records.iter().map(|record| record.payload.clone()));
        }
    }
    let observer: Arc<dyn DurableObserver> = Arc::new(Keeps(Arc::clone(&shown)));
    log.observe(Arc::downgrade(&observer));
    let appended = append(&log, &[8; 1_000]).unwrap();
    commit(&log).unwrap();
    let read = block_on(log.read(appended.position, 1_032)).unwrap();
    assert_eq!(
        read.payload.as_ptr(),
        shown.lock()[0].as_ptr(),
        "no copy was made"
    );
}
