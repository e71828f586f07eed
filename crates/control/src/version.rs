//! Version numbers of instances: an open-source part and a commercial part.
//!
//! | format | example | order key |
//! | --- | --- | --- |
//! | `x.y-rmq-yyyymmdd` | `5.0-rmq-20230329` | (x, y, 0), date, serial 0 |
//! | `x.y-rmq-yyyymmdd-n` | `5.0-rmq-20251024-1` | (x, y, 0), date, serial n |
//! | `a.b.c-rmq-x.y.z` | `5.5.0-rmq-1.1.1` | (a, b, c), (x, y, z) |
//!
//! The open-source part counts first. With the same one, a commercial part of three numbers comes
//! after every dated one. Each version has one spelling: no leading zeros, no serial 0.

use std::{fmt, str::FromStr};

use base::limits::VERSION_BYTES_MAX;
use jiff::civil::Date;
use serde::{Deserialize, Serialize};

/// What stands between the two parts.
const SEPARATOR: &str = "-rmq-";

/// The version of a release, or of the software that an instance runs.
#[derive(Clone, Copy, Debug, PartialEq, Eq, PartialOrd, Ord, Hash, Serialize, Deserialize)]
#[serde(try_from = "String", into = "String")]
pub struct Version {
    /// Fields are in the order in which they count.
    open_source: (u32, u32, u32),
    commercial: Commercial,
}

/// Variants are in the order in which they count.
#[derive(Clone, Copy, Debug, PartialEq, Eq, PartialOrd, Ord, Hash)]
enum Commercial {
    /// A day, and which release of that day; 0 where none is said.
    Dated(Date, u32),
    Numbered(u32, u32, u32),
}

/// How far an update goes.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum UpdateKind {
    /// Another open-source version.
    OpenSource,
    /// The same open-source version, patched.
    Patch,
}

/// Why a text is no version.
#[derive(Clone, Debug, PartialEq, Eq, thiserror::Error)]
pub enum VersionError {
    /// It is far too long, so it is not repeated here.
    #[error("version has {length} bytes, expected at most {max}")]
    TooLong {
        /// Its length.
        length: usize,
        /// The limit.
        max: usize,
    },
    /// It has none of the three shapes.
    #[error(
        "version `{text}` has an unknown shape, expected `x.y-rmq-yyyymmdd`, \
         `x.y-rmq-yyyymmdd-n` or `a.b.c-rmq-x.y.z`"
    )]
    Shape {
        /// The text.
        text: String,
    },
    /// One of its numbers is none.
    #[error(
        "version `{text}` has `{part}` where a number is expected, \
         decimal digits without leading zeros up to {}",
        u32::MAX
    )]
    Number {
        /// The text.
        text: String,
        /// The part that is no number.
        part: String,
    },
    /// Its date is none.
    #[error("version `{text}` has the date `{date}`, expected a day that exists as yyyymmdd")]
    Date {
        /// The text.
        text: String,
        /// The part that is no date.
        date: String,
    },
    /// It spells out that there is no serial.
    #[error("version `{text}` has the serial 0, expected 1 or more, or none")]
    Serial {
        /// The text.
        text: String,
    },
}

impl Version {
    /// What kind of update leads from this version to `newer`.
    pub fn kind_of_update_to(&self, newer: &Self) -> UpdateKind {
        if self.open_source == newer.open_source {
            UpdateKind::Patch
        } else {
            UpdateKind::OpenSource
        }
    }
}

impl FromStr for Version {
    type Err = VersionError;

