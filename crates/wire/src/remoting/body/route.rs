//! Where the queues of a topic are: answers of the name-server role.

use std::collections::BTreeMap;

use serde::{Deserialize, Serialize};

use super::{bodies, value};

/// Answer to `GetRouteByTopic` (105).
#[derive(Clone, Debug, Default, PartialEq, Eq, Serialize, Deserialize)]
#[serde(rename_all = "camelCase")]
pub struct TopicRouteData {
    /// Brokers that have the topic.
    #[serde(
        default,
        rename = "brokerDatas",
        deserialize_with = "value::or_default"
    )]
    pub brokers: Vec<BrokerData>,
    /// Filter servers by broker address; always empty here.
    #[serde(default, deserialize_with = "value::or_default")]
    pub filter_server_table: BTreeMap<String, Vec<String>>,
    /// Order of the queues of an ordered topic, `broker:queues;...`.
    #[serde(
        default,
        rename = "orderTopicConf",
        skip_serializing_if = "Option::is_none"
    )]
    pub order_configuration: Option<String>,
    /// The queues per broker.
    #[serde(default, rename = "queueDatas", deserialize_with = "value::or_default")]
    pub queues: Vec<QueueData>,
}

/// Queues of a topic on one broker.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
#[serde(rename_all = "camelCase")]
pub struct QueueData {
    /// The broker, which is a shard.
    pub broker_name: String,
    /// Bits of [`crate::remoting::header::permission`].
    #[serde(rename = "perm", deserialize_with = "value::number")]
    pub permission: i32,
    /// Queues to read from.
    #[serde(rename = "readQueueNums", deserialize_with = "value::number")]
    pub read_queue_count: i32,
    /// System flag of the topic.
    #[serde(default, deserialize_with = "value::number")]
    pub topic_sys_flag: i32,
    /// Queues to write to.
    #[serde(rename = "writeQueueNums", deserialize_with = "value::number")]
    pub write_queue_count: i32,
}

/// Addresses of a broker.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
#[serde(rename_all = "camelCase")]
pub struct BrokerData {
    /// `host:port` by broker id; 0 is the master. Read with unquoted keys too.
    #[serde(
        rename = "brokerAddrs",
        default,
        deserialize_with = "value::or_default"
    )]
    pub addresses: BTreeMap<i64, String>,
    /// The broker, which is a shard.
    pub broker_name: String,
    /// Cluster of the broker.
    #[serde(default, deserialize_with = "value::or_default")]
    pub cluster: String,
    /// Whether a slave may stand in for the master.
    #[serde(default)]
    pub enable_acting_master: bool,
}

/// Answer to `GetBrokerClusterInfo` (106).
#[derive(Clone, Debug, Default, PartialEq, Eq, Serialize, Deserialize)]
pub struct ClusterInfo {
    /// Brokers by name.
    #[serde(
        rename = "brokerAddrTable",
        default,
        deserialize_with = "value::or_default"
    )]
    pub brokers: BTreeMap<String, BrokerData>,
    /// Broker names by cluster.
    #[serde(
        rename = "clusterAddrTable",
        default,
        deserialize_with = "value::or_default"
    )]
    pub clusters: BTreeMap<String, Vec<String>>,
}

/// Answer to `GetTopicListFromNameServer` (206) and `GetTopicsByCluster` (224).
#[derive(Clone, Debug, Default, PartialEq, Eq, Serialize, Deserialize)]
pub struct TopicList {
    /// Address of a broker of the cluster, where the asker needs one.
    #[serde(
        rename = "brokerAddr",
        default,
        skip_serializing_if = "Option::is_none"
    )]
    pub broker_address: Option<String>,
    /// The topics.
    #[serde(rename = "topicList", default, deserialize_with = "value::or_default")]
    pub topics: Vec<String>,
}

bodies!(TopicRouteData, ClusterInfo, TopicList);
