//! Time zones: what an instant is on the clocks of a region, and the other way round.
//!
//! The rules of all zones are in the binary, so that a machine without zone files, or with old
//! ones, schedules as every other does.
//!
//! Clocks that are set forward skip local times, and clocks that are set back repeat them. A local
//! time that is skipped stands for the first instant after the gap; one that is repeated stands for
//! its first occurrence.

use std::fmt;

use base::Timestamp;
use jiff::{
    civil::{Date, DateTime, Time},
    tz::{AmbiguousOffset, TimeZone, TimeZoneDatabase},
};
use serde::{Deserialize, Serialize};

/// Last instant that is told apart from later ones, the end of the year 9000: from there it is far
/// to where calendars end, so a few days more always have a date.
const LAST_MS: i64 = 221_845_392_000_000;

/// A time zone by its name in the IANA data, e.g. `Asia/Shanghai`.
#[derive(Clone, PartialEq, Eq, Serialize, Deserialize)]
#[serde(try_from = "String", into = "String")]
pub struct Zone {
    name: String,
    rules: TimeZone,
}

/// Why a text is no zone.
#[derive(Clone, Debug, PartialEq, Eq, thiserror::Error)]
#[error("time zone {name:?} is unknown, expected a name of the IANA data such as `Asia/Shanghai`")]
pub struct ZoneError {
    /// The text, or how it begins.
    pub name: String,
}

impl Zone {
    /// The zone of that name, in whatever case it is written.
    pub fn new(name: &str) -> Result<Self, ZoneError> {
        let rules = TimeZoneDatabase::bundled().get(name);
        let rules = rules.map_err(|_| ZoneError {
            name: name.chars().take(64).collect(),
        })?;
        // As the data spells it, so that the same zone is equal to itself.
        let name = rules.iana_name().unwrap_or(name).to_owned();
        Ok(Self { name, rules })
    }

    /// Coordinated universal time.
    pub fn utc() -> Self {
        Self {
            name: "UTC".to_owned(),
            rules: TimeZone::UTC,
        }
    }

    /// The name.
    pub fn name(&self) -> &str {
        &self.name
    }

    /// What clocks show at that instant.
    pub(crate) fn local(&self, at: Timestamp) -> DateTime {
        self.rules.to_datetime(instant(at))
    }

    /// The day at that instant.
    pub(crate) fn date(&self, at: Timestamp) -> Date {
        self.local(at).date()
    }

    /// The first instant at which clocks show `local`, or the first after it if they never do.
    pub(crate) fn first_at(&self, local: DateTime) -> Timestamp {
        let ambiguous = self.rules.to_ambiguous_timestamp(local);
        let offset = match ambiguous.offset() {
            AmbiguousOffset::Unambiguous { offset } => offset,
            AmbiguousOffset::Fold { before, .. } => before,
            AmbiguousOffset::Gap { before, after } => {
                // Read with the offset of after the gap, the local time is an instant before it;
                // what the clocks are set by next is the gap itself.
                let earlier = after.to_timestamp(local).unwrap_or_default();
                let gap = self.rules.following(earlier).next();
                return match gap {
                    Some(gap) => Timestamp::from_ms(gap.timestamp().as_millisecond()),
                    None => resolve(before.to_timestamp(local)),
                };
            }
        };
        resolve(offset.to_timestamp(local))
    }

    /// Whether clocks ever show a time of that day: a zone that changes sides of the date line
    /// skips one.
    pub(crate) fn has(&self, day: Date) -> bool {
        self.date(self.first_at(day.to_datetime(Time::midnight()))) == day
    }

    /// The same local time `days` calendar days later.
    pub fn days_later(&self, at: Timestamp, days: u8) -> Timestamp {
        let local = self.local(at);
        let later = local.saturating_add(jiff::Span::new().days(i64::from(days)));
        self.first_at(later)
    }

    /// The instant that a text names: with an offset, `2026-03-11T02:00:00+08:00`, or without, as
    /// clocks of this zone show it. A time that clocks skip stands for the first after the gap.
    pub fn read(&self, text: &str) -> Option<Timestamp> {
        if let Ok(at) = text.parse::<jiff::Timestamp>() {
            return Some(Timestamp::from_ms(at.as_millisecond()));
        }
        // A text with an offset or a zone that cannot be is no local time.
        let local = text.bytes().skip(10).all(|byte| !b"Zz+-[]".contains(&byte));
        let local = local.then(|| text.parse::<DateTime>().ok()).flatten()?;
        Some(self.first_at(local))
    }

    /// That instant as people write it, `2026-03-11T02:00:00+08:00`.
    pub fn show(&self, at: Timestamp) -> String {
        let at = instant(at);
        at.display_with_offset(self.rules.to_offset(at)).to_string()
    }
}

