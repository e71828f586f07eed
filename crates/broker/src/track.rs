//! Track: what has become of a message in each group that may get it.

use std::collections::BTreeSet;

use base::{GroupName, QueueId, TopicName};
use wire::message::StoredMessage;

use crate::{ConsumeMode, ProgressError, ProgressOf, Shard};

/// What has become of a message in a group.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Track {
    /// The group is done with it.
    Consumed,
    /// The group is done with it, and its filter matches it not.
    Filtered,
    /// Its consumers ask for messages by themselves, and have not come to it.
    Pull,
    /// The group has yet to finish it.
    NotYet,
    /// The group has yet to finish it, and no consumer is connected.
    NotOnline,
}

impl Shard {
    /// What has become of a message in the groups that subscribe to its topic or have come
    /// somewhere in it, by name.
    ///
    /// # Errors
    /// When the state cannot be read.
    pub fn track(&self, message: &StoredMessage) -> Result<Vec<(GroupName, Track)>, ProgressError> {
        let now = self.clock.now();
        let name = TopicName::new(message.topic()).ok();
        let Some(topic) = name.and_then(|name| self.catalogue.topic(&name)) else {
            return Ok(Vec::new());
        };
        let progress = self.progress(ProgressOf::Topic(topic.name()))?;
        let mut groups: BTreeSet<GroupName> = progress.into_iter().map(|it| it.group).collect();
        groups.extend(self.clients.subscribed_groups(topic.name(), now));
        let stream = Self::stream(&topic, QueueId::new(message.queue_id()));
        let offset = message.queue_offset().cast_unsigned();
        let mut tracks = Vec::with_capacity(groups.len());
        for group in groups {
            let Some(known) = self.catalogue.group(&group) else {
                continue;
            };
            let is_done = {
                let mut state = self.state.lock();
                let consumption = state.consumption(stream, known.id)?;
                let has_passed = consumption.next().is_some_and(|next| next > offset);
                has_passed && consumption.get(offset).is_none()
            };
            let subscription = self.clients.subscription(&group, topic.name());
            let matches = subscription.is_none_or(|it| it.filter.matches(message.properties_raw()));
            let members = self.clients.consumers(&group, now);
            let mode = members.first().and_then(|member| member.consumer.as_ref());
            let track = match mode.map(|consumer| consumer.mode) {
                _ if is_done && matches => Track::Consumed,
                _ if is_done => Track::Filtered,
                None => Track::NotOnline,
                Some(ConsumeMode::Pull) => Track::Pull,
                Some(ConsumeMode::Push) => Track::NotYet,
            };
            tracks.push((group, track));
        }
        Ok(tracks)
    }
}
