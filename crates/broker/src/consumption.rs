//! How far one group has come in one queue, and what it has in flight.
//!
//! ```text
//!            receive                      ack
//!   new  ───────────────▶  in flight  ───────────▶  done
//!                          │      ▲
//!        invisible time    │      │ receive again: attempt + 1, new nonce
//!        ends, or change   ▼      │
//!        to a short one   due ────┘
//!                          │ no attempt left
//!                          ▼
//!                     dead letter (then done)
//! ```
//!
//! By message group, a new message may have to wait for an earlier one; it is then *parked*: in
//! flight with attempt 0, which nobody has seen.
//!
//! A receipt handle settles the delivery that its nonce names and no other, so a late ack of an
//! earlier delivery is refused.

use std::{
    collections::{BTreeMap, BTreeSet},
    sync::{
        Arc,
        atomic::{AtomicUsize, Ordering},
    },
};

use base::{Timestamp, limits};

use crate::{
    Group,
    message_group::{MessageGroupHash, MessageGroups},
    records::ReceiptState,
};

/// In what order a group receives the messages of a queue.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) enum Order {
    /// In none: what is there is handed out.
    None,
    /// That of the queue.
    Queue,
    /// That of each message group: no message while an earlier one of its message group is with
    /// somebody; those of others are not held back.
    MessageGroup,
}

impl Order {
    /// That of a group whose client asks for none.
    pub(crate) fn of(group: &Group) -> Self {
        if group.spec.fifo {
            Self::MessageGroup
        } else {
            Self::None
        }
    }
}

/// A delivery in flight.
#[derive(Clone, Debug, PartialEq, Eq)]
pub(crate) struct InFlight {
    /// What the log and the KV know of it.
    pub(crate) state: ReceiptState,
    /// Who prolongs it by being alive, how far at a time, and until when at most. Not stored: after
    /// a restart the message comes again when its time ends.
    pub(crate) renewal: Option<Box<Renewal>>,
}

impl From<ReceiptState> for InFlight {
    fn from(state: ReceiptState) -> Self {
        let renewal = None;
        Self { state, renewal }
    }
}

/// A delivery that lasts as long as its client lives.
#[derive(Clone, Debug, PartialEq, Eq)]
pub(crate) struct Renewal {
    pub(crate) client: Arc<str>,
    pub(crate) step: std::time::Duration,
    pub(crate) end: Timestamp,
}

/// One group on one queue.
#[derive(Debug, Default)]
pub(crate) struct Consumption {
    /// The next offset to hand out or pull; `None` if the group was never here.
    next: Option<u64>,
    /// Parked messages too: they are deliveries of attempt 0.
    in_flight: BTreeMap<u64, InFlight>,
    /// `(until, offset)` of everything in flight.
    due: BTreeSet<(Timestamp, u64)>,
    /// How many of them nobody has seen.
    parked: Parked,
    /// Whether somebody receives in order of the queue, and so waits for the last delivery in
    /// flight.
    pub(crate) in_order: bool,
    /// There once somebody receives by message group.
    message_groups: Option<Box<MessageGroups>>,
    /// `next` as of the records that were applied, see `lite_lag.rs`.
    pub(crate) recorded: Option<u64>,
    /// When it was last looked up, see `lite_topic.rs`.
    pub(crate) used: u32,
    /// Whether a record of it was not taken by the log: memory alone knows that it is done.
    pub(crate) is_unrecorded: bool,
}

/// A count of parked messages that is part of that of the shard.
#[derive(Debug, Default)]
struct Parked {
    count: usize,
    of_shard: Arc<AtomicUsize>,
}

impl Parked {
    fn add(&mut self) {
        self.count += 1;
        self.of_shard.fetch_add(1, Ordering::Relaxed);
    }

    fn subtract(&mut self) {
        self.count -= 1;
        self.of_shard.fetch_sub(1, Ordering::Relaxed);
    }
}

impl Drop for Parked {
    fn drop(&mut self) {
        self.of_shard.fetch_sub(self.count, Ordering::Relaxed);
    }
}

impl Consumption {
    pub(crate) fn new(
        next: Option<u64>,
        receipts: impl IntoIterator<Item = (u64, ReceiptState)>,
        parked_of_shard: Arc<AtomicUsize>,
    ) -> Self {
        let mut consumption = Self {
            next,
            recorded: next,
            parked: Parked {
                count: 0,
                of_shard: parked_of_shard,
            },
            ..Self::default()
        };
        for (offset, state) in receipts {
            consumption.put(offset, state.into());
        }
        consumption
    }

