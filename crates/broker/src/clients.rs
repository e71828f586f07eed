//! Who is connected: producers and consumers of an instance, as their heartbeats tell.
//!
//! In memory only. A client that falls silent for [`limits::CLIENT_EXPIRY_MS`] is dropped by the
//! next look at its group; a front end removes those whose connection ends.

use std::{
    collections::{BTreeMap, BTreeSet},
    net::SocketAddr,
    sync::Arc,
};

use base::{
    ErrorKind, GroupName, PhysicalOffset, QueueId, QueueOffset, Timestamp, TopicName, limits,
};
use bytes::Bytes;
use parking_lot::Mutex;
use tokio::sync::{
    mpsc::{self, error::TrySendError},
    oneshot,
};
use wire::message::StoredMessage;

use crate::{Filter, Message};

/// How the members of a group share its messages.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Hash)]
pub enum MessageModel {
    /// Each message goes to one member.
    Clustering,
    /// Each message goes to every member; offsets live at the members.
    Broadcasting,
}

/// How a consumer gets its messages, as it says of itself. Only shown, never acted upon.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Hash)]
pub enum ConsumeMode {
    /// The SDK calls a listener.
    Push,
    /// The application asks.
    Pull,
}

/// Where a new group starts, as it says of itself. Only shown, never acted upon.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Hash)]
pub enum ConsumeFrom {
    /// At the end of the queue.
    LastOffset,
    /// At its start.
    FirstOffset,
    /// At a time.
    Timestamp,
}

/// One topic that a consumer subscribes to.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Subscription {
    /// The topic.
    pub topic: TopicName,
    /// The filter.
    pub filter: Filter,
    /// Version of the subscription: the client's time when it subscribed, in milliseconds.
    pub version: i64,
}

/// A group in which a client consumes.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct ConsumerSubscription {
    /// The group.
    pub group: GroupName,
    /// Sharing.
    pub model: MessageModel,
    /// Push or pull.
    pub mode: ConsumeMode,
    /// Where a new group starts.
    pub from: ConsumeFrom,
    /// Its topics.
    pub subscriptions: Vec<Subscription>,
}

/// Who a client is and where it is.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct ClientIdentity {
    /// The id it gave itself, unique in its groups.
    pub id: String,
    /// Number of its connection, unique in this process: a client that reconnects has a new one.
    pub connection: u64,
    /// Where it connects from.
    pub address: SocketAddr,
    /// Its language, as it says.
    pub language: String,
    /// Its version, as it says.
    pub version: String,
}

/// What the broker tells a client without being asked.
#[derive(Debug)]
pub enum ClientCommand {
    /// Members of the group came or went: share the queues anew.
    ConsumersChanged {
        /// The group.
        group: GroupName,
    },
    /// How did the transaction of this half message end?
    CheckTransaction {
        /// The producer group.
        group: GroupName,
        /// What ends the transaction.
        half: PhysicalOffset,
        /// The half message.
        message: StoredMessage,
    },
    /// Somebody has set the offsets of the group: forget what was fetched and go on from these.
    OffsetsReset {
        /// The consumer group.
        group: GroupName,
        /// The topic.
        topic: TopicName,
        /// Its queues, each with the next offset wanted.
        offsets: Vec<(QueueId, QueueOffset)>,
    },
    /// Somebody has changed what the group is: retries, order.
    GroupChanged {
        /// The consumer group.
        group: GroupName,
    },
    /// A question, to be answered through `answer`. A client that does not answer is not waited for
    /// longer than whoever asks has patience.
    Ask {
        /// What is asked.
        question: ClientQuestion,
        /// Where the answer goes; closed once nobody waits for it any more.
        answer: oneshot::Sender<ClientAnswer>,
    },
}

/// What a client can be asked.
#[derive(Clone, Debug)]
pub enum ClientQuestion {
    /// How its consumption in a group goes.
    RunningInfo {
        /// The group.
        group: GroupName,
        /// Whether to tell what its threads do.
        with_stacks: bool,
    },
    /// How far it has come in a topic, by its own word.
    ConsumerStatus {
        /// The group.
        group: GroupName,
        /// The topic.
        topic: TopicName,
    },
    /// To consume a message now, whatever its offset, and say how it went.
    ConsumeDirectly {
        /// The group.
        group: GroupName,
        /// The topic by which its consumer knows the message.
        topic: TopicName,
        /// The message.
        message: StoredMessage,
    },
    /// To take the reply to a request that it has sent.
    TakeReply {
        /// The reply, which is stored nowhere.
        reply: Message,
        /// The group that its producer is in, as it says itself.
        group: String,
        /// The topic that the reply was sent to.
        topic: TopicName,
        /// When the reply came.
        arrived: Timestamp,
        /// The address that clients know this server by.
        store_host: SocketAddr,
    },
}

