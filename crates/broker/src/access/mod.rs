//! Access control: who may do what in an instance.
//!
//! A user proves itself with a signature (HMAC-SHA1 under its secret; what is signed is the
//! protocol's business) and may do what its policies allow. There are two kinds of those, and a
//! user may have both: entries as in RocketMQ's ACL 2.0, whose tools administer them, with its
//! names and texts, and RAM-style policies ([`RamPolicy`]). What one of them denies is denied;
//! else what one of them allows is allowed.
//!
//! | key | value |
//! | --- | --- |
//! | `instances/<id>/access/<user name>` | JSON: secret, type, status, policies (`stored.rs`) |
//! | `instances/<id>/ram/<policy name>` | RAM-style policies (`attach.rs`) |
//! | `instances/<id>/ip-whitelist` | addresses that are let in (`whitelist.rs`) |
//!
//! One entry holds all that is known of a user, so that every change is atomic and policies go with
//! their user. Secrets are kept as they are, because signatures cannot be checked with a hash of
//! them; they appear in no log and in no `Debug` output. All users are in memory, and a change
//! takes effect with the next request.

mod action;
mod attach;
mod follow;
mod planned;
mod policy;
mod ram;
mod resource;
mod source;
mod stored;
mod user;
mod whitelist;

use std::{collections::BTreeMap, sync::Arc};

use base::{InstanceId, limits};
use parking_lot::RwLock;
use store::meta::{MetadataError, MetadataStore};
use tokio::sync::watch;

pub use self::{
    action::{Action, ActionError, ActionSet},
    policy::{Decision, Policy, PolicyEntry, PolicyError, PolicyKind, Wanted},
    ram::{Origin, RamPolicy, RamPolicyError},
    resource::{Resource, ResourceError, ResourceKind},
    source::{SourceError, SourceRange},
    user::{
        ControlCall, NotAllowed, Operation, Scope, Secret, SignatureMethod, UnknownName, User,
        UserStatus, UserType,
    },
};
use self::{attach::RamPolicies, planned::Planned, whitelist::Whitelist};
use crate::known::Known;

/// Why a request's sender is not believed.
///
/// Compat: the texts are those of `DefaultAuthenticationHandler` of RocketMQ 5.5.0.
#[derive(Clone, Debug, PartialEq, Eq, thiserror::Error)]
pub enum NotAuthenticated {
    /// The request says not who sends it.
    #[error("username cannot be null.")]
    NoName,
    /// There is no such user.
    #[error("User:{user} is not found.")]
    Unknown {
        /// First characters of the name.
        user: String,
    },
    /// The user may not ask any more.
    #[error("User:{user} is disabled.")]
    Disabled {
        /// The name.
        user: String,
    },
    /// The signature is missing, or not of this request and this user.
    #[error("check signature failed.")]
    Signature,
    /// The instance does not know its users by that kind of user.
    #[error("User:{user} is of type {found}, which instance `{instance}` does not authenticate by")]
    Method {
        /// The name.
        user: String,
        /// What the user is.
        found: &'static str,
        /// The instance.
        instance: InstanceId,
    },
    /// The request bears a session token, which nothing here issues.
    #[error(
        "session token sent for user `{user}` is not known: this server issues none, expected the \
         user's own keys without a token"
    )]
    SessionToken {
        /// Whose it is said to be.
        user: String,
    },
}

