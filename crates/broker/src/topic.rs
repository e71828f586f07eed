//! Topics: what an instance keeps about them.

use std::{collections::BTreeMap, fmt, str::FromStr, time::Duration};

use base::{ErrorKind, QueueId, TopicId, TopicName, limits};
use serde::{Deserialize, Serialize};
use store::meta::MetadataError;

use crate::{Description, InstanceLocked, MessageType, QueueNotFound, TopicNotFound, lite_topic};

/// The kind of messages that a topic was declared to take.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Hash, Serialize, Deserialize)]
#[serde(rename_all = "lowercase")]
pub enum TopicType {
    /// Only normal messages.
    Normal,
    /// Only messages with a message group.
    Fifo,
    /// Only messages with a delivery time.
    Delay,
    /// Only half messages.
    Transaction,
    /// Only messages of LiteTopics.
    Lite,
    /// Only messages with a priority.
    Priority,
    /// Every type but LITE, whose messages are apart from those of the topic's queues.
    Mixed,
}

impl TopicType {
    /// All types, in the order in which they are documented.
    pub const ALL: [Self; 7] = [
        Self::Normal,
        Self::Fifo,
        Self::Delay,
        Self::Transaction,
        Self::Lite,
        Self::Priority,
        Self::Mixed,
    ];

    /// Whether a topic of this type takes such a message.
    pub fn accepts(self, message: MessageType) -> bool {
        match self {
            Self::Mixed => message != MessageType::Lite,
            Self::Normal => message == MessageType::Normal,
            Self::Fifo => message == MessageType::Fifo,
            Self::Delay => message == MessageType::Delay,
            Self::Transaction => message == MessageType::Transaction,
            Self::Lite => message == MessageType::Lite,
            Self::Priority => message == MessageType::Priority,
        }
    }

    /// The value of RocketMQ's topic attribute `message.type`.
    pub const fn attribute(self) -> &'static str {
        match self {
            Self::Normal => "NORMAL",
            Self::Fifo => "FIFO",
            Self::Delay => "DELAY",
            Self::Transaction => "TRANSACTION",
            Self::Lite => "LITE",
            Self::Priority => "PRIORITY",
            Self::Mixed => "MIXED",
        }
    }
}

impl FromStr for TopicType {
    type Err = String;

    fn from_str(text: &str) -> Result<Self, String> {
        Self::ALL.into_iter().find(|t| t.attribute().eq_ignore_ascii_case(text)).ok_or_else(|| {
            format!(
                "topic type `{text}` is unknown, expected normal, fifo, delay, transaction, lite, \
                 priority or mixed"
            )
        })
    }
}

/// Who may read and write a topic's queues, as RocketMQ's permission bits.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Hash, Serialize, Deserialize)]
pub struct Permission(u8);

impl Permission {
    /// Sends and deliveries.
    pub const READ_WRITE: Self = Self(6);
    const READ: u8 = 4;
    const WRITE: u8 = 2;

    /// From RocketMQ's bits: 4 read, 2 write, 1 inherit (ignored).
    pub const fn from_bits(bits: u8) -> Self {
        Self(bits & (Self::READ | Self::WRITE))
    }

    /// RocketMQ's bits.
    pub const fn bits(self) -> u8 {
        self.0
    }

    /// The same, for deliveries alone.
    #[must_use]
    pub const fn without_writes(self) -> Self {
        Self(self.0 & Self::READ)
    }

    /// Whether messages are handed out.
    pub const fn readable(self) -> bool {
        self.0 & Self::READ != 0
    }

    /// Whether messages are taken.
    pub const fn writable(self) -> bool {
        self.0 & Self::WRITE != 0
    }
}

impl fmt::Display for Permission {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str(match (self.readable(), self.writable()) {
            (true, true) => "RW",
            (true, false) => "R-",
            (false, true) => "-W",
            (false, false) => "--",
        })
    }
}

/// What somebody wants a topic to be.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct TopicSpec {
    /// Its name.
    pub name: TopicName,
    /// Queues per shard, 1 to [`limits::TOPIC_QUEUES_MAX`].
    pub queues: u32,
    /// Who may read and write.
    pub permission: Permission,
    /// Declared type; `None` takes every type (created automatically, or by a client that declares
    /// none).
    pub topic_type: Option<TopicType>,
    /// Other RocketMQ topic attributes, kept and shown but not interpreted.
    pub attributes: BTreeMap<String, String>,
}

impl TopicSpec {
    /// The attribute that says how many minutes after the last message a LiteTopic ends, -1 for
    /// never, as Apache calls it.
    pub const LITE_TOPIC_EXPIRATION: &str = "lite.topic.expiration";

    /// The attribute that limits sends to the topic, in units a second: `maxSendTps`.
    pub const MAX_SEND_TPS: &str = "max.send.tps";