/// What a client answers: text in its own form (RocketMQ's JSON), which only the tools that asked
/// read.
#[derive(Clone, Debug, PartialEq, Eq)]
pub enum ClientAnswer {
    /// It did as asked.
    Done(Bytes),
    /// It refused or failed, with its reason.
    Refused(String),
}

/// Why a client gave no answer.
#[derive(Clone, Debug, PartialEq, Eq, thiserror::Error)]
pub enum AskError {
    /// No such client is connected.
    #[error("client `{client}` is not connected")]
    NotConnected {
        /// The client.
        client: String,
    },
    /// Its connection takes no commands: full, or just gone.
    #[error("client `{client}` takes no commands")]
    Unreachable {
        /// The client.
        client: String,
    },
    /// It said nothing.
    #[error("client `{client}` gave no answer within {waited_ms} ms")]
    Silent {
        /// The client.
        client: String,
        /// How long it was waited for.
        waited_ms: u64,
    },
}

impl AskError {
    /// What the caller should do.
    pub fn kind(&self) -> ErrorKind {
        match self {
            Self::NotConnected { .. } => ErrorKind::NotFound,
            Self::Unreachable { .. } | Self::Silent { .. } => ErrorKind::Retry,
        }
    }
}

/// What a client says at each heartbeat. It replaces what it said before.
#[derive(Clone, Debug)]
pub struct Heartbeat {
    /// Who.
    pub client: ClientIdentity,
    /// Where commands for it go; a full or closed channel loses them, which its own timers make
    /// good.
    pub commands: mpsc::Sender<ClientCommand>,
    /// Groups in which it sends.
    pub producer_groups: Vec<GroupName>,
    /// Groups in which it consumes.
    pub consumers: Vec<ConsumerSubscription>,
}

/// A client as the instance knows it.
#[derive(Clone, Debug)]
pub struct RegisteredClient {
    /// Who.
    pub client: ClientIdentity,
    /// When it was last heard of.
    pub last_seen: Timestamp,
    /// What it does in the group it was listed for; `None` for a producer.
    pub consumer: Option<ConsumerSubscription>,
}

/// Why a heartbeat was refused.
#[derive(Clone, Debug, PartialEq, Eq, thiserror::Error)]
pub enum HeartbeatError {
    /// The instance knows as many clients as it may.
    #[error("instance has {count} clients, limit {limit}")]
    TooMany {
        /// Clients there are.
        count: usize,
        /// Clients there may be.
        limit: usize,
    },
}

impl HeartbeatError {
    /// What the caller should do.
    pub fn kind(&self) -> ErrorKind {
        match self {
            Self::TooMany { .. } => ErrorKind::Limit,
        }
    }
}

struct Known {
    heartbeat: Heartbeat,
    last_seen: Timestamp,
}

#[derive(Default)]
struct Tables {
    clients: BTreeMap<Arc<str>, Known>,
    producers: BTreeMap<GroupName, BTreeSet<Arc<str>>>,
    consumers: BTreeMap<GroupName, BTreeSet<Arc<str>>>,
}

/// All clients of one instance.
#[derive(Default)]
pub(crate) struct Clients {
    tables: Mutex<Tables>,
}

impl Tables {
    fn remove(&mut self, id: &str) -> BTreeSet<GroupName> {
        let mut changed = BTreeSet::new();
        let Some(known) = self.clients.remove(id) else {
            return changed;
        };
        for group in &known.heartbeat.producer_groups {
            drop_member(&mut self.producers, group, id);
        }
        for consumer in &known.heartbeat.consumers {
            drop_member(&mut self.consumers, &consumer.group, id);
            changed.insert(consumer.group.clone());
        }
        changed
    }

