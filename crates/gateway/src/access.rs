//! Access control as every protocol sees it: who asks, and whether the core lets them.
//!
//! What is signed, and what a request needs, is each protocol's own (`remoting/access`,
//! `grpc_v2/access.rs`).

use std::{pin::pin, sync::Arc, time::Duration};

use broker::{
    Instance, Series,
    access::{
        Access, Action, ActionSet, NotAllowed, NotAuthenticated, Origin, ResourceKind, Scope, User,
        Wanted,
    },
};
use tokio::{select, sync::watch};

use crate::{
    front::{CLUSTER_NAME, ConnectionInfo, Front},
    instance::prefixed,
};

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

/// Where and when a request comes from, as conditions of policies see it.
pub(crate) fn origin(front: &Front, connection: &ConnectionInfo) -> Origin {
    Origin {
        source: connection.peer.ip(),
        secure: connection.tls,
        at: front.clock.now(),
    }
}

/// Calls `found` with the users among which `name` is to be looked for by who asks for `instance`,
/// and where they are if they are not its own. Whom it does not know itself may be a user of the
/// default instance: that holds the users of the account, who get into other instances by RAM-style
/// policies.
fn among<T>(
    front: &Front,
    instance: &Instance,
    name: &str,
    found: impl FnOnce(&Access, Option<Arc<Instance>>) -> T,
) -> T {
    let own = instance.access();
    if own.user(name).is_some() {
        return found(own, None);
    }
    match front.account() {
        Ok(account) if account.id() != instance.id() => {
            found(account.access(), Some(Arc::clone(&account)))
        }
        _ => found(own, None),
    }
}

/// Who sent a request, and from where.
pub(crate) struct Caller<'a> {
    user: Arc<User>,
    instance: &'a Instance,
    /// Where its users are looked for, of an instance that does not know the sender itself.
    home: Option<Arc<Instance>>,
    origin: Origin,
}

impl<'a> Caller<'a> {
    /// The sender of what `name` is said to have signed; `None` where `instance` has no access
    /// control.
    pub(crate) fn of<'c>(
        (front, connection): (&Front, &ConnectionInfo),
        instance: &'a Instance,
        name: &str,
        content: impl IntoIterator<Item = &'c [u8]>,
        signature: &[u8],
    ) -> Result<Option<Self>, NotAuthenticated> {
        if !instance.access().is_on() {
            return Ok(None);
        }
        among(front, instance, name, |access, home| {
            Ok(Some(Self {
                user: access.authenticate(name, content, signature)?,
                instance,
                home,
                origin: origin(front, connection),
            }))
        })
    }

    /// The sender of a request that was let in, looked up again by name.
    pub(crate) fn known(
        (front, connection): (&Front, &ConnectionInfo),
        instance: &'a Instance,
        name: &str,
    ) -> Option<Self> {
        among(front, instance, name, |access, home| {
            Some(Self {
                user: access.user(name)?,
                instance,
                home,
                origin: origin(front, connection),
            })
        })
    }

    /// Whether it may do everything.
    pub(crate) fn is_super(&self) -> bool {
        self.user.is_super()
    }

    /// Whether it belongs to another tenant: the instance has no such user, and nothing lets it in.
    pub(crate) fn is_stranger(&self) -> bool {
        let scope = scope(self.instance, self.home.is_none());
        !self.user.may_enter(&scope, &self.origin)
    }

    /// Checks that it may do one of the actions to a thing of that kind.
    pub(crate) fn may(&self, wanted: Wanted<'_>) -> Result<(), NotAllowed> {
        let scope = scope(self.instance, self.home.is_none());
        let allowed = self.user.may(&wanted, &scope, &self.origin);
        allowed.map_err(|error| self.as_if_missing(wanted).unwrap_or(error))
    }

    /// What a stranger is told: the same as if the instance were not there and its id a part of the
    /// name. Nobody finds out by asking which instances there are.
    fn as_if_missing(&self, wanted: Wanted<'_>) -> Option<NotAllowed> {
        let home = self.home.as_deref()?;
        if !self.is_stranger() {
            return None;
        }
        let is_name = matches!(wanted.kind, ResourceKind::Topic | ResourceKind::Group);
        let name = match wanted.name {
            "*" => "*".to_owned(),
            name if is_name => prefixed(self.instance.id(), name),
            name => name.to_owned(),
        };
        let wanted = Wanted {
            name: &name,
            ..wanted
        };
        let allowed = self.user.may(&wanted, &scope(home, true), &self.origin);
        allowed.err()
    }

    /// Checks that it is no stranger, for requests that need nothing else.
    pub(crate) fn may_enter(&self) -> Result<(), NotAllowed> {
        if !self.is_stranger() {
            return Ok(());
        }
        self.may(Wanted {
            kind: ResourceKind::Topic,
            name: "*",
            any_of: ActionSet::of(&[Action::Get]),
        })
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

/// What decides about an instance, for one of its own users or for another.
fn scope(instance: &Instance, is_own: bool) -> Scope<'_> {
    Scope {
        instance: instance.id(),
        is_own,
        by_ram: instance.settings().series != Series::V5,
    }
}

