//! Administration of topics: codes 17, 21, 202, 215, 351.

use super::header;

header! {
    /// Request `UpdateAndCreateTopic` (17).
    pub struct CreateTopicRequest<'a> {
        /// The topic.
        topic: &'a str = "topic",
        /// Topic whose settings it takes; not used by servers.
        default_topic: &'a str = "defaultTopic",
        /// Queues to read from.
        read_queue_count: i32 = "readQueueNums",
        /// Queues to write to.
        write_queue_count: i32 = "writeQueueNums",
        /// Bits of [`super::permission`].
        permission: i32 = "perm",
        /// `SINGLE_TAG` or `MULTI_TAG`.
        topic_filter_type: &'a str = "topicFilterType" or "SINGLE_TAG",
        /// System flag of the topic.
        topic_sys_flag: Option<i32> = "topicSysFlag",
        /// Whether clients must see its queues in a fixed order.
        order: bool = "order" or false,
        /// Changes of attributes: `+name=value,-name`.
        attributes: Option<&'a str> = "attributes",
        /// Whether to go on where a check refuses.
        force: bool = "force" or false,
    }
}

header! {
    /// Request `DeleteTopicInBroker` (215), `DeleteTopicInNameServer` (216),
    /// `GetTopicStatsInfo` (202), `GetTopicConfig` (351), `QueryTopicConsumeByWho` (300).
    pub struct TopicRequest<'a> {
        /// The topic.
        topic: &'a str = "topic",
        /// Whether the topic is a logical one over several brokers.
        is_logical: Option<bool> = "lo",
    }
}

header! {
    /// Request `GetAllTopicConfig` (21); 5.3 and later ask in pages.
    pub struct GetAllTopicConfigRequest<'a> {
        /// First topic of the page.
        first_topic: Option<i32> = "topicSeq",
        /// Version that the pages so far had.
        data_version: Option<&'a str> = "dataVersion",
        /// Most topics in the page.
        max_topic_count: Option<i32> = "maxTopicNum",
    }
}

header! {
    /// Answer to `GetAllTopicConfig`.
    pub struct GetAllTopicConfigResponse {
        /// Topics altogether.
        total_topic_count: Option<i32> = "totalTopicNum",
    }
}

/// Bits of a topic's permission. Source: `PermName` of RocketMQ 5.5.0.
pub mod permission {
    /// Settings may be taken over by topics created on first use.
    pub const INHERIT: i32 = 0x1;
    /// May be sent to.
    pub const WRITE: i32 = 0x2;
    /// May be consumed.
    pub const READ: i32 = 0x4;
}
