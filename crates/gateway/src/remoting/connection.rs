//! One Remoting connection: what its handlers know of it, from its first bytes to its end.

use std::{collections::HashMap, net::SocketAddr, sync::Arc};

use base::{GroupName, InstanceId, ShardId, TopicName, limits};
use broker::{ClientCommand, Filter, FilterError, Instance, Place, ShardHandle};
use bytes::BytesMut;
use parking_lot::Mutex;
use tokio::sync::mpsc;
use wire::remoting::{Command, ResponseCode};

use super::{
    exchange::{End, Exchange},
    reply::Refusal,
};
use crate::{
    access,
    door::Stream,
    front::{ConnectionInfo, Front, broker_name},
    instance::{InstanceError, prefixed},
    linger::linger,
};

/// Field of the namespace that a client works in.
const NAMESPACE: &str = "ns";

/// What handlers know of their connection.
pub(super) struct Connection {
    pub(super) front: Arc<Front>,
    pub(super) info: ConnectionInfo,
    /// Where commands for the clients of this connection go.
    pub(super) commands: mpsc::Sender<Box<ClientCommand>>,
    /// What the last heartbeat said, for pulls that leave their filter out.
    told: Mutex<Told>,
}

/// The content of heartbeats, as pulls and pushed commands need it.
#[derive(Default)]
pub(super) struct Told {
    /// Instances in which clients of this connection are registered.
    pub(super) instances: Vec<Arc<Instance>>,
    /// Filters by group and topic.
    pub(super) filters: HashMap<(GroupName, TopicName), Filter>,
    /// Why subscriptions cannot be served, by group and topic.
    pub(super) refused: HashMap<(GroupName, TopicName), FilterError>,
    /// How the client writes its groups.
    pub(super) groups: HashMap<GroupName, String>,
}

/// A topic of an instance.
pub(super) struct TopicIn {
    pub(super) instance: Arc<Instance>,
    pub(super) topic: TopicName,
}

/// A group of an instance.
pub(super) struct GroupIn {
    pub(super) instance: Arc<Instance>,
    pub(super) group: GroupName,
}

/// A topic and a group of one instance.
pub(super) struct TopicAndGroup {
    pub(super) instance: Arc<Instance>,
    pub(super) topic: TopicName,
    pub(super) group: GroupName,
}

impl TopicAndGroup {
    /// The group must be there.
    pub(super) fn require_group(&self) -> Result<(), Refusal> {
        let group = self.instance.group(&self.group);
        group.map(drop).ok_or_else(|| self.no_group())
    }

    /// Says that the group is not there.
    pub(super) fn no_group(&self) -> Refusal {
        let (group, instance) = (&self.group, self.instance.id());
        let remark = format!("group `{group}` not found in instance `{instance}`");
        Refusal::new(ResponseCode::GroupNotExist, remark)
    }
}

impl Connection {
    pub(super) fn new(
        front: Arc<Front>,
        info: ConnectionInfo,
        commands: mpsc::Sender<Box<ClientCommand>>,
    ) -> Self {
        Self {
            front,
            info,
            commands,
            told: Mutex::default(),
        }
    }

    /// Whether requests may need credentials, see `access`.
    pub(super) fn is_guarded(&self) -> bool {
        access::is_guarded(&self.front, &self.info)
    }

    /// The topic that a client calls `name`.
    pub(super) fn topic(&self, name: &str) -> Result<TopicIn, InstanceError> {
        let name = self.front.plain_name(name);
        let instance = self.front.admit(&self.info, [name.instance])?;
        Ok(TopicIn {
            instance,
            topic: TopicName::new(&name.plain)?,
        })
    }

    /// The instance of a request that names no topic and no group, and whether the request names it
    /// as its namespace: then names in the answer have it in front.
    pub(super) fn instance_of_all(
        &self,
        request: &Command,
    ) -> Result<(Arc<Instance>, bool), InstanceError> {
        let id = request.fields.get(NAMESPACE).map(InstanceId::new);
        let named = id.and_then(|id| self.front.router.instance(&id.ok()?).ok());
        let is_named = named.is_some();
        Ok((self.front.admit(&self.info, [named])?, is_named))
    }

    /// The topic of a request that also names a group, of which only the instance counts.
    pub(super) fn topic_of(&self, topic: &str, group: &str) -> Result<TopicIn, InstanceError> {
        let topic = self.front.plain_name(topic);
        let group = self.front.plain_name(group);
        let instance = self
            .front
            .admit(&self.info, [topic.instance, group.instance])?;
        Ok(TopicIn {
            instance,
            topic: TopicName::new(&topic.plain)?,
        })
    }

    /// The group that a client calls `name`.
    pub(super) fn group(&self, name: &str) -> Result<GroupIn, InstanceError> {
        let name = self.front.plain_name(name);
        let instance = self.front.admit(&self.info, [name.instance])?;
        Ok(GroupIn {
            instance,
            group: GroupName::new(&name.plain)?,
        })
    }

    /// Both, in the one instance that they agree on.
    pub(super) fn topic_and_group(
        &self,
        topic: &str,
        group: &str,
    ) -> Result<TopicAndGroup, InstanceError> {
        let topic = self.front.plain_name(topic);
        let group = self.front.plain_name(group);
        let instance = self
            .front
            .admit(&self.info, [topic.instance, group.instance])?;
        Ok(TopicAndGroup {
            instance,
            topic: TopicName::new(&topic.plain)?,
            group: GroupName::new(&group.plain)?,
        })
    }