/// Why users or policies are not changed.
///
/// Compat: the texts of what Apache's broker refuses too are those of RocketMQ 5.5.0, which
/// `mqadmin` shows.
#[derive(Debug, thiserror::Error)]
pub enum AccessError {
    /// No name.
    #[error("username can not be blank")]
    BlankName,
    /// A name that is too long or has control characters.
    #[error("user name `{start}...` is not 1 to {max} printable characters")]
    Name {
        /// First characters of the name.
        start: String,
        /// Most bytes of a name.
        max: usize,
    },
    /// No secret.
    #[error("password can not be blank")]
    BlankSecret,
    /// A secret that is too long.
    #[error("password of user `{user}` has {length} bytes, expected at most {max}")]
    SecretTooLong {
        /// The user.
        user: String,
        /// Length of the secret.
        length: usize,
        /// The limit.
        max: usize,
    },
    /// There is a user of that name.
    #[error("The user is existed")]
    Exists,
    /// There is no such user.
    #[error("The user is not exist")]
    NotFound,
    /// Policies for a user who is not there.
    #[error("The subject of User:{user} is not exist.")]
    SubjectNotFound {
        /// The name.
        user: String,
    },
    /// Policies of a user who is not there.
    #[error("The subject is not exist.")]
    NoSubject,
    /// The user has no policies.
    #[error("The acl is not exist.")]
    NoPolicies,
    /// The last enabled administrator would go, and nobody could ever let anyone in again.
    #[error("user `{user}` is the last enabled super user, make another one first")]
    LastSuper {
        /// The name.
        user: String,
    },
    /// A policy is wrong.
    #[error(transparent)]
    Policy(#[from] PolicyError),
    /// A RAM-style policy is wrong.
    #[error(transparent)]
    Ram(#[from] RamPolicyError),
    /// There is a RAM-style policy of that name.
    #[error("policy `{policy}` exists already")]
    RamExists {
        /// Its name.
        policy: String,
    },
    /// There is no RAM-style policy of that name.
    #[error("policy `{policy}` does not exist")]
    RamNotFound {
        /// First characters of the name.
        policy: String,
    },
    /// A RAM-style policy that somebody has.
    #[error("policy `{policy}` is attached to {users} users, `{user}` first: detach it before")]
    RamAttached {
        /// Its name.
        policy: String,
        /// How many have it.
        users: usize,
        /// The first of them.
        user: String,
    },
    /// A RAM-style policy that the user does not have.
    #[error("policy `{policy}` is not attached to user `{user}`")]
    RamNotAttached {
        /// Its name.
        policy: String,
        /// The user.
        user: String,
    },
    /// The metadata store did not take the change of the addresses that are let in.
    #[error("change addresses that are let in to instance `{instance}`")]
    WhitelistMetadata {
        /// The instance.
        instance: InstanceId,
        /// What it said.
        #[source]
        source: MetadataError,
    },
    /// The metadata store did not take the change of a policy.
    #[error("change policy `{policy}`")]
    RamMetadata {
        /// Its name.
        policy: String,
        /// What it said.
        #[source]
        source: MetadataError,
    },
    /// As many as there may be.
    #[error("there are {count} {what} already, expected at most {max}")]
    TooMany {
        /// Users, or entries of a user.
        what: &'static str,
        /// How many there are.
        count: usize,
        /// The limit.
        max: usize,
    },
    /// The metadata store did not take the change.
    #[error("change user `{user}`")]
    Metadata {
        /// The user.
        user: String,
        /// What it said.
        #[source]
        source: MetadataError,
    },
}

/// What is to be changed of a user; `None` leaves it as it is.
#[derive(Clone, Debug, Default)]
pub struct UserChange {
    /// Its secret; an empty one changes nothing.
    pub secret: Option<Secret>,
    /// What it is without policies.
    pub user_type: Option<UserType>,
    /// Whether it may ask.
    pub status: Option<UserStatus>,
    /// What somebody notes about it.
    pub remark: Option<String>,
}

/// The users of one instance. All methods may be called from any thread.
pub struct Access {
    instance: InstanceId,
    is_on: bool,
    store: Arc<dyn MetadataStore>,
    /// Locked before `ram`.
    users: RwLock<BTreeMap<String, Arc<User>>>,
    ram: RwLock<RamPolicies>,
    whitelist: Whitelist,
    /// What the plan says of who comes in.
    pub(crate) planned: Planned,
    known: Known,
    /// How often anything has changed.
    revision: watch::Sender<u64>,
    /// One change at a time.
    changes: tokio::sync::Mutex<()>,
}

impl Access {
    /// Reads the users of `instance`.
    pub(crate) async fn open(
        instance: InstanceId,
        is_on: bool,
        store: Arc<dyn MetadataStore>,
    ) -> Result<Self, MetadataError> {
        let prefix = prefix(&instance);
        let known = Known::default();
        let ram = attach::read(&instance, &*store, &known).await?;
        let whitelist = Whitelist::read(&instance, &*store, &known).await?;
        let mut users = BTreeMap::new();
        let (entries, revision) = store.range(&prefix).await?;
        known.read(&entries, revision);
        for entry in entries {
            let name = &entry.key[prefix.len()..];
            let user = stored::read(name, &entry.value, &ram);
            let user = user.map_err(|why| entry.unreadable(why))?;
            users.insert(name.to_owned(), Arc::new(user));
        }
        Ok(Self {
            instance,
            is_on,
            store,
            users: RwLock::new(users),
            ram: RwLock::new(ram),
            whitelist,
            planned: Planned::default(),
            known,
            revision: watch::Sender::new(0),
            changes: tokio::sync::Mutex::default(),
        })
    }

    /// Whether requests must be signed. Users can be made ready before they must.
    pub fn is_on(&self) -> bool {
        self.is_on
    }

    /// The user who signed `content` by [`SignatureMethod::HmacSha1`].
    ///
    /// # Errors
    /// When there is no such user, it is disabled, or it did not sign this.
    pub fn authenticate<'a>(
        &self,
        name: &str,
        content: impl IntoIterator<Item = &'a [u8]>,
        signature: &[u8],
    ) -> Result<Arc<User>, NotAuthenticated> {
        self.authenticate_by(SignatureMethod::HmacSha1, name, content, signature)
    }

    /// The user who signed `content` by `method`.
    ///
    /// # Errors
    /// When there is no such user, it is disabled, or it did not sign this.
    pub fn authenticate_by<'a>(
        &self,
        method: SignatureMethod,
        name: &str,
        content: impl IntoIterator<Item = &'a [u8]>,
        signature: &[u8],
    ) -> Result<Arc<User>, NotAuthenticated> {
        if name.is_empty() {
            return Err(NotAuthenticated::NoName);
        }
        let user = self.user(name).ok_or_else(|| NotAuthenticated::Unknown {
            user: name.chars().take(64).collect(),
        })?;
        if user.status == UserStatus::Disabled {
            let user = user.name.clone();
            return Err(NotAuthenticated::Disabled { user });
        }
        if !user.secret.signed_by(method, content, signature) {
            return Err(NotAuthenticated::Signature);
        }
        self.planned.check(&user, &self.instance)?;
        Ok(user)
    }