    pub(crate) fn next(&self) -> Option<u64> {
        self.next
    }

    pub(crate) fn advance(&mut self, next: u64) {
        assert!(
            self.next.is_none_or(|now| now <= next),
            "hand-out went back"
        );
        self.next = Some(next);
    }

    /// How far the group has come: everything before is done.
    pub(crate) fn committed(&self) -> Option<u64> {
        match self.in_flight.first_key_value() {
            Some((first, _)) => Some(*first),
            None => self.next,
        }
    }

    /// Sets how far the group has come, whatever it was, and drops what is in flight.
    pub(crate) fn reset(&mut self, next: u64) {
        self.next = Some(next);
        self.is_unrecorded = false;
        while let Some((offset, _)) = self.in_flight.first_key_value() {
            self.remove(*offset);
        }
    }

    /// Whether nothing is in flight and nothing parked.
    pub(crate) fn is_settled(&self) -> bool {
        self.in_flight.is_empty()
    }

    /// Whether there is nothing to it that the KV does not have, once its records are durable.
    pub(crate) fn is_forgettable(&self) -> bool {
        self.is_settled() && !self.is_unrecorded
    }

    /// Messages that were handed out and are not settled.
    pub(crate) fn in_flight_count(&self) -> usize {
        self.in_flight.len() - self.parked.count
    }

    /// Messages passed over, or taken and not handed out.
    pub(crate) fn parked_count(&self) -> usize {
        self.parked.count
    }

    /// Whether others may have waited for what was just settled: in order of the queue also what is
    /// new, by message group what is left.
    pub(crate) fn may_free_others(&self) -> bool {
        self.in_order || self.message_groups.is_some() && !self.is_settled()
    }

    /// Whether new messages may be handed out or parked.
    pub(crate) fn has_room(&self) -> bool {
        self.in_flight_count() < limits::IN_FLIGHT_PER_QUEUE_MAX && self.has_parking_room(0)
    }

    /// Whether one more message may be parked beside `coming`.
    pub(crate) fn has_parking_room(&self, coming: usize) -> bool {
        let of_shard = self.parked.of_shard.load(Ordering::Relaxed);
        self.parked.count + coming < limits::PARKED_PER_QUEUE_MAX
            && of_shard + coming < limits::PARKED_PER_SHARD_MAX
    }

    /// Its deliveries by message group, from now on.
    pub(crate) fn message_groups(&mut self) -> &MessageGroups {
        self.message_groups.get_or_insert_with(|| {
            let mut groups = MessageGroups::default();
            for (offset, delivery) in &self.in_flight {
                groups.put(*offset, &delivery.state);
            }
            Box::new(groups)
        })
    }

    /// When the next of what is in flight may be handed out.
    pub(crate) fn next_due_in(&mut self, order: Order) -> Option<Timestamp> {
        match order {
            Order::Queue => self.last_due(),
            Order::MessageGroup => self.message_groups().next_free(),
            Order::None => self.next_due(),
        }
    }

    /// The deliveries to make again, or to make at last, in `order`; at most
    /// [`limits::PULL_MESSAGES_MAX`] and, by message group, `count`.
    pub(crate) fn due_in(
        &mut self,
        order: Order,
        now: Timestamp,
        count: usize,
    ) -> Vec<(u64, InFlight)> {
        match order {
            Order::None => self.due(now),
            Order::Queue => self.due_in_order(now),
            Order::MessageGroup => {
                let offsets = self.message_groups().due(now, count);
                let delivery = |offset: u64| Some((offset, self.in_flight.get(&offset)?.clone()));
                offsets.into_iter().filter_map(delivery).collect()
            }
        }
    }

    /// Prolongs what `prolong` says, of the first `count` message groups to be handed out again.
    pub(crate) fn prolong_lapsed(
        &mut self,
        now: Timestamp,
        count: usize,
        prolong: impl Fn(&InFlight) -> Option<InFlight>,
    ) {
        loop {
            let mut changed = false;
            for offset in self.message_groups().lapsed(now, count) {
                if let Some(prolonged) = self.in_flight.get(&offset).and_then(&prolong) {
                    self.put(offset, prolonged);
                    changed = true;
                }
            }
            // Others have come to the front.
            if !changed {
                return;
            }
        }
    }

