//! Clients that receive, and settle what they received: in time, late, or never.

use std::time::Duration;

use base::{Clock, QueueId};
use broker::{
    AckError, ChangeInvisibleDurationError, Filter, ForwardToDeadLetterError, ReceiveError,
    ReceiveRequest, Received,
};

use super::Client;
use crate::{
    ledger::{
        Held,
        deliveries::{Asked, Before},
    },
    plan::{Mode, PlannedGroup, PlannedTopic},
    planted::Planted,
};

/// What became of an attempt to settle a receipt.
enum Outcome {
    Done,
    /// It is certain that nothing happened.
    Refused,
    /// It may have happened.
    Unknown,
}

impl Client {
    pub(super) async fn receive_on(&self, group: &PlannedGroup) {
        loop {
            self.pause(50).await;
            let topic = self.any_topic();
            let queue = match self.chance(50) {
                true => Some(QueueId::new(self.below(u64::from(topic.queues)) as u32)),
                false => None,
            };
            let invisible = match self.below(3) {
                0 => Duration::from_millis(self.node.world.between(1, 50)),
                1 => Duration::from_millis(self.node.world.between(50, 2_000)),
                _ => Duration::from_secs(15),
            };
            let wait = Duration::from_millis(self.below(2) * self.below(5_000));
            self.receive_once(group, &topic, queue, invisible, wait)
                .await;
        }
    }

    async fn receive_once(
        &self,
        group: &PlannedGroup,
        topic: &PlannedTopic,
        queue: Option<QueueId>,
        invisible: Duration,
        wait: Duration,
    ) -> Option<Vec<Received>> {
        let called = self.node.world.elapsed();
        let filter = match &group.tag {
            Some(tag) => Filter::Tags([tag.clone()].into()),
            None => Filter::All,
        };
        let request = ReceiveRequest {
            group: group.name.clone(),
            topic: topic.name.clone(),
            queue,
            max_messages: self.node.world.between(1, 8) as usize,
            invisible,
            filter,
            start: broker::Start::Oldest,
            in_order: group.mode == Mode::InOrder && self.node.planted != Planted::Disorder,
            wait,
            renew_while_alive: None,
        };
        match self.answer(self.node.shard.receive(request)).await {
            Some(Ok(received)) => {
                let mut ledger = self.ledger();
                let asked = Asked {
                    called,
                    queue,
                    lite_client: None,
                };
                ledger.received(&self.node, group, &topic.name, &received, asked);
                Some(received)
            }
            Some(Err(error)) => {
                self.note(format_args!("receive from {}: {error}", topic.name));
                self.ledger().disturb(&group.name);
                if matches!(error, ReceiveError::Log { .. }) {
                    self.pause(50).await;
                }
                None
            }
            None => {
                self.note(format_args!("{} gave up receiving", group.name));
                self.ledger().disturb(&group.name);
                None
            }
        }
    }

    /// Settles receipts that any client holds, one at a time, in any order and at any time.
    pub(super) async fn settle_on(&self) {
        loop {
            self.pause(60).await;
            let count = self.ledger().held.len() as u64;
            if count == 0 {
                continue;
            }
            let nth = self.below(count) as usize;
            let held = match self.chance(90) {
                true => self.ledger().held.swap_remove(nth),
                // Shown again later, when it was used or is over.
                false => self.ledger().held[nth].clone(),
            };
            match self.below(10) {
                0..5 => self.ack(&held).await,
                5..8 => self.change(&held).await,
                8 => self.forward(&held).await,
                // Forgotten: it comes again when its time ends.
                _ => {}
            }
        }
    }

    /// Acks at the very moment at which the time of a receipt ends, give or take a millisecond.
    pub(super) async fn race_on(&self) {
        loop {
            self.pause(300).await;
            let now = self.node.world.now();
            let racing = {
                let ledger = self.ledger();
                let mut open = ledger.held.iter().rev().take(20);
                open.find(|held| held.until > now).cloned()
            };
            let Some(held) = racing else {
                continue;
            };
            let early = held
                .until
                .since(now)
                .saturating_sub(Duration::from_millis(1));
            if early > Duration::from_secs(3) {
                continue;
            }
            let late = Duration::from_millis(self.below(3));
            self.node.clock.sleep(early + late).await;
            self.ack(&held).await;
        }
    }

