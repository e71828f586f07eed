//! The updates of all instances, kept in the metadata store.
//!
//! | key | value |
//! | --- | --- |
//! | `control/instances/<instance>` | JSON of [`UpdateRecord`] |
//!
//! All of an instance is one value, so that each step of its state machine is one compare-and-set:
//! there is no moment between the end of a task and the beginning of the next.

use std::{collections::BTreeMap, sync::Arc};

use base::{Clock, InstanceId, Timestamp, limits::METADATA_ATTEMPTS_MAX};
use parking_lot::RwLock;
use store::meta::{Expected, MetadataError, MetadataStore, Revision};

use super::{Due, Operation, Permit, Task, UpdateError, UpdateInProgress, UpdateRecord};
use crate::{Release, Version, Window, Zone, stored};

const PREFIX: &str = "control/instances/";

/// The record of an instance as this process knows it.
#[derive(Clone)]
struct Held {
    record: Arc<UpdateRecord>,
    revision: Revision,
    /// Read by those who change the instance, written while an update begins.
    gate: Arc<tokio::sync::RwLock<()>>,
}

/// The updates of all instances. One process at a time has them; all methods may be called from any
/// of its threads.
pub struct Updates {
    metadata: Arc<dyn MetadataStore>,
    clock: Arc<dyn Clock>,
    held: RwLock<BTreeMap<InstanceId, Held>>,
    newest: RwLock<Option<Version>>,
    /// One change at a time.
    changes: tokio::sync::Mutex<()>,
}

impl Updates {
    /// Reads all records, and makes the tasks for `newest`, the newest release, that a crash in the
    /// middle of its announcement has left out.
    pub async fn open(
        metadata: Arc<dyn MetadataStore>,
        clock: Arc<dyn Clock>,
        newest: Option<&Release>,
    ) -> Result<Self, UpdateError> {
        let mut held = BTreeMap::new();
        for entry in metadata.range(PREFIX).await?.0 {
            let record: UpdateRecord = stored::read(&entry)?;
            let instance = record.instance.clone();
            held.insert(instance, Held::new(record, entry.revision));
        }
        let updates = Self {
            metadata,
            clock,
            held: RwLock::new(held),
            newest: RwLock::default(),
            changes: tokio::sync::Mutex::default(),
        };
        if let Some(newest) = newest {
            updates.announce(newest).await?;
        }
        Ok(updates)
    }

    /// Takes an instance on record that now runs `record.version`. Makes its task if it is behind.
    pub async fn register(&self, mut record: UpdateRecord) -> Result<(), UpdateError> {
        let _one = self.changes.lock().await;
        let instance = record.instance.clone();
        if self.held.read().contains_key(&instance) {
            return Err(UpdateError::AlreadyRegistered { instance });
        }
        let now = self.clock.now();
        record.registered_at = now;
        if let Some(newest) = *self.newest.read() {
            record.announce(newest, now);
        }
        let written = self.write(&record, Expected::Absent).await;
        let revision = match written {
            Err(MetadataError::Conflict { .. }) => {
                // An earlier attempt got through without our hearing of it.
                self.reload(&instance).await?;
                return Err(UpdateError::AlreadyRegistered { instance });
            }
            written => written?,
        };
        self.held
            .write()
            .insert(instance, Held::new(record, revision));
        Ok(())
    }

    /// Forgets an instance that was deleted. Refused while it is updated.
    pub async fn remove(&self, instance: &InstanceId) -> Result<(), UpdateError> {
        let _one = self.changes.lock().await;
        let held = self.get(instance)?;
        check(&held.record, Operation::DeleteInstance)?;
        let expected = Expected::At(held.revision);
        let removed = self
            .metadata
            .compare_and_set(&key(instance), expected, None, None)
            .await;
        if let Err(MetadataError::Conflict { .. }) = &removed {
            self.reload(instance).await?;
        }
        removed?;
        self.held.write().remove(instance);
        Ok(())
    }

