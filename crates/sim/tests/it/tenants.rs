//! Two tenants of one server: what one feels of the other's flood.

use sim::{
    TenantOptions, TenantOutcome, run_tenants,
    tenants::{CALM, FLOOD, QUOTA},
};

const SEEDS: u64 = 5;
const SECONDS: u64 = 60;

fn run(seed: u64, flood: bool, quotas: bool) -> TenantOutcome {
    run_tenants(TenantOptions {
        seed,
        seconds: SECONDS,
        flood,
        quotas,
    })
}

#[test]
fn a_flood_at_ten_times_its_quota_at_most_doubles_the_p99_of_the_other() {
    for seed in 0..SEEDS {
        let (alone, flooded) = (run(seed, false, true), run(seed, true, true));
        let (calm, flooder) = (&flooded.calm, &flooded.flooder);
        let (before, after) = (alone.calm.p99_ms(), calm.p99_ms());
        assert!(
            before > 0 && after <= 2 * before,
            "seed {seed}: {before} -> {after} ms"
        );
        // All of its own, and nothing but its own.
        let sent = (CALM * SECONDS) as usize;
        assert_eq!(
            (calm.latencies_ms.len(), calm.refused),
            (sent, 0),
            "seed {seed}"
        );
        assert_eq!(flooder.taken_per_second_max, QUOTA, "seed {seed}");
        let taken = flooder.latencies_ms.len() as u64;
        assert!(
            taken > QUOTA * SECONDS * 9 / 10,
            "seed {seed}: {taken} taken"
        );
        assert_eq!(taken + flooder.refused, FLOOD * SECONDS, "seed {seed}");
        assert!(
            calm.failures.is_empty() && flooder.failures.is_empty(),
            "{flooded:?}"
        );
    }
}

#[test]
fn a_flood_that_nothing_throttles_is_found() {
    for seed in 0..3 {
        let (alone, flooded) = (run(seed, false, false), run(seed, true, false));
        let (before, after) = (alone.calm.p99_ms(), flooded.calm.p99_ms());
        assert!(after > 2 * before, "seed {seed}: {before} -> {after} ms");
        assert!(flooded.flooder.taken_per_second_max > QUOTA, "seed {seed}");
    }
}

#[test]
fn a_run_of_tenants_repeats() {
    assert_eq!(run(5, true, true), run(5, true, true));
}