    pub(super) async fn ack(&self, held: &Held) {
        let before = (self.node.tail(), self.node.world.elapsed());
        self.ledger().will_settle(held);
        let ack = self.node.shard.ack(&held.group, &held.topic, &held.handle);
        let outcome = match self.answer(ack).await {
            Some(Ok(())) => Outcome::Done,
            Some(Err(AckError::State { .. } | AckError::Log { .. })) | None => Outcome::Unknown,
            Some(Err(_)) => Outcome::Refused,
        };
        self.conclude("ack", held, outcome, before);
    }

    async fn forward(&self, held: &Held) {
        let before = (self.node.tail(), self.node.world.elapsed());
        self.ledger().will_settle(held);
        let shard = &self.node.shard;
        let forward = shard.forward_to_dead_letter(&held.group, &held.topic, &held.handle);
        let outcome = match self.answer(forward).await {
            Some(Ok(())) => Outcome::Done,
            Some(Err(ForwardToDeadLetterError::Receipt(
                AckError::Expired { .. }
                | AckError::Foreign { .. }
                | AckError::TopicNotFound(_)
                | AckError::GroupNotFound(_),
            ))) => Outcome::Refused,
            Some(Err(_)) | None => Outcome::Unknown,
        };
        self.conclude("forward", held, outcome, before);
    }

    fn conclude(&self, verb: &str, held: &Held, outcome: Outcome, before: Before) {
        let (group, letter) = (&held.group, held.letter);
        let mut ledger = self.ledger();
        let what = match outcome {
            Outcome::Done => {
                ledger.settled(&self.node, held, before);
                "done"
            }
            Outcome::Refused => {
                ledger.was_refused(held, before.1);
                "refused"
            }
            Outcome::Unknown => {
                ledger.disturb(group);
                "unknown"
            }
        };
        self.note(format_args!("{verb} of {letter} by {group}: {what}"));
    }

    async fn change(&self, held: &Held) {
        let duration = match self.chance(60) {
            true => Duration::from_millis(self.node.world.between(1, 100)),
            false => Duration::from_millis(self.node.world.between(100, 5_000)),
        };
        let shard = &self.node.shard;
        let change =
            shard.change_invisible_duration(&held.group, &held.topic, &held.handle, duration);
        match self.answer(change).await {
            Some(Ok((handle, until))) => {
                self.note(format_args!(
                    "{} changed {} to {until}",
                    held.group, held.letter
                ));
                self.ledger().changed(&self.node, held, handle, until);
            }
            Some(Err(ChangeInvisibleDurationError::Receipt(error))) => {
                self.note(format_args!("change of {}: {error}", held.letter));
            }
            Some(Err(error)) => self.note(format_args!("change of {}: {error}", held.letter)),
            None => self.ledger().disturb(&held.group),
        }
    }

    /// Receives and acks until nothing is left of the queue, waiting for what is in flight.
    pub(super) async fn receive_rest(
        &self,
        group: &PlannedGroup,
        topic: &PlannedTopic,
        queue: QueueId,
    ) {
        // Longer than any invisible time of the run.
        let wait = Duration::from_secs(30);
        let invisible = Duration::from_secs(20);
        loop {
            let called = self.node.world.elapsed();
            let received = self
                .receive_once(group, topic, Some(queue), invisible, wait)
                .await;
            // An answer that comes early says that there may be more.
            let whole = self.node.world.elapsed() >= called + wait;
            match received {
                Some(received) if received.is_empty() && whole => return,
                Some(received) => {
                    for message in received {
                        let held = {
                            let mut ledger = self.ledger();
                            let mine = |held: &Held| held.handle == message.handle;
                            let at = ledger.held.iter().position(mine);
                            at.map(|at| ledger.held.swap_remove(at))
                        };
                        match held {
                            Some(held) => self.ack(&held).await,
                            // The ledger does not follow topics that are deleted now and then.
                            None => {
                                let (shard, handle) = (&self.node.shard, &message.handle);
                                let acked = shard.ack(&group.name, &topic.name, handle).await;
                                self.note(format_args!("ack of {handle}: {acked:?}"));
                            }
                        }
                    }
                }
                None if self.node.instance.topic(&topic.name).is_none() => return,
                None => self.pause(20).await,
            }
        }
    }
}
