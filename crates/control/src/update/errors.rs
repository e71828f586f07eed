//! Why something about updates is refused.

use base::{ErrorKind, InstanceId};
use store::meta::MetadataError;

use super::{TaskState, UpdateInProgress};
use crate::Version;

/// Why something about the updates of an instance was refused.
#[derive(Debug, thiserror::Error)]
pub enum UpdateError {
    /// Nothing is known of that instance.
    #[error("instance `{instance}` has no version on record")]
    NotFound {
        /// The instance.
        instance: InstanceId,
    },
    /// It is on record already.
    #[error("instance `{instance}` is on record already, expected a new one")]
    AlreadyRegistered {
        /// The instance.
        instance: InstanceId,
    },
    /// Its edition has no version management.
    #[error("instance `{instance}` has no version management, expected one of edition `ultimate`")]
    NotManaged {
        /// The instance.
        instance: InstanceId,
    },
    /// It is up to date.
    #[error("instance `{instance}` has no open update task")]
    NoTask {
        /// The instance.
        instance: InstanceId,
    },
    /// The task is past that, or not there yet.
    #[error("update task {task} of instance `{instance}` is {state}, expected {expected}")]
    WrongState {
        /// The instance.
        instance: InstanceId,
        /// The task's number.
        task: u64,
        /// Its state.
        state: TaskState,
        /// The state it should have.
        expected: TaskState,
    },
    /// The new time is in the past or after the deadline.
    #[error("time {wanted} for an update expected after now, {now}, and until {deadline}")]
    TimeOutOfBounds {
        /// What was asked for.
        wanted: String,
        /// Now.
        now: String,
        /// The task's deadline.
        deadline: String,
    },
    /// Updates are not called off.
    #[error(
        "update task {task} of instance `{instance}` cannot be cancelled, \
         expected a new time until {deadline}"
    )]
    NotCancellable {
        /// The instance.
        instance: InstanceId,
        /// The task's number.
        task: u64,
        /// The last time it can be moved to.
        deadline: String,
    },
    /// It is too early.
    #[error("update task {task} of instance `{instance}` is due at {due}")]
    NotDue {
        /// The instance.
        instance: InstanceId,
        /// The task's number.
        task: u64,
        /// When it is to begin.
        due: String,
    },
    /// Somebody is changing the instance just now.
    #[error("instance `{instance}` is being changed, its update begins after that")]
    Busy {
        /// The instance.
        instance: InstanceId,
    },
    /// The instance has left that version behind.
    #[error("instance `{instance}` runs `{current}`, there is no way back to `{wanted}`")]
    NoWayBack {
        /// The instance.
        instance: InstanceId,
        /// Its version.
        current: Version,
        /// What was asked for.
        wanted: Version,
    },
    /// It is being updated.
    #[error(transparent)]
    InProgress(#[from] UpdateInProgress),
    /// The metadata store failed.
    #[error("keep updates of instances")]
    Metadata(#[from] MetadataError),
}

impl UpdateError {
    /// What the caller should do.
    pub fn kind(&self) -> ErrorKind {
        match self {
            Self::NotFound { .. } | Self::NoTask { .. } => ErrorKind::NotFound,
            Self::AlreadyRegistered { .. }
            | Self::NotManaged { .. }
            | Self::WrongState { .. }
            | Self::TimeOutOfBounds { .. }
            | Self::NotCancellable { .. }
            | Self::NotDue { .. }
            | Self::NoWayBack { .. } => ErrorKind::Request,
            Self::Busy { .. } | Self::InProgress(_) | Self::Metadata(_) => ErrorKind::Retry,
        }
    }
}
