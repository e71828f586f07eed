//! Held messages: stored, and not in their queue yet.
//!
//! A timed message waits for its due time, a half message for the end of its transaction. Both are
//! one thing: a record outside of any queue, known by the log position where it was first stored
//! (its *id*), with a time at which it is looked at next. Nothing in memory grows with their
//! number: the state KV keeps them in the order of their due times, and only the first is waited
//! for.
//!
//! A held message leaves by a record that names it: released (the message, now in its queue) or
//! dropped. One record does both, so that no crash can come in between.

use std::{
    collections::{BTreeSet, HashMap},
    sync::Arc,
};

use base::{LogPosition, StreamKey, Timestamp, TopicId, limits};
use bytes::Bytes;
use store::kv::KvError;
use tokio::sync::Notify;

use crate::{
    keys,
    records::{HeldHead, HeldKind, take_u32, take_u64},
    state::{State, next_key},
};

/// Where the bytes of a held message are.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) struct HeldPlace {
    /// The queue that it is for.
    pub(crate) stream: StreamKey,
    /// Its record.
    pub(crate) position: LogPosition,
    /// Length of the record with its envelope.
    pub(crate) len: u32,
}

/// A held message.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) struct Held {
    pub(crate) place: HeldPlace,
    pub(crate) due: Timestamp,
    pub(crate) checks: u32,
    pub(crate) kind: HeldKind,
}

impl Held {
    pub(crate) const fn new(place: HeldPlace, head: HeldHead) -> Self {
        Self {
            place,
            due: head.due,
            checks: head.checks,
            kind: head.kind,
        }
    }

    /// What its record says of it, or would say of a copy.
    pub(crate) const fn head(&self, id: LogPosition) -> HeldHead {
        HeldHead {
            id: Some(id),
            due: self.due,
            checks: self.checks,
            kind: self.kind,
        }
    }

    fn encode(&self) -> Bytes {
        let mut value = Vec::with_capacity(25);
        value.extend_from_slice(&self.place.stream.get().to_le_bytes());
        value.extend_from_slice(&self.place.position.get().to_le_bytes());
        value.extend_from_slice(&self.place.len.to_le_bytes());
        value.extend_from_slice(&self.checks.to_le_bytes());
        value.push(self.kind.code());
        value.into()
    }

    fn decode(due: Timestamp, mut value: &[u8]) -> Option<Self> {
        let place = HeldPlace {
            stream: StreamKey::new(take_u64(&mut value)?),
            position: LogPosition::new(take_u64(&mut value)?),
            len: take_u32(&mut value)?,
        };
        let checks = take_u32(&mut value)?;
        let [kind] = value else {
            return None;
        };
        Some(Self {
            place,
            due,
            checks,
            kind: HeldKind::from_code(*kind)?,
        })
    }
}

/// What is being done with a held message, until the record that says so is durable.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) enum Busy {
    /// It is looked at, and stays.
    Checking,
    /// It leaves: nobody else may decide about it.
    Leaving,
}

/// What memory knows of held messages.
pub(crate) struct HeldIndex {
    pub(crate) busy: HashMap<LogPosition, Busy>,
    /// No key of kind `d` before this one is still to be looked at.
    due_from: Vec<u8>,
    /// Until when whoever releases them sleeps; only something due before that wakes it.
    pub(crate) asleep_until: Timestamp,
    pub(crate) wake: Arc<Notify>,
    /// Half messages that wait for a producer to ask for them, by topic. What is not here is
    /// offered again when it is due again.
    offered: HashMap<TopicId, BTreeSet<LogPosition>>,
    /// Tells producers that ask of a new offer.
    pub(crate) half_offered: Arc<Notify>,
}

impl Default for HeldIndex {
    fn default() -> Self {
        Self {
            busy: HashMap::new(),
            due_from: vec![keys::DUE],
            asleep_until: Timestamp::from_ms(i64::MIN),
            wake: Arc::default(),
            offered: HashMap::new(),
            half_offered: Arc::default(),
        }
    }
}

impl HeldIndex {
    /// Lets producers that ask have this half message.
    pub(crate) fn offer(&mut self, topic: TopicId, id: LogPosition) {
        let count: usize = self.offered.values().map(BTreeSet::len).sum();
        if count < limits::HALF_OFFERS_MAX {
            self.offered.entry(topic).or_default().insert(id);
            self.half_offered.notify_waiters();
        }
    }

    /// Takes at most `count` offers of a topic, oldest first.
    pub(crate) fn take_offers(&mut self, topic: TopicId, count: usize) -> Vec<LogPosition> {
        let Some(offers) = self.offered.get_mut(&topic) else {
            return Vec::new();
        };
        let taken = (0..count).map_while(|_| offers.pop_first()).collect();
        if offers.is_empty() {
            self.offered.remove(&topic);
        }
        taken
    }

    fn withdraw(&mut self, topic: TopicId, id: LogPosition) {
        if let Some(offers) = self.offered.get_mut(&topic) {
            offers.remove(&id);
            if offers.is_empty() {
                self.offered.remove(&topic);
            }
        }
    }
}

/// Keys of due messages looked at in one go.
const DUE_PAGE: usize = 256;

impl State {
    /// The held message of that id.
    pub(crate) fn held(&self, id: LogPosition) -> Result<Option<Held>, KvError> {
        let Some(due) = self.get(&keys::held(id))? else {
            return Ok(None);
        };
        let Some(due) = take_u64(&mut &due[..]) else {
            return Ok(None);
        };
        let due = Timestamp::from_ms(due.cast_signed());
        let value = self.get(&keys::due(due, id))?;
        Ok(value.and_then(|value| Held::decode(due, &value)))
    }

