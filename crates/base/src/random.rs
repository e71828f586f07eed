//! Chance as the product sees it: one trait, so that the simulator can repeat a run.

use std::sync::atomic::{AtomicU64, Ordering};

/// Where random numbers come from. Not for keys or secrets.
pub trait Random: Send + Sync + 'static {
    /// The next random 64 bits.
    fn next(&self) -> u64;

    /// A number in `0..bound`; `bound` must not be zero.
    fn below(&self, bound: u64) -> u64 {
        assert!(bound > 0, "random number below zero asked for");
        // The high half of a 128-bit product: no division, and a bias below 2^-32 for our bounds.
        ((u128::from(self.next()) * u128::from(bound)) >> 64) as u64
    }
}

/// SplitMix64: the same seed gives the same numbers, on any machine.
#[derive(Debug)]
pub struct SeededRandom(AtomicU64);

impl SeededRandom {
    /// Starts the sequence that belongs to `seed`.
    pub const fn new(seed: u64) -> Self {
        Self(AtomicU64::new(seed))
    }
}

impl Random for SeededRandom {
    fn next(&self) -> u64 {
        const STEP: u64 = 0x9e37_79b9_7f4a_7c15;
        let mut z = self.0.fetch_add(STEP, Ordering::Relaxed).wrapping_add(STEP);
        z = (z ^ (z >> 30)).wrapping_mul(0xbf58_476d_1ce4_e5b9);
        z = (z ^ (z >> 27)).wrapping_mul(0x94d0_49bb_1331_11eb);
        z ^ (z >> 31)
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_seed_repeats_its_sequence_and_bounds_hold() {
        let (first, second) = (SeededRandom::new(7), SeededRandom::new(7));
        for _ in 0..1_000 {
            assert_eq!(first.next(), second.next());
            assert!(first.below(10) < 10);
            assert!(second.below(10) < 10);
        }
    }
}
