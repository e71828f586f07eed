//! Who is in which group, and where to reach them there.
//!
//! A client joins groups one by one: a heartbeat adds to those it named before, as on Apache, so
//! that programs that have one client id and several connections, each for groups of its own, do
//! not push each other out.

use std::{
    collections::{BTreeMap, BTreeSet},
    sync::Arc,
    time::Duration,
};

use base::{GroupName, Timestamp, TopicName, limits};
use parking_lot::Mutex;
use tokio::sync::mpsc::{self, error::TrySendError};

use super::{
    AskError, ClientCommand, ClientIdentity, ConsumerSubscription, Heartbeat, HeartbeatError,
    RegisteredClient, Subscription,
};

const EXPIRY: Duration = Duration::from_millis(limits::CLIENT_EXPIRY_MS);

/// A client as it was heard of last.
#[derive(Clone)]
struct Heard {
    client: ClientIdentity,
    commands: mpsc::Sender<Box<ClientCommand>>,
    at: Timestamp,
}

/// A client of the instance, and its groups.
struct Known {
    heard: Heard,
    producer_groups: BTreeSet<GroupName>,
    consumer_groups: BTreeSet<GroupName>,
    /// Open connections on which it was heard of, be it long ago.
    connections: BTreeSet<u64>,
}

struct Consumer {
    heard: Heard,
    said: ConsumerSubscription,
}

#[derive(Default)]
struct ConsumerGroup {
    members: BTreeMap<Arc<str>, Consumer>,
    /// The newest subscription that any member has told, by topic. What the last heartbeat does not
    /// name is gone, whoever told it.
    subscriptions: BTreeMap<TopicName, Subscription>,
}

#[derive(Default)]
struct Tables {
    clients: BTreeMap<Arc<str>, Known>,
    producers: BTreeMap<GroupName, BTreeMap<Arc<str>, Heard>>,
    consumers: BTreeMap<GroupName, ConsumerGroup>,
    /// Clients by connection: those that name it among theirs.
    heard_on: BTreeMap<u64, BTreeSet<Arc<str>>>,
    /// Members of all groups, counted.
    members: usize,
    /// Nobody expires before.
    expiry: Option<Timestamp>,
}

/// All clients of one instance.
#[derive(Default)]
pub(crate) struct Clients {
    tables: Mutex<Tables>,
}

impl ConsumerGroup {
    fn subscribe(&mut self, said: &ConsumerSubscription) {
        // Members that say nothing of topics, such as those that pull by hand, take none away.
        if said.subscriptions.is_empty() {
            return;
        }
        for told in &said.subscriptions {
            let known = self.subscriptions.get(&told.topic);
            if known.is_none_or(|known| told.version > known.version) {
                self.subscriptions.insert(told.topic.clone(), told.clone());
            }
        }
        self.subscriptions
            .retain(|topic, _| said.subscriptions.iter().any(|told| told.topic == *topic));
    }
}

impl Tables {
    fn leave_producers(&mut self, group: &GroupName, id: &str) {
        let Some(members) = self.producers.get_mut(group) else {
            return;
        };
        self.members -= usize::from(members.remove(id).is_some());
        if members.is_empty() {
            self.producers.remove(group);
        }
    }

    fn leave_consumers(&mut self, group: &GroupName, id: &str) {
        let Some(members) = self.consumers.get_mut(group).map(|it| &mut it.members) else {
            return;
        };
        self.members -= usize::from(members.remove(id).is_some());
        if members.is_empty() {
            self.consumers.remove(group);
        }
    }

    /// What is left to do for a client that is no longer among those known.
    fn forget(&mut self, id: &str, known: &Known) {
        for connection in &known.connections {
            if let Some(clients) = self.heard_on.get_mut(connection) {
                clients.remove(id);
                if clients.is_empty() {
                    self.heard_on.remove(connection);
                }
            }
        }
    }

    /// Takes a client out of the groups in which `is_gone` says so of it, and forgets it if it is
    /// gone itself and in no group any more. Adds the consumer groups that have changed.
    fn drop_where(
        &mut self,
        id: &str,
        is_gone: impl Fn(&Heard) -> bool,
        changed: &mut BTreeSet<GroupName>,
    ) {
        let Some(mut known) = self.clients.remove(id) else {
            return;
        };
        let mut left = None;
        known.producer_groups.retain(|group| {
            let heard = self.producers.get(group).and_then(|it| it.get(id));
            let stays = heard.filter(|heard| !is_gone(heard)).cloned();
            let is_in = stays.is_some();
            left = stays.or(left.take());
            if !is_in {
                self.leave_producers(group, id);
            }
            is_in
        });
        known.consumer_groups.retain(|group| {
            let member = self.consumers.get(group).and_then(|it| it.members.get(id));
            let stays = member.filter(|member| !is_gone(&member.heard));
            let stays = stays.map(|member| member.heard.clone());
            let is_in = stays.is_some();
            left = stays.or(left.take());
            if !is_in {
                self.leave_consumers(group, id);
                changed.insert(group.clone());
            }
            is_in
        });
        if is_gone(&known.heard) {
            let Some(left) = left else {
                return self.forget(id, &known);
            };
            known.heard = left;
        }
        self.clients.insert(id.into(), known);
    }

