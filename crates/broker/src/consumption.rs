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
//! A receipt handle settles the delivery that its nonce names and no other, so a late ack of an
//! earlier delivery is refused.

use std::{
    collections::{BTreeMap, BTreeSet},
    sync::Arc,
};

use base::{Timestamp, limits};

use crate::records::ReceiptState;

/// A delivery in flight.
#[derive(Clone, Debug, PartialEq, Eq)]
pub(crate) struct InFlight {
    /// What the log and the KV know of it.
    pub(crate) state: ReceiptState,
    /// Who prolongs it by being alive, how far at a time, and until when at most. Not stored: after
    /// a restart the message comes again when its time ends.
    pub(crate) renewal: Option<Renewal>,
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
    in_flight: BTreeMap<u64, InFlight>,
    /// `(until, offset)` of everything in flight.
    due: BTreeSet<(Timestamp, u64)>,
    /// Whether somebody receives in order, and so waits for the last delivery in flight.
    pub(crate) in_order: bool,
}

impl Consumption {
    pub(crate) fn new(
        next: Option<u64>,
        receipts: impl IntoIterator<Item = (u64, ReceiptState)>,
    ) -> Self {
        let mut consumption = Self {
            next,
            ..Self::default()
        };
        for (offset, state) in receipts {
            consumption.put(
                offset,
                InFlight {
                    state,
                    renewal: None,
                },
            );
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
        self.in_flight.clear();
        self.due.clear();
    }

    pub(crate) fn in_flight_count(&self) -> usize {
        self.in_flight.len()
    }

    pub(crate) fn has_room(&self) -> bool {
        self.in_flight.len() < limits::IN_FLIGHT_PER_QUEUE_MAX
    }

    pub(crate) fn get(&self, offset: u64) -> Option<&InFlight> {
        self.in_flight.get(&offset)
    }

    /// All that are in flight.
    pub(crate) fn deliveries(&self) -> impl Iterator<Item = &InFlight> {
        self.in_flight.values()
    }

    pub(crate) fn put(&mut self, offset: u64, delivery: InFlight) {
        let until = delivery.state.until;
        if let Some(before) = self.in_flight.insert(offset, delivery) {
            self.due.remove(&(before.state.until, offset));
        }
        self.due.insert((until, offset));
    }

    pub(crate) fn remove(&mut self, offset: u64) -> Option<InFlight> {
        let delivery = self.in_flight.remove(&offset)?;
        self.due.remove(&(delivery.state.until, offset));
        Some(delivery)
    }

    /// The deliveries whose time has ended, longest ago first; at most
    /// [`limits::PULL_MESSAGES_MAX`].
    pub(crate) fn due(&self, now: Timestamp) -> Vec<(u64, InFlight)> {
        self.due
            .iter()
            .take_while(|(until, _)| *until <= now)
            .take(limits::PULL_MESSAGES_MAX)
            .map(|(_, offset)| (*offset, self.in_flight[offset].clone()))
            .collect()
    }

    /// The deliveries in the order of their messages if all their times have ended, none if one of
    /// them is still with its consumer; at most [`limits::PULL_MESSAGES_MAX`].
    pub(crate) fn due_in_order(&self, now: Timestamp) -> Vec<(u64, InFlight)> {
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
        let state = ReceiptState {
            until: Timestamp::from_ms(until),
            attempt: 1,
            nonce: 1,
        };
        InFlight {
            state,
            renewal: None,
        }
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
        let mut consumption = Consumption::new(Some(3), []);
        consumption.put(0, delivery(100));
        consumption.put(1, delivery(50));
        assert_eq!(consumption.due_in_order(Timestamp::from_ms(99)), []);
        assert_eq!(consumption.last_due(), Some(Timestamp::from_ms(100)));
        let due = consumption.due_in_order(Timestamp::from_ms(100));
        assert_eq!(due, [(0, delivery(100)), (1, delivery(50))]);
    }

    #[test]
    fn a_changed_time_replaces_the_old_one() {
        let mut consumption = Consumption::new(Some(1), []);
        consumption.put(0, delivery(100));
        consumption.put(0, delivery(50));
        assert_eq!(consumption.due(Timestamp::from_ms(49)), []);
        assert_eq!(consumption.due(Timestamp::from_ms(50)), [(0, delivery(50))]);
        consumption.remove(0);
        assert_eq!(consumption.next_due(), None);
    }
}
