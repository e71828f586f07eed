//! Receive: take messages of a group for a time, during which nobody else in the group gets them.

use std::{pin::pin, sync::Arc, time::Duration};

use base::{ErrorKind, GroupName, QueueId, StreamKey, Timestamp, TopicName, limits};
use futures::{FutureExt, future::select};
use store::log::AppendError;
use tokio::sync::Notify;
use wire::message::StoredMessage;

use crate::{
    Filter, Group, GroupNotFound, LiteBindingError, PullError, ReceiptHandle, Shard,
    SyncLiteSubscriptionError, Topic, TopicNotFound, TopicType,
    claim::order,
    claims::Claims,
    consumption::Consumption,
    pull::check_enabled,
    state::{State, WaitingPlace},
    wait,
};

/// What to take.
#[derive(Clone, Debug)]
pub struct ReceiveRequest {
    /// The group; created on the fly where the instance allows it.
    pub group: GroupName,
    /// The topic.
    pub topic: TopicName,
    /// One queue, or any of the topic in this shard.
    pub queue: Option<QueueId>,
    /// Most messages wanted; capped at [`base::limits::PULL_MESSAGES_MAX`].
    pub max_messages: usize,
    /// How long the messages are this client's alone.
    pub invisible: Duration,
    /// Which messages; others are passed over and count as consumed.
    pub filter: Filter,
    /// Where a group begins in a queue that it has never consumed.
    pub start: Start,
    /// Whether the messages of a queue come strictly in order: none while an earlier one is with
    /// somebody else, and those that failed before any other, all together. Without it a FIFO group
    /// still receives each message group in order.
    pub in_order: bool,
    /// How long to wait if there is none.
    pub wait: Duration,
    /// The client whose messages stay invisible for as long as it is alive (gRPC push consumers ask
    /// for that), each for at most [`base::limits::INVISIBLE_MS_MAX`].
    pub renew_while_alive: Option<String>,
}

/// Where a group begins that is new to a queue.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Start {
    /// With the oldest message: nothing is skipped.
    Oldest,
    /// With the newest one, unless the queue still has its first message: then nothing is skipped
    /// either. Source: `PopMessageProcessor.getInitOffset` of Apache 5.5, whose test for a young
    /// queue is that it begins at 0 and is in memory.
    Newest,
}

impl Start {
    pub(crate) fn offset(self, min: u64, max: u64) -> u64 {
        match self {
            Self::Newest if min > 0 => max.saturating_sub(1).max(min),
            Self::Oldest | Self::Newest => min,
        }
    }
}

/// A message taken.
#[derive(Clone, Debug)]
pub struct Received {
    /// The message.
    pub message: StoredMessage,
    /// What acknowledges it.
    pub handle: ReceiptHandle,
    /// Which delivery of it this is, from 1.
    pub attempt: u32,
    /// Until when it is this client's alone.
    pub invisible_until: Timestamp,
}

