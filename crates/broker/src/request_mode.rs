//! How the members of a group ask for the messages of a topic: by offset, or by receipt. Clients
//! that let the server share out the queues are told; the server itself serves both ways at any
//! time.

use base::{ErrorKind, GroupName, TopicName};
use serde::{Deserialize, Serialize};
use store::meta::MetadataError;

use crate::{Group, GroupNotFound, Instance, TopicNotFound};

/// How the members of a group ask for the messages of a topic.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq, Serialize, Deserialize)]
#[serde(rename_all = "snake_case")]
pub enum RequestMode {
    /// Each member pulls, by offset, the queues that are its own.
    #[default]
    Pull,
    /// Members receive.
    Receive {
        /// Members that a queue is shared with beside its own; 0 is all members on all queues.
        shared_with: u32,
    },
}

/// Why a request mode was not set.
#[derive(Debug, thiserror::Error)]
pub enum SetRequestModeError {
    /// No such topic.
    #[error(transparent)]
    TopicNotFound(#[from] TopicNotFound),
    /// No such group.
    #[error(transparent)]
    GroupNotFound(#[from] GroupNotFound),
    /// What failed in consumption comes back by offset, always.
    #[error("topic `{topic}` holds retries, whose request mode is fixed")]
    RetryTopic {
        /// The topic.
        topic: TopicName,
    },
    /// The metadata store did not take it.
    #[error("set request mode of group `{group}` for topic `{topic}`")]
    Metadata {
        /// The group.
        group: GroupName,
        /// The topic.
        topic: TopicName,
        /// What the store said.
        #[source]
        source: MetadataError,
    },
}

impl SetRequestModeError {
    /// What the caller should do.
    pub fn kind(&self) -> ErrorKind {
        match self {
            Self::TopicNotFound(_) | Self::GroupNotFound(_) => ErrorKind::NotFound,
            Self::RetryTopic { .. } => ErrorKind::Request,
            Self::Metadata { .. } => ErrorKind::Retry,
        }
    }
}

impl Instance {
    /// Says how the members of `group` are to ask for the messages of `topic` from now on.
    pub async fn set_request_mode(
        &self,
        topic: &TopicName,
        group: &GroupName,
        mode: RequestMode,
    ) -> Result<(), SetRequestModeError> {
        let catalogue = &self.catalogue;
        if topic.retry_group().is_some() {
            let topic = topic.clone();
            return Err(SetRequestModeError::RetryTopic { topic });
        }
        let _change = catalogue.change().await;
        catalogue.known_topic(topic)?;
        let before = catalogue.known_group(group)?;
        let mut changed = Group::clone(&before);
        // Topics that have gone since are let go here.
        let modes = &mut changed.request_modes;
        modes.retain(|topic, _| catalogue.topic(topic).is_some());
        modes.insert(topic.clone(), mode);
        if changed == *before {
            return Ok(());
        }
        let put = catalogue.put_group(changed).await;
        put.map_err(|source| SetRequestModeError::Metadata {
            group: group.clone(),
            topic: topic.clone(),
            source,
        })?;
        Ok(())
    }

    /// How the members of `group` are to ask for the messages of `topic`.
    pub fn request_mode(&self, topic: &TopicName, group: &GroupName) -> RequestMode {
        let group = self.catalogue.group(group);
        let mode = group.and_then(|group| group.request_modes.get(topic).copied());
        mode.unwrap_or_default()
    }
}