    fn expire(&mut self, now: Timestamp) -> BTreeSet<GroupName> {
        let mut changed = BTreeSet::new();
        if self.expiry.is_none_or(|expiry| now <= expiry) {
            return changed;
        }
        let is_gone = |heard: &Heard| now.since(heard.at) > EXPIRY;
        let ids: Vec<Arc<str>> = self.clients.keys().cloned().collect();
        for id in ids {
            self.drop_where(&id, is_gone, &mut changed);
        }
        let producers = self.producers.values().flat_map(BTreeMap::values);
        let consumers = self.consumers.values().flat_map(|it| it.members.values());
        let heard = self.clients.values().map(|known| &known.heard);
        let heard = heard.chain(producers);
        let heard = heard.chain(consumers.map(|member| &member.heard));
        self.expiry = heard.map(|heard| heard.at.after(EXPIRY)).min();
        changed
    }

    /// Drops who has expired, and tells the others.
    fn expire_and_notify(&mut self, now: Timestamp) {
        let changed = self.expire(now);
        self.notify(&changed);
    }

    fn notify(&self, groups: &BTreeSet<GroupName>) {
        for group in groups {
            let members = self.consumers.get(group).map(|it| it.members.values());
            for member in members.into_iter().flatten() {
                // A client that does not drain its commands learns of the change at its next
                // rebalance; the broker must not wait for it.
                let _ = member
                    .heard
                    .commands
                    .try_send(Box::new(ClientCommand::ConsumersChanged {
                        group: group.clone(),
                    }));
            }
        }
    }

    /// Whether there is room for one client more, and for members of groups.
    fn check_room(
        &self,
        id: &str,
        heartbeat: &Heartbeat,
        limit: usize,
    ) -> Result<(), HeartbeatError> {
        let count = self.clients.len();
        let known = self.clients.get(id);
        if known.is_none() && count >= limit {
            return Err(HeartbeatError::TooMany { count, limit });
        }
        let producers = heartbeat.producer_groups.iter();
        let consumers = heartbeat.consumers.iter();
        let joined = producers
            .filter(|group| known.is_none_or(|known| !known.producer_groups.contains(*group)))
            .count()
            + consumers
                .filter(|it| known.is_none_or(|known| !known.consumer_groups.contains(&it.group)))
                .count();
        let (count, limit) = (self.members, limits::GROUP_MEMBERS_PER_INSTANCE_MAX);
        if joined > 0 && count + joined > limit {
            return Err(HeartbeatError::TooManyMembers { count, limit });
        }
        Ok(())
    }
}

impl Clients {
    pub(crate) fn heartbeat(
        &self,
        heartbeat: Heartbeat,
        now: Timestamp,
        clients_max: usize,
    ) -> Result<(), HeartbeatError> {
        let mut tables = self.tables.lock();
        let mut changed = tables.expire(now);
        let id: Arc<str> = heartbeat.client.id.as_str().into();
        if let Err(error) = tables.check_room(&id, &heartbeat, clients_max) {
            tables.notify(&changed);
            return Err(error);
        }
        let Tables {
            clients,
            producers,
            consumers,
            heard_on,
            members,
            expiry,
        } = &mut *tables;
        expiry.get_or_insert_with(|| now.after(EXPIRY));
        let heard = Heard {
            client: heartbeat.client,
            commands: heartbeat.commands,
            at: now,
        };
        let known = clients.entry(id.clone()).or_insert_with(|| Known {
            heard: heard.clone(),
            producer_groups: BTreeSet::new(),
            consumer_groups: BTreeSet::new(),
            connections: BTreeSet::new(),
        });
        let connection = heard.client.connection;
        if known.connections.insert(connection) {
            heard_on.entry(connection).or_default().insert(id.clone());
        }
        known.heard = heard.clone();
        for group in heartbeat.producer_groups {
            let group_members = producers.entry(group.clone()).or_default();
            let before = group_members.insert(id.clone(), heard.clone());
            *members += usize::from(before.is_none());
            known.producer_groups.insert(group);
        }
        for said in heartbeat.consumers {
            let group = said.group.clone();
            let in_group = consumers.entry(group.clone()).or_default();
            in_group.subscribe(&said);
            let heard = heard.clone();
            let member = Consumer { heard, said };
            let is_same = in_group.members.get(&id).is_some_and(|before| {
                before.said == member.said && before.heard.client.connection == connection
            });
            let before = in_group.members.insert(id.clone(), member);
            *members += usize::from(before.is_none());
            known.consumer_groups.insert(group.clone());
            if !is_same {
                changed.insert(group);
            }
        }
        tables.notify(&changed);
        Ok(())
    }