    /// Most sends in a second, in units; `None` leaves it to the instance.
    pub fn max_send_tps(&self) -> Option<u64> {
        let tps = self.attributes.get(Self::MAX_SEND_TPS)?;
        tps.parse().ok().filter(|tps| *tps > 0)
    }

    /// Whether its messages are in LiteTopics.
    pub fn is_lite(&self) -> bool {
        self.topic_type == Some(TopicType::Lite)
    }

    /// Time after the last message at which a LiteTopic of it ends; `None` for never.
    pub fn lite_topic_expiration(&self) -> Option<Duration> {
        let minutes = self.attributes.get(Self::LITE_TOPIC_EXPIRATION)?;
        let minutes: u64 = minutes.parse().ok().filter(|minutes| *minutes > 0)?;
        Some(Duration::from_secs(minutes.saturating_mul(60)))
    }

    /// A readable and writable topic of no declared type.
    pub fn new(name: TopicName, queues: u32) -> Self {
        Self {
            name,
            queues,
            permission: Permission::READ_WRITE,
            topic_type: None,
            attributes: BTreeMap::new(),
        }
    }
}

/// A topic as it is.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Topic {
    /// This life of the topic.
    pub id: TopicId,
    /// What it was created or last changed to be.
    pub spec: TopicSpec,
    /// What people know of it.
    pub description: Description,
}

impl Topic {
    /// Its name.
    pub fn name(&self) -> &TopicName {
        &self.spec.name
    }

    /// Checks that `queue` exists, or may be that of a LiteTopic.
    pub fn queue(&self, queue: QueueId) -> Result<QueueId, QueueNotFound> {
        if queue.get() < self.spec.queues || self.spec.is_lite() && lite_topic::is_queue(queue) {
            return Ok(queue);
        }
        Err(QueueNotFound {
            topic: self.spec.name.clone(),
            queue,
            last: QueueId::new(self.spec.queues - 1),
        })
    }

    /// Its queues, from 0.
    pub fn queues(&self) -> impl Iterator<Item = QueueId> + use<> {
        (0..self.spec.queues).map(QueueId::new)
    }
}

/// Why a topic was not created or changed.
#[derive(Debug, thiserror::Error)]
pub enum CreateTopicError {
    /// The number of queues is out of bounds.
    #[error("topic `{topic}` asks for {queues} queues, expected 1 to {max}", max = limits::TOPIC_QUEUES_MAX)]
    Queues {
        /// The topic.
        topic: TopicName,
        /// Queues asked for.
        queues: u32,
    },
    /// The name is longer than the series of the instance allows.
    #[error("name of topic `{topic}` has {} bytes, expected at most {max}", topic.as_str().len())]
    Name {
        /// The topic.
        topic: TopicName,
        /// The limit.
        max: usize,
    },
    /// Queues hold messages; their number can only grow.
    #[error("topic `{topic}` has {have} queues and cannot shrink to {asked}")]
    Shrink {
        /// The topic.
        topic: TopicName,
        /// Queues it has.
        have: u32,
        /// Queues asked for.
        asked: u32,
    },
    /// A topic of that name has another declared type, which cannot change.
    #[error("topic `{topic}` exists with type {have}, asked for {asked}")]
    OtherType {
        /// The topic.
        topic: TopicName,
        /// Its type.
        have: &'static str,
        /// The type asked for.
        asked: &'static str,
    },
    /// Topics stay as they are for now.
    #[error(transparent)]
    Locked(#[from] InstanceLocked),
    /// The instance has as many topics as it may.
    #[error("instance has {count} topics, limit {limit}")]
    TooMany {
        /// Topics there are.
        count: usize,
        /// Topics there may be.
        limit: usize,
    },
    /// The metadata store did not take it.
    #[error("create topic `{topic}`")]
    Metadata {
        /// The topic.
        topic: TopicName,
        /// What the store said.
        #[source]
        source: MetadataError,
    },
}

impl CreateTopicError {
    /// What the caller should do.
    pub fn kind(&self) -> ErrorKind {
        match self {
            Self::Queues { .. }
            | Self::Name { .. }
            | Self::Shrink { .. }
            | Self::OtherType { .. } => ErrorKind::Request,
            Self::TooMany { .. } => ErrorKind::Limit,
            Self::Locked(_) | Self::Metadata { .. } => ErrorKind::Retry,
        }
    }
}

/// Why a topic was not deleted.
#[derive(Debug, thiserror::Error)]
pub enum DeleteTopicError {
    /// There is none of that name.
    #[error(transparent)]
    TopicNotFound(#[from] TopicNotFound),
    /// Topics stay as they are for now.
    #[error(transparent)]
    Locked(#[from] InstanceLocked),
    /// The metadata store did not take it.
    #[error("delete topic `{topic}`")]
    Metadata {
        /// The topic.
        topic: TopicName,
        /// What the store said.
        #[source]
        source: MetadataError,
    },
}
