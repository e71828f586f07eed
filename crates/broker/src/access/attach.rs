//! The RAM-style policies of an instance, and the users to whom they are attached.
//!
//! | key | value |
//! | --- | --- |
//! | `instances/<id>/ram/<policy name>` | JSON: document |
//!
//! Which policies a user has is kept with the user. A user in memory holds the policies themselves,
//! so that a request looks at what belongs together.

use std::{collections::BTreeMap, sync::Arc};

use base::{InstanceId, limits};
use serde::{Deserialize, Serialize};
use store::meta::{Entry, MetadataError, MetadataStore};

use super::{Access, AccessError, RamPolicy, RamPolicyError, User};
use crate::known::Known;

/// All policies by name.
pub(super) type RamPolicies = BTreeMap<String, Arc<RamPolicy>>;

#[derive(Serialize, Deserialize)]
struct StoredPolicy {
    document: String,
}

pub(super) fn prefix(instance: &InstanceId) -> String {
    format!("instances/{instance}/ram/")
}

/// Reads the policies of an instance; those of the system are always there.
pub(super) async fn read(
    instance: &InstanceId,
    store: &dyn MetadataStore,
    known: &Known,
) -> Result<RamPolicies, MetadataError> {
    let prefix = prefix(instance);
    let system = RamPolicy::system().map(|policy| (policy.name().to_owned(), Arc::new(policy)));
    let mut policies: RamPolicies = system.collect();
    let (entries, revision) = store.range(&prefix).await?;
    known.read(&entries, revision);
    for entry in entries {
        let name = &entry.key[prefix.len()..];
        let policy = read_one(name, &entry)?;
        policies.insert(name.to_owned(), Arc::new(policy));
    }
    Ok(policies)
}

/// The policy of that name.
pub(super) fn read_one(name: &str, entry: &Entry) -> Result<RamPolicy, MetadataError> {
    let stored: StoredPolicy =
        serde_json::from_slice(&entry.value).map_err(|error| entry.unreadable(error))?;
    RamPolicy::new(name, &stored.document).map_err(|error| entry.unreadable(error))
}

impl Access {
    /// The policy of that name.
    pub fn ram_policy(&self, name: &str) -> Option<Arc<RamPolicy>> {
        self.ram.read().get(name).cloned()
    }

    /// All policies, by name; those of the system too.
    pub fn ram_policies(&self) -> Vec<Arc<RamPolicy>> {
        self.ram.read().values().cloned().collect()
    }

    /// Users who have that policy, by name.
    pub fn users_with(&self, policy: &str) -> Vec<Arc<User>> {
        let users = self.users.read();
        let having = users.values().filter(|user| user.has(policy));
        having.cloned().collect()
    }

    /// Adds a policy that nobody has yet.
    ///
    /// # Errors
    /// When there is one of that name, name or document are wrong, or the metadata store refuses.
    pub async fn create_ram_policy(&self, name: &str, document: &str) -> Result<(), AccessError> {
        let policy = RamPolicy::new(name, document)?;
        let _change = self.changes.lock().await;
        if self.ram_policy(name).is_some() {
            let policy = name.to_owned();
            return Err(AccessError::RamExists { policy });
        }
        let (count, max) = (self.ram.read().len(), limits::RAM_POLICIES_MAX);
        if count >= max {
            let what = "policies";
            return Err(AccessError::TooMany { what, count, max });
        }
        self.put_ram(name, Some(policy)).await
    }

    /// Changes what a policy says, for all who have it.
    ///
    /// # Errors
    /// When there is none of that name, it is the system's, the document is wrong, or the metadata
    /// store refuses.
    pub async fn update_ram_policy(&self, name: &str, document: &str) -> Result<(), AccessError> {
        let policy = RamPolicy::new(name, document)?;
        let _change = self.changes.lock().await;
        self.known_policy(name)?;
        self.put_ram(name, Some(policy)).await
    }

    /// Removes a policy.
    ///
    /// # Errors
    /// When there is none of that name, it is the system's, somebody has it, or the metadata store
    /// refuses.
    pub async fn delete_ram_policy(&self, name: &str) -> Result<(), AccessError> {
        let _change = self.changes.lock().await;
        if self.known_policy(name)?.is_system() {
            let policy = name.to_owned();
            return Err(RamPolicyError::System { policy }.into());
        }
        let having = self.users_with(name);
        if let Some(user) = having.first() {
            return Err(AccessError::RamAttached {
                policy: name.to_owned(),
                users: having.len(),
                user: user.name().to_owned(),
            });
        }
        self.put_ram(name, None).await
    }

    /// Gives a policy to a user. Once more changes nothing.
    ///
    /// # Errors
    /// When there is no such policy or user, the user has too many, or the metadata store refuses.
    pub async fn attach(&self, policy: &str, user: &str) -> Result<(), AccessError> {
        let _change = self.changes.lock().await;
        let known = self.known_policy(policy)?;
        let before = self.user(user).ok_or(AccessError::NotFound)?;
        if before.has(policy) {
            return Ok(());
        }
        let mut changed = User::clone(&before);
        let (count, max) = (changed.ram.len(), limits::RAM_POLICIES_PER_USER_MAX);
        if count >= max {
            let what = "policies attached to the user";
            return Err(AccessError::TooMany { what, count, max });
        }
        changed.ram.push(known);
        self.put(user, Some(changed)).await
    }

    /// Takes a policy from a user. Once this has returned, no request is allowed by it.
    ///
    /// # Errors
    /// When there is no such policy or user, the user does not have it, or the metadata store
    /// refuses.
    pub async fn detach(&self, policy: &str, user: &str) -> Result<(), AccessError> {
        let _change = self.changes.lock().await;
        self.known_policy(policy)?;
        let before = self.user(user).ok_or(AccessError::NotFound)?;
        if !before.has(policy) {
            return Err(AccessError::RamNotAttached {
                policy: policy.to_owned(),
                user: user.to_owned(),
            });
        }
        let mut changed = User::clone(&before);
        changed.ram.retain(|known| known.name() != policy);
        self.put(user, Some(changed)).await
    }

    fn known_policy(&self, name: &str) -> Result<Arc<RamPolicy>, AccessError> {
        self.ram_policy(name)
            .ok_or_else(|| AccessError::RamNotFound {
                policy: name.chars().take(64).collect(),
            })
    }

    /// Writes a policy, or removes it, first to the store and then in memory, with all users who
    /// have it at once. The caller holds off other changes.
    async fn put_ram(&self, name: &str, policy: Option<RamPolicy>) -> Result<(), AccessError> {
        let key = format!("{}{name}", prefix(&self.instance));
        let value = policy.as_ref().map(|policy| {
            let document = policy.document().to_owned();
            serde_json::to_vec(&StoredPolicy { document }).expect("plain data becomes JSON")
        });
        let written = self.write(&key, value).await;
        written.map_err(|source| AccessError::RamMetadata {
            policy: name.to_owned(),
            source,
        })?;
        self.set_ram(name, policy);
        Ok(())
    }

    pub(super) fn set_ram(&self, name: &str, policy: Option<RamPolicy>) {
        let mut users = self.users.write();
        let mut policies = self.ram.write();
        match policy.map(Arc::new) {
            Some(policy) => {
                for user in users.values_mut().filter(|user| user.has(name)) {
                    let user = Arc::make_mut(user);
                    let mut known = user.ram.iter_mut();
                    if let Some(known) = known.find(|known| known.name() == name) {
                        *known = policy.clone();
                    }
                }
                policies.insert(name.to_owned(), policy)
            }
            None => policies.remove(name),
        };
        drop((users, policies));
        self.changed();
    }
}
