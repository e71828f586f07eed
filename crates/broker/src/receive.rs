//! Receive: take messages of a group for a time, during which nobody else in the group gets them.

use std::time::Duration;

use base::{ErrorKind, GroupName, QueueId, Timestamp, TopicName};
use wire::message::StoredMessage;

use crate::{Filter, GroupNotFound, PullError, ReceiptHandle, Shard};

/// What to take.
#[derive(Clone, Debug)]
pub struct ReceiveRequest {
    /// The group; created on the fly where the instance allows it.
    pub group: GroupName,
    /// The topic.
    pub topic: TopicName,
    /// One queue, or any of the topic in this shard.
    pub queue: Option<QueueId>,
    /// Most messages wanted; capped at [`base::limits::PULL_MESSAGES_MAX`].
    pub max_messages: usize,
    /// How long the messages are this client's alone.
    pub invisible: Duration,
    /// Which messages; others are passed over and count as consumed.
    pub filter: Filter,
    /// How long to wait if there is none.
    pub wait: Duration,
    /// The client whose messages stay invisible for as long as it is alive (gRPC push consumers ask for
    /// that), each for at most [`base::limits::INVISIBLE_MS_MAX`].
    pub renew_while_alive: Option<String>,
}

/// A message taken.
#[derive(Clone, Debug)]
pub struct Received {
    /// The message.
    pub message: StoredMessage,
    /// What acknowledges it.
    pub handle: ReceiptHandle,
    /// Which delivery of it this is, from 1.
    pub attempt: u32,
    /// Until when it is this client's alone.
    pub invisible_until: Timestamp,
}

/// Why nothing was handed out.
#[derive(Debug, thiserror::Error)]
pub enum ReceiveError {
    /// No such topic or queue, or reading failed.
    #[error(transparent)]
    Pull(#[from] PullError),
    /// No such group.
    #[error(transparent)]
    GroupNotFound(#[from] GroupNotFound),
    /// The group was not there and could not be created.
    #[error(transparent)]
    CreateGroup(#[from] crate::CreateGroupError),
    /// The invisible duration is out of bounds.
    #[error("invisible duration of {asked_ms} ms is outside {min_ms} to {max_ms} ms")]
    Invisible {
        /// Asked for.
        asked_ms: u128,
        /// Least.
        min_ms: u64,
        /// Most.
        max_ms: u64,
    },
    /// The log took no receipt: full, busy or broken.
    #[error("messages of topic `{topic}` not handed out to group `{group}`")]
    Log {
        /// The topic.
        topic: TopicName,
        /// The group.
        group: GroupName,
        /// What the log said.
        #[source]
        source: store::log::AppendError,
    },
}

impl ReceiveError {
    /// What the caller should do.
    pub fn kind(&self) -> ErrorKind {
        match self {
            Self::Pull(error) => error.kind(),
            Self::GroupNotFound(_) => ErrorKind::NotFound,
            Self::CreateGroup(error) => error.kind(),
            Self::Invisible { .. } => ErrorKind::Request,
            Self::Log { source, .. } => source.kind(),
        }
    }
}

impl Shard {
    /// Takes up to `max_messages`: first those whose invisible time has ended unacknowledged, then
    /// new ones. Empty if none came within `wait`. Messages past the group's attempts become dead
    /// letters instead. Dropping the future before it completes hands nothing out.
    pub async fn receive(&self, request: ReceiveRequest) -> Result<Vec<Received>, ReceiveError> {
        let _ = request;
        unimplemented!()
    }
}
