//! Topics that mean something to the server itself.

pub(super) use crate::message_trace::TRACE_TOPIC;

/// What comes before the region in the name of the topic where ONS clients send that.
const ONS_TRACE_TOPIC_PREFIX: &str = "rmq_sys_TRACE_DATA_";

/// Whether SDKs send traces there, to a server of that region.
pub(super) fn is_trace_topic(topic: &str, region: &str) -> bool {
    topic == TRACE_TOPIC || topic.strip_prefix(ONS_TRACE_TOPIC_PREFIX) == Some(region)
}
