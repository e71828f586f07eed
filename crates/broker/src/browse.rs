//! Browse: the messages of a topic that were stored in some time, page by page.
//!
//! A page is found by its number alone: the times say which offsets of each queue are meant, and
//! numbers are counted through the queues. So nothing is remembered between two pages, and none
//! costs more than another.

use std::time::Duration;

use base::{ErrorKind, LiteTopicName, QueueId, QueueOffset, Timestamp, TopicName, limits};
use wire::message::StoredMessage;

use crate::{Filter, OffsetError, PullError, PullRequest, Shard, TimeBoundary};

/// Which messages to show.
#[derive(Clone, Debug)]
pub struct BrowseRequest {
    /// The topic.
    pub topic: TopicName,
    /// Only messages of this LiteTopic of it; `None` is all that are in no LiteTopic.
    pub lite_topic: Option<LiteTopicName>,
    /// Only messages stored at or after this time.
    pub from: Timestamp,
    /// Only messages stored before this time.
    pub to: Timestamp,
    /// How many of them come before those wanted.
    pub skip: u64,
    /// Most messages wanted; capped at [`limits::BROWSE_MESSAGES_MAX`].
    pub max_messages: usize,
}

/// A page of messages.
#[derive(Clone, Debug)]
pub struct Browsed {
    /// The messages, queue by queue, in the order of their queues.
    pub messages: Vec<StoredMessage>,
    /// How many there are on all pages.
    pub total: u64,
}

/// Why there is no page.
#[derive(Debug, thiserror::Error)]
pub enum BrowseError {
    /// No such topic, or its queues cannot be read.
    #[error(transparent)]
    Offset(#[from] OffsetError),
    /// The messages cannot be read.
    #[error(transparent)]
    Pull(#[from] PullError),
}

impl BrowseError {
    /// What the caller should do.
    pub fn kind(&self) -> ErrorKind {
        match self {
            Self::Offset(error) => error.kind(),
            Self::Pull(error) => error.kind(),
        }
    }
}

impl Shard {
    /// Messages of the queues of a topic, or of one LiteTopic; one that is not there has none.
    ///
    /// # Errors
    /// When the topic is not there, or cannot be read.
    pub async fn browse(&self, request: BrowseRequest) -> Result<Browsed, BrowseError> {
        let name = &request.topic;
        let topic = self
            .catalogue
            .known_topic(name)
            .map_err(OffsetError::from)?;
        let messages_max = request.max_messages.min(limits::BROWSE_MESSAGES_MAX);
        let (mut messages, mut total, mut skip) = (Vec::new(), 0, request.skip);
        let queues: Vec<QueueId> = match &request.lite_topic {
            None => topic.queues().collect(),
            Some(lite_topic) => self
                .lite_topic_queue(name, lite_topic)?
                .into_iter()
                .collect(),
        };
        for queue in queues {
            let at = |time| self.offset_by_time(name, queue, time, TimeBoundary::Lower);
            let (first, end) = (at(request.from)?.get(), at(request.to)?.get());
            let count = end.saturating_sub(first);
            total += count;
            let room = messages_max - messages.len();
            if skip >= count || room == 0 {
                skip = skip.saturating_sub(count);
                continue;
            }
            let first = first + std::mem::take(&mut skip);
            let end = end.min(first.saturating_add(room as u64));
            self.read_run(name, queue, (first, end), &mut messages)
                .await?;
        }
        Ok(Browsed { messages, total })
    }

    async fn read_run(
        &self,
        topic: &TopicName,
        queue: QueueId,
        (mut next, end): (u64, u64),
        messages: &mut Vec<StoredMessage>,
    ) -> Result<(), PullError> {
        while next < end {
            let pulled = self
                .pull(PullRequest {
                    group: None,
                    topic: topic.clone(),
                    queue,
                    offset: QueueOffset::new(next),
                    max_messages: usize::try_from(end - next).unwrap_or(usize::MAX),
                    max_bytes: usize::MAX,
                    filter: Filter::All,
                    wait: Duration::ZERO,
                })
                .await?;
            // Retention may take what is being read.
            if pulled.messages.is_empty() || pulled.next.get() <= next {
                break;
            }
            next = pulled.next.get();
            messages.extend(pulled.messages);
        }
        Ok(())
    }
}
