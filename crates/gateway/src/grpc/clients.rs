//! What gRPC clients have said of themselves: settings come over one stream, heartbeats over any
//! connection, so both meet here, across all connections of the process.
//!
//! A client may use several connections at once (its access point, and the address that routes
//! give). The core knows it under one of them, the first that lives, and forgets it when the last
//! is gone, when it says good-bye, or when it has been silent for [`limits::CLIENT_EXPIRY_MS`].
//!
//! What the core tells it goes to one of its Telemetry streams, the one that told settings last.

use std::{
    collections::{HashMap, HashSet},
    sync::{
        Arc,
        atomic::{AtomicU64, Ordering},
    },
};

use base::{GroupName, InstanceId, Timestamp, TopicName, limits};
use broker::{
    ClientCommand, ClientIdentity, ConsumeMode, ConsumerSubscription, Heartbeat, HeartbeatError,
    Instance, Router,
};
use parking_lot::Mutex;
use tokio::sync::{mpsc, watch};

use super::inbox::Inbox;
use crate::Front;

/// Connections, and Telemetry streams, remembered of one client. It has one per address it was
/// told, so one or two.
const CONNECTIONS_PER_CLIENT_MAX: usize = 8;

/// Where commands for one Telemetry stream, or one mailbox, go, and its number.
type Commands = (u64, mpsc::Sender<Box<ClientCommand>>);

/// What a client does, as its settings or heartbeats say.
#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub(crate) struct Role {
    /// Groups in which it sends: the topics it publishes to, as in Apache's proxy.
    pub(crate) producer_groups: Vec<GroupName>,
    /// Groups in which it consumes.
    pub(crate) consumers: Vec<ConsumerSubscription>,
}

/// A client id is unique within its instance only.
#[derive(Clone, Debug, PartialEq, Eq, Hash)]
struct Key {
    instance: InstanceId,
    client: String,
}

impl Key {
    fn of(instance: &Instance, client: &str) -> Self {
        Self {
            instance: instance.id().clone(),
            client: client.to_owned(),
        }
    }
}

/// What the core has for a client that fetches it with one call after the other (protocol v1).
/// Lives as long as what is known of the client.
pub(crate) type Mailbox = Arc<tokio::sync::Mutex<Inbox>>;

struct Session {
    role: Role,
    /// Topics of its half messages that its settings do not name. SDKs take topics as they come;
    /// who has sent a half message can be asked how its transaction ended.
    half_topics: Vec<GroupName>,
    identity: ClientIdentity,
    /// Its Telemetry streams, by number; the one that told settings last is the last.
    streams: Vec<Commands>,
    /// Where its commands wait, if it fetches them.
    mailbox: Option<Mailbox>,
    /// Closed with the session: what waits for the client ends then.
    alive: watch::Sender<()>,
    /// Connections it was heard on, oldest first.
    connections: Vec<u64>,
    last_seen: Timestamp,
}

/// How a client is told of commands.
enum Way {
    /// As before, if at all.
    None,
    /// On this stream.
    Stream(Commands),
    /// It fetches them.
    Mailbox,
}

#[derive(Default)]
struct Tables {
    open_connections: HashSet<u64>,
    sessions: HashMap<Key, Session>,
    /// Sessions at which the next look for expired ones is due.
    sweep_at: usize,
}

/// All gRPC clients of the process.
pub(crate) struct Clients {
    tables: Mutex<Tables>,
    next_stream: AtomicU64,
    /// A closed channel, for clients without a Telemetry stream.
    nobody: mpsc::Sender<Box<ClientCommand>>,
}

impl Default for Clients {
    fn default() -> Self {
        Self {
            tables: Mutex::default(),
            next_stream: AtomicU64::new(0),
            nobody: mpsc::channel(1).0,
        }
    }
}

/// A Telemetry stream as the core's way to a client. The client is not told anything any more once
/// this is dropped.
pub(crate) struct Stream {
    front: Arc<Front>,
    number: u64,
    commands: mpsc::Sender<Box<ClientCommand>>,
    /// Whose stream it has turned out to be.
    of: Option<Key>,
}

impl Stream {
    /// A stream of nobody yet, whose commands go to `commands`.
    pub(crate) fn new(front: Arc<Front>, commands: mpsc::Sender<Box<ClientCommand>>) -> Self {
        let number = front
            .grpc_clients
            .next_stream
            .fetch_add(1, Ordering::Relaxed);
        Self {
            front,
            number,
            commands,
            of: None,
        }
    }
}

impl Drop for Stream {
    fn drop(&mut self) {
        let clients = &self.front.grpc_clients;
        if let Some(key) = self.of.take() {
            clients.stream_ended(&self.front.router, &key, self.number);
        }
    }
}

impl Clients {
    /// A connection has come.
    pub(crate) fn opened(&self, connection: u64) {
        self.tables.lock().open_connections.insert(connection);
    }

