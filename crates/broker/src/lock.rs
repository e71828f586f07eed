//! Queue locks: ordered consumers of a group share out the queues one by one.
//!
//! In memory only: after a restart nobody holds a lock, and clients renew theirs every 20 s.

use std::time::Duration;

use base::{ErrorKind, GroupName, QueueId, TopicName, limits};

use crate::{Shard, state::QueueLock};

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

/// Queues in one request: more than any client asks for at once.
const QUEUES_PER_REQUEST_MAX: usize = 65_536;

impl Shard {
    /// Locks the queues for `client` where nobody else in `group` holds them, and returns those it
    /// holds now. A lock lasts [`limits::QUEUE_LOCK_EXPIRY_MS`] unless renewed by locking again.
    /// While deliveries of the group are in flight on a queue, its lock is not granted.
    pub fn lock_queues(
        &self,
        group: &GroupName,
        client: &str,
        queues: &[(TopicName, QueueId)],
    ) -> Result<Vec<(TopicName, QueueId)>, LockError> {
        check(queues)?;
        let Some(group) = self.catalogue.group(group) else {
            return Ok(Vec::new());
        };
        let now = self.clock.now();
        let until = now.after(Duration::from_millis(limits::QUEUE_LOCK_EXPIRY_MS));
        let mut held = Vec::new();
        let mut state = self.state.lock();
        state.locks.retain(|_, lock| lock.until > now);
        for (name, queue) in queues {
            let Some(topic) = self.catalogue.topic(name) else {
                continue;
            };
            let Ok(queue) = topic.queue(*queue) else {
                continue;
            };
            let stream = Self::stream(&topic, queue);
            match state.lock_holder(group.id, stream, now) {
                Some(holder) if holder.client != client => continue,
                Some(_) => {}
                None => {
                    let free = state.consumption(stream, group.id);
                    if !free.is_ok_and(|consumption| consumption.in_flight_count() == 0) {
                        continue;
                    }
                }
            }
            let lock = QueueLock {
                client: client.to_owned(),
                until,
            };
            state.locks.insert((group.id, stream), lock);
            held.push((name.clone(), queue));
        }
        Ok(held)
    }

    /// Gives back what `client` holds of the queues.
    pub fn unlock_queues(
        &self,
        group: &GroupName,
        client: &str,
        queues: &[(TopicName, QueueId)],
    ) -> Result<(), LockError> {
        check(queues)?;
        let Some(group) = self.catalogue.group(group) else {
            return Ok(());
        };
        let mut state = self.state.lock();
        for (name, queue) in queues {
            let Some(topic) = self.catalogue.topic(name) else {
                continue;
            };
            let key = (group.id, Self::stream(&topic, *queue));
            if state
                .locks
                .get(&key)
                .is_some_and(|lock| lock.client == client)
            {
                state.locks.remove(&key);
                state.wake_group(key.1, group.id);
            }
        }
        Ok(())
    }
}

fn check(queues: &[(TopicName, QueueId)]) -> Result<(), LockError> {
    let (count, limit) = (queues.len(), QUEUES_PER_REQUEST_MAX);
    if count > limit {
        return Err(LockError::TooMany { count, limit });
    }
    Ok(())
}
