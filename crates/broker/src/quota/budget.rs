//! A budget that is filled anew with each second.

use base::Timestamp;

/// What is left of a second.
#[derive(Clone, Copy, Debug, Default)]
pub(super) struct Budget {
    /// Seconds since 1970.
    second: i64,
    /// Units that are used of it, those that earlier seconds still owe included.
    used: u64,
    /// Units that it had. Where the limit has changed meanwhile, nobody owes what was allowed then.
    limit: u64,
}

impl Budget {
    /// Whether `units` fit into what is left of a limit. More than the whole limit fit when nothing
    /// is used.
    pub(super) fn fits(&mut self, limit: u64, units: u64, now: Timestamp) -> bool {
        self.fill(limit, now);
        self.used == 0 && limit > 0 || self.used.saturating_add(units) <= limit
    }

    /// Uses `units`, whether they fit or not.
    pub(super) fn take(&mut self, limit: u64, units: u64, now: Timestamp) {
        self.fill(limit, now);
        self.used = self.used.saturating_add(units);
    }

    fn fill(&mut self, limit: u64, now: Timestamp) {
        let second = now.ms().div_euclid(1_000);
        // A clock that went back begins a second like any other.
        let passed = if second >= self.second {
            second.abs_diff(self.second)
        } else {
            1
        };
        if passed > 0 {
            let paid = limit.saturating_mul(passed - 1).saturating_add(self.limit);
            self.used = self.used.saturating_sub(paid);
            self.second = second;
        }
        self.limit = limit;
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn at(ms: i64) -> Timestamp {
        Timestamp::from_ms(1_700_000_000_000 + ms)
    }

    #[test]
    fn a_second_has_no_more_than_the_limit() {
        let mut budget = Budget::default();
        for ms in [0, 500, 999] {
            assert!(budget.fits(3, 1, at(ms)));
            budget.take(3, 1, at(ms));
        }
        assert!(!budget.fits(3, 1, at(999)));
        assert!(budget.fits(3, 3, at(1_000)));
    }

    #[test]
    fn what_is_too_large_is_paid_for_later() {
        let mut budget = Budget::default();
        assert!(budget.fits(10, 25, at(0)));
        budget.take(10, 25, at(0));
        assert!(!budget.fits(10, 1, at(0)));
        assert!(!budget.fits(10, 1, at(1_000)));
        assert!(budget.fits(10, 5, at(2_000)));
        assert!(!budget.fits(10, 6, at(2_000)));
        assert!(budget.fits(10, 6, at(3_000)));
    }

    #[test]
    fn nobody_owes_what_a_larger_limit_allowed() {
        let mut budget = Budget::default();
        budget.take(25, 25, at(0));
        assert!(budget.fits(9, 9, at(1_000)));
        budget.take(9, 9, at(1_000));
        // Within a second the smaller one counts at once.
        assert!(!budget.fits(3, 1, at(1_999)));
        budget.take(9, 20, at(1_999));
        assert!(!budget.fits(9, 1, at(2_000)));
    }

    #[test]
    fn nothing_fits_into_nothing() {
        assert!(!Budget::default().fits(0, 1, at(0)));
    }

    #[test]
    fn a_clock_that_goes_back_does_not_end_it() {
        let mut budget = Budget::default();
        budget.take(10, 10, at(3_600_000));
        assert!(!budget.fits(10, 1, at(3_600_000)));
        assert!(budget.fits(10, 1, at(0)));
    }
}
