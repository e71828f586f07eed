//! The metadata store of a single machine: all entries in memory, every change durable before it
//! shows.
//!
//! On disk it is a [`LocalLog`](crate::log::local::LocalLog) of its own, see `journal.rs`: the one
//! way to be crash-safe that this crate has. Leases do not outlive the process: on one machine it
//! is their only possible holder.

mod journal;
mod watch;

use std::{
    collections::{BTreeMap, HashMap},
    sync::Arc,
    time::Duration,
};

use base::{Clock, limits};
use bytes::Bytes;
use futures::{FutureExt as _, future::BoxFuture};
use parking_lot::{Mutex, RwLock};

use self::{journal::Journal, watch::Watchers};
use super::{Change, Entry, Expected, LeaseId, MetadataError, MetadataStore, Revision, Watch};
use crate::disk::Disk;

/// Metadata on a disk of this machine.
pub struct EmbeddedMetadata {
    inner: Arc<Inner>,
}

struct Inner {
    clock: Arc<dyn Clock>,
    /// Held while a change is checked and made durable, so that changes follow one another. Taken
    /// before `state`, which readers need and which is never held across I/O.
    journal: Mutex<Journal>,
    state: RwLock<State>,
}

/// What readers see.
#[derive(Default)]
struct State {
    entries: BTreeMap<String, Held>,
    revision: Revision,
    leases: HashMap<LeaseId, Lease>,
    lease_count: u64,
    watchers: Watchers,
}

/// An entry's value and what belongs to it.
#[derive(Clone, Debug, PartialEq, Eq)]
struct Held {
    value: Bytes,
    revision: Revision,
    lease: Option<LeaseId>,
}

struct Lease {
    ttl: Duration,
    /// On the monotonic clock.
    expires: Duration,
}

impl EmbeddedMetadata {
    /// Opens the metadata in `disk`, a folder of its own, or makes it.
    pub fn open(disk: Arc<dyn Disk>, clock: Arc<dyn Clock>) -> Result<Arc<Self>, MetadataError> {
        let (journal, loaded) = Journal::open(disk, Arc::clone(&clock))?;
        let state = State {
            entries: loaded.entries,
            revision: loaded.revision,
            watchers: Watchers::starting_at(loaded.revision),
            ..State::default()
        };
        let inner = Inner {
            clock,
            journal: Mutex::new(journal),
            state: RwLock::new(state),
        };
        let leased = |held: &Held| held.lease.is_some();
        inner.remove_where(leased)?;
        Ok(Arc::new(Self {
            inner: Arc::new(inner),
        }))
    }
}

impl Inner {
    /// Makes one change durable, then visible. The caller holds the journal and has checked it.
    fn change(
        &self,
        journal: &mut Journal,
        key: &str,
        value: Option<Bytes>,
        lease: Option<LeaseId>,
    ) -> Result<Revision, MetadataError> {
        let revision = Revision(self.state.read().revision.0 + 1);
        let held = value.clone().map(|value| Held {
            value,
            revision,
            lease,
        });
        journal.write(key, held.as_ref(), revision)?;
        let mut state = self.state.write();
        match held {
            Some(held) => state.entries.insert(key.to_owned(), held),
            None => state.entries.remove(key),
        };
        state.revision = revision;
        state.watchers.tell(Change {
            key: key.to_owned(),
            value,
            revision,
        });
        drop(state);
        journal.compact_if_due(revision, || self.state.read().entries.clone());
        Ok(revision)
    }

    /// Removes the entries that are `doomed`, one change each.
    fn remove_where(&self, doomed: impl Fn(&Held) -> bool) -> Result<(), MetadataError> {
        let mut journal = self.journal.lock();
        let keys: Vec<String> = {
            let state = self.state.read();
            let found = state.entries.iter().filter(|(_, held)| doomed(held));
            found.map(|(key, _)| key.clone()).collect()
        };
        for key in keys {
            self.change(&mut journal, &key, None, None)?;
        }
        Ok(())
    }

    /// Ends leases whose time is over, before anybody looks at what depends on them.
    fn expire_leases(&self) -> Result<(), MetadataError> {
        // Nearly always there is no lease at all on one machine.
        if self.state.read().leases.is_empty() {
            return Ok(());
        }
        let now = self.clock.elapsed();
        let expired: Vec<LeaseId> = {
            let state = self.state.read();
            let over = state
                .leases
                .iter()
                .filter(|(_, lease)| lease.expires <= now);
            over.map(|(id, _)| *id).collect()
        };
        for id in expired {
            self.end_lease(id)?;
        }
        Ok(())
    }