    /// Tells when users or policies have changed: whoever was let in and is still waiting is looked
    /// at again. What was marked as seen before a request was let in covers that request.
    pub fn watch(&self) -> watch::Receiver<u64> {
        self.revision.subscribe()
    }

    /// The user of that name.
    pub fn user(&self, name: &str) -> Option<Arc<User>> {
        self.users.read().get(name).cloned()
    }

    /// All users, by name.
    pub fn users(&self) -> Vec<Arc<User>> {
        self.users.read().values().cloned().collect()
    }

    /// Whether somebody could let others in.
    pub fn has_administrator(&self) -> bool {
        self.users.read().values().any(|user| administers(user))
    }

    /// Adds a user without policies: a normal and enabled one, where `as_what` says nothing else.
    ///
    /// # Errors
    /// When there is one of that name, a part is wrong, or the metadata store refuses.
    pub async fn create_user(&self, name: &str, as_what: UserChange) -> Result<(), AccessError> {
        check_name(name)?;
        let secret = as_what.secret.filter(|secret| !secret.text().is_empty());
        let secret = secret.ok_or(AccessError::BlankSecret)?;
        check_secret(name, &secret)?;
        let _change = self.changes.lock().await;
        if self.user(name).is_some() {
            return Err(AccessError::Exists);
        }
        let (count, max) = (self.users.read().len(), limits::ACCESS_USERS_MAX);
        if count >= max {
            let what = "users";
            return Err(AccessError::TooMany { what, count, max });
        }
        let user = User {
            name: name.to_owned(),
            secret,
            user_type: as_what.user_type.unwrap_or(UserType::Normal),
            status: as_what.status.unwrap_or(UserStatus::Enabled),
            remark: as_what.remark.unwrap_or_default(),
            policies: Vec::new(),
            ram: Vec::new(),
        };
        self.put(name, Some(user)).await
    }

    /// Changes a user.
    ///
    /// # Errors
    /// When there is none of that name, a part is wrong, or the metadata store refuses.
    pub async fn update_user(&self, name: &str, change: UserChange) -> Result<(), AccessError> {
        if name.trim().is_empty() {
            return Err(AccessError::BlankName);
        }
        let _change = self.changes.lock().await;
        let before = self.user(name).ok_or(AccessError::NotFound)?;
        let mut user = User::clone(&before);
        if let Some(secret) = change.secret.filter(|secret| !secret.text().is_empty()) {
            check_secret(name, &secret)?;
            user.secret = secret;
        }
        user.user_type = change.user_type.unwrap_or(user.user_type);
        user.status = change.status.unwrap_or(user.status);
        user.remark = change.remark.unwrap_or(user.remark);
        if administers(&before) && !administers(&user) {
            self.keep_one_administrator(name)?;
        }
        self.put(name, Some(user)).await
    }

    /// Removes a user and its policies. One who is not there is removed already.
    ///
    /// # Errors
    /// When it is the last who could let others in, or the metadata store refuses.
    pub async fn delete_user(&self, name: &str) -> Result<(), AccessError> {
        if name.trim().is_empty() {
            return Err(AccessError::BlankName);
        }
        let _change = self.changes.lock().await;
        let Some(user) = self.user(name) else {
            return Ok(());
        };
        if administers(&user) {
            self.keep_one_administrator(name)?;
        }
        self.put(name, None).await
    }