fn resolve(at: Result<jiff::Timestamp, jiff::Error>) -> Timestamp {
    Timestamp::from_ms(at.map_or(LAST_MS, jiff::Timestamp::as_millisecond))
}

/// Instants before 1970 and after the year 9000 count as those.
fn instant(at: Timestamp) -> jiff::Timestamp {
    let ms = at.ms().clamp(0, LAST_MS);
    jiff::Timestamp::from_millisecond(ms).unwrap_or_default()
}

impl fmt::Display for Zone {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str(&self.name)
    }
}

impl fmt::Debug for Zone {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_tuple("Zone").field(&self.name).finish()
    }
}

impl TryFrom<String> for Zone {
    type Error = ZoneError;

    fn try_from(name: String) -> Result<Self, ZoneError> {
        Self::new(&name)
    }
}

impl From<Zone> for String {
    fn from(zone: Zone) -> Self {
        zone.name
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn shown(zone: &str, local: &str) -> String {
        let zone = Zone::new(zone).unwrap();
        zone.show(zone.first_at(local.parse().unwrap()))
    }

    #[test]
    fn zones_are_known_by_name() {
        assert_eq!(Zone::new("asia/shanghai").unwrap().name(), "Asia/Shanghai");
        assert_eq!(Zone::new("UTC").unwrap(), Zone::utc());
        for name in ["", "Mars/Olympus", "Asia/", "../etc/passwd", "UTC+8"] {
            let error = Zone::new(name).unwrap_err().to_string();
            assert!(error.contains(&format!("{name:?}")), "{error}");
        }
        assert!(Zone::new(&"a".repeat(100_000)).unwrap_err().name.len() <= 64);
    }

    #[test]
    fn a_skipped_time_stands_for_the_end_of_the_gap() {
        let berlin = "Europe/Berlin";
        assert_eq!(
            shown(berlin, "2026-03-29T01:59"),
            "2026-03-29T01:59:00+01:00"
        );
        assert_eq!(
            shown(berlin, "2026-03-29T02:00"),
            "2026-03-29T03:00:00+02:00"
        );
        assert_eq!(
            shown(berlin, "2026-03-29T02:59"),
            "2026-03-29T03:00:00+02:00"
        );
        assert_eq!(
            shown(berlin, "2026-03-29T03:00"),
            "2026-03-29T03:00:00+02:00"
        );
        // Half an hour only.
        let howe = "Australia/Lord_Howe";
        assert_eq!(shown(howe, "2026-10-04T02:15"), "2026-10-04T02:30:00+11:00");
    }

    #[test]
    fn a_repeated_time_stands_for_its_first_occurrence() {
        let shown = shown("Europe/Berlin", "2026-10-25T02:30");
        assert_eq!(shown, "2026-10-25T02:30:00+02:00");
    }

    #[test]
    fn times_are_read_as_people_write_them() {
        let zone = Zone::new("Asia/Shanghai").unwrap();
        let read = |text: &str| zone.read(text).map(|at| zone.show(at));
        let expected = Some("2026-03-11T02:00:00+08:00".to_owned());
        for text in [
            "2026-03-11T02:00:00+08:00",
            "2026-03-10T18:00:00Z",
            "2026-03-11T02:00",
            "2026-03-11 02:00:00",
        ] {
            assert_eq!(read(text), expected, "{text}");
        }
        for text in ["", "tomorrow", "2026-02-30T00:00", "2026-03-11T02:00+99:00"] {
            assert_eq!(read(text), None, "{text}");
        }
    }

    #[test]
    fn a_day_that_a_zone_skips_is_none() {
        let apia = Zone::new("Pacific/Apia").unwrap();
        assert!(!apia.has("2011-12-30".parse().unwrap()));
        assert!(apia.has("2011-12-29".parse().unwrap()));
        assert!(apia.has("2011-12-31".parse().unwrap()));
        // Midnight alone is missing.
        let beirut = Zone::new("Asia/Beirut").unwrap();
        assert!(beirut.has("2026-03-29".parse().unwrap()));
    }

    #[test]
    fn days_are_counted_on_the_calendar() {
        let berlin = Zone::new("Europe/Berlin").unwrap();
        let at = berlin.first_at("2026-03-25T02:30".parse().unwrap());
        let later = berlin.days_later(at, 7);
        assert_eq!(berlin.show(later), "2026-04-01T02:30:00+02:00");
        let at_the_gap = berlin.days_later(at, 4);
        assert_eq!(berlin.show(at_the_gap), "2026-03-29T03:00:00+02:00");
    }

    #[test]
    fn the_ends_of_time_have_a_date() {
        let zone = Zone::new("Pacific/Kiritimati").unwrap();
        for ms in [i64::MIN, -1, 0, i64::MAX] {
            let later = zone.days_later(Timestamp::from_ms(ms), 7);
            assert!(later.ms() > 0 && later.ms() < LAST_MS + 8 * 86_400_000);
        }
    }
}
