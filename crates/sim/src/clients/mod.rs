//! The clients of a run: what they do follows from the seed, what they see goes into the ledger.

mod administer;
mod lite;
mod lock;
mod pull;
mod query;
mod recall;
mod receive;
mod send;
mod send_back;
mod transact;

use std::{
    cell::{RefCell, RefMut},
    rc::Rc,
};

use base::Clock;

use crate::{
    ledger::Ledger,
    node::Node,
    plan::{Mode, PlannedGroup, PlannedTopic, Settings},
    scheduler::{Scheduler, give_up_after},
};

pub(crate) use pull::read_queue;

/// What every client of one life of the node has.
#[derive(Clone)]
pub struct Client {
    /// The node it talks to.
    pub node: Rc<Node>,
    /// Where it writes down what it sees.
    pub ledger: Rc<RefCell<Ledger>>,
    /// What the run is.
    pub settings: Rc<Settings>,
}

impl Client {
    fn ledger(&self) -> RefMut<'_, Ledger> {
        self.ledger.borrow_mut()
    }

    fn note(&self, line: std::fmt::Arguments<'_>) {
        self.node.world.note(line);
    }

    fn below(&self, bound: u64) -> u64 {
        self.node.world.below(bound)
    }

    fn chance(&self, percent: u64) -> bool {
        self.node.world.chance(percent)
    }

    async fn pause(&self, ms_max: u64) {
        self.node.pause(self.node.world.between(0, ms_max)).await;
    }

    /// The answer, or `None` if this client goes away before it comes.
    async fn answer<F: Future>(&self, call: F) -> Option<F::Output> {
        if self.chance(self.settings.cancel_percent) {
            let polls = self.node.world.between(0, 4);
            return give_up_after(call, polls).await;
        }
        Some(call.await)
    }

    fn any_topic(&self) -> PlannedTopic {
        let nth = self.below(self.settings.topics.len() as u64) as usize;
        self.settings.topics[nth].clone()
    }

    /// One that takes messages of every type.
    fn any_plain_topic(&self) -> PlannedTopic {
        loop {
            let topic = self.any_topic();
            if !topic.priority {
                return topic;
            }
        }
    }

    /// Starts the clients of a life that is not the last.
    pub fn spawn_all(&self, scheduler: &mut Scheduler) {
        for n in 0..3 {
            let client = self.clone();
            scheduler.spawn(format!("sender {n}"), async move { client.send_on().await });
        }
        for group in &self.settings.groups {
            match group.mode {
                Mode::Pull => self.spawn_pullers(scheduler, group),
                Mode::Receive | Mode::InOrder | Mode::Fifo => {
                    self.spawn_receivers(scheduler, group, 3);
                }
                Mode::Locks => {
                    self.spawn_receivers(scheduler, group, 2);
                    self.spawn_lockers(scheduler, group);
                }
                Mode::Lite => {}
            }
        }
        self.spawn_lite(scheduler);
        let client = self.clone();
        scheduler.spawn("racer".to_owned(), async move { client.race_on().await });
        for n in 0..3 {
            let client = self.clone();
            scheduler.spawn(
                format!("settler {n}"),
                async move { client.settle_on().await },
            );
        }
        if self.settings.timed_percent > 0 {
            let client = self.clone();
            scheduler.spawn("recaller".to_owned(), async move {
                client.recall_on().await;
            });
        }
        if self.settings.transactions {
            for n in 0..2 {
                let client = self.clone();
                scheduler.spawn(format!("transactor {n}"), async move {
                    client.transact_on().await;
                });
            }
            self.spawn_producers(scheduler);
        }
        let client = self.clone();
        scheduler.spawn("querier".to_owned(), async move { client.query_on().await });
        let client = self.clone();
        scheduler.spawn("administrator".to_owned(), async move {
            client.administer_on().await
        });
    }

    fn spawn_pullers(&self, scheduler: &mut Scheduler, group: &PlannedGroup) {
        for topic in self.settings.topics_of(group) {
            for queue in 0..topic.queues {
                let (client, group, topic) = (self.clone(), group.clone(), topic.clone());
                scheduler.spawn(format!("puller of {}/{queue}", topic.name), async move {
                    client
                        .pull_on(&group, &topic, base::QueueId::new(queue), true)
                        .await;
                });
            }
        }
    }

    fn spawn_receivers(&self, scheduler: &mut Scheduler, group: &PlannedGroup, count: u32) {
        for n in 0..count {
            let (client, group) = (self.clone(), group.clone());
            scheduler.spawn(format!("receiver {n} of {}", group.name), async move {
                client.receive_on(&group).await;
            });
        }
    }

    fn spawn_lockers(&self, scheduler: &mut Scheduler, group: &PlannedGroup) {
        for nth in 0..2 {
            let (client, group) = (self.clone(), group.clone());
            scheduler.spawn(format!("locker {nth}"), async move {
                client.lock_on(&group, nth).await;
            });
        }
    }

    /// Starts the members of the producer group.
    pub fn spawn_producers(&self, scheduler: &mut Scheduler) {
        let count = if self.settings.transactions { 2 } else { 0 };
        for nth in 0..count {
            let client = self.clone();
            scheduler.spawn(format!("producer {nth}"), async move {
                client.answer_checks_on(nth).await;
            });
        }
    }

    /// Starts somebody who waits until all that waits outside its queue has left.
    pub fn spawn_patience(&self, scheduler: &mut Scheduler) {
        let left_by = self.ledger().all_left_by();
        let node = Rc::clone(&self.node);
        let wait = left_by.since(node.world.now());
        scheduler.spawn("patience".to_owned(), async move {
            node.clock.sleep(wait).await;
        });
    }

    /// Starts the clients of the last life: they take everything that is left.
    pub fn spawn_drain(&self, scheduler: &mut Scheduler) {
        for group in &self.settings.groups {
            for topic in self.settings.topics_of(group) {
                for queue in 0..topic.queues {
                    let queue = base::QueueId::new(queue);
                    let (client, group, topic) = (self.clone(), group.clone(), topic.clone());
                    let name = format!("last {} of {}/{queue}", group.name, topic.name);
                    scheduler.spawn(name, async move {
                        match group.mode {
                            Mode::Pull => client.pull_on(&group, &topic, queue, false).await,
                            Mode::Locks if client.chance(50) && !topic.volatile => {
                                client.lock_rest(&group, &topic, queue).await;
                            }
                            Mode::Receive
                            | Mode::InOrder
                            | Mode::Fifo
                            | Mode::Locks
                            | Mode::Lite => {
                                client.receive_rest(&group, &topic, queue).await;
                            }
                        }
                    });
                }
            }
        }
    }
}
