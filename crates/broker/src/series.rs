//! Series: which generation of the managed service an instance is like.

use std::fmt;

use base::{TopicName, limits};
use serde::{Deserialize, Serialize};
use wire::message::MessageError;

use crate::{Message, MessageType, system_names};

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

/// What applications may not exceed on an instance of a series. What the system stores and creates
/// for itself (retries, dead letters, traces) is not held to them.
///
/// Source: the service's "Limits" of its 4.x series. Of the 5.x series they are settings, or limits
/// of the product.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct SeriesLimits {
    /// Longest name of a topic, in bytes.
    pub topic_name_bytes: usize,
    /// Longest name of a group, in bytes.
    pub group_name_bytes: usize,
    /// Groups of the instance.
    pub groups: usize,
    /// Largest body of a timed or half message, in bytes.
    pub small_body_bytes: usize,
    /// Largest stored properties of a message, in bytes.
    pub properties_bytes: usize,
    /// Messages of one send.
    pub batch_messages: usize,
    /// Longest delay of a timed message, in milliseconds; `None` leaves it to the setting.
    pub delay_ms: Option<u64>,
    /// How far back in time a group may be reset, in milliseconds; `None` is as far as there are
    /// messages.
    pub reset_ms: Option<u64>,
}

impl SeriesLimits {
    /// Checks the sizes of an application's message. What the product allows is checked as it is
    /// encoded.
    pub(crate) fn check(&self, message: &Message, kind: MessageType) -> Result<(), MessageError> {
        let body_max = match kind {
            MessageType::Delay | MessageType::Transaction => self.small_body_bytes,
            MessageType::Normal | MessageType::Fifo | MessageType::Lite | MessageType::Priority => {
                limits::MESSAGE_BODY_BYTES_MAX
            }
        };
        let properties = message.properties.len();
        for (field, length, max) in [
            ("body", message.body.len(), body_max),
            ("properties", properties, self.properties_bytes),
        ] {
            if length > max {
                return Err(MessageError::TooLong { field, length, max });
            }
        }
        Ok(())
    }
}

const SERIES_4_LIMITS: SeriesLimits = SeriesLimits {
    topic_name_bytes: limits::SERIES_4_NAME_BYTES_MAX,
    group_name_bytes: limits::SERIES_4_NAME_BYTES_MAX,
    groups: limits::SERIES_4_GROUPS_MAX,
    small_body_bytes: limits::SERIES_4_SMALL_BODY_BYTES_MAX,
    properties_bytes: limits::SERIES_4_PROPERTIES_BYTES_MAX,
    // It has no batches.
    batch_messages: 1,
    delay_ms: Some(limits::DELAY_MS_MAX),
    reset_ms: Some(limits::SERIES_4_RESET_MS_MAX),
};

const OTHER_LIMITS: SeriesLimits = SeriesLimits {
    topic_name_bytes: limits::TOPIC_NAME_BYTES_MAX,
    group_name_bytes: limits::GROUP_NAME_BYTES_MAX,
    groups: limits::GROUPS_PER_INSTANCE_MAX,
    small_body_bytes: limits::MESSAGE_BODY_BYTES_MAX,
    properties_bytes: limits::MESSAGE_PROPERTIES_BYTES_MAX,
    batch_messages: limits::SEND_BATCH_MESSAGES_MAX,
    delay_ms: None,
    reset_ms: None,
};

impl Series {
    /// What applications may not exceed.
    pub fn limits(self) -> &'static SeriesLimits {
        match self {
            Self::V4 => &SERIES_4_LIMITS,
            Self::Any | Self::V5 => &OTHER_LIMITS,
        }
    }

    /// The same of a topic, be it the system's or an application's.
    pub(crate) fn limits_of(self, topic: &TopicName) -> &'static SeriesLimits {
        match self {
            Self::V4 if system_names::is_application_topic(topic) => &SERIES_4_LIMITS,
            Self::V4 | Self::Any | Self::V5 => &OTHER_LIMITS,
        }
    }
}

impl fmt::Display for Series {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str(self.name())
    }
}