    /// The shard of `instance` at the address that this connection came in on. Requests of Remoting
    /// clients name no broker: the address is the broker, and on one machine it has one shard.
    pub(super) fn shard(&self, instance: &InstanceId) -> Result<ShardHandle, Refusal> {
        let place = Place {
            instance: instance.clone(),
            shard: self.shard_id(),
        };
        let shard = self.front.router.shard(&place);
        shard.map_err(|error| Refusal::of(ResponseCode::NotLeaderForQueue, &error))
    }

    /// The address that goes into stored messages and their ids: the one clients know, as far as it
    /// is an IP address.
    pub(super) fn store_host(&self) -> SocketAddr {
        let Some(advertise) = &self.front.settings.advertise else {
            return self.info.local;
        };
        let port = advertise.port.unwrap_or(self.info.local.port());
        let ip = advertise.host.parse().unwrap_or(self.info.local.ip());
        SocketAddr::new(ip, port)
    }

    /// Keeps what a heartbeat said of its groups, besides what was said of others.
    pub(super) fn keep_told(&self, mut told: Told) {
        let mut kept = self.told.lock();
        let before = std::mem::take(&mut *kept);
        for instance in before.instances {
            if !told
                .instances
                .iter()
                .any(|known| known.id() == instance.id())
            {
                told.instances.push(instance);
            }
        }
        if before.groups.len() + told.groups.len() <= limits::GROUPS_PER_CONNECTION_MAX {
            let said = &told.groups;
            let is_other = |group: &GroupName| !said.contains_key(group);
            let filters = before.filters.into_iter();
            told.filters
                .extend(filters.filter(|((group, _), _)| is_other(group)));
            let refused = before.refused.into_iter();
            told.refused
                .extend(refused.filter(|((group, _), _)| is_other(group)));
            for (group, name) in before.groups {
                told.groups.entry(group).or_insert(name);
            }
        }
        *kept = told;
    }

    /// The filter that a heartbeat said, so that it is not read again.
    pub(super) fn told_filter(&self, group: &GroupName, topic: &TopicName) -> Option<Filter> {
        let told = self.told.lock();
        told.filters.get(&(group.clone(), topic.clone())).cloned()
    }

    /// Why the subscription that the last heartbeat said cannot be served.
    pub(super) fn told_refused(&self, group: &GroupName, topic: &TopicName) -> Option<FilterError> {
        let told = self.told.lock();
        told.refused.get(&(group.clone(), topic.clone())).cloned()
    }

    /// How the client writes `group`.
    pub(super) fn told_group(&self, group: &GroupName) -> String {
        let told = self.told.lock();
        told.groups
            .get(group)
            .cloned()
            .unwrap_or_else(|| group.as_str().to_owned())
    }

    /// How the client of a group writes a topic: with the instance's prefix where it writes its
    /// group with one.
    pub(super) fn told_topic(&self, group: &GroupName, topic: &str) -> String {
        let told = self.told_group(group);
        let prefix = told.strip_suffix(group.as_str()).unwrap_or_default();
        match InstanceId::new(prefix.trim_end_matches('%')) {
            Ok(instance) => prefixed(&instance, topic),
            Err(_) => topic.to_owned(),
        }
    }

    /// The shard that this connection's clients know as their broker.
    pub(super) fn shard_id(&self) -> ShardId {
        self.front.own_shard()
    }

    /// How this connection's clients know a shard of the instance in which they are.
    pub(super) fn told_broker(&self, shard: ShardId) -> Option<String> {
        let told = self.told.lock();
        let instance = told.instances.first()?;
        Some(broker_name(instance.id(), shard))
    }

    fn gone(&self) {
        for instance in self.told.lock().instances.drain(..) {
            instance.disconnect(self.info.id);
        }
    }
}

/// Tells the instances that the connection is gone, however it ends.
struct Gone<'a>(&'a Connection);

impl Drop for Gone<'_> {
    fn drop(&mut self) {
        self.0.gone();
    }
}

/// Serves one connection to its end. `received` is what was read of it already.
pub(crate) async fn serve<S: Stream>(
    front: Arc<Front>,
    info: ConnectionInfo,
    socket: S,
    received: BytesMut,
) {
    let (commands, inbox) = mpsc::channel(limits::CLIENT_COMMANDS_QUEUED_MAX);
    let connection = Connection::new(front, info, commands);
    let gone = Gone(&connection);
    let mut exchange = Exchange::new(&connection, super::dispatch::run, socket, received, inbox);
    let end = exchange.run().await;
    match &end {
        End::Peer | End::Drained => tracing::debug!(peer = %info.peer, ?end, "connection ended"),
        End::Idle | End::Failed(_) => {
            tracing::debug!(peer = %info.peer, ?end, "connection closed");
        }
        End::Frame(error) => tracing::info!(peer = %info.peer, %error, "bad frame"),
        End::HalfFrame { bytes } => {
            tracing::info!(peer = %info.peer, bytes, "frame not completed in time");
        }
        End::WriteStall { queued } => {
            tracing::info!(peer = %info.peer, queued, "peer reads none of its answers");
        }
    }
    let socket = exchange.into_socket();
    drop(gone);
    if matches!(end, End::Drained) {
        linger(&*connection.front.clock, socket).await;
    }
}
