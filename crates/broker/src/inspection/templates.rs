//! The table of templates: what an instance can be inspected by.

use std::collections::BTreeMap;

use base::limits;
use serde::{Deserialize, Serialize};

use super::{look::Check, on_groups, on_instances, on_topics};

const MINUTE_MS: i64 = 60 * 1_000;

/// The parameter that says how far back in time a template looks, in minutes.
pub(super) const LOOKBACK: &str = "lookbackMinutes";

/// What a template looks at.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Hash, Serialize, Deserialize)]
pub enum ResourceKind {
    /// The instance as a whole.
    Instance,
    /// Each topic.
    Topic,
    /// Each group.
    ConsumerGroup,
}

impl ResourceKind {
    /// Its name.
    pub const fn name(self) -> &'static str {
        match self {
            Self::Instance => "Instance",
            Self::Topic => "Topic",
            Self::ConsumerGroup => "ConsumerGroup",
        }
    }
}

/// A parameter of a template: a whole number.
#[derive(Clone, Copy, Debug)]
pub struct InspectionParameter {
    /// Its name in requests.
    pub key: &'static str,
    /// Its name for people.
    pub name: &'static str,
    /// What it counts.
    pub unit: &'static str,
    /// What it is where nobody says.
    pub default: i64,
    /// The least that it may be.
    pub minimum: i64,
    /// The most.
    pub maximum: i64,
}

/// Something to inspect an instance by.
pub struct InspectionTemplate {
    /// Its name in requests.
    pub code: &'static str,
    /// Its name for people.
    pub name: &'static str,
    /// What it finds.
    pub description: &'static str,
    /// What should be done about what it finds.
    pub advice: &'static str,
    /// What it can be told.
    pub parameters: &'static [InspectionParameter],
    pub(super) check: Check,
}

impl InspectionTemplate {
    /// What it looks at.
    pub fn kind(&self) -> ResourceKind {
        match self.check {
            Check::Instance(..) => ResourceKind::Instance,
            Check::Topic(..) => ResourceKind::Topic,
            Check::Group(..) => ResourceKind::ConsumerGroup,
        }
    }
}

const fn number(
    key: &'static str,
    name: &'static str,
    unit: &'static str,
    default: i64,
    (minimum, maximum): (i64, i64),
) -> InspectionParameter {
    InspectionParameter {
        key,
        name,
        unit,
        default,
        minimum,
        maximum,
    }
}

const fn lookback(default: i64) -> InspectionParameter {
    let most = limits::TREND_HOURS_MAX as i64 * 60;
    number(LOOKBACK, "Time looked back", "minutes", default, (1, most))
}

const MANY: i64 = 1_000_000_000;

