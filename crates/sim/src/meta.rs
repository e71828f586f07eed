//! A metadata store in memory, durable at once.

use std::{collections::BTreeMap, sync::Arc, time::Duration};

use bytes::Bytes;
use futures::{FutureExt, StreamExt, future::BoxFuture, stream};
use parking_lot::Mutex;
use store::meta::{
    Change, Entry, Expected, LeaseId, MetadataError, MetadataStore, Revision, Watch,
};

use crate::{scheduler::yield_now, world::World};

#[derive(Default)]
struct State {
    revision: u64,
    entries: BTreeMap<String, (Entry, Option<LeaseId>)>,
    changes: Vec<Change>,
    leases: BTreeMap<u64, (Duration, Duration)>,
    next_lease: u64,
    watchers: Vec<tokio::sync::watch::Sender<u64>>,
}

/// The metadata store of a run; it outlives the node. One machine's worth: nobody fences anybody
/// here.
pub struct SimMetadata {
    world: Arc<World>,
    state: Mutex<State>,
}

impl SimMetadata {
    /// An empty store.
    pub fn new(world: &Arc<World>) -> Arc<Self> {
        Arc::new(Self {
            world: Arc::clone(world),
            state: Mutex::default(),
        })
    }

    /// Removes the keys of leases that were not kept.
    fn expire(&self, state: &mut State) {
        let now = self.world.elapsed();
        let ended: Vec<u64> = state
            .leases
            .iter()
            .filter(|(_, (until, _))| *until <= now)
            .map(|(lease, _)| *lease)
            .collect();
        for lease in ended {
            Self::end(state, LeaseId(lease));
        }
    }

    fn end(state: &mut State, lease: LeaseId) {
        state.leases.remove(&lease.0);
        let keys: Vec<String> = state
            .entries
            .iter()
            .filter(|(_, (_, tied))| *tied == Some(lease))
            .map(|(key, _)| key.clone())
            .collect();
        for key in keys {
            Self::set(state, &key, None, None);
        }
    }

    fn set(state: &mut State, key: &str, value: Option<Bytes>, lease: Option<LeaseId>) -> Revision {
        state.revision += 1;
        let revision = Revision(state.revision);
        match &value {
            Some(value) => {
                let entry = Entry {
                    key: key.to_owned(),
                    value: value.clone(),
                    revision,
                };
                state.entries.insert(key.to_owned(), (entry, lease));
            }
            None => {
                state.entries.remove(key);
            }
        }
        state.changes.push(Change {
            key: key.to_owned(),
            value,
            revision,
        });
        let current = state.revision;
        state
            .watchers
            .retain(|watcher| watcher.send(current).is_ok());
        revision
    }
}

impl MetadataStore for SimMetadata {
    fn get(&self, key: &str) -> BoxFuture<'_, Result<Option<Entry>, MetadataError>> {
        let mut state = self.state.lock();
        self.expire(&mut state);
        let entry = state.entries.get(key).map(|(entry, _)| entry.clone());
        futures::future::ready(Ok(entry)).boxed()
    }

    fn range(&self, prefix: &str) -> BoxFuture<'_, Result<(Vec<Entry>, Revision), MetadataError>> {
        let mut state = self.state.lock();
        self.expire(&mut state);
        let entries = state
            .entries
            .range(prefix.to_owned()..)
            .take_while(|(key, _)| key.starts_with(prefix))
            .map(|(_, (entry, _))| entry.clone())
            .collect();
        futures::future::ready(Ok((entries, Revision(state.revision)))).boxed()
    }

    fn compare_and_set(
        &self,
        key: &str,
        expected: Expected,
        value: Option<Bytes>,
        lease: Option<LeaseId>,
    ) -> BoxFuture<'_, Result<Revision, MetadataError>> {
        let key = key.to_owned();
        async move {
            // Others may come first, and the caller may go away before it happens.
            yield_now().await;
            let mut state = self.state.lock();
            self.expire(&mut state);
            let found = state.entries.get(&key).map(|(entry, _)| entry.revision);
            let matches = match expected {
                Expected::Absent => found.is_none(),
                Expected::At(revision) => found == Some(revision),
            };
            if !matches {
                return Err(MetadataError::Conflict {
                    key,
                    found,
                    expected,
                });
            }
            if let Some(lease) = lease
                && !state.leases.contains_key(&lease.0)
            {
                return Err(MetadataError::LeaseExpired(lease));
            }
            Ok(Self::set(&mut state, &key, value, lease))
        }
        .boxed()
    }

    fn watch(&self, prefix: &str, revision: Revision) -> Watch {
        let mut state = self.state.lock();
        let (sender, receiver) = tokio::sync::watch::channel(state.revision);
        state.watchers.push(sender);
        let later = state
            .changes
            .iter()
            .filter(|change| change.revision > revision && change.key.starts_with(prefix));
        // Enough for a catalogue that reads again: what changes later is told by a refusal.
        let known: Vec<Result<Change, MetadataError>> = later.cloned().map(Ok).collect();
        let changed = stream::once(async move {
            let mut receiver = receiver;
            // The sender is dropped with the store.
            let _ = receiver.changed().await;
            Err(MetadataError::Unavailable {
                operation: "watch",
                reason: "the watcher is behind, read again".to_owned(),
            })
        });
        stream::iter(known).chain(changed).boxed()
    }

    fn grant_lease(&self, ttl: Duration) -> BoxFuture<'_, Result<LeaseId, MetadataError>> {
        let mut state = self.state.lock();
        state.next_lease += 1;
        let lease = LeaseId(state.next_lease);
        let until = self.world.elapsed() + ttl;
        state.leases.insert(lease.0, (until, ttl));
        futures::future::ready(Ok(lease)).boxed()
    }

    fn keep_alive(&self, lease: LeaseId) -> BoxFuture<'_, Result<(), MetadataError>> {
        let mut state = self.state.lock();
        self.expire(&mut state);
        let now = self.world.elapsed();
        let kept = match state.leases.get_mut(&lease.0) {
            Some((until, ttl)) => {
                *until = now + *ttl;
                Ok(())
            }
            None => Err(MetadataError::LeaseExpired(lease)),
        };
        futures::future::ready(kept).boxed()
    }

    fn revoke_lease(&self, lease: LeaseId) -> BoxFuture<'_, Result<(), MetadataError>> {
        Self::end(&mut self.state.lock(), lease);
        futures::future::ready(Ok(())).boxed()
    }
}
