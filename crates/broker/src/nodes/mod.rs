//! The nodes of a cluster: which there are, where clients find them, and which of them are there
//! now.
//!
//! | key | value |
//! | --- | --- |
//! | `nodes/known/<name>` | JSON ([`NodeRecord`]): what stays while a node is away |
//! | `nodes/live/<number>` | JSON ([`NodeState`]): what it says of itself, under its lease |
//! | `nodes/wanted/<name>` | JSON ([`NodeWish`]), where it is wished to do anything but the usual |
//! | `nodes/last-number` | the number that was given out last |
//! | `nodes/key` | what processes of the cluster sign what they tell each other with |
//!
//! A node has a number that nobody else ever gets. It is that of its shard in every instance, so
//! that broker names, physical offsets and receipt handles tell nodes apart. A node that ends in
//! order ends its lease, and one that is killed or cut off loses it after a while: either way it
//! leaves the routes. It comes back by itself.
//!
//! No node ever takes over another's shards, so a node whose lease has ended because the metadata
//! store is away goes on; it and the others keep the routes that they knew last.

mod act;
mod claim;
mod record;
mod wish;

use std::{
    collections::{BTreeMap, BTreeSet},
    sync::{Arc, OnceLock},
    time::Duration,
};

use base::{Clock, InstanceId, ShardId, limits};
use bytes::Bytes;
use futures::StreamExt as _;
use parking_lot::{Mutex, RwLock};
use store::meta::{Entry, Expected, LeaseId, MetadataError, MetadataStore, Revision, made_once};
use tokio::sync::watch;

pub use self::{
    claim::{JoinError, NodeIdentity},
    record::NodeRecord,
    wish::{NodeState, NodeWish, RemoveNodeError},
};

const KNOWN: &str = "nodes/known/";
const LIVE: &str = "nodes/live/";
const WANTED: &str = "nodes/wanted/";
const NODES: &str = "nodes/";
const KEY: &str = "nodes/key";

/// Time before the store is asked again when it could not be.
const PAUSE: Duration = Duration::from_millis(500);

/// What a node joins a cluster with.
pub struct NodesParts {
    /// What the nodes share.
    pub metadata: Arc<dyn MetadataStore>,
    /// Time.
    pub clock: Arc<dyn Clock>,
    /// How long a node that says nothing counts as there. It is a few times what a request takes.
    pub lease: Duration,
}

/// The nodes of a cluster, as one of them sees them. All methods may be called from any thread.
pub struct Nodes {
    parts: NodesParts,
    /// `None` where somebody looks on who is no node.
    own: Option<NodeRecord>,
    /// Nodes that were ever there and have not been taken out, by number.
    table: RwLock<BTreeMap<ShardId, Known>>,
    /// How often nodes have come or gone.
    changes: watch::Sender<u64>,
    /// How often anything of nodes has changed.
    looks: watch::Sender<u64>,
    lease: Mutex<Option<LeaseId>>,
    /// What was told of this node under that lease.
    told: Mutex<Option<NodeState>>,
    /// The key of the cluster, once it was needed.
    key: OnceLock<Bytes>,
}

struct Known {
    record: Arc<NodeRecord>,
    is_live: bool,
    /// When it was last seen to be there, on the monotonic clock.
    seen: Duration,
    wish: NodeWish,
    state: Option<NodeState>,
}

impl Known {
    fn peer(&self) -> Peer {
        Peer {
            record: Arc::clone(&self.record),
            is_live: self.is_live,
            wish: self.wish.clone(),
            state: self.state.clone(),
        }
    }
}

/// A node as routes want it.
#[derive(Clone, Debug)]
pub struct Peer {
    /// What is known of it.
    pub record: Arc<NodeRecord>,
    /// Whether it is there now.
    pub is_live: bool,
    /// What it is wished to do.
    pub wish: NodeWish,
    /// What it says of itself while it is there.
    pub state: Option<NodeState>,
}

impl Nodes {
    /// Joins a cluster: claims the node's number, and reads who else is there. The others do not
    /// see it before [`Nodes::announce`].
    ///
    /// # Errors
    /// When another node has the name, the cluster has as many as it may, or the store cannot be
    /// asked.
    pub async fn join(
        parts: NodesParts,
        identity: &NodeIdentity,
        version: &str,
    ) -> Result<Arc<Self>, JoinError> {
        let own = claim::claim(&*parts.metadata, identity, version).await?;
        Ok(Self::open(parts, Some(own)).await?)
    }

    /// Looks on as somebody who is no node, as a fleet does: it has no number and is in no route.
    ///
    /// # Errors
    /// When the store cannot be asked.
    pub async fn look_on(parts: NodesParts) -> Result<Arc<Self>, MetadataError> {
        Self::open(parts, None).await
    }

