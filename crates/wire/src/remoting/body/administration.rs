//! Who is connected, and tables of text.

use std::collections::BTreeMap;

use serde::{Deserialize, Serialize};

use super::{ConsumeFromWhere, ConsumeType, MessageModel, SubscriptionData, bodies, value};

/// One connected client.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
#[serde(rename_all = "camelCase")]
pub struct Connection {
    /// Its address, `host:port`.
    #[serde(rename = "clientAddr", default, deserialize_with = "value::or_default")]
    pub client_address: String,
    /// Its id.
    pub client_id: String,
    /// Name of its language, see [`crate::remoting::LanguageCode::name`].
    #[serde(default, deserialize_with = "value::or_default")]
    pub language: String,
    /// Its version.
    #[serde(default, deserialize_with = "value::number")]
    pub version: i32,
}

/// Answer to `GetConsumerConnectionList` (203).
#[derive(Clone, Debug, Default, PartialEq, Eq, Serialize, Deserialize)]
#[serde(rename_all = "camelCase")]
pub struct ConsumerConnections {
    /// The clients of the group.
    #[serde(
        rename = "connectionSet",
        default,
        deserialize_with = "value::or_default"
    )]
    pub connections: Vec<Connection>,
    /// Where a new group starts.
    #[serde(default)]
    pub consume_from_where: ConsumeFromWhere,
    /// How it consumes.
    #[serde(default)]
    pub consume_type: ConsumeType,
    /// Whether the members share the messages.
    #[serde(default)]
    pub message_model: MessageModel,
    /// What it subscribes to, by topic.
    #[serde(
        rename = "subscriptionTable",
        default,
        deserialize_with = "value::or_default"
    )]
    pub subscriptions: BTreeMap<String, SubscriptionData>,
}

/// Answer to `GetProducerConnectionList` (204).
#[derive(Clone, Debug, Default, PartialEq, Eq, Serialize, Deserialize)]
pub struct ProducerConnections {
    /// The clients of the group.
    #[serde(
        rename = "connectionSet",
        default,
        deserialize_with = "value::or_default"
    )]
    pub connections: Vec<Connection>,
}

/// Answer to `GetAllProducerInfo` (328).
#[derive(Clone, Debug, Default, PartialEq, Eq, Serialize, Deserialize)]
pub struct ProducerTable {
    /// The clients by group.
    #[serde(default, deserialize_with = "value::or_default")]
    pub data: BTreeMap<String, Vec<ProducerInfo>>,
}

/// One client of a producer group.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
#[serde(rename_all = "camelCase")]
pub struct ProducerInfo {
    /// Its id.
    pub client_id: String,
    /// Name of its language, see [`crate::remoting::LanguageCode::name`].
    #[serde(default, deserialize_with = "value::or_default")]
    pub language: String,
    /// When it was last heard of, ms since 1970.
    #[serde(default, deserialize_with = "value::number")]
    pub last_update_timestamp: i64,
    /// Its address, `host:port`.
    #[serde(rename = "remoteIP", default, deserialize_with = "value::or_default")]
    pub address: String,
    /// Its version.
    #[serde(default, deserialize_with = "value::number")]
    pub version: i32,
}

/// Names and values: answer to `GetBrokerRuntimeInfo` (28) and `GetKvListByNamespace` (219).
#[derive(Clone, Debug, Default, PartialEq, Eq, Serialize, Deserialize)]
pub struct TextTable {
    /// Values by name.
    #[serde(default, deserialize_with = "value::or_default")]
    pub table: BTreeMap<String, String>,
}

bodies!(
    ConsumerConnections,
    ProducerConnections,
    ProducerTable,
    TextTable,
);
