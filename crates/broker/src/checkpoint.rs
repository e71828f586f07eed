//! Checkpoint: write what memory is ahead of the KV, so that a restart replays only what came
//! after.
//!
//! A checkpoint takes the changes gathered so far and the log position they stand for, writes both
//! in one atomic batch and makes it durable. Requests go on meanwhile: what is being written stays
//! readable as an overlay until the KV has it.

use std::{collections::BTreeMap, sync::Arc};

use base::{LogPosition, StreamKey};
use bytes::Bytes;
use parking_lot::MutexGuard;
use store::kv::{Batch, Changes, KvError};

use crate::{
    Shard,
    index::{self, IndexEntry},
    key_index::{self, KeyEntry},
    keys,
    lite_topic::Forgotten,
    state::encode_queue,
};

/// Queues whose written entries leave memory while nobody else may touch the state.
const QUEUES_PER_LOCK: usize = 256;

/// What a checkpoint took out of the state.
struct Taken {
    position: LogPosition,
    changes: Arc<Changes>,
    key_entries: Arc<Vec<KeyEntry>>,
    /// New index entries by queue: first offset and entries.
    queues: Vec<(StreamKey, u64, Vec<IndexEntry>)>,
}

impl Shard {
    /// Writes everything applied so far to the KV, durable on return, and returns the log position
    /// it stands for. Blocks on the disk: call it from a thread that may.
    pub fn checkpoint(&self) -> Result<LogPosition, KvError> {
        let mut upkeep = self.upkeep.lock();
        let taken = self.take();
        let written = self.write(&taken);
        let mut state = self.state.lock();
        let mut forgotten = Forgotten::default();
        if written.is_err() {
            // Nothing is lost: the changes go back below those that came meanwhile.
            let newer = std::mem::take(&mut state.pending);
            let mut changes = Arc::unwrap_or_clone(std::mem::take(&mut state.flushing));
            changes.extend(newer);
            state.pending = changes;
            state.new_receipts.checkpoint_failed();
            let entries = std::mem::take(&mut state.key_entries_flushing);
            state.key_entries.extend_from_slice(&entries);
            state
                .dirty
                .extend(taken.queues.iter().map(|(stream, ..)| *stream));
        } else {
            state.flushing = Arc::default();
            state.key_entries_flushing = Arc::default();
            for written in taken.queues.chunks(QUEUES_PER_LOCK) {
                for (stream, first, entries) in written {
                    if let Some(queue) = state.queues.get_mut(stream) {
                        queue.tail.forget_before(first + entries.len() as u64);
                    }
                    state.tail_entries -= entries.len();
                }
                // The KV and the tail have the same: it does not matter who reads which.
                MutexGuard::bump(&mut state);
            }
            forgotten = state.forget_idle_lite_topics(self.log.tail());
        }
        drop(state);
        drop(forgotten);
        let durable = written?;
        upkeep.checkpoint = durable;
        Ok(durable)
    }

    fn take(&self) -> Taken {
        let mut state = self.state.lock();
        state.write_trends(self.clock.now());
        state.write_lite_lags();
        let changes = Arc::new(std::mem::take(&mut state.pending));
        state.flushing = changes.clone();
        state.new_receipts.checkpoint_begins();
        let key_entries = Arc::new(std::mem::take(&mut state.key_entries));
        state.key_entries_flushing = key_entries.clone();
        let dirty = std::mem::take(&mut state.dirty);
        let queues = dirty
            .into_iter()
            .filter_map(|stream| {
                let tail = &state.queues.get(&stream)?.tail;
                let entries = (tail.base()..tail.end())
                    .filter_map(|n| tail.get(n))
                    .collect();
                Some((stream, tail.base(), entries))
            })
            .collect();
        Taken {
            position: state.applied,
            changes,
            key_entries,
            queues,
        }
    }

    fn write(&self, taken: &Taken) -> Result<LogPosition, KvError> {
        let mut batch = Batch {
            shared: Arc::clone(&taken.changes),
            changes: Changes::new(),
        };
        for (stream, first, entries) in &taken.queues {
            self.write_index(*stream, *first, entries, &mut batch.changes)?;
        }
        self.write_keys(&taken.key_entries, taken.position, &mut batch.changes)?;
        if taken.position > self.kv.position()? {
            let now = Bytes::copy_from_slice(&self.clock.now().ms().to_le_bytes());
            batch
                .changes
                .insert(keys::time_mark(taken.position.get()), Some(now));
        }
        if batch.is_empty() && taken.position == self.kv.position()? {
            return self.kv.flush();
        }
        self.kv.apply(&batch, taken.position)?;
        self.kv.flush()
    }

    /// Adds new index entries to the blocks they belong to.
    fn write_index(
        &self,
        stream: StreamKey,
        first: u64,
        entries: &[IndexEntry],
        changes: &mut Changes,
    ) -> Result<(), KvError> {
        let mut at = first;
        let mut rest = entries;
        while !rest.is_empty() {
            let block = at / index::BLOCK_ENTRIES;
            let within = (at % index::BLOCK_ENTRIES) as usize;
            let count = rest.len().min(index::BLOCK_ENTRIES as usize - within);
            let (now, later) = rest.split_at(count);
            let key = keys::index(stream, block);
            let mut value = match within {
                0 => Vec::with_capacity(count * IndexEntry::BYTES),
                _ => self
                    .kv
                    .get(&key)?
                    .map(|block| block.to_vec())
                    .unwrap_or_default(),
            };
            // Entries that retention removed with their block leave a gap that nobody asks for.
            value.resize(within * IndexEntry::BYTES, 0);
            now.iter().for_each(|entry| entry.encode(&mut value));
            changes.insert(key, Some(value.into()));
            at += count as u64;
            rest = later;
        }
        let min = self
            .state
            .lock()
            .queues
            .get(&stream)
            .map_or(0, |queue| queue.min);
        changes.insert(keys::queue(stream), Some(encode_queue(at, min)));
        Ok(())
    }

    fn write_keys(
        &self,
        entries: &[KeyEntry],
        position: LogPosition,
        changes: &mut Changes,
    ) -> Result<(), KvError> {
        let mut partitions: BTreeMap<u8, Vec<KeyEntry>> = BTreeMap::new();
        for entry in entries {
            partitions
                .entry(key_index::partition(entry.hash()))
                .or_default()
                .push(*entry);
        }
        for (partition, entries) in partitions {
            let (from, to) = (
                keys::key_run(partition, 0),
                keys::key_run(partition, u64::MAX),
            );
            let last = self.kv.range(&from, &to, true, 1)?.pop();
            let small = last.filter(|(_, run)| run.len() < key_index::RUN_BYTES_MIN);
            let value = key_index::encode_run(small.as_ref().map(|(_, run)| run), &entries);
            if let Some((key, _)) = small {
                changes.insert(key.to_vec(), None);
            }
            changes.insert(keys::key_run(partition, position.get()), Some(value.into()));
        }
        Ok(())
    }
}
