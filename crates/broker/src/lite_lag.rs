//! Lag in LiteTopics, of each group in all LiteTopics of a topic together: counted as records are
//! applied and kept with the checkpoints, since nobody can look at a million LiteTopics to tell it.
//!
//! A LiteTopic counts for a group from the first time on that the group received of it or said
//! where to begin; as in Apache 5.5 (`LiteConsumerLagCalculator`), where others have no offset.

use std::collections::{BTreeMap, BTreeSet};

use base::{GroupId, StreamKey, TopicId};
use bytes::Bytes;
use store::kv::{KvError, StateKv};

use crate::{keys, lite_topic::is_lite, records::take_u64, state::State};

/// Messages behind the place up to which a group was handed out, by topic and group.
#[derive(Debug, Default)]
pub(crate) struct LiteLags {
    counts: BTreeMap<(TopicId, GroupId), i64>,
    /// Those that no checkpoint has written.
    dirty: BTreeSet<(TopicId, GroupId)>,
}

impl LiteLags {
    /// As of the last checkpoint.
    pub(crate) fn open(kv: &dyn StateKv) -> Result<Self, KvError> {
        let (from, to) = ([keys::LITE_LAG], [keys::LITE_LAG + 1]);
        let mut lags = Self::default();
        for (key, value) in kv.range(&from, &to, false, usize::MAX)? {
            let (topic, group) = (keys::topic_of(&key), keys::group_of_lag(&key));
            if let (Some(topic), Some(group)) = (topic, group)
                && let Some(count) = take_u64(&mut &value[..])
            {
                lags.counts.insert((topic, group), count.cast_signed());
            }
        }
        Ok(lags)
    }

    /// All of them.
    pub(crate) fn iter(&self) -> impl Iterator<Item = (TopicId, GroupId, u64)> {
        let counts = self.counts.iter();
        counts.map(|((topic, group), count)| (*topic, *group, u64::try_from(*count).unwrap_or(0)))
    }

    /// Forgets those of topics and groups that are gone.
    pub(crate) fn retain(&mut self, lives: impl Fn(TopicId, GroupId) -> bool) {
        self.counts
            .retain(|(topic, group), _| lives(*topic, *group));
    }

    fn has(&self, topic: TopicId, group: GroupId) -> bool {
        self.counts.contains_key(&(topic, group))
    }

    /// Groups that have a count in a topic.
    fn groups(&self, topic: TopicId) -> Vec<GroupId> {
        let all = (topic, GroupId::new(0))..=(topic, GroupId::new(u32::MAX));
        let counts = self.counts.range(all);
        counts.map(|((_, group), _)| *group).collect()
    }

    fn add(&mut self, topic: TopicId, group: GroupId, more: i64) {
        *self.counts.entry((topic, group)).or_default() += more;
        self.dirty.insert((topic, group));
    }
}

impl State {
    /// How far a group has been handed out of a queue by the records that were applied; `None` if
    /// it was never there.
    pub(crate) fn recorded_next(
        &self,
        stream: StreamKey,
        group: GroupId,
    ) -> Result<Option<u64>, KvError> {
        // Memory may be ahead of the log, but knows where it is.
        if let Some(consumption) = self.consumptions.get(&(stream, group)) {
            return Ok(consumption.recorded);
        }
        let next = self.get(&keys::consumption(stream, group))?;
        Ok(next.as_deref().and_then(|mut value| take_u64(&mut value)))
    }

    /// A message of a LiteTopic is applied.
    pub(crate) fn lag_of_message(&mut self, stream: StreamKey) -> Result<(), KvError> {
        if !is_lite(stream) {
            return Ok(());
        }
        let (topic, _) = stream.queue();
        for group in self.lite.lags.groups(topic) {
            if self.recorded_next(stream, group)?.is_some() {
                self.lite.lags.add(topic, group, 1);
            }
        }
        Ok(())
    }

    /// A record is applied by which a group has come to `next`; called before it counts.
    pub(crate) fn lag_of_next(
        &mut self,
        stream: StreamKey,
        group: GroupId,
        next: u64,
    ) -> Result<(), KvError> {
        if !is_lite(stream) {
            return Ok(());
        }
        let (topic, _) = stream.queue();
        let before = match self.lite.lags.has(topic, group) {
            true => self.recorded_next(stream, group)?,
            false => None,
        };
        let from = match before {
            Some(before) => before,
            // A receive that was under way when the LiteTopic ended.
            None if self.is_lite_topic_gone(stream)? => return Ok(()),
            None => self.queue(stream)?.tail.end(),
        };
        let more = from.cast_signed() - next.cast_signed();
        self.lite.lags.add(topic, group, more);
        Ok(())
    }

    /// The end of a LiteTopic is applied: nobody is behind in it any more, nor was ever there.
    pub(crate) fn lag_of_end(&mut self, stream: StreamKey) -> Result<(), KvError> {
        let (topic, _) = stream.queue();
        for group in self.lite.lags.groups(topic) {
            if let Some(next) = self.recorded_next(stream, group)? {
                let end = self.queue(stream)?.tail.end();
                let less = next.cast_signed() - end.cast_signed();
                self.lite.lags.add(topic, group, less);
                self.pending.insert(keys::consumption(stream, group), None);
                if let Some(consumption) = self.consumptions.get_mut(&(stream, group)) {
                    consumption.recorded = None;
                }
            }
        }
        Ok(())
    }

    /// Hands the counts that have changed to the next checkpoint.
    pub(crate) fn write_lite_lags(&mut self) {
        let lags = &mut self.lite.lags;
        for (topic, group) in std::mem::take(&mut lags.dirty) {
            let key = keys::lite_lag(topic, group);
            let count = lags.counts.get(&(topic, group));
            let value = count.map(|count| Bytes::copy_from_slice(&count.to_le_bytes()));
            self.pending.insert(key, value);
        }
    }
}
