//! The small errors that the errors of several verbs are built from.

use base::{GroupName, InstanceId, QueueId, ShardId, TopicName};

/// There is no such topic, and automatic creation did not apply.
#[derive(Clone, Debug, PartialEq, Eq, thiserror::Error)]
#[error("topic `{topic}` not found in instance `{instance}`")]
pub struct TopicNotFound {
    /// The topic asked for.
    pub topic: TopicName,
    /// Where it was looked for.
    pub instance: InstanceId,
}

/// There is no such group, and automatic creation did not apply.
#[derive(Clone, Debug, PartialEq, Eq, thiserror::Error)]
#[error("group `{group}` not found in instance `{instance}`")]
pub struct GroupNotFound {
    /// The group asked for.
    pub group: GroupName,
    /// Where it was looked for.
    pub instance: InstanceId,
}

/// The topic has no queue of that number in this shard.
#[derive(Clone, Debug, PartialEq, Eq, thiserror::Error)]
#[error("queue {queue} not found in topic `{topic}`, which has queues 0 to {last}")]
pub struct QueueNotFound {
    /// The topic.
    pub topic: TopicName,
    /// The queue asked for.
    pub queue: QueueId,
    /// The last queue that exists.
    pub last: QueueId,
}

/// Topics and groups of the instance stay as they are for now.
#[derive(Clone, Debug, PartialEq, Eq, thiserror::Error)]
#[error("instance `{instance}` is locked: {reason}")]
pub struct InstanceLocked {
    /// The instance.
    pub instance: InstanceId,
    /// Why.
    pub reason: String,
}

/// There is no such instance.
#[derive(Clone, Debug, PartialEq, Eq, thiserror::Error)]
#[error("instance `{instance}` not found")]
pub struct InstanceNotFound {
    /// The instance asked for.
    pub instance: InstanceId,
}

/// The shard belongs to nobody that this node can reach: ask for the route again.
#[derive(Clone, Debug, PartialEq, Eq, thiserror::Error)]
#[error("shard {shard} of instance `{instance}` is not served here")]
pub struct ShardNotHere {
    /// The instance.
    pub instance: InstanceId,
    /// The shard asked for.
    pub shard: ShardId,
}
