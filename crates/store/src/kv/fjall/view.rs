//! A view: the tables of a keyspace at one moment, read without asking the engine for them.
//!
//! The engine keeps its list of tables under a lock, and holds that over several syncs when a batch
//! or a compaction changes the list. Its own reads take the lock too, so they would wait for tens
//! of milliseconds, and with them everybody who waits for the state of the shard. Nothing but
//! batches changes what there is to read here, so whoever applies them takes a view after each, and
//! everybody reads from that.
//!
//! A view keeps its tables, also those that a compaction has replaced since: their files go with
//! the view. All that it reads with is public in the engine but left out of its documentation,
//! hence the exact version in the manifest.

use fjall::{AbstractTree as _, AnyTree, Keyspace};
use lsm_tree::{InternalValue, SeqNo, Slice, Tree, table::filter::standard_bloom};

type Get = dyn Fn(&[u8]) -> lsm_tree::Result<Option<Slice>> + Send + Sync;
type Entries = Box<dyn DoubleEndedIterator<Item = lsm_tree::Result<InternalValue>>>;
type Range = dyn Fn(&[u8], &[u8]) -> Entries + Send + Sync;

/// What a keyspace had at one moment.
pub(super) struct View {
    // The engine does not export the types of what these hold.
    get: Box<Get>,
    range: Box<Range>,
}

impl View {
    /// What a keyspace has now, batches applied only. Waits for the engine's lock.
    pub(super) fn of(keyspace: &Keyspace) -> Self {
        let AnyTree::Standard(tree) = &keyspace.tree else {
            unreachable!("keyspaces are made without blobs, see `options`");
        };
        let tables = tree.current_version();
        let get = move |key: &[u8]| {
            let hash = standard_bloom::Builder::get_hash(key);
            // Newest first.
            let runs = tables.iter_levels().flat_map(|level| level.iter());
            for table in runs.filter_map(|run| run.get_for_key(key)) {
                if let Some(found) = table.get(key, SeqNo::MAX, hash)? {
                    return Ok((!found.is_tombstone()).then_some(found.value));
                }
            }
            Ok(None)
        };
        // Maybe of a later compaction than `tables`: they hold the same.
        let all = tree.get_version_history_lock().latest_version();
        let range = move |from: &[u8], to: &[u8]| -> Entries {
            let range = from..to;
            Box::new(Tree::create_internal_range(
                all.clone(),
                &range,
                SeqNo::MAX,
                None,
            ))
        };
        Self {
            get: Box::new(get),
            range: Box::new(range),
        }
    }

    /// The value of `key`.
    pub(super) fn get(&self, key: &[u8]) -> fjall::Result<Option<Slice>> {
        Ok((self.get)(key)?)
    }

    /// Keys and values with `from <= key < to`, ascending.
    pub(super) fn range(
        &self,
        from: &[u8],
        to: &[u8],
    ) -> impl DoubleEndedIterator<Item = fjall::Result<(Slice, Slice)>> + use<> {
        (self.range)(from, to).map(|entry| {
            let InternalValue { key, value } = entry?;
            Ok((key.user_key, value))
        })
    }
}
