//! LiteTopics: a queue is that of one name for ever, a name has one queue at a time, and none ends
//! before its time; who chose one gets its messages, and nobody else.

use std::{
    collections::{BTreeMap, BTreeSet},
    time::Duration,
};

use base::{LiteTopicName, LogPosition, QueueId, Timestamp};
use broker::{LiteSubscriptionChange, Received};

use super::{Ledger, deliveries::Asked};
use crate::plan::{PlannedGroup, PlannedLite, Settings};

/// What is known of a queue of a LiteTopic.
#[derive(Clone, Debug)]
struct Known {
    name: LiteTopicName,
    /// When it was first heard of.
    since: Duration,
    /// When the first and the last message in it, of those that are known, were stored.
    first: Timestamp,
    last: Timestamp,
}

/// What a client has chosen in this life of the node.
#[derive(Clone, Debug, Default)]
struct Chosen {
    /// All changes so far were confirmed.
    is_sure: bool,
    /// Names, and since when.
    names: BTreeMap<LiteTopicName, Duration>,
    /// Names that it chose no more, and since when.
    ended: BTreeMap<LiteTopicName, Duration>,
}

/// The LiteTopics of a run.
#[derive(Debug, Default)]
pub(super) struct LiteTopics {
    expiration: Duration,
    /// Whether no two clients have the same one.
    exclusive: bool,
    queues: BTreeMap<QueueId, Known>,
    chosen: BTreeMap<u64, Chosen>,
    /// When those whose time is over were last looked for.
    looked: Option<Timestamp>,
}

impl LiteTopics {
    pub(super) fn of(planned: Option<&PlannedLite>) -> Self {
        Self {
            expiration: planned.map(PlannedLite::expiration).unwrap_or_default(),
            exclusive: planned.is_some_and(|planned| planned.exclusive),
            ..Self::default()
        }
    }

    /// Nobody has chosen anything.
    pub(super) fn node_is_new(&mut self) {
        self.chosen.clear();
    }
}

impl Ledger {
    /// The broker looks for LiteTopics whose time is over.
    pub fn ends_are_looked_for(&mut self) {
        self.lite.looked = Some(self.world.now());
    }

    /// A message is in a queue, and was stored at that time.
    pub(super) fn is_in_lite_topic(&mut self, number: u64, queue: QueueId, stored: Timestamp) {
        let Some(name) = self.letters[number as usize].lite_topic.clone() else {
            return;
        };
        let known = Known {
            name: name.clone(),
            since: self.world.elapsed(),
            first: stored,
            last: stored,
        };
        let known = self.lite.queues.entry(queue).or_insert(known);
        known.first = known.first.min(stored);
        known.last = known.last.max(stored);
        let known = known.clone();
        self.check(known.name == name, || {
            format!("message {number} of {name} is in {queue}, that of {known:?}")
        });
        let expiration = self.lite.expiration;
        let namesakes = self.lite.queues.iter();
        let early = namesakes
            .filter(|(_, other)| other.name == name)
            .find(|(other, namesake)| match queue.cmp(other) {
                std::cmp::Ordering::Equal => false,
                std::cmp::Ordering::Greater => namesake.last.after(expiration) > known.first,
                std::cmp::Ordering::Less => known.last.after(expiration) > namesake.first,
            })
            .map(|(other, namesake)| (*other, namesake.clone()));
        self.check(early.is_none(), || {
            format!("LiteTopic ended before its time: {queue} {known:?}, {early:?}")
        });
    }

    /// Whether the LiteTopic of a message may have ended.
    pub(super) fn may_have_ended(&self, number: u64) -> bool {
        let letter = &self.letters[number as usize];
        let known = letter
            .place
            .filter(|_| letter.lite_topic.is_some())
            .and_then(|(queue, _)| self.lite.queues.get(&queue));
        let end = known.map(|known| known.last.after(self.lite.expiration));
        end.is_some_and(|end| self.lite.looked.is_some_and(|looked| looked >= end))
    }

    /// A client is about to change what it has chosen, and the answer may not come. Returns what to
    /// say when it comes.
    pub fn will_choose(&mut self, client: u64) -> bool {
        let chosen = self.lite.chosen.entry(client).or_default();
        std::mem::take(&mut chosen.is_sure)
    }

    /// Nobody knows whether it is changed, nor what others have lost by it.
    pub fn may_have_chosen(&mut self) {
        if self.lite.exclusive {
            let all = self.lite.chosen.values_mut();
            all.for_each(|chosen| chosen.is_sure = false);
        }
    }

    /// It is changed; `was_sure` as [`Ledger::will_choose`] returned it.
    pub fn chose(&mut self, client: u64, change: &LiteSubscriptionChange, was_sure: bool) {
        let now = self.world.elapsed();
        let others = self.share_out(client, change);
        let chosen = self.lite.chosen.entry(client).or_default();
        chosen.is_sure = was_sure;
        let ends: Vec<LiteTopicName> = match change {
            LiteSubscriptionChange::Add { names, .. } => {
                for name in names {
                    chosen.names.entry(name.clone()).or_insert(now);
                }
                return;
            }
            LiteSubscriptionChange::Remove(names) => names.clone(),
            LiteSubscriptionChange::Replace(names) => {
                chosen.is_sure = others.is_some();
                if !was_sure {
                    chosen.names.clear();
                }
                for name in names {
                    chosen.names.entry(name.clone()).or_insert(now);
                }
                let others = others.unwrap_or_default();
                let kept = names.iter().filter(|name| !others.contains(*name));
                let kept: BTreeSet<&LiteTopicName> = kept.collect();
                let all = chosen.names.keys();
                all.filter(|name| !kept.contains(name)).cloned().collect()
            }
            LiteSubscriptionChange::RemoveAll => {
                chosen.is_sure = true;
                chosen.names.keys().cloned().collect()
            }
        };
        for name in ends {
            chosen.names.remove(&name);
            chosen.ended.insert(name, now);
        }
    }

