//! Receive of LiteTopics: a client takes messages of those it subscribes to, in the order of each,
//! many of them in one answer. It looks only where something has happened: its agenda says where.

use std::{pin::pin, sync::Arc};

use base::{QueueId, StreamKey, Timestamp, limits};
use futures::{FutureExt, future::select};
use tokio::sync::Notify;

use crate::{
    Group, ReceiveError, ReceiveRequest, Received, Shard, Start, Topic,
    claims::Claims,
    keys,
    lite_subscriptions::{SubscriberId, SubscriberKey},
    receive::{check_invisible, state_error},
    state::next_key,
    sync_lite_subscription::check_binding,
    wait,
};

/// LiteTopics that a walk over all of them puts on the agenda at once.
const WALK_PAGE: usize = 256;

/// LiteTopics looked at before somebody else has a turn of the processor: less than a millisecond.
const LOOKS_PER_TURN: usize = 16;

impl Shard {
    /// [`Shard::receive`] for a client that has subscribed to LiteTopics of the topic, see
    /// [`Shard::sync_lite_subscription`].
    pub async fn receive_lite(
        &self,
        request: ReceiveRequest,
        client: &str,
    ) -> Result<Vec<Received>, ReceiveError> {
        check_invisible(request.invisible)?;
        let (topic, group) = self.receiving(&request).await?;
        check_binding(&topic, &group)?;
        let client = Some(client).filter(|_| !group.spec.consumes_every_lite_topic());
        self.receive_of_lite(request, &topic, &group, client).await
    }

    /// Receives as a client, or as a group that consumes every LiteTopic.
    pub(crate) async fn receive_of_lite(
        &self,
        mut request: ReceiveRequest,
        topic: &Topic,
        group: &Group,
        client: Option<&str>,
    ) -> Result<Vec<Received>, ReceiveError> {
        // Source: `PopLiteMessageProcessor` of Apache 5.5, for both.
        request.in_order = true;
        request.start = Start::Newest;
        let key = SubscriberKey {
            topic: topic.id,
            group: group.id,
            client: client.map(Arc::from),
        };
        let deadline = self.clock.elapsed() + request.wait_within_limits();
        let mut leaving = Leaving {
            shard: self,
            subscriber: None,
        };
        loop {
            let look = self.lite_look().await;
            if self.is_draining() {
                return Ok(Vec::new());
            }
            self.check_alive(topic, group)?;
            let (id, notify) = self.join(&key, self.clock.now()).map_err(Box::new)?;
            leaving.subscriber = Some(id);
            // Asked for before looking, so that nothing in between is missed.
            let mut woken = pin!(notify.notified());
            woken.as_mut().enable();
            // In a place of its own: many thousand polls wait here, and few of them are looking.
            let found = Box::pin(self.receive_lite_now(&request, topic, group, id)).await;
            drop(look);
            // What is left is for another receive of the same client.
            let next_time = self.pass_on(id, &notify);
            let (received, rest) = found?;
            let left = deadline.saturating_sub(self.clock.elapsed());
            if !received.is_empty() || left.is_zero() || rest {
                self.count_received(topic, group, &received);
                return Ok(received);
            }
            let pause = next_time.map_or(left, |time| time.since(self.clock.now()).min(left));
            let drained = pin!(self.drained());
            wait::until(select(woken, drained).map(drop), &*self.clock, pause).await;
        }
    }

    /// Wakes another receive of the subscriber if there is something left to look at, and says when
    /// there will be.
    fn pass_on(&self, id: SubscriberId, notify: &Notify) -> Option<Timestamp> {
        let state = self.state.lock();
        let subscriber = state.lite.subscriptions.get(id)?;
        if subscriber.agenda.is_ready(self.clock.now()) {
            notify.notify_one();
        }
        subscriber.agenda.next_time()
    }

