//! Pull: read a queue from an offset that the client keeps, waiting for messages if there are none.

use std::time::Duration;

use base::{ErrorKind, QueueId, QueueOffset, TopicName};
use wire::message::StoredMessage;

use crate::{Filter, QueueNotFound, Shard, TopicNotFound};

/// What to read.
#[derive(Clone, Debug)]
pub struct PullRequest {
    /// The topic.
    pub topic: TopicName,
    /// The queue.
    pub queue: QueueId,
    /// First offset wanted.
    pub offset: QueueOffset,
    /// Most messages wanted; capped at [`base::limits::PULL_MESSAGES_MAX`].
    pub max_messages: usize,
    /// Most bytes wanted; capped at [`base::limits::PULL_BYTES_MAX`]. One message always fits.
    pub max_bytes: usize,
    /// Which messages.
    pub filter: Filter,
    /// How long to wait if there is no message yet; zero answers at once.
    pub wait: Duration,
}

/// What became of a pull.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum PullOutcome {
    /// There are messages.
    Found,
    /// The offset is the end of the queue, and nothing came in time.
    NoNewMessage,
    /// There were messages but none passed the filter: go on at `next`.
    NoMatch,
    /// The offset is before the first or after the last message: go on at `next`.
    OffsetMoved,
}

/// The answer to a pull.
#[derive(Clone, Debug)]
pub struct Pulled {
    /// What became of it.
    pub outcome: PullOutcome,
    /// The messages, in queue order, as slices of what the log holds.
    pub messages: Vec<StoredMessage>,
    /// Where to go on.
    pub next: QueueOffset,
    /// First offset of the queue.
    pub min: QueueOffset,
    /// End of the queue: offset of the next message to come.
    pub max: QueueOffset,
}

/// Why a pull was refused.
#[derive(Debug, thiserror::Error)]
pub enum PullError {
    /// No such topic.
    #[error(transparent)]
    TopicNotFound(#[from] TopicNotFound),
    /// No such queue.
    #[error(transparent)]
    QueueNotFound(#[from] QueueNotFound),
    /// The topic hands out no messages.
    #[error("topic `{topic}` is not readable")]
    NotReadable {
        /// The topic.
        topic: TopicName,
    },
    /// A stored message could not be read.
    #[error("read message {offset} of queue {queue} of topic `{topic}`")]
    Read {
        /// The topic.
        topic: TopicName,
        /// The queue.
        queue: QueueId,
        /// The message.
        offset: QueueOffset,
        /// What the log said.
        #[source]
        source: store::log::ReadError,
    },
    /// The state of the queue could not be read.
    #[error("read state of topic `{topic}`")]
    State {
        /// The topic.
        topic: TopicName,
        /// What the KV said.
        #[source]
        source: store::kv::KvError,
    },
}

impl PullError {
    /// What the caller should do.
    pub fn kind(&self) -> ErrorKind {
        match self {
            Self::TopicNotFound(_) => ErrorKind::NotFound,
            Self::QueueNotFound(_) => ErrorKind::Request,
            Self::NotReadable { .. } => ErrorKind::Denied,
            Self::Read { .. } | Self::State { .. } => ErrorKind::Fault,
        }
    }
}

impl Shard {
    /// Reads messages of one queue. Waits up to `wait` while the queue has none at `offset`; the append
    /// that brings one ends the wait. Dropping the future ends it too.
    pub async fn pull(&self, request: PullRequest) -> Result<Pulled, PullError> {
        let _ = request;
        unimplemented!()
    }
}
