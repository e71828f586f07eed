//! The forms that a setting's value can have, and reading them from a file or from plain text.

use std::{ops::RangeInclusive, path::PathBuf, str::FromStr};

/// Where a value comes from.
#[derive(Debug)]
pub(super) enum Source<'a> {
    /// A value of the file.
    File(&'a toml::Value),
    /// The text of an environment variable; list items are separated by commas.
    Environment(&'a str),
    /// The texts of a flag that was given once or more.
    Flag(&'a [String]),
}

/// A form of values.
pub(super) trait Value: Sized {
    /// What a value looks like, for people.
    const FORM: &'static str;

    /// Reads a value from text.
    fn from_text(text: &str) -> Result<Self, String>;

    /// Reads a value from a file.
    fn from_toml(value: &toml::Value) -> Result<Self, String>;

    /// The value as a file has it; `None` where a file says nothing of it.
    fn to_toml(&self) -> Option<toml::Value>;

    /// Reads a value from a flag that was given with each of `texts`.
    fn from_flag(texts: &[String]) -> Result<Self, String> {
        Self::from_text(texts.last().map_or("", String::as_str))
    }

    /// The number to hold against the bounds.
    fn number(&self) -> Option<u64> {
        None
    }
}

/// Reads a value, checks its bounds and keeps it. The error says what was found and what is
/// expected.
pub(super) fn assign<V: Value>(
    target: &mut V,
    source: &Source<'_>,
    bounds: Option<RangeInclusive<u64>>,
) -> Result<(), String> {
    let value = match source {
        Source::File(value) => V::from_toml(value),
        Source::Environment(text) => V::from_text(text),
        Source::Flag(texts) => V::from_flag(texts),
    }?;
    if let (Some(number), Some(bounds)) = (value.number(), bounds)
        && !bounds.contains(&number)
    {
        return Err(format!(
            "is {number}, expected {} to {}",
            bounds.start(),
            bounds.end()
        ));
    }
    *target = value;
    Ok(())
}

fn wrong<V: Value>(found: impl std::fmt::Display) -> String {
    format!("is {found}, expected {}", V::FORM)
}

/// The text of a file's value, which must be a string.
fn string<V: Value>(value: &toml::Value) -> Result<&str, String> {
    value.as_str().ok_or_else(|| wrong::<V>(value))
}

impl Value for u64 {
    const FORM: &'static str = "a whole number";

    fn from_text(text: &str) -> Result<Self, String> {
        text.replace('_', "")
            .parse()
            .map_err(|_| wrong::<Self>(format_args!("`{text}`")))
    }

    fn from_toml(value: &toml::Value) -> Result<Self, String> {
        let number = value
            .as_integer()
            .and_then(|number| Self::try_from(number).ok());
        number.ok_or_else(|| wrong::<Self>(value))
    }

    fn number(&self) -> Option<u64> {
        Some(*self)
    }

    fn to_toml(&self) -> Option<toml::Value> {
        i64::try_from(*self).ok().map(toml::Value::Integer)
    }
}

impl Value for bool {
    const FORM: &'static str = "true or false";

    fn from_text(text: &str) -> Result<Self, String> {
        text.parse()
            .map_err(|_| wrong::<Self>(format_args!("`{text}`")))
    }

    fn from_toml(value: &toml::Value) -> Result<Self, String> {
        value.as_bool().ok_or_else(|| wrong::<Self>(value))
    }

    fn to_toml(&self) -> Option<toml::Value> {
        Some(toml::Value::Boolean(*self))
    }
}

impl Value for String {
    const FORM: &'static str = "a text";

    fn from_text(text: &str) -> Result<Self, String> {
        if text.is_empty() {
            return Err(wrong::<Self>("empty"));
        }
        Ok(text.to_owned())
    }

    fn from_toml(value: &toml::Value) -> Result<Self, String> {
        Self::from_text(string::<Self>(value)?)
    }

    fn to_toml(&self) -> Option<toml::Value> {
        Some(toml::Value::String(self.clone()))
    }
}

impl Value for PathBuf {
    const FORM: &'static str = "a path";

    fn from_text(text: &str) -> Result<Self, String> {
        if text.is_empty() {
            return Err(wrong::<Self>("empty"));
        }
        Ok(text.into())
    }

    fn from_toml(value: &toml::Value) -> Result<Self, String> {
        Self::from_text(string::<Self>(value)?)
    }

    fn to_toml(&self) -> Option<toml::Value> {
        Some(toml::Value::String(self.to_str()?.to_owned()))
    }
}

/// A text that nobody is shown.
#[derive(Clone, PartialEq, Eq)]
pub(crate) struct SecretText(String);

impl SecretText {
    /// The text itself.
    pub(crate) fn reveal(&self) -> &str {
        &self.0
    }
}

impl std::fmt::Debug for SecretText {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        f.write_str("SecretText(..)")
    }
}

impl Value for SecretText {
    const FORM: &'static str = "a text";

    fn from_text(text: &str) -> Result<Self, String> {
        String::from_text(text).map(Self)
    }

    fn from_toml(value: &toml::Value) -> Result<Self, String> {
        let text = value.as_str().ok_or("is no text, expected a text")?;
        Self::from_text(text)
    }

    fn to_toml(&self) -> Option<toml::Value> {
        self.0.to_toml()
    }
}

impl Value for Vec<String> {
    const FORM: &'static str = "a list of texts";

    fn from_text(text: &str) -> Result<Self, String> {
        text.split(',')
            .map(|item| String::from_text(item.trim()))
            .collect()
    }

    fn from_toml(value: &toml::Value) -> Result<Self, String> {
        let items = value.as_array().filter(|items| !items.is_empty());
        let items = items.ok_or_else(|| wrong::<Self>(value))?;
        items.iter().map(String::from_toml).collect()
    }

    fn from_flag(texts: &[String]) -> Result<Self, String> {
        Ok(texts.to_vec())
    }

    fn to_toml(&self) -> Option<toml::Value> {
        let items = self.iter().filter_map(Value::to_toml);
        (!self.is_empty()).then(|| toml::Value::Array(items.collect()))
    }
}

impl<V: Value> Value for Option<V> {
    const FORM: &'static str = V::FORM;

    fn from_text(text: &str) -> Result<Self, String> {
        V::from_text(text).map(Some)
    }

    fn from_toml(value: &toml::Value) -> Result<Self, String> {
        V::from_toml(value).map(Some)
    }

    fn number(&self) -> Option<u64> {
        self.as_ref().and_then(V::number)
    }

    fn to_toml(&self) -> Option<toml::Value> {
        self.as_ref().and_then(V::to_toml)
    }
}

/// A setting that is one of a few words.
macro_rules! choice {
    ($(#[$meta:meta])* $name:ident ($form:literal) { $($(#[$word_meta:meta])* $variant:ident = $word:literal,)+ }) => {
        $(#[$meta])*
        #[derive(Clone, Copy, Debug, PartialEq, Eq)]
        pub(crate) enum $name {
            $($(#[$word_meta])* $variant,)+
        }

        impl FromStr for $name {
            type Err = String;

            fn from_str(text: &str) -> Result<Self, String> {
                match text {
                    $($word => Ok(Self::$variant),)+
                    _ => Err(wrong::<Self>(format_args!("`{text}`"))),
                }
            }
        }

        impl Value for $name {
            const FORM: &'static str = $form;

            fn from_text(text: &str) -> Result<Self, String> {
                text.parse()
            }

            fn from_toml(value: &toml::Value) -> Result<Self, String> {
                string::<Self>(value)?.parse()
            }

            fn to_toml(&self) -> Option<toml::Value> {
                let word = match self {
                    $(Self::$variant => $word,)+
                };
                Some(toml::Value::String(word.to_owned()))
            }
        }
    };
}

choice! {
    /// Series of an instance: which families of clients it takes.
    SeriesName("any, 4.x or 5.x") {
        /// All of them.
        Any = "any",
        /// All but the gRPC SDKs of 5.x.
        V4 = "4.x",
        /// All but ONS TCP 2.x and ONS HTTP.
        V5 = "5.x",
    }
}

choice! {
    /// Severity of log lines.
    LogLevel("error, warn, info, debug or trace") {
        /// A person must look.
        Error = "error",
        /// It went on anyway.
        Warn = "warn",
        /// What the server does.
        Info = "info",
        /// How it does it.
        Debug = "debug",
        /// Everything.
        Trace = "trace",
    }
}

choice! {
    /// Form of log lines.
    LogFormat("text or json") {
        /// For people.
        Text = "text",
        /// One object a line.
        Json = "json",
    }
}