    /// Adds entries to a user's policies; an entry about a resource that is spoken of already
    /// replaces what is said.
    ///
    /// # Errors
    /// When there is no such user, nothing is said, too much is, or the metadata store refuses.
    pub async fn put_policies(&self, name: &str, policies: Vec<Policy>) -> Result<(), AccessError> {
        if policies.is_empty() {
            return Err(PolicyError::NoPolicy.into());
        }
        if policies.iter().any(|policy| policy.entries.is_empty()) {
            return Err(PolicyError::NoEntry.into());
        }
        let _change = self.changes.lock().await;
        let before = self
            .user(name)
            .ok_or_else(|| AccessError::SubjectNotFound {
                user: name.chars().take(64).collect(),
            })?;
        let mut user = User::clone(&before);
        for policy in policies {
            let known = user
                .policies
                .iter_mut()
                .find(|known| known.kind == policy.kind);
            match known {
                Some(known) => known.merge(policy.entries),
                None => user.policies.push(policy),
            }
        }
        let count: usize = user
            .policies
            .iter()
            .map(|policy| policy.entries.len())
            .sum();
        let max = limits::ACCESS_ENTRIES_PER_USER_MAX;
        if count > max {
            let what = "policy entries";
            return Err(AccessError::TooMany { what, count, max });
        }
        self.put(name, Some(user)).await
    }

    /// Removes what a policy of a user says of one resource, or all its policies.
    ///
    /// # Errors
    /// When there is no such user, it has no policies, or the metadata store refuses.
    pub async fn delete_policies(
        &self,
        name: &str,
        what: Option<(PolicyKind, Resource)>,
    ) -> Result<(), AccessError> {
        let _change = self.changes.lock().await;
        let before = self.user(name).ok_or(AccessError::NoSubject)?;
        if before.policies.is_empty() {
            return Err(AccessError::NoPolicies);
        }
        let mut user = User::clone(&before);
        match what {
            None => user.policies.clear(),
            Some((kind, resource)) => {
                for policy in &mut user.policies {
                    if policy.kind == kind {
                        policy.entries.retain(|entry| *entry.resource() != resource);
                    }
                }
                user.policies.retain(|policy| !policy.entries.is_empty());
            }
        }
        self.put(name, Some(user)).await
    }

    fn keep_one_administrator(&self, besides: &str) -> Result<(), AccessError> {
        let users = self.users.read();
        let mut others = users.values().filter(|user| user.name != besides);
        if !self.is_on || others.any(|user| administers(user)) {
            return Ok(());
        }
        Err(AccessError::LastSuper {
            user: besides.to_owned(),
        })
    }

    /// Writes a user, or removes it, first to the store and then in memory. The caller holds off
    /// other changes.
    async fn put(&self, name: &str, user: Option<User>) -> Result<(), AccessError> {
        let key = format!("{}{name}", prefix(&self.instance));
        let value = user.as_ref().map(stored::write);
        let written = self.write(&key, value).await;
        written.map_err(|source| AccessError::Metadata {
            user: name.to_owned(),
            source,
        })?;
        self.set_user(name, user);
        Ok(())
    }

    fn set_user(&self, name: &str, user: Option<User>) {
        let mut users = self.users.write();
        match user {
            Some(user) => users.insert(name.to_owned(), Arc::new(user)),
            None => users.remove(name),
        };
        drop(users);
        self.changed();
    }

    /// Tells those who wait that users or policies have changed.
    fn changed(&self) {
        self.revision
            .send_modify(|revision| *revision = revision.wrapping_add(1));
    }
}

fn prefix(instance: &InstanceId) -> String {
    format!("instances/{instance}/access/")
}

fn administers(user: &User) -> bool {
    user.is_super() && user.status == UserStatus::Enabled
}

fn check_name(name: &str) -> Result<(), AccessError> {
    if name.trim().is_empty() {
        return Err(AccessError::BlankName);
    }
    let max = limits::USER_NAME_BYTES_MAX;
    if name.len() > max || name.chars().any(|c| c.is_control() || c.is_whitespace()) {
        let start = name.chars().filter(|c| !c.is_control()).take(32).collect();
        return Err(AccessError::Name { start, max });
    }
    Ok(())
}

fn check_secret(user: &str, secret: &Secret) -> Result<(), AccessError> {
    let (length, max) = (secret.text().len(), limits::USER_SECRET_BYTES_MAX);
    if length > max {
        let user = user.to_owned();
        return Err(AccessError::SecretTooLong { user, length, max });
    }
    if secret.text().trim().is_empty() {
        return Err(AccessError::BlankSecret);
    }
    Ok(())
}

#[cfg(test)]
mod tests;