    fn end_lease(&self, id: LeaseId) -> Result<(), MetadataError> {
        self.remove_where(|held| held.lease == Some(id))?;
        self.state.write().leases.remove(&id);
        Ok(())
    }

    /// How long until the first lease ends unless it is kept alive.
    fn next_expiry(&self) -> Option<Duration> {
        let state = self.state.read();
        let first = state.leases.values().map(|lease| lease.expires).min()?;
        Some(first.saturating_sub(self.clock.elapsed()))
    }

    fn compare_and_set(
        &self,
        key: &str,
        expected: Expected,
        value: Option<Bytes>,
        lease: Option<LeaseId>,
    ) -> Result<Revision, MetadataError> {
        let bytes = key.len() + value.as_ref().map_or(0, Bytes::len);
        if bytes > limits::METADATA_ENTRY_BYTES_MAX {
            return Err(MetadataError::Unavailable {
                operation: "write",
                reason: format!(
                    "entry of {bytes} bytes exceeds the limit of {}",
                    limits::METADATA_ENTRY_BYTES_MAX
                ),
            });
        }
        self.expire_leases()?;
        let mut journal = self.journal.lock();
        let found = {
            let state = self.state.read();
            if let Some(lease) = lease
                && !state.leases.contains_key(&lease)
            {
                return Err(MetadataError::LeaseExpired(lease));
            }
            state.entries.get(key).map(|held| held.revision)
        };
        let as_expected = match expected {
            Expected::Absent => found.is_none(),
            Expected::At(revision) => found == Some(revision),
        };
        if !as_expected {
            return Err(MetadataError::Conflict {
                key: key.to_owned(),
                found,
                expected,
            });
        }
        self.change(&mut journal, key, value, lease)
    }
}

impl MetadataStore for EmbeddedMetadata {
    fn get(&self, key: &str) -> BoxFuture<'_, Result<Option<Entry>, MetadataError>> {
        let key = key.to_owned();
        async move {
            self.inner.expire_leases()?;
            let state = self.inner.state.read();
            Ok(state.entries.get(&key).map(|held| entry(&key, held)))
        }
        .boxed()
    }

    fn range(&self, prefix: &str) -> BoxFuture<'_, Result<(Vec<Entry>, Revision), MetadataError>> {
        let prefix = prefix.to_owned();
        async move {
            self.inner.expire_leases()?;
            let state = self.inner.state.read();
            let from = state.entries.range(prefix.clone()..);
            let inside = from.take_while(|(key, _)| key.starts_with(&prefix));
            let entries = inside.map(|(key, held)| entry(key, held)).collect();
            Ok((entries, state.revision))
        }
        .boxed()
    }

    fn compare_and_set(
        &self,
        key: &str,
        expected: Expected,
        value: Option<Bytes>,
        lease: Option<LeaseId>,
    ) -> BoxFuture<'_, Result<Revision, MetadataError>> {
        let key = key.to_owned();
        // Waits for the disk on the caller's thread: one small sync, and changes are rare.
        async move { self.inner.compare_and_set(&key, expected, value, lease) }.boxed()
    }

    fn watch(&self, prefix: &str, revision: Revision) -> Watch {
        watch::stream(&self.inner, prefix, revision)
    }

    fn grant_lease(&self, ttl: Duration) -> BoxFuture<'_, Result<LeaseId, MetadataError>> {
        async move {
            let expires = self.inner.clock.elapsed() + ttl;
            let mut state = self.inner.state.write();
            state.lease_count += 1;
            let id = LeaseId(state.lease_count);
            state.leases.insert(id, Lease { ttl, expires });
            state.watchers.leases_changed();
            Ok(id)
        }
        .boxed()
    }

    fn keep_alive(&self, lease: LeaseId) -> BoxFuture<'_, Result<(), MetadataError>> {
        async move {
            self.inner.expire_leases()?;
            let now = self.inner.clock.elapsed();
            let mut state = self.inner.state.write();
            let kept = state
                .leases
                .get_mut(&lease)
                .ok_or(MetadataError::LeaseExpired(lease))?;
            kept.expires = now + kept.ttl;
            Ok(())
        }
        .boxed()
    }

    fn revoke_lease(&self, lease: LeaseId) -> BoxFuture<'_, Result<(), MetadataError>> {
        async move {
            self.inner.expire_leases()?;
            if !self.inner.state.read().leases.contains_key(&lease) {
                return Err(MetadataError::LeaseExpired(lease));
            }
            self.inner.end_lease(lease)
        }
        .boxed()
    }
}

fn entry(key: &str, held: &Held) -> Entry {
    Entry {
        key: key.to_owned(),
        value: held.value.clone(),
        revision: held.revision,
    }
}
