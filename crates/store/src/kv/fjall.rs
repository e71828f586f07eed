//! The state KV on fjall: one database per node, one keyspace per shard.

use std::{path::Path, sync::Arc};

use base::{LogPosition, ShardId};
use bytes::Bytes;
use fjall::{Database, Keyspace, KeyspaceCreateOptions, PersistMode};
use parking_lot::Mutex;

use super::{Batch, KvError, StateKv};

/// The key of the log position. Sorts before every key of the user, which is prefixed.
const POSITION_KEY: [u8; 1] = [0];
/// Comes before every key of the user.
const USER_PREFIX: u8 = 1;
/// Memory for blocks that were read, for all shards together.
const CACHE_BYTES: u64 = 16 * 1024 * 1024;
/// Memory for changes before they are written as a table, per shard.
const MEMTABLE_BYTES: u64 = 8 * 1024 * 1024;

fn engine(operation: &'static str) -> impl FnOnce(fjall::Error) -> KvError {
    move |error| KvError::Engine {
        operation,
        reason: error.to_string(),
    }
}

/// The databases of a node's state: all its shards share it.
pub struct FjallDatabase {
    database: Database,
}

impl FjallDatabase {
    /// Opens the database in `folder`, or makes it.
    pub fn open(folder: &Path) -> Result<Arc<Self>, KvError> {
        let database = Database::builder(folder)
            .cache_size(CACHE_BYTES)
            .worker_threads(1)
            .open()
            .map_err(engine("open"))?;
        Ok(Arc::new(Self { database }))
    }

    /// The state of one shard. There must be one handle to a shard at a time.
    pub fn shard(&self, shard: ShardId) -> Result<FjallKv, KvError> {
        let options = || KeyspaceCreateOptions::default().max_memtable_size(MEMTABLE_BYTES);
        let keyspace = self
            .database
            .keyspace(&format!("shard-{shard}"), options)
            .map_err(engine("open"))?;
        let position = match keyspace.get(POSITION_KEY).map_err(engine("open"))? {
            None => 0,
            Some(bytes) => {
                let bytes = <[u8; 8]>::try_from(&*bytes).map_err(|_| KvError::Engine {
                    operation: "open",
                    reason: format!("position has {} bytes, expected 8", bytes.len()),
                })?;
                u64::from_le_bytes(bytes)
            }
        };
        Ok(FjallKv {
            database: self.database.clone(),
            keyspace,
            position: Mutex::new(LogPosition::new(position)),
        })
    }
}

/// The state of one shard on fjall.
pub struct FjallKv {
    database: Database,
    keyspace: Keyspace,
    position: Mutex<LogPosition>,
}

fn prefixed(key: &[u8]) -> Vec<u8> {
    let mut prefixed = Vec::with_capacity(key.len() + 1);
    prefixed.push(USER_PREFIX);
    prefixed.extend_from_slice(key);
    prefixed
}

impl StateKv for FjallKv {
    fn get(&self, key: &[u8]) -> Result<Option<Bytes>, KvError> {
        let value = self.keyspace.get(prefixed(key)).map_err(engine("read"))?;
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
        let pairs = self.keyspace.range(prefixed(from)..prefixed(to));
        let read = |pair: fjall::Guard| {
            let (key, value) = pair.into_inner().map_err(engine("read"))?;
            Ok((
                Bytes::copy_from_slice(&key[1..]),
                Bytes::copy_from_slice(&value),
            ))
        };
        if reverse {
            pairs.rev().take(limit).map(read).collect()
        } else {
            pairs.take(limit).map(read).collect()
        }
    }

    fn apply(&self, batch: &Batch, position: LogPosition) -> Result<(), KvError> {
        let mut applied = self.position.lock();
        assert!(
            position >= *applied,
            "state KV at {applied} cannot go back to {position}"
        );
        let mut changes = self.database.batch();
        for (key, value) in &batch.changes {
            match value {
                Some(value) => changes.insert(&self.keyspace, prefixed(key), &**value),
                None => changes.remove(&self.keyspace, prefixed(key)),
            }
        }
        changes.insert(&self.keyspace, POSITION_KEY, position.get().to_le_bytes());
        changes.commit().map_err(engine("apply to"))?;
        *applied = position;
        Ok(())
    }

    fn flush(&self) -> Result<LogPosition, KvError> {
        let position = *self.position.lock();
        self.database
            .persist(PersistMode::SyncAll)
            .map_err(engine("flush"))?;
        Ok(position)
    }

    fn position(&self) -> Result<LogPosition, KvError> {
        Ok(*self.position.lock())
    }
}
