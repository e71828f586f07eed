//! Offsets of queues and groups: codes 14, 15, 29 to 32.

use super::header;

header! {
    /// Request `QueryConsumerOffset` (14).
    pub struct QueryConsumerOffsetRequest<'a> {
        /// Group whose offset is asked for.
        consumer_group: &'a str = "consumerGroup",
        /// Topic of the queue.
        topic: &'a str = "topic",
        /// Queue within the topic.
        queue_id: i32 = "queueId",
        /// Whether a new group on a queue that still has its first message gets 0; none is yes.
        set_zero_if_not_found: Option<bool> = "setZeroIfNotFound",
        /// Broker that the client means.
        broker_name: Option<&'a str> = "bname",
    }
}

header! {
    /// Request `UpdateConsumerOffset` (15).
    pub struct UpdateConsumerOffsetRequest<'a> {
        /// Group that commits.
        consumer_group: &'a str = "consumerGroup",
        /// Topic of the queue.
        topic: &'a str = "topic",
        /// Queue within the topic.
        queue_id: i32 = "queueId",
        /// Offset of the next message to consume.
        commit_offset: i64 = "commitOffset",
        /// Broker that the client means.
        broker_name: Option<&'a str> = "bname",
    }
}

header! {
    /// Request `GetMaxOffset` (30).
    pub struct GetMaxOffsetRequest<'a> {
        /// Topic of the queue.
        topic: &'a str = "topic",
        /// Queue within the topic.
        queue_id: i32 = "queueId",
        /// Whether only committed messages count.
        committed: bool = "committed" or true,
        /// Broker that the client means.
        broker_name: Option<&'a str> = "bname",
    }
}

header! {
    /// Request `GetMinOffset` (31) and `GetEarliestStoreTime` (32).
    pub struct QueueRequest<'a> {
        /// Topic of the queue.
        topic: &'a str = "topic",
        /// Queue within the topic.
        queue_id: i32 = "queueId",
        /// Broker that the client means.
        broker_name: Option<&'a str> = "bname",
    }
}

header! {
    /// Request `SearchOffsetByTimestamp` (29).
    pub struct SearchOffsetRequest<'a> {
        /// Topic of the queue.
        topic: &'a str = "topic",
        /// LiteTopic of the queue.
        lite_topic: Option<&'a str> = "liteTopic",
        /// Queue within the topic.
        queue_id: i32 = "queueId",
        /// Store time looked for, ms since 1970.
        timestamp: i64 = "timestamp",
        /// `lower` or `upper`: which of several messages stored in that ms; none is `lower`.
        boundary: Option<&'a str> = "boundaryType",
        /// Broker that the client means.
        broker_name: Option<&'a str> = "bname",
    }
}

header! {
    /// Answer to 14, 29, 30 and 31.
    pub struct OffsetResponse {
        /// The offset asked for.
        offset: i64 = "offset",
    }
}

header! {
    /// Answer to `GetEarliestStoreTime`.
    pub struct TimestampResponse {
        /// Store time of the first message of the queue, ms since 1970.
        timestamp: i64 = "timestamp",
    }
}
