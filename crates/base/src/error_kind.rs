//! What a caller should do about an error.

use std::fmt;

/// The coarse class of an error: it answers only "what now?", details are in the message.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Hash)]
pub enum ErrorKind {
    /// Try the same request again, here or elsewhere, after a pause.
    Retry,
    /// The request cannot succeed as it is: correct it.
    Request,
    /// The thing asked for does not exist.
    NotFound,
    /// The caller may not do this.
    Denied,
    /// A limit or quota is reached: slow down or ask for more.
    Limit,
    /// A fault on this side that a person must look at.
    Fault,
}

impl fmt::Display for ErrorKind {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str(match self {
            Self::Retry => "retry",
            Self::Request => "request",
            Self::NotFound => "not found",
            Self::Denied => "denied",
            Self::Limit => "limit",
            Self::Fault => "fault",
        })
    }
}
