//! Topics whose messages have priorities: of what a receive could have, it brings the highest.

use std::{collections::BTreeMap, time::Duration};

use base::{GroupName, QueueId, TopicName};
use broker::Received;

use super::Ledger;
use crate::plan::PlannedGroup;

/// A message that was free, as far as is known, and was left while a lower one was handed out.
#[derive(Clone, Copy, Debug)]
struct PassedOver {
    at: Duration,
    /// The lower one.
    by: u64,
}

/// What is known of the order of priorities.
#[derive(Debug, Default)]
pub(super) struct Priorities {
    /// Whoever had begun to receive by then may have had the message in hand: only its next
    /// delivery tells.
    passed_over: BTreeMap<(GroupName, u64), PassedOver>,
    /// Messages that were handed out while one of a lower priority was there.
    pub(super) preferred: usize,
}

impl Priorities {
    /// What was in hand is free again.
    pub(super) fn node_is_new(&mut self) {
        self.passed_over.clear();
    }
}

impl Ledger {
    /// A receive from all queues of a topic that began at `called` brought `batch`.
    pub(super) fn compare_priorities(
        &mut self,
        group: &PlannedGroup,
        topic: &TopicName,
        batch: &[(u64, &Received)],
        called: Duration,
    ) {
        let ranked = |(number, _): &(u64, &Received)| {
            let priority = self.letters[*number as usize].priority;
            priority.map(|(_, queue)| (queue, *number))
        };
        let Some((lowest, by)) = batch.iter().filter_map(ranked).min() else {
            return;
        };
        let highest = batch.iter().filter_map(ranked).max();
        let from = (topic.clone(), QueueId::new(0), 0);
        let there: Vec<(QueueId, u64)> = self
            .places
            .range(from..)
            .take_while(|((of, ..), _)| of == topic)
            .map(|((_, queue, _), number)| (*queue, *number))
            .filter(|(_, number)| !batch.iter().any(|(brought, _)| brought == number))
            .collect();
        let mut is_preferred = false;
        for (queue, number) in there {
            if queue == lowest || !self.is_free_since_before(group, number, called) {
                continue;
            }
            is_preferred |= highest.is_some_and(|(highest, _)| queue < highest);
            if queue > lowest {
                let key = (group.name.clone(), number);
                let at = self.world.elapsed();
                let passed_over = PassedOver { at, by };
                self.priorities
                    .passed_over
                    .entry(key)
                    .or_insert(passed_over);
            }
        }
        if is_preferred {
            self.priorities.preferred += batch.len();
        }
    }

    /// Whether a receive that began at `called` finds the message free for sure, unless another
    /// receive has it in hand.
    fn is_free_since_before(&self, group: &PlannedGroup, number: u64, called: Duration) -> bool {
        let letter = &self.letters[number as usize];
        let Some((.., position)) = letter.known_place() else {
            return false;
        };
        let progress = self.progress_of(&group.name, number);
        let wanted = group.tag.is_none() || group.tag == letter.tag;
        let is_open = progress.settled.is_none() && progress.perhaps_settled == 0;
        if !wanted || !is_open || position < self.start {
            return false;
        }
        let since = match &progress.last {
            // Of what an earlier life handed out nobody knows for sure where it is.
            Some(last) if last.life != self.life || last.attempt >= group.max_attempts => None,
            Some(last) => Some(last.until.since(self.beginning())),
            None if position < self.durable[0].0 => None,
            None => Some(self.durable_since(position)),
        };
        let disturbed = self.disturbed.get(&group.name).copied();
        since.is_some_and(|since| since.max(disturbed.unwrap_or_default()) < called)
    }

    /// A message is handed out by a receive that began at `called`: nobody had it in hand when a
    /// lower one was preferred to it, if this began later and nobody gave up meanwhile.
    pub(super) fn check_passed_over(&mut self, group: &GroupName, number: u64, called: Duration) {
        let key = (group.clone(), number);
        let Some(passed_over) = self.priorities.passed_over.remove(&key) else {
            return;
        };
        let disturbed = self.disturbed.get(group).copied().unwrap_or_default();
        let explained = called <= passed_over.at || disturbed >= passed_over.at;
        let PassedOver { at, by } = passed_over;
        self.check(explained, || {
            format!("{group} got a lower one before message {number}: {by} at {at:?}")
        });
    }
}