    async fn open(parts: NodesParts, own: Option<NodeRecord>) -> Result<Arc<Self>, MetadataError> {
        let nodes = Self {
            parts,
            own,
            table: RwLock::default(),
            changes: watch::Sender::new(0),
            looks: watch::Sender::new(0),
            lease: Mutex::default(),
            told: Mutex::default(),
            key: OnceLock::new(),
        };
        nodes.read().await?;
        Ok(Arc::new(nodes))
    }

    /// This node's number, that of its shards.
    pub fn number(&self) -> Option<ShardId> {
        self.own.as_ref().map(|own| own.number)
    }

    /// What the cluster knows of this node, if it is one; the addresses are those of its last
    /// start.
    pub fn own(&self) -> Option<&NodeRecord> {
        self.own.as_ref()
    }

    /// All nodes, by number, whether they are there or not.
    pub fn all(&self) -> Vec<Peer> {
        self.table.read().values().map(Known::peer).collect()
    }

    /// The other nodes that routes list of an instance, by number: its own, or with `None` those
    /// that instances share. Those that are there, and with `with_away` those that went a short
    /// while ago and are expected back.
    pub fn peers(&self, instance: Option<&InstanceId>, with_away: bool) -> Vec<Peer> {
        let now = self.parts.clock.elapsed();
        let away_max = Duration::from_millis(limits::NODE_AWAY_MS_MAX);
        let table = self.table.read();
        let others = table.values().filter(|it| {
            let is_awaited = with_away && now.saturating_sub(it.seen) <= away_max;
            Some(it.record.number) != self.number()
                && it.record.instance.as_ref() == instance
                && (it.is_live || is_awaited)
        });
        others.map(Known::peer).collect()
    }

    /// What processes of the cluster sign with what they tell each other and nobody else may: the
    /// same for all, for ever. Whoever needs it first makes it, of random bytes; `None` where there
    /// is none, and `make` is not given or has nothing.
    ///
    /// # Errors
    /// When the store cannot be asked.
    pub async fn key(
        &self,
        make: Option<&(dyn Fn() -> Option<Vec<u8>> + Sync)>,
    ) -> Result<Option<Bytes>, MetadataError> {
        if let Some(key) = self.key.get() {
            return Ok(Some(key.clone()));
        }
        let made = || make.and_then(|make| make()).map(Bytes::from);
        let entry = made_once(&*self.parts.metadata, KEY, made).await?;
        Ok(entry.map(|entry| self.key.get_or_init(|| entry.value).clone()))
    }

    /// Tells when nodes have come or gone.
    pub fn changes(&self) -> watch::Receiver<u64> {
        self.changes.subscribe()
    }

    /// Lets the others see this node, where clients find it at `addresses`, the first of which
    /// routes give.
    ///
    /// # Errors
    /// When the store does not take it. Who only looks on has nothing to announce, which succeeds.
    pub async fn announce(&self, addresses: Vec<String>) -> Result<(), MetadataError> {
        let Some(own) = &self.own else {
            return Ok(());
        };
        let record = NodeRecord {
            addresses,
            ..own.clone()
        };
        self.put(&record.key(), record.stored().into(), None)
            .await?;
        self.renew().await
    }

    /// Keeps this node's place for as long as it is polled. Where the store was away for longer
    /// than the lease, the node comes back by itself. To be run beside what the node serves.
    pub async fn stay(&self) {
        loop {
            self.parts.clock.sleep(self.parts.lease / 3).await;
            let Some(lease) = *self.lease.lock() else {
                return;
            };
            let kept = match self.parts.metadata.keep_alive(lease).await {
                Err(MetadataError::LeaseExpired(_)) => {
                    if self.lease.lock().is_none() {
                        return;
                    }
                    tracing::warn!("lease of this node has ended, taking a new one");
                    self.renew().await
                }
                kept => kept,
            };
            if let Err(error) = kept {
                tracing::warn!(%error, "lease of this node not kept alive");
            }
        }
    }

    /// Takes this node out of the routes of others; it may come back.
    ///
    /// # Errors
    /// When the store does not take it: the lease ends by itself then.
    pub async fn leave(&self) -> Result<(), MetadataError> {
        let lease = self.lease.lock().take();
        match lease {
            Some(lease) => self.parts.metadata.revoke_lease(lease).await,
            None => Ok(()),
        }
    }

    /// Follows who comes and goes; never ends.
    pub async fn follow(&self) {
        loop {
            let from = match self.read().await {
                Ok(revision) => revision,
                Err(error) => {
                    tracing::warn!(%error, "nodes not read yet");
                    self.parts.clock.sleep(PAUSE).await;
                    continue;
                }
            };
            let mut watch = self.parts.metadata.watch(NODES, from);
            // Nodes are few: what has changed is read whole.
            while let Some(Ok(_)) = watch.next().await {
                if let Err(error) = self.read().await {
                    tracing::warn!(%error, "nodes not read");
                    break;
                }
            }
            self.parts.clock.sleep(PAUSE).await;
        }
    }

