//! Numbers of brokers: rates, progress of all groups, spans of time.

use std::collections::BTreeMap;

use bytes::Bytes;
use serde::{Deserialize, Serialize};

use super::{Body, BodyError, ConsumeStats, MessageQueue, SubscriptionData, bodies, value};

/// Answer to `ViewBrokerStatsData` (315).
#[derive(Clone, Copy, Debug, Default, PartialEq, Serialize, Deserialize)]
#[serde(rename_all = "camelCase", default)]
pub struct BrokerStatsData {
    /// Over a day.
    pub stats_day: BrokerStatsItem,
    /// Over an hour.
    pub stats_hour: BrokerStatsItem,
    /// Over a minute.
    pub stats_minute: BrokerStatsItem,
}

/// What was counted over some time.
#[derive(Clone, Copy, Debug, Default, PartialEq, Serialize, Deserialize)]
#[serde(default)]
pub struct BrokerStatsItem {
    /// Average of one event.
    #[serde(rename = "avgpt")]
    pub average: f64,
    /// Sum of the events.
    pub sum: i64,
    /// Sum per second.
    #[serde(rename = "tps")]
    pub per_second: f64,
}

/// Answer to `GetBrokerConsumeStats` (317).
#[derive(Clone, Debug, Default, PartialEq, Deserialize)]
#[serde(rename_all = "camelCase", default)]
pub struct ConsumeStatsList {
    /// Address of the broker.
    #[serde(rename = "brokerAddr")]
    pub broker_address: String,
    /// For each group, its progress by topic.
    pub consume_stats_list: Vec<BTreeMap<String, Vec<ConsumeStats>>>,
    /// Messages that groups have not finished.
    pub total_diff: i64,
    /// Messages that groups have and have not finished.
    pub total_inflight_diff: i64,
}

impl Body for ConsumeStatsList {
    const NAME: &'static str = "ConsumeStatsList";

    fn decode(body: &[u8]) -> Result<Self, BodyError> {
        super::read(body, Self::NAME)
    }

    fn encode(&self) -> Bytes {
        let text = |text: &str| serde_json::Value::from(text).to_string();
        let mut json = format!(
            "{{\"brokerAddr\":{},\"consumeStatsList\":[",
            text(&self.broker_address)
        )
        .into_bytes();
        for (index, groups) in self.consume_stats_list.iter().enumerate() {
            json.extend_from_slice(if index > 0 { b",{" } else { b"{" });
            for (index, (group, stats)) in groups.iter().enumerate() {
                if index > 0 {
                    json.push(b',');
                }
                json.extend_from_slice(text(group).as_bytes());
                json.extend_from_slice(b":[");
                for (index, stats) in stats.iter().enumerate() {
                    if index > 0 {
                        json.push(b',');
                    }
                    json.extend_from_slice(&stats.encode());
                }
                json.push(b']');
            }
            json.push(b'}');
        }
        let (diff, inflight) = (self.total_diff, self.total_inflight_diff);
        let end = format!("],\"totalDiff\":{diff},\"totalInflightDiff\":{inflight}}}");
        json.extend_from_slice(end.as_bytes());
        json.into()
    }
}

/// Answer to `QueryConsumeTimeSpan` (303).
#[derive(Clone, Debug, Default, PartialEq, Eq, Serialize, Deserialize)]
pub struct ConsumeTimeSpans {
    /// One per queue.
    #[serde(rename = "consumeTimeSpanSet", default)]
    pub spans: Vec<QueueTimeSpan>,
}

/// From when to when the messages of a queue are, and how far a group has come in them.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
#[serde(rename_all = "camelCase")]
pub struct QueueTimeSpan {
    /// Store time of the last message that the group has finished, ms since 1970.
    #[serde(rename = "consumeTimeStamp", deserialize_with = "value::number")]
    pub consume_timestamp: i64,
    /// How long the next message has waited, ms.
    #[serde(rename = "delayTime", deserialize_with = "value::number")]
    pub delay_ms: i64,
    /// Store time of the last message, ms since 1970; -1 without messages.
    #[serde(rename = "maxTimeStamp", deserialize_with = "value::number")]
    pub max_timestamp: i64,
    /// The queue.
    pub message_queue: MessageQueue,
    /// Store time of the first message, ms since 1970; -1 without messages.
    #[serde(rename = "minTimeStamp", deserialize_with = "value::number")]
    pub min_timestamp: i64,
}

/// Answer to `QueryConsumeQueue` (321).
#[derive(Clone, Debug, Default, PartialEq, Eq, Serialize, Deserialize)]
#[serde(rename_all = "camelCase")]
pub struct ConsumeQueueEntries {
    /// What the group's filter is, in words.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub filter_data: Option<String>,
    /// Offset that the next message will have.
    #[serde(deserialize_with = "value::number")]
    pub max_queue_index: i64,
    /// Offset of the first message.
    #[serde(deserialize_with = "value::number")]
    pub min_queue_index: i64,
    /// The entries; `null` where the first one is not there.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub queue_data: Option<Vec<ConsumeQueueEntry>>,
    /// What the group subscribes to.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub subscription_data: Option<SubscriptionData>,
}

/// One entry of a queue's index.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Serialize, Deserialize)]
pub struct ConsumeQueueEntry {
    /// Whether a filter was evaluated and matched.
    #[serde(default)]
    pub eval: bool,
    /// Physical offset of the message.
    #[serde(rename = "physicOffset", deserialize_with = "value::number")]
    pub physical_offset: i64,
    /// Bytes of the message.
    #[serde(rename = "physicSize", deserialize_with = "value::number")]
    pub bytes: i32,
    /// Hash of the message's tag, see [`crate::message::tags_code`].
    #[serde(rename = "tagsCode", deserialize_with = "value::number")]
    pub tags_code: i64,
}

/// Answer to `GetAllConsumerOffset` (43).
#[derive(Clone, Debug, Default, PartialEq, Eq, Serialize, Deserialize)]
#[serde(rename_all = "camelCase")]
pub struct ConsumerOffsets {
    /// Offsets by queue, by `topic@group`.
    #[serde(default)]
    pub offset_table: BTreeMap<String, BTreeMap<i32, i64>>,
}

bodies!(
    BrokerStatsData,
    ConsumeTimeSpans,
    ConsumeQueueEntries,
    ConsumerOffsets,
);
