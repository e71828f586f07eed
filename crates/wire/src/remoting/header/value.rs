//! What a field's text means for each type, and back.

use super::super::ExtFields;
use super::HeaderError;

/// A type that a header field can have.
pub trait FieldValue<'a>: Sized {
    /// Reads the text of the field, `None` if the field is not there.
    ///
    /// # Errors
    /// When the field must be there, or the text has the wrong form.
    fn read(text: Option<&'a str>) -> Result<Self, Refusal<'a>>;

    /// Adds the field to a command.
    fn write(&self, name: &'static str, fields: &mut ExtFields);
}

/// Why a field was refused; [`HeaderError`] without the names.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Refusal<'a> {
    /// The field must be there.
    Missing,
    /// The text has the wrong form.
    Invalid {
        /// The text.
        text: &'a str,
        /// What a text looks like.
        expected: &'static str,
    },
}

impl Refusal<'_> {
    pub(super) fn of(self, header: &'static str, field: &'static str) -> HeaderError {
        match self {
            Self::Missing => HeaderError::Missing { header, field },
            Self::Invalid { text, expected } => HeaderError::Invalid {
                header,
                field,
                value: text.chars().take(64).collect(),
                expected,
            },
        }
    }
}

impl<'a> FieldValue<'a> for &'a str {
    fn read(text: Option<&'a str>) -> Result<Self, Refusal<'a>> {
        text.ok_or(Refusal::Missing)
    }

    fn write(&self, name: &'static str, fields: &mut ExtFields) {
        fields.push_str(name, self);
    }
}

/// As Java's `Boolean.parseBoolean`: everything but `true` in any case is false.
impl<'a> FieldValue<'a> for bool {
    fn read(text: Option<&'a str>) -> Result<Self, Refusal<'a>> {
        let text = text.ok_or(Refusal::Missing)?;
        Ok(text.eq_ignore_ascii_case("true"))
    }

    fn write(&self, name: &'static str, fields: &mut ExtFields) {
        fields.push_str(name, if *self { "true" } else { "false" });
    }
}

macro_rules! number {
    ($type:ty, $expected:literal) => {
        impl<'a> FieldValue<'a> for $type {
            fn read(text: Option<&'a str>) -> Result<Self, Refusal<'a>> {
                let text = text.ok_or(Refusal::Missing)?;
                let expected = $expected;
                text.parse()
                    .map_err(|_| Refusal::Invalid { text, expected })
            }

            fn write(&self, name: &'static str, fields: &mut ExtFields) {
                fields.push(name, self);
            }
        }
    };
}
number!(i32, "a whole number of 32 bits");
number!(i64, "a whole number of 64 bits");

/// The binary header has no null: a number that is an empty text is one that is not there.
macro_rules! optional {
    ($type:ty, $is_absent:expr) => {
        impl<'a> FieldValue<'a> for Option<$type> {
            fn read(text: Option<&'a str>) -> Result<Self, Refusal<'a>> {
                let is_absent: fn(&str) -> bool = $is_absent;
                match text {
                    None => Ok(None),
                    Some(text) if is_absent(text) => Ok(None),
                    text => FieldValue::read(text).map(Some),
                }
            }

            fn write(&self, name: &'static str, fields: &mut ExtFields) {
                if let Some(value) = self {
                    value.write(name, fields);
                }
            }
        }
    };
}
optional!(&'a str, |_| false);
optional!(bool, str::is_empty);
optional!(i32, str::is_empty);
optional!(i64, str::is_empty);
