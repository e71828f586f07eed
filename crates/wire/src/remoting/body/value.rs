//! Reading members as leniently as fastjson does.

use serde::de::{Deserialize, Deserializer, Error};

/// `null` is the default. For members that clients write as null, `#[serde(default)]` beside it
/// for those that they leave out.
pub(super) fn or_default<'de, D, T>(deserializer: D) -> Result<T, D::Error>
where
    D: Deserializer<'de>,
    T: Deserialize<'de> + Default,
{
    Ok(Option::deserialize(deserializer)?.unwrap_or_default())
}

#[derive(serde::Deserialize)]
#[serde(untagged)]
enum NumberOrText {
    Number(i64),
    Text(String),
    Null,
}

impl NumberOrText {
    fn number<E: Error>(self) -> Result<i64, E> {
        match self {
            Self::Number(number) => Ok(number),
            Self::Null => Ok(0),
            Self::Text(text) => text.trim().parse().map_err(|_| {
                let shown: String = text.chars().take(64).collect();
                E::custom(format_args!("`{shown}`, expected a number"))
            }),
        }
    }
}

/// A number or the text of one; `null` is 0.
pub(super) fn number<'de, D, T>(deserializer: D) -> Result<T, D::Error>
where
    D: Deserializer<'de>,
    T: TryFrom<i64>,
{
    let number = NumberOrText::deserialize(deserializer)?.number()?;
    T::try_from(number).map_err(|_| D::Error::custom(format_args!("{number} is out of range")))
}

/// Numbers or the texts of numbers; `null` is none.
pub(super) fn numbers<'de, D>(deserializer: D) -> Result<Vec<i64>, D::Error>
where
    D: Deserializer<'de>,
{
    let values: Option<Vec<NumberOrText>> = Option::deserialize(deserializer)?;
    let values = values.unwrap_or_default();
    values.into_iter().map(NumberOrText::number).collect()
}

/// Declares an enum that is written by name and read by name or by position, as clients in C++
/// write it. The first value is what an unknown or missing one becomes.
macro_rules! lenient_enum {
    (
        $(#[$meta:meta])*
        pub enum $enum:ident {
            $($(#[$variant_meta:meta])* $variant:ident = $position:literal $name:literal,)*
        } else $default:ident
    ) => {
        $(#[$meta])*
        #[derive(Clone, Copy, Debug, PartialEq, Eq, Hash)]
        pub enum $enum {
            $($(#[$variant_meta])* $variant,)*
        }

        impl $enum {
            /// Name on the wire.
            pub const fn name(self) -> &'static str {
                match self {
                    $(Self::$variant => $name,)*
                }
            }
        }

        impl Default for $enum {
            fn default() -> Self {
                Self::$default
            }
        }

        impl serde::Serialize for $enum {
            fn serialize<S: serde::Serializer>(&self, serializer: S) -> Result<S::Ok, S::Error> {
                serializer.serialize_str(self.name())
            }
        }

        impl<'de> serde::Deserialize<'de> for $enum {
            fn deserialize<D: serde::Deserializer<'de>>(deserializer: D) -> Result<Self, D::Error> {
                let text = crate::remoting::body::value::name_or_position(deserializer)?;
                Ok(match text.as_str() {
                    $($name | $position => Self::$variant,)*
                    _ => Self::default(),
                })
            }
        }
    };
}
pub(super) use lenient_enum;

/// The text of an enum value.
pub(super) fn name_or_position<'de, D: Deserializer<'de>>(
    deserializer: D,
) -> Result<String, D::Error> {
    Ok(match NumberOrText::deserialize(deserializer)? {
        NumberOrText::Number(number) => number.to_string(),
        NumberOrText::Text(text) => text,
        NumberOrText::Null => String::new(),
    })
}

/// JSON has no infinity.
pub(super) fn finite(number: f64) -> f64 {
    if number.is_finite() { number } else { 0.0 }
}
