//! What a setting is, and the macro that turns the one declaration into all its uses.

use std::ops::RangeInclusive;

/// A setting as people see it.
#[derive(Debug)]
pub(crate) struct Setting {
    /// Name in the file; unit last.
    pub(crate) name: &'static str,
    /// What it is for, in a sentence or two.
    pub(crate) sentence: &'static str,
    /// What a value looks like.
    pub(crate) form: &'static str,
    /// The default in words.
    pub(crate) default: &'static str,
    /// An assignment that the sample file shows, without the name.
    pub(crate) example: &'static str,
    /// Smallest and largest value, where it is a number.
    pub(crate) bounds: Option<RangeInclusive<u64>>,
    /// Whether a change takes effect only at the next start.
    pub(crate) restart: bool,
    /// Name and placeholder of its flag, if it has one.
    pub(crate) flag: Option<(&'static str, &'static str)>,
}

impl Setting {
    /// The environment variable that sets it.
    pub(crate) fn environment(&self) -> String {
        format!("CARRACK_{}", self.name.to_ascii_uppercase())
    }
}

/// Declares the settings. A field's doc comment is its sentence. `default` is the value, `shown`
/// how people are told of it, `example` what the sample file assigns.
macro_rules! settings {
    ($(
        $(#[doc = $sentence:literal])+
        $name:ident: $type:ty {
            default: $default:expr,
            shown: $shown:literal,
            example: $example:literal,
            $(bounds: $bounds:expr,)?
            $(flag: $flag:expr,)?
            restart: $restart:literal,
        }
    )+) => {
        /// Every setting with its value.
        #[derive(Clone, Debug)]
        pub(crate) struct Settings {
            $($(#[doc = $sentence])+ pub(crate) $name: $type,)+
        }

        impl Settings {
            /// All settings in the order in which they are documented.
            pub(crate) const ALL: &'static [$crate::config::declare::Setting] = &[$(
                $crate::config::declare::Setting {
                    name: stringify!($name),
                    sentence: concat!($($sentence),+),
                    form: <$type as $crate::config::value::Value>::FORM,
                    default: $shown,
                    example: $example,
                    bounds: $crate::config::declare::optional!($($bounds)?),
                    restart: $restart,
                    flag: $crate::config::declare::optional!($($flag)?),
                },
            )+];

            /// All settings as a file has them.
            pub(crate) fn table(&self) -> toml::Table {
                let mut table = toml::Table::new();
                $(
                    if let Some(value) = $crate::config::value::Value::to_toml(&self.$name) {
                        table.insert(stringify!($name).to_owned(), value);
                    }
                )+
                table
            }

            /// Sets the setting of that name; `None` if there is none.
            pub(super) fn set(
                &mut self,
                name: &str,
                source: &$crate::config::value::Source<'_>,
            ) -> Option<Result<(), String>> {
                match name {
                    $(stringify!($name) => Some(
                        $crate::config::value::assign(
                            &mut self.$name,
                            source,
                            $crate::config::declare::optional!($($bounds)?),
                        )
                    ),)+
                    _ => None,
                }
            }
        }

        impl Default for Settings {
            fn default() -> Self {
                Self { $($name: $default,)+ }
            }
        }
    };
}

macro_rules! optional {
    () => {
        None
    };
    ($value:expr) => {
        Some($value)
    };
}

pub(crate) use {optional, settings};