    async fn renew(&self) -> Result<(), MetadataError> {
        let Some(own) = &self.own else {
            return Ok(());
        };
        let metadata = &self.parts.metadata;
        let lease = metadata.grant_lease(self.parts.lease).await?;
        let key = format!("{LIVE}{}", own.number);
        let state = self.told.lock().clone().unwrap_or_else(|| NodeState {
            name: own.name.clone(),
            sends: self.own_wish().sends,
            ..NodeState::default()
        });
        let value = serde_json::to_vec(&state).expect("plain data becomes JSON");
        self.put(&key, value.into(), Some(lease)).await?;
        *self.lease.lock() = Some(lease);
        *self.told.lock() = Some(state);
        Ok(())
    }

    /// Sets an entry of this node, whatever it was: nobody else sets it.
    async fn put(
        &self,
        key: &str,
        value: Bytes,
        lease: Option<LeaseId>,
    ) -> Result<(), MetadataError> {
        let metadata = &self.parts.metadata;
        for _ in 0..limits::METADATA_CHANGE_ATTEMPTS_MAX {
            let found = metadata.get(key).await?;
            let expected = found.map_or(Expected::Absent, |entry| Expected::At(entry.revision));
            let put = metadata.compare_and_set(key, expected, Some(value.clone()), lease);
            match put.await {
                // The lease of an earlier start has ended in this moment.
                Err(MetadataError::Conflict { .. }) => {}
                done => return done.map(drop),
            }
        }
        Err(MetadataError::Unavailable {
            operation: "write",
            reason: format!("entry `{key}` does not stay as it is"),
        })
    }

    /// Reads all nodes, and tells if any has come, gone or moved.
    async fn read(&self) -> Result<Revision, MetadataError> {
        let (entries, revision) = self.parts.metadata.range(NODES).await?;
        let now = self.parts.clock.elapsed();
        let live = entries.iter().filter_map(|entry| {
            let number = live_number(entry)?;
            Some((number, wish::read_state(entry)))
        });
        let live: BTreeMap<ShardId, Option<NodeState>> = live.collect();
        let mut wishes = BTreeMap::new();
        for entry in &entries {
            if let Some(name) = entry.key.strip_prefix(WANTED) {
                wishes.insert(name, wish::read_wish(entry)?);
            }
        }
        let mut found = BTreeMap::new();
        for entry in entries.iter().filter(|entry| entry.key.starts_with(KNOWN)) {
            let record = NodeRecord::read(&entry.key[KNOWN.len()..], &entry.value);
            let record = record.map_err(|reason| entry.unreadable(reason))?;
            let state = live.get(&record.number);
            let wish = wishes.get(record.name.as_str());
            let known = Known {
                record: Arc::new(record),
                is_live: state.is_some(),
                seen: now,
                wish: wish.cloned().unwrap_or_default(),
                state: state.cloned().flatten(),
            };
            found.insert(known.record.number, known);
        }
        let mut table = self.table.write();
        let mut has_changed = table.len() != found.len();
        for (number, known) in &mut found {
            let before = table.get(number);
            match before {
                Some(before) if !before.is_live && !known.is_live => known.seen = before.seen,
                _ => {}
            }
            let is_same = before.is_some_and(|before| {
                before.is_live == known.is_live && before.record.addresses == known.record.addresses
            });
            if !is_same {
                has_changed = true;
                let (node, is_live) = (&known.record.name, known.is_live);
                tracing::info!(node, %number, is_live, "node of the cluster");
            }
        }
        *table = found;
        drop(table);
        self.looks
            .send_modify(|count| *count = count.wrapping_add(1));
        if has_changed {
            self.changes
                .send_modify(|count| *count = count.wrapping_add(1));
        }
        Ok(revision)
    }
}

/// Numbers and names of the nodes that are there, of those that routes list of an instance: its
/// own, or with `None` those that instances share.
pub(crate) async fn live_nodes(
    metadata: &dyn MetadataStore,
    instance: Option<&InstanceId>,
) -> Result<Vec<(ShardId, String)>, MetadataError> {
    let (entries, _) = metadata.range(NODES).await?;
    let live: BTreeSet<ShardId> = entries.iter().filter_map(live_number).collect();
    let mut found = Vec::new();
    for entry in entries.iter().filter(|entry| entry.key.starts_with(KNOWN)) {
        let record = NodeRecord::read(&entry.key[KNOWN.len()..], &entry.value);
        let record = record.map_err(|reason| entry.unreadable(reason))?;
        if record.instance.as_ref() == instance && live.contains(&record.number) {
            found.push((record.number, record.name));
        }
    }
    Ok(found)
}

fn live_number(entry: &Entry) -> Option<ShardId> {
    let number = entry.key.strip_prefix(LIVE)?;
    number.parse().ok().map(ShardId::new)
}
