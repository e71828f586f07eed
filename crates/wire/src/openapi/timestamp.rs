//! Times in requests: `2026-01-02T03:04:05Z`, ISO 8601 in UTC; and in documents of the 5.x series:
//! `2026-01-02 03:04:05`, in UTC as well.

/// The time, ms since 1970; `None` if the text is none, or one before 1970 or past 9999.
pub fn timestamp_ms(text: &str) -> Option<i64> {
    let text = text.strip_suffix('Z')?;
    ms_of(text.split_once('T')?)
}

/// The time of a document, ms since 1970: as [`timestamp_ms`], or with a blank between date and
/// time and nothing behind it.
pub fn date_time_ms(text: &str) -> Option<i64> {
    timestamp_ms(text).or_else(|| ms_of(text.split_once(' ')?))
}

fn ms_of((date, time): (&str, &str)) -> Option<i64> {
    let [year, month, day] = numbers(date, '-', [4, 2, 2])?;
    let [hour, minute, second] = numbers(time, ':', [2, 2, 2])?;
    if year < 1970 || hour > 23 || minute > 59 || second > 59 {
        return None;
    }
    let lengths = month_lengths(year);
    let month = usize::try_from(month - 1).ok()?;
    if !(1..=*lengths.get(month)?).contains(&day) {
        return None;
    }
    let before = year - 1;
    let leap_days = |year: i64| year / 4 - year / 100 + year / 400;
    let days = 365 * (year - 1970) + leap_days(before) - leap_days(1969)
        + lengths[..month].iter().sum::<i64>()
        + day
        - 1;
    Some((((days * 24 + hour) * 60 + minute) * 60 + second) * 1_000)
}

/// A time (ms since 1970) in a document, without its milliseconds. Times before 1970 are 1970.
pub fn date_time(ms: i64) -> String {
    let seconds = (ms / 1_000).max(0);
    let (mut days, second) = (seconds / 86_400, seconds % 86_400);
    // Years of 365 days from here; at most a few hundred turns.
    let mut year = 1970;
    let length = |year: i64| if is_leap(year) { 366 } else { 365 };
    while days >= length(year) && year < 9_999 {
        days -= length(year);
        year += 1;
    }
    let mut month = 1;
    for length in month_lengths(year) {
        if days < length || month == 12 {
            break;
        }
        days -= length;
        month += 1;
    }
    let (hour, minute) = (second / 3_600, second / 60 % 60);
    let (day, second) = (days + 1, second % 60);
    format!("{year:04}-{month:02}-{day:02} {hour:02}:{minute:02}:{second:02}")
}

/// The same in the form of [`timestamp_ms`].
pub fn timestamp(ms: i64) -> String {
    format!("{}Z", date_time(ms).replacen(' ', "T", 1))
}

fn is_leap(year: i64) -> bool {
    year % 4 == 0 && (year % 100 != 0 || year % 400 == 0)
}

fn month_lengths(year: i64) -> [i64; 12] {
    let february = if is_leap(year) { 29 } else { 28 };
    [31, february, 31, 30, 31, 30, 31, 31, 30, 31, 30, 31]
}

/// Three numbers of exactly so many digits.
fn numbers(text: &str, separator: char, digits: [usize; 3]) -> Option<[i64; 3]> {
    let mut parts = text.split(separator);
    let mut numbers = [0; 3];
    for (number, digits) in numbers.iter_mut().zip(digits) {
        let part = parts.next().filter(|part| part.len() == digits)?;
        let is_plain = part.bytes().all(|byte| byte.is_ascii_digit());
        *number = part.parse().ok().filter(|_| is_plain)?;
    }
    parts.next().is_none().then_some(numbers)
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn times_are_read_across_leap_days() {
        for (text, ms) in [
            ("1970-01-01T00:00:00Z", 0),
            ("2000-02-29T00:00:00Z", 951_782_400_000),
            ("2026-01-02T03:04:05Z", 1_767_323_045_000),
            ("2024-12-31T23:59:59Z", 1_735_689_599_000),
            ("2101-03-01T00:00:00Z", 4_139_078_400_000),
        ] {
            assert_eq!(timestamp_ms(text), Some(ms), "{text}");
            assert_eq!(timestamp(ms + 999), text);
            let plain = date_time(ms);
            assert_eq!(plain, text.replace('T', " ").replace('Z', ""));
            assert_eq!(date_time_ms(&plain), Some(ms), "{plain}");
            assert_eq!(date_time_ms(text), Some(ms), "{text}");
        }
        for wrong in [
            "",
            "2026-01-02",
            "2026-01-02T03:04:05",
            "2026-13-02T03:04:05Z",
            "2026-00-02T03:04:05Z",
            "2026-02-29T03:04:05Z",
            "2026-01-02T24:00:00Z",
            "2026-1-02T03:04:05Z",
            "2026-01-02T03:04:+5Z",
            "2026-01-02T03:04:05.000Z",
            "1969-12-31T23:59:59Z",
        ] {
            assert_eq!(timestamp_ms(wrong), None, "{wrong}");
        }
    }
}
