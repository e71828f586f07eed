//! Traces read back: what clients, and this server for gRPC clients, have told of a message.

use base::{Timestamp, TopicName, limits};
use broker::{QueryError, QueryRequest, Shard};
use serde::{Deserialize, Serialize};
use wire::message::{TraceKind, trace_records};

use super::TRACE_TOPIC;

/// Before the region, in the name of the topic where ONS clients put their traces. Source:
/// `TraceConstants` of the Java client 5.5.0.
const CLOUD_TRACE_TOPIC: &str = "rmq_sys_TRACE_DATA_";

/// One thing that happened to a message.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
pub(crate) struct Step {
    /// What.
    pub(crate) kind: TraceKind,
    /// When, ms since 1970; older clients do not say it of the end of a consumption.
    pub(crate) at_ms: Option<i64>,
    /// Who told of it.
    pub(crate) host: String,
    /// The group of the producer or consumer.
    pub(crate) group: Option<String>,
    /// Topic of the message; consumers do not say it.
    pub(crate) topic: Option<String>,
    /// Id of the message.
    pub(crate) message_id: String,
    /// Its tag; only the producer says it.
    pub(crate) tag: String,
    /// Its keys, separated by blanks.
    pub(crate) keys: String,
    /// How long it took, ms.
    pub(crate) took_ms: Option<i64>,
    /// Whether it went well.
    pub(crate) success: Option<bool>,
    /// Joins the receipt of a message with the end of its consumption.
    pub(crate) request_id: Option<String>,
    /// What became of a transaction, or how often the delivery was repeated.
    pub(crate) detail: Option<String>,
}

impl Step {
    /// What it takes in memory.
    pub(crate) fn bytes(&self) -> usize {
        let texts = [&self.message_id, &self.tag, &self.keys, &self.host];
        let more = [&self.group, &self.topic, &self.request_id, &self.detail];
        let texts = texts.into_iter().chain(more.into_iter().flatten());
        size_of::<Self>() + texts.map(String::len).sum::<usize>()
    }
}

/// What was told, from `from` on, of the messages with an id or a key; at most
/// [`limits::TRACE_STEPS_BYTES_MAX`] of it.
pub(crate) async fn steps(
    shard: &Shard,
    region: &str,
    id_or_key: &str,
    from: Timestamp,
) -> Result<Vec<Step>, QueryError> {
    let of_region = format!("{CLOUD_TRACE_TOPIC}{region}");
    let topics = [TRACE_TOPIC, of_region.as_str()];
    let mut steps = Vec::new();
    let mut room = limits::TRACE_STEPS_BYTES_MAX;
    for topic in topics
        .into_iter()
        .filter_map(|name| TopicName::new(name).ok())
    {
        let request = QueryRequest {
            topic,
            key: id_or_key.to_owned(),
            max_messages: limits::QUERY_MESSAGES_MAX,
            from,
            to: Timestamp::from_ms(i64::MAX),
        };
        let found = match shard.query(request).await {
            Ok(found) => found,
            // It comes with the first trace.
            Err(QueryError::TopicNotFound(_)) => continue,
            Err(error) => return Err(error),
        };
        for message in found {
            // The topic is open to everybody: what cannot be read is passed over.
            let Ok(content) = message.content() else {
                continue;
            };
            let text = String::from_utf8_lossy(&content);
            let host = message.born_host().ip().to_string();
            for record in trace_records(&text) {
                let mut keys = record.keys.split(' ');
                if record.message_id != id_or_key && !keys.any(|key| key == id_or_key) {
                    continue;
                }
                let owned = |text: Option<&str>| text.map(str::to_owned);
                let step = Step {
                    kind: record.kind,
                    at_ms: record.at_ms,
                    host: host.clone(),
                    group: owned(record.group),
                    topic: owned(record.topic),
                    message_id: record.message_id.to_owned(),
                    tag: record.tag.to_owned(),
                    keys: record.keys.to_owned(),
                    took_ms: record.took_ms,
                    success: record.success,
                    request_id: owned(record.request_id),
                    detail: owned(record.detail),
                };
                // What anybody may write there can be long and much.
                let Some(left) = room.checked_sub(step.bytes()) else {
                    continue;
                };
                room = left;
                steps.push(step);
            }
        }
    }
    sort(&mut steps);
    Ok(steps)
}

/// Puts steps into their order.
pub(crate) fn sort(steps: &mut [Step]) {
    // The end of a consumption of older clients has no time: it stays behind what it ends.
    steps.sort_by_key(|step| step.at_ms.unwrap_or(i64::MAX));
}
