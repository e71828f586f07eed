//! Conditions of a statement: from where, when, and whether through TLS.
//!
//! | operator | key | values |
//! | --- | --- | --- |
//! | `IpAddress`, `NotIpAddress` | `acs:SourceIp` | addresses and ranges |
//! | `DateEquals`, `DateNotEquals`, `DateLessThan`, `DateLessThanEquals`, `DateGreaterThan`, `DateGreaterThanEquals` | `acs:CurrentTime` | ISO 8601 with a zone |
//! | `Bool` | `acs:SecureTransport` | `true` or `false` |
//!
//! One value that fits is enough; of an operator that negates, none may fit. Anything else is
//! refused when a policy is put: a condition that nobody checks would say more than it seems to.

use base::Timestamp;

use super::{Origin, RamPolicyError};
use crate::access::SourceRange;

/// How two times compare.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(super) enum Comparison {
    Equal,
    NotEqual,
    Less,
    LessOrEqual,
    Greater,
    GreaterOrEqual,
}

/// One condition, read.
#[derive(Clone, Debug, PartialEq, Eq)]
pub(super) enum Condition {
    Source {
        negated: bool,
        ranges: Vec<SourceRange>,
    },
    Time {
        comparison: Comparison,
        times: Vec<Timestamp>,
    },
    Secure(Vec<bool>),
}

const SOURCE: &str = "acs:SourceIp";
const TIME: &str = "acs:CurrentTime";
const SECURE: &str = "acs:SecureTransport";

impl Condition {
    /// Reads the condition of that operator, key and values.
    pub(super) fn read(
        operator: &str,
        key: &str,
        values: &[String],
    ) -> Result<Self, RamPolicyError> {
        use Comparison::{Equal, Greater, GreaterOrEqual, Less, LessOrEqual, NotEqual};
        let wrong_value = |value: &String| RamPolicyError::ConditionValue {
            key: start(key),
            value: start(value),
        };
        let is_key = |expected: &'static str| {
            if key.eq_ignore_ascii_case(expected) {
                return Ok(());
            }
            Err(RamPolicyError::ConditionKey {
                operator: start(operator),
                key: start(key),
                expected,
            })
        };
        if values.is_empty() {
            return Err(RamPolicyError::Empty { what: "Condition" });
        }
        let comparison = match operator {
            "IpAddress" | "NotIpAddress" => {
                is_key(SOURCE)?;
                let read = |value: &String| value.parse().map_err(|_| wrong_value(value));
                return Ok(Self::Source {
                    negated: operator == "NotIpAddress",
                    ranges: values.iter().map(read).collect::<Result<_, _>>()?,
                });
            }
            "Bool" => {
                is_key(SECURE)?;
                let read = |value: &String| {
                    let value = value.to_ascii_lowercase();
                    value.parse().map_err(|_| wrong_value(&value))
                };
                return Ok(Self::Secure(
                    values.iter().map(read).collect::<Result<_, _>>()?,
                ));
            }
            "DateEquals" => Equal,
            "DateNotEquals" => NotEqual,
            "DateLessThan" => Less,
            "DateLessThanEquals" => LessOrEqual,
            "DateGreaterThan" => Greater,
            "DateGreaterThanEquals" => GreaterOrEqual,
            _ => {
                return Err(RamPolicyError::Operator {
                    operator: start(operator),
                });
            }
        };
        is_key(TIME)?;
        let read = |value: &String| time(value).ok_or_else(|| wrong_value(value));
        Ok(Self::Time {
            comparison,
            times: values.iter().map(read).collect::<Result<_, _>>()?,
        })
    }

    /// Whether it is so for a request from there.
    pub(super) fn holds(&self, origin: &Origin) -> bool {
        match self {
            Self::Source { negated, ranges } => {
                ranges.iter().any(|range| range.contains(origin.source)) != *negated
            }
            Self::Secure(values) => values.contains(&origin.secure),
            Self::Time { comparison, times } => {
                let mut times = times.iter();
                match comparison {
                    Comparison::Equal => times.any(|time| origin.at == *time),
                    Comparison::NotEqual => times.all(|time| origin.at != *time),
                    Comparison::Less => times.any(|time| origin.at < *time),
                    Comparison::LessOrEqual => times.any(|time| origin.at <= *time),
                    Comparison::Greater => times.any(|time| origin.at > *time),
                    Comparison::GreaterOrEqual => times.any(|time| origin.at >= *time),
                }
            }
        }
    }
}

/// First characters of a text, for errors.
pub(super) fn start(text: &str) -> String {
    text.chars().take(64).collect()
}

