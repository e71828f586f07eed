//! ListMetricMeta: what is measured of instances, topics and groups.
//!
//! Source: the service's "Monitoring and alerting" (5.x).

use serde_json::{Value, json};

use super::{
    call::Call,
    page::{Page, SIZE_MAX},
    status::Refusal,
};

/// Name, category and description of what the service measures.
const METRICS: [(&str, &str, &str); 24] = [
    (
        "InstanceApiCallTps",
        "instance",
        "calls a second, sends and receives, sum of a minute",
    ),
    (
        "InstanceSendApiCallTps",
        "instance",
        "calls to send a second, most of a minute",
    ),
    (
        "InstanceReceiveApiCallTps",
        "instance",
        "calls to receive a second, most of a minute",
    ),
    ("InstanceStorageSize", "instance", "bytes that are stored"),
    (
        "InstanceInternetFlowoutBandwidth",
        "instance",
        "bytes a second that leave",
    ),
    (
        "SendMessageCountPerInstance",
        "instance",
        "messages sent in a minute",
    ),
    (
        "ReceiveMessageCountPerInstance",
        "instance",
        "messages received in a minute",
    ),
    (
        "ThrottledSendRequestsPerInstance",
        "instance",
        "sends refused in a minute as too many",
    ),
    (
        "ThrottledReceiveRequestsPerInstance",
        "instance",
        "receives refused in a minute as too many",
    ),
    (
        "SendMessageCountPerTopic",
        "topic",
        "messages sent to a topic in a minute",
    ),
    (
        "ThrottledSendRequestsPerTopic",
        "topic",
        "sends to a topic refused in a minute",
    ),
    (
        "ReceiveMessageCountPerGid",
        "group",
        "messages that a group received in a minute",
    ),
    (
        "ReceiveMessageCountPerGidTopic",
        "group",
        "the same of one topic",
    ),
    (
        "ConsumerLag",
        "group",
        "messages that a group has not finished",
    ),
    ("ConsumerLagPerGidTopic", "group", "the same of one topic"),
    (
        "ConsumerLagLatencyPerGid",
        "group",
        "age of the oldest unfinished message, ms",
    ),
    (
        "ConsumerLagLatencyPerGidTopic",
        "group",
        "the same of one topic",
    ),
    (
        "ReadyMessages",
        "group",
        "messages that a group could be handed",
    ),
    ("ReadyMessagesPerGidTopic", "group", "the same of one topic"),
    (
        "ReadyMessageQueueTime",
        "group",
        "age of the oldest message not handed out, ms",
    ),
    (
        "ReadyMessageQueueTimePerGidTopic",
        "group",
        "the same of one topic",
    ),
    (
        "InflightMessages",
        "group",
        "messages handed out and not settled",
    ),
    (
        "SendDLQMessageCountPerGid",
        "group",
        "dead letters of a group in a minute",
    ),
    (
        "SendDLQMessageCountPerGidTopic",
        "group",
        "the same of one topic",
    ),
];

/// ListMetricMeta.
pub(super) async fn list(call: &Call) -> Result<Value, Refusal> {
    let page = Page::of(call, 1, SIZE_MAX);
    Ok(page.of_all(&METRICS, |(name, category, description)| {
        json!({ "category": category, "description": description, "metricName": name })
    }))
}