    /// Forgets `id` in one group, or everywhere if `group` is `None`.
    pub(crate) fn unregister(&self, id: &str, group: Option<&GroupName>) {
        let mut tables = self.tables.lock();
        let mut changed = BTreeSet::new();
        let Some(group) = group else {
            tables.drop_where(id, |_| true, &mut changed);
            tables.notify(&changed);
            return;
        };
        tables.leave_producers(group, id);
        tables.leave_consumers(group, id);
        let Some(known) = tables.clients.get_mut(id) else {
            return;
        };
        known.producer_groups.remove(group);
        if known.consumer_groups.remove(group) {
            changed.insert(group.clone());
        }
        if known.producer_groups.is_empty()
            && known.consumer_groups.is_empty()
            && let Some(known) = tables.clients.remove(id)
        {
            tables.forget(id, &known);
        }
        tables.notify(&changed);
    }

    /// Forgets every client of a connection that has ended, as far as it was heard of there.
    pub(crate) fn disconnect(&self, connection: u64) {
        let mut tables = self.tables.lock();
        let is_gone = |heard: &Heard| heard.client.connection == connection;
        let mut changed = BTreeSet::new();
        for id in tables.heard_on.remove(&connection).unwrap_or_default() {
            if let Some(known) = tables.clients.get_mut(&id) {
                known.connections.remove(&connection);
            }
            tables.drop_where(&id, is_gone, &mut changed);
        }
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
        tables.expire_and_notify(now);
        let members = tables.producers.get(group).map(BTreeMap::values);
        let mut members: Vec<&Heard> = members.into_iter().flatten().collect();
        members.sort_by_key(|heard| std::cmp::Reverse(heard.at));
        let mut command = Box::new(command);
        for heard in members {
            match heard.commands.try_send(command) {
                Ok(()) => return true,
                Err(TrySendError::Full(back) | TrySendError::Closed(back)) => command = back,
            }
        }
        false
    }

    /// Tells a client: where it was heard of as a member of the consumer group, if one is given
    /// and it is in it, else where it was heard of last.
    pub(crate) fn tell(
        &self,
        id: &str,
        group: Option<&GroupName>,
        command: ClientCommand,
    ) -> Result<(), AskError> {
        let client = || id.to_owned();
        let commands = {
            let tables = self.tables.lock();
            let group = group.and_then(|group| tables.consumers.get(group));
            let member = group.and_then(|group| group.members.get(id));
            let known = tables.clients.get(id).map(|known| &known.heard);
            let heard = member.map(|member| &member.heard).or(known);
            let heard = heard.ok_or_else(|| AskError::NotConnected { client: client() })?;
            heard.commands.clone()
        };
        commands
            .try_send(Box::new(command))
            .map_err(|_| AskError::Unreachable { client: client() })
    }

    /// Lets the consumers of all groups share the queues anew.
    pub(crate) fn tell_all(&self, now: Timestamp) {
        let mut tables = self.tables.lock();
        tables.expire_and_notify(now);
        let groups = tables.consumers.keys().cloned().collect();
        tables.notify(&groups);
    }

    pub(crate) fn is_alive(&self, id: &str, now: Timestamp) -> bool {
        let tables = self.tables.lock();
        let known = tables.clients.get(id);
        known.is_some_and(|known| now.since(known.heard.at) <= EXPIRY)
    }

    pub(crate) fn consumers(&self, group: &GroupName, now: Timestamp) -> Vec<RegisteredClient> {
        let mut tables = self.tables.lock();
        tables.expire_and_notify(now);
        let members = tables.consumers.get(group).map(|it| it.members.values());
        members
            .into_iter()
            .flatten()
            .map(|member| RegisteredClient {
                consumer: Some(member.said.clone()),
                ..registered(&member.heard)
            })
            .collect()
    }

