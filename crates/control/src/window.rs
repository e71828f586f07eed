//! Maintenance windows: the part of each day in which an instance may be updated.
//!
//! A window is written `HH:mm-HH:mm`. Its start belongs to it, its end does not. An end before the
//! start is on the next day; an end that is the start means the whole day. Windows are local times
//! of the instance's zone; what becomes of one whose start the clocks skip or repeat is said in
//! [`Zone`]'s module: it opens at the first instant there is.

use std::{fmt, str::FromStr};

use base::Timestamp;
use jiff::{
    ToSpan as _,
    civil::{Date, Time},
};
use serde::{Deserialize, Serialize};

use crate::Zone;

const MINUTES_OF_DAY: u16 = 24 * 60;

/// A part of every day, in minutes of local time.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Hash, Serialize, Deserialize)]
#[serde(try_from = "String", into = "String")]
pub struct Window {
    /// Minutes since midnight, below 1440.
    start: u16,
    end: u16,
}

/// Why a text is no window.
#[derive(Clone, Debug, PartialEq, Eq, thiserror::Error)]
#[error("maintenance window {text:?} expected as `HH:mm-HH:mm`, from 00:00 to 23:59")]
pub struct WindowError {
    /// The text, or how it begins.
    pub text: String,
}

impl Window {
    /// The window of an instance for which nothing else was said, 02:00-06:00.
    pub const DEFAULT: Self = Self {
        start: 2 * 60,
        end: 6 * 60,
    };

    /// How long it is open each day, in minutes, on days of 24 hours.
    pub fn minutes(self) -> u16 {
        match (self.end + MINUTES_OF_DAY - self.start) % MINUTES_OF_DAY {
            0 => MINUTES_OF_DAY,
            minutes => minutes,
        }
    }

    /// Whether it is open at that instant.
    pub fn is_open(self, zone: &Zone, at: Timestamp) -> bool {
        if self.start == self.end {
            return true;
        }
        let today = zone.date(at);
        // What opened yesterday may be open still. One that opens where the clocks are set forward
        // over midnight belongs to yesterday too.
        [today.yesterday().unwrap_or(today), today]
            .into_iter()
            .filter(|day| zone.has(*day))
            .any(|day| self.start_on(zone, day) <= at && at < self.end_from(zone, day))
    }

    /// When it opens next, at `at` or after it.
    pub fn next_start(self, zone: &Zone, at: Timestamp) -> Timestamp {
        // Where clocks are set back over midnight, it is yesterday again.
        let mut day = zone.date(at).yesterday().unwrap_or_default();
        loop {
            let start = self.start_on(zone, day);
            if zone.has(day) && start >= at {
                return start;
            }
            // Ends: no zone skips more than a day, and time is far from where calendars end.
            match day.tomorrow() {
                Ok(next) => day = next,
                Err(_) => return start,
            }
        }
    }

    fn start_on(self, zone: &Zone, day: Date) -> Timestamp {
        zone.first_at(day.to_datetime(time(self.start)))
    }

    /// When the window ends that starts on `day`.
    fn end_from(self, zone: &Zone, day: Date) -> Timestamp {
        let last = if self.end > self.start {
            day
        } else {
            day.saturating_add(1.day())
        };
        zone.first_at(last.to_datetime(time(self.end)))
    }
}

fn time(minutes: u16) -> Time {
    let (hour, minute) = (minutes / 60 % 24, minutes % 60);
    Time::midnight().saturating_add(i64::from(hour).hours().minutes(i64::from(minute)))
}

impl Default for Window {
    fn default() -> Self {
        Self::DEFAULT
    }
}

impl FromStr for Window {
    type Err = WindowError;

    fn from_str(text: &str) -> Result<Self, WindowError> {
        let window = text.split_once('-').and_then(|(start, end)| {
            Some(Self {
                start: minute_of_day(start)?,
                end: minute_of_day(end)?,
            })
        });
        window.ok_or_else(|| WindowError {
            text: text.chars().take(32).collect(),
        })
    }
}

fn minute_of_day(text: &str) -> Option<u16> {
    let &[h1, h2, b':', m1, m2] = text.as_bytes() else {
        return None;
    };
    if ![h1, h2, m1, m2].iter().all(u8::is_ascii_digit) {
        return None;
    }
    let two = |tens: u8, ones: u8| u16::from(tens - b'0') * 10 + u16::from(ones - b'0');
    let (hour, minute) = (two(h1, h2), two(m1, m2));
    (hour < 24 && minute < 60).then_some(hour * 60 + minute)
}

impl fmt::Display for Window {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        let Self { start, end } = self;
        let (start_minute, end_minute) = (start % 60, end % 60);
        write!(
            f,
            "{:02}:{start_minute:02}-{:02}:{end_minute:02}",
            start / 60,
            end / 60
        )
    }
}

impl TryFrom<String> for Window {
    type Error = WindowError;

    fn try_from(text: String) -> Result<Self, WindowError> {
        text.parse()
    }
}

impl From<Window> for String {
    fn from(window: Window) -> Self {
        window.to_string()
    }
}

#[cfg(test)]
mod tests;
