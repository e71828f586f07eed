//! Accumulation in LiteTopics: how many there are, who subscribes to one, and how far a group is
//! behind in each. For administration. What nobody uses is read where it is stored and not brought
//! into memory, so that a look at a million LiteTopics leaves nothing behind.

use base::{
    GroupName, LiteTopicName, LogPosition, QueueId, QueueOffset, StreamKey, Timestamp, TopicName,
};
use store::kv::KvError;

use crate::{
    Group, OffsetError, QueueRange, Shard, Start, Topic, keys,
    lite_subscriptions::{Subscriber, SubscriberKey},
    lite_topic::FIRST_QUEUE,
    records::take_u64,
    state::{State, decode_queue, next_key},
};

/// LiteTopics looked at while nobody else may touch the state.
const LITE_TOPICS_PER_PAGE: usize = 128;

/// Deliveries in flight that are counted where they are stored.
const STORED_IN_FLIGHT_MAX: usize = 4_096;

/// How far one group has come in one LiteTopic.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct LiteAccumulation {
    /// The LiteTopic.
    pub name: LiteTopicName,
    /// Its queue.
    pub queue: QueueId,
    /// Its messages.
    pub range: QueueRange,
    /// Everything before is done; `None` if the group has never received of it.
    pub committed: Option<QueueOffset>,
    /// Messages that could be handed out.
    pub ready: u64,
    /// Messages handed out and not settled.
    pub in_flight: u64,
    /// When the oldest of both was stored.
    pub oldest: Option<Timestamp>,
    /// When the last message that the group has finished was stored.
    pub consumed: Option<Timestamp>,
}

impl LiteAccumulation {
    /// Messages that the group has not finished.
    pub fn behind(&self) -> u64 {
        self.ready + self.in_flight
    }
}

/// Some LiteTopics of a topic, and where the others begin.
#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub struct LiteAccumulationPage {
    /// In the order of their creation.
    pub lite_topics: Vec<LiteAccumulation>,
    /// The first queue of the next page, `None` at the end.
    pub next: Option<QueueId>,
}

/// Who subscribes to LiteTopics.
#[derive(Clone, Debug, PartialEq, Eq, PartialOrd, Ord)]
pub struct LiteSubscriber {
    /// The group.
    pub group: GroupName,
    /// The client; `None` for a group that consumes every LiteTopic.
    pub client: Option<String>,
}

/// What one client subscribes to.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct LiteSubscription {
    /// Some of its LiteTopics.
    pub lite_topics: Vec<LiteTopicName>,
    /// How many they are in all.
    pub count: usize,
    /// When the client last said so, or received.
    pub seen: Timestamp,
}

impl Shard {
    /// The queue of a LiteTopic, `None` if there is no such LiteTopic.
    ///
    /// # Errors
    /// When there is no such topic, or the state cannot be read.
    pub fn lite_topic_queue(
        &self,
        topic: &TopicName,
        name: &LiteTopicName,
    ) -> Result<Option<QueueId>, OffsetError> {
        let known = self.catalogue.known_topic(topic)?;
        self.offsets(topic, |state| state.lite_queue(known.id, name))
    }

    /// How many LiteTopics a topic has.
    ///
    /// # Errors
    /// When there is no such topic, or the state cannot be read.
    pub fn lite_topic_count(&self, topic: &TopicName) -> Result<u64, OffsetError> {
        let known = self.catalogue.known_topic(topic)?;
        self.offsets(topic, |state| Ok(state.lite_counts(known.id)?.live))
    }

    /// Subscriptions to single LiteTopics, of all topics.
    pub fn lite_subscription_count(&self) -> usize {
        self.state.lock().lite.subscriptions.len()
    }

