//! Administration of brokers and of the name-server role: codes 18, 26, 205, 219, 225, 315, 317,
//! 321, 327, 345, 353, and of groups over topics: 303, 314.

use super::header;

header! {
    /// Answer to `GetBrokerConfig` (26); the body is lines of `name=value`.
    pub struct GetBrokerConfigResponse<'a> {
        /// Version of the settings, in JSON.
        version: &'a str = "version",
    }
}

header! {
    /// Request `WipeWritePermOfBroker` (205) and `AddWritePermOfBroker` (327).
    pub struct BrokerNameRequest<'a> {
        /// The broker, which is a shard.
        broker_name: &'a str = "brokerName",
    }
}

header! {
    /// Answer to `WipeWritePermOfBroker`.
    pub struct WipeWritePermissionResponse {
        /// Topics that are not written to any more.
        topic_count: i32 = "wipeTopicCount",
    }
}

header! {
    /// Answer to `AddWritePermOfBroker`.
    pub struct AddWritePermissionResponse {
        /// Topics that are written to again.
        topic_count: i32 = "addTopicCount",
    }
}

header! {
    /// Request `GetKvListByNamespace` (219).
    pub struct KvNamespaceRequest<'a> {
        /// Namespace of the keys.
        namespace: &'a str = "namespace",
    }
}

header! {
    /// Request `ViewBrokerStatsData` (315).
    pub struct ViewBrokerStatsRequest<'a> {
        /// What is counted, for instance `TOPIC_PUT_NUMS`.
        name: &'a str = "statsName",
        /// Of what: a topic, or `topic@group`.
        key: &'a str = "statsKey",
    }
}

header! {
    /// Request `GetBrokerConsumeStats` (317).
    pub struct GetBrokerConsumeStatsRequest {
        /// Whether only ordered topics are looked at.
        is_order: bool = "isOrder" or false,
    }
}

header! {
    /// Request `QueryConsumeQueue` (321).
    pub struct QueryConsumeQueueRequest<'a> {
        /// The topic.
        topic: &'a str = "topic",
        /// Queue within the topic.
        queue_id: i32 = "queueId",
        /// First offset wanted.
        index: i64 = "index",
        /// Most entries wanted.
        count: i32 = "count",
        /// Group whose subscription is shown beside.
        consumer_group: Option<&'a str> = "consumerGroup",
    }
}

header! {
    /// Request `QuerySubscriptionByConsumer` (345).
    pub struct QuerySubscriptionRequest<'a> {
        /// The group.
        group: &'a str = "group",
        /// The topic.
        topic: &'a str = "topic",
    }
}

header! {
    /// Request `UpdateAndGetGroupForbidden` (353).
    pub struct GroupForbiddenRequest<'a> {
        /// The group.
        group: &'a str = "group",
        /// The topic.
        topic: &'a str = "topic",
        /// Whether the group may read the topic; none leaves it as it is.
        readable: Option<bool> = "readable",
    }
}

header! {
    /// Request `QueryConsumeTimeSpan` (303).
    pub struct QueryConsumeTimeSpanRequest<'a> {
        /// The topic.
        topic: &'a str = "topic",
        /// The group.
        group: &'a str = "group",
    }
}

header! {
    /// Request `CloneGroupOffset` (314).
    pub struct CloneGroupOffsetRequest<'a> {
        /// Group whose offsets are taken.
        source_group: &'a str = "srcGroup",
        /// Group that gets them.
        destination_group: &'a str = "destGroup",
        /// One topic only; none or empty is all.
        topic: Option<&'a str> = "topic",
        /// Whether topics count that the source does not subscribe to now.
        offline: bool = "offline" or false,
    }
}
