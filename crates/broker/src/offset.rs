//! Offsets: how far a group has come in a queue, and where a queue starts and ends.

use base::{ErrorKind, GroupName, QueueId, QueueOffset, Timestamp, TopicName};

use crate::{GroupNotFound, QueueNotFound, Shard, TopicNotFound};

/// First offset and end of a queue.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct QueueRange {
    /// Offset of the first message still there; equal to `max` if there is none.
    pub min: QueueOffset,
    /// Offset of the next message to come.
    pub max: QueueOffset,
}

/// Which message an offset by time means where several share the time.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum TimeBoundary {
    /// The first message stored at or after the time.
    Lower,
    /// The last message stored at or before the time.
    Upper,
}

/// Why offsets could not be read or set.
#[derive(Debug, thiserror::Error)]
pub enum OffsetError {
    /// No such topic.
    #[error(transparent)]
    TopicNotFound(#[from] TopicNotFound),
    /// No such group.
    #[error(transparent)]
    GroupNotFound(#[from] GroupNotFound),
    /// The group was not there and could not be created.
    #[error(transparent)]
    CreateGroup(#[from] crate::CreateGroupError),
    /// No such queue.
    #[error(transparent)]
    QueueNotFound(#[from] QueueNotFound),
    /// The log took it not: full, busy or broken.
    #[error("commit offset of group `{group}`")]
    Log {
        /// The group.
        group: GroupName,
        /// What the log said.
        #[source]
        source: store::log::AppendError,
    },
    /// The state could not be read.
    #[error("read state of topic `{topic}`")]
    State {
        /// The topic.
        topic: TopicName,
        /// What the KV said.
        #[source]
        source: store::kv::KvError,
    },
}

impl OffsetError {
    /// What the caller should do.
    pub fn kind(&self) -> ErrorKind {
        match self {
            Self::TopicNotFound(_) | Self::GroupNotFound(_) => ErrorKind::NotFound,
            Self::CreateGroup(error) => error.kind(),
            Self::QueueNotFound(_) => ErrorKind::Request,
            Self::Log { source, .. } => source.kind(),
            Self::State { .. } => ErrorKind::Fault,
        }
    }
}

impl Shard {
    /// First offset and end of a queue.
    pub fn queue_range(&self, topic: &TopicName, queue: QueueId) -> Result<QueueRange, OffsetError> {
        let _ = (topic, queue);
        unimplemented!()
    }

    /// Sets how far `group` has come: the offset of the next message it wants. Does not wait for the
    /// disk. Creates the group where the instance allows it.
    pub async fn commit_offset(
        &self,
        group: &GroupName,
        topic: &TopicName,
        queue: QueueId,
        offset: QueueOffset,
    ) -> Result<(), OffsetError> {
        let _ = (group, topic, queue, offset);
        unimplemented!()
    }

    /// How far `group` has come, `None` if it has never committed there. With messages in flight, the
    /// first of them. Unknown groups have come nowhere.
    pub fn committed_offset(
        &self,
        group: &GroupName,
        topic: &TopicName,
        queue: QueueId,
    ) -> Result<Option<QueueOffset>, OffsetError> {
        let _ = (group, topic, queue);
        unimplemented!()
    }

    /// The offset that belongs to a time. Before all messages: the first offset; after all: the end.
    pub fn offset_by_time(
        &self,
        topic: &TopicName,
        queue: QueueId,
        time: Timestamp,
        boundary: TimeBoundary,
    ) -> Result<QueueOffset, OffsetError> {
        let _ = (topic, queue, time, boundary);
        unimplemented!()
    }

    /// When the first message still in the queue was stored, `None` if there is none.
    pub fn earliest_store_time(
        &self,
        topic: &TopicName,
        queue: QueueId,
    ) -> Result<Option<Timestamp>, OffsetError> {
        let _ = (topic, queue);
        unimplemented!()
    }
}
