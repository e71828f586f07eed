//! Message groups: order among the messages of one, and none between two.
//!
//! A group that receives by message group is handed no message while an earlier one of the same
//! message group is with somebody. What it has to pass over meanwhile is *parked*: a delivery of
//! attempt 0. So it is kept, found again and counted like any other delivery (ADR 8).

use std::collections::{BTreeMap, BTreeSet, HashMap};

use base::{Timestamp, stdx::hash_bytes};

use crate::records::ReceiptState;

/// Stands for a message group in index entries and receipts. Two that share a hash wait for each
/// other, which costs time and never order.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq, Hash, PartialOrd, Ord)]
pub(crate) struct MessageGroupHash(u32);

impl MessageGroupHash {
    /// Messages without a message group form one of their own, so that what a Remoting client sends
    /// in order to a queue comes in that order.
    pub(crate) fn of(message_group: Option<&str>) -> Self {
        let hash = |group: &str| (hash_bytes(group.bytes()) >> 32) as u32;
        Self(message_group.map_or(0, hash))
    }

    pub(crate) const fn halves(self) -> [u16; 2] {
        [self.0 as u16, (self.0 >> 16) as u16]
    }

    pub(crate) const fn from_halves([low, high]: [u16; 2]) -> Self {
        Self(low as u32 | (high as u32) << 16)
    }
}

/// The deliveries of one group on one queue, by message group.
#[derive(Debug, Default)]
pub(crate) struct MessageGroups {
    groups: HashMap<MessageGroupHash, Line>,
    /// When the first message of each may be handed out, and since which turn.
    free: BTreeSet<(Timestamp, u64, MessageGroupHash)>,
    turn: u64,
}

/// The messages of one message group that are in flight or parked.
#[derive(Debug, Default)]
struct Line {
    /// Offsets and attempts so far.
    messages: BTreeMap<u64, u32>,
    /// `(until, offset)` of those that somebody has, or has had.
    delivered: BTreeSet<(Timestamp, u64)>,
    /// Its entry in `free`.
    free_at: Timestamp,
    turn: u64,
}

impl MessageGroups {
    /// Whether a new message of the group may be handed out: none before it is unfinished.
    pub(crate) fn is_idle(&self, group: MessageGroupHash) -> bool {
        !self.groups.contains_key(&group)
    }

    pub(crate) fn put(&mut self, offset: u64, state: &ReceiptState) {
        let line = self.groups.entry(state.message_group).or_default();
        line.messages.insert(offset, state.attempt);
        if state.attempt > 0 {
            line.delivered.insert((state.until, offset));
        }
        self.note(state.message_group);
    }

    pub(crate) fn remove(&mut self, offset: u64, state: &ReceiptState) {
        let Some(line) = self.groups.get_mut(&state.message_group) else {
            return;
        };
        line.messages.remove(&offset);
        line.delivered.remove(&(state.until, offset));
        self.note(state.message_group);
    }

    /// Brings the entry in `free` up to date.
    fn note(&mut self, group: MessageGroupHash) {
        let Some(line) = self.groups.get_mut(&group) else {
            return;
        };
        let last = line.delivered.last().map(|(until, _)| *until);
        let free_at = last.unwrap_or(Timestamp::from_ms(0));
        if line.messages.is_empty() {
            self.free.remove(&(line.free_at, line.turn, group));
            self.groups.remove(&group);
        } else if line.turn == 0 || line.free_at != free_at {
            self.free.remove(&(line.free_at, line.turn, group));
            self.turn += 1;
            (line.free_at, line.turn) = (free_at, self.turn);
            self.free.insert((free_at, self.turn, group));
        }
    }

