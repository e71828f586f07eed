//! Topics that mean something to the server itself.

/// Where SDKs send what they did with each message, unless they are told another topic.
pub(super) const TRACE_TOPIC: &str = "RMQ_SYS_TRACE_TOPIC";