    fn expire(&mut self, now: Timestamp) -> BTreeSet<GroupName> {
        let expired: Vec<Arc<str>> = self
            .clients
            .iter()
            .filter(|(_, known)| {
                now.since(known.last_seen).as_millis() > u128::from(limits::CLIENT_EXPIRY_MS)
            })
            .map(|(id, _)| id.clone())
            .collect();
        expired.iter().flat_map(|id| self.remove(id)).collect()
    }

    fn notify(&self, groups: &BTreeSet<GroupName>) {
        for group in groups {
            for id in self.consumers.get(group).into_iter().flatten() {
                let Some(known) = self.clients.get(id) else {
                    continue;
                };
                // A client that does not drain its commands learns of the change at its next
                // rebalance; the broker must not wait for it.
                let _ = known
                    .heartbeat
                    .commands
                    .try_send(ClientCommand::ConsumersChanged {
                        group: group.clone(),
                    });
            }
        }
    }
}

fn drop_member(table: &mut BTreeMap<GroupName, BTreeSet<Arc<str>>>, group: &GroupName, id: &str) {
    if let Some(members) = table.get_mut(group) {
        members.remove(id);
        if members.is_empty() {
            table.remove(group);
        }
    }
}

impl Clients {
    pub(crate) fn heartbeat(
        &self,
        heartbeat: Heartbeat,
        now: Timestamp,
    ) -> Result<(), HeartbeatError> {
        let mut tables = self.tables.lock();
        let mut changed = tables.expire(now);
        let id: Arc<str> = heartbeat.client.id.as_str().into();
        let count = tables.clients.len();
        let limit = limits::CLIENTS_PER_INSTANCE_MAX;
        let before = tables.clients.get(&id).map(|known| &known.heartbeat);
        if before.is_none() && count >= limit {
            return Err(HeartbeatError::TooMany { count, limit });
        }
        let same = before.is_some_and(|before| {
            before.consumers == heartbeat.consumers
                && before.producer_groups == heartbeat.producer_groups
                && before.client.connection == heartbeat.client.connection
        });
        if !same {
            changed.extend(tables.remove(&id));
            for group in &heartbeat.producer_groups {
                tables
                    .producers
                    .entry(group.clone())
                    .or_default()
                    .insert(id.clone());
            }
            for consumer in &heartbeat.consumers {
                tables
                    .consumers
                    .entry(consumer.group.clone())
                    .or_default()
                    .insert(id.clone());
                changed.insert(consumer.group.clone());
            }
        }
        tables.clients.insert(
            id,
            Known {
                heartbeat,
                last_seen: now,
            },
        );
        tables.notify(&changed);
        Ok(())
    }

    /// Forgets `id` in one group, or everywhere if `group` is `None`.
    pub(crate) fn unregister(&self, id: &str, group: Option<&GroupName>) {
        let mut tables = self.tables.lock();
        let Some(group) = group else {
            let changed = tables.remove(id);
            tables.notify(&changed);
            return;
        };
        let Some(mut known) = tables.clients.get(id).map(|known| Known {
            heartbeat: known.heartbeat.clone(),
            last_seen: known.last_seen,
        }) else {
            return;
        };
        let mut changed = tables.remove(id);
        known
            .heartbeat
            .consumers
            .retain(|consumer| consumer.group != *group);
        known
            .heartbeat
            .producer_groups
            .retain(|producer| producer != group);
        let left = known.heartbeat;
        if !left.consumers.is_empty() || !left.producer_groups.is_empty() {
            let id: Arc<str> = id.into();
            for group in &left.producer_groups {
                tables
                    .producers
                    .entry(group.clone())
                    .or_default()
                    .insert(id.clone());
            }
            for consumer in &left.consumers {
                tables
                    .consumers
                    .entry(consumer.group.clone())
                    .or_default()
                    .insert(id.clone());
            }
            tables.clients.insert(
                id,
                Known {
                    heartbeat: left,
                    last_seen: known.last_seen,
                },
            );
        }
        changed.retain(|changed| changed == group);
        tables.notify(&changed);
    }

    /// Forgets every client of a connection that has ended.
    pub(crate) fn disconnect(&self, connection: u64) {
        let mut tables = self.tables.lock();
        let gone: Vec<Arc<str>> = tables
            .clients
            .iter()
            .filter(|(_, known)| known.heartbeat.client.connection == connection)
            .map(|(id, _)| id.clone())
            .collect();
        let changed = gone.iter().flat_map(|id| tables.remove(id)).collect();
        tables.notify(&changed);
    }

