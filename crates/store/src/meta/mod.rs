//! The metadata store: what an operator creates and what must agree across nodes.
//!
//! Nothing in it changes per message or per offset. Small, strongly consistent, watchable; embedded
//! on one machine, etcd past it.

mod embedded;
mod etcd;
mod overwrite;

use std::time::Duration;

use bytes::Bytes;
use futures::future::BoxFuture;

pub use embedded::EmbeddedMetadata;
pub use etcd::{EtcdMetadata, EtcdOptions, EtcdTls};
pub use overwrite::{erase_all, made_once, overwrite};

/// Orders all changes of the store: each change has a larger revision than those before it.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq, PartialOrd, Ord, Hash)]
pub struct Revision(pub u64);

/// A key with its value and the revision that wrote it.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Entry {
    /// The key.
    pub key: String,
    /// The value.
    pub value: Bytes,
    /// The change that wrote the value.
    pub revision: Revision,
}

impl Entry {
    /// The error of who cannot understand the value, for a `reason` in the reader's words.
    pub fn unreadable(&self, reason: impl ToString) -> MetadataError {
        MetadataError::Unavailable {
            operation: "read",
            reason: format!("key `{}` is unreadable: {}", self.key, reason.to_string()),
        }
    }
}

/// A change that a watch reports; `value` is `None` where the key was removed.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Change {
    /// The key.
    pub key: String,
    /// The value now.
    pub value: Option<Bytes>,
    /// The change.
    pub revision: Revision,
}

/// What a compare-and-set expects to find.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Expected {
    /// No such key.
    Absent,
    /// The key, last written by this change.
    At(Revision),
}

/// A promise that its holder lives; keys tied to it vanish when it is not kept.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Hash)]
pub struct LeaseId(pub u64);

/// Why a metadata operation failed.
#[derive(Debug, thiserror::Error)]
pub enum MetadataError {
    /// Somebody else changed the key: read again and decide anew.
    #[error("metadata key `{key}` is at revision {found:?}, expected {expected:?}")]
    Conflict {
        /// The key.
        key: String,
        /// The revision found, `None` if the key is absent.
        found: Option<Revision>,
        /// What the caller expected.
        expected: Expected,
    },
    /// The lease is not, or no longer, there.
    #[error("lease {0:?} has expired")]
    LeaseExpired(LeaseId),
    /// The store cannot be reached or its disk failed; whether a change happened is unknown.
    #[error("{operation} metadata: {reason}")]
    Unavailable {
        /// A bare verb phrase, e.g. "read".
        operation: &'static str,
        /// What went wrong.
        reason: String,
    },
}

/// Changes under a prefix, in revision order, from the revision that was asked for.
pub type Watch = futures::stream::BoxStream<'static, Result<Change, MetadataError>>;

/// The metadata store. All methods may be called from any thread.
pub trait MetadataStore: Send + Sync {
    /// The entry of `key`.
    fn get(&self, key: &str) -> BoxFuture<'_, Result<Option<Entry>, MetadataError>>;

    /// All entries whose key starts with `prefix`, in key order, and the revision they stand for.
    fn range(&self, prefix: &str) -> BoxFuture<'_, Result<(Vec<Entry>, Revision), MetadataError>>;

    /// Sets `key` to `value` (`None` removes it) if it is as `expected`; durable when it returns.
    /// With a lease the key vanishes when the lease ends.
    fn compare_and_set(
        &self,
        key: &str,
        expected: Expected,
        value: Option<Bytes>,
        lease: Option<LeaseId>,
    ) -> BoxFuture<'_, Result<Revision, MetadataError>>;

    /// Changes under `prefix` after `revision`.
    fn watch(&self, prefix: &str, revision: Revision) -> Watch;

    /// A lease that must be kept alive at least every `ttl`.
    fn grant_lease(&self, ttl: Duration) -> BoxFuture<'_, Result<LeaseId, MetadataError>>;

    /// Prolongs the lease by its time to live.
    fn keep_alive(&self, lease: LeaseId) -> BoxFuture<'_, Result<(), MetadataError>>;

    /// Ends the lease and removes its keys.
    fn revoke_lease(&self, lease: LeaseId) -> BoxFuture<'_, Result<(), MetadataError>>;
}