    /// What a receive finds at this moment, and whether it has not looked at everything.
    async fn receive_lite_now(
        &self,
        request: &ReceiveRequest,
        topic: &Topic,
        group: &Group,
        id: SubscriberId,
    ) -> Result<(Vec<Received>, bool), ReceiveError> {
        let messages_max = request.max_messages.clamp(1, limits::PULL_MESSAGES_MAX);
        let mut claims = Claims::new(self, topic, group);
        for n in 1..=limits::LITE_TOPICS_PER_RECEIVE_MAX {
            if claims.count() >= messages_max {
                return Ok((claims.hand_out(), false));
            }
            let Some(mut turn) = self.next_turn_of(id, topic)? else {
                return Ok((claims.hand_out(), false));
            };
            let looked = self.look_at(request, &mut claims, topic, turn.stream, messages_max);
            let looked = looked.await?;
            turn.next = match looked.rest {
                true => Next::Now,
                // With nothing in flight, what comes next calls.
                false => looked.due.map_or(Next::Never, Next::At),
            };
            if !looked.room {
                return Ok((claims.hand_out(), false));
            }
            if n.is_multiple_of(LOOKS_PER_TURN) {
                wait::a_turn().await;
            }
        }
        Ok((claims.hand_out(), true))
    }

    /// The next LiteTopic that the subscriber has to look at.
    fn next_turn_of(
        &self,
        id: SubscriberId,
        topic: &Topic,
    ) -> Result<Option<Turn<'_>>, ReceiveError> {
        let now = self.clock.now();
        let failed = |source| state_error(topic.name(), source);
        let mut state = self.state.lock();
        loop {
            let Some(subscriber) = state.lite.subscriptions.get_mut(id) else {
                return Ok(None);
            };
            let is_whole = subscriber.key.client.is_none();
            if let Some(stream) = subscriber.agenda.next(now) {
                // One that ends takes leave of those who chose it, but not of a whole group.
                let is_gone = is_whole && state.is_lite_topic_gone(stream).map_err(failed)?;
                if is_gone {
                    continue;
                }
                return Ok(Some(Turn {
                    shard: self,
                    subscriber: id,
                    stream,
                    next: Next::Now,
                }));
            }
            let Some(from) = subscriber.walk else {
                return Ok(None);
            };
            let last = StreamKey::of_queue(topic.id, QueueId::new(u32::MAX));
            let to = next_key(&keys::lite_topic(last));
            let page = state.range(&keys::lite_topic(from), &to, WALK_PAGE);
            let page = page.map_err(failed)?;
            let streams = page.iter().filter_map(|(key, _)| keys::stream_of(key));
            let streams: Vec<StreamKey> = streams.collect();
            let Some(subscriber) = state.lite.subscriptions.get_mut(id) else {
                return Ok(None);
            };
            let next = streams
                .last()
                .map(|last| StreamKey::new(last.get().saturating_add(1)));
            subscriber.walk = next.filter(|_| streams.len() == WALK_PAGE);
            for stream in streams {
                subscriber.agenda.put(stream);
            }
        }
    }
}

/// A receive that ends, whatever ends it. It may be the only one of its subscriber that knows when
/// there is something to look at again: another one that waits has to learn that.
struct Leaving<'a> {
    shard: &'a Shard,
    subscriber: Option<SubscriberId>,
}

impl Drop for Leaving<'_> {
    fn drop(&mut self) {
        let state = self.shard.state.lock();
        let subscriptions = &state.lite.subscriptions;
        if let Some(subscriber) = self.subscriber.and_then(|id| subscriptions.get(id))
            && !subscriber.agenda.is_empty()
        {
            subscriber.notify.notify_one();
        }
    }
}

/// When a LiteTopic is to be looked at again.
enum Next {
    Now,
    At(Timestamp),
    Never,
}

/// A look at a LiteTopic, which is off the agenda meanwhile. It goes back on as it was if the
/// receive ends half-way.
struct Turn<'a> {
    shard: &'a Shard,
    subscriber: SubscriberId,
    stream: StreamKey,
    next: Next,
}

impl Drop for Turn<'_> {
    fn drop(&mut self) {
        let mut state = self.shard.state.lock();
        let all = &mut state.lite.subscriptions;
        match self.next {
            Next::Now => all.put(self.subscriber, self.stream, None),
            Next::At(time) => all.put(self.subscriber, self.stream, Some(time)),
            Next::Never => {}
        }
    }
}
