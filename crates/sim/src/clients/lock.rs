//! Ordered consumers: they lock queues, pull from where their group is, and commit how far they
//! are; now and then they forget to renew their locks, or vanish.

use std::{collections::BTreeMap, time::Duration};

use base::{QueueId, QueueOffset, Timestamp, TopicName};
use broker::{Filter, PullOutcome, PullRequest};

use super::Client;
use crate::{
    plan::{PlannedGroup, PlannedTopic},
    planted::Planted,
};

/// A queue that a client has locked.
struct Locked {
    until: Timestamp,
    /// The next offset, once it is known.
    at: Option<u64>,
}

/// What a client has locked.
type Queues = BTreeMap<(TopicName, QueueId), Locked>;

impl Client {
    pub(super) async fn lock_on(&self, group: &PlannedGroup, nth: u64) {
        let mut life = 0;
        let mut name = format!("locker-{nth}-0");
        let mut mine = Queues::new();
        loop {
            self.pause(100).await;
            match self.below(20) {
                0..6 => {
                    let some = self.some_queues();
                    self.lock(group, &name, &some, &mut mine);
                }
                // Renewed as clients do it: all at once.
                6..11 => {
                    let held: Vec<_> = mine.keys().cloned().collect();
                    self.lock(group, &name, &held, &mut mine);
                }
                11 | 12 => {
                    let some = self.some_queues();
                    self.unlock(group, &name, &some, &mut mine);
                }
                13 => self.pause(self.settings.lock_ms * 2).await,
                14 => {
                    life += 1;
                    name = format!("locker-{nth}-{life}");
                    mine.clear();
                }
                _ => {}
            }
            for ((topic, queue), locked) in &mut mine {
                self.consume_locked(group, topic, *queue, &name, locked)
                    .await;
            }
            let now = self.node.world.now();
            mine.retain(|_, locked| locked.until > now);
        }
    }

    /// Queues of the topics that live as long as the run.
    fn some_queues(&self) -> Vec<(TopicName, QueueId)> {
        let lasting = self
            .settings
            .topics
            .iter()
            .filter(|topic| !topic.volatile && self.node.instance.topic(&topic.name).is_some());
        let queues = lasting.flat_map(|topic| {
            (0..topic.queues).map(|queue| (topic.name.clone(), QueueId::new(queue)))
        });
        queues.filter(|_| self.chance(70)).collect()
    }

    fn lock(
        &self,
        group: &PlannedGroup,
        name: &str,
        queues: &[(TopicName, QueueId)],
        mine: &mut Queues,
    ) {
        // Who had a queue in between may have taken what this client was at.
        let now = self.node.world.now();
        mine.retain(|_, locked| locked.until > now);
        let shard = &self.node.shard;
        let held = match shard.lock_queues(&group.name, name, queues) {
            Ok(held) => held,
            Err(error) => return self.ledger().violate(format!("lock: {error}")),
        };
        self.note(format_args!("{name} asks for {queues:?}, holds {held:?}"));
        if self.node.planted == Planted::LeakyLocks && self.chance(20) {
            let _ = shard.unlock_queues(&group.name, name, &held);
        }
        for queue in queues {
            let place = (group.name.clone(), queue.0.clone(), queue.1);
            let until = self
                .ledger()
                .lock_answered(&place, name, held.contains(queue));
            match until {
                Some(until) => {
                    let fresh = Locked { until, at: None };
                    mine.entry(queue.clone()).or_insert(fresh).until = until;
                }
                None => {
                    mine.remove(queue);
                }
            }
        }
    }

    fn unlock(
        &self,
        group: &PlannedGroup,
        name: &str,
        queues: &[(TopicName, QueueId)],
        mine: &mut Queues,
    ) {
        if let Err(error) = self.node.shard.unlock_queues(&group.name, name, queues) {
            self.ledger().violate(format!("unlock: {error}"));
        }
        self.note(format_args!("{name} unlocks {queues:?}"));
        for queue in queues {
            let place = (group.name.clone(), queue.0.clone(), queue.1);
            self.ledger().unlocked(&place, name);
            mine.remove(queue);
        }
    }

    /// Takes some messages of a locked queue, one after the other, as long as the lock lasts. Says
    /// whether there are no more.
    async fn consume_locked(
        &self,
        group: &PlannedGroup,
        topic: &TopicName,
        queue: QueueId,
        name: &str,
        locked: &mut Locked,
    ) -> bool {
        let place = (group.name.clone(), topic.clone(), queue);
        let shard = &self.node.shard;
        let holds = || locked.until > self.node.world.now();
        if !holds() {
            return false;
        }
        let at = match locked.at {
            Some(at) => at,
            None => {
                let committed = shard.committed_offset(&group.name, topic, queue);
                let range = shard.queue_range(topic, queue);
                let (Ok(committed), Ok(range)) = (committed, range) else {
                    return false;
                };
                self.ledger().turn_begins(&place, committed, range.min);
                committed.unwrap_or(range.min).get()
            }
        };
        locked.at = Some(at);
        let request = PullRequest {
            group: Some(group.name.clone()),
            topic: topic.clone(),
            queue,
            offset: QueueOffset::new(at),
            max_messages: self.node.world.between(1, 8) as usize,
            max_bytes: 64 * 1024,
            filter: Filter::All,
            wait: Duration::from_millis(self.below(2) * self.below(100)),
        };
        let Some(Ok(pulled)) = self.answer(shard.pull(request)).await else {
            return false;
        };
        let messages = self.look_at(topic, at, &pulled);
        let mut next = at;
        if pulled.outcome == PullOutcome::OffsetMoved {
            next = pulled.next.get();
            locked.at = Some(next);
            self.ledger().turn_moved(&place, next);
        }
        for (number, message) in messages {
            self.pause(self.below(2) * self.below(30)).await;
            if !holds() {
                return false;
            }
            let offset = message.queue_offset().cast_unsigned();
            self.note(format_args!(
                "{name} takes {number} at {queue}/{offset} of {topic}"
            ));
            self.ledger().taken_in_turn(&place, name, number, offset);
            next = offset + 1;
            locked.at = Some(next);
        }
        if self.chance(50) && holds() && next > at {
            let commit = shard.commit_offset(&group.name, topic, queue, QueueOffset::new(next));
            if self.answer(commit).await.is_some_and(|done| done.is_ok()) {
                self.note(format_args!("{name} committed {topic}/{queue} {next}"));
                let mut ledger = self.ledger();
                ledger.committed(&self.node, &group.name, topic, queue, next);
                ledger.committed_in_turn(&place, next);
            }
        }
        pulled.outcome == PullOutcome::NoNewMessage
    }

    /// Locks a queue as soon as it can be locked, and takes all that is left of it.
    pub(super) async fn lock_rest(
        &self,
        group: &PlannedGroup,
        topic: &PlannedTopic,
        queue: QueueId,
    ) {
        if self.node.instance.topic(&topic.name).is_none() {
            return;
        }
        let queues = [(topic.name.clone(), queue)];
        let mut mine = Queues::new();
        let name = format!("last-locker-{queue}");
        loop {
            self.lock(group, &name, &queues, &mut mine);
            if let Some(locked) = mine.get_mut(&queues[0])
                && self
                    .consume_locked(group, &topic.name, queue, &name, locked)
                    .await
            {
                return;
            }
            self.pause(20).await;
        }
    }
}
