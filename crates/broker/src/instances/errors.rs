//! Why instances are not created, changed or deleted.

use base::{ErrorKind, InstanceId, Timestamp};
use store::meta::MetadataError;

use super::HostError;
use crate::{
    InstanceLocked, InstanceNotFound, Series,
    plan::{InstanceStatus, PlanError},
};

/// Why a text about an instance is not taken.
#[derive(Clone, Debug, PartialEq, Eq, thiserror::Error)]
pub enum InstanceTextError {
    /// It is too long.
    #[error("{what} has {length} characters, expected at most {max}")]
    TooLong {
        /// Which text, e.g. "remark".
        what: &'static str,
        /// Its length in characters.
        length: usize,
        /// The limit.
        max: usize,
    },
    /// It holds a control character.
    #[error("{what} holds the control character {character:?}, expected printable ones")]
    Character {
        /// Which text.
        what: &'static str,
        /// The first such character.
        character: char,
    },
    /// A tag has no key.
    #[error("tag key is empty, expected at least one character")]
    EmptyTagKey,
    /// There are too many tags.
    #[error("instance has {count} tags, expected at most {max}")]
    TooManyTags {
        /// Tags asked for.
        count: usize,
        /// The limit.
        max: usize,
    },
}

/// Why an instance does not get that many nodes of its own.
#[derive(Clone, Debug, PartialEq, Eq, thiserror::Error)]
pub enum OwnNodesError {
    /// Only a fleet starts nodes.
    #[error("{count} nodes of its own asked for, expected none: this server is not a fleet")]
    NoFleet {
        /// Nodes asked for.
        count: u16,
    },
    /// Other editions share nodes.
    #[error("nodes of its own asked for, expected the edition ultimate with it")]
    Edition,
    /// Too few to go on while one is away, or too many.
    #[error("{count} nodes of its own asked for, expected {min} to {max}")]
    Count {
        /// Nodes asked for.
        count: u16,
        /// The fewest.
        min: u16,
        /// The most.
        max: u16,
    },
    /// A tenant of shared nodes stays one.
    #[error("instance `{instance}` shares nodes with others, nodes of its own asked for")]
    Tenant {
        /// Which.
        instance: InstanceId,
    },
}

