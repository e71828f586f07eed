//! What a group could receive, without taking it: to wait for it, to count it, to look at it.

use std::{pin::pin, sync::Arc, time::Duration};

use base::{GroupName, QueueId, QueueOffset, StreamKey, Timestamp, TopicName, limits};
use futures::{FutureExt, future::select};

use crate::{
    Group, GroupNotFound, PullError, ReceiveError, Shard, Start, Topic, consumption::Order,
    receive::Waiting, wait,
};

/// Who would receive, and where.
#[derive(Clone, Debug)]
pub struct Receiver {
    /// The group, which must be there.
    pub group: GroupName,
    /// The topic.
    pub topic: TopicName,
    /// One queue, or any of the topic in this shard.
    pub queue: Option<QueueId>,
    /// Where a group begins in a queue that it has never consumed.
    pub start: Start,
}

impl Shard {
    /// Waits, up to `wait`, until a receive would find a message, whatever its filter; says whether
    /// it would.
    pub async fn wait_for_message(
        &self,
        receiver: &Receiver,
        wait: Duration,
    ) -> Result<bool, ReceiveError> {
        let (topic, group) = self.receiver(receiver)?;
        let wait = wait.min(Duration::from_millis(limits::LONG_POLL_MS_MAX));
        let deadline = self.clock.elapsed() + wait;
        let mut waiting = Waiting::new(self, (topic.id, receiver.queue), &group);
        loop {
            if self.is_draining() {
                return Ok(false);
            }
            self.check_alive(&topic, &group)?;
            let mut woken = pin!(waiting.notify.notified());
            woken.as_mut().enable();
            let (found, due) = self.look(receiver, &topic, &group)?;
            if found {
                return Ok(true);
            }
            let left = deadline.saturating_sub(self.clock.elapsed());
            if left.is_zero() {
                return Ok(false);
            }
            let pause = due.map_or(left, |due| due.since(self.clock.now()).min(left));
            waiting.has_waited = true;
            let drained = pin!(self.drained());
            wait::until(select(woken, drained).map(drop), &*self.clock, pause).await;
        }
    }

    /// Messages that no member of the group has been handed, filters aside.
    pub fn unseen_count(&self, receiver: &Receiver) -> Result<u64, ReceiveError> {
        let (topic, group) = self.receiver(receiver)?;
        let mut count = 0;
        for queue in queues(receiver, &topic) {
            let (next, max) = self.unseen(receiver, &group, Self::stream(&topic, queue))?;
            count += max.saturating_sub(next);
        }
        Ok(count)
    }

    /// The first message of a queue that no member of the group has been handed; the end of the
    /// queue if there is none.
    pub fn next_unseen(
        &self,
        receiver: &Receiver,
        queue: QueueId,
    ) -> Result<QueueOffset, ReceiveError> {
        let (topic, group) = self.receiver(receiver)?;
        let queue = topic.queue(queue).map_err(PullError::from)?;
        let (next, max) = self.unseen(receiver, &group, Self::stream(&topic, queue))?;
        Ok(QueueOffset::new(next.min(max)))
    }

    /// Receives of the group that are under way at just this queue, or at any queue of the topic.
    pub fn receives_under_way(&self, receiver: &Receiver) -> Result<usize, ReceiveError> {
        let (topic, group) = self.receiver(receiver)?;
        let state = self.state.lock();
        Ok(state.receiver_count((topic.id, receiver.queue), group.id))
    }

    fn receiver(&self, receiver: &Receiver) -> Result<(Arc<Topic>, Arc<Group>), ReceiveError> {
        let topic = self.readable_topic(&receiver.topic)?;
        if let Some(queue) = receiver.queue {
            topic.queue(queue).map_err(PullError::from)?;
        }
        let group = self.catalogue.group(&receiver.group);
        let group = group.ok_or_else(|| GroupNotFound {
            group: receiver.group.clone(),
            instance: self.catalogue.instance.clone(),
        })?;
        Ok((topic, group))
    }

    /// Whether a receive would find something now, and if not, when it may without anything
    /// happening.
    fn look(
        &self,
        receiver: &Receiver,
        topic: &Topic,
        group: &Group,
    ) -> Result<(bool, Option<Timestamp>), ReceiveError> {
        let now = self.clock.now();
        let order = Order::of(group);
        let mut next_due: Option<Timestamp> = None;
        for queue in queues(receiver, topic) {
            let stream = Self::stream(topic, queue);
            let (next, max) = self.unseen(receiver, group, stream)?;
            let change = self.state_of(topic.name(), |state| {
                if let Some(lock) = state.queue_lock(group.id, stream, now) {
                    return Ok(Err(Some(lock.until)));
                }
                let consumption = state.consumption(stream, group.id)?;
                let due = consumption.next_due_in(order);
                let is_due = due.is_some_and(|due| due <= now);
                if is_due || next < max && consumption.has_room() {
                    return Ok(Ok(()));
                }
                Ok(Err(due))
            })?;
            match change {
                Ok(()) => return Ok((true, None)),
                Err(due) => next_due = [next_due, due].into_iter().flatten().min(),
            }
        }
        Ok((false, next_due))
    }

    /// The first offset that the group has not been handed, and the end of the queue.
    fn unseen(
        &self,
        receiver: &Receiver,
        group: &Group,
        stream: StreamKey,
    ) -> Result<(u64, u64), ReceiveError> {
        let (min, max) = self.range_of(&receiver.topic, stream)?;
        let next = self.state_of(&receiver.topic, |state| {
            Ok(state.consumption(stream, group.id)?.next())
        })?;
        let start = receiver.start.offset(min, max);
        Ok((next.unwrap_or(start).max(min), max))
    }
}

fn queues(receiver: &Receiver, topic: &Topic) -> impl Iterator<Item = QueueId> + use<> {
    let queues = match receiver.queue {
        Some(queue) => queue.get()..queue.get() + 1,
        None => 0..topic.spec.queues,
    };
    queues.map(QueueId::new)
}
