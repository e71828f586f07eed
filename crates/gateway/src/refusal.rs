//! What the tables of refusals of all protocols are made of.

/// `From` each error of the core for the protocol's `Refusal`, with the code that a function of the
/// table finds for it, and the text of the error with its causes.
macro_rules! refusals {
    ($($error:ty => $code:path;)*) => {
        $(impl From<$error> for Refusal {
            fn from(error: $error) -> Self {
                Self::of($code(&error), &error)
            }
        })*
    };
}

/// The codes of a protocol over HTTP: an enum `Code`, with the names and statuses that it has in
/// answers.
macro_rules! http_codes {
    ($($(#[$meta:meta])* $code:ident = $name:literal, $status:ident;)*) => {
        /// What a request is refused with.
        #[derive(Clone, Copy, Debug, PartialEq, Eq)]
        pub(super) enum Code {
            $($(#[$meta])* $code,)*
        }

        impl Code {
            /// The code in documents.
            pub(super) fn name(self) -> &'static str {
                match self {
                    $(Self::$code => $name,)*
                }
            }

            /// The status that goes with it.
            pub(super) fn status(self) -> ::http::StatusCode {
                match self {
                    $(Self::$code => ::http::StatusCode::$status,)*
                }
            }
        }
    };
}

pub(crate) use {http_codes, refusals};
