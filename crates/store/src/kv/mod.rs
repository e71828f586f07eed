//! The state KV: what the broker derives from the log, so that a restart need not read all of it.
//!
//! State is a durable checkpoint plus the log after it. Only what is already durable in the log is
//! written here, in atomic batches that carry their log position. A crash may lose the batches
//! since the last flush, newest first, never one in the middle: the log has them still.

mod fjall;

use std::{cmp::Ordering, collections::BTreeMap, sync::Arc};

use base::LogPosition;
use bytes::Bytes;

pub use self::fjall::{FjallDatabase, FjallKv};

/// New values by key; `None` removes the key.
pub type Changes = BTreeMap<Vec<u8>, Option<Bytes>>;

/// Changes that become visible together.
#[derive(Clone, Debug, Default)]
pub struct Batch {
    /// Changes that are read by others while the batch is written, and so not copied into it.
    pub shared: Arc<Changes>,
    /// Changes besides. Where both have a key, these count.
    pub changes: Changes,
}

impl Batch {
    /// Whether nothing changes.
    pub fn is_empty(&self) -> bool {
        self.shared.is_empty() && self.changes.is_empty()
    }

    /// Every key that changes, once and in ascending order, with its new value.
    pub fn iter(&self) -> impl Iterator<Item = (&[u8], Option<&Bytes>)> {
        let (mut shared, mut own) = (
            self.shared.iter().peekable(),
            self.changes.iter().peekable(),
        );
        let next = move || {
            let order = match (shared.peek(), own.peek()) {
                (Some((shared, _)), Some((own, _))) => shared.cmp(own),
                (Some(_), None) => Ordering::Less,
                (None, _) => Ordering::Greater,
            };
            match order {
                Ordering::Less => shared.next(),
                Ordering::Equal => shared.next().and(own.next()),
                Ordering::Greater => own.next(),
            }
        };
        std::iter::from_fn(next).map(|(key, value)| (key.as_slice(), value.as_ref()))
    }
}

/// Why the state KV failed. None of these is the caller's fault.
#[derive(Debug, thiserror::Error)]
pub enum KvError {
    /// The engine or its disk failed; the operation did not happen.
    #[error("{operation} state KV: {reason}")]
    Engine {
        /// A bare verb phrase, e.g. "flush".
        operation: &'static str,
        /// What the engine said.
        reason: String,
    },
}

/// The derived state of one shard. All methods may be called from any thread.
pub trait StateKv: Send + Sync {
    /// The value of `key`.
    fn get(&self, key: &[u8]) -> Result<Option<Bytes>, KvError>;

    /// Up to `limit` pairs with `from <= key < to`, ascending, or descending if `reverse`.
    fn range(
        &self,
        from: &[u8],
        to: &[u8],
        reverse: bool,
        limit: usize,
    ) -> Result<Vec<(Bytes, Bytes)>, KvError>;

    /// Applies `batch` atomically; it stands for the log before `position`, which never falls.
    fn apply(&self, batch: &Batch, position: LogPosition) -> Result<(), KvError>;

    /// Makes everything applied durable and returns the position it stands for.
    fn flush(&self) -> Result<LogPosition, KvError>;

    /// The position that the applied state stands for: the log from here on is to be replayed.
    fn position(&self) -> Result<LogPosition, KvError>;
}