/// A time such as `2026-01-31T08:00:00Z` or `2026-01-31T08:00+08:00`.
fn time(text: &str) -> Option<Timestamp> {
    let (date, rest) = text.split_once('T')?;
    let mut parts = date.split('-');
    let year: i64 = digits(parts.next()?, 4)?;
    let month = digits(parts.next()?, 2).filter(|month| (1..=12).contains(month))?;
    let leap = year % 4 == 0 && (year % 100 != 0 || year % 400 == 0);
    let days_of_month = match month {
        2 => 28 + i64::from(leap),
        4 | 6 | 9 | 11 => 30,
        _ => 31,
    };
    let day = digits(parts.next()?, 2).filter(|day| (1..=days_of_month).contains(day))?;
    if parts.next().is_some() {
        return None;
    }
    let (clock, offset_minutes) = match rest.strip_suffix('Z') {
        Some(clock) => (clock, 0),
        None => {
            let at = rest.rfind(['+', '-'])?;
            let (hours, minutes) = rest[at + 1..].split_once(':')?;
            let hours = digits(hours, 2).filter(|hours| *hours <= 23)?;
            let minutes = hours * 60 + digits(minutes, 2).filter(|minutes| *minutes <= 59)?;
            let is_behind = rest[at..].starts_with('-');
            (&rest[..at], if is_behind { -minutes } else { minutes })
        }
    };
    let mut parts = clock.split(':');
    let hour = digits(parts.next()?, 2).filter(|hour| *hour <= 23)?;
    let minute = digits(parts.next()?, 2).filter(|minute| *minute <= 59)?;
    let second = match parts.next() {
        Some(second) => digits(second, 2).filter(|second| *second <= 59)?,
        None => 0,
    };
    if parts.next().is_some() {
        return None;
    }
    let minutes = (days(year, month, day) * 24 + hour) * 60 + minute - offset_minutes;
    Some(Timestamp::from_ms((minutes * 60 + second) * 1_000))
}

fn digits(text: &str, count: usize) -> Option<i64> {
    let all = text.len() == count && text.bytes().all(|digit| digit.is_ascii_digit());
    all.then(|| text.parse().ok())?
}

/// Days from the Unix epoch to a date of the Gregorian calendar, whose year is taken to begin in
/// March so that the leap day is its last.
fn days(year: i64, month: i64, day: i64) -> i64 {
    let (year, month) = if month > 2 {
        (year, month - 3)
    } else {
        (year - 1, month + 9)
    };
    let leap_days = year.div_euclid(4) - year.div_euclid(100) + year.div_euclid(400);
    // To 1970-01-01 from the first of March of the year 0.
    const EPOCH: i64 = 719_468;
    year * 365 + leap_days + (153 * month + 2) / 5 + day - 1 - EPOCH
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn times_are_read_with_their_zone() {
        for (text, ms) in [
            ("1970-01-01T00:00:00Z", Some(0)),
            ("1969-12-31T23:59:59Z", Some(-1_000)),
            ("2000-02-29T00:00:00Z", Some(951_782_400_000)),
            ("2026-11-22T16:30:00Z", Some(1_795_365_000_000)),
            ("2026-11-23T00:30+08:00", Some(1_795_365_000_000)),
            ("2026-11-22T11:00:00-05:30", Some(1_795_365_000_000)),
            ("2026-11-22", None),
            ("2026-11-22T16:30:00", None),
            ("2026-13-22T16:30:00Z", None),
            ("2026-02-29T16:30:00Z", None),
            ("2026-02-29T24:30:00Z", None),
            ("2026-11-22T16:30:00:00Z", None),
            ("2026-11-22T1\u{e9}:30:00Z", None),
            ("+026-11-22T16:30:00Z", None),
            ("T\u{e9}+\u{e9}", None),
        ] {
            assert_eq!(time(text).map(Timestamp::ms), ms, "{text}");
        }
    }

    #[test]
    fn conditions_look_at_source_time_and_transport() {
        let origin = |source: &str, secure| Origin {
            source: source.parse().unwrap(),
            secure,
            at: time("2026-06-01T00:00:00Z").unwrap(),
        };
        let here = origin("10.1.2.3", true);
        let there = origin("192.168.0.1", false);
        for (operator, key, values, is_here, is_there) in [
            ("IpAddress", SOURCE, &["10.0.0.0/8"] as &[&str], true, false),
            (
                "IpAddress",
                "acs:sourceip",
                &["::1", "192.168.0.1"],
                false,
                true,
            ),
            (
                "NotIpAddress",
                SOURCE,
                &["10.0.0.0/8", "11.0.0.1"],
                false,
                true,
            ),
            ("Bool", SECURE, &["true"], true, false),
            ("Bool", SECURE, &["False"], false, true),
            (
                "DateLessThan",
                TIME,
                &["2026-06-01T00:00:00Z"],
                false,
                false,
            ),
            (
                "DateLessThanEquals",
                TIME,
                &["2026-06-01T00:00:00Z"],
                true,
                true,
            ),
            (
                "DateGreaterThan",
                TIME,
                &["2026-06-01T00:00:01+00:01"],
                true,
                true,
            ),
            (
                "DateGreaterThanEquals",
                TIME,
                &["2026-06-01T00:01:00Z"],
                false,
                false,
            ),
            ("DateEquals", TIME, &["2026-06-01T00:00:00Z"], true, true),
            (
                "DateNotEquals",
                TIME,
                &["2026-06-01T00:00:00Z"],
                false,
                false,
            ),
        ] {
            let values: Vec<String> = values.iter().map(|value| (*value).to_owned()).collect();
            let condition = Condition::read(operator, key, &values).unwrap();
            assert_eq!(condition.holds(&here), is_here, "{operator} {values:?}");
            assert_eq!(condition.holds(&there), is_there, "{operator} {values:?}");
        }
    }
}