/// Why nothing was handed out.
#[derive(Debug, thiserror::Error)]
pub enum ReceiveError {
    /// No such topic or queue, or reading failed.
    #[error(transparent)]
    Pull(#[from] PullError),
    /// No such group.
    #[error(transparent)]
    GroupNotFound(#[from] GroupNotFound),
    /// The group was not there and could not be created.
    #[error(transparent)]
    CreateGroup(#[from] crate::CreateGroupError),
    /// The invisible duration is out of bounds.
    #[error("invisible duration of {asked_ms} ms is outside {min_ms} to {max_ms} ms")]
    Invisible {
        /// Asked for.
        asked_ms: u128,
        /// Least.
        min_ms: u64,
        /// Most.
        max_ms: u64,
    },
    /// Group and topic do not go together in LiteTopics.
    #[error(transparent)]
    LiteBinding(#[from] LiteBindingError),
    /// There are as many consumers of LiteTopics as there may be.
    #[error(transparent)]
    LiteSubscription(#[from] Box<SyncLiteSubscriptionError>),
    /// The log took no receipt: full, busy or broken.
    #[error("messages of topic `{topic}` not handed out to group `{group}`")]
    Log {
        /// The topic.
        topic: TopicName,
        /// The group.
        group: GroupName,
        /// What the log said.
        #[source]
        source: AppendError,
    },
}

impl ReceiveError {
    /// What the caller should do.
    pub fn kind(&self) -> ErrorKind {
        match self {
            Self::Pull(error) => error.kind(),
            Self::GroupNotFound(_) => ErrorKind::NotFound,
            Self::CreateGroup(error) => error.kind(),
            Self::Invisible { .. } | Self::LiteBinding(_) => ErrorKind::Request,
            Self::LiteSubscription(error) => error.kind(),
            Self::Log { source, .. } => source.kind(),
        }
    }
}

impl Shard {
    /// Takes up to `max_messages`: first those whose invisible time has ended unacknowledged, then
    /// new ones. Empty if none came within `wait`. Messages past the group's attempts become dead
    /// letters instead. Dropping the future before it completes hands nothing out.
    pub async fn receive(&self, request: ReceiveRequest) -> Result<Vec<Received>, ReceiveError> {
        check_invisible(request.invisible)?;
        let (topic, group) = self.receiving(&request).await?;
        if topic.spec.is_lite() && request.queue.is_none() {
            if group.spec.lite_topic.is_some() && !group.spec.consumes_every_lite_topic() {
                let (group, topic) = (request.group, request.topic);
                return Err(LiteBindingError::Selective { group, topic }.into());
            }
            return self.receive_of_lite(request, &topic, &group, None).await;
        }
        let deadline = self.clock.elapsed() + request.wait_within_limits();
        let mut waiting = Waiting::new(self, (topic.id, request.queue), &group);
        loop {
            if self.is_draining() {
                return Ok(Vec::new());
            }
            // Either may have been deleted while this waited.
            self.check_alive(&topic, &group)?;
            // Asked for before looking, so that an arrival in between is not missed.
            let mut woken = pin!(waiting.notify.notified());
            woken.as_mut().enable();
            // In a place of its own: many thousand polls wait here, and none of them is looking.
            let (received, due, rest) =
                Box::pin(self.receive_now(&request, &topic, &group)).await?;
            let left = deadline.saturating_sub(self.clock.elapsed());
            // Where so much did not match that looking stopped, waiting would be for what is there.
            if !received.is_empty() || left.is_zero() || rest {
                self.count_received(&topic, &group, &received);
                return Ok(received);
            }
            let pause = due.map_or(left, |due| due.since(self.clock.now()).min(left));
            waiting.has_waited = true;
            let drained = pin!(self.drained());
            wait::until(select(woken, drained).map(drop), &*self.clock, pause).await;
        }
    }

    /// Topic and group of a receive, if they may be received from and receive.
    pub(crate) async fn receiving(
        &self,
        request: &ReceiveRequest,
    ) -> Result<(Arc<Topic>, Arc<Group>), ReceiveError> {
        let topic = self.readable_topic(&request.topic)?;
        if let Some(queue) = request.queue {
            topic.queue(queue).map_err(PullError::from)?;
        }
        let group = self.catalogue.group_or_create(&request.group).await?;
        let group = group.ok_or_else(|| GroupNotFound {
            group: request.group.clone(),
            instance: self.catalogue.instance.clone(),
        })?;
        check_enabled(&group)?;
        self.admit_receive(&topic, &group)
            .map_err(PullError::from)?;
        Ok((topic, group))
    }

    pub(crate) fn check_alive(&self, topic: &Topic, group: &Group) -> Result<(), ReceiveError> {
        if self.catalogue.topic_by_id(topic.id).is_none() {
            let (topic, instance) = (topic.name().clone(), self.catalogue.instance.clone());
            return Err(PullError::from(TopicNotFound { topic, instance }).into());
        }
        if !self.catalogue.has_group_id(group.id) {
            let (group, instance) = (group.name().clone(), self.catalogue.instance.clone());
            return Err(GroupNotFound { group, instance }.into());
        }
        Ok(())
    }

    /// What a receive finds at this moment, when to look again (the next delivery in flight is due,
    /// or a queue lock ends), and whether it has not looked at everything.
    async fn receive_now(
        &self,
        request: &ReceiveRequest,
        topic: &Topic,
        group: &Group,
    ) -> Result<(Vec<Received>, Option<Timestamp>, bool), ReceiveError> {
        let messages_max = request.max_messages.clamp(1, limits::PULL_MESSAGES_MAX);
        let mut claims = Claims::new(self, topic, group);
        let mut next_due: Option<Timestamp> = None;
        let mut rest = false;
        let first = self.next_turn();
        let queues = u64::from(topic.spec.queues);
        for n in 0..queues {
            let nth = match topic.spec.topic_type {
                // Highest first, whoever waits.
                Some(TopicType::Priority) => queues - 1 - n,
                _ => first.wrapping_add(n) % queues,
            };
            let queue = request.queue.unwrap_or(QueueId::new(nth as u32));
            let stream = Self::stream(topic, queue);
            let looked = self.look_at(request, &mut claims, topic, stream, messages_max);
            let looked = looked.await?;
            rest |= looked.rest;
            next_due = [next_due, looked.due].into_iter().flatten().min();
            if !looked.room || claims.count() >= messages_max || request.queue.is_some() {
                break;
            }
        }
        Ok((claims.hand_out(), next_due, rest))
    }

    /// Claims and reads what one queue has for a receive.
    pub(crate) async fn look_at<'a>(
        &'a self,
        request: &ReceiveRequest,
        claims: &mut Claims<'a>,
        topic: &Topic,
        stream: StreamKey,
        messages_max: usize,
    ) -> Result<Looked, ReceiveError> {
        let mut rest = false;
        // One moment for all rounds: what is claimed in one must not be due in the next.
        let now = self.clock.now();
        let room = loop {
            // In every round: what did not match may have taken the place of others that are due.
            let due = self.take_due(request, claims, topic, (stream, now), messages_max);
            rest |= due.await?;
            rest |= self.claim_new(request, claims, stream, messages_max)?;
            let claimed = claims.count();
            let room = claims.read(&request.filter).await?;
            // What only looked like a match made no use of its place.
            if !room || claims.count() == claimed {
                break room;
            }
        };
        let due = self.next_change(request, claims.group, stream)?;
        Ok(Looked { rest, room, due })
    }

    /// When there may be something to hand out again without anything happening.
    fn next_change(
        &self,
        request: &ReceiveRequest,
        group: &Group,
        stream: StreamKey,
    ) -> Result<Option<Timestamp>, ReceiveError> {
        let mut state = self.state.lock();
        if let Some(lock) = state.queue_lock(group.id, stream, self.clock.now()) {
            return Ok(Some(lock.until));
        }
        let consumption = consumption(&mut state, stream, group, &request.topic)?;
        Ok(consumption.next_due_in(order(request, group)))
    }

    pub(crate) fn group_state<T>(
        &self,
        request: &ReceiveRequest,
        group: &Group,
        stream: StreamKey,
        look: impl FnOnce(&mut Consumption) -> T,
    ) -> Result<T, ReceiveError> {
        let mut state = self.state.lock();
        Ok(look(consumption(
            &mut state,
            stream,
            group,
            &request.topic,
        )?))
    }

    fn next_turn(&self) -> u64 {
        let mut state = self.state.lock();
        state.turn = state.turn.wrapping_add(1);
        state.turn
    }

    pub(crate) fn count_received(&self, topic: &Topic, group: &Group, received: &[Received]) {
        if received.is_empty() {
            return;
        }
        let mut state = self.state.lock();
        let count = state.out_counts.entry((group.id, topic.id)).or_default();
        received
            .iter()
            .for_each(|received| count.add(received.message.bytes().len()));
        let series = (topic.id, Some(group.id));
        state.count_in_trend(series, self.clock.now(), received.len());
        drop(state);
        let messages = received.iter().map(|received| &received.message);
        self.count_deliveries(topic, group, messages);
    }
}

/// What a look at one queue has left.
pub(crate) struct Looked {
    /// Whether it stopped before it was through.
    pub(crate) rest: bool,
    /// Whether the answer has room for more.
    pub(crate) room: bool,
    /// When there may be more without anything happening.
    pub(crate) due: Option<Timestamp>,
}

impl ReceiveRequest {
    pub(crate) fn wait_within_limits(&self) -> Duration {
        self.wait
            .min(Duration::from_millis(limits::LONG_POLL_MS_MAX))
    }
}

pub(crate) fn check_invisible(invisible: Duration) -> Result<(), ReceiveError> {
    let asked_ms = invisible.as_millis();
    let (min_ms, max_ms) = (limits::INVISIBLE_CHANGE_MS_MIN, limits::INVISIBLE_MS_MAX);
    if asked_ms < u128::from(min_ms) || asked_ms > u128::from(max_ms) {
        return Err(ReceiveError::Invisible {
            asked_ms,
            min_ms,
            max_ms,
        });
    }
    Ok(())
}

pub(crate) fn state_error(topic: &TopicName, source: store::kv::KvError) -> ReceiveError {
    PullError::State {
        topic: topic.clone(),
        source,
    }
    .into()
}

pub(crate) fn consumption<'a>(
    state: &'a mut State,
    stream: StreamKey,
    group: &Group,
    topic: &TopicName,
) -> Result<&'a mut Consumption, ReceiveError> {
    state
        .consumption(stream, group.id)
        .map_err(|source| state_error(topic, source))
}

/// A receive that waits, or may come to wait: registered for as long as this lives.
///
/// Of the receives of a group that wait at one place, one at least knows of everything there is: it
/// has looked since the last change, and looks again when the next delivery in flight is due. So a
/// change wakes one of them only, however many wait, and one that has waited wakes another as it
/// leaves, whatever for: there may be more than it took, and it may be the one that knew.
pub(crate) struct Waiting<'a> {
    shard: &'a Shard,
    place: WaitingPlace,
    group: base::GroupId,
    pub(crate) notify: Arc<Notify>,
    pub(crate) has_waited: bool,
}

impl<'a> Waiting<'a> {
    pub(crate) fn new(shard: &'a Shard, place: WaitingPlace, group: &Group) -> Self {
        let notify = shard.state.lock().start_receiving(place, group.id);
        Self {
            shard,
            place,
            group: group.id,
            notify,
            has_waited: false,
        }
    }
}

impl Drop for Waiting<'_> {
    fn drop(&mut self) {
        self.shard
            .state
            .lock()
            .stop_receiving(self.place, self.group);
        if self.has_waited {
            self.notify.notify_one();
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_start_at_the_newest_skips_only_what_has_a_past() {
        assert_eq!(Start::Newest.offset(0, 9), 0);
        assert_eq!(Start::Newest.offset(3, 9), 8);
        assert_eq!(Start::Newest.offset(9, 9), 9);
        assert_eq!(Start::Oldest.offset(3, 9), 3);
    }
}