    /// Tells one live producer of a group, the one heard of last that takes it; `false` if there is
    /// none.
    pub(crate) fn tell_producer(
        &self,
        group: &GroupName,
        command: ClientCommand,
        now: Timestamp,
    ) -> bool {
        let mut tables = self.tables.lock();
        let changed = tables.expire(now);
        tables.notify(&changed);
        let members = tables.producers.get(group).into_iter().flatten();
        let mut members: Vec<&Known> = members.filter_map(|id| tables.clients.get(id)).collect();
        members.sort_by_key(|known| std::cmp::Reverse(known.last_seen));
        let mut command = command;
        for known in members {
            match known.heartbeat.commands.try_send(command) {
                Ok(()) => return true,
                Err(TrySendError::Full(back) | TrySendError::Closed(back)) => command = back,
            }
        }
        false
    }

    /// Tells a client.
    pub(crate) fn tell(&self, id: &str, command: ClientCommand) -> Result<(), AskError> {
        let client = || id.to_owned();
        let commands = {
            let tables = self.tables.lock();
            let known = tables.clients.get(id);
            let known = known.ok_or_else(|| AskError::NotConnected { client: client() })?;
            known.heartbeat.commands.clone()
        };
        commands
            .try_send(command)
            .map_err(|_| AskError::Unreachable { client: client() })
    }

    pub(crate) fn is_alive(&self, id: &str, now: Timestamp) -> bool {
        self.tables.lock().clients.get(id).is_some_and(|known| {
            now.since(known.last_seen).as_millis() <= u128::from(limits::CLIENT_EXPIRY_MS)
        })
    }

    pub(crate) fn consumers(&self, group: &GroupName, now: Timestamp) -> Vec<RegisteredClient> {
        let mut tables = self.tables.lock();
        let changed = tables.expire(now);
        tables.notify(&changed);
        let members = tables.consumers.get(group).into_iter().flatten();
        members
            .filter_map(|id| tables.clients.get(id))
            .map(|known| RegisteredClient {
                client: known.heartbeat.client.clone(),
                last_seen: known.last_seen,
                consumer: known
                    .heartbeat
                    .consumers
                    .iter()
                    .find(|consumer| consumer.group == *group)
                    .cloned(),
            })
            .collect()
    }

    pub(crate) fn producers(&self, group: &GroupName, now: Timestamp) -> Vec<RegisteredClient> {
        let mut tables = self.tables.lock();
        let changed = tables.expire(now);
        tables.notify(&changed);
        let members = tables.producers.get(group).into_iter().flatten();
        members
            .filter_map(|id| tables.clients.get(id))
            .map(|known| RegisteredClient {
                client: known.heartbeat.client.clone(),
                last_seen: known.last_seen,
                consumer: None,
            })
            .collect()
    }

    pub(crate) fn all_producers(
        &self,
        now: Timestamp,
    ) -> BTreeMap<GroupName, Vec<RegisteredClient>> {
        let groups: Vec<GroupName> = self.tables.lock().producers.keys().cloned().collect();
        groups
            .into_iter()
            .map(|group| {
                let clients = self.producers(&group, now);
                (group, clients)
            })
            .filter(|(_, clients)| !clients.is_empty())
            .collect()
    }

    pub(crate) fn subscribed_groups(
        &self,
        topic: &TopicName,
        now: Timestamp,
    ) -> BTreeSet<GroupName> {
        let mut tables = self.tables.lock();
        let changed = tables.expire(now);
        tables.notify(&changed);
        let consumers = tables.clients.values().flat_map(|k| &k.heartbeat.consumers);
        consumers
            .filter(|consumer| consumer.subscriptions.iter().any(|s| s.topic == *topic))
            .map(|consumer| consumer.group.clone())
            .collect()
    }

    /// Connected producers and consumers, counted.
    pub(crate) fn counts(&self) -> (usize, usize) {
        let tables = self.tables.lock();
        let producing = |k: &&Known| !k.heartbeat.producer_groups.is_empty();
        let consuming = |k: &&Known| !k.heartbeat.consumers.is_empty();
        (
            tables.clients.values().filter(producing).count(),
            tables.clients.values().filter(consuming).count(),
        )
    }
}
