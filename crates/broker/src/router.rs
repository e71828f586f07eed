//! Which node serves a shard: the only way from a front end into the core.
//!
//! A shard that is here is a direct call. Once shards live on several nodes, [`ShardHandle`] gains
//! a second variant that forwards the same verbs one hop; front ends stay as they are.

use std::{
    collections::BTreeMap,
    ops::Deref,
    sync::{
        Arc,
        atomic::{AtomicBool, Ordering},
    },
};

use base::{InstanceId, PhysicalOffset, ShardId};
use parking_lot::RwLock;

use crate::{Instance, InstanceNotFound, Shard, ShardNotHere};

/// Where a request goes: the shard of an instance.
#[derive(Clone, Debug, PartialEq, Eq, PartialOrd, Ord, Hash)]
pub struct Place {
    /// The tenant.
    pub instance: InstanceId,
    /// Its shard, a broker name to clients.
    pub shard: ShardId,
}

/// A shard that a front end may call, wherever it is.
#[derive(Clone)]
pub enum ShardHandle {
    /// Owned by this node.
    Here(Arc<Shard>),
}

impl Deref for ShardHandle {
    type Target = Shard;

    fn deref(&self) -> &Shard {
        match self {
            Self::Here(shard) => shard,
        }
    }
}

/// The instances and shards that can be reached from this node.
#[derive(Default)]
pub struct Router {
    instances: RwLock<BTreeMap<InstanceId, Arc<Instance>>>,
    has_access_control: AtomicBool,
}

impl Router {
    /// Adds an instance whose shards are served here from now on.
    pub fn add(&self, instance: Arc<Instance>) {
        if instance.access().is_on() {
            self.has_access_control.store(true, Ordering::Release);
        }
        self.instances
            .write()
            .insert(instance.id().clone(), instance);
    }

    /// Takes an instance away: requests from now on do not find it.
    pub fn remove(&self, id: &InstanceId) {
        self.instances.write().remove(id);
    }

    /// Whether an instance here has access control: where none has, a front end need not find out
    /// which instance a request belongs to before it does the work.
    pub fn has_access_control(&self) -> bool {
        self.has_access_control.load(Ordering::Acquire)
    }

    /// The instance of that id.
    pub fn instance(&self, id: &InstanceId) -> Result<Arc<Instance>, InstanceNotFound> {
        self.instances
            .read()
            .get(id)
            .cloned()
            .ok_or_else(|| InstanceNotFound {
                instance: id.clone(),
            })
    }

    /// All instances, by id.
    pub fn instances(&self) -> Vec<Arc<Instance>> {
        self.instances.read().values().cloned().collect()
    }

    /// The shard at `place`.
    pub fn shard(&self, place: &Place) -> Result<ShardHandle, ShardNotHere> {
        let not_here = || ShardNotHere {
            instance: place.instance.clone(),
            shard: place.shard,
        };
        let instance = self.instance(&place.instance).map_err(|_| not_here())?;
        instance
            .shard(place.shard)
            .map(ShardHandle::Here)
            .ok_or_else(not_here)
    }

    /// The shard of `instance` that stored the message of a physical offset.
    pub fn shard_of(
        &self,
        instance: &InstanceId,
        offset: PhysicalOffset,
    ) -> Result<ShardHandle, ShardNotHere> {
        self.shard(&Place {
            instance: instance.clone(),
            shard: offset.shard(),
        })
    }
}
