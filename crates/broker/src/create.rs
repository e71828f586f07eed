//! Create: topics and groups, by order or with their first use. Where several nodes make the same
//! in one moment, one of them makes it and the others find it.

use std::{collections::BTreeMap, sync::Arc};

use base::{GroupId, GroupName, TopicId, TopicName, limits};
use store::meta::MetadataError;

use crate::{
    CreateGroupError, CreateTopicError, Description, Group, GroupSpec, SendError, Topic, TopicSpec,
    metadata::Catalogue,
};

impl Catalogue {
    pub(crate) async fn topic_or_create(
        &self,
        name: &TopicName,
        queues: Option<u32>,
    ) -> Result<Arc<Topic>, SendError> {
        if let Some(topic) = self.topic(name) {
            return Ok(topic);
        }
        if !self.settings.create_automatically {
            return Ok(self.known_topic(name)?);
        }
        let queues = queues.unwrap_or(self.settings.automatic_queues);
        // Put aside: every send would keep room for what only the first one to a topic does.
        let created = self.create_topic(TopicSpec::new(name.clone(), queues));
        Ok(Box::pin(created).await?)
    }

    /// The topic of a group's dead letters: the one that the group names, as long as it is there
    /// and has queues for them, or its own, created with the first of them.
    pub(crate) async fn dead_letter_topic(
        &self,
        group: &GroupName,
    ) -> Result<Arc<Topic>, CreateTopicError> {
        let known = self.group(group);
        let target = known.and_then(|group| group.spec.dead_letter_target());
        if let Some(target) = target.and_then(|target| self.topic(&target))
            && !target.spec.is_lite()
        {
            return Ok(target);
        }
        self.system_topic(TopicName::dead_letter_of(group).as_str())
            .await
    }

    /// A topic of RocketMQ's own, created when it is first needed.
    pub(crate) async fn system_topic(&self, name: &str) -> Result<Arc<Topic>, CreateTopicError> {
        let name = TopicName::new(name).expect("RocketMQ's own names are plain");
        match self.topic(&name) {
            Some(topic) => Ok(topic),
            None => self.create_topic(TopicSpec::new(name, 1)).await,
        }
    }

    pub(crate) async fn create_topic(
        &self,
        spec: TopicSpec,
    ) -> Result<Arc<Topic>, CreateTopicError> {
        check_queues(&spec)?;
        let _change = self.change().await;
        let mut attempts = 1;
        loop {
            match self.try_to_create_topic(spec.clone()).await {
                Err(CreateTopicError::Metadata { source, .. })
                    if is_conflict(&source) && attempts < limits::METADATA_CHANGE_ATTEMPTS_MAX =>
                {
                    attempts += 1;
                }
                done => return done,
            }
        }
    }

    /// Fails when another node changes the topic in this moment, which is in memory then.
    async fn try_to_create_topic(
        &self,
        mut spec: TopicSpec,
    ) -> Result<Arc<Topic>, CreateTopicError> {
        let topic = spec.name.clone();
        let before = self.topic(&topic);
        if let Some(before) = &before {
            let (have, asked) = (before.spec.queues, spec.queues);
            if asked < have {
                return Err(CreateTopicError::Shrink { topic, have, asked });
            }
            match (before.spec.topic_type, spec.topic_type) {
                (Some(have), Some(asked)) if have != asked => {
                    let (have, asked) = (have.attribute(), asked.attribute());
                    return Err(CreateTopicError::OtherType { topic, have, asked });
                }
                (have, None) => spec.topic_type = have,
                _ => {}
            }
            if before.spec == spec {
                return Ok(before.clone());
            }
        }
        match before {
            Some(before) => {
                let description = before.description.clone().changed(self.clock.now());
                let put = self.put_topic(Topic {
                    id: before.id,
                    spec,
                    description,
                });
                put.await
                    .map_err(|source| CreateTopicError::Metadata { topic, source })
            }
            None => self.put_new_topic(spec, Description::default()).await,
        }
    }

