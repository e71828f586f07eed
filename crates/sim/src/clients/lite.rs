//! Clients of LiteTopics: they send to some, choose some, and receive what they chose.

use std::time::Duration;

use base::{Clock, LiteTopicName};
use broker::{
    Filter, LiteSubscriptionChange, QueueChoice, ReceiveError, ReceiveRequest, Received,
    SendRequest, Start, SyncLiteSubscriptionRequest,
};

use super::{Client, send::message};
use crate::{
    body,
    ledger::{Held, Ledger, deliveries::Asked},
    plan::{PlannedGroup, PlannedLite},
    planted::Planted,
    scheduler::Scheduler,
};

/// Who receives.
#[derive(Clone, Debug)]
enum Who {
    /// A member of the group whose members choose.
    Member(u64),
    /// One of the group that consumes all.
    All(PlannedGroup),
}

/// Members in a life that is not the last.
const MEMBERS: u64 = 2;

impl Client {
    /// Starts the clients of LiteTopics of a life that is not the last.
    pub(super) fn spawn_lite(&self, scheduler: &mut Scheduler) {
        let Some(lite) = self.settings.lite.clone() else {
            return;
        };
        for n in 0..2 {
            let (client, lite) = (self.clone(), lite.clone());
            scheduler.spawn(format!("lite sender {n}"), async move {
                loop {
                    client.pause(80).await;
                    let nth = client.below(lite.names.len() as u64) as usize;
                    let count = client.node.world.between(1, 3);
                    client.send_lite(&lite, &lite.names[nth], count).await;
                }
            });
        }
        for nth in 0..MEMBERS {
            for n in 0..2 {
                let (client, lite) = (self.clone(), lite.clone());
                scheduler.spawn(format!("lite receiver {nth}.{n}"), async move {
                    client.receive_lite_on(&lite, Who::Member(nth)).await;
                });
            }
            let (client, lite) = (self.clone(), lite.clone());
            scheduler.spawn(format!("lite chooser {nth}"), async move {
                loop {
                    let change = client.some_change(&lite);
                    client.choose(&lite, nth, change).await;
                    client.pause(400).await;
                }
            });
        }
        for n in 0..2 {
            let (client, lite) = (self.clone(), lite.clone());
            let Some(whole) = lite.whole.clone() else {
                break;
            };
            scheduler.spawn(format!("receiver {n} of {}", whole.name), async move {
                client.receive_lite_on(&lite, Who::All(whole)).await;
            });
        }
        let client = self.clone();
        scheduler.spawn("expire".to_owned(), async move {
            loop {
                client.pause(1_000).await;
                client.end_lite_topics();
            }
        });
    }

    /// Ends LiteTopics whose time is over.
    fn end_lite_topics(&self) -> bool {
        self.ledger().ends_are_looked_for();
        let ended = self.node.shard.expire_lite_topics();
        self.note(format_args!("ended: {ended:?}"));
        matches!(ended, Ok(0))
    }

    async fn send_lite(&self, lite: &PlannedLite, name: &LiteTopicName, count: u64) {
        let mut numbers = Vec::new();
        let mut messages = Vec::new();
        for _ in 0..count {
            let bytes = body::NUMBER_BYTES + self.below(self.settings.body_bytes_max) as usize;
            let mut letter = Ledger::letter(lite.topic.clone(), false, None, bytes);
            letter.lite_topic = Some(name.clone());
            let number = self.ledger().will_send(letter.clone());
            numbers.push(number);
            messages.push(message(number, &letter, self.node.world.now(), &[]));
        }
        self.note(format_args!("send {numbers:?} to LiteTopic {name}"));
        let request = SendRequest {
            topic: lite.topic.clone(),
            queue: QueueChoice::Any,
            messages,
            store_host: "127.0.0.1:8080".parse().expect("an address"),
            retries_max: None,
        };
        match self.answer(self.node.shard.send(request)).await {
            Some(Ok(sent)) => {
                self.note(format_args!("sent {numbers:?} at {:?}", sent[0]));
                let mut ledger = self.ledger();
                for (number, sent) in numbers.into_iter().zip(sent) {
                    ledger.was_sent(number, sent);
                }
            }
            Some(Err(error)) => self.note(format_args!("send {numbers:?}: {error}")),
            None => self.note(format_args!("gave up sending {numbers:?}")),
        }
    }

    fn some_change(&self, lite: &PlannedLite) -> LiteSubscriptionChange {
        let names = lite.names.iter().filter(|_| self.chance(60));
        let names: Vec<LiteTopicName> = names.cloned().collect();
        match self.below(10) {
            0..4 => LiteSubscriptionChange::Replace(names),
            4..7 => LiteSubscriptionChange::Add { names, from: None },
            7 | 8 => LiteSubscriptionChange::Remove(names),
            _ => LiteSubscriptionChange::RemoveAll,
        }
    }

    /// Says whether it is done.
    async fn choose(&self, lite: &PlannedLite, nth: u64, change: LiteSubscriptionChange) -> bool {
        let was_sure = self.ledger().will_choose(nth);
        let mut said = change.clone();
        if self.node.planted == Planted::ForgottenSubscriptions
            && let LiteSubscriptionChange::Add { names, .. }
            | LiteSubscriptionChange::Replace(names) = &mut said
        {
            names.pop();
        }
        let request = SyncLiteSubscriptionRequest {
            group: lite.group.name.clone(),
            topic: lite.topic.clone(),
            client: client_name(nth),
            change: said,
        };
        let answer = self.answer(self.node.shard.sync_lite_subscription(request));
        let answer = answer.await;
        self.note(format_args!(
            "{} wants {change:?}: {answer:?}",
            client_name(nth)
        ));
        let is_done = matches!(answer, Some(Ok(())));
        match is_done {
            true => self.ledger().chose(nth, &change, was_sure),
            false => self.ledger().may_have_chosen(),
        }
        is_done
    }

