//! Reset: a group goes back or forward in a topic, and one group takes over where another is.

use std::collections::BTreeSet;

use base::{GroupId, GroupName, QueueId, QueueOffset, StreamKey, Timestamp, TopicName, limits};

use crate::{GroupNotFound, OffsetError, ProgressError, ProgressOf, Shard, TimeBoundary};

/// Where to.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum ResetTo {
    /// The first message stored at or after a time.
    Time(Timestamp),
    /// Behind the last message.
    End,
    /// An offset of one queue.
    Offset(QueueOffset),
}

/// Why offsets were not reset.
#[derive(Debug, thiserror::Error)]
pub enum ResetOffsetError {
    /// They could not be found or set.
    #[error(transparent)]
    Offset(#[from] OffsetError),
    /// No such group.
    #[error(transparent)]
    GroupNotFound(#[from] GroupNotFound),
    /// The offset is not one of the queue.
    #[error("offset {offset} is not in queue {queue} of topic `{topic}`, which has {min} to {max}")]
    OutOfRange {
        /// The topic.
        topic: TopicName,
        /// The queue.
        queue: QueueId,
        /// The offset asked for.
        offset: QueueOffset,
        /// The queue's first offset.
        min: QueueOffset,
        /// The queue's end.
        max: QueueOffset,
    },
    /// An offset was given without the queue that it belongs to.
    #[error("offset {offset} is given without a queue")]
    NoQueue {
        /// The offset asked for.
        offset: QueueOffset,
    },
    /// The time is longer ago than the series of the instance allows.
    #[error("time to reset to is {ago_ms} ms ago, expected at most {max_ms} ms")]
    TooLongAgo {
        /// Milliseconds since that time.
        ago_ms: u128,
        /// Most milliseconds.
        max_ms: u64,
    },
    /// What the source has committed could not be read.
    #[error(transparent)]
    Progress(#[from] ProgressError),
}

impl Shard {
    /// Sets how far `group` has come in one queue of a topic, or in all of them. What it has in
    /// flight there counts as never handed out. Returns the new offsets, of which each queue's
    /// next pull is told too, see [`Shard::take_reset`].
    ///
    /// # Errors
    /// When topic, group or queue are not there, the offset is outside the queue, or the time
    /// longer ago than the series of the instance allows.
    pub async fn reset_offset(
        &self,
        group: &GroupName,
        topic: &TopicName,
        queue: Option<QueueId>,
        to: ResetTo,
    ) -> Result<Vec<(QueueId, QueueOffset)>, ResetOffsetError> {
        let known = self
            .catalogue
            .known_topic(topic)
            .map_err(OffsetError::from)?;
        let group_id = self.catalogue.known_group(group)?.id;
        self.check_reset(to)?;
        let queues: Vec<QueueId> = match queue {
            Some(queue) => vec![known.queue(queue).map_err(OffsetError::from)?],
            None => known.queues().collect(),
        };
        let mut targets = Vec::with_capacity(queues.len());
        for target in queues {
            let offset = match to {
                ResetTo::Time(time) => {
                    self.offset_by_time(topic, target, time, TimeBoundary::Lower)?
                }
                ResetTo::End => self.queue_range(topic, target)?.max,
                ResetTo::Offset(offset) => {
                    if queue.is_none() {
                        return Err(ResetOffsetError::NoQueue { offset });
                    }
                    let range = self.queue_range(topic, target)?;
                    if offset < range.min || offset > range.max {
                        let topic = topic.clone();
                        let (queue, min, max) = (target, range.min, range.max);
                        return Err(ResetOffsetError::OutOfRange {
                            topic,
                            queue,
                            offset,
                            min,
                            max,
                        });
                    }
                    offset
                }
            };
            targets.push((target, offset));
        }
        for (queue, offset) in &targets {
            self.commit_offset(group, topic, *queue, *offset).await?;
            let place = (Self::stream(&known, *queue), group_id);
            let resets = &mut self.state.lock().resets;
            if resets.len() < limits::RESETS_UNTOLD_MAX || resets.contains_key(&place) {
                resets.insert(place, offset.get());
            }
        }
        Ok(targets)
    }

    fn check_reset(&self, to: ResetTo) -> Result<(), ResetOffsetError> {
        let max_ms = self.catalogue.settings.series.limits().reset_ms;
        if let (ResetTo::Time(time), Some(max_ms)) = (to, max_ms) {
            let ago_ms = self.clock.now().since(time).as_millis();
            if ago_ms > u128::from(max_ms) {
                return Err(ResetOffsetError::TooLongAgo { ago_ms, max_ms });
            }
        }
        Ok(())
    }

    fn reset_place(
        &self,
        group: &GroupName,
        topic: &TopicName,
        queue: QueueId,
    ) -> Option<(StreamKey, GroupId)> {
        self.queue_of_group(group, topic, queue).ok().flatten()
    }

    /// The offset that a queue of the group was reset to, if no pull has been told of it: once. Who
    /// pulls keeps an offset of its own and would go on from there. Forgotten at a restart.
    pub fn take_reset(
        &self,
        group: &GroupName,
        topic: &TopicName,
        queue: QueueId,
    ) -> Option<QueueOffset> {
        let place = self.reset_place(group, topic, queue)?;
        let reset = self.state.lock().resets.remove(&place)?;
        Some(QueueOffset::new(reset))
    }

    /// Whether a reset has yet to be taken: until then a commit is of what came before it.
    pub fn has_reset(&self, group: &GroupName, topic: &TopicName, queue: QueueId) -> bool {
        self.reset_place(group, topic, queue)
            .is_some_and(|place| self.state.lock().resets.contains_key(&place))
    }

    /// Takes `destination` to where `source` is: on one topic, or on all that `source` has come
    /// somewhere in and that are among `only`, if it is given.
    ///
    /// # Errors
    /// When the offsets cannot be read or set.
    pub async fn clone_offset(
        &self,
        source: &GroupName,
        destination: &GroupName,
        topic: Option<&TopicName>,
        only: Option<&BTreeSet<TopicName>>,
    ) -> Result<(), ResetOffsetError> {
        for progress in self.progress(ProgressOf::Group(source))? {
            let is_asked = topic.is_none_or(|topic| *topic == progress.topic);
            let is_among = only.is_none_or(|only| only.contains(&progress.topic));
            if is_asked && is_among {
                let (queue, committed) = (progress.queue, progress.committed);
                self.commit_offset(destination, &progress.topic, queue, committed)
                    .await?;
            }
        }
        Ok(())
    }
}
