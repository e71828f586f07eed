//! What gRPC clients have said of themselves: settings come over one stream, heartbeats over any
//! connection, so both meet here, across all connections of the process.
//!
//! A client may use several connections at once (its access point, and the address that routes
//! give). The core knows it under one of them, the first that lives, and forgets it when the last
//! is gone, when it says good-bye, or when it has been silent for [`limits::CLIENT_EXPIRY_MS`].

use std::{
    collections::{HashMap, HashSet},
    sync::Arc,
};

use base::{GroupName, InstanceId, Timestamp, limits};
use broker::{
    ClientCommand, ClientIdentity, ConsumerSubscription, Heartbeat, HeartbeatError, Instance,
    Router,
};
use parking_lot::Mutex;
use tokio::sync::mpsc;

/// Connections remembered of one client. It has one per address it was told, so one or two.
const CONNECTIONS_PER_CLIENT_MAX: usize = 8;

/// What a client does, as its settings or heartbeats say.
#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub(super) struct Role {
    /// Groups in which it sends: the topics it publishes to, as in Apache's proxy.
    pub(super) producer_groups: Vec<GroupName>,
    /// Groups in which it consumes.
    pub(super) consumers: Vec<ConsumerSubscription>,
}

/// A client id is unique within its instance only.
#[derive(Clone, Debug, PartialEq, Eq, Hash)]
struct Key {
    instance: InstanceId,
    client: String,
}

struct Session {
    role: Role,
    identity: ClientIdentity,
    /// Connections it was heard on, oldest first.
    connections: Vec<u64>,
    last_seen: Timestamp,
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
    /// A closed channel: the protocol has no command for what the core tells consumers today.
    commands: mpsc::Sender<ClientCommand>,
}

impl Default for Clients {
    fn default() -> Self {
        Self {
            tables: Mutex::default(),
            commands: mpsc::channel(1).0,
        }
    }
}

impl Clients {
    /// A connection has come.
    pub(super) fn opened(&self, connection: u64) {
        self.tables.lock().open_connections.insert(connection);
    }

    /// A connection has gone: clients of it alone are forgotten, others move to another of theirs.
    pub(super) fn closed(&self, router: &Router, connection: u64) {
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
                    moved.push((key.instance.clone(), session.heartbeat(&self.commands)));
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
    pub(super) fn settings(
        &self,
        instance: &Arc<Instance>,
        identity: ClientIdentity,
        role: Role,
        now: Timestamp,
    ) -> Result<(), HeartbeatError> {
        self.heard(instance, identity, Some(role), now)
    }

    /// A client says that it lives. `role` is what the core is told of one whose settings never
    /// came, for example because this process has started since.
    pub(super) fn alive(
        &self,
        instance: &Arc<Instance>,
        identity: ClientIdentity,
        role: Role,
        now: Timestamp,
    ) -> Result<(), HeartbeatError> {
        let known = self.tables.lock().sessions.contains_key(&Key {
            instance: instance.id().clone(),
            client: identity.id.clone(),
        });
        self.heard(instance, identity, (!known).then_some(role), now)
    }

    fn heard(
        &self,
        instance: &Arc<Instance>,
        identity: ClientIdentity,
        role: Option<Role>,
        now: Timestamp,
    ) -> Result<(), HeartbeatError> {
        let key = Key {
            instance: instance.id().clone(),
            client: identity.id.clone(),
        };
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
                identity: identity.clone(),
                connections: Vec::with_capacity(1),
                last_seen: now,
            });
            session.heard_on(identity.connection, open_connections);
            session.identity.address = identity.address;
            session.last_seen = now;
            if let Some(role) = role {
                session.role = role;
                // Settings know the SDK better than headers do: Node's headers say `HTTP`.
                session.identity.language = identity.language;
                session.identity.version = identity.version;
            }
            session.heartbeat(&self.commands)
        };
        let result = instance.heartbeat(heartbeat);
        if result.is_err() {
            self.tables.lock().sessions.remove(&key);
        }
        result
    }

    /// A client says good-bye.
    pub(super) fn terminated(&self, instance: &Instance, client: &str) {
        self.tables.lock().sessions.remove(&Key {
            instance: instance.id().clone(),
            client: client.to_owned(),
        });
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

    fn heartbeat(&self, commands: &mpsc::Sender<ClientCommand>) -> Heartbeat {
        Heartbeat {
            client: self.identity.clone(),
            commands: commands.clone(),
            producer_groups: self.role.producer_groups.clone(),
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