    async fn receive_lite_on(&self, lite: &PlannedLite, who: Who) {
        loop {
            self.pause(60).await;
            let invisible = match self.below(3) {
                0 => Duration::from_millis(self.node.world.between(1, 50)),
                1 => Duration::from_millis(self.node.world.between(50, 2_000)),
                _ => Duration::from_secs(15),
            };
            let wait = Duration::from_millis(self.below(2) * self.below(5_000));
            self.receive_lite_once(lite, &who, invisible, wait).await;
        }
    }

    async fn receive_lite_once(
        &self,
        lite: &PlannedLite,
        who: &Who,
        invisible: Duration,
        wait: Duration,
    ) -> Option<Vec<Received>> {
        let called = self.node.world.elapsed();
        let group = match who {
            Who::Member(_) => &lite.group,
            Who::All(group) => group,
        };
        let request = ReceiveRequest {
            group: group.name.clone(),
            topic: lite.topic.clone(),
            queue: None,
            max_messages: self.node.world.between(1, 8) as usize,
            invisible,
            filter: Filter::All,
            start: Start::Oldest,
            in_order: false,
            wait,
            renew_while_alive: None,
        };
        let shard = &self.node.shard;
        let answer = match who {
            Who::Member(nth) => {
                let client = client_name(*nth);
                self.answer(shard.receive_lite(request, &client)).await
            }
            Who::All(_) => self.answer(shard.receive(request)).await,
        };
        match answer {
            Some(Ok(received)) => {
                let lite_client = match who {
                    Who::Member(nth) => Some(*nth),
                    Who::All(_) => None,
                };
                let asked = Asked {
                    called,
                    queue: None,
                    lite_client,
                };
                let mut ledger = self.ledger();
                ledger.received(&self.node, group, &lite.topic, &received, asked);
                Some(received)
            }
            Some(Err(error)) => {
                self.note(format_args!("{who:?} receives: {error}"));
                self.ledger().disturb(&group.name);
                if matches!(error, ReceiveError::Log { .. }) {
                    self.pause(50).await;
                }
                None
            }
            None => {
                self.note(format_args!("{who:?} gave up receiving"));
                self.ledger().disturb(&group.name);
                None
            }
        }
    }

    /// Starts the clients of the last life that take all that LiteTopics have.
    pub fn spawn_lite_drain(&self, scheduler: &mut Scheduler) {
        let (client, lite) = (self.clone(), self.settings.lite.clone());
        let there = |lite: &PlannedLite| client.node.instance.topic(&lite.topic).is_some();
        let Some(lite) = lite.filter(there) else {
            return;
        };
        // What has some time left stays.
        if self.chance(70) {
            self.end_lite_topics();
        }
        if let Some(whole) = lite.whole.clone() {
            let (client, lite) = (self.clone(), lite.clone());
            scheduler.spawn("last receiver of all".to_owned(), async move {
                client.receive_lite_rest(&lite, Who::All(whole)).await;
            });
        }
        scheduler.spawn("last lite receiver".to_owned(), async move {
            let all = LiteSubscriptionChange::Replace(lite.names.clone());
            while !client.choose(&lite, MEMBERS, all.clone()).await {
                client.pause(20).await;
            }
            client.receive_lite_rest(&lite, Who::Member(MEMBERS)).await;
        });
    }

    async fn receive_lite_rest(&self, lite: &PlannedLite, who: Who) {
        // Longer than any invisible time of the run.
        let (wait, invisible) = (Duration::from_secs(30), Duration::from_secs(20));
        loop {
            let called = self.node.world.elapsed();
            let received = self.receive_lite_once(lite, &who, invisible, wait);
            let received = received.await;
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
                        if let Some(held) = held {
                            self.ack(&held).await;
                        }
                    }
                }
                None => self.pause(20).await,
            }
        }
    }

    /// Starts somebody who sees to it that LiteTopics do end.
    pub fn spawn_lite_ends(&self, scheduler: &mut Scheduler) {
        let (client, lite) = (self.clone(), self.settings.lite.clone());
        let there = |lite: &PlannedLite| client.node.instance.topic(&lite.topic).is_some();
        let Some(lite) = lite.filter(there) else {
            return;
        };
        scheduler.spawn("last lite sender".to_owned(), async move {
            let past = lite.expiration() + Duration::from_secs(1);
            client.node.clock.sleep(past).await;
            while !client.end_lite_topics() {
                client.pause(20).await;
            }
            for name in &lite.names {
                let before = client.ledger().lite_queue(name);
                let letters = client.ledger().letters().len();
                client.send_lite(&lite, name, 1).await;
                let mut ledger = client.ledger();
                let sent = ledger.letters()[letters].sent;
                if before.is_some() && sent.is_some_and(|sent| Some(sent.queue) == before) {
                    ledger.violate(format!("LiteTopic {name} has never ended"));
                }
            }
        });
    }
}

fn client_name(nth: u64) -> String {
    format!("lite-{nth}")
}
