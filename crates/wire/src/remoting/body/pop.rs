//! Batch acknowledgement and server-side queue assignment.

use std::collections::BTreeMap;

use base64::{Engine as _, prelude::BASE64_STANDARD as BASE64};
use serde::{Deserialize, Serialize};

use super::value::lenient_enum;
use super::{MessageModel, MessageQueue, bodies, value};

/// Body of `BatchAckMessage` (200151).
#[derive(Clone, Debug, Default, PartialEq, Eq, Serialize, Deserialize)]
#[serde(rename_all = "camelCase")]
pub struct BatchAckRequest {
    /// The acknowledgements, one per hand-out.
    #[serde(default, deserialize_with = "value::or_default")]
    pub acks: Vec<BatchAck>,
    /// The broker.
    #[serde(default, deserialize_with = "value::or_default")]
    pub broker_name: String,
}

/// Acknowledges messages of one hand-out.
#[derive(Clone, Debug, Default, PartialEq, Eq, Serialize, Deserialize)]
pub struct BatchAck {
    /// Which offsets: bit n of the little-endian bytes is `start_offset` + n. In base 64.
    #[serde(
        rename = "b",
        alias = "bitSet",
        default,
        deserialize_with = "value::or_default"
    )]
    pub bit_set: String,
    /// The group.
    #[serde(rename = "c", alias = "consumerGroup")]
    pub consumer_group: String,
    /// How long the messages stay invisible, ms.
    #[serde(
        rename = "it",
        alias = "invisibleTime",
        deserialize_with = "value::number"
    )]
    pub invisible_ms: i64,
    /// When they were given out, ms since 1970.
    #[serde(rename = "pt", alias = "popTime", deserialize_with = "value::number")]
    pub pop_timestamp: i64,
    /// Their queue.
    #[serde(rename = "q", alias = "queueId", deserialize_with = "value::number")]
    pub queue_id: i32,
    /// `1` or `2` if they came from a retry topic (of form 1 or 2), `0` if not.
    #[serde(
        rename = "r",
        alias = "retry",
        default,
        deserialize_with = "value::or_default"
    )]
    pub retry: String,
    /// Part of the receipt.
    #[serde(
        rename = "rq",
        alias = "reviveQueueId",
        deserialize_with = "value::number"
    )]
    pub revive_queue_id: i32,
    /// First offset of the hand-out.
    #[serde(
        rename = "so",
        alias = "startOffset",
        deserialize_with = "value::number"
    )]
    pub start_offset: i64,
    /// Their topic.
    #[serde(rename = "t", alias = "topic")]
    pub topic: String,
}

/// The offsets of an acknowledgement are no bits in base 64.
#[derive(Clone, Debug, PartialEq, Eq, thiserror::Error)]
#[error("offsets of a batch acknowledgement are `{start}`, expected bits in base 64")]
pub struct BitSetError {
    /// First characters of the text.
    pub start: String,
}

impl BatchAck {
    /// The offsets acknowledged, in their order. At most eight for each byte of the bits.
    ///
    /// # Errors
    /// When the bits are not base 64.
    pub fn offsets(&self) -> Result<impl Iterator<Item = i64> + use<>, BitSetError> {
        let bytes = BASE64.decode(&self.bit_set).map_err(|_| BitSetError {
            start: self.bit_set.chars().take(64).collect(),
        })?;
        let start = self.start_offset;
        let bits = (0..bytes.len() * 8).filter(move |bit| bytes[bit / 8] & (1 << (bit % 8)) != 0);
        Ok(bits.map(move |bit| start.saturating_add(i64::try_from(bit).unwrap_or(i64::MAX))))
    }
}

/// Body of `QueryAssignment` (400): which queues a client is to consume.
#[derive(Clone, Debug, Default, PartialEq, Eq, Serialize, Deserialize)]
#[serde(rename_all = "camelCase")]
pub struct QueryAssignmentRequest {
    /// Id of the client.
    pub client_id: String,
    /// The group.
    pub consumer_group: String,
    /// Whether the members share the messages.
    #[serde(default)]
    pub message_model: MessageModel,
    /// How queues are shared out, e.g. `AVG`.
    #[serde(default, deserialize_with = "value::or_default")]
    pub strategy_name: String,
    /// The topic.
    pub topic: String,
}

/// Answer to `QueryAssignment`.
#[derive(Clone, Debug, Default, PartialEq, Eq, Serialize, Deserialize)]
pub struct QueryAssignmentResponse {
    /// The queues of the client; `None` where there is nothing to say, so that it keeps what it
    /// has.
    #[serde(
        rename = "messageQueueAssignments",
        default,
        skip_serializing_if = "Option::is_none"
    )]
    pub assignments: Option<Vec<QueueAssignment>>,
}

/// A queue and how it is to be consumed.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
pub struct QueueAssignment {
    /// The queue; id -1 is any queue of the broker.
    #[serde(rename = "messageQueue")]
    pub queue: MessageQueue,
    /// How it is to be consumed.
    #[serde(default)]
    pub mode: MessageRequestMode,
    /// More to know.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub attachments: Option<BTreeMap<String, String>>,
}

lenient_enum! {
    /// How a group asks for messages.
    pub enum MessageRequestMode {
        /// By offset.
        Pull = "0" "PULL",
        /// By receipt.
        Pop = "1" "POP",
    } else Pull
}

/// Body of `SetMessageRequestMode` (401).
#[derive(Clone, Debug, Default, PartialEq, Eq, Serialize, Deserialize)]
#[serde(rename_all = "camelCase")]
pub struct SetMessageRequestMode {
    /// The group.
    #[serde(default, deserialize_with = "value::or_default")]
    pub consumer_group: String,
    /// How it asks from now on.
    #[serde(default)]
    pub mode: MessageRequestMode,
    /// Clients that share a queue; 0 or less is all.
    #[serde(
        rename = "popShareQueueNum",
        default,
        deserialize_with = "value::number"
    )]
    pub pop_share_queue_count: i32,
    /// The topic.
    #[serde(default, deserialize_with = "value::or_default")]
    pub topic: String,
}

bodies!(
    BatchAckRequest,
    QueryAssignmentRequest,
    QueryAssignmentResponse,
    SetMessageRequestMode
);
