//! The JSON bodies of Remoting commands.
//!
//! Readers are as lenient as fastjson, which Apache reads and writes with: numbers and enum values
//! as texts or the other way round, `null` for anything, unknown members, unquoted keys. What we
//! write is standard JSON, read by fastjson 1 and 2, gson and all others, with one exception: a map
//! whose keys are queues ([`QueueTable`]) has objects for keys, as its only readers expect.
//! Source: package `remoting.protocol` of RocketMQ 5.5.0; the C++ and Go clients for the rest.

mod access;
mod administration;
mod client_answer;
mod consume;
mod group;
mod heartbeat;
mod instance;
mod lenient;
mod lite;
mod node;
mod pop;
mod queue;
mod route;
mod stats;
mod topic;
mod value;

use base::limits::REMOTING_JSON_BODY_BYTES_MAX;
use bytes::Bytes;

pub use access::*;
pub use administration::*;
pub use client_answer::*;
pub use consume::*;
pub use group::*;
pub use heartbeat::*;
pub use instance::*;
pub use lite::*;
pub use node::*;
pub use pop::*;
pub use queue::*;
pub use route::*;
pub use stats::*;
pub use topic::*;

/// Why a body cannot be read.
#[derive(Clone, Debug, PartialEq, Eq, thiserror::Error)]
pub enum BodyError {
    /// The body is not there.
    #[error("body of {name} is empty")]
    Empty {
        /// The type of the body.
        name: &'static str,
    },
    /// The body is longer than any client sends.
    #[error("body of {name} has {length} bytes, expected at most {max}")]
    TooLong {
        /// The type of the body.
        name: &'static str,
        /// Its length.
        length: usize,
        /// The limit.
        max: usize,
    },
    /// The body is not JSON, or a member has another form than expected.
    #[error("body of {name}: {reason}")]
    Json {
        /// The type of the body.
        name: &'static str,
        /// What is wrong, and where.
        reason: String,
    },
}

/// A JSON body.
pub trait Body: Sized {
    /// Name in errors.
    const NAME: &'static str;

    /// Reads the body of a command.
    ///
    /// # Errors
    /// When it is empty, too long, or no body of this type.
    fn decode(body: &[u8]) -> Result<Self, BodyError>;

    /// Writes the body of a command.
    fn encode(&self) -> Bytes;
}

/// Implements [`Body`] by serde.
macro_rules! bodies {
    ($($name:ident),* $(,)?) => {
        $(impl crate::remoting::body::Body for $name {
            const NAME: &'static str = stringify!($name);

            fn decode(body: &[u8]) -> Result<Self, crate::remoting::body::BodyError> {
                crate::remoting::body::read(body, Self::NAME)
            }

            fn encode(&self) -> bytes::Bytes {
                crate::remoting::body::write(self)
            }
        })*
    };
}
use bodies;

fn read<T: serde::de::DeserializeOwned>(body: &[u8], name: &'static str) -> Result<T, BodyError> {
    if body.is_empty() {
        return Err(BodyError::Empty { name });
    }
    if body.len() > REMOTING_JSON_BODY_BYTES_MAX {
        return Err(BodyError::TooLong {
            name,
            length: body.len(),
            max: REMOTING_JSON_BODY_BYTES_MAX,
        });
    }
    serde_json::from_slice(body).or_else(|error| {
        let json = |error: serde_json::Error| BodyError::Json {
            name,
            reason: error.to_string(),
        };
        if error.is_data() {
            return Err(json(error));
        }
        match lenient::to_standard(body) {
            Ok(standard) => serde_json::from_slice(&standard).map_err(json),
            Err(_) => Err(json(error)),
        }
    })
}

fn write(body: &impl serde::Serialize) -> Bytes {
    let json = serde_json::to_vec(body);
    json.expect("the bodies have text keys only and no failing field")
        .into()
}
