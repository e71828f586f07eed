//! Queue locks: ordered consumers of a group share out the queues one by one.
//!
//! In memory only: after a restart nobody holds a lock, and clients renew theirs every 20 s.
//!
//! A queue has one mode at a time: while it is locked, receives hand out nothing of it. So that the
//! turn comes to who wants to lock it, they stop when a lock is refused because of deliveries in
//! flight, too, and go on if it is not asked for again before it would have expired.

use std::time::Duration;

use base::{ErrorKind, GroupName, QueueId, StreamKey, Timestamp, TopicName};

use crate::{
    Group, Shard,
    state::{QueueLock, State},
};

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
    /// holds now. A lock lasts [`crate::InstanceSettings::queue_lock_expiry_ms`] unless renewed by
    /// locking again. While a delivery of the group is with a consumer, the lock of its queue is
    /// not granted; but from then on receives hand out nothing more of it for that long.
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
        let expiry_ms = self.catalogue.settings.queue_lock_expiry_ms;
        let until = now.after(Duration::from_millis(expiry_ms));
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
            let is_held = match state.queue_lock(group.id, stream, now) {
                Some(lock) if lock.is_held && lock.client != client => continue,
                Some(lock) if lock.is_held => true,
                Some(_) | None => !self.is_being_consumed(&mut state, &group, stream, now),
            };
            let lock = QueueLock {
                client: client.to_owned(),
                until,
                is_held,
            };
            state.locks.insert((group.id, stream), lock);
            if is_held {
                held.push((name.clone(), queue));
            }
        }
        Ok(held)
    }

    /// Whether a delivery of the group is with a consumer. What cannot be read may be.
    fn is_being_consumed(
        &self,
        state: &mut State,
        group: &Group,
        stream: StreamKey,
        now: Timestamp,
    ) -> bool {
        let Ok(consumption) = state.consumption(stream, group.id) else {
            return true;
        };
        // Those whose time has ended wait for a receive that may never come.
        consumption.last_due().is_some_and(|last| last > now)
            || consumption
                .deliveries()
                .any(|delivery| self.prolong(delivery, now).is_some())
    }

    /// Gives back what `client` holds of the queues, and what it has asked for in vain.
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
