//! Times as people read them.

/// A time in ms since 1970 as `2026-11-22 03:20:47.123Z`, or `-` where there is none.
pub(super) fn shown(ms: i64) -> String {
    if ms <= 0 {
        return "-".to_owned();
    }
    let (days, ms) = (ms.div_euclid(86_400_000), ms.rem_euclid(86_400_000));
    let (year, month, day) = civil(days);
    let (hour, minute, second) = (ms / 3_600_000, ms / 60_000 % 60, ms / 1_000 % 60);
    format!(
        "{year:04}-{month:02}-{day:02} {hour:02}:{minute:02}:{second:02}.{:03}Z",
        ms % 1_000
    )
}

/// Year, month and day of a day counted from 1970-01-01, by the Gregorian calendar: years run from
/// March, so that the leap day is the last one.
fn civil(days: i64) -> (i64, i64, i64) {
    let days = days + 719_468;
    let era = days.div_euclid(146_097);
    let day_of_era = days.rem_euclid(146_097);
    let year_of_era =
        (day_of_era - day_of_era / 1_460 + day_of_era / 36_524 - day_of_era / 146_096) / 365;
    let day_of_year = day_of_era - (365 * year_of_era + year_of_era / 4 - year_of_era / 100);
    let month_from_march = (5 * day_of_year + 2) / 153;
    let day = day_of_year - (153 * month_from_march + 2) / 5 + 1;
    let month = if month_from_march < 10 {
        month_from_march + 3
    } else {
        month_from_march - 9
    };
    (era * 400 + year_of_era + i64::from(month <= 2), month, day)
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn times_read_as_the_calendar_says() {
        assert_eq!(shown(0), "-");
        assert_eq!(shown(1), "1970-01-01 00:00:00.001Z");
        assert_eq!(shown(951_782_400_000), "2000-02-29 00:00:00.000Z");
        assert_eq!(shown(1_709_251_199_999), "2024-02-29 23:59:59.999Z");
        assert_eq!(shown(1_735_689_600_000), "2025-01-01 00:00:00.000Z");
    }
}
