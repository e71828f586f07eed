//! Reading members as leniently as fastjson does.

use std::fmt;

use serde::de::{Deserialize, Deserializer, Error, Visitor};

/// `null` is the default. For members that clients write as null, `#[serde(default)]` beside it
/// for those that they leave out.
pub(super) fn or_default<'de, D, T>(deserializer: D) -> Result<T, D::Error>
where
    D: Deserializer<'de>,
    T: Deserialize<'de> + Default,
{
    Ok(Option::deserialize(deserializer)?.unwrap_or_default())
}

/// A number, or the text of one; `null` is 0. As small as it can be: clients send lists of them.
#[derive(Clone, Copy)]
struct Number(i64);

impl<'de> Deserialize<'de> for Number {
    fn deserialize<D: Deserializer<'de>>(deserializer: D) -> Result<Self, D::Error> {
        struct NumberVisitor;

        impl Visitor<'_> for NumberVisitor {
            type Value = Number;

            fn expecting(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
                f.write_str("a whole number")
            }

            fn visit_i64<E: Error>(self, number: i64) -> Result<Number, E> {
                Ok(Number(number))
            }

            fn visit_u64<E: Error>(self, number: u64) -> Result<Number, E> {
                let out_of_range = || E::custom(format_args!("{number} is out of range"));
                i64::try_from(number)
                    .map(Number)
                    .map_err(|_| out_of_range())
            }

            fn visit_str<E: Error>(self, text: &str) -> Result<Number, E> {
                text.trim().parse().map(Number).map_err(|_| {
                    let shown: String = text.chars().take(64).collect();
                    E::custom(format_args!("`{shown}`, expected a number"))
                })
            }

            fn visit_unit<E: Error>(self) -> Result<Number, E> {
                Ok(Number(0))
            }
        }
        deserializer.deserialize_any(NumberVisitor)
    }
}

/// A number or the text of one; `null` is 0.
pub(super) fn number<'de, D, T>(deserializer: D) -> Result<T, D::Error>
where
    D: Deserializer<'de>,
    T: TryFrom<i64>,
{
    let Number(number) = Number::deserialize(deserializer)?;
    T::try_from(number).map_err(|_| D::Error::custom(format_args!("{number} is out of range")))
}

/// Numbers or the texts of numbers; `null` is none.
pub(super) fn numbers<'de, D>(deserializer: D) -> Result<Vec<i64>, D::Error>
where
    D: Deserializer<'de>,
{
    let numbers: Option<Vec<Number>> = Option::deserialize(deserializer)?;
    let numbers = numbers.unwrap_or_default();
    Ok(numbers.into_iter().map(|Number(number)| number).collect())
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

/// The name or the position of an enum value, as a text.
pub(super) fn name_or_position<'de, D: Deserializer<'de>>(
    deserializer: D,
) -> Result<String, D::Error> {
    struct EnumVisitor;

    impl Visitor<'_> for EnumVisitor {
        type Value = String;

        fn expecting(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
            f.write_str("the name or position of a value")
        }

        fn visit_str<E: Error>(self, text: &str) -> Result<String, E> {
            Ok(text.to_owned())
        }

        fn visit_i64<E: Error>(self, position: i64) -> Result<String, E> {
            Ok(position.to_string())
        }

        fn visit_u64<E: Error>(self, position: u64) -> Result<String, E> {
            Ok(position.to_string())
        }

        fn visit_unit<E: Error>(self) -> Result<String, E> {
            Ok(String::new())
        }
    }
    deserializer.deserialize_any(EnumVisitor)
}

/// JSON has no infinity.
pub(super) fn finite(number: f64) -> f64 {
    if number.is_finite() { number } else { 0.0 }
}