    fn from_str(text: &str) -> Result<Self, VersionError> {
        if text.len() > VERSION_BYTES_MAX {
            return Err(VersionError::TooLong {
                length: text.len(),
                max: VERSION_BYTES_MAX,
            });
        }
        let shape = || VersionError::Shape {
            text: text.to_owned(),
        };
        let number = |part: &str| number(part, text);
        let (open_source, commercial) = text.split_once(SEPARATOR).ok_or_else(shape)?;
        let open_source: Vec<&str> = open_source.split('.').collect();
        match *open_source {
            [major, minor] => {
                let (day, serial) = match commercial.split_once('-') {
                    None => (commercial, None),
                    Some((day, serial)) => (day, Some(serial)),
                };
                if day.is_empty() || !day.bytes().all(|byte| byte.is_ascii_digit()) {
                    return Err(shape());
                }
                let open_source = (number(major)?, number(minor)?, 0);
                let day = date(day).ok_or_else(|| VersionError::Date {
                    text: text.to_owned(),
                    date: day.to_owned(),
                })?;
                let serial = match serial.map(number).transpose()? {
                    None => 0,
                    Some(0) => {
                        return Err(VersionError::Serial {
                            text: text.to_owned(),
                        });
                    }
                    Some(serial) => serial,
                };
                Ok(Self {
                    open_source,
                    commercial: Commercial::Dated(day, serial),
                })
            }
            [major, minor, patch] => {
                let commercial: Vec<&str> = commercial.split('.').collect();
                let [first, second, third] = *commercial else {
                    return Err(shape());
                };
                Ok(Self {
                    open_source: (number(major)?, number(minor)?, number(patch)?),
                    commercial: Commercial::Numbered(
                        number(first)?,
                        number(second)?,
                        number(third)?,
                    ),
                })
            }
            _ => Err(shape()),
        }
    }
}

fn number(part: &str, text: &str) -> Result<u32, VersionError> {
    let digits = part.bytes().all(|byte| byte.is_ascii_digit());
    let shortest = part == "0" || !part.starts_with('0');
    let parsed = part.parse().ok().filter(|_| digits && shortest);
    parsed.ok_or_else(|| VersionError::Number {
        text: text.to_owned(),
        part: part.to_owned(),
    })
}

/// The day that eight digits stand for.
fn date(digits: &str) -> Option<Date> {
    if digits.len() != 8 {
        return None;
    }
    let number: u32 = digits.parse().ok()?;
    let (year, month, day) = (number / 10_000, number / 100 % 100, number % 100);
    Date::new(
        i16::try_from(year).ok()?,
        i8::try_from(month).ok()?,
        i8::try_from(day).ok()?,
    )
    .ok()
}

impl fmt::Display for Version {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        let (major, minor, patch) = self.open_source;
        match self.commercial {
            Commercial::Dated(date, serial) => {
                let (year, month, day) = (date.year(), date.month(), date.day());
                write!(f, "{major}.{minor}{SEPARATOR}{year:04}{month:02}{day:02}")?;
                if serial > 0 {
                    write!(f, "-{serial}")?;
                }
                Ok(())
            }
            Commercial::Numbered(first, second, third) => {
                write!(
                    f,
                    "{major}.{minor}.{patch}{SEPARATOR}{first}.{second}.{third}"
                )
            }
        }
    }
}

impl TryFrom<String> for Version {
    type Error = VersionError;

    fn try_from(text: String) -> Result<Self, VersionError> {
        text.parse()
    }
}

impl From<Version> for String {
    fn from(version: Version) -> Self {
        version.to_string()
    }
}

#[cfg(test)]
mod tests {
    use proptest::prelude::*;

    use super::*;

    fn version(text: &str) -> Version {
        text.parse().unwrap()
    }

    #[test]
    fn versions_of_all_formats_are_ordered() {
        let ascending = [
            "4.9-rmq-20240101",
            "5.0-rmq-20230322-1",
            "5.0-rmq-20230329",
            "5.0-rmq-20230411",
            "5.0-rmq-20251024-1",
            "5.0-rmq-20251024-2",
            "5.0-rmq-20251024-10",
            "5.0.0-rmq-0.0.1",
            "5.0.0-rmq-1.1.1",
            "5.0.1-rmq-1.0.0",
            "5.1-rmq-20230329",
            "5.5-rmq-20990101",
            "5.5.0-rmq-1.1.1",
            "5.5.0-rmq-1.1.10",
            "5.5.0-rmq-1.2.0",
            "5.10-rmq-20230329",
            "10.0-rmq-20230329",
        ];
        for pair in ascending.windows(2) {
            assert!(version(pair[0]) < version(pair[1]), "{pair:?}");
        }
        for text in ascending {
            assert_eq!(version(text).to_string(), text);
            let json = serde_json::to_string(&version(text)).unwrap();
            assert_eq!(json, format!("\"{text}\""));
            assert_eq!(
                serde_json::from_str::<Version>(&json).unwrap(),
                version(text)
            );
        }
    }

