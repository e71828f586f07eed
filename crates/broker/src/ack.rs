//! Ack: a message is done for its group.

use base::{ErrorKind, GroupName, TopicName};

use crate::{GroupNotFound, ReceiptHandle, Shard, TopicNotFound};

/// Why a receipt could not be settled.
#[derive(Debug, thiserror::Error)]
pub enum AckError {
    /// No such topic.
    #[error(transparent)]
    TopicNotFound(#[from] TopicNotFound),
    /// No such group.
    #[error(transparent)]
    GroupNotFound(#[from] GroupNotFound),
    /// The handle belongs to another topic, group or shard, or to an earlier life of them.
    #[error("receipt handle does not belong to group `{group}` and topic `{topic}`")]
    Foreign {
        /// The group named.
        group: GroupName,
        /// The topic named.
        topic: TopicName,
    },
    /// The invisible time has ended (and the message may be with somebody else), or it is done already.
    #[error("receipt handle for message {offset} of queue {queue} has expired or was used")]
    Expired {
        /// The queue.
        queue: u32,
        /// The message.
        offset: u64,
    },
    /// The log took it not: full, busy or broken.
    #[error("settle receipt of group `{group}`")]
    Log {
        /// The group.
        group: GroupName,
        /// What the log said.
        #[source]
        source: store::log::AppendError,
    },
    /// The state of the group could not be read.
    #[error("read state of group `{group}`")]
    State {
        /// The group.
        group: GroupName,
        /// What the KV said.
        #[source]
        source: store::kv::KvError,
    },
}

impl AckError {
    /// What the caller should do.
    pub fn kind(&self) -> ErrorKind {
        match self {
            Self::TopicNotFound(_) | Self::GroupNotFound(_) => ErrorKind::NotFound,
            Self::Foreign { .. } | Self::Expired { .. } => ErrorKind::Request,
            Self::Log { source, .. } => source.kind(),
            Self::State { .. } => ErrorKind::Fault,
        }
    }
}

impl Shard {
    /// Marks the message of `handle` as done for `group`. It does not wait for the disk: a crash right
    /// after may deliver the message once more.
    pub async fn ack(
        &self,
        group: &GroupName,
        topic: &TopicName,
        handle: &ReceiptHandle,
    ) -> Result<(), AckError> {
        let _ = (group, topic, handle);
        unimplemented!()
    }
}
