//! What must wait while an instance is updated.

use std::fmt;

use base::{ErrorKind, InstanceId};
use tokio::sync::OwnedRwLockReadGuard;

use crate::Version;

/// Something done to an instance, as far as updates care.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Hash)]
#[expect(missing_docs, reason = "each says its name")]
pub enum Operation {
    DeleteInstance,
    ReleaseInstance,
    Unsubscribe,
    ChangeSpecification,
    CreateTopic,
    UpdateTopic,
    DeleteTopic,
    CreateGroup,
    UpdateGroup,
    DeleteGroup,
    Renew,
    ChangeAccounts,
    ChangeAcl,
    ChangeWhitelist,
    ChangeTags,
    ChangeWindow,
    Read,
    Send,
    Receive,
}

impl Operation {
    /// All of them.
    pub const ALL: &[Self] = &[
        Self::DeleteInstance,
        Self::ReleaseInstance,
        Self::Unsubscribe,
        Self::ChangeSpecification,
        Self::CreateTopic,
        Self::UpdateTopic,
        Self::DeleteTopic,
        Self::CreateGroup,
        Self::UpdateGroup,
        Self::DeleteGroup,
        Self::Renew,
        Self::ChangeAccounts,
        Self::ChangeAcl,
        Self::ChangeWhitelist,
        Self::ChangeTags,
        Self::ChangeWindow,
        Self::Read,
        Self::Send,
        Self::Receive,
    ];

    /// Whether it is refused while the instance is updated: whatever makes, changes or removes its
    /// resources or nodes.
    pub fn is_blocked_by_update(self) -> bool {
        match self {
            Self::DeleteInstance
            | Self::ReleaseInstance
            | Self::Unsubscribe
            | Self::ChangeSpecification
            | Self::CreateTopic
            | Self::UpdateTopic
            | Self::DeleteTopic
            | Self::CreateGroup
            | Self::UpdateGroup
            | Self::DeleteGroup => true,
            Self::Renew
            | Self::ChangeAccounts
            | Self::ChangeAcl
            | Self::ChangeWhitelist
            | Self::ChangeTags
            | Self::ChangeWindow
            | Self::Read
            | Self::Send
            | Self::Receive => false,
        }
    }
}

impl fmt::Display for Operation {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str(match self {
            Self::DeleteInstance => "delete instance",
            Self::ReleaseInstance => "release instance",
            Self::Unsubscribe => "unsubscribe instance",
            Self::ChangeSpecification => "change specification",
            Self::CreateTopic => "create topic",
            Self::UpdateTopic => "update topic",
            Self::DeleteTopic => "delete topic",
            Self::CreateGroup => "create group",
            Self::UpdateGroup => "update group",
            Self::DeleteGroup => "delete group",
            Self::Renew => "renew instance",
            Self::ChangeAccounts => "change accounts",
            Self::ChangeAcl => "change access control",
            Self::ChangeWhitelist => "change IP whitelist",
            Self::ChangeTags => "change tags",
            Self::ChangeWindow => "change maintenance window",
            Self::Read => "read",
            Self::Send => "send",
            Self::Receive => "receive",
        })
    }
}

/// The conflict with an update that is under way.
#[derive(Clone, Debug, PartialEq, Eq, thiserror::Error)]
#[error(
    "{operation} refused: instance `{instance}` is being updated to `{target}` by update task \
     {task}, expected to be repeated when that has ended"
)]
pub struct UpdateInProgress {
    /// The instance.
    pub instance: InstanceId,
    /// The number of the task that is running.
    pub task: u64,
    /// What the instance is updated to.
    pub target: Version,
    /// What was refused.
    pub operation: Operation,
}

impl UpdateInProgress {
    /// What the caller should do.
    pub fn kind(&self) -> ErrorKind {
        ErrorKind::Retry
    }
}

/// Leave to change an instance. No update of it begins as long as this lives.
#[derive(Debug)]
#[must_use = "an update may begin as soon as this is dropped"]
pub struct Permit {
    pub(super) _gate: Option<OwnedRwLockReadGuard<()>>,
}
