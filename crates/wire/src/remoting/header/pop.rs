//! Receiving with an invisible time: codes 200050 to 200056 and 200151, and the LiteTopic variants.

use super::header;

header! {
    /// Request `PopMessage` (200050).
    pub struct PopMessageRequest<'a> {
        /// Group of the consumer.
        consumer_group: &'a str = "consumerGroup",
        /// Topic to receive from.
        topic: &'a str = "topic",
        /// Queue; -1 is any.
        queue_id: i32 = "queueId",
        /// Most messages wanted.
        max_message_count: i32 = "maxMsgNums",
        /// How long messages stay invisible to others, ms.
        invisible_ms: i64 = "invisibleTime",
        /// How long to wait for a message, ms.
        poll_ms: i64 = "pollTime",
        /// When the client sent the request, ms since 1970.
        born_timestamp: i64 = "bornTime",
        /// Where a new group starts: 0 at the first message, 1 after the last.
        init_mode: i32 = "initMode",
        /// `TAG` or `SQL92`.
        expression_type: Option<&'a str> = "expType",
        /// The filter.
        expression: Option<&'a str> = "exp",
        /// Whether the messages of a queue come in order.
        order: bool = "order" or false,
        /// Same id on a repeated request: gives out the same messages again.
        attempt_id: Option<&'a str> = "attemptId",
        /// Broker that the client means.
        broker_name: Option<&'a str> = "bname",
    }
}

header! {
    /// Answer to `PopMessage` and `PopLiteMessage`; the body is stored messages.
    pub struct PopMessageResponse<'a> {
        /// When the messages were given out, ms since 1970.
        pop_timestamp: i64 = "popTime",
        /// How long they stay invisible, ms.
        invisible_ms: i64 = "invisibleTime",
        /// Part of the receipt.
        revive_queue_id: i32 = "reviveQid",
        /// Messages left; a LiteTopic answer has none.
        rest_count: i64 = "restNum" or 0,
        /// First offset per queue, see `ExtraInfoUtil` of RocketMQ.
        start_offset_info: Option<&'a str> = "startOffsetInfo",
        /// Offsets per queue.
        message_offset_info: Option<&'a str> = "msgOffsetInfo",
        /// Deliveries per queue, of ordered messages.
        order_count_info: Option<&'a str> = "orderCountInfo",
    }
}

header! {
    /// Request `AckMessage` (200051).
    pub struct AckMessageRequest<'a> {
        /// Group of the consumer.
        consumer_group: &'a str = "consumerGroup",
        /// Topic of the message.
        topic: &'a str = "topic",
        /// Queue of the message.
        queue_id: i32 = "queueId",
        /// The receipt.
        extra_info: &'a str = "extraInfo",
        /// Offset of the message.
        offset: i64 = "offset",
        /// LiteTopic of the message.
        lite_topic: Option<&'a str> = "liteTopic",
        /// Broker that the client means.
        broker_name: Option<&'a str> = "bname",
    }
}

header! {
    /// Request `ChangeInvisibleDuration` (200053).
    pub struct ChangeInvisibleDurationRequest<'a> {
        /// Group of the consumer.
        consumer_group: &'a str = "consumerGroup",
        /// Topic of the message.
        topic: &'a str = "topic",
        /// Queue of the message.
        queue_id: i32 = "queueId",
        /// The receipt.
        extra_info: &'a str = "extraInfo",
        /// Offset of the message.
        offset: i64 = "offset",
        /// From now, how long the message stays invisible, ms.
        invisible_ms: i64 = "invisibleTime",
        /// LiteTopic of the message.
        lite_topic: Option<&'a str> = "liteTopic",
        /// Whether this delivery is not to count as an attempt.
        suspend: bool = "suspend" or false,
        /// Broker that the client means.
        broker_name: Option<&'a str> = "bname",
    }
}

header! {
    /// Answer to `ChangeInvisibleDuration`: parts of the new receipt.
    pub struct ChangeInvisibleDurationResponse {
        /// When the message was given out anew, ms since 1970.
        pop_timestamp: i64 = "popTime",
        /// How long it stays invisible, ms.
        invisible_ms: i64 = "invisibleTime",
        /// Part of the receipt.
        revive_queue_id: i32 = "reviveQid",
    }
}

header! {
    /// Request `Notification` (200054): answer when there is a message.
    pub struct NotificationRequest<'a> {
        /// Group of the consumer.
        consumer_group: &'a str = "consumerGroup",
        /// Topic to wait for.
        topic: &'a str = "topic",
        /// Queue; -1 is any.
        queue_id: i32 = "queueId",
        /// How long to wait, ms.
        poll_ms: i64 = "pollTime",
        /// When the client sent the request, ms since 1970.
        born_timestamp: i64 = "bornTime",
        /// Whether the messages of a queue come in order.
        order: bool = "order" or false,
        /// As in a pop.
        attempt_id: Option<&'a str> = "attemptId",
        /// `TAG` or `SQL92`.
        expression_type: Option<&'a str> = "expType",
        /// The filter.
        expression: Option<&'a str> = "exp",
    }
}

header! {
    /// Answer to `Notification`.
    pub struct NotificationResponse {
        /// Whether there is a message.
        has_message: bool = "hasMsg",
        /// Whether too many requests wait already.
        polling_full: bool = "pollingFull" or false,
    }
}

header! {
    /// Request `PeekMessage` (200052): read what a pop would give, without giving it out.
    pub struct PeekMessageRequest<'a> {
        /// Topic to read from.
        topic: &'a str = "topic",
        /// Queue; -1 is any.
        queue_id: i32 = "queueId",
        /// Most messages wanted.
        max_message_count: i32 = "maxMsgNums",
        /// Group of the consumer.
        consumer_group: &'a str = "consumerGroup",
    }
}

header! {
    /// Request `PollingInfo` (200055).
    pub struct PollingInfoRequest<'a> {
        /// Group of the consumer.
        consumer_group: &'a str = "consumerGroup",
        /// The topic.
        topic: &'a str = "topic",
        /// Queue; -1 is any.
        queue_id: i32 = "queueId",
    }
}

header! {
    /// Answer to `PollingInfo`.
    pub struct PollingInfoResponse {
        /// Requests that wait.
        polling_count: i32 = "pollingNum",
    }
}

header! {
    /// Request `PopLiteMessage` (200070).
    pub struct PopLiteMessageRequest<'a> {
        /// Id of the client.
        client_id: &'a str = "clientId",
        /// Group of the consumer.
        consumer_group: &'a str = "consumerGroup",
        /// Parent topic.
        topic: &'a str = "topic",
        /// Most messages wanted.
        max_message_count: i32 = "maxMsgNum",
        /// How long messages stay invisible to others, ms.
        invisible_ms: i64 = "invisibleTime",
        /// How long to wait for a message, ms.
        poll_ms: i64 = "pollTime",
        /// When the client sent the request, ms since 1970.
        born_timestamp: i64 = "bornTime",
        /// As in a pop.
        attempt_id: Option<&'a str> = "attemptId",
    }
}

header! {
    /// Request `NotifyUnsubscribeLite` (200073), from server to client.
    pub struct NotifyUnsubscribeLiteRequest<'a> {
        /// LiteTopic that is no longer subscribed.
        lite_topic: &'a str = "liteTopic",
        /// Group of the consumer.
        consumer_group: &'a str = "consumerGroup",
        /// Id of the client.
        client_id: &'a str = "clientId",
    }
}
