//! Offsets: how far a group has come in a queue, and where a queue starts and ends.

use base::{
    ErrorKind, GroupId, GroupName, PhysicalOffset, QueueId, QueueOffset, StreamKey, Timestamp,
    TopicName, limits,
};
use store::kv::KvError;

use crate::{GroupNotFound, QueueNotFound, Shard, TopicNotFound, records::Offset, state::State};

/// First offset and end of a queue.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct QueueRange {
    /// Offset of the first message still there; equal to `max` if there is none.
    pub min: QueueOffset,
    /// Offset of the next message to come.
    pub max: QueueOffset,
}

/// Where one message of a queue is.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct QueueEntry {
    /// Where it is stored.
    pub physical_offset: PhysicalOffset,
    /// Bytes of its record.
    pub bytes: u32,
    /// Java hash of its tag, 0 without one.
    pub tag_hash: i32,
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
        source: KvError,
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
    pub(crate) fn queue_stream(
        &self,
        topic: &TopicName,
        queue: QueueId,
    ) -> Result<StreamKey, OffsetError> {
        let topic = self.catalogue.known_topic(topic)?;
        Ok(Self::stream(&topic, topic.queue(queue)?))
    }

    /// The stream of a queue, and the group; `None` if there is no such group.
    pub(crate) fn queue_of_group(
        &self,
        group: &GroupName,
        topic: &TopicName,
        queue: QueueId,
    ) -> Result<Option<(StreamKey, GroupId)>, OffsetError> {
        let stream = self.queue_stream(topic, queue)?;
        let group = self.catalogue.group(group);
        Ok(group.map(|group| (stream, group.id)))
    }

    pub(crate) fn offsets<T>(
        &self,
        topic: &TopicName,
        action: impl FnOnce(&mut State) -> Result<T, KvError>,
    ) -> Result<T, OffsetError> {
        action(&mut self.state.lock()).map_err(|source| OffsetError::State {
            topic: topic.clone(),
            source,
        })
    }

    /// First offset and end of a queue.
    pub fn queue_range(
        &self,
        topic: &TopicName,
        queue: QueueId,
    ) -> Result<QueueRange, OffsetError> {
        let stream = self.queue_stream(topic, queue)?;
        let start = self.log.start();
        self.offsets(topic, |state| {
            let min = state.refresh_min(stream, start)?;
            let max = state.queue(stream)?.tail.end();
            Ok(QueueRange {
                min: QueueOffset::new(min),
                max: QueueOffset::new(max),
            })
        })
    }

    /// Sets how far `group` has come: the offset of the next message it wants. Does not wait for
    /// the disk. Creates the group where the instance allows it.
    pub async fn commit_offset(
        &self,
        group: &GroupName,
        topic: &TopicName,
        queue: QueueId,
        offset: QueueOffset,
    ) -> Result<(), OffsetError> {
        let stream = self.queue_stream(topic, queue)?;
        let known = self.catalogue.group_or_create(group).await?;
        let known = known.ok_or_else(|| GroupNotFound {
            group: group.clone(),
            instance: self.catalogue.instance.clone(),
        })?;
        let mut state = self.state.lock();
        let consumption =
            state
                .consumption(stream, known.id)
                .map_err(|source| OffsetError::State {
                    topic: topic.clone(),
                    source,
                })?;
        // Also of what was acknowledged when the log took no record of it.
        let clears = !consumption.is_forgettable();
        if consumption.next() == Some(offset.get()) && !clears {
            return Ok(());
        }
        let record = Offset {
            group: known.id,
            next: offset.get(),
            clears,
        };
        self.append_offset(stream, record)
            .map_err(|source| OffsetError::Log {
                group: group.clone(),
                source,
            })?;
        consumption.reset(offset.get());
        // There may be messages now for who waits.
        state.wake_group(stream, known.id);
        Ok(())
    }

    /// How far `group` has come, `None` if it has never committed there. With messages in flight,
    /// the first of them. Unknown groups have come nowhere.
    pub fn committed_offset(
        &self,
        group: &GroupName,
        topic: &TopicName,
        queue: QueueId,
    ) -> Result<Option<QueueOffset>, OffsetError> {
        let Some((stream, group)) = self.queue_of_group(group, topic, queue)? else {
            return Ok(None);
        };
        let committed = self.offsets(topic, |state| {
            Ok(state.consumption(stream, group)?.committed())
        })?;
        Ok(committed.map(QueueOffset::new))
    }

    /// The offset that belongs to a time. Before all messages: the first offset. After all: the
    /// end, or with [`TimeBoundary::Upper`] the last message.
    pub fn offset_by_time(
        &self,
        topic: &TopicName,
        queue: QueueId,
        time: Timestamp,
        boundary: TimeBoundary,
    ) -> Result<QueueOffset, OffsetError> {
        let stream = self.queue_stream(topic, queue)?;
        let range = self.queue_range(topic, queue)?;
        self.offsets(topic, |state| {
            // Store times never fall within a queue but for a clock set back, where any answer near
            // the time will do; so halving finds the place.
            let is_before = |stored: Timestamp| match boundary {
                TimeBoundary::Lower => stored < time,
                TimeBoundary::Upper => stored <= time,
            };
            let (mut low, mut high) = (range.min.get(), range.max.get());
            while low < high {
                let middle = low + (high - low) / 2;
                match state.entry(stream, middle)? {
                    Some(entry) if !is_before(entry.stored) => high = middle,
                    _ => low = middle + 1,
                }
            }
            let found = match boundary {
                TimeBoundary::Lower => low,
                TimeBoundary::Upper => low.saturating_sub(1).max(range.min.get()),
            };
            Ok(QueueOffset::new(found))
        })
    }

    /// When the message of an offset was stored, `None` if it is not there.
    pub fn store_time(
        &self,
        topic: &TopicName,
        queue: QueueId,
        offset: QueueOffset,
    ) -> Result<Option<Timestamp>, OffsetError> {
        let stream = self.queue_stream(topic, queue)?;
        let range = self.queue_range(topic, queue)?;
        if offset < range.min || offset >= range.max {
            return Ok(None);
        }
        let entry = self.offsets(topic, |state| state.entry(stream, offset.get()))?;
        Ok(entry.map(|entry| entry.stored))
    }

    /// Up to `count` entries of a queue's index, from `first` on; `None` if `first` is not there.
    /// Capped at [`limits::PULL_MESSAGES_MAX`].
    pub fn queue_entries(
        &self,
        topic: &TopicName,
        queue: QueueId,
        first: QueueOffset,
        count: usize,
    ) -> Result<Option<Vec<QueueEntry>>, OffsetError> {
        let stream = self.queue_stream(topic, queue)?;
        let range = self.queue_range(topic, queue)?;
        if first < range.min || first >= range.max {
            return Ok(None);
        }
        let count = count.min(limits::PULL_MESSAGES_MAX) as u64;
        let end = range.max.get().min(first.get().saturating_add(count));
        let mut entries = Vec::new();
        for offset in first.get()..end {
            let Some(entry) = self.offsets(topic, |state| state.entry(stream, offset))? else {
                break;
            };
            entries.push(QueueEntry {
                physical_offset: PhysicalOffset::new(self.id, entry.position),
                bytes: entry.len,
                tag_hash: entry.tag_hash,
            });
        }
        Ok(Some(entries))
    }

    /// When the first message still in the queue was stored, `None` if there is none.
    pub fn earliest_store_time(
        &self,
        topic: &TopicName,
        queue: QueueId,
    ) -> Result<Option<Timestamp>, OffsetError> {
        let stream = self.queue_stream(topic, queue)?;
        let range = self.queue_range(topic, queue)?;
        self.offsets(topic, |state| {
            Ok(state
                .entry(stream, range.min.get())?
                .map(|entry| entry.stored))
        })
    }
}