    /// The caller holds off other changes, and has seen that there is no topic of that name.
    pub(crate) async fn put_new_topic(
        &self,
        spec: TopicSpec,
        description: Description,
    ) -> Result<Arc<Topic>, CreateTopicError> {
        let topic = spec.name.clone();
        self.check_new_topic(&topic)?;
        let put = async {
            let id = TopicId::new(self.new_id().await?);
            let description = description.created(self.clock.now());
            self.put_topic(Topic {
                id,
                spec,
                description,
            })
            .await
        };
        put.await
            .map_err(|source| CreateTopicError::Metadata { topic, source })
    }

    pub(crate) async fn group_or_create(
        &self,
        name: &GroupName,
    ) -> Result<Option<Arc<Group>>, CreateGroupError> {
        if let Some(group) = self.group(name) {
            return Ok(Some(group));
        }
        if !self.settings.create_automatically {
            return Ok(None);
        }
        let _change = self.change().await;
        let mut attempts = 1;
        loop {
            if let Some(group) = self.group(name) {
                return Ok(Some(group));
            }
            let spec = GroupSpec::new(name.clone());
            // Boxed: every long poll begins here, and would keep room for what hardly one does.
            match Box::pin(self.put_new_group(spec, Description::default())).await {
                Err(CreateGroupError::Metadata { source, .. })
                    if is_conflict(&source) && attempts < limits::METADATA_CHANGE_ATTEMPTS_MAX =>
                {
                    attempts += 1;
                }
                done => return done.map(Some),
            }
        }
    }

    pub(crate) async fn create_group(
        &self,
        spec: GroupSpec,
    ) -> Result<Arc<Group>, CreateGroupError> {
        check_attempts(&spec)?;
        let _change = self.change().await;
        let mut attempts = 1;
        loop {
            match self.try_to_create_group(spec.clone()).await {
                Err(CreateGroupError::Metadata { source, .. })
                    if is_conflict(&source) && attempts < limits::METADATA_CHANGE_ATTEMPTS_MAX =>
                {
                    attempts += 1;
                }
                done => return done,
            }
        }
    }

    /// Fails when another node changes the group in this moment, which is in memory then.
    async fn try_to_create_group(&self, spec: GroupSpec) -> Result<Arc<Group>, CreateGroupError> {
        match self.group(&spec.name) {
            Some(before) if before.spec == spec => Ok(before),
            Some(before) => {
                let group = spec.name.clone();
                self.put_group(Group {
                    id: before.id,
                    spec,
                    request_modes: before.request_modes.clone(),
                    description: before.description.clone().changed(self.clock.now()),
                })
                .await
                .map_err(|source| CreateGroupError::Metadata { group, source })
            }
            None => self.put_new_group(spec, Description::default()).await,
        }
    }

    /// The caller holds off other changes, and has seen that there is no group of that name.
    pub(crate) async fn put_new_group(
        &self,
        spec: GroupSpec,
        description: Description,
    ) -> Result<Arc<Group>, CreateGroupError> {
        self.check_new_group(&spec.name)?;
        let group = spec.name.clone();
        let put = async {
            let id = GroupId::new(self.new_id().await?);
            let request_modes = BTreeMap::new();
            self.put_group(Group {
                id,
                spec,
                request_modes,
                description: description.created(self.clock.now()),
            })
            .await
        };
        put.await
            .map_err(|source| CreateGroupError::Metadata { group, source })
    }
}

fn is_conflict(error: &MetadataError) -> bool {
    matches!(error, MetadataError::Conflict { .. })
}

pub(crate) fn check_queues(spec: &TopicSpec) -> Result<(), CreateTopicError> {
    let (queues, topic) = (spec.queues, spec.name.clone());
    if queues == 0 || queues > limits::TOPIC_QUEUES_MAX {
        return Err(CreateTopicError::Queues { topic, queues });
    }
    Ok(())
}

pub(crate) fn check_attempts(spec: &GroupSpec) -> Result<(), CreateGroupError> {
    let (attempts, group) = (spec.max_attempts, spec.name.clone());
    if attempts == 0 || attempts > limits::DELIVERY_ATTEMPTS_MAX {
        return Err(CreateGroupError::Attempts { group, attempts });
    }
    Ok(())
}
