//! Time span: from when to when the messages of queues are, and how far a group has come in them.

use base::{GroupName, QueueId, QueueOffset, Timestamp, TopicName};

use crate::{OffsetError, Shard};

/// The store times of one queue.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct TimeSpan {
    /// The queue.
    pub queue: QueueId,
    /// Of its first message.
    pub first: Option<Timestamp>,
    /// Of its last message.
    pub last: Option<Timestamp>,
    /// Of the last message that the group has finished.
    pub consumed: Option<Timestamp>,
    /// Of the first message that it has not.
    pub next: Option<Timestamp>,
}

impl Shard {
    /// The store times of all queues of a topic, as a group sees them. One that has committed
    /// nothing is at the start.
    ///
    /// # Errors
    /// When the topic is not there, or the state cannot be read.
    pub fn time_spans(
        &self,
        group: &GroupName,
        topic: &TopicName,
    ) -> Result<Vec<TimeSpan>, OffsetError> {
        let known = self.catalogue.known_topic(topic)?;
        let span = |queue| {
            let range = self.queue_range(topic, queue)?;
            let at = |offset: u64| self.store_time(topic, queue, QueueOffset::new(offset));
            let before = |offset: u64| offset.checked_sub(1).map_or(Ok(None), at);
            let committed = self.committed_offset(group, topic, queue)?;
            let committed = committed.map_or(0, QueueOffset::get);
            Ok(TimeSpan {
                queue,
                first: at(range.min.get())?,
                last: before(range.max.get())?,
                consumed: before(committed)?,
                next: at(committed)?,
            })
        };
        known.queues().map(span).collect()
    }
}
