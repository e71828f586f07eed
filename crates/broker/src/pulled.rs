//! How far the members of a group have pulled. What lies between there and what the group has
//! committed is in their hands. Kept in memory only, for administration: after a restart it is told
//! again by the next pull.

use std::collections::HashMap;

use base::{GroupId, GroupName, QueueId, QueueOffset, StreamKey, TopicName, limits};

use crate::{OffsetError, Shard};

/// Where the next pull of a group from a queue goes on.
#[derive(Debug, Default)]
pub(crate) struct PullPositions {
    next: HashMap<(StreamKey, GroupId), u64>,
}

impl PullPositions {
    fn set(&mut self, stream: StreamKey, group: GroupId, next: QueueOffset) {
        // Groups and queues that are gone leave theirs behind: what is full begins anew.
        if self.next.len() >= limits::PULL_POSITIONS_MAX {
            self.next.clear();
        }
        self.next.insert((stream, group), next.get());
    }
}

impl Shard {
    /// Notes where the next pull of a group goes on.
    pub(crate) fn note_pulled(&self, stream: StreamKey, group: GroupId, next: QueueOffset) {
        self.pulled.lock().set(stream, group, next);
    }

    /// Where the next pull of a group from a queue goes on; `None` if it has not pulled from it
    /// since the start of the server.
    ///
    /// # Errors
    /// When the topic has no such queue.
    pub fn pulled_offset(
        &self,
        group: &GroupName,
        topic: &TopicName,
        queue: QueueId,
    ) -> Result<Option<QueueOffset>, OffsetError> {
        let Some(place) = self.queue_of_group(group, topic, queue)? else {
            return Ok(None);
        };
        let next = self.pulled.lock().next.get(&place).copied();
        Ok(next.map(QueueOffset::new))
    }
}

#[cfg(test)]
mod tests {
    use base::TopicId;

    use super::*;

    #[test]
    fn positions_are_kept_up_to_a_limit() {
        let mut positions = PullPositions::default();
        let stream = StreamKey::of_queue(TopicId::new(1), QueueId::new(0));
        for group in 0..=limits::PULL_POSITIONS_MAX {
            let group = GroupId::new(u32::try_from(group).unwrap());
            positions.set(stream, group, QueueOffset::new(7));
            assert_eq!(positions.next[&(stream, group)], 7);
        }
        assert_eq!(positions.next.len(), 1);
    }
}
