//! Choices that a seed repeats.

use std::hash::{BuildHasher as _, RandomState};
use std::time::Duration;

use base::{Random as _, SeededRandom};

/// A seed that no earlier run had.
pub(super) fn new_seed() -> u64 {
    // The standard library seeds its hashers from the system's source of randomness.
    RandomState::new().hash_one(0_u8)
}

/// A duration between two limits, in whole milliseconds.
pub(super) fn milliseconds(random: &SeededRandom, from: u64, to: u64) -> Duration {
    Duration::from_millis(from + random.below(to - from + 1))
}