    #[test]
    fn an_update_is_an_open_source_one_or_a_patch() {
        let kind = |from, to| version(from).kind_of_update_to(&version(to));
        let old = "5.0-rmq-20230329";
        assert_eq!(kind(old, "5.1-rmq-20230329"), UpdateKind::OpenSource);
        assert_eq!(kind(old, "5.0-rmq-20230411"), UpdateKind::Patch);
        assert_eq!(kind(old, "5.5.0-rmq-1.1.1"), UpdateKind::OpenSource);
    }

    #[test]
    fn what_is_no_version_is_refused_with_what_was_expected() {
        let refused = |text: &str| text.parse::<Version>().unwrap_err().to_string();
        for text in [
            "",
            "5.0",
            "5.0-rmq-",
            "5-rmq-20230329",
            "5.0-20230329",
            "5.0.0-rmq-20230329",
            "5.0-rmq-1.1.1",
            "5.0.0.0-rmq-1.1.1",
            "5.0.0-rmq-1.1",
            "5.0.0-rmq-1.1.1.1",
            "5.0-RMQ-20230329",
            " 5.0-rmq-20230329",
            "5.0-rmq-20230329 ",
            "5.0-rmq-2023०329",
        ] {
            let error = refused(text);
            assert!(error.contains(&format!("`{text}`")), "{error}");
            assert!(error.contains("expected"), "{error}");
        }
        for date in [
            "20230229",
            "20231301",
            "20230100",
            "00000000",
            "2023032",
            "202303290",
        ] {
            let error = refused(&format!("5.0-rmq-{date}"));
            assert!(error.contains(&format!("the date `{date}`")), "{error}");
        }
        for text in [
            "05.0-rmq-20230329",
            "5.-rmq-20230329",
            "5.0-rmq-20230329-01",
            "5.0-rmq-20230329-",
            "5.0-rmq-20230329-1-2",
            "5.0-rmq-20230329-+1",
            "4294967296.0-rmq-20230329",
            "5.0.+1-rmq-1.1.1",
        ] {
            let error = refused(text);
            assert!(error.contains("where a number is expected"), "{error}");
        }
        assert!(refused("5.0-rmq-20230329-0").contains("the serial 0"));
        assert!(refused(&"5".repeat(100_000)).len() < 100);
    }

    proptest! {
        #[test]
        fn no_text_makes_parsing_panic_and_what_it_takes_it_writes_again(
            text in "([0-9]{1,3}(\\.[0-9]{1,2}){0,3})?(-rmq-)?[0-9.\\-]{0,14}|\\PC{0,80}",
        ) {
            if let Ok(version) = text.parse::<Version>() {
                prop_assert_eq!(version.to_string(), text);
            }
        }

        #[test]
        fn every_version_survives_its_text(
            open_source in (any::<u32>(), any::<u32>(), any::<u32>()),
            commercial in prop_oneof![
                (1_i16..=9999, 1_i8..=12, 1_i8..=28, any::<u32>()).prop_map(
                    |(year, month, day, serial)| Commercial::Dated(
                        Date::new(year, month, day).unwrap(),
                        serial,
                    ),
                ),
                (any::<u32>(), any::<u32>(), any::<u32>())
                    .prop_map(|(a, b, c)| Commercial::Numbered(a, b, c)),
            ],
        ) {
            let (major, minor, mut patch) = open_source;
            if let Commercial::Dated(..) = commercial {
                patch = 0;
            }
            let version = Version { open_source: (major, minor, patch), commercial };
            prop_assert_eq!(version.to_string().parse::<Version>(), Ok(version));
        }
    }
}
