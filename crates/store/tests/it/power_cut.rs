//! The log on a disk that loses power at any time: what was acknowledged is there, what is there
//! was written, and nothing comes back that was cut.

use std::sync::Arc;

use base::{LogPosition, Random, SeededRandom};
use futures::executor::block_on;
use proptest::prelude::*;
use store::log::{Log, Urgency, local::LocalLog};

use crate::{
    crash_disk::CrashDisk,
    support::{Seen, append, append_as, commit, open, open_from, seen},
};

/// One thing that happens to a log.
#[derive(Clone, Debug)]
enum Step {
    Append {
        len: usize,
        urgent: bool,
    },
    /// A commit that goes through that many of its phases.
    Commit {
        phases: usize,
    },
    Prepare,
    Checkpoint,
    Trim,
    /// The process is killed: the disk keeps all it was given.
    Kill,
    /// The power goes, now or in the middle of the next opening.
    PowerCut {
        seed: u64,
        operations_in_open: Option<u64>,
    },
    FailSync,
}

fn steps() -> impl Strategy<Value = Vec<Step>> {
    let step = prop_oneof![
        10 => (prop_oneof![Just(0_usize), 1..300_usize, 5_000..40_000_usize], any::<bool>())
            .prop_map(|(len, urgent)| Step::Append { len, urgent }),
        6 => Just(Step::Commit { phases: 3 }),
        1 => (0..3_usize).prop_map(|phases| Step::Commit { phases }),
        2 => Just(Step::Prepare),
        1 => Just(Step::Checkpoint),
        1 => Just(Step::Trim),
        1 => Just(Step::Kill),
        2 => (any::<u64>(), proptest::option::of(0..12_u64))
            .prop_map(|(seed, operations_in_open)| Step::PowerCut { seed, operations_in_open }),
        1 => Just(Step::FailSync),
    ];
    proptest::collection::vec(step, 1..120)
}

/// The log and what it owes.
struct Run {
    disk: CrashDisk,
    log: Option<Arc<LocalLog>>,
    /// Everything appended that may still exist, in order.
    written: Vec<Seen>,
    /// How many of them were acknowledged: these must exist.
    acknowledged: usize,
    /// How many of them may still be in the log after trimming and a checkpoint.
    checkpoint: (u64, usize),
}

impl Run {
    fn new() -> Self {
        let disk = CrashDisk::new();
        let (log, ..) = open(&disk.as_disk());
        Self {
            disk,
            log: Some(log),
            written: Vec::new(),
            acknowledged: 0,
            checkpoint: (0, 0),
        }
    }

    fn log(&self) -> &Arc<LocalLog> {
        self.log.as_ref().unwrap()
    }

    fn step(&mut self, step: &Step) {
        match *step {
            Step::Append { len, urgent } => self.append(len, urgent),
            Step::Commit { phases } => self.commit(phases),
            Step::Prepare => {
                self.log().prepare();
            }
            Step::Checkpoint => {
                let end = self.log().durable_end();
                self.checkpoint = (end.get(), self.acknowledged);
            }
            Step::Trim => {
                let position = LogPosition::new(self.checkpoint.0);
                self.log().trim(position).unwrap();
            }
            Step::Kill => self.reopen(),
            Step::PowerCut {
                seed,
                operations_in_open,
            } => self.cut_power(seed, operations_in_open),
            Step::FailSync => {
                self.disk.set_faults(|faults| faults.sync = true);
                self.commit(3);
                self.disk.set_faults(|faults| faults.sync = false);
            }
        }
    }

    fn append(&mut self, len: usize, urgent: bool) {
        let payload = vec![self.written.len() as u8; len];
        let urgency = if urgent { Urgency::Now } else { Urgency::Ride };
        // Refused if there is no segment or the log is poisoned; then it must not show up either.
        if let Ok(appended) = append_as(self.log(), urgency, &payload) {
            self.written.push((appended.position.get(), 16, payload));
        }
    }

