//! Who wants the messages of which LiteTopics, and who has to look at which of them.
//!
//! In memory only: clients say every 30 s what they subscribe to, and a client that comes back
//! after a restart says it at once.

use std::{
    collections::{BTreeMap, BTreeSet, HashMap},
    sync::Arc,
    time::Duration,
};

use base::{GroupId, QueueId, StreamKey, Timestamp, TopicId};
use tokio::sync::Notify;

use crate::{agenda::Agenda, lite_topic::FIRST_QUEUE};

/// A client in a group, or all of a group that does not choose LiteTopics.
#[derive(Clone, Debug, PartialEq, Eq, PartialOrd, Ord)]
pub(crate) struct SubscriberKey {
    pub(crate) topic: TopicId,
    pub(crate) group: GroupId,
    /// `None` for the group as a whole, which consumes every LiteTopic.
    pub(crate) client: Option<Arc<str>>,
}

/// Number of a subscriber in this process.
#[derive(Clone, Copy, Debug, PartialEq, Eq, PartialOrd, Ord, Hash)]
pub(crate) struct SubscriberId(u32);

/// One that subscribes to LiteTopics.
#[derive(Debug)]
pub(crate) struct Subscriber {
    pub(crate) key: SubscriberKey,
    pub(crate) agenda: Agenda,
    /// Wakes one of its receives that wait.
    pub(crate) notify: Arc<Notify>,
    /// When it last said so, or received.
    pub(crate) seen: Timestamp,
    /// Of a whole group: the LiteTopics that were there before it, up to which it has looked at
    /// them; `None` once it has looked at all.
    pub(crate) walk: Option<StreamKey>,
    /// LiteTopics it chose.
    pub(crate) count: usize,
}

/// All subscribers of a shard.
#[derive(Debug, Default)]
pub(crate) struct LiteSubscriptions {
    last: u32,
    ids: BTreeMap<SubscriberKey, SubscriberId>,
    subscribers: HashMap<SubscriberId, Subscriber>,
    by_stream: BTreeSet<(StreamKey, SubscriberId)>,
    by_subscriber: BTreeSet<(SubscriberId, StreamKey)>,
    /// Those that consume every LiteTopic of a topic.
    whole_groups: BTreeSet<(TopicId, SubscriberId)>,
}

impl LiteSubscriptions {
    /// The subscriber of that key, new if need be.
    pub(crate) fn join(
        &mut self,
        key: &SubscriberKey,
        now: Timestamp,
    ) -> (SubscriberId, &Subscriber) {
        let id = self.id(key).unwrap_or_else(|| self.unused_id(key));
        let subscriber = self.subscribers.entry(id).or_insert_with(|| {
            let first = StreamKey::of_queue(key.topic, QueueId::new(FIRST_QUEUE));
            Subscriber {
                key: key.clone(),
                agenda: Agenda::default(),
                notify: Arc::default(),
                seen: now,
                walk: key.client.is_none().then_some(first),
                count: 0,
            }
        });
        subscriber.seen = now;
        (id, subscriber)
    }

    /// A number for a new subscriber, which is on the lists from now on.
    fn unused_id(&mut self, key: &SubscriberKey) -> SubscriberId {
        self.last = self.last.wrapping_add(1);
        while self.subscribers.contains_key(&SubscriberId(self.last)) {
            self.last = self.last.wrapping_add(1);
        }
        let id = SubscriberId(self.last);
        if key.client.is_none() {
            self.whole_groups.insert((key.topic, id));
        }
        self.ids.insert(key.clone(), id);
        id
    }

    pub(crate) fn id(&self, key: &SubscriberKey) -> Option<SubscriberId> {
        self.ids.get(key).copied()
    }

    pub(crate) fn get_mut(&mut self, id: SubscriberId) -> Option<&mut Subscriber> {
        self.subscribers.get_mut(&id)
    }

    pub(crate) fn get(&self, id: SubscriberId) -> Option<&Subscriber> {
        self.subscribers.get(&id)
    }

    /// Whether a subscriber chose a LiteTopic.
    pub(crate) fn has(&self, id: SubscriberId, stream: StreamKey) -> bool {
        self.by_stream.contains(&(stream, id))
    }

    pub(crate) fn subscriber_count(&self) -> usize {
        self.subscribers.len()
    }

