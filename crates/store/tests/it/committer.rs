//! The thread that drives logs: groups, rides, drains.

use std::{
    sync::{Arc, mpsc},
    time::Duration,
};

use base::{LogPosition, limits};
use futures::executor::block_on;
use parking_lot::Mutex;
use store::log::{
    AppendError, DurableObserver, Log, Record, Urgency,
    local::{Committer, LocalLog, LocalLogOptions},
};

use crate::{
    crash_disk::CrashDisk,
    support::{Durable, RealClock, SHARD, append, append_as, open, open_from, options, seen},
};

fn committer() -> Committer {
    Committer::start("commit-test", RealClock::new(), None).unwrap()
}

#[test]
fn concurrent_appenders_get_positions_without_gaps_and_share_commits() {
    const THREADS: usize = 16;
    const APPENDS: usize = 400;
    let disk = CrashDisk::new();
    let (log, ..) = open(&disk.as_disk());
    let durable = Durable::observing(&log);
    let committer = committer();
    committer.register(&log);
    let before = disk.counts();
    let acknowledged = Mutex::new(Vec::new());
    std::thread::scope(|scope| {
        for thread in 0..THREADS {
            let (log, acknowledged) = (&log, &acknowledged);
            scope.spawn(move || {
                for number in 0..APPENDS {
                    // Several in flight, so that there is something to group.
                    let payload = format!("{thread}/{number}");
                    let appended = append_when_writable(log, payload.as_bytes());
                    if number % 8 == 7 {
                        block_on(log.durable(appended.1)).unwrap();
                        assert!(log.durable_end() >= appended.1);
                    }
                    acknowledged.lock().push((appended.0.get(), payload));
                }
            });
        }
    });
    block_on(log.durable(log.tail())).unwrap();
    let syncs = disk.counts().syncs - before.syncs;
    let mut written = acknowledged.into_inner();
    written.sort_unstable();
    let seen_durable: Vec<(u64, String)> = durable
        .records
        .lock()
        .iter()
        .map(|record| (record.0, String::from_utf8(record.2.clone()).unwrap()))
        .collect();
    assert_eq!(seen_durable, written, "durable in log order, each once");
    assert_eq!(written.len(), THREADS * APPENDS);
    let mut expected = written[0].0;
    let starts: Vec<u64> = log
        .segments()
        .iter()
        .map(|segment| segment.start.get())
        .collect();
    for (position, payload) in &written {
        assert!(
            *position == expected || starts.contains(position),
            "gap at {position}"
        );
        expected = position + 32 + payload.len() as u64;
    }
    assert!(
        syncs < (THREADS * APPENDS / 8) as u64,
        "{syncs} syncs for {} appends",
        THREADS * APPENDS
    );
    committer.stop();
    drop(log);
    assert_eq!(open(&disk.as_disk()).2.len(), THREADS * APPENDS);
}

fn append_when_writable(log: &Arc<LocalLog>, payload: &[u8]) -> (LogPosition, LogPosition) {
    loop {
        match append(log, payload) {
            Ok(appended) => return (appended.position, appended.end),
            Err(AppendError::Busy { .. }) => block_on(log.writable()),
            Err(error) => panic!("{error}"),
        }
    }
}

/// Reports each group of records.
struct Reports(Mutex<mpsc::Sender<Vec<Vec<u8>>>>);

impl DurableObserver for Reports {
    fn on_durable(&self, records: &[Record], _end: LogPosition) {
        let payloads = records.iter().map(|record| seen(record).2).collect();
        self.0.lock().send(payloads).unwrap();
    }
}

fn reporting(log: &LocalLog) -> (Arc<dyn DurableObserver>, mpsc::Receiver<Vec<Vec<u8>>>) {
    let (report, reports) = mpsc::channel();
    let observer: Arc<dyn DurableObserver> = Arc::new(Reports(Mutex::new(report)));
    log.observe(Arc::downgrade(&observer));
    (observer, reports)
}