static TEMPLATES: [InspectionTemplate; 12] = [
    InspectionTemplate {
        code: "ConsumerLag",
        name: "Consumer lag",
        description: "Groups that are behind by many messages or by a long time.",
        advice: "Add consumers, make them faster, or skip what is of no more use.",
        parameters: &[
            number("messages", "Messages behind", "messages", 10_000, (1, MANY)),
            number(
                "delaySeconds",
                "Age of the oldest",
                "seconds",
                600,
                (1, MANY),
            ),
        ],
        check: Check::Group(on_groups::see_lag, on_groups::lag),
    },
    InspectionTemplate {
        code: "ConsumerOffline",
        name: "Groups without members",
        description: "Groups that nobody consumes in; a risk where messages wait for them.",
        advice: "Start the consumers, or delete the group.",
        parameters: &[],
        check: Check::Group(on_groups::see_offline, on_groups::offline),
    },
    InspectionTemplate {
        code: "SubscriptionConsistency",
        name: "Subscription consistency",
        description: "Groups whose members subscribe to different topics or by different filters.",
        advice: "Give all members of the group the same subscriptions.",
        parameters: &[],
        check: Check::Group(on_groups::see_subscriptions, on_groups::consistency),
    },
    InspectionTemplate {
        code: "ClientVersions",
        name: "Client versions",
        description: "Groups whose members run different releases of an SDK.",
        advice: "Bring all members of the group to the same release.",
        parameters: &[],
        check: Check::Group(on_groups::see_versions, on_groups::versions),
    },
    InspectionTemplate {
        code: "DeadLetters",
        name: "Dead letters",
        description: "Groups whose messages have become dead letters of late.",
        advice: "Find out why their consumption fails, then send them again.",
        parameters: &[
            number("messages", "Dead letters", "messages", 1, (1, MANY)),
            lookback(24 * 60),
        ],
        check: Check::Group(on_groups::see_dead_letters, on_groups::dead_letters),
    },
    InspectionTemplate {
        code: "RetryStorm",
        name: "Retries",
        description: "Groups that give back many of their messages for another attempt.",
        advice: "Find out why consumption fails; a lasting failure belongs into a dead letter.",
        parameters: &[
            number(
                "messages",
                "Messages given back",
                "messages",
                1_000,
                (1, MANY),
            ),
            lookback(60),
        ],
        check: Check::Group(on_groups::see_retries, on_groups::retries),
    },
    InspectionTemplate {
        code: "IdleTopic",
        name: "Topics without use",
        description: "Topics that got no message for a long time.",
        advice: "Delete topics that nobody needs any more: they count and may be paid for.",
        parameters: &[lookback(limits::TREND_HOURS_MAX as i64 * 60)],
        check: Check::Topic(on_topics::see_use, on_topics::idle),
    },
    InspectionTemplate {
        code: "UnconsumedTopic",
        name: "Topics without consumers",
        description: "Topics that get messages which no group has ever consumed.",
        advice: "Start a consumer, or stop to send what nobody reads.",
        parameters: &[lookback(24 * 60)],
        check: Check::Topic(on_topics::see_consumption, on_topics::unconsumed),
    },
    InspectionTemplate {
        code: "QuotaUse",
        name: "Use of quotas",
        description: "Topics, groups and clients near to what the plan allows.",
        advice: "Delete what is not needed, or change the specification.",
        parameters: &[number("percent", "Part in use", "percent", 80, (1, 100))],
        check: Check::Instance(on_instances::see_clients, on_instances::quotas),
    },
    InspectionTemplate {
        code: "Throttling",
        name: "Throttling",
        description: "Requests that were refused, or charged as elastic, for the TPS of the plan.",
        advice: "Change the specification, or switch elastic TPS on.",
        parameters: &[],
        check: Check::Instance(on_instances::see_throttling, on_instances::throttling),
    },
    InspectionTemplate {
        code: "OpenTransactions",
        name: "Open transactions",
        description: "Half messages whose transactions wait for their end.",
        advice: "See to it that producers end their transactions and answer when asked.",
        parameters: &[number(
            "messages",
            "Half messages",
            "messages",
            1_000,
            (1, MANY),
        )],
        check: Check::Instance(on_instances::see_transactions, on_instances::transactions),
    },
    InspectionTemplate {
        code: "SubscriptionEnd",
        name: "End of the subscription",
        description: "A subscription that ends soon, or has ended.",
        advice: "Renew the subscription, or have it renew itself.",
        parameters: &[number("days", "Time left", "days", 15, (1, 366))],
        check: Check::Instance(on_instances::see_nothing, on_instances::subscription),
    },
];

/// All templates.
pub fn templates() -> &'static [InspectionTemplate] {
    &TEMPLATES
}

/// The template of that code.
pub fn template(code: &str) -> Option<&'static InspectionTemplate> {
    TEMPLATES.iter().find(|template| template.code == code)
}

/// How far back an item looks by its parameters, in ms.
pub(super) fn lookback_ms(parameters: &BTreeMap<String, i64>) -> i64 {
    let minutes = parameters.get(LOOKBACK).copied();
    minutes.unwrap_or(0).saturating_mul(MINUTE_MS)
}

#[cfg(test)]
mod tests {
    use std::collections::BTreeSet;

    use super::*;

    #[test]
    fn every_template_has_a_code_of_its_own_and_defaults_that_it_takes() {
        let codes: BTreeSet<&str> = TEMPLATES.iter().map(|template| template.code).collect();
        assert_eq!(codes.len(), TEMPLATES.len());
        assert!(codes.len() <= limits::INSPECTION_ITEMS_MAX);
        for template in &TEMPLATES {
            for parameter in template.parameters {
                let range = parameter.minimum..=parameter.maximum;
                assert!(range.contains(&parameter.default), "{}", template.code);
            }
        }
    }
}
