//! Backlog: how far a group is behind in a topic.

use base::{GroupName, Timestamp, TopicName};

use crate::{OffsetError, Shard};

/// What a group has yet to finish in one topic.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Backlog {
    /// The topic.
    pub topic: TopicName,
    /// Messages from the first that is not finished, with those in flight behind it.
    pub messages: u64,
    /// When the first unfinished one was stored.
    pub oldest: Option<Timestamp>,
    /// When the last finished one was stored.
    pub last_finished: Option<Timestamp>,
}

impl Shard {
    /// How far a group is behind in all queues of a topic but those of LiteTopics. One that has
    /// committed nothing is at the start.
    ///
    /// # Errors
    /// When the topic is not there, or the state cannot be read.
    pub fn backlog(&self, group: &GroupName, topic: &TopicName) -> Result<Backlog, OffsetError> {
        let mut messages = 0;
        for queue in self.catalogue.known_topic(topic)?.queues() {
            let range = self.queue_range(topic, queue)?;
            let committed = self.committed_offset(group, topic, queue)?;
            let committed = committed.unwrap_or(range.min).max(range.min);
            messages += range.max.get().saturating_sub(committed.get());
        }
        let spans = self.time_spans(group, topic)?;
        Ok(Backlog {
            topic: topic.clone(),
            messages,
            oldest: spans.iter().filter_map(|span| span.next).min(),
            last_finished: spans.iter().filter_map(|span| span.consumed).max(),
        })
    }
}
