//! How far groups have come, and where they are sent.

use std::collections::BTreeMap;

use bytes::Bytes;
use serde::{Deserialize, Serialize};

use super::{Body, BodyError, QueueTable, value};

/// Offsets of a group on one queue.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq, Serialize, Deserialize)]
#[serde(rename_all = "camelCase")]
pub struct ConsumeOffset {
    /// Offset that the next message of the queue will have.
    #[serde(deserialize_with = "value::number")]
    pub broker_offset: i64,
    /// Offset that the group has committed.
    #[serde(deserialize_with = "value::number")]
    pub consumer_offset: i64,
    /// Store time of the last consumed message, ms since 1970.
    #[serde(default, deserialize_with = "value::number")]
    pub last_timestamp: i64,
    /// Offset that the group has pulled.
    #[serde(default, deserialize_with = "value::number")]
    pub pull_offset: i64,
}

/// Answer to `GetConsumeStats` (208).
#[derive(Clone, Debug, Default, PartialEq, Deserialize)]
#[serde(rename_all = "camelCase")]
pub struct ConsumeStats {
    /// Messages consumed per second.
    #[serde(default)]
    pub consume_tps: f64,
    /// Offsets by queue.
    #[serde(default)]
    pub offset_table: QueueTable<ConsumeOffset>,
}

impl Body for ConsumeStats {
    const NAME: &'static str = "ConsumeStats";

    fn decode(body: &[u8]) -> Result<Self, BodyError> {
        super::read(body, Self::NAME)
    }

    fn encode(&self) -> Bytes {
        let tps = value::finite(self.consume_tps);
        let mut json = format!("{{\"consumeTps\":{tps:?},\"offsetTable\":").into_bytes();
        self.offset_table.write(&mut json);
        json.push(b'}');
        json.into()
    }
}

/// Answer of a client to `GetConsumerStatusFromClient` (221).
#[derive(Clone, Debug, Default, PartialEq, Eq, Deserialize)]
pub struct ClientStatus {
    /// Offsets by queue, as the client has them.
    #[serde(rename = "messageQueueTable", default)]
    pub queues: QueueTable<i64>,
}

impl Body for ClientStatus {
    const NAME: &'static str = "ClientStatus";

    fn decode(body: &[u8]) -> Result<Self, BodyError> {
        super::read(body, Self::NAME)
    }

    fn encode(&self) -> Bytes {
        let mut json = b"{\"messageQueueTable\":".to_vec();
        self.queues.write(&mut json);
        json.push(b'}');
        json.into()
    }
}

/// Answer to `InvokeBrokerToGetConsumerStatus` (223): offsets by queue, by client.
#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub struct ConsumerStatuses(pub BTreeMap<String, QueueTable<i64>>);

impl Body for ConsumerStatuses {
    const NAME: &'static str = "ConsumerStatuses";

    fn decode(body: &[u8]) -> Result<Self, BodyError> {
        #[derive(Deserialize)]
        struct Statuses {
            #[serde(rename = "consumerTable", default)]
            clients: BTreeMap<String, QueueTable<i64>>,
        }
        let statuses: Statuses = super::read(body, Self::NAME)?;
        Ok(Self(statuses.clients))
    }

    fn encode(&self) -> Bytes {
        let mut json = b"{\"consumerTable\":{".to_vec();
        for (index, (client, queues)) in self.0.iter().enumerate() {
            if index > 0 {
                json.push(b',');
            }
            let client = serde_json::Value::from(client.as_str()).to_string();
            json.extend_from_slice(client.as_bytes());
            json.push(b':');
            queues.write(&mut json);
        }
        json.extend_from_slice(b"}}");
        json.into()
    }
}

/// Body of `ResetConsumerClientOffset` (220), from server to client, and the answer to
/// `InvokeBrokerToResetOffset` (222).
#[derive(Clone, Debug, Default, PartialEq, Eq, Deserialize)]
#[serde(rename_all = "camelCase")]
pub struct ResetOffsetBody {
    /// New offsets by queue.
    #[serde(default)]
    pub offset_table: QueueTable<i64>,
}

impl Body for ResetOffsetBody {
    const NAME: &'static str = "ResetOffsetBody";

    fn decode(body: &[u8]) -> Result<Self, BodyError> {
        super::read(body, Self::NAME)
    }

    fn encode(&self) -> Bytes {
        let mut json = b"{\"offsetTable\":".to_vec();
        self.offset_table.write(&mut json);
        json.push(b'}');
        json.into()
    }
}
