//! Progress: who has come how far, over many groups and topics. For administration; the state is
//! read in pages, so that nobody else waits long.

use std::collections::{BTreeMap, HashMap};

use base::{GroupId, GroupName, QueueId, QueueOffset, StreamKey, TopicId, TopicName, limits};
use store::kv::KvError;

use crate::{Shard, keys, state};

/// How far one group has come in one queue.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Progress {
    /// The topic.
    pub topic: TopicName,
    /// The group.
    pub group: GroupName,
    /// The queue.
    pub queue: QueueId,
    /// Everything before is done.
    pub committed: QueueOffset,
}

/// Whose progress is asked for.
#[derive(Clone, Copy, Debug)]
pub enum ProgressOf<'a> {
    /// Every group on one topic.
    Topic(&'a TopicName),
    /// One group on every topic.
    Group(&'a GroupName),
    /// Everything, at most [`limits::PROGRESS_ENTRIES_MAX`] of it.
    All,
}

/// Why progress was not told.
#[derive(Debug, thiserror::Error)]
pub enum ProgressError {
    /// More entries than one answer may have.
    #[error(
        "groups have committed in more than {limit} queues, which is more than one answer holds"
    )]
    TooMany {
        /// Entries that an answer may have.
        limit: usize,
    },
    /// The state could not be read.
    #[error("read progress of groups")]
    State(#[from] KvError),
}

/// Entries looked at while nobody else may touch the state.
const ENTRIES_PER_PAGE: usize = 1_024;

impl Shard {
    /// How far groups have come, in order of topic and queue. Groups and topics that do not exist
    /// have come nowhere.
    ///
    /// # Errors
    /// When it is too much for one answer, or the state cannot be read.
    pub fn progress(&self, of: ProgressOf<'_>) -> Result<Vec<Progress>, ProgressError> {
        let groups: HashMap<GroupId, GroupName> = match of {
            ProgressOf::Group(name) => self.catalogue.group(name).into_iter().collect::<Vec<_>>(),
            ProgressOf::Topic(_) | ProgressOf::All => self.catalogue.groups(),
        }
        .iter()
        .map(|group| (group.id, group.name().clone()))
        .collect();
        let (first, last) = match of {
            ProgressOf::Topic(name) => match self.catalogue.topic(name) {
                Some(topic) => (topic.id, topic.id),
                None => return Ok(Vec::new()),
            },
            ProgressOf::Group(_) | ProgressOf::All => (TopicId::new(0), TopicId::new(u32::MAX)),
        };
        let found = self.pairs((first, last), |group| groups.contains_key(&group))?;
        let limit = limits::PROGRESS_ENTRIES_MAX;
        let mut progress = Vec::new();
        for ((stream, group), committed) in found {
            let (topic, queue) = stream.queue();
            let (Some(topic), Some(group)) =
                (self.catalogue.topic_by_id(topic), groups.get(&group))
            else {
                continue;
            };
            if topic.queue(queue).is_err() {
                continue;
            }
            if progress.len() >= limit {
                return Err(ProgressError::TooMany { limit });
            }
            progress.push(Progress {
                topic: topic.name().clone(),
                group: group.clone(),
                queue,
                committed: QueueOffset::new(committed),
            });
        }
        progress.sort_by(|a, b| (&a.topic, a.queue, &a.group).cmp(&(&b.topic, b.queue, &b.group)));
        Ok(progress)
    }

    /// What groups have committed on the topics from `first` to `last`.
    fn pairs(
        &self,
        (first, last): (TopicId, TopicId),
        is_wanted: impl Fn(GroupId) -> bool,
    ) -> Result<BTreeMap<(StreamKey, GroupId), u64>, ProgressError> {
        let queues = |topic, queue| StreamKey::of_queue(topic, QueueId::new(queue));
        let (from, to) = (queues(first, 0), queues(last, u32::MAX));
        let mut start = keys::consumption(from, GroupId::new(0));
        let end = state::next_key(&keys::consumption(to, GroupId::new(u32::MAX)));
        let mut found = BTreeMap::new();
        loop {
            let state = self.state.lock();
            let page = state.range(&start, &end, ENTRIES_PER_PAGE)?;
            for (key, value) in &page {
                let (Some(stream), Some(group)) = (keys::stream_of(key), keys::group_of(key))
                else {
                    continue;
                };
                let next = value.first_chunk().map(|next| u64::from_le_bytes(*next));
                if let Some(next) = next.filter(|_| is_wanted(group)) {
                    let committed = state.first_in_flight(stream, group)?.unwrap_or(next);
                    found.insert((stream, group), committed);
                }
            }
            if page.len() < ENTRIES_PER_PAGE {
                break;
            }
            start = page.last().map_or(start, |(last, _)| state::next_key(last));
        }
        // What is at work is ahead of what is durable.
        let state = self.state.lock();
        for ((stream, group), consumption) in &state.consumptions {
            let is_here = (from..=to).contains(stream) && is_wanted(*group);
            if let Some(committed) = consumption.committed().filter(|_| is_here) {
                found.insert((*stream, *group), committed);
            }
        }
        Ok(found)
    }
}