    /// A connection has gone: clients of it alone are forgotten, others move to another of theirs.
    pub(crate) fn closed(&self, router: &Router, connection: u64) {
        let mut moved = Vec::new();
        {
            let mut tables = self.tables.lock();
            tables.open_connections.remove(&connection);
            tables.sessions.retain(|key, session| {
                let Some(index) = session.connections.iter().position(|id| *id == connection)
                else {
                    return true;
                };
                session.connections.remove(index);
                let Some(first) = session.connections.first() else {
                    return false;
                };
                if index == 0 {
                    session.identity.connection = *first;
                    moved.push((key.instance.clone(), session.heartbeat(&self.nobody)));
                }
                true
            });
        }
        for (instance, heartbeat) in moved {
            if let Ok(instance) = router.instance(&instance) {
                // It was known a moment ago, so the number of clients does not grow.
                let _ = instance.heartbeat(heartbeat);
            }
        }
        for instance in router.instances() {
            instance.disconnect(connection);
        }
    }

    /// A client says what it does. Replaces what it said before.
    pub(crate) fn settings(
        &self,
        instance: &Arc<Instance>,
        identity: ClientIdentity,
        role: Role,
        stream: &mut Stream,
        now: Timestamp,
    ) -> Result<(), HeartbeatError> {
        let key = Key::of(instance, &identity.id);
        if let Some(before) = stream.of.replace(key.clone()).filter(|of| *of != key) {
            self.stream_ended(&stream.front.router, &before, stream.number);
        }
        let commands = (stream.number, stream.commands.clone());
        self.heard(instance, identity, Some(role), Way::Stream(commands), now)
    }

    /// A client says that it lives. `role` is what the core is told of one whose settings never
    /// came, for example because this process has started since.
    pub(crate) fn alive(
        &self,
        instance: &Arc<Instance>,
        identity: ClientIdentity,
        role: Role,
        now: Timestamp,
    ) -> Result<(), HeartbeatError> {
        let key = Key::of(instance, &identity.id);
        let known = self.tables.lock().sessions.contains_key(&key);
        self.heard(instance, identity, (!known).then_some(role), Way::None, now)
    }

    /// A client that fetches its commands says what it does. Replaces what it said before.
    pub(crate) fn does(
        &self,
        instance: &Arc<Instance>,
        identity: ClientIdentity,
        role: Role,
        now: Timestamp,
    ) -> Result<(), HeartbeatError> {
        self.heard(instance, identity, Some(role), Way::Mailbox, now)
    }

    /// A client comes to fetch its commands. `role` is what is known of one that has not yet said
    /// what it does.
    pub(crate) fn fetches(
        &self,
        instance: &Arc<Instance>,
        identity: ClientIdentity,
        role: Role,
        now: Timestamp,
    ) -> Result<Option<Mailbox>, HeartbeatError> {
        let key = Key::of(instance, &identity.id);
        let known = self.tables.lock().sessions.contains_key(&key);
        let role = (!known).then_some(role);
        self.heard(instance, identity, role, Way::Mailbox, now)?;
        let tables = self.tables.lock();
        let session = tables.sessions.get(&key);
        Ok(session.and_then(|session| session.mailbox.clone()))
    }

