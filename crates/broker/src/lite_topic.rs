//! LiteTopics: names inside a topic of type LITE, each with a queue of its own, by the million.
//!
//! A LiteTopic is a queue of its parent topic whose id is [`FIRST_QUEUE`] or more, so everything
//! that holds for queues holds for it: messages, index, consumption, retention. What it has besides
//! is a name, a time of creation and an end. It comes into being with its first message or
//! subscriber and goes when nothing was written to it for the topic's time to live (`expire.rs`); a
//! name that comes back gets a new queue, so that nothing old can be taken for new. One that nobody
//! uses costs the keys that name it and no memory: see [`State::forget_idle_lite_topics`].

use std::collections::HashMap;

use base::{LiteTopicName, LogPosition, QueueId, StreamKey, Timestamp, TopicId, TopicName, limits};
use bytes::Bytes;
use store::{
    kv::KvError,
    log::{NewRecord, Record},
};

use crate::{
    Shard, Topic,
    apply::{ApplyError, malformed},
    consumption::Consumption,
    keys,
    lite_lag::LiteLags,
    lite_subscriptions::LiteSubscriptions,
    records::{self, take_u64},
    state::{Queue, State},
};

/// Where the queue ids of LiteTopics begin: far behind those of any topic's own queues.
pub(crate) const FIRST_QUEUE: u32 = 1 << 30;

/// As many LiteTopics a topic may have had before ids are used again: to Remoting and gRPC clients
/// a queue id is a signed number.
const QUEUES: u64 = 1 << 30;

/// Room of a table that is not given back.
const TABLE_ROOM_MIN: usize = 16_384;

/// Ids looked at for a free one, once all have been used.
const REUSE_LOOKS_MAX: u64 = 4_096;

/// Whether queues of LiteTopics have such numbers.
pub(crate) fn is_queue(queue: QueueId) -> bool {
    u64::from(queue.get()) < u64::from(FIRST_QUEUE) + QUEUES && queue.get() >= FIRST_QUEUE
}

/// Whether the queue is that of a LiteTopic.
pub(crate) fn is_lite(stream: StreamKey) -> bool {
    is_queue(stream.queue().1)
}

/// A topic has as many LiteTopics as it may.
#[derive(Clone, Debug, PartialEq, Eq, thiserror::Error)]
#[error("topic `{topic}` has {count} LiteTopics, limit {limit}; LiteTopic `{name}` not created")]
pub struct LiteTopicQuota {
    /// The topic.
    pub topic: TopicName,
    /// The LiteTopic that would have been one more.
    pub name: LiteTopicName,
    /// LiteTopics there are.
    pub count: u64,
    /// LiteTopics there may be.
    pub limit: u64,
}

/// Why there is no queue for a LiteTopic.
#[derive(Debug)]
pub(crate) enum LiteTopicError {
    Quota(LiteTopicQuota),
    State(KvError),
}

impl From<KvError> for LiteTopicError {
    fn from(error: KvError) -> Self {
        Self::State(error)
    }
}

impl Shard {
    /// Queues that the shard has in memory: those in use, and those of LiteTopics used lately.
    pub fn queues_in_memory(&self) -> usize {
        self.state.lock().queues.len()
    }

    /// The queue of a LiteTopic, and whether it is one that has yet to be created: by a record that
    /// the caller appends.
    pub(crate) fn lite_queue_or_new(
        &self,
        state: &mut State,
        topic: &Topic,
        name: &LiteTopicName,
    ) -> Result<(QueueId, bool), LiteTopicError> {
        if let Some(queue) = state.lite_queue(topic.id, name)? {
            return Ok((queue, false));
        }
        let (count, limit) = (state.lite_counts(topic.id)?.live, limits::LITE_TOPICS_MAX);
        let queue = if count < limit {
            state.free_lite_queue(topic.id)?
        } else {
            None
        };
        let queue = queue.ok_or_else(|| {
            LiteTopicError::Quota(LiteTopicQuota {
                topic: topic.name().clone(),
                name: name.clone(),
                count,
                limit,
            })
        })?;
        // Never used before, so the KV has nothing of it.
        state.new_queue(StreamKey::of_queue(topic.id, queue), 0, 0);
        Ok((queue, true))
    }
}

/// How many LiteTopics a topic has had, and has.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub(crate) struct LiteCounts {
    pub(crate) created: u64,
    pub(crate) live: u64,
}

impl LiteCounts {
    fn encode(self) -> Bytes {
        let numbers = [self.created.to_le_bytes(), self.live.to_le_bytes()];
        Bytes::copy_from_slice(numbers.as_flattened())
    }

    fn decode(mut value: &[u8]) -> Option<Self> {
        Some(Self {
            created: take_u64(&mut value)?,
            live: take_u64(&mut value)?,
        })
    }
}

