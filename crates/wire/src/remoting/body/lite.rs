//! LiteTopics as tools see them: codes 200074 to 200078.

use std::collections::BTreeMap;

use serde::{Deserialize, Serialize};

use super::{ConsumeOffset, TopicOffset, bodies};

/// Answer to `GetBrokerLiteInfo` (200074).
#[derive(Clone, Debug, Default, PartialEq, Eq, Serialize, Deserialize)]
#[serde(rename_all = "camelCase", default)]
pub struct BrokerLiteInfo {
    /// How queues are stored.
    pub store_type: String,
    /// LiteTopics that there may be.
    #[serde(rename = "maxLmqNum")]
    pub lite_topics_max: i32,
    /// LiteTopics that there are.
    #[serde(rename = "currentLmqNum")]
    pub lite_topics: i32,
    /// Subscriptions of clients to single LiteTopics.
    pub lite_subscription_count: i32,
    /// Order information in memory, which only Apache has.
    pub order_info_count: i32,
    /// Queues in memory.
    pub cq_table_size: i32,
    /// Offsets in memory, which only Apache has.
    pub offset_table_size: i32,
    /// Clients with events, which only Apache has.
    pub event_map_size: i32,
    /// Minutes to live of the LiteTopics of each topic, -1 for ever.
    pub topic_meta: BTreeMap<String, i32>,
    /// Groups bound to each topic.
    pub group_meta: BTreeMap<String, Vec<String>>,
}

/// Answer to `GetParentTopicInfo` (200075).
#[derive(Clone, Debug, Default, PartialEq, Eq, Serialize, Deserialize)]
#[serde(rename_all = "camelCase", default)]
pub struct ParentTopicInfo {
    /// The topic.
    pub topic: String,
    /// Minutes to live of its LiteTopics, -1 for ever.
    pub ttl: i32,
    /// Groups bound to it.
    pub groups: Option<Vec<String>>,
    /// LiteTopics of the server.
    #[serde(rename = "lmqNum")]
    pub lite_topics_of_server: i32,
    /// LiteTopics of the topic.
    pub lite_topic_count: i32,
}

/// A client and its group.
#[derive(Clone, Debug, Default, PartialEq, Eq, Serialize, Deserialize)]
#[serde(rename_all = "camelCase", default)]
pub struct ClientGroup {
    /// The client, `*` for all of the group.
    pub client_id: String,
    /// The group.
    pub group: String,
}

/// Answer to `GetLiteTopicInfo` (200076).
#[derive(Clone, Debug, Default, PartialEq, Eq, Serialize, Deserialize)]
#[serde(rename_all = "camelCase", default)]
pub struct LiteTopicInfo {
    /// The topic of type LITE.
    pub parent_topic: String,
    /// The LiteTopic.
    pub lite_topic: String,
    /// Who subscribes to it.
    #[serde(rename = "subscriber")]
    pub subscribers: Vec<ClientGroup>,
    /// Its messages.
    pub topic_offset: Option<TopicOffset>,
    /// Whether it belongs to this server.
    pub sharding_to_broker: bool,
}

/// Answer to `GetLiteClientInfo` (200077).
#[derive(Clone, Debug, Default, PartialEq, Eq, Serialize, Deserialize)]
#[serde(rename_all = "camelCase", default)]
pub struct LiteClientInfo {
    /// The topic of type LITE.
    pub parent_topic: String,
    /// The group.
    pub group: String,
    /// The client.
    pub client_id: String,
    /// When it was last heard of, ms since 1970; -1 if never.
    pub last_access_time: i64,
    /// When it last consumed, which Apache does not tell either.
    pub last_consume_time: i64,
    /// LiteTopics it subscribes to, -1 if it has not said.
    pub lite_topic_count: i32,
    /// Some of them.
    pub lite_topic_set: Option<Vec<String>>,
}

/// How far a group is behind in a LiteTopic.
#[derive(Clone, Debug, Default, PartialEq, Eq, Serialize, Deserialize)]
#[serde(rename_all = "camelCase", default)]
pub struct LiteLagInfo {
    /// The LiteTopic.
    pub lite_topic: String,
    /// Messages that the group has not finished.
    pub lag_count: i64,
    /// When the first of them was stored, ms since 1970.
    pub earliest_unconsumed_timestamp: i64,
}

/// Answer to `GetLiteGroupInfo` (200078).
#[derive(Clone, Debug, Default, PartialEq, Eq, Serialize, Deserialize)]
#[serde(rename_all = "camelCase", default)]
pub struct LiteGroupInfo {
    /// The group.
    pub group: String,
    /// The topic that it is bound to.
    pub parent_topic: String,
    /// The LiteTopic asked for.
    pub lite_topic: Option<String>,
    /// When the first message was stored that the group has not finished; -1 without any.
    pub earliest_unconsumed_timestamp: i64,
    /// Messages that the group has not finished; -1 if there is no such LiteTopic.
    pub total_lag_count: i64,
    /// Offsets in the LiteTopic asked for.
    pub lite_topic_offset_wrapper: Option<ConsumeOffset>,
    /// LiteTopics with the most such messages.
    pub lag_count_top_k: Option<Vec<LiteLagInfo>>,
    /// LiteTopics whose messages have waited for longest.
    pub lag_timestamp_top_k: Option<Vec<LiteLagInfo>>,
}

bodies!(
    BrokerLiteInfo,
    ParentTopicInfo,
    LiteTopicInfo,
    LiteClientInfo,
    LiteGroupInfo,
);
