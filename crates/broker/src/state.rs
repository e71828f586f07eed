//! What a shard holds in memory: the tail of its index, the groups at work, and the changes that
//! the next checkpoint will write.
//!
//! The KV stands for the log before the last checkpoint. Everything after is here, as an overlay of
//! the very changes that will be written; so replaying the log after a restart and following it
//! while running are one function (`apply.rs`), and memory is only ever ahead of the KV.

use std::{
    collections::{BTreeMap, BTreeSet, HashMap},
    sync::{Arc, atomic::AtomicUsize},
};

use base::{GroupId, LogPosition, QueueId, StreamKey, Timestamp, TopicId};
use bytes::Bytes;
use store::kv::{Changes, KvError, StateKv};
use tokio::sync::Notify;

use crate::{
    consumption::Consumption,
    held::HeldIndex,
    index::{self, IndexEntry, Tail},
    key_index::KeyEntry,
    keys,
    lite_topic::{LiteTopics, is_lite},
    new_receipts::NewReceipts,
    records::{ReceiptState, take_u64},
    trend::Trends,
};

/// One queue of one topic.
#[derive(Debug)]
pub(crate) struct Queue {
    /// Offset of the next message to be appended; ahead of the tail's end while messages are on
    /// their way to the disk.
    pub(crate) next: u64,
    /// First offset still there, as of log start `min_as_of`.
    pub(crate) min: u64,
    pub(crate) min_as_of: LogPosition,
    pub(crate) tail: Tail,
    /// Wakes pulls that wait at the end of this queue.
    pub(crate) arrivals: Arc<Notify>,
    /// When it was last looked up, see `lite_topic.rs`.
    pub(crate) used: u32,
}

impl Queue {
    /// Whether the KV has all of it, and nobody waits here.
    pub(crate) fn is_idle(&self) -> bool {
        self.tail.base() == self.next && Arc::strong_count(&self.arrivals) == 1
    }
}

/// A table by numbers that this server gave out itself, which nobody can choose so that they
/// collide: what protects against that costs more than everything else of a look-up.
pub(crate) type IdMap<K, V> = HashMap<K, V, rustc_hash::FxBuildHasher>;

/// What receives wait at: one queue of a topic, or any of them.
pub(crate) type WaitingPlace = (TopicId, Option<QueueId>);

/// Receives of one group that wait, or may come to wait, at one place.
#[derive(Debug, Default)]
struct Receivers {
    count: usize,
    notify: Arc<Notify>,
}

/// Messages counted since start.
#[derive(Clone, Copy, Debug, Default)]
pub(crate) struct Count {
    pub(crate) messages: u64,
    pub(crate) bytes: u64,
}

impl Count {
    pub(crate) fn add(&mut self, bytes: usize) {
        self.messages += 1;
        self.bytes += bytes as u64;
    }
}

/// A queue lock, or the wish for one.
#[derive(Clone, Debug)]
pub(crate) struct QueueLock {
    pub(crate) client: String,
    pub(crate) until: Timestamp,
    /// `false` while deliveries in flight are waited for.
    pub(crate) is_held: bool,
}