/// The next report; a thread that never makes one is an error, not a test that hangs.
fn next(reports: &mpsc::Receiver<Vec<Vec<u8>>>) -> Vec<Vec<u8>> {
    reports
        .recv_timeout(Duration::from_secs(60))
        .expect("the committer reports")
}

#[test]
fn a_ride_needs_no_company_but_goes_with_it() {
    let (log, ..) = open(&CrashDisk::new().as_disk());
    let (_observer, reports) = reporting(&log);
    let committer = committer();
    committer.register(&log);
    // After this the thread has nothing left to do that the ride could go with.
    let appended = append(&log, b"first").unwrap();
    block_on(log.durable(appended.end)).unwrap();
    assert_eq!(next(&reports), [b"first".to_vec()]);
    append_as(&log, Urgency::Ride, b"alone").unwrap();
    assert_eq!(next(&reports), [b"alone".to_vec()]);
    // Somebody who waits makes it urgent.
    let appended = append_as(&log, Urgency::Ride, b"awaited").unwrap();
    block_on(log.durable(appended.end)).unwrap();
    assert_eq!(next(&reports), [b"awaited".to_vec()]);
    committer.stop();
}

#[test]
fn stopping_and_leaving_drain_what_waits() {
    let (first, ..) = open(&CrashDisk::new().as_disk());
    let (second, ..) = open(&CrashDisk::new().as_disk());
    let committer = committer();
    for log in [&first, &second] {
        committer.register(log);
        for _ in 0..50 {
            append_as(log, Urgency::Ride, &[0; 100]).unwrap();
        }
    }
    committer.unregister(&first);
    assert_eq!(first.durable_end(), first.tail());
    append(&first, b"nobody commits this").unwrap();
    committer.stop();
    committer.stop();
    assert_eq!(second.durable_end(), second.tail());
    assert!(first.durable_end() < first.tail());
    // A log may find a new one.
    let next = self::committer();
    next.register(&first);
    block_on(first.durable(first.tail())).unwrap();
}

#[test]
fn the_thread_makes_segments_as_they_are_needed() {
    let disk = CrashDisk::new();
    let (log, ..) = open(&disk.as_disk());
    let committer = committer();
    committer.register(&log);
    for _ in 0..300 {
        append_when_writable(&log, &[0; 3_000]);
    }
    block_on(log.durable(log.tail())).unwrap();
    assert!(log.segments().len() > 3);
}

#[test]
fn a_failing_disk_is_told_to_all_who_wait_and_spares_other_logs() {
    let disk = CrashDisk::new();
    let (sick, ..) = open(&disk.as_disk());
    let (well, ..) = open(&CrashDisk::new().as_disk());
    let committer = committer();
    committer.register(&sick);
    committer.register(&well);
    disk.set_faults(|faults| faults.sync = true);
    let lost = append(&sick, b"lost").unwrap();
    let kept = append(&well, b"kept").unwrap();
    let error = block_on(sick.durable(lost.end)).unwrap_err();
    assert!(matches!(
        error,
        AppendError::Poisoned {
            operation: "fdatasync",
            ..
        }
    ));
    block_on(well.durable(kept.end)).unwrap();
    committer.stop();
    drop(sick);
    assert!(open_from(&disk.as_disk(), 0).is_ok());
}

struct Panics;

impl DurableObserver for Panics {
    fn on_durable(&self, _records: &[Record], _end: LogPosition) {
        panic!("a bug in the observer");
    }
}

#[test]
fn a_panic_on_the_thread_ends_all_waits_instead_of_hanging_them() {
    let (log, ..) = open(&CrashDisk::new().as_disk());
    let (other, ..) = open(&CrashDisk::new().as_disk());
    let observer: Arc<dyn DurableObserver> = Arc::new(Panics);
    log.observe(Arc::downgrade(&observer));
    let committer = committer();
    committer.register(&log);
    committer.register(&other);
    let appended = append(&log, b"x").unwrap();
    assert!(block_on(log.durable(appended.end)).is_err());
    committer.stop();
    assert!(matches!(
        append(&other, b"x"),
        Err(AppendError::Poisoned { .. })
    ));
}