/// Why the instances of a server could not be opened.
#[derive(Debug, thiserror::Error)]
pub enum OpenInstancesError {
    /// The one that this node is for is not there.
    #[error("instance `{instance}` of this node is not there, or has no nodes of its own")]
    NotFound {
        /// Which.
        instance: InstanceId,
    },
    /// The metadata store failed.
    #[error("read registry of instances")]
    Metadata(#[from] MetadataError),
    /// An instance's own part failed.
    #[error("open instance `{instance}`")]
    Host {
        /// Which.
        instance: InstanceId,
        /// What failed.
        #[source]
        source: HostError,
    },
}

/// Why an instance was not created.
#[derive(Debug, thiserror::Error)]
pub enum CreateInstanceError {
    /// Only the default instance takes every family of clients.
    #[error("instance of series `any` asked for, expected 4.x or 5.x")]
    NoSeries,
    /// A text is wrong.
    #[error(transparent)]
    Text(#[from] InstanceTextError),
    /// The plan cannot be ordered.
    #[error(transparent)]
    Plan(#[from] PlanError),
    /// It does not get that many nodes.
    #[error(transparent)]
    Nodes(#[from] OwnNodesError),
    /// Editions are of the 5.x series.
    #[error("instance of series `{series}` asked for with an edition, expected series 5.x")]
    PlanOfSeries {
        /// The series.
        series: Series,
    },
    /// The operator does not let new instances of the 4.x series be made.
    #[error("instances of series 4.x are not created on this server, expected series 5.x")]
    SeriesClosed,
    /// There are as many as there may be.
    #[error("server has {count} instances, limit {limit}")]
    TooMany {
        /// Instances there are.
        count: usize,
        /// Instances there may be.
        limit: usize,
    },
    /// The server stops.
    #[error("server is stopping, no instance is created any more")]
    Stopping,
    /// Its log or state could not be made.
    #[error("make room for instance `{instance}`")]
    Host {
        /// The id that it would have had.
        instance: InstanceId,
        /// What failed.
        #[source]
        source: HostError,
    },
    /// The metadata store did not take it.
    #[error("register instance `{instance}`")]
    Metadata {
        /// The id that it would have had.
        instance: InstanceId,
        /// What the store said.
        #[source]
        source: MetadataError,
    },
}

impl CreateInstanceError {
    /// What the caller should do.
    pub fn kind(&self) -> ErrorKind {
        match self {
            Self::NoSeries | Self::Text(_) | Self::PlanOfSeries { .. } | Self::Nodes(_) => {
                ErrorKind::Request
            }
            Self::Plan(error) => error.kind(),
            Self::SeriesClosed => ErrorKind::Denied,
            Self::TooMany { .. } => ErrorKind::Limit,
            Self::Stopping | Self::Metadata { .. } => ErrorKind::Retry,
            Self::Host { .. } => ErrorKind::Fault,
        }
    }
}

/// Why an instance was not changed.
#[derive(Debug, thiserror::Error)]
pub enum UpdateInstanceError {
    /// There is none of that id.
    #[error(transparent)]
    NotFound(#[from] InstanceNotFound),
    /// A text is wrong.
    #[error(transparent)]
    Text(#[from] InstanceTextError),
    /// The plan cannot be as the change would have it, or there is none.
    #[error(transparent)]
    Plan(#[from] PlanError),
    /// It does not get that many nodes.
    #[error(transparent)]
    Nodes(#[from] OwnNodesError),
    /// It stays as it is for now.
    #[error(transparent)]
    Locked(#[from] InstanceLocked),
    /// Something else must be finished before.
    #[error("instance `{instance}` is {status}, expected {expected}: try again later")]
    Busy {
        /// Which.
        instance: InstanceId,
        /// How it stands.
        status: InstanceStatus,
        /// How it would have to stand.
        expected: InstanceStatus,
    },
    /// An instance that is paid for as it goes has no subscription.
    #[error("instance `{instance}` is paid for as it goes, expected one with a subscription")]
    NoSubscription {
        /// Which.
        instance: InstanceId,
    },
    /// The server stops.
    #[error("server is stopping, no instance is changed any more")]
    Stopping,
    /// The metadata store did not take it.
    #[error("change instance `{instance}`")]
    Metadata {
        /// Which.
        instance: InstanceId,
        /// What the store said.
        #[source]
        source: MetadataError,
    },
}

impl UpdateInstanceError {
    /// What the caller should do.
    pub fn kind(&self) -> ErrorKind {
        match self {
            Self::NotFound(_) => ErrorKind::NotFound,
            Self::Text(_) | Self::NoSubscription { .. } | Self::Nodes(_) => ErrorKind::Request,
            Self::Plan(error) => error.kind(),
            Self::Busy { .. } | Self::Locked(_) | Self::Stopping | Self::Metadata { .. } => {
                ErrorKind::Retry
            }
        }
    }
}

/// Why an instance was not deleted.
#[derive(Debug, thiserror::Error)]
pub enum DeleteInstanceError {
    /// There is none of that id.
    #[error(transparent)]
    NotFound(#[from] InstanceNotFound),
    /// Every server has its default instance.
    #[error("instance `{instance}` is the server's default one, which cannot be deleted")]
    Default {
        /// Its id.
        instance: InstanceId,
    },
    /// What it holds must be deleted first.
    #[error("instance `{instance}` has {topics} topics and {groups} groups, delete them first")]
    NotEmpty {
        /// Which.
        instance: InstanceId,
        /// Topics that it has, without those of the system and of groups.
        topics: usize,
        /// Groups that it has.
        groups: usize,
    },
    /// Its nodes have to go first, which its fleet sees to.
    #[error("instance `{instance}` has nodes of its own, ask its fleet to delete it")]
    OwnNodes {
        /// Which.
        instance: InstanceId,
    },
    /// It stays as it is for now.
    #[error(transparent)]
    Locked(#[from] InstanceLocked),
    /// It is removed only once it is released.
    #[error("instance `{instance}` is {status}, expected one that is released")]
    Busy {
        /// Which.
        instance: InstanceId,
        /// How it stands.
        status: InstanceStatus,
    },
    /// It is subscribed to.
    #[error("subscription of instance `{instance}` runs until {until} ms, unsubscribe first")]
    Subscribed {
        /// Which.
        instance: InstanceId,
        /// Until when, in ms since 1970.
        until: Timestamp,
    },
    /// The server stops.
    #[error("server is stopping, no instance is deleted any more")]
    Stopping,
    /// Its log or state could not be removed. The instance is gone for clients; what is left is
    /// removed by deleting it again, or by the next start.
    #[error("remove what instance `{instance}` stored")]
    Host {
        /// Which.
        instance: InstanceId,
        /// What failed.
        #[source]
        source: HostError,
    },
    /// The metadata store did not take it.
    #[error("delete instance `{instance}`")]
    Metadata {
        /// Which.
        instance: InstanceId,
        /// What the store said.
        #[source]
        source: MetadataError,
    },
}

impl DeleteInstanceError {
    /// What the caller should do.
    pub fn kind(&self) -> ErrorKind {
        match self {
            Self::NotFound(_) => ErrorKind::NotFound,
            Self::Default { .. }
            | Self::NotEmpty { .. }
            | Self::OwnNodes { .. }
            | Self::Subscribed { .. } => ErrorKind::Request,
            Self::Busy { .. } | Self::Locked(_) | Self::Stopping | Self::Metadata { .. } => {
                ErrorKind::Retry
            }
            Self::Host { .. } => ErrorKind::Fault,
        }
    }
}
