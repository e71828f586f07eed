//! Which group consumes which topic, as tools of several protocols are told.

use std::collections::{BTreeMap, BTreeSet};

use base::{GroupName, TopicName};

use crate::{
    Instance, MessageModel, ProgressError, ProgressOf, RegisteredClient, Shard, Subscription,
};

/// The topics of each group, by what its members subscribe to and what it has committed in: of
/// one group, of one topic, or all.
pub fn pairs(
    instance: &Instance,
    shard: &Shard,
    topic: Option<&TopicName>,
    group: Option<&GroupName>,
) -> Result<BTreeMap<GroupName, BTreeSet<TopicName>>, ProgressError> {
    let of = match (group, topic) {
        (Some(group), _) => ProgressOf::Group(group),
        (None, Some(topic)) => ProgressOf::Topic(topic),
        (None, None) => ProgressOf::All,
    };
    let mut pairs: BTreeMap<GroupName, BTreeSet<TopicName>> = BTreeMap::new();
    for progress in shard.progress(of)? {
        let topics = pairs.entry(progress.group).or_default();
        topics.insert(progress.topic);
    }
    let groups = match (group, topic) {
        (Some(group), _) => BTreeSet::from([group.clone()]),
        (None, Some(topic)) => instance.subscribed_groups(topic),
        (None, None) => BTreeSet::new(),
    };
    for group in groups {
        let members = instance.consumers(&group);
        let subscribed = members
            .iter()
            .filter_map(|member| member.consumer.as_ref())
            .flat_map(|consumer| &consumer.subscriptions)
            .map(|subscription| subscription.topic.clone());
        pairs.entry(group).or_default().extend(subscribed);
    }
    for topics in pairs.values_mut() {
        topics.retain(|known| {
            // Retries belong to the subscription that they come from.
            topic.is_none_or(|asked| asked == known) && known.retry_group().is_none()
        });
    }
    Ok(pairs)
}

/// A member of a group and its subscription to one topic.
pub type Subscriber<'a> = (&'a RegisteredClient, MessageModel, &'a Subscription);

/// The members that subscribe to a topic.
pub fn subscribers<'a>(members: &'a [RegisteredClient], topic: &TopicName) -> Vec<Subscriber<'a>> {
    let of = |member: &'a RegisteredClient| {
        let consumer = member.consumer.as_ref()?;
        let mut subscriptions = consumer.subscriptions.iter();
        let found = subscriptions.find(|subscription| subscription.topic == *topic)?;
        Some((member, consumer.model, found))
    };
    members.iter().filter_map(of).collect()
}

/// Whether all members say the same.
pub fn is_consistent(members: &[RegisteredClient], subscribers: &[Subscriber<'_>]) -> bool {
    let mut filters = subscribers.iter().map(|(_, _, it)| &it.filter);
    let first = filters.next();
    members.len() == subscribers.len() && filters.all(|filter| Some(filter) == first)
}
