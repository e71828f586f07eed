//! The heartbeat (34): which groups a client is in and what it subscribes to.

use serde::{Deserialize, Serialize};

use super::value::lenient_enum;
use super::{bodies, value};

/// Body of `Heartbeat` (34).
#[derive(Clone, Debug, Default, PartialEq, Eq, Serialize, Deserialize)]
#[serde(rename_all = "camelCase")]
pub struct HeartbeatData {
    /// Id of the client.
    #[serde(rename = "clientID")]
    pub client_id: String,
    /// Groups as producer.
    #[serde(
        default,
        rename = "producerDataSet",
        deserialize_with = "value::or_default"
    )]
    pub producers: Vec<ProducerData>,
    /// Groups as consumer.
    #[serde(
        default,
        rename = "consumerDataSet",
        deserialize_with = "value::or_default"
    )]
    pub consumers: Vec<ConsumerData>,
    /// Of a client that leaves out what the server knows: what it would have said. 0 otherwise.
    #[serde(default, deserialize_with = "value::number")]
    pub heartbeat_fingerprint: i32,
    /// Whether subscriptions are left out because the server knows them.
    #[serde(default, rename = "withoutSub", alias = "isWithoutSub")]
    pub is_without_subscriptions: bool,
}

/// One group of a producer.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
#[serde(rename_all = "camelCase")]
pub struct ProducerData {
    /// The group.
    pub group_name: String,
}

/// One group of a consumer.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
#[serde(rename_all = "camelCase")]
pub struct ConsumerData {
    /// The group.
    pub group_name: String,
    /// How it consumes.
    #[serde(default)]
    pub consume_type: ConsumeType,
    /// Whether the members share the messages.
    #[serde(default)]
    pub message_model: MessageModel,
    /// Where a new group starts.
    #[serde(default)]
    pub consume_from_where: ConsumeFromWhere,
    /// What it subscribes to.
    #[serde(
        default,
        rename = "subscriptionDataSet",
        deserialize_with = "value::or_default"
    )]
    pub subscriptions: Vec<SubscriptionData>,
    /// Whether the client is unit-aware.
    #[serde(default)]
    pub unit_mode: bool,
}

/// Subscription to one topic.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
#[serde(rename_all = "camelCase")]
pub struct SubscriptionData {
    /// Whether a filter class is meant.
    #[serde(default)]
    pub class_filter_mode: bool,
    /// The topic.
    pub topic: String,
    /// The filter: `*`, tags joined by `||`, or an SQL expression.
    #[serde(default, rename = "subString", deserialize_with = "value::or_default")]
    pub expression: String,
    /// The tags of the filter.
    #[serde(default, rename = "tagsSet", deserialize_with = "value::or_default")]
    pub tags: Vec<String>,
    /// Hashes of the tags, see [`crate::message::tags_code`].
    #[serde(default, rename = "codeSet", deserialize_with = "value::numbers")]
    pub codes: Vec<i64>,
    /// Version of the subscription: a later one replaces an earlier one.
    #[serde(default, rename = "subVersion", deserialize_with = "value::number")]
    pub version: i64,
    /// `TAG` or `SQL92`; clients before 4.1 send none.
    #[serde(default, deserialize_with = "value::or_default")]
    pub expression_type: String,
}

lenient_enum! {
    /// How a group consumes.
    pub enum ConsumeType {
        /// The application asks for each batch.
        Actively = "0" "CONSUME_ACTIVELY",
        /// The client asks and calls the application.
        Passively = "1" "CONSUME_PASSIVELY",
        /// As passively, with receipts in place of queue assignment.
        Pop = "2" "CONSUME_POP",
    } else Passively
}

lenient_enum! {
    /// Whether the members of a group share its messages.
    pub enum MessageModel {
        /// Every member gets every message and keeps its own offsets.
        Broadcasting = "0" "BROADCASTING",
        /// Each message goes to one member.
        Clustering = "1" "CLUSTERING",
        /// Each member chooses LiteTopics.
        LiteSelective = "2" "LITE_SELECTIVE",
    } else Clustering
}

lenient_enum! {
    /// Where a new group starts.
    pub enum ConsumeFromWhere {
        /// After the last message.
        LastOffset = "0" "CONSUME_FROM_LAST_OFFSET",
        /// Deprecated, as `LastOffset`.
        LastOffsetAndMinWhenBootFirst = "1" "CONSUME_FROM_LAST_OFFSET_AND_FROM_MIN_WHEN_BOOT_FIRST",
        /// Deprecated, as `FirstOffset`.
        MinOffset = "2" "CONSUME_FROM_MIN_OFFSET",
        /// Deprecated, as `LastOffset`.
        MaxOffset = "3" "CONSUME_FROM_MAX_OFFSET",
        /// At the first message.
        FirstOffset = "4" "CONSUME_FROM_FIRST_OFFSET",
        /// At a time that the client knows.
        Timestamp = "5" "CONSUME_FROM_TIMESTAMP",
    } else LastOffset
}

/// Body of `CheckClientConfig` (46): whether the server can filter so.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
#[serde(rename_all = "camelCase")]
pub struct CheckClientRequest {
    /// Id of the client.
    #[serde(default, deserialize_with = "value::or_default")]
    pub client_id: String,
    /// The group.
    #[serde(default, deserialize_with = "value::or_default")]
    pub group: String,
    /// What it would subscribe to.
    pub subscription_data: SubscriptionData,
    /// Namespace of the client.
    #[serde(default, deserialize_with = "value::or_default")]
    pub namespace: String,
}

bodies!(HeartbeatData, CheckClientRequest);