/// All of it, under one lock of the shard.
pub(crate) struct State {
    kv: Arc<dyn StateKv>,
    pub(crate) queues: IdMap<StreamKey, Queue>,
    pub(crate) consumptions: IdMap<(StreamKey, GroupId), Consumption>,
    pub(crate) locks: BTreeMap<(GroupId, StreamKey), QueueLock>,
    /// Messages parked in all of them.
    parked: Arc<AtomicUsize>,
    receivers: IdMap<WaitingPlace, BTreeMap<GroupId, Receivers>>,
    /// Changes since the last checkpoint began.
    pub(crate) pending: Changes,
    /// Changes that a checkpoint is writing right now.
    pub(crate) flushing: Arc<Changes>,
    /// Which receipts neither the KV nor that checkpoint has.
    pub(crate) new_receipts: NewReceipts,
    /// Queues with index entries that no checkpoint has written.
    pub(crate) dirty: BTreeSet<StreamKey>,
    /// Index entries in all tails.
    pub(crate) tail_entries: usize,
    pub(crate) key_entries: Vec<KeyEntry>,
    pub(crate) key_entries_flushing: Arc<Vec<KeyEntry>>,
    /// Everything before this position of the log is applied.
    pub(crate) applied: LogPosition,
    pub(crate) in_counts: IdMap<TopicId, Count>,
    pub(crate) out_counts: IdMap<(GroupId, TopicId), Count>,
    pub(crate) dead_letter_counts: IdMap<(GroupId, TopicId), u64>,
    /// Messages that wait outside their queues.
    pub(crate) waiting: HeldIndex,
    /// Turn of the next [`crate::QueueChoice::Any`].
    pub(crate) turn: u64,
    /// Offsets that were reset and that no pull of the group has been told yet.
    pub(crate) resets: IdMap<(StreamKey, GroupId), u64>,
    pub(crate) lite: LiteTopics,
    /// Messages by the minute.
    pub(crate) trends: Trends,
}

impl State {
    pub(crate) fn new(kv: Arc<dyn StateKv>, applied: LogPosition) -> Self {
        Self {
            kv,
            queues: IdMap::default(),
            consumptions: IdMap::default(),
            locks: BTreeMap::new(),
            parked: Arc::default(),
            receivers: IdMap::default(),
            pending: Changes::new(),
            flushing: Arc::default(),
            new_receipts: NewReceipts::default(),
            dirty: BTreeSet::new(),
            tail_entries: 0,
            key_entries: Vec::new(),
            key_entries_flushing: Arc::default(),
            applied,
            in_counts: IdMap::default(),
            out_counts: IdMap::default(),
            dead_letter_counts: IdMap::default(),
            waiting: HeldIndex::default(),
            turn: 0,
            resets: IdMap::default(),
            lite: LiteTopics::default(),
            trends: Trends::default(),
        }
    }

    /// The value of a key as of everything applied.
    pub(crate) fn get(&self, key: &[u8]) -> Result<Option<Bytes>, KvError> {
        match self.pending.get(key).or_else(|| self.flushing.get(key)) {
            Some(change) => Ok(change.clone()),
            None => self.kv.get(key),
        }
    }

    /// Up to `limit` pairs from `from` up to but without `to`, as of everything applied.
    pub(crate) fn range(
        &self,
        from: &[u8],
        to: &[u8],
        limit: usize,
    ) -> Result<Vec<(Vec<u8>, Bytes)>, KvError> {
        let mut found = BTreeMap::new();
        let mut start = from.to_vec();
        loop {
            let page = self.kv.range(&start, to, false, limit.max(1))?;
            let whole = page.len() < limit.max(1);
            // Beyond the last key of a page that was cut, the KV may hold more than we have seen.
            let seen_to = match page.last() {
                Some((last, _)) if !whole => next_key(last),
                _ => to.to_vec(),
            };
            found.extend(
                page.into_iter()
                    .map(|(key, value)| (key.to_vec(), Some(value))),
            );
            for overlay in [&*self.flushing, &self.pending] {
                let changes = overlay.range(start.clone()..seen_to.clone());
                found.extend(changes.map(|(key, value)| (key.clone(), value.clone())));
            }
            let live = found.values().filter(|value| value.is_some()).count();
            if whole || live >= limit {
                break;
            }
            start = seen_to;
        }
        let live = found
            .into_iter()
            .filter_map(|(key, value)| Some((key, value?)));
        Ok(live.take(limit).collect())
    }

