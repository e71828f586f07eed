//! A message on its way in, as every protocol hands it to the core.

use std::{fmt, net::SocketAddr};

use base::{LiteTopicName, NameError, Timestamp};
use bytes::Bytes;
use wire::message::{StoredMessage, properties, sys_flag};

/// A message to be stored. Body and properties stay as the client sent them.
#[derive(Clone, Debug)]
pub struct Message {
    /// Free for applications; RocketMQ never reads it.
    pub flag: i32,
    /// RocketMQ's flags: compression, transaction type (`wire::message::sys_flag`).
    pub sys_flag: i32,
    /// When the client made the message, by its own clock.
    pub born_timestamp: Timestamp,
    /// Where the client is.
    pub born_host: SocketAddr,
    /// How often consumption has failed before.
    pub reconsume_times: i32,
    /// The content, compressed if the flags say so.
    pub body: Bytes,
    /// The properties in RocketMQ's stored form (`wire::message::properties`).
    pub properties: Bytes,
}

impl Message {
    /// The priority of a priority message. One that cannot be read, or is below 0, is the lowest.
    pub(crate) fn priority(&self) -> u32 {
        let priority = properties::get(self.raw_properties(), properties::PRIORITY);
        priority.and_then(|text| text.parse().ok()).unwrap_or(0)
    }

    /// The LiteTopic that a message names.
    pub(crate) fn lite_topic(&self) -> Result<LiteTopicName, NameError> {
        let name = properties::get(self.raw_properties(), properties::LITE_TOPIC);
        LiteTopicName::new(name.unwrap_or_default())
    }

    fn raw_properties(&self) -> &str {
        str::from_utf8(&self.properties).unwrap_or_default()
    }
}

/// What a message asks of the broker beyond being stored.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Hash)]
pub enum MessageType {
    /// Nothing.
    Normal,
    /// Order within its message group.
    Fifo,
    /// Delivery not before a given time.
    Delay,
    /// A half message, invisible until its transaction commits.
    Transaction,
    /// A LiteTopic inside its topic.
    Lite,
    /// Delivery by priority.
    Priority,
}

impl MessageType {
    /// The type that flags and properties ask for. Like Apache's
    /// `TopicMessageType.parseFromMessageProperty` (5.5) a transaction wins over a delay, and a
    /// delay over order.
    pub fn of(message: &Message) -> Self {
        let flags = message.sys_flag & sys_flag::TRANSACTION;
        let mut found = if flags == sys_flag::TRANSACTION_PREPARED {
            Self::Transaction
        } else {
            Self::Normal
        };
        let Ok(raw) = str::from_utf8(&message.properties) else {
            return found;
        };
        for (name, value) in properties::iterate(raw) {
            let asked = match name {
                properties::TRANSACTION_PREPARED if value.eq_ignore_ascii_case("true") => {
                    Self::Transaction
                }
                // Level 0 is how old clients say "no delay".
                properties::DELAY_LEVEL if value != "0" => Self::Delay,
                properties::TIMER_DELIVER_MS
                | properties::TIMER_DELAY_SECONDS
                | properties::TIMER_DELAY_MS
                | properties::START_DELIVER_TIME => Self::Delay,
                properties::LITE_TOPIC => Self::Lite,
                properties::SHARDING_KEY => Self::Fifo,
                properties::PRIORITY => Self::Priority,
                _ => continue,
            };
            if asked.rank() > found.rank() {
                found = asked;
            }
        }
        found
    }

    /// The type of a message that is stored.
    pub fn of_stored(message: &StoredMessage) -> Self {
        let properties = message.properties_raw().as_bytes();
        Self::of(&Message {
            flag: message.flag(),
            sys_flag: message.sys_flag(),
            born_timestamp: Timestamp::from_ms(message.born_timestamp()),
            born_host: message.born_host(),
            reconsume_times: message.reconsume_times(),
            body: Bytes::new(),
            properties: message.bytes().slice_ref(properties),
        })
    }

    const fn rank(self) -> u8 {
        match self {
            Self::Normal => 0,
            Self::Priority => 1,
            Self::Fifo => 2,
            Self::Lite => 3,
            Self::Delay => 4,
            Self::Transaction => 5,
        }
    }
}

impl fmt::Display for MessageType {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str(match self {
            Self::Normal => "NORMAL",
            Self::Fifo => "FIFO",
            Self::Delay => "DELAY",
            Self::Transaction => "TRANSACTION",
            Self::Lite => "LITE",
            Self::Priority => "PRIORITY",
        })
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn message(sys_flag: i32, properties: &str) -> Message {
        Message {
            flag: 0,
            sys_flag,
            born_timestamp: Timestamp::from_ms(0),
            born_host: "127.0.0.1:1".parse().unwrap(),
            reconsume_times: 0,
            body: Bytes::new(),
            properties: Bytes::copy_from_slice(properties.as_bytes()),
        }
    }

    #[test]
    fn the_type_follows_flags_and_properties() {
        let of = |flag, properties: &str| MessageType::of(&message(flag, properties));
        assert_eq!(of(0, "TAGS\u{1}a\u{2}"), MessageType::Normal);
        assert_eq!(of(0, "__SHARDINGKEY\u{1}a\u{2}"), MessageType::Fifo);
        assert_eq!(
            of(0, "__SHARDINGKEY\u{1}a\u{2}DELAY\u{1}3\u{2}"),
            MessageType::Delay
        );
        assert_eq!(of(0, "DELAY\u{1}0\u{2}"), MessageType::Normal);
        assert_eq!(of(4, "DELAY\u{1}3\u{2}"), MessageType::Transaction);
        assert_eq!(of(0, "TRAN_MSG\u{1}true\u{2}"), MessageType::Transaction);
    }
}
