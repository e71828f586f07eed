//! Names that servers keep for themselves, which applications may not use.

use base::TopicName;

/// Topics. Source: Apache's `TopicValidator`.
const TOPICS: [&str; 3] = ["TBW102", "SCHEDULE_TOPIC_XXXX", "OFFSET_MOVED_EVENT"];
const TOPIC_PREFIX: &str = "rmq_sys_";
const GROUP_PREFIX: &str = "CID_RMQ_SYS_";

/// Whether a topic is the system's own.
pub fn is_system_topic(name: &str) -> bool {
    let start = name.get(..TOPIC_PREFIX.len());
    TOPICS.contains(&name) || start.is_some_and(|start| start.eq_ignore_ascii_case(TOPIC_PREFIX))
}

/// Whether a group is the system's own.
pub fn is_system_group(name: &str) -> bool {
    name.starts_with(GROUP_PREFIX)
}

/// Whether applications name the topic themselves: it is neither the system's own nor one of those
/// that come into being for a group.
pub fn is_application_topic(topic: &TopicName) -> bool {
    topic.retry_group().is_none()
        && topic.dead_letter_group().is_none()
        && !is_system_topic(topic.as_str())
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn system_topics_are_told_in_any_case() {
        for name in ["TBW102", "rmq_sys_x", "RMQ_SYS_TRACE_TOPIC"] {
            assert!(is_system_topic(name), "{name}");
        }
        for name in [
            "orders",
            "rmq_sy",
            "tbw102",
            "\u{e9}\u{e9}\u{e9}\u{e9}\u{e9}",
        ] {
            assert!(!is_system_topic(name), "{name}");
        }
    }
}
