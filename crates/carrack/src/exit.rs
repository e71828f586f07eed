//! How the process ends.

use std::{fmt::Write as _, process::ExitCode};

use client::ClientError;

/// Why a command failed, by its exit code.
#[derive(Debug)]
pub(crate) enum Failure {
    /// The server said no, or the command could not do its work: 1.
    Refused(anyhow::Error),
    /// The command line or the settings are wrong: 2.
    Usage(anyhow::Error),
    /// The server could not be reached: 3.
    Unreachable(anyhow::Error),
}

impl Failure {
    /// Says on standard error what went wrong, and gives the exit code.
    pub(crate) fn report(&self) -> ExitCode {
        let (code, error) = match self {
            Self::Refused(error) => (1, error),
            Self::Usage(error) => (2, error),
            Self::Unreachable(error) => (3, error),
        };
        // A source that an error already quotes is not said twice.
        let mut text = String::new();
        for cause in error.chain() {
            let cause = cause.to_string();
            if text.is_empty() {
                text = cause;
            } else if !text.contains(&cause) {
                write!(text, ": {cause}").expect("writing to a string cannot fail");
            }
        }
        eprintln!("error: {text}");
        ExitCode::from(code)
    }
}

impl From<ClientError> for Failure {
    fn from(error: ClientError) -> Self {
        if error.is_unreachable() {
            Self::Unreachable(error.into())
        } else {
            Self::Refused(error.into())
        }
    }
}

impl From<anyhow::Error> for Failure {
    fn from(error: anyhow::Error) -> Self {
        Self::Refused(error)
    }
}

impl From<std::io::Error> for Failure {
    fn from(error: std::io::Error) -> Self {
        Self::Refused(error.into())
    }
}