    /// Takes from other clients what a client adds, where no two have the same. Returns what
    /// others keep; `None` if that is not known.
    fn share_out(
        &mut self,
        client: u64,
        change: &LiteSubscriptionChange,
    ) -> Option<BTreeSet<LiteTopicName>> {
        let now = self.world.elapsed();
        let mut kept = BTreeSet::new();
        if !self.lite.exclusive {
            return Some(kept);
        }
        let mut is_sure = true;
        let others = self.lite.chosen.iter_mut();
        for (_, other) in others.filter(|(other, _)| **other != client) {
            if let LiteSubscriptionChange::Add { names, .. } = change {
                for name in names {
                    other.names.remove(name);
                    other.ended.insert(name.clone(), now);
                }
            }
            is_sure &= other.is_sure;
            kept.extend(other.names.keys().cloned());
        }
        is_sure.then_some(kept)
    }

    /// Messages are handed out by one receive: those of each LiteTopic in order, and only of those
    /// that the client has chosen. Returns since when each could be handed out.
    pub(super) fn check_lite(
        &mut self,
        group: &PlannedGroup,
        batch: &[(u64, &Received)],
        asked: Asked,
    ) -> Vec<Duration> {
        // A group that comes late to a queue that has lost messages begins with the newest one.
        let from = match self.start > LogPosition::default() {
            true => vec![self.world.elapsed(); batch.len()],
            false => self.check_order(group, batch),
        };
        let chosen = asked.lite_client.map(|client| {
            let chosen = self.lite.chosen.get(&client).cloned();
            chosen.unwrap_or_default()
        });
        let mut since = Vec::new();
        for ((number, received), from) in batch.iter().zip(from) {
            let Some(name) = self.letters[*number as usize].lite_topic.clone() else {
                self.violate(format!("message {number} was sent to no LiteTopic"));
                continue;
            };
            let queue = QueueId::new(received.message.queue_id());
            let mut namesakes = self.lite.queues.range(queue..).skip(1);
            let successor = namesakes.find(|(_, known)| known.name == name);
            let is_over = successor.is_some_and(|(_, known)| known.since < asked.called);
            self.check(!is_over, || {
                format!("message {number} comes from {queue} of {name}, which has ended")
            });
            let Some(chosen) = &chosen else {
                since.push(from);
                continue;
            };
            let chosen_since = chosen.names.get(&name).filter(|_| chosen.is_sure).copied();
            let ended = chosen.ended.get(&name);
            let may = chosen_since.is_some() || ended.is_some_and(|ended| *ended >= asked.called);
            self.check(may || !chosen.is_sure, || {
                let client = asked.lite_client;
                format!("client {client:?} got message {number} of {name}, has chosen {chosen:?}")
            });
            let now = self.world.elapsed();
            since.push(chosen_since.map_or(now, |chosen| chosen.max(from)));
        }
        since
    }

    /// The queue of a LiteTopic that is known, the newest.
    pub fn lite_queue(&self, name: &LiteTopicName) -> Option<QueueId> {
        let mut queues = self.lite.queues.iter().rev();
        queues
            .find(|(_, known)| known.name == *name)
            .map(|(queue, _)| *queue)
    }

    /// Everything that LiteTopics had was consumed, unless they have ended.
    pub fn check_lite_end(&mut self, settings: &Settings) {
        // Where retention takes messages, a group that comes late begins with the newest one.
        let Some(lite) = settings
            .lite
            .as_ref()
            .filter(|_| settings.retention.is_none())
        else {
            return;
        };
        for number in 0..self.letters.len() as u64 {
            let letter = &self.letters[number as usize];
            let Some(name) = letter.lite_topic.clone() else {
                continue;
            };
            let is_there = letter.place.is_some() && !self.may_have_ended(number);
            for group in lite.groups() {
                let progress = self.progress_of(&group.name, number);
                let is_done = progress.settled.is_some() || progress.perhaps_settled > 0;
                self.check(is_done || !is_there, || {
                    let group = &group.name;
                    format!("message {number} of LiteTopic {name} is lost to {group}: {progress:?}")
                });
            }
        }
    }

    /// Messages of LiteTopics that were settled, and LiteTopics that came back.
    pub(super) fn lite_figures(&self) -> [usize; 2] {
        let settled = self.progress.iter().filter(|((_, number), progress)| {
            let letter = &self.letters[*number as usize];
            letter.lite_topic.is_some() && progress.settled.is_some()
        });
        let names: BTreeSet<&LiteTopicName> =
            self.lite.queues.values().map(|known| &known.name).collect();
        [settled.count(), self.lite.queues.len() - names.len()]
    }
}
