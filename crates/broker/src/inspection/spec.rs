//! What an inspection is told to look at, and when.

use std::collections::{BTreeMap, BTreeSet};

use base::{ErrorKind, GroupName, Timestamp, TopicName, limits};
use serde::{Deserialize, Serialize};

use super::{Cron, templates::template};

/// One template that an instance is inspected by.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
pub struct InspectionItem {
    /// The code of the template.
    pub template: String,
    /// Parameters that are not as the template has them.
    #[serde(default, skip_serializing_if = "BTreeMap::is_empty")]
    pub parameters: BTreeMap<String, i64>,
}

/// Which topics and groups are looked at.
#[derive(Clone, Debug, Default, PartialEq, Eq, Serialize, Deserialize)]
#[serde(rename_all = "snake_case")]
pub enum InspectionScope {
    /// All that applications have made.
    #[default]
    All,
    /// These, as far as they are there. What is about the instance as a whole is looked at anyway.
    Named {
        /// Topics.
        topics: BTreeSet<TopicNameText>,
        /// Groups.
        groups: BTreeSet<GroupNameText>,
    },
}

/// A name of a topic, as text.
pub(super) type TopicNameText = String;
/// A name of a group, as text.
pub(super) type GroupNameText = String;

impl InspectionScope {
    pub(super) fn has_topic(&self, topic: &TopicName) -> bool {
        match self {
            Self::All => true,
            Self::Named { topics, .. } => topics.contains(topic.as_str()),
        }
    }

    pub(super) fn has_group(&self, group: &GroupName) -> bool {
        match self {
            Self::All => true,
            Self::Named { groups, .. } => groups.contains(group.as_str()),
        }
    }
}

/// When an instance is inspected by itself.
#[derive(Clone, Debug, Default, PartialEq, Eq, Serialize, Deserialize)]
pub struct InspectionSchedule {
    /// Whether it is at all.
    pub enabled: bool,
    /// When, see [`Cron`]; needed where it is enabled.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub cron: Option<String>,
}

impl InspectionSchedule {
    /// The first time after `now` at which it is due.
    pub(crate) fn next(&self, now: Timestamp) -> Option<Timestamp> {
        let cron = self.cron.as_deref().filter(|_| self.enabled)?;
        Cron::parse(cron).ok()?.next(now)
    }
}

/// What an instance is inspected by.
#[derive(Clone, Debug, Default, PartialEq, Eq, Serialize, Deserialize)]
pub struct InspectionSpec {
    /// Templates; each at most once.
    pub items: Vec<InspectionItem>,
    /// Topics and groups.
    pub scope: InspectionScope,
    /// When.
    pub schedule: InspectionSchedule,
}

/// What is to be changed; `None` leaves it as it is.
#[derive(Clone, Debug, Default, PartialEq, Eq, Serialize)]
pub struct InspectionChange {
    /// All templates.
    pub items: Option<Vec<InspectionItem>>,
    /// Topics and groups.
    pub scope: Option<InspectionScope>,
    /// When.
    pub schedule: Option<InspectionSchedule>,
}

/// A part of a configuration that cannot be.
#[derive(Clone, Debug, PartialEq, Eq, thiserror::Error)]
#[error("{field} is `{value}`, expected {expected}")]
pub struct InspectionValueError {
    /// The field, as the service's OpenAPI has it.
    pub field: &'static str,
    /// What it says.
    pub value: String,
    /// What it may say.
    pub expected: String,
}

impl InspectionValueError {
    fn new(field: &'static str, value: impl ToString, expected: impl ToString) -> Self {
        Self {
            field,
            value: value.to_string().chars().take(64).collect(),
            expected: expected.to_string(),
        }
    }

    /// What the caller should do.
    pub fn kind(&self) -> ErrorKind {
        ErrorKind::Request
    }
}

impl InspectionItem {
    /// The parameters, those of the template where it says nothing of them.
    pub fn effective(&self) -> BTreeMap<String, i64> {
        let known = template(&self.template).into_iter();
        let known = known.flat_map(|template| template.parameters);
        let mut all: BTreeMap<String, i64> = known
            .map(|parameter| (parameter.key.to_owned(), parameter.default))
            .collect();
        all.extend(self.parameters.clone());
        all
    }

    fn check(&self) -> Result<(), InspectionValueError> {
        let field = "items.templateCode";
        let known = template(&self.template).ok_or_else(|| {
            InspectionValueError::new(field, &self.template, "the code of a template")
        })?;
        let field = "items.parameters";
        for (key, value) in &self.parameters {
            let mut parameters = known.parameters.iter();
            let Some(parameter) = parameters.find(|parameter| parameter.key == *key) else {
                let expected = format!("a parameter of the template {}", known.code);
                return Err(InspectionValueError::new(field, key, expected));
            };
            let (least, most) = (parameter.minimum, parameter.maximum);
            if !(least..=most).contains(value) {
                let (value, expected) = (format!("{key} {value}"), format!("{least} to {most}"));
                return Err(InspectionValueError::new(field, value, expected));
            }
        }
        Ok(())
    }
}

