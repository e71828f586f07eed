//! Times as clients write them: worked out here once more, so that the server is not held against
//! itself.

use std::time::{SystemTime, UNIX_EPOCH};

/// A time, taken apart. Good until 2100.
pub(crate) struct Civil {
    /// Days since Thursday, 1 January 1970.
    pub(crate) days: u64,
    pub(crate) year: u64,
    /// From 0.
    pub(crate) month: usize,
    /// From 1.
    pub(crate) day: u64,
    pub(crate) hour: u64,
    pub(crate) minute: u64,
    pub(crate) second: u64,
}

impl Civil {
    pub(crate) fn of(time: SystemTime) -> Self {
        let seconds = time.duration_since(UNIX_EPOCH).unwrap().as_secs();
        let (days, clock) = (seconds / 86_400, seconds % 86_400);
        let (mut day, mut year) = (days, 1970);
        let days_of = |year: u64| if year.is_multiple_of(4) { 366 } else { 365 };
        while day >= days_of(year) {
            day -= days_of(year);
            year += 1;
        }
        let february = days_of(year) - 337;
        let lengths = [31, february, 31, 30, 31, 30, 31, 31, 30, 31, 30, 31];
        let mut month = 0;
        while day >= lengths[month] {
            day -= lengths[month];
            month += 1;
        }
        Self {
            days,
            year,
            month,
            day: day + 1,
            hour: clock / 3_600,
            minute: clock / 60 % 60,
            second: clock % 60,
        }
    }
}
