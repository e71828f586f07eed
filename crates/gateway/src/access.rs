//! Access control as every protocol sees it: who asks, and whether the core lets them.
//!
//! What is signed, and what a request needs, is each protocol's own (`remoting/access`,
//! `grpc_v2/access.rs`).

use std::{net::IpAddr, sync::Arc};

use broker::{
    Instance,
    access::{ActionSet, NotAllowed, NotAuthenticated, ResourceKind, User, Wanted},
};

use crate::front::{CLUSTER_NAME, ConnectionInfo, Front};

/// What stands before the group in the name of its retry topic.
const RETRY_PREFIX: &str = "%RETRY%";

/// Why a request is refused before it is looked at.
#[derive(Clone, Debug, PartialEq, Eq, thiserror::Error)]
pub(crate) enum AccessDenied {
    /// Nobody knows who sent it.
    #[error(transparent)]
    NotAuthenticated(#[from] NotAuthenticated),
    /// Its sender may not do this.
    #[error(transparent)]
    NotAllowed(#[from] NotAllowed),
}

/// Whether requests of a connection need credentials, as far as can be told before the instance is
/// known.
pub(crate) fn is_guarded(front: &Front, connection: &ConnectionInfo) -> bool {
    !connection.trusted && front.router.has_access_control()
}

/// Who sent a request, and from where.
pub(crate) struct Caller {
    user: Arc<User>,
    source: IpAddr,
}

impl Caller {
    /// The sender of what `name` is said to have signed; `None` where `instance` has no access
    /// control.
    pub(crate) fn of<'a>(
        instance: &Instance,
        connection: &ConnectionInfo,
        name: &str,
        content: impl IntoIterator<Item = &'a [u8]>,
        signature: &[u8],
    ) -> Result<Option<Self>, NotAuthenticated> {
        let access = instance.access();
        if !access.is_on() {
            return Ok(None);
        }
        let user = access.authenticate(name, content, signature)?;
        let source = connection.peer.ip();
        Ok(Some(Self { user, source }))
    }

    /// The sender of a request that was let in, looked up again.
    pub(crate) fn known(user: Arc<User>, connection: &ConnectionInfo) -> Self {
        let source = connection.peer.ip();
        Self { user, source }
    }

    /// Checks that it may do one of the actions to a thing of that kind.
    pub(crate) fn may(&self, wanted: Wanted<'_>) -> Result<(), NotAllowed> {
        self.user.may(&wanted, self.source)
    }

    /// Checks that it may do one of the actions to a topic. A retry topic stands for its group.
    pub(crate) fn may_topic(&self, wanted: Wanted<'_>) -> Result<(), NotAllowed> {
        match wanted.name.strip_prefix(RETRY_PREFIX) {
            None => self.may(wanted),
            Some(group) => self.may(Wanted {
                kind: ResourceKind::Group,
                name: group,
                ..wanted
            }),
        }
    }

    /// Checks that it may do one of the actions to a topic, having shown that it may to `group`.
    ///
    /// That covers the group's own retry topic. Apache's pop consumers have one per topic, named
    /// `%RETRY%group_topic` or `%RETRY%group+topic`, for which the topic decides.
    pub(crate) fn may_topic_of(&self, group: &str, wanted: Wanted<'_>) -> Result<(), NotAllowed> {
        let retried = wanted.name.strip_prefix(RETRY_PREFIX);
        match retried.and_then(|rest| rest.strip_prefix(group)) {
            Some("") if !group.is_empty() => Ok(()),
            Some(rest) if rest.len() > 1 && rest.starts_with(['_', '+']) => self.may(Wanted {
                kind: ResourceKind::Topic,
                name: &rest[1..],
                ..wanted
            }),
            _ => self.may_topic(wanted),
        }
    }

    /// Checks that it may do one of the actions to the server as a whole.
    pub(crate) fn may_cluster(&self, any_of: ActionSet) -> Result<(), NotAllowed> {
        self.may(Wanted {
            kind: ResourceKind::Cluster,
            name: CLUSTER_NAME,
            any_of,
        })
    }
}
