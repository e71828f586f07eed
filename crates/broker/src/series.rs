//! Series: which generation of the managed service an instance is like.

use std::fmt;

use serde::{Deserialize, Serialize};

/// The series of an instance. It decides which families of clients the instance takes (each front
/// end knows whether it is one of them) and whether declared types of messages are checked.
///
/// Source: the service's "Differences and compatibility between versions 4.x and 5.x".
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq, Serialize, Deserialize)]
pub enum Series {
    /// It takes every family, and checks types where a topic declares one.
    #[default]
    #[serde(rename = "any")]
    Any,
    /// It takes everything but gRPC SDKs of 5.x, and checks no types.
    #[serde(rename = "4.x")]
    V4,
    /// It takes everything but ONS TCP 2.x and HTTP SDKs, and checks types.
    #[serde(rename = "5.x")]
    V5,
}

impl Series {
    /// Its name, as settings and answers have it.
    pub fn name(self) -> &'static str {
        match self {
            Self::Any => "any",
            Self::V4 => "4.x",
            Self::V5 => "5.x",
        }
    }

    /// The series of that name.
    pub fn named(name: &str) -> Option<Self> {
        [Self::Any, Self::V4, Self::V5]
            .into_iter()
            .find(|series| series.name() == name)
    }

    /// Whether topics that declare a type of message take no other.
    pub fn checks_message_types(self) -> bool {
        self != Self::V4
    }
}

impl fmt::Display for Series {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str(self.name())
    }
}
