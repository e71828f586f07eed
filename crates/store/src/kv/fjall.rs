//! The state KV on fjall: one database per node, one keyspace per shard.
//!
//! A checkpoint is one large sorted batch every few seconds, so it does not go through fjall's
//! journal and memtable, where it would be written twice and held in memory: it is written as a
//! table and becomes part of the tree with one durable change of the manifest (fjall calls this
//! ingestion). A batch is therefore durable, whole, when [`StateKv::apply`] returns. Figures:
//! `docs/adr/0003-kv-engine.md`.
//!
//! fjall gives up in the background when the disk is full, and leaves half-written tables behind.
//! So a reserve of disk is held: when a batch fails, the reserve is freed, the database is opened
//! anew (which removes what was left behind) and the batch is tried once more. Reads go on before
//! and after. They wait for no batch and no compaction, see `view.rs`.
//!
//! ```text
//! key                  value
//! 00                   log position the state stands for, 8 bytes little endian
//! 01 + key of the user value of the user
//! ```

mod background;
#[cfg(test)]
mod tests;
mod view;

use std::{
    collections::HashMap,
    io,
    path::{Path, PathBuf},
    sync::{
        Arc,
        atomic::{AtomicBool, AtomicU64, Ordering},
    },
};

use base::{InstanceId, LogPosition, ShardId, limits};
use bytes::Bytes;
use fjall::{Database, Keyspace, KeyspaceCreateOptions, PersistMode, config::PartitioningPolicy};
use lsm_tree::Slice;
use parking_lot::{MappedRwLockReadGuard, Mutex, RwLock, RwLockReadGuard, RwLockWriteGuard};
use rustix::fs::FallocateFlags;

use self::view::View;
use super::{Batch, KvError, StateKv};

const POSITION_KEY: [u8; 1] = [0];
/// Comes before every key of the user, and after the position's.
const USER_PREFIX: u8 = 1;
/// Memory for blocks that were read, for all shards together.
const CACHE_BYTES: u64 = 16 * 1024 * 1024;
const DATABASE_FOLDER: &str = "state";
const RESERVE_FILE: &str = "reserve";

/// How a keyspace is kept. Filters and indexes of large tables are in blocks of their own: in one
/// piece, those of a table with a million keys have megabytes, which do not stay in the cache, and
/// each look-up would read and check all of it, half a millisecond under the shard's lock.
fn options() -> KeyspaceCreateOptions {
    KeyspaceCreateOptions::default()
        .compaction_strategy(background::merging())
        .filter_block_partitioning_policy(PartitioningPolicy::all(true))
        .index_block_partitioning_policy(PartitioningPolicy::all(true))
}

fn engine(operation: &'static str) -> impl Fn(fjall::Error) -> KvError {
    move |error| KvError::Engine {
        operation,
        reason: error.to_string(),
    }
}

/// The database of a node: all its shards share it.
pub struct FjallDatabase {
    folder: PathBuf,
    /// `None` while an attempt to open it anew has failed.
    open: RwLock<Option<Open>>,
}

struct Open {
    database: Database,
    shards: HashMap<Arc<str>, OpenShard>,
}

struct OpenShard {
    keyspace: Keyspace,
    /// What is read. The lock is held for no longer than it takes to copy or replace the pointer.
    view: Mutex<Arc<View>>,
}

impl OpenShard {
    fn new(keyspace: Keyspace) -> Self {
        let view = Mutex::new(Arc::new(View::of(&keyspace)));
        Self { keyspace, view }
    }

    fn view(&self) -> Arc<View> {
        self.view.lock().clone()
    }

    /// Lets reads see what the keyspace has now.
    fn renew_view(&self) {
        let now = Arc::new(View::of(&self.keyspace));
        let before = std::mem::replace(&mut *self.view.lock(), now);
        // Not under the lock: it may be the last to have tables whose files go now.
        drop(before);
    }
}

impl Open {
    fn new(folder: &Path) -> Result<Self, KvError> {
        let open = || {
            Database::builder(folder.join(DATABASE_FOLDER))
                .cache_size(CACHE_BYTES)
                .worker_threads(1)
                .open()
        };
        let database = background::starting(open).map_err(engine("open"))?;
        Ok(Self {
            database,
            shards: HashMap::new(),
        })
    }

    fn open_shard(&mut self, name: &Arc<str>) -> Result<(), KvError> {
        if !self.shards.contains_key(name) {
            let keyspace = self.database.keyspace(name, options);
            let shard = OpenShard::new(keyspace.map_err(engine("open"))?);
            self.shards.insert(Arc::clone(name), shard);
        }
        Ok(())
    }
}

