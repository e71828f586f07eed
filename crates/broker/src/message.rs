//! A message on its way in, as every protocol hands it to the core.

use std::{fmt, net::SocketAddr};

use base::Timestamp;
use bytes::Bytes;
use wire::message::{properties, sys_flag};

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
    /// The type that flags and properties ask for. Like Apache's `TopicMessageType.parseFromMessageProperty`
    /// it looks at transaction, delay and sharding key in this order.
    pub fn of(message: &Message) -> Self {
        let has = |name: &str| properties::get(&message.properties, name).is_some();
        if sys_flag::transaction_type(message.sys_flag) == sys_flag::TRANSACTION_PREPARED
            || properties::get(&message.properties, properties::TRANSACTION_PREPARED)
                .is_some_and(|value| value.eq_ignore_ascii_case("true"))
        {
            return Self::Transaction;
        }
        if [
            properties::DELAY,
            properties::TIMER_DELIVER_MS,
            properties::TIMER_DELAY_SEC,
            properties::TIMER_DELAY_MS,
            properties::START_DELIVER_TIME,
        ]
        .into_iter()
        .any(has)
        {
            return Self::Delay;
        }
        if has(properties::LITE_TOPIC) {
            return Self::Lite;
        }
        if has(properties::SHARDING_KEY) {
            return Self::Fifo;
        }
        if has(properties::PRIORITY) {
            return Self::Priority;
        }
        Self::Normal
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
