//! Which instances a server opens, and what of them.

use base::{InstanceId, limits};

use super::{InstanceRecord, InstanceSpec, OwnNodesError};
use crate::{Series, plan::Edition};

/// Which instances a server opens.
#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub enum Serves {
    /// Those that have no nodes of their own, which outside a fleet is all of them.
    #[default]
    Shared,
    /// One that has nodes of its own, of which this is one. Of the default instance it has the
    /// users, as they are those of the account, but no messages.
    One(InstanceId),
    /// All of them without their messages, which nodes have: a fleet.
    Metadata {
        /// Nodes of an instance of the edition ultimate where nobody says how many.
        own_nodes: u16,
    },
}

/// What a server has of an instance.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum InstancePart {
    /// All: also a shard with messages.
    Whole,
    /// Topics, groups and users alone.
    Metadata,
}

/// What a host is to open.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct InstanceToOpen {
    /// Its id.
    pub id: InstanceId,
    /// Which clients it takes.
    pub series: Series,
    /// Whether it has nodes of its own.
    pub has_own_nodes: bool,
    /// What of it.
    pub part: InstancePart,
}

impl Serves {
    /// What is opened of an instance; `None` if nothing is.
    pub(super) fn part(&self, record: &InstanceRecord) -> Option<InstancePart> {
        match self {
            Self::Shared => (record.nodes == 0).then_some(InstancePart::Whole),
            Self::One(own) if record.id == *own => {
                (record.nodes > 0).then_some(InstancePart::Whole)
            }
            Self::One(_) => {
                let is_account = record.id == InstanceId::default_instance();
                is_account.then_some(InstancePart::Metadata)
            }
            Self::Metadata { .. } => Some(InstancePart::Metadata),
        }
    }

    /// Whether an instance that is open here has its messages here.
    pub(super) fn has_messages_of(&self, id: &InstanceId) -> bool {
        match self {
            Self::Shared => true,
            Self::One(own) => own == id,
            Self::Metadata { .. } => false,
        }
    }

    /// Whether this is a fleet.
    pub(super) fn is_fleet(&self) -> bool {
        matches!(self, Self::Metadata { .. })
    }

    /// How many nodes of its own a new instance gets.
    pub(super) fn nodes_of(&self, spec: &InstanceSpec) -> Result<u16, OwnNodesError> {
        let edition = spec.plan.as_ref().map(|plan| plan.edition);
        let is_ultimate = edition == Some(Edition::Ultimate);
        match (self, spec.nodes) {
            (Self::Metadata { own_nodes }, asked) if is_ultimate => {
                checked(asked.unwrap_or(*own_nodes))
            }
            (_, None | Some(0)) => Ok(0),
            (Self::Metadata { .. }, Some(_)) => Err(OwnNodesError::Edition),
            (Self::Shared | Self::One(_), Some(count)) => Err(OwnNodesError::NoFleet { count }),
        }
    }
}

/// That many nodes, if an instance may have so many.
pub(super) fn checked(count: u16) -> Result<u16, OwnNodesError> {
    let (min, max) = (limits::INSTANCE_NODES_MIN, limits::INSTANCE_NODES_MAX);
    if (min..=max).contains(&count) {
        return Ok(count);
    }
    Err(OwnNodesError::Count { count, min, max })
}