    /// Whether an earlier message of the message group is unfinished.
    pub(crate) fn is_blocked(&mut self, message_group: MessageGroupHash) -> bool {
        !self.message_groups().is_idle(message_group)
    }

    pub(crate) fn get(&self, offset: u64) -> Option<&InFlight> {
        self.in_flight.get(&offset)
    }

    /// All that are in flight.
    pub(crate) fn deliveries(&self) -> impl Iterator<Item = &InFlight> {
        self.in_flight.values()
    }

    pub(crate) fn put(&mut self, offset: u64, delivery: InFlight) {
        self.remove(offset);
        let state = delivery.state;
        if state.attempt == 0 {
            self.parked.add();
        }
        if let Some(groups) = &mut self.message_groups {
            groups.put(offset, &state);
        }
        self.due.insert((state.until, offset));
        self.in_flight.insert(offset, delivery);
    }

    pub(crate) fn remove(&mut self, offset: u64) -> Option<InFlight> {
        let delivery = self.in_flight.remove(&offset)?;
        let state = &delivery.state;
        if state.attempt == 0 {
            self.parked.subtract();
        }
        if let Some(groups) = &mut self.message_groups {
            groups.remove(offset, state);
        }
        self.due.remove(&(state.until, offset));
        Some(delivery)
    }

    /// The deliveries whose time has ended, longest ago first; at most
    /// [`limits::PULL_MESSAGES_MAX`].
    fn due(&self, now: Timestamp) -> Vec<(u64, InFlight)> {
        self.due
            .iter()
            .take_while(|(until, _)| *until <= now)
            .take(limits::PULL_MESSAGES_MAX)
            .map(|(_, offset)| (*offset, self.in_flight[offset].clone()))
            .collect()
    }

    /// The deliveries in the order of their messages if all their times have ended, none if one of
    /// them is still with its consumer; at most [`limits::PULL_MESSAGES_MAX`].
    fn due_in_order(&self, now: Timestamp) -> Vec<(u64, InFlight)> {
        if self.last_due().is_none_or(|last| last > now) {
            return Vec::new();
        }
        self.in_flight
            .iter()
            .take(limits::PULL_MESSAGES_MAX)
            .map(|(offset, delivery)| (*offset, delivery.clone()))
            .collect()
    }

    /// When the time of the last delivery ends.
    pub(crate) fn last_due(&self) -> Option<Timestamp> {
        self.due.last().map(|(until, _)| *until)
    }

    /// When the next delivery's time ends.
    pub(crate) fn next_due(&self) -> Option<Timestamp> {
        self.due.first().map(|(until, _)| *until)
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn delivery(until: i64) -> InFlight {
        let message_group = MessageGroupHash::of(None);
        let until = Timestamp::from_ms(until);
        InFlight::from(ReceiptState {
            until,
            attempt: 1,
            nonce: 1,
            message_group,
        })
    }

    #[test]
    fn what_is_in_flight_holds_back_the_committed_offset() {
        let mut consumption = Consumption::default();
        assert_eq!(consumption.committed(), None);
        consumption.advance(3);
        (0..3).for_each(|offset| consumption.put(offset, delivery(100)));
        assert_eq!(consumption.committed(), Some(0));
        consumption.remove(0);
        consumption.remove(2);
        assert_eq!(consumption.committed(), Some(1));
        consumption.remove(1);
        assert_eq!(consumption.committed(), Some(3));
    }

    #[test]
    fn in_order_nothing_is_due_before_everything_is() {
        let mut consumption = Consumption::new(Some(3), [], Arc::default());
        consumption.put(0, delivery(100));
        consumption.put(1, delivery(50));
        assert_eq!(consumption.due_in_order(Timestamp::from_ms(99)), []);
        assert_eq!(consumption.last_due(), Some(Timestamp::from_ms(100)));
        let due = consumption.due_in_order(Timestamp::from_ms(100));
        assert_eq!(due, [(0, delivery(100)), (1, delivery(50))]);
    }

    #[test]
    fn a_changed_time_replaces_the_old_one() {
        let mut consumption = Consumption::new(Some(1), [], Arc::default());
        consumption.put(0, delivery(100));
        consumption.put(0, delivery(50));
        assert_eq!(consumption.due(Timestamp::from_ms(49)), []);
        assert_eq!(consumption.due(Timestamp::from_ms(50)), [(0, delivery(50))]);
        consumption.remove(0);
        assert_eq!(consumption.next_due(), None);
    }
}