/// Checks items: each known, none twice.
pub(super) fn check_items(items: &[InspectionItem]) -> Result<(), InspectionValueError> {
    let mut seen = BTreeSet::new();
    for item in items {
        item.check()?;
        if !seen.insert(item.template.as_str()) {
            let (field, code) = ("items.templateCode", &item.template);
            return Err(InspectionValueError::new(field, code, "each template once"));
        }
    }
    Ok(())
}

impl InspectionSpec {
    /// Checks that an instance can be inspected so.
    pub fn check(&self) -> Result<(), InspectionValueError> {
        if self.items.is_empty() {
            return Err(InspectionValueError::new("items", "", "at least one"));
        }
        check_items(&self.items)?;
        if let InspectionScope::Named { topics, groups } = &self.scope {
            let (count, max) = (topics.len() + groups.len(), limits::INSPECTION_NAMES_MAX);
            if !(1..=max).contains(&count) {
                let expected = format!("1 to {max} topics and groups");
                return Err(InspectionValueError::new("resourceScope", count, expected));
            }
            for topic in topics {
                TopicName::new(topic).map_err(|error| {
                    InspectionValueError::new("resourceScope.topics", topic, error)
                })?;
            }
            for group in groups {
                GroupName::new(group).map_err(|error| {
                    InspectionValueError::new("resourceScope.consumerGroups", group, error)
                })?;
            }
        }
        let field = "schedule.cron";
        match &self.schedule.cron {
            Some(cron) => {
                Cron::parse(cron).map_err(|error| InspectionValueError::new(field, cron, error))?;
                Ok(())
            }
            None if self.schedule.enabled => {
                let expected = "an expression where the schedule is enabled";
                Err(InspectionValueError::new(field, "", expected))
            }
            None => Ok(()),
        }
    }

    /// With a change made, checked.
    pub fn changed(mut self, change: InspectionChange) -> Result<Self, InspectionValueError> {
        self.items = change.items.unwrap_or(self.items);
        self.scope = change.scope.unwrap_or(self.scope);
        self.schedule = change.schedule.unwrap_or(self.schedule);
        self.check()?;
        Ok(self)
    }

    /// With parameters that count for one run, checked. Overrides of templates that it has not are
    /// an error.
    pub fn overridden(
        mut self,
        overrides: &[InspectionItem],
    ) -> Result<Self, InspectionValueError> {
        check_items(overrides)?;
        for given in overrides {
            let mut items = self.items.iter_mut();
            let Some(item) = items.find(|item| item.template == given.template) else {
                let field = "itemOverrides.templateCode";
                let expected = "a template of the configuration";
                return Err(InspectionValueError::new(field, &given.template, expected));
            };
            item.parameters.extend(given.parameters.clone());
        }
        Ok(self)
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn item(template: &str, parameters: &[(&str, i64)]) -> InspectionItem {
        let parameters = parameters
            .iter()
            .map(|(key, value)| ((*key).to_owned(), *value));
        InspectionItem {
            template: template.to_owned(),
            parameters: parameters.collect(),
        }
    }

    fn spec() -> InspectionSpec {
        InspectionSpec {
            items: vec![item("ConsumerLag", &[("messages", 5)])],
            ..InspectionSpec::default()
        }
    }

    #[test]
    fn what_cannot_be_is_told_with_its_field() {
        spec().check().unwrap();
        type Change = fn(&mut InspectionSpec);
        let cases: [(Change, &str); 8] = [
            (|spec| spec.items.clear(), "items"),
            (
                |spec| spec.items.push(item("Nothing", &[])),
                "items.templateCode",
            ),
            (
                |spec| spec.items.push(item("ConsumerLag", &[])),
                "items.templateCode",
            ),
            (
                |spec| spec.items[0] = item("ConsumerLag", &[("x", 1)]),
                "items.parameters",
            ),
            (
                |spec| spec.items[0] = item("ConsumerLag", &[("messages", 0)]),
                "items.parameters",
            ),
            (|spec| spec.schedule.enabled = true, "schedule.cron"),
            (
                |spec| spec.schedule.cron = Some("* *".to_owned()),
                "schedule.cron",
            ),
            (
                |spec| {
                    spec.scope = InspectionScope::Named {
                        topics: BTreeSet::new(),
                        groups: BTreeSet::new(),
                    };
                },
                "resourceScope",
            ),
        ];
        for (change, field) in cases {
            let mut changed = spec();
            change(&mut changed);
            assert_eq!(changed.check().unwrap_err().field, field);
        }
    }

    #[test]
    fn overrides_count_over_the_configuration_and_that_over_the_template() {
        let item_of = |spec: &InspectionSpec| spec.items[0].effective();
        let lag = template("ConsumerLag").unwrap();
        let plain = item_of(&spec());
        assert_eq!((plain["messages"], plain.len()), (5, lag.parameters.len()));
        let overridden = spec()
            .overridden(&[item("ConsumerLag", &[("messages", 9)])])
            .unwrap();
        assert_eq!(item_of(&overridden)["messages"], 9);
        let other = spec().overridden(&[item("DeadLetters", &[])]).unwrap_err();
        assert_eq!(other.field, "itemOverrides.templateCode");
    }
}
