//! Cron expressions: when something happens by itself, in UTC.
//!
//! Five fields (minute, hour, day of month, month, day of week) or six with seconds before them,
//! of which only `0` is taken. A field is `*` or `?`, or a list of numbers, ranges `1-5` and steps
//! `*/15` or `8-18/2`. Days of week are 0 to 7, where 0 and 7 are Sunday. Where both days are
//! given, either will do, as cron has it.

use base::Timestamp;
use jiff::{Span, Timestamp as Instant, ToSpan as _, civil::DateTime, tz::TimeZone};

/// How far ahead a time is looked for: the longest time between two 29ths of February.
const DAYS_AHEAD_MAX: usize = 366 * 8 + 1;

/// Longest expression.
const LENGTH_MAX: usize = 128;

/// A field: its name, and the least and the most that it may say.
type Field = (&'static str, u32, u32);

const FIELDS: [Field; 5] = [
    ("minute", 0, 59),
    ("hour", 0, 23),
    ("day of month", 1, 31),
    ("month", 1, 12),
    ("day of week", 0, 7),
];

/// Why an expression is none.
#[derive(Clone, Debug, PartialEq, Eq, thiserror::Error)]
pub enum CronError {
    /// It has too few parts, or too many.
    #[error("cron expression has {count} fields, expected 5, or 6 with seconds")]
    Fields {
        /// Parts there are.
        count: usize,
    },
    /// It is longer than any that makes sense.
    #[error("cron expression has {length} characters, expected at most {LENGTH_MAX}")]
    Length {
        /// Its length.
        length: usize,
    },
    /// A part cannot be.
    #[error("{field} of the cron expression is `{value}`, expected {expected}")]
    Field {
        /// Which part.
        field: &'static str,
        /// What it says.
        value: String,
        /// What it may say.
        expected: String,
    },
    /// There is no such day.
    #[error("cron expression names a day that never comes")]
    Never,
}

/// When something happens by itself.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct Cron {
    /// Bit n stands for n.
    minutes: u64,
    hours: u64,
    days: u64,
    months: u64,
    weekdays: u64,
    any_day: bool,
    any_weekday: bool,
}

impl Cron {
    /// Reads an expression.
    pub fn parse(text: &str) -> Result<Self, CronError> {
        if text.len() > LENGTH_MAX {
            let length = text.len();
            return Err(CronError::Length { length });
        }
        let mut fields: Vec<&str> = text.split_ascii_whitespace().collect();
        if fields.len() == FIELDS.len() + 1 {
            let seconds = fields.remove(0);
            if seconds != "0" {
                return Err(CronError::Field {
                    field: "second",
                    value: seconds.to_owned(),
                    expected: "0".to_owned(),
                });
            }
        }
        let count = fields.len();
        let Ok([minute, hour, day, month, weekday]) = <[&str; 5]>::try_from(fields) else {
            return Err(CronError::Fields { count });
        };
        let [minutes, hours, days, months, weekdays] = FIELDS;
        let mut weekdays = bits(weekday, weekdays)?;
        if weekdays & (1 << 7) != 0 {
            weekdays = (weekdays | 1) & !(1 << 7);
        }
        let cron = Self {
            minutes: bits(minute, minutes)?,
            hours: bits(hour, hours)?,
            days: bits(day, days)?,
            months: bits(month, months)?,
            weekdays,
            any_day: is_any(day),
            any_weekday: is_any(weekday),
        };
        match cron.next(Timestamp::from_ms(0)) {
            Some(_) => Ok(cron),
            None => Err(CronError::Never),
        }
    }

    /// The first time after `after`; `None` where time itself ends.
    pub fn next(&self, after: Timestamp) -> Option<Timestamp> {
        let after = Instant::from_millisecond(after.ms()).ok()?;
        let after = after.to_zoned(TimeZone::UTC).datetime();
        let minute = Span::new().minutes(1);
        let first = after.with().second(0).subsec_nanosecond(0).build().ok()?;
        let mut at = first.checked_add(minute).ok()?;
        for _ in 0..DAYS_AHEAD_MAX {
            if self.is_on(at)
                && let Some(found) = self.within_day(at)
            {
                let found = found.to_zoned(TimeZone::UTC).ok()?;
                return Some(Timestamp::from_ms(found.timestamp().as_millisecond()));
            }
            let next_day = at.date().checked_add(1.day()).ok()?;
            at = next_day.at(0, 0, 0, 0);
        }
        None
    }

    fn is_on(&self, at: DateTime) -> bool {
        let has = |bits: u64, value: i8| bits & (1 << value) != 0;
        let weekday = at.date().weekday().to_sunday_zero_offset();
        let day = has(self.days, at.day());
        let weekday = has(self.weekdays, weekday);
        let is_day = match (self.any_day, self.any_weekday) {
            (false, false) => day || weekday,
            _ => day && weekday,
        };
        is_day && has(self.months, at.month())
    }