    /// What the group subscribes to in a topic: the newest that any member has told.
    pub(crate) fn subscription(
        &self,
        group: &GroupName,
        topic: &TopicName,
    ) -> Option<Subscription> {
        let tables = self.tables.lock();
        tables
            .consumers
            .get(group)?
            .subscriptions
            .get(topic)
            .cloned()
    }

    /// The same for all its topics.
    pub(crate) fn subscriptions(&self, group: &GroupName) -> Vec<Subscription> {
        let tables = self.tables.lock();
        let group = tables.consumers.get(group);
        let told = group.map(|group| group.subscriptions.values().cloned());
        told.into_iter().flatten().collect()
    }

    pub(crate) fn producers(&self, group: &GroupName, now: Timestamp) -> Vec<RegisteredClient> {
        let mut tables = self.tables.lock();
        tables.expire_and_notify(now);
        let members = tables.producers.get(group).map(BTreeMap::values);
        members.into_iter().flatten().map(registered).collect()
    }

    pub(crate) fn all_producers(
        &self,
        now: Timestamp,
    ) -> BTreeMap<GroupName, Vec<RegisteredClient>> {
        let mut tables = self.tables.lock();
        tables.expire_and_notify(now);
        let of_group = |members: &BTreeMap<_, Heard>| members.values().map(registered).collect();
        let groups = tables.producers.iter();
        groups
            .map(|(group, members)| (group.clone(), of_group(members)))
            .collect()
    }

    pub(crate) fn subscribed_groups(
        &self,
        topic: &TopicName,
        now: Timestamp,
    ) -> BTreeSet<GroupName> {
        let mut tables = self.tables.lock();
        tables.expire_and_notify(now);
        let groups = tables.consumers.iter();
        groups
            .filter(|(_, group)| group.subscriptions.contains_key(topic))
            .map(|(name, _)| name.clone())
            .collect()
    }

    /// Connected clients, counted.
    pub(crate) fn count(&self) -> usize {
        self.tables.lock().clients.len()
    }

    /// Connected producers and consumers, counted.
    pub(crate) fn counts(&self) -> (usize, usize) {
        let tables = self.tables.lock();
        let producing = |known: &&Known| !known.producer_groups.is_empty();
        let consuming = |known: &&Known| !known.consumer_groups.is_empty();
        (
            tables.clients.values().filter(producing).count(),
            tables.clients.values().filter(consuming).count(),
        )
    }
}

fn registered(heard: &Heard) -> RegisteredClient {
    RegisteredClient {
        client: heard.client.clone(),
        last_seen: heard.at,
        consumer: None,
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn beat(clients: &Clients, id: &str, connection: u64, group: &str, at_ms: i64) {
        let heartbeat = Heartbeat {
            client: ClientIdentity {
                id: id.to_owned(),
                connection,
                address: "127.0.0.1:1".parse().unwrap(),
                language: String::new(),
                version: String::new(),
            },
            commands: mpsc::channel(1).0,
            producer_groups: vec![GroupName::new(group).unwrap()],
            consumers: Vec::new(),
        };
        let now = Timestamp::from_ms(at_ms);
        clients
            .heartbeat(heartbeat, now, limits::CLIENTS_PER_INSTANCE_MAX)
            .unwrap();
    }

    fn heard_on(clients: &Clients) -> Vec<(u64, usize)> {
        let tables = clients.tables.lock();
        let heard_on = tables.heard_on.iter();
        heard_on.map(|(id, clients)| (*id, clients.len())).collect()
    }

    #[test]
    fn connections_are_remembered_for_as_long_as_their_clients() {
        let clients = Clients::default();
        beat(&clients, "a", 1, "shop", 0);
        beat(&clients, "b", 1, "shop", 0);
        beat(&clients, "a", 2, "other", 0);
        assert_eq!(heard_on(&clients), [(1, 2), (2, 1)]);
        // Still a member by what it said on the other connection.
        clients.disconnect(2);
        assert_eq!(heard_on(&clients), [(1, 2)]);
        let groups = clients.all_producers(Timestamp::from_ms(0));
        assert_eq!((groups.len(), clients.counts()), (1, (2, 0)));
        clients.unregister("b", Some(&GroupName::new("shop").unwrap()));
        assert_eq!(heard_on(&clients), [(1, 1)]);
        beat(
            &clients,
            "c",
            3,
            "shop",
            limits::CLIENT_EXPIRY_MS as i64 + 1,
        );
        assert_eq!(heard_on(&clients), [(3, 1)]);
        clients.unregister("c", None);
        assert_eq!(heard_on(&clients), []);
    }
}
