//! Recall: a timed message is taken back before it is due.

use base::{ErrorKind, PhysicalOffset, TopicName};
use store::{kv::KvError, log::AppendError};
use wire::message::{StoredMessage, properties};

use crate::{PullError, Shard, TopicNotFound, held::Busy, records::HeldKind};

/// Why a message was not taken back.
#[derive(Debug, thiserror::Error)]
pub enum RecallError {
    /// No such topic.
    #[error(transparent)]
    TopicNotFound(#[from] TopicNotFound),
    /// There is no timed message of that topic any more: delivered, recalled, or never there.
    #[error("no timed message at physical offset {message} of topic `{topic}` is still to come")]
    NotFound {
        /// The topic.
        topic: TopicName,
        /// The message asked for.
        message: i64,
    },
    /// The message could not be read.
    #[error(transparent)]
    Read(#[from] PullError),
    /// The log took it not, or failed over it.
    #[error("recall message at physical offset {message} of topic `{topic}`")]
    Log {
        /// The topic.
        topic: TopicName,
        /// The message.
        message: i64,
        /// What the log said.
        #[source]
        source: AppendError,
    },
    /// The state could not be read.
    #[error("read held messages")]
    State(#[from] KvError),
}

impl RecallError {
    /// What the caller should do.
    pub fn kind(&self) -> ErrorKind {
        match self {
            Self::TopicNotFound(_) | Self::NotFound { .. } => ErrorKind::NotFound,
            Self::Read(error) => error.kind(),
            Self::Log { source, .. } => source.kind(),
            Self::State(_) => ErrorKind::Fault,
        }
    }
}

impl Shard {
    /// Takes a timed message back: it will never be delivered, which is durable on return.
    /// `message` is the physical offset that its send returned. Returns the message.
    pub async fn recall(
        &self,
        topic: &TopicName,
        message: PhysicalOffset,
    ) -> Result<StoredMessage, RecallError> {
        let known = self.catalogue.known_topic(topic)?;
        let not_found = || RecallError::NotFound {
            topic: topic.clone(),
            message: message.wire(),
        };
        let id = message.position();
        let held = self.state.lock().held(id)?.filter(|held| {
            let own = held.place.stream.queue().0 == known.id && message.shard() == self.id;
            own && held.kind == HeldKind::Timed
        });
        let held = held.ok_or_else(not_found)?;
        let stored = self.read_held(id, &held).await?;
        // What comes back to a consumer is not its sender's to recall.
        if stored.property(properties::RETRY_TOPIC).is_some() {
            return Err(not_found());
        }
        {
            let mut state = self.state.lock();
            if state.waiting.busy.contains_key(&id) || state.held(id)?.is_none() {
                return Err(not_found());
            }
            state.waiting.busy.insert(id, Busy::Leaving);
        }
        let failed = |source| RecallError::Log {
            topic: topic.clone(),
            message: message.wire(),
            source,
        };
        match self.append_dropped(id, &held) {
            Ok(appended) => self.log.durable(appended.end).await.map_err(failed)?,
            Err(error) => {
                self.state.lock().put_back(id, held.due);
                return Err(failed(error));
            }
        }
        Ok(stored)
    }
}