    pub(crate) fn put_held(&mut self, id: LogPosition, held: Held) -> Result<(), KvError> {
        self.write_held(id, held);
        self.count_held(held.kind, 1)
    }

    /// A held message of the same id is somewhere else now; ignored if it has left meanwhile.
    pub(crate) fn move_held(&mut self, id: LogPosition, place: HeldPlace) -> Result<(), KvError> {
        if let Some(held) = self.held(id)? {
            let value = Held { place, ..held }.encode();
            self.pending.insert(keys::due(held.due, id), Some(value));
        }
        Ok(())
    }

    /// When it is looked at next has changed; ignored if it has left meanwhile.
    pub(crate) fn change_held(&mut self, id: LogPosition, head: HeldHead) -> Result<(), KvError> {
        // A half message that leaves while it is checked goes on leaving; a committed one that is
        // timed has arrived.
        if head.kind == HeldKind::Timed || self.waiting.busy.get(&id) == Some(&Busy::Checking) {
            self.waiting.busy.remove(&id);
        }
        let Some(before) = self.held(id)? else {
            return Ok(());
        };
        // A check that was on its way while the commit of a timed message was: what is committed is
        // never a half message again.
        if before.kind == HeldKind::Timed && head.kind == HeldKind::Half {
            return Ok(());
        }
        self.pending.insert(keys::due(before.due, id), None);
        self.write_held(id, Held::new(before.place, head));
        if before.kind != head.kind {
            self.count_held(before.kind, -1)?;
            self.count_held(head.kind, 1)?;
        }
        Ok(())
    }

    pub(crate) fn remove_held(&mut self, id: LogPosition) -> Result<(), KvError> {
        self.waiting.busy.remove(&id);
        let Some(held) = self.held(id)? else {
            return Ok(());
        };
        self.waiting.withdraw(held.place.stream.queue().0, id);
        self.pending.insert(keys::held(id), None);
        self.pending.insert(keys::due(held.due, id), None);
        self.count_held(held.kind, -1)
    }

    fn write_held(&mut self, id: LogPosition, held: Held) {
        let due = Bytes::copy_from_slice(&held.due.ms().to_le_bytes());
        self.pending.insert(keys::held(id), Some(due));
        let key = keys::due(held.due, id);
        if key < self.waiting.due_from {
            self.waiting.due_from.clone_from(&key);
        }
        self.pending.insert(key, Some(held.encode()));
        if held.due < self.waiting.asleep_until {
            self.waiting.wake.notify_one();
        }
    }

    /// Held messages: timed, half.
    pub(crate) fn held_counts(&self) -> Result<[u64; 2], KvError> {
        let value = self.get(&[keys::HELD_COUNTS])?.unwrap_or_default();
        let mut value = &value[..];
        Ok([(); 2].map(|()| take_u64(&mut value).unwrap_or(0)))
    }

    fn count_held(&mut self, kind: HeldKind, change: i64) -> Result<(), KvError> {
        let mut counts = self.held_counts()?;
        let count = match kind {
            HeldKind::Timed => &mut counts[0],
            HeldKind::Half => &mut counts[1],
        };
        *count = count.saturating_add_signed(change);
        let value = counts.map(u64::to_le_bytes).concat();
        self.pending
            .insert(vec![keys::HELD_COUNTS], Some(value.into()));
        Ok(())
    }

    /// Some of what is due by `now`, soonest first and marked as busy; empty if nothing is.
    pub(crate) fn take_due(&mut self, now: Timestamp) -> Result<Vec<(LogPosition, Held)>, KvError> {
        let to = next_key(&keys::due(now, LogPosition::new(u64::MAX)));
        let mut taken = Vec::new();
        while taken.is_empty() && self.waiting.due_from < to {
            let page = self.range(&self.waiting.due_from, &to, DUE_PAGE)?;
            let Some((last, _)) = page.last() else {
                break;
            };
            self.waiting.due_from = next_key(last);
            for (id, held) in page.iter().filter_map(|(key, value)| read_due(key, value)) {
                let busy = match held.kind {
                    HeldKind::Timed => Busy::Leaving,
                    HeldKind::Half => Busy::Checking,
                };
                if let std::collections::hash_map::Entry::Vacant(free) = self.waiting.busy.entry(id)
                {
                    free.insert(busy);
                    taken.push((id, held));
                }
            }
        }
        Ok(taken)
    }

    /// What was taken stays as it was and is due again.
    pub(crate) fn put_back(&mut self, id: LogPosition, due: Timestamp) {
        self.waiting.busy.remove(&id);
        let key = keys::due(due, id);
        if key < self.waiting.due_from {
            self.waiting.due_from = key;
        }
        // Whoever releases may have looked while nobody was to be busy with this one.
        if due < self.waiting.asleep_until {
            self.waiting.wake.notify_one();
        }
    }

    /// When the next one is due that nobody is busy with.
    pub(crate) fn next_due(&self) -> Result<Option<Timestamp>, KvError> {
        let (mut from, to) = (self.waiting.due_from.clone(), [keys::DUE + 1]);
        loop {
            let page = self.range(&from, &to, 16)?;
            let Some((last, _)) = page.last() else {
                return Ok(None);
            };
            from = next_key(last);
            let free = page
                .iter()
                .filter_map(|(key, value)| read_due(key, value))
                .find(|(id, _)| !self.waiting.busy.contains_key(id));
            if let Some((_, held)) = free {
                return Ok(Some(held.due));
            }
        }
    }
}

fn read_due(key: &[u8], value: &[u8]) -> Option<(LogPosition, Held)> {
    let id = LogPosition::new(keys::tail_of(key)?);
    Some((id, Held::decode(keys::due_of(key)?, value)?))
}
