//! Times as people read and write them.

use std::str::FromStr;

use jiff::Timestamp;

/// A time in ms since 1970 as `2026-11-22 03:20:47.123Z`, or `-` where there is none.
pub(super) fn shown(ms: i64) -> String {
    match Timestamp::from_millisecond(ms) {
        Ok(time) if ms > 0 => time.strftime("%Y-%m-%d %H:%M:%S.%3fZ").to_string(),
        _ => "-".to_owned(),
    }
}

/// An hour in ms since 1970 as `2026-11-22T03:00:00Z`.
pub(super) fn hour(ms: i64) -> String {
    Timestamp::from_millisecond(ms).map_or_else(|_| ms.to_string(), |time| time.to_string())
}

/// A point in the time of a topic.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) enum Point {
    /// Before its first message.
    Earliest,
    /// After its last message.
    Latest,
    /// Ms since 1970.
    At(i64),
}

impl FromStr for Point {
    type Err = String;

    fn from_str(text: &str) -> Result<Self, String> {
        match text {
            "earliest" => return Ok(Self::Earliest),
            "latest" => return Ok(Self::Latest),
            _ => {}
        }
        if let Ok(ms) = text.parse::<i64>() {
            return if ms >= 0 {
                Ok(Self::At(ms))
            } else {
                Err("milliseconds since 1970 begin at 0".to_owned())
            };
        }
        let time: Timestamp = text.parse().map_err(|_| {
            "expected `earliest`, `latest`, a time like 2026-11-22T03:20:00Z, or milliseconds since \
             1970"
                .to_owned()
        })?;
        Ok(Self::At(time.as_millisecond().max(0)))
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn times_read_as_the_calendar_says() {
        assert_eq!(shown(0), "-");
        assert_eq!(shown(i64::MAX), "-");
        assert_eq!(shown(1), "1970-01-01 00:00:00.001Z");
        assert_eq!(shown(951_782_400_000), "2000-02-29 00:00:00.000Z");
        assert_eq!(shown(1_709_251_199_999), "2024-02-29 23:59:59.999Z");
        assert_eq!(shown(1_735_689_600_000), "2025-01-01 00:00:00.000Z");
    }

    #[test]
    fn points_in_time_are_written_in_four_ways() {
        assert_eq!("earliest".parse(), Ok(Point::Earliest));
        assert_eq!("latest".parse(), Ok(Point::Latest));
        assert_eq!("1735689600000".parse(), Ok(Point::At(1_735_689_600_000)));
        let zoned = "2025-01-01T01:00:00+01:00";
        assert_eq!(zoned.parse(), Ok(Point::At(1_735_689_600_000)));
        for wrong in ["", "-1", "yesterday", "2025-01-01"] {
            assert!(wrong.parse::<Point>().is_err(), "{wrong}");
        }
    }
}