    fn commit(&mut self, phases: usize) {
        let log = Arc::clone(self.log());
        let Some(mut commit) = log.begin_commit() else {
            return;
        };
        if phases == 0 || commit.write().is_err() || phases == 1 || commit.sync().is_err() {
            return;
        }
        if phases == 3 {
            commit.finish();
            let end = log.durable_end().get();
            self.acknowledged = self.written.partition_point(|record| record.0 < end);
        }
    }

    fn cut_power(&mut self, seed: u64, operations_in_open: Option<u64>) {
        let random = SeededRandom::new(seed);
        self.log = None;
        self.disk.cut_power(&random);
        if operations_in_open.is_some() {
            self.disk
                .set_faults(|faults| faults.operations_left = operations_in_open);
            // It may also come through, and what it wrote is then lost or not.
            drop(open_from(&self.disk.as_disk(), self.checkpoint.0));
            self.disk.cut_power(&random);
        }
        self.reopen();
    }

    fn reopen(&mut self) {
        self.log = None;
        let (from, skipped) = self.checkpoint;
        let (log, _, replayed) = match open_from(&self.disk.as_disk(), from) {
            Ok(opened) => opened,
            Err(error) => panic!("a crash is no damage: {error}"),
        };
        let kept = skipped + replayed.len();
        assert!(
            kept >= self.acknowledged,
            "{kept} records of {} acknowledged ones",
            self.acknowledged
        );
        assert_eq!(replayed, self.written[skipped..kept]);
        // What is there now has been shown, so it must stay.
        self.written.truncate(kept);
        self.acknowledged = kept;
        for record in self
            .written
            .iter()
            .filter(|record| record.0 >= log.start().get())
        {
            let read = block_on(log.read(LogPosition::new(record.0), record.2.len() + 32));
            assert_eq!(seen(&read.unwrap()), *record);
        }
        self.log = Some(log);
    }
}

proptest! {
    #![proptest_config(ProptestConfig { cases: 300, ..ProptestConfig::default() })]

    #[test]
    fn what_was_acknowledged_survives_whatever_happens(steps in steps()) {
        let mut run = Run::new();
        for step in &steps {
            run.step(step);
        }
        run.cut_power(1, None);
        // And it still works.
        while append(run.log(), b"last").is_err() {
            run.log().prepare();
        }
        commit(run.log()).unwrap();
    }
}

/// After a failed sync the kernel calls pages clean that never reached the disk. The next start
/// reads them, so they must be written again before anything is built on them.
#[test]
fn what_only_the_page_cache_has_after_a_failed_sync_is_made_durable_by_the_next_start() {
    let disk = CrashDisk::new();
    let (log, ..) = open(&disk.as_disk());
    append(&log, b"first").unwrap();
    commit(&log).unwrap();
    append(&log, &[7; 2_000]).unwrap();
    disk.set_faults(|faults| faults.sync = true);
    assert!(commit(&log).is_err());
    drop(log);
    let (log, _, replayed) = open(&disk.as_disk());
    assert_eq!(replayed.len(), 2);
    append(&log, b"third").unwrap();
    commit(&log).unwrap();
    drop(log);
    disk.cut_power(&SeededRandom::new(5));
    let (_log, _, again) = open(&disk.as_disk());
    assert_eq!(again[..2], replayed);
    assert_eq!(again[2].2, b"third");
}

