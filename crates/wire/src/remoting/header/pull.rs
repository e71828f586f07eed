//! Pulling: codes 11 and 361 and their answer.

use super::header;

header! {
    /// Request `PullMessage` (11) and `LitePullMessage` (361).
    pub struct PullMessageRequest<'a> {
        /// Group of the consumer.
        consumer_group: &'a str = "consumerGroup",
        /// Topic to pull from.
        topic: &'a str = "topic",
        /// LiteTopic to pull from.
        lite_topic: Option<&'a str> = "liteTopic",
        /// Queue to pull from.
        queue_id: i32 = "queueId",
        /// First offset wanted.
        queue_offset: i64 = "queueOffset",
        /// Most messages wanted.
        max_message_count: i32 = "maxMsgNums",
        /// Bits of [`super::pull_sys_flag`].
        sys_flag: i32 = "sysFlag",
        /// Offset to commit on the way, if the flag says so.
        commit_offset: i64 = "commitOffset",
        /// How long to wait for a message, ms, if the flag says so.
        suspend_timeout_ms: i64 = "suspendTimeoutMillis",
        /// Filter, if the flag says so; else the one of the last heartbeat.
        subscription: Option<&'a str> = "subscription",
        /// Version of the subscription that the client has.
        subscription_version: i64 = "subVersion" or 0,
        /// `TAG` or `SQL92`; none is `TAG`.
        expression_type: Option<&'a str> = "expressionType",
        /// Most bytes wanted.
        max_message_bytes: Option<i32> = "maxMsgBytes",
        /// What part of a proxy asks.
        request_source: Option<i32> = "requestSource",
        /// Client behind a proxy.
        proxy_client_id: Option<&'a str> = "proxyFrowardClientId",
        /// Broker that the client means.
        broker_name: Option<&'a str> = "bname",
    }
}

header! {
    /// Answer to a pull. Also sent with `PullNotFound`, `PullRetryImmediately` and
    /// `PullOffsetMoved`, whose readers need the offsets.
    pub struct PullMessageResponse {
        /// Broker id to ask next time: 0 is the master.
        suggested_broker_id: i64 = "suggestWhichBrokerId",
        /// Offset to ask for next.
        next_begin_offset: i64 = "nextBeginOffset",
        /// First offset of the queue.
        min_offset: i64 = "minOffset",
        /// Offset that the next message of the queue will have.
        max_offset: i64 = "maxOffset",
        /// Shift of offsets in static topics.
        offset_delta: Option<i64> = "offsetDelta",
        /// System flag of the topic.
        topic_sys_flag: Option<i32> = "topicSysFlag",
        /// System flag of the group.
        group_sys_flag: Option<i32> = "groupSysFlag",
        /// Why reading is forbidden.
        forbidden_type: Option<i32> = "forbiddenType",
    }
}

/// Bits of a pull's system flag. Source: `PullSysFlag` of RocketMQ 5.5.0.
pub mod pull_sys_flag {
    /// Commit `commit_offset` on the way.
    pub const COMMIT_OFFSET: i32 = 0x1;
    /// Wait for a message if there is none.
    pub const SUSPEND: i32 = 0x2;
    /// The request carries its subscription.
    pub const SUBSCRIPTION: i32 = 0x4;
    /// The subscription names a filter class.
    pub const CLASS_FILTER: i32 = 0x8;
    /// A lite pull.
    pub const LITE_PULL: i32 = 0x10;
}