    /// The queue of `stream`, read from the KV the first time.
    pub(crate) fn queue(&mut self, stream: StreamKey) -> Result<&mut Queue, KvError> {
        // Two look-ups because a returned borrow would last for the whole function.
        if !self.queues.contains_key(&stream) {
            let value = self.get(&keys::queue(stream))?;
            let (next, min) = value.as_deref().and_then(decode_queue).unwrap_or((0, 0));
            self.new_queue(stream, next, min);
        }
        let queue = self.queues.get_mut(&stream).expect("inserted above");
        queue.used = self.lite.age;
        Ok(queue)
    }

    /// A queue as the KV has it.
    pub(crate) fn new_queue(&mut self, stream: StreamKey, next: u64, min: u64) {
        let queue = Queue {
            next,
            min,
            min_as_of: LogPosition::default(),
            tail: Tail::at(next),
            arrivals: Arc::default(),
            used: self.lite.age,
        };
        self.queues.insert(stream, queue);
    }

    /// What `group` does on `stream`, read from the KV the first time.
    pub(crate) fn consumption(
        &mut self,
        stream: StreamKey,
        group: GroupId,
    ) -> Result<&mut Consumption, KvError> {
        if !self.consumptions.contains_key(&(stream, group)) {
            let next = self.get(&keys::consumption(stream, group))?;
            let next = next.as_deref().and_then(|mut value| take_u64(&mut value));
            let from = keys::receipt(stream, group, 0);
            let to = next_key(&keys::receipt(stream, group, u64::MAX));
            // What was handed out came with how far the group is; and a range costs much more than
            // a look-up.
            let receipts = match next {
                Some(_) => self.range(&from, &to, usize::MAX)?,
                None => Vec::new(),
            };
            let receipts = receipts.iter().filter_map(|(key, value)| {
                Some((keys::tail_of(key)?, ReceiptState::decode(value)?))
            });
            let consumption = Consumption::new(next, receipts, self.parked.clone());
            self.consumptions.insert((stream, group), consumption);
        }
        let consumption = self.consumptions.get_mut(&(stream, group));
        let consumption = consumption.expect("inserted above");
        consumption.used = self.lite.age;
        Ok(consumption)
    }

    /// Whether memory alone can tell that `group` has nothing to receive of `stream`.
    pub(crate) fn is_known_to_be_done(&self, stream: StreamKey, group: GroupId) -> bool {
        let queue = self.queues.get(&stream);
        let consumption = self.consumptions.get(&(stream, group));
        let (Some(queue), Some(consumption)) = (queue, consumption) else {
            return false;
        };
        consumption.is_settled() && consumption.next() == Some(queue.next)
    }

    /// The first offset that `group` has in flight on `stream`, as far as it is durable.
    pub(crate) fn first_in_flight(
        &self,
        stream: StreamKey,
        group: GroupId,
    ) -> Result<Option<u64>, KvError> {
        let from = keys::receipt(stream, group, 0);
        let to = next_key(&keys::receipt(stream, group, u64::MAX));
        let first = self.range(&from, &to, 1)?;
        Ok(first.first().and_then(|(key, _)| keys::tail_of(key)))
    }

    /// The index entry of a message, wherever it is. The KV may be asked; of a queue that is not in
    /// memory it has everything.
    pub(crate) fn entry(
        &self,
        stream: StreamKey,
        offset: u64,
    ) -> Result<Option<IndexEntry>, KvError> {
        if let Some(queue) = self.queues.get(&stream)
            && offset >= queue.tail.base()
        {
            return Ok(queue.tail.get(offset));
        }
        let block = self.get(&keys::index(stream, offset / index::BLOCK_ENTRIES))?;
        Ok(block.and_then(|block| index::entry_in_block(&block, offset)))
    }