/// A LiteTopic as the KV knows it.
#[derive(Clone, Debug, PartialEq, Eq)]
pub(crate) struct LiteTopic {
    pub(crate) created: Timestamp,
    pub(crate) name: LiteTopicName,
}

impl LiteTopic {
    /// The record that creates one, with what [`LiteTopic::encode`] writes.
    pub(crate) fn record(stream: StreamKey, name: &LiteTopicName) -> NewRecord {
        NewRecord {
            kind: records::LITE_TOPIC,
            stream,
            payload_len: 8 + name.as_str().len(),
        }
    }

    /// The payload of its record, and its value in the KV.
    pub(crate) fn encode(name: &LiteTopicName, created: Timestamp, out: &mut Vec<u8>) {
        out.extend_from_slice(&created.ms().to_le_bytes());
        out.extend_from_slice(name.as_str().as_bytes());
    }

    pub(crate) fn decode(mut value: &[u8]) -> Option<Self> {
        let created = Timestamp::from_ms(take_u64(&mut value)?.cast_signed());
        let name = LiteTopicName::new(str::from_utf8(value).ok()?).ok()?;
        Some(Self { created, name })
    }
}

/// What is known of LiteTopics beside the KV.
#[derive(Default)]
pub(crate) struct LiteTopics {
    /// Names whose record is on its way to the disk: the queue of one that is created, `None` for
    /// one that is dropped.
    coming: HashMap<TopicId, HashMap<LiteTopicName, Option<QueueId>>>,
    /// With what is on its way.
    counts: HashMap<TopicId, LiteCounts>,
    pub(crate) subscriptions: LiteSubscriptions,
    pub(crate) lags: LiteLags,
    /// Queues and consumptions that nobody has used since are let go of, once everything before the
    /// position is applied.
    idle_since: (u32, LogPosition),
    /// The time by which use is measured: calls of [`State::forget_idle_lite_topics`].
    pub(crate) age: u32,
}

/// What was let go of. To give its memory back takes longer than to find it: the lock of the state
/// goes first.
#[derive(Default)]
#[must_use = "to be dropped after the lock of the state"]
pub(crate) struct Forgotten {
    _queues: Vec<Queue>,
    _consumptions: Vec<Consumption>,
}

impl State {
    /// The queue of a LiteTopic, if it is there.
    pub(crate) fn lite_queue(
        &self,
        topic: TopicId,
        name: &LiteTopicName,
    ) -> Result<Option<QueueId>, KvError> {
        let coming = self.lite.coming.get(&topic);
        if let Some(queue) = coming.and_then(|names| names.get(name)) {
            return Ok(*queue);
        }
        let value = self.get(&keys::lite_name(topic, name))?;
        let id = value.and_then(|value| value.first_chunk().copied());
        Ok(id.map(|id| QueueId::new(u32::from_le_bytes(id))))
    }

    /// The LiteTopic of a queue, as far as it is durable.
    pub(crate) fn lite_topic(&self, stream: StreamKey) -> Result<Option<LiteTopic>, KvError> {
        let value = self.get(&keys::lite_topic(stream))?;
        Ok(value.as_deref().and_then(LiteTopic::decode))
    }

    /// How many LiteTopics a topic has and has had, those on their way to the disk too.
    pub(crate) fn lite_counts(&mut self, topic: TopicId) -> Result<LiteCounts, KvError> {
        if let Some(counts) = self.lite.counts.get(&topic) {
            return Ok(*counts);
        }
        let counts = self.durable_lite_counts(topic)?;
        self.lite.counts.insert(topic, counts);
        Ok(counts)
    }

    fn durable_lite_counts(&self, topic: TopicId) -> Result<LiteCounts, KvError> {
        let value = self.get(&keys::lite_counts(topic))?;
        Ok(value
            .as_deref()
            .and_then(LiteCounts::decode)
            .unwrap_or_default())
    }

    /// A queue for a LiteTopic that is to be created, `None` if there is none: all ids are taken.
    pub(crate) fn free_lite_queue(&mut self, topic: TopicId) -> Result<Option<QueueId>, KvError> {
        let created = self.lite_counts(topic)?.created;
        let id = |n: u64| QueueId::new(FIRST_QUEUE + (n % QUEUES) as u32);
        if created < QUEUES {
            return Ok(Some(id(created)));
        }
        for n in created..created + REUSE_LOOKS_MAX {
            let stream = StreamKey::of_queue(topic, id(n));
            // What its last life has left is swept up some time after it.
            let is_free = !self.queues.contains_key(&stream)
                && self.get(&keys::lite_topic(stream))?.is_none()
                && self.get(&keys::queue(stream))?.is_none();
            if is_free {
                self.lite.counts.entry(topic).or_default().created = n;
                return Ok(Some(id(n)));
            }
        }
        Ok(None)
    }

