//! Queue locks: one holder at a time, nothing handed out meanwhile, nothing skipped after.

use std::{collections::BTreeMap, time::Duration};

use base::{GroupName, QueueId, QueueOffset, Timestamp, TopicName};
use broker::Received;

use super::{Ledger, Progress};
use crate::plan::PlannedGroup;

/// A queue as a group sees it.
pub type Place = (GroupName, TopicName, QueueId);

/// Somebody has the lock, or was refused it because of what is in flight.
#[derive(Clone, Debug)]
struct Entry {
    client: String,
    is_held: bool,
    until: Timestamp,
    /// When it was first asked for in vain.
    asked: Timestamp,
}

/// What is known of the lock of a queue.
#[derive(Clone, Debug, Default)]
struct Turn {
    entry: Option<Entry>,
    /// When the queue was last given back.
    given_back: Duration,
    /// The next message that the holder takes.
    next: Option<u64>,
    /// Messages before this offset are known to be done.
    done_to: u64,
}

/// The locks of a run.
#[derive(Debug, Default)]
pub(super) struct Turns {
    of: BTreeMap<Place, Turn>,
    /// Messages that holders have taken.
    pub(super) taken: usize,
}

impl Turns {
    /// Locks do not outlive the node.
    pub(super) fn node_is_new(&mut self) {
        for turn in self.of.values_mut() {
            turn.entry = None;
            turn.given_back = Duration::ZERO;
        }
    }
}

impl Ledger {
    /// A client asked for the lock of a queue. Says until when it holds it.
    pub fn lock_answered(&mut self, place: &Place, client: &str, held: bool) -> Option<Timestamp> {
        let now = self.world.now();
        let until = now.after(Duration::from_millis(self.lock_ms));
        let before = self
            .turns
            .of
            .entry(place.clone())
            .or_default()
            .entry
            .clone();
        let before = before.filter(|entry| entry.until > now);
        let holder = before.as_ref().filter(|entry| entry.is_held);
        let mine = holder.is_some_and(|holder| holder.client == client);
        self.check(!held || mine || holder.is_none(), || {
            format!("{client} and another hold the lock of {place:?}: {holder:?}")
        });
        if holder.is_some() && !mine {
            return None;
        }
        let out = self.first_that(place, |progress| progress.is_out(self.life, now));
        let perhaps = self.first_that(place, |progress| progress.may_be_back(self.life, now));
        self.check(!held || mine || out.is_none(), || {
            format!("{client} locked {place:?} while {out:?} is in flight")
        });
        let asked = before.as_ref().map_or(now, |before| before.asked);
        // Where somebody looks for messages right now, they may be on their way out.
        let waits = asked == now || perhaps.is_some();
        self.check(held || (waits && !mine), || {
            format!("{client} is refused the lock of {place:?}: {before:?}, {out:?}")
        });
        let ended = self.free_since(place);
        let turn = self.turns.of.entry(place.clone()).or_default();
        turn.given_back = ended.unwrap_or(turn.given_back);
        turn.entry = Some(Entry {
            client: client.to_owned(),
            is_held: held,
            until,
            asked,
        });
        held.then_some(until)
    }

    /// Since when the queue can be handed out, as far as locks go; `None` if it is locked.
    fn free_since(&self, place: &Place) -> Option<Duration> {
        let turn = self.turns.of.get(place).cloned().unwrap_or_default();
        match turn.entry {
            Some(entry) if entry.until > self.world.now() => None,
            Some(entry) => Some(entry.until.since(self.beginning()).max(turn.given_back)),
            None => Some(turn.given_back),
        }
    }

    /// A client gives the lock back, or asks for it no more.
    pub fn unlocked(&mut self, place: &Place, client: &str) {
        let now = self.world.elapsed();
        let turn = self.turns.of.entry(place.clone()).or_default();
        if turn
            .entry
            .as_ref()
            .is_some_and(|entry| entry.client == client)
        {
            turn.entry = None;
            turn.given_back = now;
        }
    }

    /// The first message of the queue of which the progress of the group is such.
    fn first_that(
        &self,
        (group, topic, queue): &Place,
        is_such: impl Fn(&Progress) -> bool,
    ) -> Option<u64> {
        let mut there = self.placed(topic, *queue, 0);
        let found = there.find(|(_, number)| is_such(&self.progress_of(group, *number)));
        found.map(|(_, number)| number)
    }