    /// Makes or changes the task of every instance that is behind `release`. Can be repeated.
    /// Returns the instances whose tasks it made or changed.
    pub async fn announce(&self, release: &Release) -> Result<Vec<InstanceId>, UpdateError> {
        {
            let mut newest = self.newest.write();
            *newest = (*newest).max(Some(release.version));
        }
        let mut changed = Vec::new();
        for record in self.list() {
            let instance = &record.instance;
            let announced = self.change(instance, |record| {
                let at = release.announced_at.max(record.registered_at);
                Ok(record.announce(release.version, at))
            });
            match announced.await {
                Ok(true) => changed.push(instance.clone()),
                // One that was removed meanwhile needs no task.
                Ok(false) | Err(UpdateError::NotFound { .. }) => {}
                Err(error) => return Err(error),
            }
        }
        Ok(changed)
    }

    /// All instances, by id.
    pub fn list(&self) -> Vec<Arc<UpdateRecord>> {
        let held = self.held.read();
        held.values().map(|held| Arc::clone(&held.record)).collect()
    }

    /// Version, window and tasks of an instance.
    pub fn describe(&self, instance: &InstanceId) -> Result<Arc<UpdateRecord>, UpdateError> {
        Ok(self.get(instance)?.record)
    }

    /// See [`UpdateRecord::reschedule`].
    pub async fn reschedule(
        &self,
        instance: &InstanceId,
        to: Timestamp,
    ) -> Result<Task, UpdateError> {
        self.change_task(instance, |record| record.reschedule(to, self.clock.now()))
            .await
    }

    /// See [`UpdateRecord::cancel`].
    pub fn cancel(&self, instance: &InstanceId) -> Result<(), UpdateError> {
        self.get(instance)?.record.cancel()
    }

    /// See [`UpdateRecord::set_window`].
    pub async fn set_window(
        &self,
        instance: &InstanceId,
        window: Option<Window>,
        zone: Option<Zone>,
    ) -> Result<(), UpdateError> {
        self.change(instance, |record| record.set_window(window, zone.clone()))
            .await
    }

    /// Instances whose task is to begin now.
    pub fn due(&self) -> Vec<InstanceId> {
        let now = self.clock.now();
        let pending = self.pending();
        let due = pending.filter(|(_, task)| task.due(now) == Due::Now);
        due.map(|(instance, _)| instance).collect()
    }

    /// Instances whose task is running, perhaps since before a restart.
    pub fn running(&self) -> Vec<InstanceId> {
        let records = self.list().into_iter();
        let running = records.filter(|record| record.running().is_some());
        running.map(|record| record.instance.clone()).collect()
    }

    /// When the next task is to begin.
    pub fn next_due(&self) -> Option<Timestamp> {
        let now = self.clock.now();
        let pending = self.pending();
        let due = pending.map(|(_, task)| match task.due(now) {
            Due::Now => now,
            Due::At(at) => at,
        });
        due.min()
    }

    fn pending(&self) -> impl Iterator<Item = (InstanceId, Task)> {
        let records = self.list().into_iter();
        records.filter_map(|record| match (&record.open, record.running()) {
            (Some(task), None) => Some((record.instance.clone(), task.clone())),
            _ => None,
        })
    }

    /// Begins the due task of an instance, unless somebody is changing the instance just now.
    /// `locked` is waited for before the task runs, and only if it is to: once somebody sees that
    /// it runs, what an update blocks is blocked everywhere.
    pub async fn start(
        &self,
        instance: &InstanceId,
        locked: impl Future<Output = ()>,
    ) -> Result<Task, UpdateError> {
        let gate = self.get(instance)?.gate;
        let _closed = gate.try_write().map_err(|_| UpdateError::Busy {
            instance: instance.clone(),
        })?;
        self.change(instance, |record| record.clone().start(self.clock.now()))
            .await?;
        locked.await;
        self.change_task(instance, |record| record.start(self.clock.now()))
            .await
    }

    /// Ends the running task of an instance that runs its target now.
    pub async fn succeed(&self, instance: &InstanceId) -> Result<(), UpdateError> {
        self.change(instance, |record| {
            let newest = self.newest.read().unwrap_or(record.version);
            record.succeed(newest, self.clock.now())
        })
        .await
    }

    /// Ends the running task of an instance that runs what it ran before.
    pub async fn fail(&self, instance: &InstanceId, reason: &str) -> Result<(), UpdateError> {
        self.change(instance, |record| {
            let newest = self.newest.read().unwrap_or(record.version);
            record.fail(reason, newest, self.clock.now())
        })
        .await
    }

