//! Due times: when a message asks to be seen, in any of the ways that clients write it.

use std::time::Duration;

use base::Timestamp;
use wire::message::properties;

/// The due time that a message asks for cannot be kept.
#[derive(Clone, Debug, PartialEq, Eq, thiserror::Error)]
pub enum DueTimeError {
    /// The property is no number.
    #[error("property `{property}` is `{value}`, expected a whole number")]
    Malformed {
        /// The property.
        property: &'static str,
        /// Its value, shortened.
        value: String,
    },
    /// The due time is further away than the instance allows.
    #[error("message is due in {asked_ms} ms, expected at most {max_ms} ms")]
    TooLong {
        /// Milliseconds from now to the due time.
        asked_ms: u128,
        /// Most milliseconds.
        max_ms: u64,
    },
}

/// Pauses of RocketMQ's delay levels 1 to 18, in seconds (`messageDelayLevel` of its broker).
const LEVEL_SECONDS: [u64; 18] = [
    1, 5, 10, 30, 60, 120, 180, 240, 300, 360, 420, 480, 540, 600, 1_200, 1_800, 3_600, 7_200,
];

/// The pause of a delay level from 1; levels past the last are as long as the last.
pub(crate) fn level_pause(level: u32) -> Duration {
    let index = (level.max(1) as usize).min(LEVEL_SECONDS.len()) - 1;
    Duration::from_secs(LEVEL_SECONDS[index])
}

/// When a message with these properties is due; `None` if that is now. A delay level counts more
/// than a time, and a delay more than a point in time, as in `HookUtils.handleScheduleMessage` of
/// Apache 5.5; ONS clients write their point in time under a name of their own.
pub(crate) fn of(
    raw: &str,
    now: Timestamp,
    max_ms: u64,
) -> Result<Option<Timestamp>, DueTimeError> {
    let (mut level, mut seconds, mut ms, mut at, mut ons_at) = (None, None, None, None, None);
    for (name, value) in properties::iterate(raw) {
        let place = match name {
            properties::DELAY_LEVEL => &mut level,
            properties::TIMER_DELAY_SECONDS => &mut seconds,
            properties::TIMER_DELAY_MS => &mut ms,
            properties::TIMER_DELIVER_MS => &mut at,
            properties::START_DELIVER_TIME => &mut ons_at,
            _ => continue,
        };
        *place = Some(value);
    }
    if let Some(level) = number(properties::DELAY_LEVEL, level)?
        && level > 0
    {
        let level = u32::try_from(level).unwrap_or(u32::MAX);
        return Ok(Some(now.after(level_pause(level))));
    }
    let after = |delay: i64| Timestamp::from_ms(now.ms().saturating_add(delay));
    let due = if let Some(seconds) = number(properties::TIMER_DELAY_SECONDS, seconds)? {
        after(seconds.saturating_mul(1_000))
    } else if let Some(ms) = number(properties::TIMER_DELAY_MS, ms)? {
        after(ms)
    } else if let Some(at) = number(properties::TIMER_DELIVER_MS, at)? {
        Timestamp::from_ms(at)
    } else if let Some(at) = number(properties::START_DELIVER_TIME, ons_at)? {
        Timestamp::from_ms(at)
    } else {
        return Ok(None);
    };
    let asked_ms = due.since(now).as_millis();
    if asked_ms > u128::from(max_ms) {
        return Err(DueTimeError::TooLong { asked_ms, max_ms });
    }
    Ok((asked_ms > 0).then_some(due))
}

fn number(property: &'static str, value: Option<&str>) -> Result<Option<i64>, DueTimeError> {
    let Some(value) = value else {
        return Ok(None);
    };
    let parsed = value.trim().parse();
    parsed.map(Some).map_err(|_| DueTimeError::Malformed {
        property,
        value: value.chars().take(64).collect(),
    })
}

#[cfg(test)]
mod tests {
    use super::*;

    fn due(properties: &[(&str, &str)]) -> Result<Option<i64>, DueTimeError> {
        let raw = properties::encode(properties.iter().copied()).unwrap();
        let due = of(&raw, Timestamp::from_ms(1_000), 60_000)?;
        Ok(due.map(Timestamp::ms))
    }

    #[test]
    fn every_way_to_ask_for_a_time() {
        assert_eq!(due(&[("TAGS", "a")]), Ok(None));
        assert_eq!(due(&[("DELAY", "3")]), Ok(Some(11_000)));
        assert_eq!(due(&[("DELAY", "99")]), Ok(Some(7_201_000)));
        assert_eq!(due(&[("DELAY", "0")]), Ok(None));
        assert_eq!(due(&[("TIMER_DELAY_SEC", "2")]), Ok(Some(3_000)));
        assert_eq!(due(&[("TIMER_DELAY_MS", "2")]), Ok(Some(1_002)));
        assert_eq!(due(&[("TIMER_DELIVER_MS", "1001")]), Ok(Some(1_001)));
        assert_eq!(due(&[("__STARTDELIVERTIME", "1001")]), Ok(Some(1_001)));
        let both = [("TIMER_DELIVER_MS", "5000"), ("DELAY", "1")];
        assert_eq!(due(&both), Ok(Some(2_000)));
    }

    #[test]
    fn a_time_that_has_passed_is_now() {
        assert_eq!(due(&[("TIMER_DELIVER_MS", "1000")]), Ok(None));
        assert_eq!(due(&[("TIMER_DELAY_SEC", "-5")]), Ok(None));
    }

    #[test]
    fn what_cannot_be_kept_is_refused() {
        assert!(matches!(
            due(&[("TIMER_DELAY_SEC", "61")]),
            Err(DueTimeError::TooLong { .. })
        ));
        assert!(matches!(
            due(&[("TIMER_DELAY_SEC", "9223372036854775807")]),
            Err(DueTimeError::TooLong { .. })
        ));
        assert!(matches!(
            due(&[("DELAY", "soon")]),
            Err(DueTimeError::Malformed { .. })
        ));
    }
}