/// Segments go oldest first, each durably, so a power cut in the middle leaves no gap.
#[test]
fn a_trim_interrupted_anywhere_leaves_a_log_without_a_gap() {
    let full = CrashDisk::new();
    let (log, ..) = open(&full.as_disk());
    while log.segments().len() < 8 {
        append(&log, &[1; 20_000]).unwrap();
        commit(&log).unwrap();
    }
    let (starts, end) = (log.segments(), log.durable_end());
    drop(log);
    let mut seen_starts = std::collections::BTreeSet::new();
    for operations in 0..16 {
        for seed in 0..10 {
            let disk = full.copy();
            let (log, ..) = open_from(&disk.as_disk(), end.get()).unwrap();
            disk.set_faults(|faults| faults.operations_left = Some(operations));
            let trimmed = log.trim(end);
            assert_eq!(trimmed.is_ok(), operations >= 14, "{operations}");
            drop(log);
            disk.cut_power(&SeededRandom::new(seed));
            let (log, recovery, _) = open_from(&disk.as_disk(), end.get()).unwrap();
            assert!(starts.iter().any(|segment| segment.start == log.start()));
            assert!(recovery.end > end);
            seen_starts.insert(log.start());
        }
    }
    assert_eq!(seen_starts.len(), 8);
}

/// The power goes after each single operation of an opening that has a torn tail to cut, and the
/// next opening sees the same log.
#[test]
fn an_opening_interrupted_anywhere_is_taken_up_by_the_next() {
    let torn = CrashDisk::new();
    let (log, ..) = open(&torn.as_disk());
    let mut written = Vec::new();
    for number in 0..12_u8 {
        let payload = vec![number; 6_000];
        let appended = append(&log, &payload).unwrap();
        written.push((appended.position.get(), 16, payload));
        if number % 4 == 3 && number < 11 {
            commit(&log).unwrap();
        }
    }
    let mut last = log.begin_commit().unwrap();
    last.write().unwrap();
    std::mem::forget(last);
    torn.cut_power(&SeededRandom::new(3));
    let (_, recovery, survivors) = open(&torn.copy().as_disk());
    assert!(recovery.cut_bytes > 0 && survivors.len() >= 8);
    let mut interrupted = 0;
    for operations in 0..40 {
        for seed in 0..20 {
            let disk = torn.copy();
            disk.set_faults(|faults| faults.operations_left = Some(operations));
            interrupted += usize::from(open_from(&disk.as_disk(), 0).is_err());
            disk.cut_power(&SeededRandom::new(seed));
            let (_log, _, replayed) = open(&disk.as_disk());
            assert_eq!(
                replayed, survivors,
                "after {operations} operations, seed {seed}"
            );
        }
    }
    let random = SeededRandom::new(interrupted as u64);
    assert!(
        interrupted > 100 && random.next() > 0,
        "{interrupted} openings were interrupted"
    );
}

/// A log that is half full, so that the next segment is about to be made.
fn half_full(disk: &CrashDisk) -> Vec<Seen> {
    let (log, ..) = open(&disk.as_disk());
    let mut written = Vec::new();
    while disk.counts().creations == 1 {
        let payload = vec![written.len() as u8; 5_000];
        let appended = append(&log, &payload).unwrap();
        written.push((appended.position.get(), 16, payload));
        // The file of the next segment and its header, but neither its name nor its removal.
        disk.set_faults(|faults| faults.operations_left = Some(2 + 3));
        commit(&log).unwrap();
        disk.set_faults(|faults| faults.operations_left = None);
    }
    written
}

#[test]
fn a_segment_whose_maker_was_killed_before_its_name_was_durable_keeps_what_is_committed_to_it() {
    for seed in 0..16 {
        let disk = CrashDisk::new();
        let mut written = half_full(&disk);
        // The next process finds the file, and fills the log into it.
        let (log, ..) = open(&disk.as_disk());
        for _ in 0..10 {
            let payload = vec![written.len() as u8; 5_000];
            let appended = append(&log, &payload).unwrap();
            written.push((appended.position.get(), 16, payload));
            commit(&log).unwrap();
        }
        drop(log);
        disk.cut_power(&SeededRandom::new(seed));
        let (.., found) = open(&disk.as_disk());
        assert_eq!(found.len(), written.len(), "seed {seed}");
        assert_eq!(found, written, "seed {seed}");
    }
}