    /// Brings `min` of a queue up to date with where the log starts.
    pub(crate) fn refresh_min(
        &mut self,
        stream: StreamKey,
        log_start: LogPosition,
    ) -> Result<u64, KvError> {
        let queue = self.queue(stream)?;
        if queue.min_as_of >= log_start {
            return Ok(queue.min);
        }
        // Positions grow with offsets, so the first one that is still there is found by halving.
        let (mut low, mut high) = (queue.min, queue.tail.end());
        while low < high {
            let middle = low + (high - low) / 2;
            let gone = match self.entry(stream, middle)? {
                Some(entry) => entry.position < log_start,
                None => true,
            };
            if gone {
                low = middle + 1;
            } else {
                high = middle;
            }
        }
        let queue = self.queue(stream)?;
        queue.min = low;
        queue.min_as_of = log_start;
        Ok(low)
    }

    /// Wakes, of each group, a receive that waits at this queue and one that waits at any queue of
    /// its topic: a message came. Not just any of the topic's: the one woken might wait at another
    /// queue, and the one that could take the message would sleep on.
    pub(crate) fn wake_receivers(&mut self, stream: StreamKey) {
        if is_lite(stream) {
            self.lite.subscriptions.call(stream, None);
            return;
        }
        for place in places_of(stream) {
            for receivers in self.receivers.get(&place).into_iter().flatten() {
                receivers.1.notify.notify_one();
            }
        }
    }

    /// The same of one group: what it may take now, or when, has changed.
    pub(crate) fn wake_group(&mut self, stream: StreamKey, group: GroupId) {
        if is_lite(stream) {
            self.lite.subscriptions.call(stream, Some(group));
            return;
        }
        for place in places_of(stream) {
            if let Some(receivers) = self.receivers.get(&place).and_then(|r| r.get(&group)) {
                receivers.notify.notify_one();
            }
        }
    }

    /// What a receive of `group` waits on. Each call is undone by [`State::stop_receiving`].
    pub(crate) fn start_receiving(&mut self, place: WaitingPlace, group: GroupId) -> Arc<Notify> {
        let groups = self.receivers.entry(place).or_default();
        let receivers = groups.entry(group).or_default();
        receivers.count += 1;
        receivers.notify.clone()
    }

    /// Receives of `group` that are under way at `place`.
    pub(crate) fn receiver_count(&self, place: WaitingPlace, group: GroupId) -> usize {
        let receivers = self
            .receivers
            .get(&place)
            .and_then(|groups| groups.get(&group));
        receivers.map_or(0, |receivers| receivers.count)
    }

    /// Forgets what a receive waited on, if it was the last one.
    pub(crate) fn stop_receiving(&mut self, place: WaitingPlace, group: GroupId) {
        let Some(groups) = self.receivers.get_mut(&place) else {
            return;
        };
        if let Some(receivers) = groups.get_mut(&group) {
            receivers.count -= 1;
            if receivers.count == 0 {
                groups.remove(&group);
            }
        }
        if groups.is_empty() {
            self.receivers.remove(&place);
        }
    }

    /// The lock that keeps a queue from being handed out now.
    pub(crate) fn queue_lock(
        &self,
        group: GroupId,
        stream: StreamKey,
        now: Timestamp,
    ) -> Option<&QueueLock> {
        let lock = self.locks.get(&(group, stream))?;
        (lock.until > now).then_some(lock)
    }
}

/// Where receives wait that a queue concerns.
fn places_of(stream: StreamKey) -> [WaitingPlace; 2] {
    let (topic, queue) = stream.queue();
    [(topic, Some(queue)), (topic, None)]
}

/// The smallest key after `key`.
pub(crate) fn next_key(key: &[u8]) -> Vec<u8> {
    let mut next = key.to_vec();
    next.push(0);
    next
}

pub(crate) fn encode_queue(next: u64, min: u64) -> Bytes {
    let mut value = Vec::with_capacity(16);
    value.extend_from_slice(&next.to_le_bytes());
    value.extend_from_slice(&min.to_le_bytes());
    value.into()
}

pub(crate) fn decode_queue(mut value: &[u8]) -> Option<(u64, u64)> {
    Some((take_u64(&mut value)?, take_u64(&mut value)?))
}
