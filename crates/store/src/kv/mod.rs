//! The state KV: what the broker derives from the log, so that a restart need not read all of it.
//!
//! State is a durable checkpoint plus the log after it. Only what is already durable in the log is
//! written here, in atomic batches that carry their log position. A crash may lose the batches
//! since the last flush, newest first, never one in the middle: the log has them still.

mod fjall;

use base::LogPosition;
use bytes::Bytes;

pub use self::fjall::{FjallDatabase, FjallKv};

/// Changes that become visible together.
#[derive(Clone, Debug, Default)]
pub struct Batch {
    /// Keys in ascending order; `None` removes the key.
    pub changes: std::collections::BTreeMap<Vec<u8>, Option<Bytes>>,
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
