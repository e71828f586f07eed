//! Users, policies and addresses that other nodes change.

use store::meta::{Change, Entry, MetadataError};

use super::{Access, attach, prefix, stored, whitelist};

impl Access {
    /// Writes an entry. Where another node has changed it meanwhile, this fails, and the next
    /// attempt is decided on what that one made.
    pub(super) async fn write(
        &self,
        key: &str,
        value: Option<Vec<u8>>,
    ) -> Result<(), MetadataError> {
        let put = self.known.put(&*self.store, key, value).await;
        if let Err(MetadataError::Conflict { .. }) = &put {
            let (entries, revision) = self.store.range(key).await?;
            let entry = entries.into_iter().find(|entry| entry.key == key);
            self.take_held(&Change {
                key: key.to_owned(),
                revision: entry.as_ref().map_or(revision, |entry| entry.revision),
                value: entry.map(|entry| entry.value),
            })?;
        }
        put
    }

    /// Takes in a change of a user or a policy that another node made.
    pub(crate) async fn take(&self, change: &Change) -> Result<(), MetadataError> {
        let _change = self.changes.lock().await;
        self.take_held(change)
    }

    /// The same; the caller holds off other changes.
    fn take_held(&self, change: &Change) -> Result<(), MetadataError> {
        let user = change.key.strip_prefix(&prefix(&self.instance));
        let policy = change.key.strip_prefix(&attach::prefix(&self.instance));
        let is_whitelist = change.key == whitelist::key(&self.instance);
        if user.is_none() && policy.is_none() && !is_whitelist {
            return Ok(());
        }
        let is_there = change.value.is_some();
        if !self.known.take(&change.key, change.revision, is_there) {
            return Ok(());
        }
        let entry = change.value.as_ref().map(|value| Entry {
            key: change.key.clone(),
            value: value.clone(),
            revision: change.revision,
        });
        if is_whitelist {
            let sources = entry.as_ref().map(whitelist::sources);
            self.set_whitelist_here(sources.transpose()?.unwrap_or_default());
        } else if let Some(name) = policy {
            let policy = entry.map(|entry| attach::read_one(name, &entry));
            self.set_ram(name, policy.transpose()?);
        } else if let Some(name) = user {
            let user = entry.map(|entry| {
                let read = stored::read(name, &entry.value, &self.ram.read());
                read.map_err(|why| entry.unreadable(why))
            });
            match user.transpose() {
                Ok(user) => self.set_user(name, user),
                Err(error) => {
                    // Whom nobody can read may do nothing.
                    self.set_user(name, None);
                    return Err(error);
                }
            }
        }
        Ok(())
    }

    /// Keys of all entries in memory.
    pub(crate) fn known_keys(&self) -> Vec<String> {
        self.known.keys()
    }
}