    /// Notes that the record of a new LiteTopic is appended.
    pub(crate) fn lite_topic_comes(&mut self, stream: StreamKey, name: &LiteTopicName) {
        let (topic, queue) = stream.queue();
        let names = self.lite.coming.entry(topic).or_default();
        names.insert(name.clone(), Some(queue));
        let counts = self.lite.counts.entry(topic).or_default();
        counts.created += 1;
        counts.live += 1;
    }

    /// Notes that the record of the end of a LiteTopic is appended.
    pub(crate) fn lite_topic_goes(&mut self, stream: StreamKey, name: &LiteTopicName) {
        let (topic, _) = stream.queue();
        let names = self.lite.coming.entry(topic).or_default();
        names.insert(name.clone(), None);
        let counts = self.lite.counts.entry(topic).or_default();
        counts.live = counts.live.saturating_sub(1);
    }

    pub(crate) fn apply_lite_topic(&mut self, record: &Record) -> Result<(), ApplyError> {
        let lite = LiteTopic::decode(&record.payload).ok_or_else(|| malformed(record))?;
        let (topic, queue) = record.stream.queue();
        let id = Bytes::copy_from_slice(&queue.get().to_le_bytes());
        self.pending
            .insert(keys::lite_name(topic, &lite.name), Some(id));
        // A copy: the record shares its memory with a whole commit.
        let value = Bytes::copy_from_slice(&record.payload);
        self.pending
            .insert(keys::lite_topic(record.stream), Some(value));
        let counts = self.durable_lite_counts(topic)?;
        self.put_lite_counts(
            topic,
            LiteCounts {
                created: counts.created + 1,
                live: counts.live + 1,
            },
        );
        self.has_come(topic, &lite.name, Some(queue));
        Ok(())
    }

    pub(crate) fn apply_lite_topic_dropped(&mut self, record: &Record) -> Result<(), ApplyError> {
        let Some(lite) = self.lite_topic(record.stream)? else {
            return Ok(());
        };
        self.lag_of_end(record.stream)?;
        let (topic, _) = record.stream.queue();
        // Its messages, and how far groups have come, go with the next sweeps.
        self.pending.insert(keys::lite_topic(record.stream), None);
        self.pending
            .insert(keys::lite_name(topic, &lite.name), None);
        let counts = self.durable_lite_counts(topic)?;
        let live = counts.live.saturating_sub(1);
        self.put_lite_counts(topic, LiteCounts { live, ..counts });
        self.has_come(topic, &lite.name, None);
        Ok(())
    }

    fn put_lite_counts(&mut self, topic: TopicId, counts: LiteCounts) {
        let key = keys::lite_counts(topic);
        self.pending.insert(key, Some(counts.encode()));
    }

    /// The KV knows what was on its way, unless more is.
    fn has_come(&mut self, topic: TopicId, name: &LiteTopicName, queue: Option<QueueId>) {
        if let Some(names) = self.lite.coming.get_mut(&topic)
            && names.get(name) == Some(&queue)
        {
            names.remove(name);
        }
    }

    /// Whether the queue is that of a LiteTopic that is no more.
    pub(crate) fn is_lite_topic_gone(&self, stream: StreamKey) -> Result<bool, KvError> {
        Ok(is_lite(stream) && self.get(&keys::lite_topic(stream))?.is_none())
    }

    /// Lets go of queues and consumptions of LiteTopics that nobody has used since the call before
    /// the last: the KV has all that there is to know of them. Called after a checkpoint, and more
    /// often while many are in memory, with where the log ends.
    pub(crate) fn forget_idle_lite_topics(&mut self, log_tail: LogPosition) -> Forgotten {
        let (since, position) = self.lite.idle_since;
        // A record that is still on its way would be missing from the KV.
        if self.applied < position {
            return Forgotten::default();
        }
        let idle_queues = self
            .queues
            .extract_if(|stream, queue| is_lite(*stream) && queue.used < since && queue.is_idle());
        let queues = idle_queues.map(|(_, queue)| queue).collect();
        let idle_consumptions = self.consumptions.extract_if(|(stream, _), consumption| {
            is_lite(*stream) && consumption.used < since && consumption.is_forgettable()
        });
        let consumptions = idle_consumptions.map(|(_, it)| it).collect();
        // A table keeps the room of its largest day.
        if self.queues.capacity() > TABLE_ROOM_MIN.max(4 * self.queues.len()) {
            self.queues.shrink_to(2 * self.queues.len());
        }
        if self.consumptions.capacity() > TABLE_ROOM_MIN.max(4 * self.consumptions.len()) {
            self.consumptions.shrink_to(2 * self.consumptions.len());
        }
        self.lite.age += 1;
        self.lite.idle_since = (self.lite.age, log_tail);
        Forgotten {
            _queues: queues,
            _consumptions: consumptions,
        }
    }
}
