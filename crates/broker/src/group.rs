//! Consumer groups: what an instance keeps about them.

use std::{collections::BTreeMap, time::Duration};

use base::{ErrorKind, GroupId, GroupName, TopicName, limits};
use serde::{Deserialize, Serialize};
use store::meta::MetadataError;

use crate::{Description, InstanceLocked, RequestMode};

/// When a message that failed is delivered again.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
#[serde(rename_all = "snake_case")]
pub enum RetryPolicy {
    /// RocketMQ's steps, from 10 s for the first retry to 2 h for the sixteenth and later.
    Backoff,
    /// Always the same pause.
    Fixed {
        /// The pause in milliseconds.
        interval_ms: u64,
    },
}

/// Pauses before the retries of [`RetryPolicy::Backoff`], in seconds: RocketMQ's delay levels 3 to
/// 18.
const BACKOFF_SECONDS: [u64; 16] = [
    10, 30, 60, 120, 180, 240, 300, 360, 420, 480, 540, 600, 1_200, 1_800, 3_600, 7_200,
];

impl RetryPolicy {
    /// The pause before delivery attempt `attempt` (the first retry is attempt 2).
    pub fn pause(&self, attempt: u32) -> Duration {
        match self {
            Self::Backoff => {
                let step = attempt.saturating_sub(2) as usize;
                Duration::from_secs(BACKOFF_SECONDS[step.min(BACKOFF_SECONDS.len() - 1)])
            }
            Self::Fixed { interval_ms } => Duration::from_millis(*interval_ms),
        }
    }

    /// The pauses of all retries, first to last, as protocols announce them.
    pub fn pauses(&self) -> Vec<Duration> {
        match self {
            Self::Backoff => BACKOFF_SECONDS
                .into_iter()
                .map(Duration::from_secs)
                .collect(),
            Self::Fixed { interval_ms } => vec![Duration::from_millis(*interval_ms)],
        }
    }
}

/// What somebody wants a group to be.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct GroupSpec {
    /// Its name.
    pub name: GroupName,
    /// Whether messages of one message group are delivered one after the other.
    pub fifo: bool,
    /// Deliveries of one message, the first included, before it is a dead letter.
    pub max_attempts: u32,
    /// When failed messages come again.
    pub retry: RetryPolicy,
    /// The topic whose LiteTopics this group consumes, if it is a LiteTopic group.
    pub lite_topic: Option<TopicName>,
    /// Other settings of RocketMQ groups and their values, kept and shown but not interpreted.
    pub settings: BTreeMap<String, String>,
}

impl GroupSpec {
    /// The setting that switches a group off where it is `false`, as Apache calls it.
    pub const CONSUME_ENABLE: &str = "consumeEnable";

    /// The setting that names the topic of the group's dead letters, where it is not its own. Where
    /// there is no such topic, they go to its own.
    pub const DEAD_LETTER_TARGET_TOPIC: &str = "deadLetterTargetTopic";

    /// The topic of the group's dead letters, where it is not its own.
    pub fn dead_letter_target(&self) -> Option<TopicName> {
        let name = self.settings.get(Self::DEAD_LETTER_TARGET_TOPIC)?;
        TopicName::new(name).ok()
    }

    /// The setting that limits deliveries to the group, in units a second.
    pub const MAX_RECEIVE_TPS: &str = "maxReceiveTps";

    /// Most deliveries in a second, in units; `None` leaves it to the instance.
    pub fn max_receive_tps(&self) -> Option<u64> {
        let tps = self.settings.get(Self::MAX_RECEIVE_TPS)?;
        tps.parse().ok().filter(|tps| *tps > 0)
    }

    /// Whether the group may consume.
    pub fn is_enabled(&self) -> bool {
        let setting = self.settings.get(Self::CONSUME_ENABLE);
        setting.is_none_or(|value| value != "false")
    }

    /// The setting that, with the value `Exclusive`, has each LiteTopic consumed by the client that
    /// subscribed to it last, as Apache calls it.
    pub const LITE_SUB_MODEL: &str = "lite.sub.model";
    /// The setting that, with the value `true`, has the group consume every LiteTopic.
    pub const LITE_SUB_WILDCARD: &str = "lite.sub.wildcard";
    /// The setting that says to how many LiteTopics one client may subscribe, -1 for any number.
    pub const LITE_SUB_CLIENT_QUOTA: &str = "lite.sub.client.quota";