impl FjallDatabase {
    /// Opens the database in `folder`, or makes it. One process at a time can have it open.
    pub fn open(folder: &Path) -> Result<Arc<Self>, KvError> {
        std::fs::create_dir_all(folder).map_err(|error| KvError::Engine {
            operation: "open",
            reason: error.to_string(),
        })?;
        let database = Self {
            folder: folder.to_owned(),
            open: RwLock::new(Some(Open::new(folder)?)),
        };
        database.hold_reserve();
        Ok(Arc::new(database))
    }

    /// The state of one shard of the default instance, of which there must be one handle at a time.
    pub fn shard(self: &Arc<Self>, shard: ShardId) -> Result<FjallKv, KvError> {
        self.shard_of(&InstanceId::default_instance(), shard)
    }

    /// The state of one shard of an instance, of which there must be one handle at a time.
    pub fn shard_of(
        self: &Arc<Self>,
        instance: &InstanceId,
        shard: ShardId,
    ) -> Result<FjallKv, KvError> {
        let kv = FjallKv {
            database: Arc::clone(self),
            name: name(instance, shard),
            position: AtomicU64::new(0),
            applying: Mutex::new(()),
            removed: AtomicBool::new(false),
        };
        let position = kv.read(|view| view.get(&POSITION_KEY))?;
        if let Some(bytes) = position {
            let bytes = <[u8; 8]>::try_from(&*bytes).map_err(|_| KvError::Engine {
                operation: "open",
                reason: format!("the position has {} bytes, expected 8", bytes.len()),
            })?;
            kv.position
                .store(u64::from_le_bytes(bytes), Ordering::Release);
        }
        Ok(kv)
    }

    /// Removes what is stored of a shard that is not open. None at all is a success.
    pub fn remove(&self, instance: &InstanceId, shard: ShardId) -> Result<(), KvError> {
        self.remove_named(&name(instance, shard), || ())
    }

    fn remove_named(&self, name: &str, mark: impl FnOnce()) -> Result<(), KvError> {
        let mut open = self.open.write();
        mark();
        let open = match &mut *open {
            Some(open) => open,
            closed => closed.insert(Open::new(&self.folder)?),
        };
        open.shards.remove(name);
        if !open.database.keyspace_exists(name) {
            return Ok(());
        }
        let keyspace = open.database.keyspace(name, options);
        let removed = keyspace.and_then(|keyspace| open.database.delete_keyspace(keyspace));
        removed.map_err(engine("remove from"))
    }

    /// Writes `changes` to a shard's keyspace as one table. Nothing of it shows if it fails.
    fn ingest(&self, kv: &FjallKv, batch: &Batch, position: LogPosition) -> Result<(), KvError> {
        let healthy = || {
            let open = self.open.read();
            let open = open.as_ref().ok_or(fjall::Error::Poisoned)?;
            // Writes nothing, as the journal is not used; but it says if the background work has
            // died.
            open.database.persist(PersistMode::Buffer)
        };
        healthy().map_err(engine("apply to"))?;
        let shard = kv.opened()?;
        let write = || {
            let mut table = shard.keyspace.start_ingestion()?;
            table.write(POSITION_KEY, position.get().to_le_bytes())?;
            for (key, value) in batch.iter() {
                match value {
                    Some(value) => table.write(prefixed(key), &**value)?,
                    None => table.write_tombstone(prefixed(key))?,
                }
            }
            table.finish()
        };
        write().map_err(engine("apply to"))?;
        shard.renew_view();
        Ok(())
    }

    /// Closes the database and opens it again, with the reserve freed to make room for that.
    fn reopen(&self) -> Result<(), KvError> {
        let mut open = self.open.write();
        if let Err(error) = std::fs::remove_file(self.folder.join(RESERVE_FILE))
            && error.kind() != io::ErrorKind::NotFound
        {
            tracing::warn!(%error, "reserve of the state KV could not be freed");
        }
        // All handles must be gone before the folder can be opened again.
        *open = None;
        *open = Some(Open::new(&self.folder)?);
        Ok(())
    }

    /// Holds disk that only a failed batch may use.
    fn hold_reserve(&self) {
        let path = self.folder.join(RESERVE_FILE);
        if path.exists() {
            return;
        }
        let reserve = || {
            let file = std::fs::File::create(&path)?;
            let none = FallocateFlags::empty();
            let reserved = rustix::fs::fallocate(&file, none, 0, limits::STATE_RESERVE_BYTES);
            reserved.map_err(io::Error::from)
        };
        if let Err(error) = reserve() {
            tracing::debug!(%error, "no room for the reserve of the state KV");
            // Half a reserve would look like a whole one. If it stays, it is only smaller.
            let _ = std::fs::remove_file(&path);
        }
    }
}