    /// Completes once a client that is known now has gone. What waits for it may end then: SDKs of
    /// protocol v1 wait for their long polls before they stop.
    pub(crate) fn gone(
        &self,
        instance: &Instance,
        client: &str,
    ) -> impl Future<Output = ()> + Send + 'static {
        let tables = self.tables.lock();
        let session = tables.sessions.get(&Key::of(instance, client));
        let alive = session.map(|session| session.alive.subscribe());
        async move {
            match alive {
                // Nothing is ever sent: it fails when the session goes.
                Some(mut alive) => drop(alive.changed().await),
                None => std::future::pending().await,
            }
        }
    }

    /// What a client has said that it does.
    pub(crate) fn role(&self, instance: &Instance, client: &str) -> Option<Role> {
        let tables = self.tables.lock();
        let session = tables.sessions.get(&Key::of(instance, client));
        session.map(|session| session.role.clone())
    }

    /// Whether a client consumes in that group by a listener.
    pub(crate) fn listens(&self, instance: &Instance, client: &str, group: &GroupName) -> bool {
        let tables = self.tables.lock();
        let session = tables.sessions.get(&Key::of(instance, client));
        session.is_some_and(|session| {
            let mut consumers = session.role.consumers.iter();
            consumers.any(|consumer| consumer.group == *group && consumer.mode == ConsumeMode::Push)
        })
    }

    /// A client has sent a half message: from now on it is asked about those of that topic.
    pub(crate) fn sent_half(&self, instance: &Instance, client: &str, topic: &TopicName) {
        let Ok(group) = GroupName::new(topic.as_str()) else {
            return;
        };
        let heartbeat = {
            let mut tables = self.tables.lock();
            let Some(session) = tables.sessions.get_mut(&Key::of(instance, client)) else {
                // It has told no settings, so there is no stream to ask it on.
                return;
            };
            let known = session.role.producer_groups.contains(&group)
                || session.half_topics.contains(&group)
                || session.half_topics.len() >= limits::CLIENT_SETTINGS_ENTRIES_MAX;
            if known {
                return;
            }
            session.half_topics.push(group);
            session.heartbeat(&self.nobody)
        };
        // The client is known already, or it is not asked.
        let _ = instance.heartbeat(heartbeat);
    }

    fn stream_ended(&self, router: &Router, key: &Key, stream: u64) {
        let heartbeat = {
            let mut tables = self.tables.lock();
            let Some(session) = tables.sessions.get_mut(key) else {
                return;
            };
            session.streams.retain(|(number, _)| *number != stream);
            session.heartbeat(&self.nobody)
        };
        if let Ok(instance) = router.instance(&key.instance) {
            // Only where its commands go is new.
            let _ = instance.heartbeat(heartbeat);
        }
    }

    fn heard(
        &self,
        instance: &Arc<Instance>,
        identity: ClientIdentity,
        role: Option<Role>,
        way: Way,
        now: Timestamp,
    ) -> Result<(), HeartbeatError> {
        let key = Key::of(instance, &identity.id);
        let heartbeat = {
            let mut tables = self.tables.lock();
            tables.sweep(now);
            let Tables {
                open_connections,
                sessions,
                ..
            } = &mut *tables;
            let session = sessions.entry(key.clone()).or_insert_with(|| Session {
                role: Role::default(),
                half_topics: Vec::new(),
                identity: identity.clone(),
                streams: Vec::with_capacity(1),
                mailbox: None,
                alive: watch::Sender::new(()),
                connections: Vec::with_capacity(1),
                last_seen: now,
            });
            session.heard_on(identity.connection, open_connections);
            session.identity.address = identity.address;
            session.last_seen = now;
            match way {
                Way::None => {}
                Way::Stream(stream) => session.told_on(stream),
                Way::Mailbox if session.mailbox.is_some() => {}
                Way::Mailbox => {
                    let inbox = Inbox::default();
                    let number = self.next_stream.fetch_add(1, Ordering::Relaxed);
                    session.told_on((number, inbox.sender.clone()));
                    session.mailbox = Some(Arc::new(inbox.into()));
                }
            }
            if let Some(role) = role {
                session.role = role;
                // Settings know the SDK better than headers do: Node's headers say `HTTP`.
                session.identity.language = identity.language;
                session.identity.version = identity.version;
            }
            session.heartbeat(&self.nobody)
        };
        let result = instance.heartbeat(heartbeat);
        if result.is_err() {
            self.tables.lock().sessions.remove(&key);
        }
        result
    }

    /// A client says good-bye.
    pub(crate) fn terminated(&self, instance: &Instance, client: &str) {
        let key = Key::of(instance, client);
        self.tables.lock().sessions.remove(&key);
        instance.unregister(client, None);
    }
}

impl Session {
    fn heard_on(&mut self, connection: u64, open: &HashSet<u64>) {
        self.connections.retain(|id| open.contains(id));
        if !self.connections.contains(&connection) {
            if self.connections.len() == CONNECTIONS_PER_CLIENT_MAX {
                self.connections.remove(0);
            }
            self.connections.push(connection);
        }
        self.identity.connection = self.connections[0];
    }

    /// The newest stream is the last, and there are no more than it may have.
    fn told_on(&mut self, stream: Commands) {
        self.streams
            .retain(|(number, commands)| *number != stream.0 && !commands.is_closed());
        if self.streams.len() == CONNECTIONS_PER_CLIENT_MAX {
            self.streams.remove(0);
        }
        self.streams.push(stream);
    }

    fn heartbeat(&self, nobody: &mpsc::Sender<Box<ClientCommand>>) -> Heartbeat {
        let commands = self.streams.last().map_or(nobody, |(_, commands)| commands);
        let half_topics = self.half_topics.iter().filter(|topic| {
            // Settings may have named it since.
            !self.role.producer_groups.contains(topic)
        });
        let producer_groups = self.role.producer_groups.iter().chain(half_topics);
        Heartbeat {
            client: self.identity.clone(),
            commands: commands.clone(),
            producer_groups: producer_groups.cloned().collect(),
            consumers: self.role.consumers.clone(),
        }
    }
}

impl Tables {
    /// Drops silent clients whenever the number of sessions has doubled since the last look. The
    /// core has its own clock for them.
    fn sweep(&mut self, now: Timestamp) {
        const FIRST: usize = 1_024;
        if self.sessions.len() < self.sweep_at.max(FIRST) {
            return;
        }
        self.sessions.retain(|_, session| {
            now.since(session.last_seen).as_millis() <= u128::from(limits::CLIENT_EXPIRY_MS)
        });
        self.sweep_at = self.sessions.len() * 2;
    }
}