    /// Who subscribes to a LiteTopic, groups that consume every one included.
    ///
    /// # Errors
    /// When there is no such topic, or the state cannot be read.
    pub fn lite_subscribers(
        &self,
        topic: &TopicName,
        name: &LiteTopicName,
    ) -> Result<Vec<LiteSubscriber>, OffsetError> {
        let known = self.catalogue.known_topic(topic)?;
        let keys: Vec<SubscriberKey> = self.offsets(topic, |state| {
            let queue = state.lite_queue(known.id, name)?;
            let stream = queue.map(|queue| Self::stream(&known, queue));
            let all = &state.lite.subscriptions;
            Ok(all.keys_of(known.id, stream))
        })?;
        let groups = self.catalogue.groups();
        let subscribers = keys.into_iter().filter_map(|key| {
            let group = groups.iter().find(|group| group.id == key.group)?;
            Some(LiteSubscriber {
                group: group.name().clone(),
                client: key.client.map(|client| client.to_string()),
            })
        });
        let mut subscribers: Vec<LiteSubscriber> = subscribers.collect();
        subscribers.sort();
        Ok(subscribers)
    }

    /// What a client of a group subscribes to, with up to `max` names; `None` if it has not said.
    ///
    /// # Errors
    /// When topic or group are not there, or the state cannot be read.
    pub fn lite_subscription(
        &self,
        group: &GroupName,
        topic: &TopicName,
        client: &str,
        max: usize,
    ) -> Result<Option<LiteSubscription>, OffsetError> {
        let (known, group) = self.lite_pair(group, topic)?;
        let key = SubscriberKey {
            topic: known.id,
            group: group.id,
            client: Some(client.into()),
        };
        self.offsets(topic, |state| {
            let all = &state.lite.subscriptions;
            let Some((id, subscriber)) = all.id(&key).and_then(|id| Some((id, all.get(id)?)))
            else {
                return Ok(None);
            };
            let Subscriber { count, seen, .. } = *subscriber;
            let mut lite_topics = Vec::new();
            for stream in all.streams(id).into_iter().take(max) {
                lite_topics.extend(state.lite_topic(stream)?.map(|lite| lite.name));
            }
            Ok(Some(LiteSubscription {
                lite_topics,
                count,
                seen,
            }))
        })
    }

    /// How far a group has come in a LiteTopic, `None` if there is no such LiteTopic.
    ///
    /// # Errors
    /// When topic or group are not there, or the state cannot be read.
    pub fn lite_accumulation(
        &self,
        group: &GroupName,
        topic: &TopicName,
        name: &LiteTopicName,
    ) -> Result<Option<LiteAccumulation>, OffsetError> {
        let (known, group) = self.lite_pair(group, topic)?;
        let log_start = self.log.start();
        self.offsets(topic, |state| {
            let Some(queue) = state.lite_queue(known.id, name)? else {
                return Ok(None);
            };
            let stream = Self::stream(&known, queue);
            let found = accumulation(state, stream, name.clone(), &group, log_start);
            found.map(Some)
        })
    }

    /// How far a group has come in LiteTopics of a topic, a page of them from the queue `from` on.
    /// Those whose creation is not yet on disk are left out.
    ///
    /// # Errors
    /// When topic or group are not there, or the state cannot be read.
    pub fn lite_accumulations(
        &self,
        group: &GroupName,
        topic: &TopicName,
        from: Option<QueueId>,
    ) -> Result<LiteAccumulationPage, OffsetError> {
        let (known, group) = self.lite_pair(group, topic)?;
        let log_start = self.log.start();
        let from = Self::stream(&known, from.unwrap_or(QueueId::new(FIRST_QUEUE)));
        let to = Self::stream(&known, QueueId::new(u32::MAX));
        self.offsets(topic, |state| {
            let to = next_key(&keys::lite_topic(to));
            let page = state.range(&keys::lite_topic(from), &to, LITE_TOPICS_PER_PAGE)?;
            let streams: Vec<StreamKey> = page
                .iter()
                .filter_map(|(key, _)| keys::stream_of(key))
                .collect();
            let mut lite_topics = Vec::with_capacity(streams.len());
            for stream in &streams {
                if let Some(lite) = state.lite_topic(*stream)? {
                    let one = accumulation(state, *stream, lite.name, &group, log_start)?;
                    lite_topics.push(one);
                }
            }
            let last = streams
                .last()
                .filter(|_| page.len() == LITE_TOPICS_PER_PAGE);
            let next = last.and_then(|last| last.queue().1.get().checked_add(1));
            Ok(LiteAccumulationPage {
                lite_topics,
                next: next.map(QueueId::new),
            })
        })
    }