/// The state of one shard on fjall.
pub struct FjallKv {
    database: Arc<FjallDatabase>,
    name: Arc<str>,
    position: AtomicU64,
    /// Held while a batch is applied, so that batches follow one another.
    applying: Mutex<()>,
    /// Set under the database's lock when the shard is removed: reading must not make it anew.
    removed: AtomicBool,
}

/// The name of a shard's keyspace. That of the default instance has none of its own in it.
fn name(instance: &InstanceId, shard: ShardId) -> Arc<str> {
    if *instance == InstanceId::default_instance() {
        return format!("shard-{shard}").into();
    }
    format!("{instance}/shard-{shard}").into()
}

impl FjallKv {
    /// Removes all that is stored. Reads and batches fail from now on.
    pub fn remove(&self) -> Result<(), KvError> {
        let _applying = self.applying.lock();
        let mark = || self.removed.store(true, Ordering::Release);
        self.database.remove_named(&self.name, mark)
    }

    fn check(&self) -> Result<(), KvError> {
        if !self.removed.load(Ordering::Acquire) {
            return Ok(());
        }
        Err(KvError::Engine {
            operation: "use",
            reason: format!("`{}` has been removed", self.name),
        })
    }

    /// Reads what the shard has had since the last batch.
    fn read<T>(&self, read: impl FnOnce(&View) -> fjall::Result<T>) -> Result<T, KvError> {
        let shard = self.opened()?;
        read(&shard.view()).map_err(engine("read"))
    }

    /// The shard, opened if it is not. It does not close as long as this is held.
    fn opened(&self) -> Result<MappedRwLockReadGuard<'_, OpenShard>, KvError> {
        let database = &*self.database;
        let mut open = database.open.read();
        loop {
            self.check()?;
            let found = RwLockReadGuard::try_map(open, |open: &Option<Open>| {
                open.as_ref()?.shards.get(&self.name)
            });
            match found {
                Ok(shard) => return Ok(shard),
                Err(open) => drop(open),
            }
            let mut anew = database.open.write();
            self.check()?;
            match &mut *anew {
                Some(open) => open,
                closed => closed.insert(Open::new(&database.folder)?),
            }
            .open_shard(&self.name)?;
            open = RwLockWriteGuard::downgrade(anew);
        }
    }
}

fn prefixed(key: &[u8]) -> Vec<u8> {
    let mut prefixed = Vec::with_capacity(key.len() + 1);
    prefixed.push(USER_PREFIX);
    prefixed.extend_from_slice(key);
    prefixed
}

fn unprefixed(pair: fjall::Result<(Slice, Slice)>) -> fjall::Result<(Bytes, Bytes)> {
    let (key, value) = pair?;
    Ok((
        Bytes::copy_from_slice(&key[1..]),
        Bytes::copy_from_slice(&value),
    ))
}

impl StateKv for FjallKv {
    fn get(&self, key: &[u8]) -> Result<Option<Bytes>, KvError> {
        let value = self.read(|view| view.get(&prefixed(key)))?;
        Ok(value.map(|value| Bytes::copy_from_slice(&value)))
    }

    fn range(
        &self,
        from: &[u8],
        to: &[u8],
        reverse: bool,
        limit: usize,
    ) -> Result<Vec<(Bytes, Bytes)>, KvError> {
        if from >= to {
            return Ok(Vec::new());
        }
        self.read(|view| {
            let pairs = view.range(&prefixed(from), &prefixed(to));
            if reverse {
                pairs.rev().take(limit).map(unprefixed).collect()
            } else {
                pairs.take(limit).map(unprefixed).collect()
            }
        })
    }

    fn apply(&self, batch: &Batch, position: LogPosition) -> Result<(), KvError> {
        let applying = self.applying.lock();
        let applied = self.position.load(Ordering::Acquire);
        assert!(
            position.get() >= applied,
            "state KV at {applied} cannot go back to {position}"
        );
        self.check()?;
        if let Err(error) = self.database.ingest(self, batch, position) {
            tracing::warn!(shard = %self.name, %error, "state KV opens anew and tries again");
            self.database.reopen()?;
            self.database.ingest(self, batch, position)?;
        }
        self.position.store(position.get(), Ordering::Release);
        drop(applying);
        self.database.hold_reserve();
        Ok(())
    }

    fn flush(&self) -> Result<LogPosition, KvError> {
        // Every batch was durable when it was applied.
        self.position()
    }

    fn position(&self) -> Result<LogPosition, KvError> {
        Ok(LogPosition::new(self.position.load(Ordering::Acquire)))
    }
}
