//! Times and durations of the protocol (`google.protobuf`) to and from ours.

use std::time::Duration;

use base::{Timestamp, limits};
use prost_types::{Duration as WireDuration, Timestamp as WireTimestamp};
use wire::grpc_v2::Code;

use super::status::Refusal;

const NANOS_PER_MS: i32 = 1_000_000;

/// The time in milliseconds; `None` if it is out of the range that milliseconds hold or malformed.
pub(crate) fn to_timestamp(time: &WireTimestamp) -> Option<Timestamp> {
    if !(0..1_000_000_000).contains(&time.nanos) {
        return None;
    }
    let ms = time.seconds.checked_mul(1_000)?;
    Some(Timestamp::from_ms(
        ms.checked_add(i64::from(time.nanos / NANOS_PER_MS))?,
    ))
}

/// The time as the protocol has it.
pub(crate) fn from_timestamp(time: Timestamp) -> WireTimestamp {
    let ms = time.ms();
    WireTimestamp {
        seconds: ms.div_euclid(1_000),
        // Below 10^9, so it fits.
        nanos: (ms.rem_euclid(1_000) as i32) * NANOS_PER_MS,
    }
}

/// The duration; `None` if it is negative or malformed.
pub(crate) fn to_duration(duration: &WireDuration) -> Option<Duration> {
    let seconds = u64::try_from(duration.seconds).ok()?;
    let nanos = u32::try_from(duration.nanos)
        .ok()
        .filter(|nanos| *nanos < 1_000_000_000)?;
    Some(Duration::new(seconds, nanos))
}

/// After how long a message is to come back, as a client asks for it.
pub(crate) fn invisible_change(asked: Option<WireDuration>) -> Result<Duration, Refusal> {
    let duration = to_duration(&asked.unwrap_or_default()).ok_or_else(|| {
        Refusal::new(
            Code::IllegalInvisibleTime,
            "invisible duration is negative or malformed",
        )
    })?;
    // Zero is "at once" in the protocol.
    Ok(duration.max(Duration::from_millis(limits::INVISIBLE_CHANGE_MS_MIN)))
}

/// The duration as the protocol has it, saturating.
pub(crate) fn from_duration(duration: Duration) -> WireDuration {
    WireDuration {
        seconds: i64::try_from(duration.as_secs()).unwrap_or(i64::MAX),
        nanos: duration.subsec_nanos().cast_signed(),
    }
}

/// The value of a `grpc-timeout` header: up to eight digits and a unit.
/// Source: "gRPC over HTTP2", `TimeoutValue` and `TimeoutUnit`.
pub(crate) fn parse_grpc_timeout(text: &str) -> Option<Duration> {
    let (digits, unit) = text.split_at_checked(text.len().checked_sub(1)?)?;
    if digits.is_empty() || digits.len() > 8 || !digits.bytes().all(|byte| byte.is_ascii_digit()) {
        return None;
    }
    let value: u64 = digits.parse().ok()?;
    match unit {
        "H" => Some(Duration::from_secs(value * 3_600)),
        "M" => Some(Duration::from_secs(value * 60)),
        "S" => Some(Duration::from_secs(value)),
        "m" => Some(Duration::from_millis(value)),
        "u" => Some(Duration::from_micros(value)),
        "n" => Some(Duration::from_nanos(value)),
        _ => None,
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn times_keep_their_milliseconds_before_and_after_1970() {
        for ms in [0, 1, 999, 1_000, -1, -1_001, 1_700_000_000_123] {
            let time = Timestamp::from_ms(ms);
            assert_eq!(to_timestamp(&from_timestamp(time)), Some(time), "{ms}");
        }
        let far = WireTimestamp {
            seconds: i64::MAX,
            nanos: 0,
        };
        assert_eq!(to_timestamp(&far), None);
        let bad = WireTimestamp {
            seconds: 0,
            nanos: -1,
        };
        assert_eq!(to_timestamp(&bad), None);
    }

    #[test]
    fn durations_that_make_no_sense_are_none() {
        let of = |seconds, nanos| to_duration(&WireDuration { seconds, nanos });
        assert_eq!(of(1, 500_000_000), Some(Duration::from_millis(1_500)));
        assert_eq!(of(-1, 0), None);
        assert_eq!(of(0, -1), None);
        assert_eq!(of(0, 1_000_000_000), None);
    }

    #[test]
    fn a_grpc_timeout_is_read_in_every_unit() {
        assert_eq!(parse_grpc_timeout("20S"), Some(Duration::from_secs(20)));
        assert_eq!(
            parse_grpc_timeout("29999871u"),
            Some(Duration::from_micros(29_999_871))
        );
        assert_eq!(
            parse_grpc_timeout("99999999H"),
            Some(Duration::from_secs(99_999_999 * 3_600))
        );
        for bad in ["", "S", "20", "20s", "-1S", "123456789S", "2\u{e9}", "+1S"] {
            assert_eq!(parse_grpc_timeout(bad), None, "{bad}");
        }
    }
}