    /// The first time from `at` on, on its day.
    fn within_day(&self, at: DateTime) -> Option<DateTime> {
        for hour in at.hour()..24 {
            if self.hours & (1 << hour) == 0 {
                continue;
            }
            let from = if hour == at.hour() { at.minute() } else { 0 };
            let mut minutes = from..60;
            if let Some(minute) = minutes.find(|minute| self.minutes & (1 << minute) != 0) {
                return Some(at.date().at(hour, minute, 0, 0));
            }
        }
        None
    }
}

fn is_any(text: &str) -> bool {
    matches!(text, "*" | "?")
}

/// The numbers of a field, each as a bit.
fn bits(text: &str, (field, least, most): Field) -> Result<u64, CronError> {
    let wrong = || CronError::Field {
        field,
        value: text.to_owned(),
        expected: format!("`*`, or {least} to {most} in lists, ranges and steps"),
    };
    let number = |text: &str| -> Result<u32, CronError> {
        let is_plain = text.len() <= 2 && text.bytes().all(|byte| byte.is_ascii_digit());
        let number = text.parse().ok().filter(|_| is_plain);
        number.ok_or_else(wrong)
    };
    let mut bits = 0;
    for part in text.split(',') {
        let (range, step) = match part.split_once('/') {
            Some((range, step)) => (range, number(step)?),
            None => (part, 1),
        };
        let (from, to) = match range.split_once('-') {
            _ if is_any(range) => (least, most),
            Some((from, to)) => (number(from)?, number(to)?),
            // `5/15` goes on from 5.
            None if part.len() > range.len() => (number(range)?, most),
            None => (number(range)?, number(range)?),
        };
        if step == 0 || from < least || to > most || from > to {
            return Err(wrong());
        }
        for value in (from..=to).step_by(step as usize) {
            bits |= 1 << value;
        }
    }
    Ok(bits)
}

#[cfg(test)]
mod tests {
    use super::*;

    fn next(cron: &str, after: &str) -> String {
        let after: Instant = after.parse().unwrap();
        let after = Timestamp::from_ms(after.as_millisecond());
        let next = Cron::parse(cron).unwrap().next(after).unwrap();
        Instant::from_millisecond(next.ms()).unwrap().to_string()
    }

    #[test]
    fn the_next_time_is_after_the_one_before() {
        for (cron, after, expected) in [
            ("0 9 * * *", "2026-01-01T08:59:59Z", "2026-01-01T09:00:00Z"),
            ("0 9 * * *", "2026-01-01T09:00:00Z", "2026-01-02T09:00:00Z"),
            (
                "0 0 9 * * ?",
                "2026-12-31T09:00:01Z",
                "2027-01-01T09:00:00Z",
            ),
            (
                "*/20 8-9 * * *",
                "2026-01-01T08:41:00Z",
                "2026-01-01T09:00:00Z",
            ),
            (
                "5/30 * * * *",
                "2026-01-01T08:06:00Z",
                "2026-01-01T08:35:00Z",
            ),
            // A Thursday.
            (
                "30 4 * * 1,3",
                "2026-01-01T00:00:00Z",
                "2026-01-05T04:30:00Z",
            ),
            ("30 4 * * 7", "2026-01-01T00:00:00Z", "2026-01-04T04:30:00Z"),
            ("0 0 29 2 *", "2026-01-01T00:00:00Z", "2028-02-29T00:00:00Z"),
            ("0 0 31 * *", "2026-02-01T00:00:00Z", "2026-03-31T00:00:00Z"),
            // Either of the days.
            ("0 0 13 * 5", "2026-01-03T00:00:00Z", "2026-01-09T00:00:00Z"),
        ] {
            assert_eq!(next(cron, after), expected, "{cron} after {after}");
        }
    }

    #[test]
    fn what_is_no_expression_is_told() {
        for wrong in [
            "",
            "* * * *",
            "* * * * * * *",
            "60 * * * *",
            "* 24 * * *",
            "* * 0 * *",
            "* * * 13 *",
            "* * * * 8",
            "5-3 * * * *",
            "*/0 * * * *",
            "a * * * *",
            "+1 * * * *",
            "1 0 9 * * ?",
            "1-2-3 * * * *",
            ", * * * *",
            "0 0 30 2 *",
        ] {
            assert!(Cron::parse(wrong).is_err(), "{wrong}");
        }
        let long = format!("0{} * * * *", ",1".repeat(100));
        assert_eq!(
            Cron::parse(&long),
            Err(CronError::Length { length: long.len() })
        );
    }
}
