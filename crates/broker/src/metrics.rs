//! What the core counts, for front ends to publish. Names and formats are theirs.

use base::{GroupName, TopicName};

/// Counts of one topic since start, over all its queues.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct TopicMetrics {
    /// The topic.
    pub topic: TopicName,
    /// Its declared type, as RocketMQ names it; `UNSPECIFIED` if it has none.
    pub topic_type: &'static str,
    /// Messages stored.
    pub messages_in: u64,
    /// Bytes of their bodies and properties.
    pub bytes_in: u64,
}

/// Counts of one group on one topic.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct GroupMetrics {
    /// The group.
    pub group: GroupName,
    /// The topic.
    pub topic: TopicName,
    /// Messages handed out since start.
    pub messages_out: u64,
    /// Bytes handed out since start.
    pub bytes_out: u64,
    /// Messages stored that the group has not finished.
    pub lag: u64,
    /// Messages handed out and not settled.
    pub in_flight: u64,
    /// Messages that could be handed out now.
    pub ready: u64,
    /// Messages sent to the dead-letter topic since start.
    pub dead_letters: u64,
}

/// What one instance counts.
#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub struct InstanceMetrics {
    /// By topic.
    pub topics: Vec<TopicMetrics>,
    /// By group and topic.
    pub groups: Vec<GroupMetrics>,
    /// Bytes of log on disk.
    pub log_disk_bytes: u64,
    /// Bytes of log from its start to its durable end.
    pub log_bytes: u64,
    /// Appended and not yet durable, in bytes.
    pub log_pending_bytes: u64,
    /// Connected clients that produce.
    pub producers: usize,
    /// Connected clients that consume.
    pub consumers: usize,
}
