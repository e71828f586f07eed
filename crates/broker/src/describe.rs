//! Descriptions: what people note of topics and groups. Nothing that messages meet depends on it.
//!
//! A description is stored in the entry of what it describes (`metadata.rs`), so that it changes
//! and goes with it. Tools that know nothing of descriptions leave them as they are.

use std::{collections::BTreeMap, sync::Arc};

use base::{GroupName, Timestamp, TopicName};
use serde::{Deserialize, Serialize};

use crate::{
    CreateGroupError, CreateTopicError, Group, GroupSpec, Instance, Topic, TopicSpec,
    create::{check_attempts, check_queues},
};

/// How the members of a group of the 4.x series connect. Only shown, never acted upon.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Serialize, Deserialize)]
#[serde(rename_all = "snake_case")]
pub enum GroupProtocol {
    /// Remoting or gRPC.
    Tcp,
    /// ONS HTTP.
    Http,
}

/// What people know of a topic or a group.
#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub struct Description {
    /// When it was created; `None` if that was before it was noted.
    pub created_at: Option<Timestamp>,
    /// When it was last changed; `None` if that was before it was noted.
    pub updated_at: Option<Timestamp>,
    /// What somebody noted about it.
    pub remark: String,
    /// Labels by key.
    pub tags: BTreeMap<String, String>,
    /// Of a group, where somebody said.
    pub protocol: Option<GroupProtocol>,
}

impl Description {
    pub(crate) fn created(self, now: Timestamp) -> Self {
        let (created_at, updated_at) = (Some(now), Some(now));
        Self {
            created_at,
            updated_at,
            ..self
        }
    }

    pub(crate) fn changed(self, now: Timestamp) -> Self {
        let updated_at = Some(now);
        Self { updated_at, ..self }
    }
}

#[derive(Default, Serialize, Deserialize)]
pub(crate) struct StoredDescription {
    #[serde(default, skip_serializing_if = "Option::is_none")]
    created_at_ms: Option<i64>,
    #[serde(default, skip_serializing_if = "Option::is_none")]
    updated_at_ms: Option<i64>,
    #[serde(default, skip_serializing_if = "String::is_empty")]
    remark: String,
    #[serde(default, skip_serializing_if = "BTreeMap::is_empty")]
    tags: BTreeMap<String, String>,
    #[serde(default, skip_serializing_if = "Option::is_none")]
    protocol: Option<GroupProtocol>,
}

impl StoredDescription {
    pub(crate) fn of(description: &Description) -> Self {
        Self {
            created_at_ms: description.created_at.map(Timestamp::ms),
            updated_at_ms: description.updated_at.map(Timestamp::ms),
            remark: description.remark.clone(),
            tags: description.tags.clone(),
            protocol: description.protocol,
        }
    }

    pub(crate) fn read(self) -> Description {
        Description {
            created_at: self.created_at_ms.map(Timestamp::from_ms),
            updated_at: self.updated_at_ms.map(Timestamp::from_ms),
            remark: self.remark,
            tags: self.tags,
            protocol: self.protocol,
        }
    }
}

impl Instance {
    /// Creates a topic with a description; `Ok(None)` if there is one of that name, which stays as
    /// it is.
    pub async fn add_topic(
        &self,
        spec: TopicSpec,
        description: Description,
    ) -> Result<Option<Arc<Topic>>, CreateTopicError> {
        self.check_lock()?;
        check_queues(&spec)?;
        let _change = self.catalogue.change().await;
        if self.topic(&spec.name).is_some() {
            return Ok(None);
        }
        self.catalogue
            .put_new_topic(spec, description)
            .await
            .map(Some)
    }

    /// Changes what people know of a topic; `Ok(None)` if there is none of that name.
    pub async fn describe_topic(
        &self,
        name: &TopicName,
        change: impl FnOnce(&mut Description),
    ) -> Result<Option<Arc<Topic>>, CreateTopicError> {
        let _change = self.catalogue.change().await;
        let Some(before) = self.topic(name) else {
            return Ok(None);
        };
        let mut topic = Topic::clone(&before);
        change(&mut topic.description);
        if topic == *before {
            return Ok(Some(before));
        }
        let put = self.catalogue.put_topic(topic).await;
        put.map(Some).map_err(|source| {
            let topic = name.clone();
            CreateTopicError::Metadata { topic, source }
        })
    }

    /// Creates a group with a description; `Ok(None)` if there is one of that name, which stays as
    /// it is.
    pub async fn add_group(
        &self,
        spec: GroupSpec,
        description: Description,
    ) -> Result<Option<Arc<Group>>, CreateGroupError> {
        self.check_lock()?;
        check_attempts(&spec)?;
        let _change = self.catalogue.change().await;
        if self.group(&spec.name).is_some() {
            return Ok(None);
        }
        self.catalogue
            .put_new_group(spec, description)
            .await
            .map(Some)
    }

    /// Changes what people know of a group; `Ok(None)` if there is none of that name.
    pub async fn describe_group(
        &self,
        name: &GroupName,
        change: impl FnOnce(&mut Description),
    ) -> Result<Option<Arc<Group>>, CreateGroupError> {
        let _change = self.catalogue.change().await;
        let Some(before) = self.group(name) else {
            return Ok(None);
        };
        let mut group = Group::clone(&before);
        change(&mut group.description);
        if group == *before {
            return Ok(Some(before));
        }
        let put = self.catalogue.put_group(group).await;
        put.map(Some).map_err(|source| {
            let group = name.clone();
            CreateGroupError::Metadata { group, source }
        })
    }
}
