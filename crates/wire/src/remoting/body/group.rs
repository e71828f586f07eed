//! Settings of groups.

use std::collections::BTreeMap;

use serde::{Deserialize, Serialize};

use super::{DataVersion, SubscriptionData, bodies, value};

/// Settings of a group: body of `UpdateAndCreateGroup` (200), answer to `GetGroupConfig` (352).
#[derive(Clone, Debug, PartialEq, Serialize, Deserialize)]
#[serde(rename_all = "camelCase", default)]
pub struct GroupConfig {
    /// Attributes; of a change, names begin with `+` or `-`.
    #[serde(deserialize_with = "value::or_default")]
    pub attributes: BTreeMap<String, String>,
    /// Broker that serves the group.
    #[serde(deserialize_with = "value::number")]
    pub broker_id: i64,
    /// Whether broadcasting is allowed.
    pub consume_broadcast_enable: bool,
    /// Whether the group may consume.
    pub consume_enable: bool,
    /// Whether the group may start at the first message.
    pub consume_from_min_enable: bool,
    /// Whether messages are delivered in order.
    pub consume_message_orderly: bool,
    /// Minutes that consumption of a message may take.
    #[serde(deserialize_with = "value::number")]
    pub consume_timeout_minute: i32,
    /// The group.
    #[serde(deserialize_with = "value::or_default")]
    pub group_name: String,
    /// How long retries wait.
    #[serde(deserialize_with = "value::or_default")]
    pub group_retry_policy: GroupRetryPolicy,
    /// System flag of the group.
    #[serde(deserialize_with = "value::number")]
    pub group_sys_flag: i32,
    /// Whether members hear of each other coming and going.
    pub notify_consumer_ids_changed_enable: bool,
    /// Retries after the first delivery.
    #[serde(rename = "retryMaxTimes", deserialize_with = "value::number")]
    pub retry_times_max: i32,
    /// Queues of the retry topic.
    #[serde(rename = "retryQueueNums", deserialize_with = "value::number")]
    pub retry_queue_count: i32,
    /// Broker to read from when the group is behind.
    #[serde(deserialize_with = "value::number")]
    pub which_broker_when_consume_slowly: i64,
}

impl Default for GroupConfig {
    fn default() -> Self {
        Self {
            attributes: BTreeMap::new(),
            broker_id: 0,
            consume_broadcast_enable: true,
            consume_enable: true,
            consume_from_min_enable: true,
            consume_message_orderly: false,
            consume_timeout_minute: 15,
            group_name: String::new(),
            group_retry_policy: GroupRetryPolicy::default(),
            group_sys_flag: 0,
            notify_consumer_ids_changed_enable: true,
            retry_times_max: 16,
            retry_queue_count: 1,
            which_broker_when_consume_slowly: 1,
        }
    }
}

/// How long retries wait.
#[derive(Clone, Debug, Default, PartialEq, Eq, Serialize, Deserialize)]
#[serde(rename_all = "camelCase", default)]
pub struct GroupRetryPolicy {
    /// Which of the two applies.
    #[serde(rename = "type")]
    pub kind: GroupRetryPolicyKind,
    /// Growing waits.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub exponential_retry_policy: Option<ExponentialRetryPolicy>,
    /// A list of waits.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub customized_retry_policy: Option<CustomizedRetryPolicy>,
}

value::lenient_enum! {
    /// Kind of a retry policy.
    pub enum GroupRetryPolicyKind {
        /// Growing waits.
        Exponential = "0" "EXPONENTIAL",
        /// A list of waits.
        Customized = "1" "CUSTOMIZED",
    } else Customized
}

/// Each retry waits `multiplier` times as long as the one before.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Serialize, Deserialize)]
#[serde(default)]
pub struct ExponentialRetryPolicy {
    /// First wait, ms.
    #[serde(rename = "initial", deserialize_with = "value::number")]
    pub initial_ms: i64,
    /// Longest wait, ms.
    #[serde(rename = "max", deserialize_with = "value::number")]
    pub max_ms: i64,
    /// Growth.
    #[serde(deserialize_with = "value::number")]
    pub multiplier: i64,
}

impl Default for ExponentialRetryPolicy {
    fn default() -> Self {
        Self {
            initial_ms: 5_000,
            max_ms: 7_200_000,
            multiplier: 2,
        }
    }
}

/// Waits of each retry; the last one goes for all further.
#[derive(Clone, Debug, Default, PartialEq, Eq, Serialize, Deserialize)]
pub struct CustomizedRetryPolicy {
    /// The waits, ms.
    #[serde(default, rename = "next", deserialize_with = "value::numbers")]
    pub waits_ms: Vec<i64>,
}

/// Answer to `GetAllGroupConfig` (201).
#[derive(Clone, Debug, Default, PartialEq, Serialize, Deserialize)]
#[serde(rename_all = "camelCase")]
pub struct GroupConfigTable {
    /// Version of the table.
    #[serde(default, deserialize_with = "value::or_default")]
    pub data_version: DataVersion,
    /// Bits of what groups may not do, by group and topic.
    #[serde(default, deserialize_with = "value::or_default")]
    pub forbidden_table: BTreeMap<String, BTreeMap<String, i32>>,
    /// Settings by group.
    #[serde(
        rename = "subscriptionGroupTable",
        default,
        deserialize_with = "value::or_default"
    )]
    pub groups: BTreeMap<String, GroupConfig>,
}

/// Body of `UpdateAndCreateGroupList` (225).
#[derive(Clone, Debug, Default, PartialEq, Serialize, Deserialize)]
pub struct GroupConfigList {
    /// The groups.
    #[serde(
        rename = "groupConfigList",
        default,
        deserialize_with = "value::or_default"
    )]
    pub groups: Vec<GroupConfig>,
}

/// Answer to `QuerySubscriptionByConsumer` (345).
#[derive(Clone, Debug, Default, PartialEq, Eq, Serialize, Deserialize)]
#[serde(rename_all = "camelCase")]
pub struct QuerySubscriptionResponse {
    /// The group.
    pub group: String,
    /// What it subscribes to; `null` if it does not.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub subscription_data: Option<SubscriptionData>,
    /// The topic.
    pub topic: String,
}

/// Answer to `UpdateAndGetGroupForbidden` (353).
#[derive(Clone, Debug, Default, PartialEq, Eq, Serialize, Deserialize)]
pub struct GroupForbidden {
    /// The group.
    pub group: String,
    /// Whether the group may read the topic.
    pub readable: bool,
    /// The topic.
    pub topic: String,
}

/// Answer to `GetConsumerListByGroup` (38).
#[derive(Clone, Debug, Default, PartialEq, Eq, Serialize, Deserialize)]
pub struct ConsumerList {
    /// Ids of the clients in the group.
    #[serde(
        rename = "consumerIdList",
        default,
        deserialize_with = "value::or_default"
    )]
    pub client_ids: Vec<String>,
}

/// Answer to `QueryTopicConsumeByWho` (300).
#[derive(Clone, Debug, Default, PartialEq, Eq, Serialize, Deserialize)]
pub struct GroupList {
    /// The groups.
    #[serde(rename = "groupList", default, deserialize_with = "value::or_default")]
    pub groups: Vec<String>,
}

bodies!(
    GroupConfig,
    GroupConfigList,
    GroupConfigTable,
    ConsumerList,
    GroupForbidden,
    GroupList,
    QuerySubscriptionResponse,
);
