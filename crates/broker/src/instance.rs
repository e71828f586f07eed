//! An instance: the tenant of topics, groups, clients and shards.

use std::sync::Arc;

use base::{GroupName, InstanceId, ShardId, TopicName};

use crate::{
    CreateGroupError, CreateTopicError, DeleteTopicError, Group, GroupSpec, Heartbeat,
    HeartbeatError, InstanceMetrics, RegisteredClient, Shard, Topic, TopicSpec,
};

/// What an operator sets for an instance.
#[derive(Clone, Debug)]
pub struct InstanceSettings {
    /// Whether topics and groups are created on first use.
    pub create_automatically: bool,
    /// Queues of a topic created on first use.
    pub automatic_queues: u32,
}

/// One tenant.
pub struct Instance;

#[expect(clippy::unused_self, reason = "being written")]
impl Instance {
    /// Its id.
    pub fn id(&self) -> &InstanceId {
        unimplemented!()
    }

    /// Its settings.
    pub fn settings(&self) -> &InstanceSettings {
        unimplemented!()
    }

    /// Its shard of that number, if it is here.
    pub fn shard(&self, shard: ShardId) -> Option<Arc<Shard>> {
        let _ = shard;
        unimplemented!()
    }

    /// Its shards here, by number.
    pub fn shards(&self) -> Vec<Arc<Shard>> {
        unimplemented!()
    }

    /// The topic of that name.
    pub fn topic(&self, name: &TopicName) -> Option<Arc<Topic>> {
        let _ = name;
        unimplemented!()
    }

    /// The topic of that name, created with `queues` queues (or the default number) if automatic creation is on.
    pub async fn topic_or_create(
        &self,
        name: &TopicName,
        queues: Option<u32>,
    ) -> Result<Arc<Topic>, crate::SendError> {
        let _ = (name, queues);
        unimplemented!()
    }

    /// All topics, by name.
    pub fn topics(&self) -> Vec<Arc<Topic>> {
        unimplemented!()
    }

    /// Creates a topic, or changes one to be as `spec` says. The same again succeeds.
    pub async fn create_topic(&self, spec: TopicSpec) -> Result<Arc<Topic>, CreateTopicError> {
        let _ = spec;
        unimplemented!()
    }

    /// Deletes a topic and its messages.
    pub async fn delete_topic(&self, name: &TopicName) -> Result<(), DeleteTopicError> {
        let _ = name;
        unimplemented!()
    }

    /// The group of that name.
    pub fn group(&self, name: &GroupName) -> Option<Arc<Group>> {
        let _ = name;
        unimplemented!()
    }

    /// All groups, by name.
    pub fn groups(&self) -> Vec<Arc<Group>> {
        unimplemented!()
    }

    /// Creates a group, or changes one to be as `spec` says. The same again succeeds.
    pub async fn create_group(&self, spec: GroupSpec) -> Result<Arc<Group>, CreateGroupError> {
        let _ = spec;
        unimplemented!()
    }

    /// The group of that name, created if automatic creation is on; `Ok(None)` if it is off.
    pub async fn group_or_create(
        &self,
        name: &GroupName,
    ) -> Result<Option<Arc<Group>>, CreateGroupError> {
        let _ = name;
        unimplemented!()
    }

    /// Deletes a group with its offsets and receipts. `false` if there is none.
    pub async fn delete_group(&self, name: &GroupName) -> Result<bool, CreateGroupError> {
        let _ = name;
        unimplemented!()
    }

    /// Notes what a client says of itself. Members of its groups hear of it if anything changed.
    pub fn heartbeat(&self, heartbeat: Heartbeat) -> Result<(), HeartbeatError> {
        let _ = heartbeat;
        unimplemented!()
    }

    /// Forgets a client in one group, or in all of them.
    pub fn unregister(&self, client: &str, group: Option<&GroupName>) {
        let _ = (client, group);
        unimplemented!()
    }

    /// Forgets the clients of a connection that has ended.
    pub fn disconnect(&self, connection: u64) {
        let _ = connection;
        unimplemented!()
    }

    /// Live consumers of a group, by client id.
    pub fn consumers(&self, group: &GroupName) -> Vec<RegisteredClient> {
        let _ = group;
        unimplemented!()
    }

    /// Live producers of a group, by client id.
    pub fn producers(&self, group: &GroupName) -> Vec<RegisteredClient> {
        let _ = group;
        unimplemented!()
    }

    /// What the instance counts.
    pub fn metrics(&self) -> InstanceMetrics {
        unimplemented!()
    }
}