/// A long poll that took this long is looked at again before its answer is given, because a policy
/// may have ended meanwhile.
const LOOKED_AT_AGAIN_AFTER: Duration = Duration::from_secs(1);

/// Does work of a request to `instance` that may wait, as long as its sender may ask it: `check`
/// says whether. That is asked whenever users or policies change, and again before an answer that
/// such a change might forbid: once a permission has been taken back, nothing is handed out by it.
pub(crate) async fn while_allowed<T, E>(
    front: &Front,
    instance: &Instance,
    check: impl Fn() -> Result<(), E>,
    work: impl Future<Output = Result<T, E>>,
) -> Result<T, E> {
    let account = front.account().ok();
    let mut changes = instance.access().watch();
    let mut account_changes = account
        .as_ref()
        .filter(|account| account.id() != instance.id())
        .map(|account| account.access().watch());
    // For what has changed since it was let in.
    check()?;
    let began = front.clock.elapsed();
    let mut work = pin!(work);
    loop {
        select! {
            biased;
            answer = &mut work => {
                let is_changed = |changes: &watch::Receiver<u64>| {
                    changes.has_changed().unwrap_or(true)
                };
                let took = front.clock.elapsed().saturating_sub(began);
                if is_changed(&changes)
                    || account_changes.as_ref().is_some_and(is_changed)
                    || took >= LOOKED_AT_AGAIN_AFTER
                {
                    check()?;
                }
                return answer;
            }
            () = next(Some(&mut changes)) => {}
            () = next(account_changes.as_mut()) => {}
        }
        check()?;
    }
}

/// The next change; never, where there is nothing to wait for.
async fn next(changes: Option<&mut watch::Receiver<u64>>) {
    if let Some(changes) = changes
        && changes.changed().await.is_ok()
    {
        return;
    }
    std::future::pending().await
}

#[cfg(test)]
mod tests {
    use std::sync::atomic::{AtomicUsize, Ordering};

    use base::InstanceId;
    use broker::{
        InstanceSettings, Router,
        access::{Secret, UserChange},
    };
    use store::{fs::FolderDisk, meta::EmbeddedMetadata};

    use super::*;
    use crate::{front::FrontSettings, test_clock::StoppedClock};

    #[tokio::test]
    async fn an_answer_that_is_ready_is_withheld_if_it_is_not_allowed_any_more() {
        let folder = tempfile::tempdir().unwrap();
        let clock = Arc::new(StoppedClock);
        let disk = FolderDisk::open(folder.path()).unwrap();
        let metadata = EmbeddedMetadata::open(disk, clock.clone()).unwrap();
        let id = InstanceId::default_instance();
        let instance = Instance::open(id, InstanceSettings::default(), metadata, clock.clone());
        let instance = instance.await.unwrap();
        let router = Arc::new(Router::default());
        router.add(instance.clone());
        let front = Front::new(router, clock, FrontSettings::default());
        let access = instance.access();
        let alice = UserChange {
            secret: Some(Secret::new("s")),
            ..UserChange::default()
        };
        access.create_user("alice", alice).await.unwrap();
        access.attach("AliyunMQFullAccess", "alice").await.unwrap();
        let checks = AtomicUsize::new(0);
        let check = || {
            checks.fetch_add(1, Ordering::Relaxed);
            let user = access.user("alice").unwrap();
            let has_any = !user.ram_policies().is_empty();
            has_any.then_some(()).ok_or("refused")
        };
        let asked = || while_allowed(&front, &instance, check, async { Ok("message") });
        assert_eq!(asked().await, Ok("message"));
        assert_eq!(checks.load(Ordering::Relaxed), 1);
        // The permission goes in the very step in which the answer comes.
        let late = while_allowed(&front, &instance, check, async {
            access.detach("AliyunMQFullAccess", "alice").await.unwrap();
            Ok("message")
        });
        assert_eq!(late.await, Err("refused"));
        assert_eq!(asked().await, Err("refused"));
        // Who only waits is refused too.
        access.attach("AliyunMQFullAccess", "alice").await.unwrap();
        let waiting = while_allowed(
            &front,
            &instance,
            check,
            std::future::pending::<Result<(), _>>(),
        );
        let (refused, detached) =
            tokio::join!(waiting, access.detach("AliyunMQFullAccess", "alice"));
        detached.unwrap();
        assert_eq!(refused, Err("refused"));
    }
}