    fn setting_is(&self, name: &str, expected: &str) -> bool {
        let setting = self.settings.get(name);
        setting.is_some_and(|value| value.eq_ignore_ascii_case(expected))
    }

    /// Whether two members never consume the same LiteTopic.
    pub fn is_exclusive(&self) -> bool {
        self.setting_is(Self::LITE_SUB_MODEL, "Exclusive")
    }

    /// Whether the messages of all LiteTopics are spread over its members.
    pub fn consumes_every_lite_topic(&self) -> bool {
        self.setting_is(Self::LITE_SUB_WILDCARD, "true")
    }

    /// LiteTopics that one of its clients may subscribe to.
    pub fn lite_subscriptions_per_client(&self) -> usize {
        let setting = self.settings.get(Self::LITE_SUB_CLIENT_QUOTA);
        match setting.and_then(|quota| quota.parse::<i64>().ok()) {
            None => limits::LITE_SUBSCRIPTIONS_PER_CLIENT_DEFAULT,
            Some(quota) => usize::try_from(quota)
                .map_or(limits::LITE_TOPICS_PER_REQUEST_MAX, |quota| {
                    quota.min(limits::LITE_TOPICS_PER_REQUEST_MAX)
                }),
        }
    }

    /// A concurrent group with RocketMQ's default retries.
    pub fn new(name: GroupName) -> Self {
        Self {
            name,
            fifo: false,
            max_attempts: limits::DELIVERY_ATTEMPTS_DEFAULT,
            retry: RetryPolicy::Backoff,
            lite_topic: None,
            settings: BTreeMap::new(),
        }
    }
}

/// A group as it is.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Group {
    /// This life of the group.
    pub id: GroupId,
    /// What it was created or last changed to be.
    pub spec: GroupSpec,
    /// How it asks for messages, for topics where that was said.
    pub(crate) request_modes: BTreeMap<TopicName, RequestMode>,
    /// What people know of it.
    pub description: Description,
}

impl Group {
    /// Its name.
    pub fn name(&self) -> &GroupName {
        &self.spec.name
    }
}

/// Why a group was not created or changed.
#[derive(Debug, thiserror::Error)]
pub enum CreateGroupError {
    /// The number of attempts is out of bounds.
    #[error("group `{group}` asks for {attempts} delivery attempts, expected 1 to {max}", max = limits::DELIVERY_ATTEMPTS_MAX)]
    Attempts {
        /// The group.
        group: GroupName,
        /// Attempts asked for.
        attempts: u32,
    },
    /// The name is longer than the series of the instance allows.
    #[error("name of group `{group}` has {} bytes, expected at most {max}", group.as_str().len())]
    Name {
        /// The group.
        group: GroupName,
        /// The limit.
        max: usize,
    },
    /// Groups stay as they are for now.
    #[error(transparent)]
    Locked(#[from] InstanceLocked),
    /// The instance has as many groups as it may.
    #[error("instance has {count} groups, limit {limit}")]
    TooMany {
        /// Groups there are.
        count: usize,
        /// Groups there may be.
        limit: usize,
    },
    /// The metadata store did not take it.
    #[error("create group `{group}`")]
    Metadata {
        /// The group.
        group: GroupName,
        /// What the store said.
        #[source]
        source: MetadataError,
    },
}

impl CreateGroupError {
    /// What the caller should do.
    pub fn kind(&self) -> ErrorKind {
        match self {
            Self::Attempts { .. } | Self::Name { .. } => ErrorKind::Request,
            Self::TooMany { .. } => ErrorKind::Limit,
            Self::Locked(_) | Self::Metadata { .. } => ErrorKind::Retry,
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn backoff_follows_rocketmq_levels() {
        let policy = RetryPolicy::Backoff;
        assert_eq!(policy.pause(2), Duration::from_secs(10));
        assert_eq!(policy.pause(17), Duration::from_secs(7_200));
        assert_eq!(policy.pause(500), Duration::from_secs(7_200));
    }
}
