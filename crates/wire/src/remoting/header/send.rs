//! Sending: codes 10, 310, 320 and their answer; recall 370; replies 324 to 326.

use super::header;

header! {
    /// Request `SendMessage` (10), with long names.
    pub struct SendMessageRequest<'a> {
        /// Group of the producer.
        producer_group: &'a str = "producerGroup",
        /// Topic to send to.
        topic: &'a str = "topic",
        /// Topic whose settings a topic created by this send takes.
        default_topic: &'a str = "defaultTopic",
        /// Queues of a topic created by this send.
        default_topic_queue_count: i32 = "defaultTopicQueueNums",
        /// Queue; negative lets the server choose.
        queue_id: i32 = "queueId",
        /// Bits of [`crate::message::sys_flag`].
        sys_flag: i32 = "sysFlag",
        /// When the client made the message, ms since 1970.
        born_timestamp: i64 = "bornTimestamp",
        /// The application's flag.
        flag: i32 = "flag",
        /// Properties, encoded as [`crate::message::properties`].
        properties: Option<&'a str> = "properties",
        /// Failed deliveries so far, of a message that a client sends again.
        reconsume_times: Option<i32> = "reconsumeTimes",
        /// Whether the client is unit-aware.
        unit_mode: Option<bool> = "unitMode",
        /// Whether the body is a batch.
        batch: Option<bool> = "batch",
        /// Retry limit of the consumer that sends the message again.
        max_reconsume_times: Option<i32> = "maxReconsumeTimes",
        /// Broker that the client means.
        broker_name: Option<&'a str> = "bname",
    }
}

header! {
    /// Request `SendMessageV2` (310) and `SendBatchMessage` (320): the same with short names.
    pub struct SendMessageRequestV2<'a> {
        /// Group of the producer.
        producer_group: &'a str = "a",
        /// Topic to send to.
        topic: &'a str = "b",
        /// Topic whose settings a topic created by this send takes.
        default_topic: &'a str = "c",
        /// Queues of a topic created by this send.
        default_topic_queue_count: i32 = "d",
        /// Queue; negative lets the server choose.
        queue_id: i32 = "e",
        /// Bits of [`crate::message::sys_flag`].
        sys_flag: i32 = "f",
        /// When the client made the message, ms since 1970.
        born_timestamp: i64 = "g",
        /// The application's flag.
        flag: i32 = "h",
        /// Properties, encoded as [`crate::message::properties`].
        properties: Option<&'a str> = "i",
        /// Failed deliveries so far, of a message that a client sends again.
        reconsume_times: Option<i32> = "j",
        /// Whether the client is unit-aware.
        unit_mode: Option<bool> = "k",
        /// Retry limit of the consumer that sends the message again.
        max_reconsume_times: Option<i32> = "l",
        /// Whether the body is a batch.
        batch: Option<bool> = "m",
        /// Broker that the client means. Clients with JSON headers write the long name.
        broker_name: Option<&'a str> = "n" | "bname",
    }
}

impl<'a> From<SendMessageRequestV2<'a>> for SendMessageRequest<'a> {
    fn from(short: SendMessageRequestV2<'a>) -> Self {
        Self {
            producer_group: short.producer_group,
            topic: short.topic,
            default_topic: short.default_topic,
            default_topic_queue_count: short.default_topic_queue_count,
            queue_id: short.queue_id,
            sys_flag: short.sys_flag,
            born_timestamp: short.born_timestamp,
            flag: short.flag,
            properties: short.properties,
            reconsume_times: short.reconsume_times,
            unit_mode: short.unit_mode,
            batch: short.batch,
            max_reconsume_times: short.max_reconsume_times,
            broker_name: short.broker_name,
        }
    }
}

header! {
    /// Answer to a send.
    pub struct SendMessageResponse<'a> {
        /// Server-side message id; of a batch, one per message, separated by commas.
        message_id: &'a str = "msgId",
        /// Queue that took the message.
        queue_id: i32 = "queueId",
        /// Offset in the queue, the first one of a batch.
        queue_offset: i64 = "queueOffset",
        /// Id of the transaction of a half message.
        transaction_id: Option<&'a str> = "transactionId",
        /// Client-side ids of a batch that is stored as one.
        batch_unique_id: Option<&'a str> = "batchUniqId",
        /// What recalls a timed message.
        recall_handle: Option<&'a str> = "recallHandle",
        /// Region of the server; ONS clients derive the trace topic from it.
        region: Option<&'a str> = "MSG_REGION",
        /// Whether the client is to trace.
        trace_on: Option<bool> = "TRACE_ON",
    }
}

header! {
    /// Request `RecallMessage` (370).
    pub struct RecallMessageRequest<'a> {
        /// Group of the producer.
        producer_group: Option<&'a str> = "producerGroup",
        /// Topic of the timed message.
        topic: &'a str = "topic",
        /// Handle from the answer to the send.
        recall_handle: &'a str = "recallHandle",
    }
}

header! {
    /// Answer to `RecallMessage`.
    pub struct RecallMessageResponse<'a> {
        /// Client-side id of the recalled message.
        message_id: &'a str = "msgId",
    }
}

header! {
    /// Request `PushReplyMessageToClient` (326), from server to client.
    pub struct ReplyMessageRequest<'a> {
        /// Group of the producer of the reply.
        producer_group: &'a str = "producerGroup",
        /// Topic of the reply.
        topic: &'a str = "topic",
        /// As in a send.
        default_topic: &'a str = "defaultTopic",
        /// As in a send.
        default_topic_queue_count: i32 = "defaultTopicQueueNums",
        /// As in a send.
        queue_id: i32 = "queueId",
        /// Bits of [`crate::message::sys_flag`].
        sys_flag: i32 = "sysFlag",
        /// When the reply was made, ms since 1970.
        born_timestamp: i64 = "bornTimestamp",
        /// The application's flag.
        flag: i32 = "flag",
        /// Properties, encoded as [`crate::message::properties`].
        properties: Option<&'a str> = "properties",
        /// As in a send.
        reconsume_times: Option<i32> = "reconsumeTimes",
        /// Whether the client is unit-aware.
        unit_mode: bool = "unitMode" or false,
        /// Address of the client that replied, `host:port`.
        born_host: &'a str = "bornHost",
        /// Address of the server, `host:port`.
        store_host: &'a str = "storeHost",
        /// When the server took the reply, ms since 1970.
        store_timestamp: i64 = "storeTimestamp",
    }
}