#[test]
fn a_closed_log_makes_durable_what_it_has_and_takes_no_more() {
    let disk = CrashDisk::new();
    let (log, ..) = open(&disk.as_disk());
    let committer = committer();
    committer.register(&log);
    let end = append(&log, b"last").unwrap().end;
    log.close();
    let refused = append(&log, b"late");
    assert!(matches!(refused, Err(AppendError::Closed { .. })));
    block_on(log.durable(end)).unwrap();
    committer.unregister(&log);
    assert_eq!(log.durable_end(), end);
}

fn runtime() -> tokio::runtime::Runtime {
    let mut runtime = tokio::runtime::Builder::new_current_thread();
    runtime.build().unwrap()
}

fn committer_of(runtime: &tokio::runtime::Runtime) -> Committer {
    let handle = Some(runtime.handle().clone());
    Committer::start("commit-test", RealClock::new(), handle).unwrap()
}

/// A log with room for much, and what it reports.
struct Roomy {
    log: Arc<LocalLog>,
    _observer: Arc<dyn DurableObserver>,
    reports: mpsc::Receiver<Vec<Vec<u8>>>,
}

impl Roomy {
    fn open(committer: &Committer) -> Self {
        let options = LocalLogOptions {
            segment_bytes_min: 1024 * 1024,
            segment_bytes_max: 1024 * 1024,
            ..options()
        };
        let (disk, clock, from) = (CrashDisk::new(), RealClock::new(), LogPosition::new(0));
        let opened = LocalLog::open(disk.as_disk(), SHARD, options, clock, from, &mut |_| ());
        let log = opened.unwrap().0;
        let (observer, reports) = reporting(&log);
        committer.register(&log);
        Self {
            log,
            _observer: observer,
            reports,
        }
    }

    /// Appends so much that it goes at once. When this returns, the thread has done what it was
    /// woken for before.
    fn append_much(&self) {
        append(&self.log, &vec![0; limits::LOG_GATHER_BYTES]).unwrap();
        assert_eq!(next(&self.reports).len(), 1);
    }
}

#[test]
fn a_commit_waits_until_the_task_that_appends_rests() {
    let runtime = runtime();
    let committer = committer_of(&runtime);
    let (log, other) = (Roomy::open(&committer), Roomy::open(&committer));
    other.append_much();
    runtime.block_on(async {
        append(&log.log, b"first").unwrap();
        other.append_much();
        assert!(log.reports.try_recv().is_err(), "committed too early");
        let last = append(&log.log, b"last").unwrap();
        log.log.durable(last.end).await.unwrap();
        assert_eq!(next(&log.reports), [&b"first"[..], b"last"]);
    });
}

#[test]
fn a_commit_does_not_wait_when_much_has_gathered() {
    let runtime = runtime();
    let committer = committer_of(&runtime);
    let (log, other) = (Roomy::open(&committer), Roomy::open(&committer));
    other.append_much();
    runtime.block_on(async {
        let half = vec![1; limits::LOG_GATHER_BYTES / 2];
        append(&log.log, &half).unwrap();
        append(&log.log, &half).unwrap();
        // The task does not rest meanwhile.
        assert_eq!(next(&log.reports), [&half[..], &half]);
    });
}

#[test]
fn a_runtime_that_has_ended_keeps_nobody_waiting() {
    let disk = CrashDisk::new();
    let (log, ..) = open(&disk.as_disk());
    let runtime = runtime();
    let committer = committer_of(&runtime);
    committer.register(&log);
    let before = append(&log, b"before").unwrap();
    drop(runtime);
    block_on(log.durable(before.end)).unwrap();
    let after = append(&log, b"after").unwrap();
    block_on(log.durable(after.end)).unwrap();
}
