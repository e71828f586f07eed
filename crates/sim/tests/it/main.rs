//! The fixed seeds of every change: nothing goes wrong, runs repeat, and planted bugs are found.

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
        lives += outcome.lives;
    }
    // Runs in which nothing happens prove nothing.
    assert!(total.confirmed as u64 > 100 * SEEDS, "{total:?}");
    assert!(total.settled as u64 > 50 * SEEDS, "{total:?}");
    assert!(total.pulled as u64 > 100 * SEEDS, "{total:?}");
    assert!(lives > 3 * SEEDS, "{lives} lives");
}

#[test]
fn a_seed_run_twice_gives_the_same_trace() {
    for seed in [3, 11, 42] {
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

/// What the first of `seeds` that finds the planted bug says.
fn found(planted: Planted, seeds: u64) -> String {
    let violation = |seed| {
        run(Options {
            planted,
            ..Options::of_seed(seed)
        })
        .violation
    };
    (0..seeds)
        .find_map(violation)
        .unwrap_or_else(|| panic!("{planted:?} is not found in {seeds} seeds"))
}

#[test]
fn a_sync_that_lies_is_found() {
    found(Planted::LyingSync, 20);
}

#[test]
fn a_log_trimmed_before_its_checkpoint_is_durable_is_found() {
    let found = found(Planted::TrimBeforeCheckpoint, 100);
    assert!(found.contains("CheckpointTrimmed"), "{found}");
}

#[test]
fn an_ack_that_is_forgotten_is_found() {
    let found = found(Planted::ForgottenAcks, 20);
    assert!(found.contains("again after it was settled"), "{found}");
}

#[test]
fn a_receipt_that_is_forgotten_is_found() {
    found(Planted::ForgottenReceipts, 20);
}

#[test]
fn a_receipt_handed_out_twice_is_found() {
    let found = found(Planted::HastyClock, 20);
    assert!(found.contains("while it was in flight"), "{found}");
}

#[test]
fn a_write_that_is_lost_is_found() {
    found(Planted::LostWrites, 20);
}
