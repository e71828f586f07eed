//! Following what other nodes change: instances that come and go, their records, their topics and
//! groups, their users; and answering what they ask for inspections.
//!
//! One watch tells of all changes in order. Where it cannot (this node was away for so long that
//! the store has forgotten), everything is read again and compared with what is in memory.

use std::{collections::HashSet, sync::Arc, time::Duration};

use base::{InstanceId, stdx::with_causes};
use futures::StreamExt as _;
use store::meta::{Change, Entry, Revision};

use super::{
    InstanceRecord, Instances, OpenInstancesError, Phase, REGISTRY, Read, key, read, see::ASKED,
};

/// Time before metadata is read again when it could not be.
const PAUSE: Duration = Duration::from_secs(2);

/// What the keys of topics, groups and users begin with.
const INSIDE: &str = "instances/";

impl Instances {
    /// Takes in what other nodes change in the metadata that this one shares with them; never
    /// ends. Errors are logged: whatever cannot be taken in is tried again with all the rest.
    pub async fn follow(self: Arc<Self>) {
        let mut from = self.opened_at;
        loop {
            let mut watch = self.parts.metadata.watch("", from);
            loop {
                let taken = match watch.next().await {
                    Some(Ok(change)) => self.take(&change).await,
                    Some(Err(error)) => Err(error.into()),
                    None => break,
                };
                if let Err(error) = taken {
                    let error = with_causes(&error);
                    tracing::warn!(error, "changes of metadata not taken in, reading it again");
                    self.parts.clock.sleep(PAUSE).await;
                    break;
                }
            }
            from = loop {
                match self.read_again().await {
                    Ok(revision) => break revision,
                    Err(error) => {
                        let error = with_causes(&error);
                        tracing::warn!(error, "metadata not read again yet");
                        self.parts.clock.sleep(PAUSE).await;
                    }
                }
            };
        }
    }

    /// Compares all that the store has with what is in memory.
    async fn read_again(self: &Arc<Self>) -> Result<Revision, OpenInstancesError> {
        let (mut changes, mut revision) = (Vec::new(), None);
        for prefix in [REGISTRY, INSIDE] {
            let (entries, stands_for) = self.parts.metadata.range(prefix).await?;
            // What changed since the first one is told by the next watch.
            let from = *revision.get_or_insert(stands_for);
            let there: HashSet<&str> = entries.iter().map(|entry| entry.key.as_str()).collect();
            let known = self.known_keys(prefix);
            let gone = known
                .into_iter()
                .filter(|key| !there.contains(key.as_str()));
            let gone = gone.map(|key| Change {
                key,
                value: None,
                revision: from,
            });
            changes.extend(gone.collect::<Vec<_>>());
            changes.extend(entries.into_iter().map(changed));
        }
        for change in changes {
            self.take(&change).await?;
        }
        Ok(revision.unwrap_or_default())
    }

    fn known_keys(&self, prefix: &str) -> Vec<String> {
        if prefix == REGISTRY {
            return self.known.keys();
        }
        let instances = self.parts.router.instances().into_iter();
        instances
            .flat_map(|instance| instance.known_keys())
            .collect()
    }

    async fn take(self: &Arc<Self>, change: &Change) -> Result<(), OpenInstancesError> {
        if change.key.starts_with(ASKED) {
            self.take_asked(change);
            return Ok(());
        }
        if let Some(id) = change.key.strip_prefix(REGISTRY) {
            let Ok(id) = InstanceId::new(id) else {
                return Ok(());
            };
            return self.take_record(&id, change).await;
        }
        let id = change.key.strip_prefix(INSIDE).and_then(|inside| {
            let (id, _) = inside.split_once('/')?;
            InstanceId::new(id).ok()
        });
        // Of an instance that is not here yet all is read when it is opened.
        let instance = id.and_then(|id| self.parts.router.instance(&id).ok());
        if let Some(instance) = instance
            && let Err(error) = instance.take(change).await
        {
            // It would be as unreadable the next time.
            tracing::error!(key = change.key, error = ?error, "change of metadata left out");
        }
        Ok(())
    }

    /// Opens, changes or removes an instance here as another node has done there.
    async fn take_record(
        &self,
        id: &InstanceId,
        change: &Change,
    ) -> Result<(), OpenInstancesError> {
        let _change = self.changes.lock().await;
        let is_news = self
            .known
            .take(&change.key, change.revision, change.value.is_some());
        let found = match &change.value {
            None => None,
            Some(value) => Some(read(&Entry {
                key: key(id),
                value: value.clone(),
                revision: change.revision,
            })?),
        };
        match found {
            // Only who makes it has it by now.
            Some(found) if found.phase == Phase::Creating => {}
            Some(found) if self.is_elsewhere(&found) => {}
            Some(found) if found.phase == Phase::Running => {
                let is_open = self.parts.router.instance(id).is_ok();
                if is_news || !is_open {
                    self.take_in(found.record);
                }
                if !is_open {
                    let opened = self.open_one(id.clone()).await;
                    opened.inspect_err(|_| _ = self.records.write().remove(id))?;
                    tracing::info!(instance = %id, "instance opened that another node made");
                }
            }
            // This node is at it itself, and removes the entry at the end.
            _ if self.leaving.lock().contains(id) => {}
            _ if self.parts.router.instance(id).is_ok() => self.let_go(id).await?,
            _ => {}
        }
        Ok(())
    }

    /// Whether other nodes have the instance, and this one has nothing of it.
    fn is_elsewhere(&self, found: &Read) -> bool {
        found.phase == Phase::Running && self.parts.serves.part(&found.record).is_none()
    }

    /// Goes by a record that another node has written.
    pub(super) fn take_in(&self, record: InstanceRecord) {
        if let Ok(instance) = self.parts.router.instance(&record.id)
            && let Err(error) = instance.go_by(record.plan.as_ref(), record.status)
        {
            let (instance, error) = (&record.id, with_causes(&error));
            tracing::warn!(%instance, error, "plan of an instance not known, limits stay");
        }
        let id = record.id.clone();
        self.records.write().insert(id, Arc::new(record));
    }

    /// Removes what is here of an instance that another node deletes.
    async fn let_go(&self, id: &InstanceId) -> Result<(), OpenInstancesError> {
        if *id == InstanceId::default_instance() {
            return Ok(());
        }
        self.parts.router.remove(id);
        self.records.write().remove(id);
        self.remove_here(id).await?;
        tracing::info!(instance = %id, "instance removed that another node deleted");
        Ok(())
    }

    /// Removes what is stored here of instances that are not in the registry any more: they were
    /// deleted while this node was away.
    pub(super) async fn remove_strangers(&self) -> Result<(), OpenInstancesError> {
        if self.parts.node.is_none() {
            return Ok(());
        }
        let host = |source| OpenInstancesError::Host {
            instance: InstanceId::default_instance(),
            source,
        };
        let known = self.known.keys();
        for id in self.parts.host.stored().map_err(host)? {
            // One that is on record, if not here, was not deleted: somebody changed a setting.
            if !known.contains(&key(&id)) {
                tracing::info!(instance = %id, "removing an instance that is deleted");
                self.remove_here(&id).await?;
            }
        }
        Ok(())
    }

    async fn remove_here(&self, id: &InstanceId) -> Result<(), OpenInstancesError> {
        let removed = self.parts.host.remove(id.clone()).await;
        removed.map_err(|source| OpenInstancesError::Host {
            instance: id.clone(),
            source,
        })
    }
}

fn changed(entry: Entry) -> Change {
    Change {
        key: entry.key,
        value: Some(entry.value),
        revision: entry.revision,
    }
}
