//! Clients and their groups: codes 35, 36, 38, 40, and what every request may carry.

use super::header;

header! {
    /// Fields that any request of a 5.x client may carry.
    pub struct RequestContext<'a> {
        /// Namespace of the client.
        namespace: Option<&'a str> = "ns",
        /// Whether names in the request already carry the namespace.
        is_namespaced: Option<bool> = "nsd",
        /// Broker that the client means.
        broker_name: Option<&'a str> = "bname",
        /// Whether no answer is wanted.
        is_oneway: Option<bool> = "oway",
        /// Whether the queue is a logical one of a static topic.
        is_logical: Option<bool> = "lo",
    }
}

header! {
    /// Request `UnregisterClient` (35): the client leaves these groups.
    pub struct UnregisterClientRequest<'a> {
        /// Id of the client.
        client_id: &'a str = "clientID",
        /// Group as producer.
        producer_group: Option<&'a str> = "producerGroup",
        /// Group as consumer.
        consumer_group: Option<&'a str> = "consumerGroup",
    }
}

header! {
    /// Request `ConsumerSendMessageBack` (36): deliver a message again, later.
    pub struct ConsumerSendMessageBackRequest<'a> {
        /// Physical offset of the message.
        offset: i64 = "offset",
        /// Group that failed to consume it.
        group: &'a str = "group",
        /// 0: the server chooses; above: a delay level; below: dead letter at once.
        delay_level: i32 = "delayLevel",
        /// Server-side id of the message.
        origin_message_id: Option<&'a str> = "originMsgId",
        /// Topic of the message.
        origin_topic: Option<&'a str> = "originTopic",
        /// Whether the client is unit-aware.
        unit_mode: bool = "unitMode" or false,
        /// Retry limit of the consumer; clients before 3.5 send none.
        max_reconsume_times: Option<i32> = "maxReconsumeTimes",
        /// Broker that the client means.
        broker_name: Option<&'a str> = "bname",
    }
}

header! {
    /// Request `GetConsumerListByGroup` (38) and, from server to client,
    /// `NotifyConsumerIdsChanged` (40); also `GetConsumerConnectionList` (203).
    pub struct ConsumerGroupRequest<'a> {
        /// The group.
        consumer_group: &'a str = "consumerGroup",
    }
}

header! {
    /// Request `GetProducerConnectionList` (204).
    pub struct ProducerGroupRequest<'a> {
        /// The group.
        producer_group: &'a str = "producerGroup",
    }
}

header! {
    /// Request `GetConsumerRunningInfo` (307), passed on from server to client.
    pub struct GetConsumerRunningInfoRequest<'a> {
        /// Group of the consumer.
        consumer_group: &'a str = "consumerGroup",
        /// Id of the client.
        client_id: &'a str = "clientId",
        /// Whether a thread dump is wanted.
        with_stack: bool = "jstackEnable" or false,
    }
}

header! {
    /// Request `ConsumeMessageDirectly` (309), passed on from server to client; the body is the
    /// message.
    pub struct ConsumeMessageDirectlyRequest<'a> {
        /// Group of the consumer.
        consumer_group: &'a str = "consumerGroup",
        /// Id of the client; without one, the server chooses.
        client_id: Option<&'a str> = "clientId",
        /// Client-side or server-side id of the message.
        message_id: Option<&'a str> = "msgId",
        /// Broker that holds the message.
        broker_name: Option<&'a str> = "brokerName",
        /// Topic of the message.
        topic: Option<&'a str> = "topic",
    }
}

header! {
    /// Request `GetConsumerStatusFromClient` (221), from server to client, and
    /// `InvokeBrokerToGetConsumerStatus` (223).
    pub struct GetConsumerStatusRequest<'a> {
        /// The topic.
        topic: &'a str = "topic",
        /// Group of the consumer.
        group: &'a str = "group",
        /// Id of the client; without one, all of the group.
        client_id: Option<&'a str> = "clientAddr",
    }
}
