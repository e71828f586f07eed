//! How far a group is behind, as tools of several protocols are told.

use std::collections::{BTreeMap, BTreeSet};

use base::{GroupName, Timestamp, TopicName};

use crate::{Group, Instance, LiteAccumulation, OffsetError, ProgressError, ProgressOf, Shard};

/// How far a group is behind: in one topic, or in several together.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub struct Lag {
    /// Messages that could be handed out.
    pub ready: u64,
    /// Messages handed out and not settled.
    pub in_flight: u64,
    /// When the oldest of both was stored.
    pub oldest: Option<Timestamp>,
    /// When the last message that is settled was stored.
    pub last_finished: Option<Timestamp>,
}

impl Lag {
    /// Both together.
    pub fn and(self, other: Self) -> Self {
        let oldest = [self.oldest, other.oldest].into_iter().flatten().min();
        Self {
            ready: self.ready + other.ready,
            in_flight: self.in_flight + other.in_flight,
            oldest,
            last_finished: self.last_finished.max(other.last_finished),
        }
    }

    /// In one LiteTopic.
    pub fn of_lite_topic(found: &LiteAccumulation) -> Self {
        Self {
            ready: found.ready,
            in_flight: found.in_flight,
            oldest: found.oldest,
            last_finished: found.consumed,
        }
    }
}

/// All topics that a group consumes. A group of LiteTopics consumes nothing else, and its progress
/// may have a million entries.
pub fn topics(
    instance: &Instance,
    shard: &Shard,
    group: &Group,
) -> Result<BTreeSet<TopicName>, ProgressError> {
    let is_there = |topic: &TopicName| instance.topic(topic).is_some();
    let bound = group.spec.lite_topic.iter().cloned();
    let mut topics: BTreeSet<TopicName> = bound.filter(is_there).collect();
    if topics.is_empty() {
        let progress = shard.progress(ProgressOf::Group(group.name()))?;
        topics.extend(progress.into_iter().map(|progress| progress.topic));
        let members = instance.consumers(group.name()).into_iter();
        let consumers = members.filter_map(|member| member.consumer);
        let subscriptions = consumers.flat_map(|consumer| consumer.subscriptions);
        let subscribed = subscriptions.map(|subscription| subscription.topic);
        topics.extend(subscribed.filter(is_there));
    }
    Ok(topics)
}

/// What members of a group have in their hands, by topic.
pub fn in_flight(instance: &Instance, group: &GroupName) -> BTreeMap<TopicName, u64> {
    let metrics = instance.metrics().groups.into_iter();
    let of_group = metrics.filter(|metrics| metrics.group == *group);
    of_group
        .map(|metrics| (metrics.topic, metrics.in_flight))
        .collect()
}

/// How far a group is behind in one topic of no LiteTopics, of which so many messages are in
/// flight.
pub fn of_topic(
    shard: &Shard,
    group: &GroupName,
    topic: &TopicName,
    in_flight: u64,
) -> Result<Lag, OffsetError> {
    let backlog = shard.backlog(group, topic)?;
    // What is in flight counts as not consumed; the two are not read in one moment.
    let in_flight = in_flight.min(backlog.messages);
    Ok(Lag {
        ready: backlog.messages - in_flight,
        in_flight,
        oldest: backlog.oldest,
        last_finished: backlog.last_finished,
    })
}