    /// Offsets and numbers of the messages of a queue that are known, from an offset on.
    fn placed(
        &self,
        topic: &TopicName,
        queue: QueueId,
        from: u64,
    ) -> impl Iterator<Item = (u64, u64)> + use<'_> {
        let (from, to) = (
            (topic.clone(), queue, from),
            (topic.clone(), queue, u64::MAX),
        );
        let there = self.places.range(from..=to);
        there.map(|((.., offset), number)| (*offset, *number))
    }

    /// Messages are handed out by one receive: none of a queue that somebody has, or waits for.
    /// Returns since when each could be handed out, as far as locks go.
    pub(super) fn check_unlocked(
        &mut self,
        group: &PlannedGroup,
        batch: &[(u64, &Received)],
    ) -> Vec<Duration> {
        let now = self.world.now();
        let mut since = Vec::new();
        for (number, received) in batch {
            let letter = &self.letters[*number as usize];
            if letter.volatile {
                since.push(Duration::ZERO);
                continue;
            }
            let queue = QueueId::new(received.message.queue_id());
            let place = (group.name.clone(), letter.topic.clone(), queue);
            let entry = self
                .turns
                .of
                .get(&place)
                .and_then(|turn| turn.entry.clone());
            // What was on its way out when the lock was asked for comes out still.
            let locked =
                entry.filter(|entry| entry.until > now && (entry.is_held || entry.asked < now));
            self.check(locked.is_none(), || {
                format!("message {number} is handed out of {place:?}, locked: {locked:?}")
            });
            let offset = received.message.queue_offset().cast_unsigned();
            let commits = self.commits.get(&place).cloned().unwrap_or_default();
            self.check(
                commits.newest().is_none_or(|newest| offset >= newest),
                || format!("message {number} is handed out at {offset} after {commits:?}"),
            );
            since.push(self.free_since(&place).unwrap_or_default());
        }
        since
    }

    /// The holder of a lock begins where its group is.
    pub fn turn_begins(&mut self, place: &Place, found: Option<QueueOffset>, min: QueueOffset) {
        let (group, topic, queue) = place;
        let commits = self.commits.get(place).cloned().unwrap_or_default();
        let at = found.unwrap_or(min);
        self.check(
            commits.newest().is_none_or(|newest| at.get() >= newest),
            || format!("{place:?} is at {found:?} after {commits:?}"),
        );
        let from = self.turns.of.get(place).map_or(0, |turn| turn.done_to);
        let from = from.max(min.get());
        let skipped = self.placed(topic, *queue, from).find(|(offset, number)| {
            let progress = self.progress_of(group, *number);
            let pulled = self.pulled.contains(&(group.clone(), *number));
            *offset < at.get()
                && !pulled
                && progress.settled.is_none()
                && progress.perhaps_settled == 0
        });
        self.check(skipped.is_none(), || {
            format!("{place:?} is at {found:?}, though {skipped:?} is not done")
        });
        let turn = self.turns.of.entry(place.clone()).or_default();
        turn.done_to = turn.done_to.max(at.get());
        turn.next = Some(at.get());
    }

    /// What the holder of a lock would take next has expired; it goes on at `next`.
    pub fn turn_moved(&mut self, place: &Place, next: u64) {
        self.turns.of.entry(place.clone()).or_default().next = Some(next);
    }

    /// The holder of a lock takes a message: the next one.
    pub fn taken_in_turn(&mut self, place: &Place, client: &str, number: u64, offset: u64) {
        let now = self.world.now();
        let turn = self.turns.of.entry(place.clone()).or_default();
        let holds = turn
            .entry
            .as_ref()
            .is_some_and(|entry| entry.is_held && entry.client == client && entry.until > now);
        let what = format!("{turn:?}");
        let expected = turn.next.replace(offset + 1);
        self.check(holds && expected == Some(offset), || {
            format!("{client} takes {offset} of {place:?}: {what}")
        });
        self.turns.taken += 1;
        self.pulled(&place.0, number);
    }

    /// The holder of a lock committed `offset`: what was in flight is so no more, and what comes
    /// after comes again.
    pub fn committed_in_turn(&mut self, (group, topic, queue): &Place, offset: u64) {
        let there: Vec<(u64, u64)> = self.placed(topic, *queue, 0).collect();
        for (at, number) in there {
            let key = (group.clone(), number);
            let Some(progress) = self.progress.get_mut(&key) else {
                continue;
            };
            progress.last = None;
            progress.owed = false;
            if progress.settled.is_some() {
                self.pulled.insert(key);
            }
            if at >= offset {
                progress.settled = None;
                progress.settled_firmly = false;
            }
        }
    }
}
