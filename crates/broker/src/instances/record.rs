//! What is known of an instance beside its topics and groups, and how it is stored.
//!
//! | key | value |
//! | --- | --- |
//! | `instance-registry/<id>` | JSON: phase, series, display name, remark, creation time, tags, |
//! | | status, plan, resource group, client token, nodes |
//!
//! The keys are apart from `instances/<id>/...`, so that the registry is read without reading all
//! topics and groups. Fields are only ever added, with a default.

use std::collections::BTreeMap;

use base::{InstanceId, ShardId, Timestamp, limits};
use serde::{Deserialize, Serialize};

use super::InstanceTextError;
use crate::{
    Series,
    plan::{InstanceStatus, Plan, PlanChange, PlanError},
};

/// What is known of an instance beside its topics and groups.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct InstanceRecord {
    /// Its id, never given out twice.
    pub id: InstanceId,
    /// Which clients it takes.
    pub series: Series,
    /// Its name for people; not unique, and empty where nobody gave one.
    pub display_name: String,
    /// What somebody noted about it.
    pub remark: String,
    /// When it was created; of the default instance, when the server first started.
    pub created_at: Timestamp,
    /// Labels by key.
    pub tags: BTreeMap<String, String>,
    /// Whether it is in service.
    pub status: InstanceStatus,
    /// What it was ordered as; without one it has no limits but the product's.
    pub plan: Option<Plan>,
    /// The group of resources that it is in; empty is the account's own.
    pub resource_group: String,
    /// What made its creation the only one of its kind; empty where nobody said.
    pub client_token: String,
    /// How many nodes of its own it has; 0 where it shares nodes with others.
    pub nodes: u16,
}

/// What an instance is created with.
#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub struct InstanceSpec {
    /// Which clients it takes. [`Series::Any`] is for the default instance alone.
    pub series: Series,
    /// Its name for people.
    pub display_name: String,
    /// What somebody notes about it.
    pub remark: String,
    /// Labels by key.
    pub tags: BTreeMap<String, String>,
    /// What it is ordered as; its subscription begins when it is created.
    pub plan: Option<Plan>,
    /// The group of resources that it is in.
    pub resource_group: String,
    /// A creation with the token of another is that one; empty for none.
    pub client_token: String,
    /// How many nodes of its own it gets; as its edition has it where nobody says.
    pub nodes: Option<u16>,
}

/// What is to be changed of an instance; `None` leaves it as it is.
#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub struct InstanceChange {
    /// Its name for people.
    pub display_name: Option<String>,
    /// What somebody notes about it.
    pub remark: Option<String>,
    /// All its labels.
    pub tags: Option<BTreeMap<String, String>>,
    /// What it was ordered as.
    pub plan: Option<PlanChange>,
    /// The group of resources that it is in.
    pub resource_group: Option<String>,
    /// How many nodes of its own it has.
    pub nodes: Option<u16>,
}

/// How far an instance is in its life. One found in another phase than [`Phase::Running`] at the
/// start of a server was left half made or half removed by a crash, and is removed.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Serialize, Deserialize)]
#[serde(rename_all = "snake_case")]
pub(super) enum Phase {
    Creating,
    Running,
    Deleting,
}

#[derive(Serialize, Deserialize)]
pub(super) struct Stored {
    pub(super) phase: Phase,
    /// The node that is making or removing the instance, where there are several.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub(super) node: Option<u16>,
    series: Series,
    #[serde(default)]
    display_name: String,
    #[serde(default)]
    remark: String,
    created_at_ms: i64,
    #[serde(default, skip_serializing_if = "BTreeMap::is_empty")]
    tags: BTreeMap<String, String>,
    #[serde(default = "running")]
    status: InstanceStatus,
    #[serde(default, skip_serializing_if = "Option::is_none")]
    plan: Option<Plan>,
    #[serde(default, skip_serializing_if = "String::is_empty")]
    resource_group: String,
    #[serde(default, skip_serializing_if = "String::is_empty")]
    client_token: String,
    #[serde(default, skip_serializing_if = "is_zero")]
    nodes: u16,
}

fn is_zero(number: &u16) -> bool {
    *number == 0
}

/// Of records from before there was a status.
fn running() -> InstanceStatus {
    InstanceStatus::Running
}

impl InstanceRecord {
    pub(super) fn stored(&self, phase: Phase, node: Option<ShardId>) -> Vec<u8> {
        let node = node.filter(|_| phase != Phase::Running);
        let stored = Stored {
            phase,
            node: node.map(ShardId::get),
            series: self.series,
            display_name: self.display_name.clone(),
            remark: self.remark.clone(),
            created_at_ms: self.created_at.ms(),
            tags: self.tags.clone(),
            status: self.status,
            plan: self.plan.clone(),
            resource_group: self.resource_group.clone(),
            client_token: self.client_token.clone(),
            nodes: self.nodes,
        };
        serde_json::to_vec(&stored).expect("plain data becomes JSON")
    }

    pub(super) fn changed(mut self, change: InstanceChange) -> Result<Self, PlanError> {
        self.display_name = change.display_name.unwrap_or(self.display_name);
        self.remark = change.remark.unwrap_or(self.remark);
        self.tags = change.tags.unwrap_or(self.tags);
        self.resource_group = change.resource_group.unwrap_or(self.resource_group);
        if let Some(change) = change.plan {
            let plan = self.plan.ok_or(PlanError::None)?;
            self.plan = Some(plan.changed(change)?);
        }
        Ok(self)
    }

    /// Checks the texts that people chose.
    pub(super) fn check(&self) -> Result<(), InstanceTextError> {
        check_text(
            "display name",
            &self.display_name,
            limits::INSTANCE_DISPLAY_NAME_CHARACTERS_MAX,
        )?;
        check_text(
            "remark",
            &self.remark,
            limits::INSTANCE_REMARK_CHARACTERS_MAX,
        )?;
        let max = limits::TAG_CHARACTERS_MAX;
        check_text("resource group", &self.resource_group, max)?;
        check_text("client token", &self.client_token, max)?;
        let (count, max) = (self.tags.len(), limits::INSTANCE_TAGS_MAX);
        if count > max {
            return Err(InstanceTextError::TooManyTags { count, max });
        }
        for (key, value) in &self.tags {
            if key.is_empty() {
                return Err(InstanceTextError::EmptyTagKey);
            }
            check_text("tag key", key, limits::TAG_CHARACTERS_MAX)?;
            check_text("tag value", value, limits::TAG_CHARACTERS_MAX)?;
        }
        Ok(())
    }
}

impl Stored {
    pub(super) fn record(self, id: InstanceId) -> InstanceRecord {
        InstanceRecord {
            id,
            series: self.series,
            display_name: self.display_name,
            remark: self.remark,
            created_at: Timestamp::from_ms(self.created_at_ms),
            tags: self.tags,
            status: self.status,
            plan: self.plan,
            resource_group: self.resource_group,
            client_token: self.client_token,
            nodes: self.nodes,
        }
    }
}

fn check_text(what: &'static str, text: &str, max: usize) -> Result<(), InstanceTextError> {
    let length = text.chars().count();
    if length > max {
        return Err(InstanceTextError::TooLong { what, length, max });
    }
    match text.chars().find(|character| character.is_control()) {
        Some(character) => Err(InstanceTextError::Character { what, character }),
        None => Ok(()),
    }
}
