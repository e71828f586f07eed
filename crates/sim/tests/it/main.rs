//! The fixed seeds of every change: nothing goes wrong, runs repeat, and planted bugs are found.

mod tenants;

use sim::{Options, Outcome, Planted, run};

/// Seeds that every change must pass.
const SEEDS: u64 = 240;

/// Runs the seeds on two threads, each of which runs one seed at a time.
fn run_all(seeds: std::ops::Range<u64>) -> Vec<(u64, Outcome)> {
    let half = |odd: u64| {
        let seeds = seeds.clone().filter(move |seed| seed % 2 == odd);
        move || -> Vec<(u64, Outcome)> {
            seeds
                .map(|seed| (seed, run(Options::of_seed(seed))))
                .collect()
        }
    };
    let other = std::thread::spawn(half(1));
    let mut outcomes = half(0)();
    outcomes.extend(other.join().expect("a run does not panic"));
    outcomes
}

#[test]
fn no_seed_breaks_an_invariant() {
    let outcomes = run_all(0..SEEDS);
    let mut total = sim::figures::Figures::default();
    let mut lives = 0;
    for (seed, outcome) in &outcomes {
        assert_eq!(
            outcome.violation,
            None,
            "seed {seed}, replay with `cargo run -p sim -- --seed {seed}`:\n{}",
            outcome.trace.join("\n")
        );
        total.confirmed += outcome.figures.confirmed;
        total.settled += outcome.figures.settled;
        total.pulled += outcome.figures.pulled;
        total.timed += outcome.figures.timed;
        total.committed += outcome.figures.committed;
        total.taken_back += outcome.figures.taken_back;
        total.put_aside += outcome.figures.put_aside;
        total.returned += outcome.figures.returned;
        total.in_turn += outcome.figures.in_turn;
        total.in_line += outcome.figures.in_line;
        total.by_priority += outcome.figures.by_priority;
        total.lite_settled += outcome.figures.lite_settled;
        total.lite_ended += outcome.figures.lite_ended;
        lives += outcome.lives;
    }
    // Runs in which nothing happens prove nothing.
    assert!(total.confirmed as u64 > 100 * SEEDS, "{total:?}");
    assert!(total.settled as u64 > 50 * SEEDS, "{total:?}");
    assert!(total.pulled as u64 > 100 * SEEDS, "{total:?}");
    assert!(total.timed as u64 > 5 * SEEDS, "{total:?}");
    assert!(total.committed as u64 > SEEDS / 2, "{total:?}");
    assert!(total.taken_back as u64 > SEEDS / 2, "{total:?}");
    assert!(total.put_aside > 20, "{total:?}");
    assert!(total.returned as u64 > SEEDS, "{total:?}");
    assert!(total.in_turn as u64 > 10 * SEEDS, "{total:?}");
    assert!(total.in_line as u64 > 20 * SEEDS, "{total:?}");
    assert!(total.by_priority as u64 > SEEDS, "{total:?}");
    assert!(total.lite_settled as u64 > 5 * SEEDS, "{total:?}");
    assert!(total.lite_ended as u64 > SEEDS / 2, "{total:?}");
    assert!(lives > 3 * SEEDS, "{lives} lives");
}

#[test]
fn a_seed_run_twice_gives_the_same_trace() {
    for seed in [3, 11, 12] {
        let run = || {
            run(Options {
                keep_trace: true,
                ..Options::of_seed(seed)
            })
        };
        let (first, second) = (run(), run());
        for (number, (first, second)) in first.trace.iter().zip(&second.trace).enumerate() {
            assert_eq!(first, second, "line {number} of seed {seed}");
        }
        assert_eq!(first.trace_hash, second.trace_hash, "seed {seed}");
        assert!(first.trace_count > 1_000, "seed {seed}");
    }
}

/// One of the first `seeds` finds the planted bug, in these words.
fn is_found(planted: Planted, seeds: u64, words: &str) {
    let mut others = Vec::new();
    for seed in 0..seeds {
        let options = Options {
            planted,
            ..Options::of_seed(seed)
        };
        match run(options).violation {
            Some(found) if found.contains(words) => return,
            found => others.extend(found),
        }
    }
    panic!("{planted:?} is not found in {seeds} seeds, but {others:?}");
}

#[test]
fn a_sync_that_lies_is_found() {
    is_found(Planted::LyingSync, 20, "");
}

#[test]
fn a_log_trimmed_before_its_checkpoint_is_durable_is_found() {
    is_found(Planted::TrimBeforeCheckpoint, 240, "CheckpointTrimmed");
}

#[test]
fn an_ack_that_is_forgotten_is_found() {
    is_found(Planted::ForgottenAcks, 20, "again after it was settled");
}

#[test]
fn a_receipt_that_is_forgotten_is_found() {
    is_found(Planted::ForgottenReceipts, 20, "");
}

#[test]
fn a_receipt_handed_out_twice_is_found() {
    is_found(Planted::HastyClock, 20, "while it was in flight");
}

#[test]
fn a_write_that_is_lost_is_found() {
    is_found(Planted::LostWrites, 20, "");
}

#[test]
fn a_timer_that_fires_early_is_found() {
    is_found(Planted::EarlyTimers, 40, "is seen early");
}

#[test]
fn a_recall_or_rollback_that_is_forgotten_is_found() {
    is_found(Planted::ForgottenDrops, 40, "though it was taken back");
}

#[test]
fn the_commit_of_a_timed_message_that_is_forgotten_is_found() {
    is_found(Planted::ForgottenChanges, 40, "never came");
}

#[test]
fn a_release_that_is_forgotten_is_found() {
    is_found(Planted::ForgottenReleases, 40, " is at ");
}

#[test]
fn a_retry_that_comes_late_is_found() {
    is_found(Planted::LateTimers, 40, "back late");
}

#[test]
fn a_lock_that_two_clients_hold_is_found() {
    is_found(Planted::LeakyLocks, 160, "and another hold");
}

#[test]
fn a_message_handed_out_of_a_locked_queue_is_found() {
    is_found(Planted::LeakyLocks, 40, "is handed out of");
}

#[test]
fn an_offset_that_skips_a_message_is_found() {
    is_found(Planted::HastyOffsets, 40, "is not done");
}

#[test]
fn a_receipt_that_is_taken_after_its_end_is_found() {
    is_found(Planted::CoarseClock, 40, "after the end of");
}

#[test]
fn an_order_that_is_not_kept_is_found() {
    is_found(Planted::Disorder, 20, "before message");
}

#[test]
fn a_message_group_with_two_clients_is_found() {
    is_found(Planted::Disorder, 40, "(\"fifo\"");
}

#[test]
fn a_lower_priority_that_comes_first_is_found() {
    is_found(Planted::FlatPriorities, 40, "got a lower one before");
}

#[test]
fn a_lite_topic_that_is_taken_for_another_is_found() {
    is_found(Planted::SwappedLiteTopics, 40, ", that of Known");
}

#[test]
fn a_lite_topic_that_ends_early_is_found() {
    is_found(Planted::HastyEnds, 40, "is lost to");
}

#[test]
fn a_subscription_that_is_forgotten_is_found() {
    is_found(Planted::ForgottenSubscriptions, 20, "is lost to agents");
}

#[test]
fn a_lite_topic_that_two_clients_have_is_found() {
    is_found(Planted::SharedLiteTopics, 80, "has chosen Chosen");
}