    /// Whether `operation` may be carried out now. Those that no update blocks always may, as may
    /// all on instances that are not on record.
    pub async fn permit(
        &self,
        instance: &InstanceId,
        operation: Operation,
    ) -> Result<Permit, UpdateInProgress> {
        let open = Permit { _gate: None };
        if !operation.is_blocked_by_update() {
            return Ok(open);
        }
        let Ok(held) = self.get(instance) else {
            return Ok(open);
        };
        let gate = held.gate.read_owned().await;
        // Again: an update may have begun while we waited.
        if let Ok(held) = self.get(instance) {
            check(&held.record, operation)?;
        }
        Ok(Permit { _gate: Some(gate) })
    }

    fn get(&self, instance: &InstanceId) -> Result<Held, UpdateError> {
        let held = self.held.read().get(instance).cloned();
        held.ok_or_else(|| UpdateError::NotFound {
            instance: instance.clone(),
        })
    }

    /// A change after which there is an open task, which it returns.
    async fn change_task(
        &self,
        instance: &InstanceId,
        decide: impl Fn(&mut UpdateRecord) -> Result<(), UpdateError>,
    ) -> Result<Task, UpdateError> {
        self.change(instance, |record| {
            decide(record)?;
            let task = record.open.clone();
            task.ok_or_else(|| UpdateError::NoTask {
                instance: instance.clone(),
            })
        })
        .await
    }

    /// Decides on what is stored and stores the outcome; anew if somebody else was faster.
    async fn change<T>(
        &self,
        instance: &InstanceId,
        decide: impl Fn(&mut UpdateRecord) -> Result<T, UpdateError>,
    ) -> Result<T, UpdateError> {
        let _one = self.changes.lock().await;
        let mut attempt = 1;
        loop {
            let held = self.get(instance)?;
            let mut record = (*held.record).clone();
            let outcome = match decide(&mut record) {
                Ok(outcome) => outcome,
                Err(refusal) => {
                    // What we know may be old: refuse only what the store's record refuses.
                    self.reload(instance).await?;
                    let known = self.get(instance)?.revision;
                    if known == held.revision || attempt >= METADATA_ATTEMPTS_MAX {
                        return Err(refusal);
                    }
                    attempt += 1;
                    continue;
                }
            };
            if record == *held.record {
                return Ok(outcome);
            }
            match self.write(&record, Expected::At(held.revision)).await {
                Ok(revision) => {
                    self.hold(record, revision);
                    return Ok(outcome);
                }
                Err(MetadataError::Conflict { .. }) if attempt < METADATA_ATTEMPTS_MAX => {
                    attempt += 1;
                    self.reload(instance).await?;
                }
                Err(error) => return Err(error.into()),
            }
        }
    }

    async fn write(
        &self,
        record: &UpdateRecord,
        expected: Expected,
    ) -> Result<Revision, MetadataError> {
        let value = Some(stored::write(record)?);
        let key = key(&record.instance);
        self.metadata
            .compare_and_set(&key, expected, value, None)
            .await
    }

    async fn reload(&self, instance: &InstanceId) -> Result<(), MetadataError> {
        match self.metadata.get(&key(instance)).await? {
            Some(entry) => self.hold(stored::read(&entry)?, entry.revision),
            None => _ = self.held.write().remove(instance),
        }
        Ok(())
    }

    /// Replaces what is known of an instance, whose gate stays the same.
    fn hold(&self, record: UpdateRecord, revision: Revision) {
        let mut held = self.held.write();
        let instance = record.instance.clone();
        let new = Held::new(record, revision);
        let gate = held.get(&instance).map(|known| Arc::clone(&known.gate));
        let gate = gate.unwrap_or_else(|| Arc::clone(&new.gate));
        held.insert(instance, Held { gate, ..new });
    }
}

impl Held {
    fn new(record: UpdateRecord, revision: Revision) -> Self {
        Self {
            record: Arc::new(record),
            revision,
            gate: Arc::default(),
        }
    }
}

fn key(instance: &InstanceId) -> String {
    format!("{PREFIX}{instance}")
}

fn check(record: &UpdateRecord, operation: Operation) -> Result<(), UpdateInProgress> {
    let running = record
        .running()
        .filter(|_| operation.is_blocked_by_update());
    running.map_or(Ok(()), |task| {
        Err(UpdateInProgress {
            instance: record.instance.clone(),
            task: task.number,
            target: task.target,
            operation,
        })
    })
}