    /// Offsets to hand out now, at most `count`: of each message group of which nobody has a
    /// message, the first alone if it failed before, else the run of those never handed out. Who
    /// has waited longest comes first.
    pub(crate) fn due(&self, now: Timestamp, count: usize) -> Vec<u64> {
        let mut due = Vec::new();
        for (free_at, _, group) in &self.free {
            if *free_at > now || due.len() >= count {
                break;
            }
            let Some(line) = self.groups.get(group) else {
                continue;
            };
            let mut messages = line.messages.iter();
            let Some((first, attempt)) = messages.next() else {
                continue;
            };
            due.push(*first);
            if *attempt == 0 {
                let fresh = messages.take_while(|(_, attempt)| **attempt == 0);
                due.extend(fresh.map(|(offset, _)| *offset).take(count - due.len()));
            }
        }
        due
    }

    /// What somebody has had of the first `count` message groups that are free at `now`.
    pub(crate) fn lapsed(&self, now: Timestamp, count: usize) -> Vec<u64> {
        self.free
            .iter()
            .take(count)
            .take_while(|(free_at, _, _)| *free_at <= now)
            .filter_map(|(_, _, group)| self.groups.get(group))
            .flat_map(|line| line.delivered.iter().map(|(_, offset)| *offset))
            .collect()
    }

    /// When the next message group becomes free; the past if one is.
    pub(crate) fn next_free(&self) -> Option<Timestamp> {
        self.free.first().map(|(free_at, _, _)| *free_at)
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn state(group: &str, until: i64, attempt: u32) -> ReceiptState {
        ReceiptState {
            until: Timestamp::from_ms(until),
            attempt,
            nonce: 1,
            message_group: MessageGroupHash::of(Some(group)),
        }
    }

    fn at(ms: i64) -> Timestamp {
        Timestamp::from_ms(ms)
    }

    #[test]
    fn a_message_with_somebody_holds_back_its_own_message_group_only() {
        let mut groups = MessageGroups::default();
        groups.put(0, &state("a", 100, 1));
        groups.put(1, &state("a", 0, 0));
        groups.put(2, &state("b", 0, 0));
        groups.put(4, &state("b", 0, 0));
        assert_eq!(groups.due(at(99), 9), [2, 4]);
        assert_eq!(groups.due(at(99), 1), [2]);
        assert_eq!(groups.next_free(), Some(at(0)));
        groups.remove(2, &state("b", 0, 0));
        groups.remove(4, &state("b", 0, 0));
        assert_eq!(groups.next_free(), Some(at(100)));
        assert!(groups.is_idle(MessageGroupHash::of(Some("b"))));
        // What failed comes alone, and first.
        assert_eq!(groups.due(at(100), 9), [0]);
        groups.remove(0, &state("a", 100, 1));
        assert_eq!(groups.due(at(0), 9), [1]);
    }

    #[test]
    fn a_message_group_waits_for_the_last_of_its_deliveries() {
        let mut groups = MessageGroups::default();
        groups.put(0, &state("a", 50, 1));
        groups.put(1, &state("a", 80, 1));
        assert!(groups.due(at(79), 9).is_empty());
        assert_eq!(groups.lapsed(at(80), 1), [0, 1]);
        assert_eq!(groups.due(at(80), 9), [0]);
    }

    #[test]
    fn who_was_served_goes_to_the_end() {
        let mut groups = MessageGroups::default();
        for offset in 0..4 {
            let group = if offset % 2 == 0 { "a" } else { "b" };
            groups.put(offset, &state(group, 0, 0));
        }
        assert_eq!(groups.due(at(0), 1), [0]);
        groups.remove(0, &state("a", 0, 0));
        groups.put(0, &state("a", 100, 1));
        groups.remove(0, &state("a", 100, 1));
        assert_eq!(groups.due(at(0), 1), [1]);
    }

    #[test]
    fn messages_without_a_message_group_share_one() {
        assert_eq!(MessageGroupHash::of(None), MessageGroupHash::default());
        let hash = MessageGroupHash::of(Some("a"));
        assert_eq!(MessageGroupHash::from_halves(hash.halves()), hash);
    }
}
