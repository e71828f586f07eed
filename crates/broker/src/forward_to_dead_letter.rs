//! Forward to dead letter: a message that cannot be consumed moves to its group's dead-letter topic.

use base::{ErrorKind, GroupName, TopicName};

use crate::{AckError, ReceiptHandle, SendError, Shard};

/// Why a message was not forwarded. It stays where it was.
#[derive(Debug, thiserror::Error)]
pub enum ForwardToDeadLetterError {
    /// The receipt could not be found or settled.
    #[error(transparent)]
    Receipt(#[from] AckError),
    /// The message could not be read.
    #[error(transparent)]
    Read(#[from] crate::PullError),
    /// The copy could not be stored.
    #[error(transparent)]
    Send(#[from] SendError),
}

impl ForwardToDeadLetterError {
    /// What the caller should do.
    pub fn kind(&self) -> ErrorKind {
        match self {
            Self::Receipt(error) => error.kind(),
            Self::Read(error) => error.kind(),
            Self::Send(error) => error.kind(),
        }
    }
}

impl Shard {
    /// Stores a copy of the message of `handle` in `%DLQ%group`, durable on return, and settles the
    /// receipt.
    pub async fn forward_to_dead_letter(
        &self,
        group: &GroupName,
        topic: &TopicName,
        handle: &ReceiptHandle,
    ) -> Result<(), ForwardToDeadLetterError> {
        let _ = (group, topic, handle);
        unimplemented!()
    }
}
