//! Queue locks: ordered consumers of a group share out the queues one by one.
//!
//! In memory only: after a restart nobody holds a lock, and clients renew theirs every 20 s.

use base::{ErrorKind, GroupName, QueueId, TopicName};

use crate::Shard;

/// Why locks could not be taken.
#[derive(Clone, Debug, PartialEq, Eq, thiserror::Error)]
pub enum LockError {
    /// More queues in one request than a topic can have in all its shards.
    #[error("lock request names {count} queues, limit {limit}")]
    TooMany {
        /// Queues named.
        count: usize,
        /// Queues allowed.
        limit: usize,
    },
}

impl LockError {
    /// What the caller should do.
    pub fn kind(&self) -> ErrorKind {
        ErrorKind::Request
    }
}

impl Shard {
    /// Locks the queues for `client` where nobody else in `group` holds them, and returns those it
    /// holds now. A lock lasts [`base::limits::QUEUE_LOCK_EXPIRY_MS`] unless renewed by locking again.
    pub fn lock_queues(
        &self,
        group: &GroupName,
        client: &str,
        queues: &[(TopicName, QueueId)],
    ) -> Result<Vec<(TopicName, QueueId)>, LockError> {
        let _ = (group, client, queues);
        unimplemented!()
    }

    /// Gives back what `client` holds of the queues.
    pub fn unlock_queues(
        &self,
        group: &GroupName,
        client: &str,
        queues: &[(TopicName, QueueId)],
    ) -> Result<(), LockError> {
        let _ = (group, client, queues);
        unimplemented!()
    }
}
