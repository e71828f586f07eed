//! The checks at the end of a life and of a run: nothing that was promised is missing.

use std::collections::{BTreeMap, BTreeSet};

use base::{GroupName, LogPosition, QueueId, TopicName};

use super::{Ledger, Letter};
use crate::{
    figures::Figures,
    plan::{Mode, Settings},
};

impl Letter {
    /// Where it is, if that is known: by the answer to its send or, if it had to wait, by sight.
    pub(super) fn known_place(&self) -> Option<(QueueId, u64, LogPosition)> {
        let (queue, offset) = self.place?;
        let sent = self.sent.filter(|_| self.waiting.is_none());
        let position = sent.map(|sent| sent.physical_offset.position());
        Some((queue, offset, position.or(self.position)?))
    }
}

impl Ledger {
    /// All that was confirmed is in the queues, in order and without gaps. `queues` is what a
    /// reader found: per queue, its first offset and the messages from there on.
    pub fn check_queues(&mut self, queues: &BTreeMap<(TopicName, QueueId), (u64, Vec<u64>)>) {
        for (number, letter) in self.letters.clone().into_iter().enumerate() {
            let Some((queue, offset, position)) = letter.known_place() else {
                continue;
            };
            let Some((first, found)) = queues.get(&(letter.topic.clone(), queue)) else {
                continue;
            };
            let there = offset
                .checked_sub(*first)
                .and_then(|at| found.get(at as usize).copied());
            let expired = position < self.start;
            self.check(expired || there == Some(number as u64), || {
                format!(
                    "confirmed message {number} is gone from {}: {letter:?}",
                    letter.topic
                )
            });
        }
    }

    /// At the end of a run nothing may be left open: every message that was there is done.
    pub fn check_end(
        &mut self,
        settings: &Settings,
        dead: &BTreeMap<GroupName, (bool, BTreeSet<u64>)>,
    ) {
        self.check_waiting_end();
        self.check_returned_end();
        for group in &settings.groups {
            for (number, letter) in self.letters.clone().into_iter().enumerate() {
                let number = number as u64;
                let wanted = group.tag.is_none() || group.tag == letter.tag;
                let is_elsewhere = letter.volatile || letter.lite_topic.is_some();
                if is_elsewhere || letter.place.is_none() || !wanted {
                    continue;
                }
                let position = letter.known_place().map(|(.., position)| position);
                let expired = position.is_none_or(|position| position < self.start);
                let key = (group.name.clone(), number);
                let pulled = self.pulled.contains(&key);
                let progress = self.progress.get(&key).cloned().unwrap_or_default();
                let (trimmed, letters) = dead.get(&group.name).cloned().unwrap_or_default();
                let buried = letters.contains(&number) || trimmed;
                let done = match group.mode {
                    Mode::Pull => pulled,
                    Mode::Receive | Mode::InOrder | Mode::Fifo | Mode::Locks | Mode::Lite => {
                        let in_turn = pulled && group.mode == Mode::Locks;
                        in_turn
                            || progress.settled.is_some()
                            || progress.perhaps_settled > 0
                            || buried
                    }
                };
                // What is kept beyond its time can be received again, but not pulled.
                let owed = progress.owed && group.mode != Mode::Locks;
                let name = &group.name;
                self.check(done || (expired && !owed), || {
                    format!(
                        "message {number} of {} is lost to {name}: {progress:?}",
                        letter.topic
                    )
                });
            }
        }
    }

    /// What happened so far, in numbers.
    pub fn figures(&self) -> Figures {
        let confirmed = self.letters.iter().filter(|letter| letter.sent.is_some());
        let [timed, committed, taken_back, put_aside] = self.waiting_figures();
        let [returned, returned_dead] = self.returned_figures();
        let [lite_settled, lite_ended] = self.lite_figures();
        Figures {
            sent: self.letters.len(),
            confirmed: confirmed.count(),
            delivered: self.progress.values().filter(|p| p.delivered).count(),
            settled: self
                .progress
                .values()
                .filter(|p| p.settled.is_some())
                .count(),
            pulled: self.pulled.len(),
            timed,
            committed,
            taken_back,
            put_aside,
            returned,
            returned_dead,
            in_turn: self.turns.taken,
            in_line: self.lines.brought,
            by_priority: self.priorities.preferred,
            lite_settled,
            lite_ended,
        }
    }
}
