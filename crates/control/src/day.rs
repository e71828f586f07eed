//! Days of the calendar, for what has a date and no time: releases and the end of their support.

use std::{fmt, str::FromStr};

use base::Timestamp;
use jiff::{ToSpan as _, civil::Date};
use serde::{Deserialize, Serialize};

use crate::Zone;

/// A day, written `2026-03-11`.
#[derive(Clone, Copy, Debug, PartialEq, Eq, PartialOrd, Ord, Hash, Serialize, Deserialize)]
#[serde(try_from = "String", into = "String")]
pub struct Day(Date);

/// Why a text is no day.
#[derive(Clone, Debug, PartialEq, Eq, thiserror::Error)]
#[error("day {text:?} expected as `yyyy-mm-dd`")]
pub struct DayError {
    /// The text, or how it begins.
    pub text: String,
}

impl Day {
    /// The day at that instant in `zone`.
    pub fn at(zone: &Zone, at: Timestamp) -> Self {
        Self(zone.date(at))
    }

    /// The same day of a later month, or its last day if it is shorter.
    pub fn months_later(self, months: u8) -> Self {
        Self(self.0.saturating_add(i64::from(months).months()))
    }
}

impl FromStr for Day {
    type Err = DayError;

    fn from_str(text: &str) -> Result<Self, DayError> {
        let day = text.parse().ok().map(Self);
        // Dates have other spellings than the one we write.
        let day = day.filter(|day| day.to_string() == text);
        day.ok_or_else(|| DayError {
            text: text.chars().take(32).collect(),
        })
    }
}

impl fmt::Display for Day {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        self.0.fmt(f)
    }
}

impl TryFrom<String> for Day {
    type Error = DayError;

    fn try_from(text: String) -> Result<Self, DayError> {
        text.parse()
    }
}

impl From<Day> for String {
    fn from(day: Day) -> Self {
        day.to_string()
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn months_end_where_the_month_ends() {
        let later = |day: &str| day.parse::<Day>().unwrap().months_later(6).to_string();
        assert_eq!(later("2026-01-31"), "2026-07-31");
        assert_eq!(later("2025-08-31"), "2026-02-28");
        assert_eq!(later("2027-08-31"), "2028-02-29");
        assert_eq!(later("2026-03-11"), "2026-09-11");
        assert_eq!(later("9999-12-31"), "9999-12-31");
    }

    #[test]
    fn a_day_has_one_spelling() {
        for text in [
            "",
            "20260311",
            "2026-3-11",
            "2026-02-29",
            "2026-03-11T00:00",
            "2026-W11-3",
        ] {
            let error = text.parse::<Day>().unwrap_err().to_string();
            assert!(error.contains(&format!("{text:?}")), "{error}");
        }
    }

    #[test]
    fn the_day_depends_on_the_zone() {
        let at = Timestamp::from_ms(1_773_187_200_000); // 2026-03-11T00:00Z
        assert_eq!(Day::at(&Zone::utc(), at).to_string(), "2026-03-11");
        let honolulu = Zone::new("Pacific/Honolulu").unwrap();
        assert_eq!(Day::at(&honolulu, at).to_string(), "2026-03-10");
    }
}
