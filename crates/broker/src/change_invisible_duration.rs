//! Change of the invisible duration: longer to keep working on a message, shorter to give it back.

use std::time::Duration;

use base::{ErrorKind, GroupName, Timestamp, TopicName};

use crate::{AckError, ReceiptHandle, Shard};

/// Why the duration was not changed.
#[derive(Debug, thiserror::Error)]
pub enum ChangeInvisibleDurationError {
    /// The receipt could not be found or settled.
    #[error(transparent)]
    Receipt(#[from] AckError),
    /// The duration is out of bounds.
    #[error("invisible duration of {asked_ms} ms is outside {min_ms} to {max_ms} ms")]
    Invisible {
        /// Asked for.
        asked_ms: u128,
        /// Least.
        min_ms: u64,
        /// Most.
        max_ms: u64,
    },
}

impl ChangeInvisibleDurationError {
    /// What the caller should do.
    pub fn kind(&self) -> ErrorKind {
        match self {
            Self::Receipt(error) => error.kind(),
            Self::Invisible { .. } => ErrorKind::Request,
        }
    }
}

impl Shard {
    /// Makes the message of `handle` visible again `duration` from now, and returns the handle that
    /// replaces the old one, with the time.
    pub async fn change_invisible_duration(
        &self,
        group: &GroupName,
        topic: &TopicName,
        handle: &ReceiptHandle,
        duration: Duration,
    ) -> Result<(ReceiptHandle, Timestamp), ChangeInvisibleDurationError> {
        let _ = (group, topic, handle, duration);
        unimplemented!()
    }
}
