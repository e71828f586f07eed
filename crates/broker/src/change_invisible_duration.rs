//! Change of the invisible duration: longer to keep working on a message, shorter to give it back.

use std::time::Duration;

use base::{ErrorKind, GroupName, Timestamp, TopicName, limits};

use crate::{
    AckError, ReceiptHandle, Shard,
    records::{ReceiptState, Receipts},
};

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
        self.make_visible_in(group, topic, handle, duration, false)
    }

    /// Gives the message of `handle` back for `duration`, without its counting as an attempt: the
    /// client has not tried. Otherwise like [`Shard::change_invisible_duration`].
    pub async fn suspend(
        &self,
        group: &GroupName,
        topic: &TopicName,
        handle: &ReceiptHandle,
        duration: Duration,
    ) -> Result<(ReceiptHandle, Timestamp), ChangeInvisibleDurationError> {
        self.make_visible_in(group, topic, handle, duration, true)
    }

    fn make_visible_in(
        &self,
        group: &GroupName,
        topic: &TopicName,
        handle: &ReceiptHandle,
        duration: Duration,
        suspends: bool,
    ) -> Result<(ReceiptHandle, Timestamp), ChangeInvisibleDurationError> {
        let asked_ms = duration.as_millis();
        let (min_ms, max_ms) = (limits::INVISIBLE_CHANGE_MS_MIN, limits::INVISIBLE_MS_MAX);
        if asked_ms < u128::from(min_ms) || asked_ms > u128::from(max_ms) {
            return Err(ChangeInvisibleDurationError::Invisible {
                asked_ms,
                min_ms,
                max_ms,
            });
        }
        let (topic, group) = self.owner_of(group, topic, handle)?;
        let stream = Self::stream(&topic, handle.queue);
        let offset = handle.offset.get();
        let mut state = self.state.lock();
        let delivery = self.delivery(&mut state, &group, stream, handle)?;
        let until = self.clock.now().after(duration);
        let receipt = ReceiptState {
            until,
            nonce: self.nonce(),
            attempt: delivery.state.attempt.saturating_sub(u32::from(suspends)),
            ..delivery.state
        };
        let consumption = self.consumption_of(&mut state, &group, stream)?;
        let next = consumption.next().unwrap_or(offset + 1);
        let record = Receipts {
            group: group.id,
            next,
            receipts: vec![(offset, receipt)],
        };
        self.append_receipts(stream, &record)
            .map_err(|source| AckError::Log {
                group: group.name().clone(),
                source,
            })?;
        // The client has said when it wants it back; being alive no longer prolongs it.
        consumption.put(offset, receipt.into());
        state.wake_group(stream, group.id);
        Ok((
            ReceiptHandle {
                nonce: receipt.nonce,
                attempt: receipt.attempt,
                ..*handle
            },
            until,
        ))
    }
}