    fn lite_pair(
        &self,
        group: &GroupName,
        topic: &TopicName,
    ) -> Result<(std::sync::Arc<Topic>, std::sync::Arc<Group>), OffsetError> {
        let known = self.catalogue.known_topic(topic)?;
        Ok((known, self.catalogue.known_group(group)?))
    }
}

fn accumulation(
    state: &mut State,
    stream: StreamKey,
    name: LiteTopicName,
    group: &Group,
    log_start: LogPosition,
) -> Result<LiteAccumulation, KvError> {
    let (min, max) = range(state, stream, log_start)?;
    let (next, first, in_flight, parked) = match state.consumptions.get(&(stream, group.id)) {
        Some(at_work) => (
            at_work.next(),
            at_work.committed(),
            at_work.in_flight_count() as u64,
            at_work.parked_count() as u64,
        ),
        None => stored_consumption(state, stream, group)?,
    };
    let begin = next.unwrap_or_else(|| Start::Newest.offset(min, max));
    let ready = max.saturating_sub(begin.max(min)) + parked;
    let committed = first.unwrap_or(begin).max(min);
    let time = |offset: u64| -> Result<Option<Timestamp>, KvError> {
        let is_there = (min..max).contains(&offset);
        let entry = is_there.then(|| state.entry(stream, offset));
        Ok(entry.transpose()?.flatten().map(|entry| entry.stored))
    };
    let oldest = if ready + in_flight > 0 {
        time(committed)?
    } else {
        None
    };
    let consumed = match committed.checked_sub(1).filter(|_| next.is_some()) {
        Some(last) => time(last)?,
        None => None,
    };
    Ok(LiteAccumulation {
        name,
        queue: stream.queue().1,
        range: QueueRange {
            min: QueueOffset::new(min),
            max: QueueOffset::new(max),
        },
        committed: next.map(|_| QueueOffset::new(committed)),
        ready,
        in_flight,
        oldest,
        consumed,
    })
}

/// First offset and end of a queue.
fn range(
    state: &mut State,
    stream: StreamKey,
    log_start: LogPosition,
) -> Result<(u64, u64), KvError> {
    if !state.queues.contains_key(&stream) {
        let value = state.get(&keys::queue(stream))?;
        let (end, min) = value.as_deref().and_then(decode_queue).unwrap_or((0, 0));
        let first = state.entry(stream, min)?;
        let is_current = first.is_some_and(|first| first.position >= log_start);
        if min >= end || is_current {
            return Ok((min, end));
        }
    }
    let min = state.refresh_min(stream, log_start)?;
    Ok((min, state.queue(stream)?.tail.end()))
}

/// How far a group has come that is not in memory: next offset, first in flight, how many of these,
/// and none parked.
fn stored_consumption(
    state: &State,
    stream: StreamKey,
    group: &Group,
) -> Result<(Option<u64>, Option<u64>, u64, u64), KvError> {
    let next = state.get(&keys::consumption(stream, group.id))?;
    let next = next.as_deref().and_then(|mut value| take_u64(&mut value));
    if next.is_none() {
        return Ok((None, None, 0, 0));
    }
    let from = keys::receipt(stream, group.id, 0);
    let to = next_key(&keys::receipt(stream, group.id, u64::MAX));
    let receipts = state.range(&from, &to, STORED_IN_FLIGHT_MAX)?;
    let first = receipts.first().and_then(|(key, _)| keys::tail_of(key));
    Ok((next, first.or(next), receipts.len() as u64, 0))
}