    /// Has a subscriber look at a LiteTopic, now or at a time, if it still wants it.
    pub(crate) fn put(&mut self, id: SubscriberId, stream: StreamKey, time: Option<Timestamp>) {
        let chosen = self.has(id, stream);
        let Some(subscriber) = self.subscribers.get_mut(&id) else {
            return;
        };
        if !chosen && subscriber.key.client.is_some() {
            return;
        }
        match time {
            None => {
                subscriber.agenda.put(stream);
                subscriber.notify.notify_one();
            }
            Some(time) => subscriber.agenda.put_later(stream, time),
        }
    }

    /// Subscriptions to single LiteTopics.
    pub(crate) fn len(&self) -> usize {
        self.by_stream.len()
    }

    /// Subscribes to a LiteTopic, which is to be looked at unless it `is_done`. Says whether that
    /// is new.
    pub(crate) fn add(&mut self, id: SubscriberId, stream: StreamKey, is_done: bool) -> bool {
        let Some(subscriber) = self.subscribers.get_mut(&id) else {
            return false;
        };
        if !self.by_stream.insert((stream, id)) {
            return false;
        }
        self.by_subscriber.insert((id, stream));
        subscriber.count += 1;
        if !is_done {
            subscriber.agenda.put(stream);
            subscriber.notify.notify_one();
        }
        true
    }

    pub(crate) fn remove(&mut self, id: SubscriberId, stream: StreamKey) {
        if !self.by_stream.remove(&(stream, id)) {
            return;
        }
        self.by_subscriber.remove(&(id, stream));
        if let Some(subscriber) = self.subscribers.get_mut(&id) {
            subscriber.count -= 1;
            subscriber.agenda.remove(stream);
        }
    }

    /// Forgets a subscriber with all that it subscribed to.
    pub(crate) fn leave(&mut self, id: SubscriberId) {
        for stream in self.streams(id) {
            self.remove(id, stream);
        }
        if let Some(subscriber) = self.subscribers.remove(&id) {
            self.ids.remove(&subscriber.key);
            self.whole_groups.remove(&(subscriber.key.topic, id));
            // Those who wait find that they subscribe to nothing.
            subscriber.notify.notify_waiters();
        }
    }

    /// What a subscriber chose.
    pub(crate) fn streams(&self, id: SubscriberId) -> Vec<StreamKey> {
        let all = (id, StreamKey::new(0))..=(id, StreamKey::new(u64::MAX));
        let chosen = self.by_subscriber.range(all);
        chosen.map(|(_, stream)| *stream).collect()
    }

    /// Who chose a LiteTopic.
    pub(crate) fn subscribers(&self, stream: StreamKey) -> Vec<SubscriberId> {
        let all = (stream, SubscriberId(0))..=(stream, SubscriberId(u32::MAX));
        self.by_stream.range(all).map(|(_, id)| *id).collect()
    }

    /// Who chose a LiteTopic, if it is there, and who consumes all of its topic.
    pub(crate) fn keys_of(&self, topic: TopicId, stream: Option<StreamKey>) -> Vec<SubscriberKey> {
        let whole = (topic, SubscriberId(0))..=(topic, SubscriberId(u32::MAX));
        let mut ids: Vec<SubscriberId> =
            self.whole_groups.range(whole).map(|(_, id)| *id).collect();
        ids.extend(
            stream
                .into_iter()
                .flat_map(|stream| self.subscribers(stream)),
        );
        let subscribers = ids.into_iter().filter_map(|id| self.get(id));
        subscribers
            .map(|subscriber| subscriber.key.clone())
            .collect()
    }

    /// All who have not been heard of for longer than `silence`.
    pub(crate) fn silent(&self, now: Timestamp, silence: Duration) -> Vec<SubscriberId> {
        let silent = self.subscribers.iter();
        let silent = silent.filter(|(_, subscriber)| now.since(subscriber.seen) > silence);
        silent.map(|(id, _)| *id).collect()
    }

    /// A LiteTopic has something new: for one group, or for all. Whoever subscribes to it looks.
    pub(crate) fn call(&mut self, stream: StreamKey, group: Option<GroupId>) {
        let mut ids = self.subscribers(stream);
        let topic = stream.queue().0;
        let whole = (topic, SubscriberId(0))..=(topic, SubscriberId(u32::MAX));
        ids.extend(self.whole_groups.range(whole).map(|(_, id)| *id));
        for id in ids {
            if let Some(subscriber) = self.subscribers.get_mut(&id)
                && group.is_none_or(|group| subscriber.key.group == group)
            {
                subscriber.agenda.put(stream);
                subscriber.notify.notify_one();
            }
        }
    }
}
