//! Settings of the server: each declared once in `settings.rs`, from which come the reader of the
//! file, the flags, the environment variables, `--help`, the sample file and the reference page.
//!
//! A value is taken from the first that names it: command line, environment (`CARRACK_` and the
//! name in capitals), file, default.

mod declare;
mod document;
mod flags;
mod read;
mod settings;
mod value;

pub(crate) use document::{reference, sample};
pub(crate) use flags::{ServerFlags, server_help};
pub(crate) use read::load;
pub(crate) use settings::Settings;
pub(crate) use value::{LogFormat, LogLevel, SeriesName};
