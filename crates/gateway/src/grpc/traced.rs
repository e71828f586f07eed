//! What the verbs say of messages, where their traces are asked for (`message_trace.rs`).

use std::{sync::Arc, time::Duration};

use base::{GroupName, Timestamp, TopicName};
use broker::{
    EndTransactionRequest, Instance, MessageType, ReceiptHandle, Received, SendError, SendRequest,
    Sent, ShardHandle,
};
use wire::message::{MessageId, StoredMessage};

use super::{call::Call, transaction_id::transaction_id};
use crate::message_trace::{Delivery, Event, Outcome, Subject, What};

fn event(
    call: &Call,
    instance: &Arc<Instance>,
    topic: &TopicName,
    at: Timestamp,
    message: Subject,
    what: What,
) -> Event {
    Event {
        instance: Arc::clone(instance),
        topic: topic.clone(),
        message,
        client: call.client_id().unwrap_or_default().to_owned(),
        host: call.connection.peer,
        server: call.front.store_host(&call.connection),
        at,
        what,
    }
}

/// Sends, and tells how that ended.
pub(crate) async fn send(
    call: &Call,
    instance: &Arc<Instance>,
    shard: &ShardHandle,
    request: SendRequest,
) -> Result<Vec<Sent>, SendError> {
    let sending = Sending::of(call, &request);
    let sent = shard.send(request).await;
    if let Some(sending) = sending {
        let stored = sent.as_deref().unwrap_or_default();
        sending.ended(call, instance, stored);
    }
    sent
}

/// A send that is under way.
struct Sending {
    topic: TopicName,
    messages: Vec<(Subject, MessageType)>,
    began: (Timestamp, Duration),
}

impl Sending {
    /// Remembers what is sent; `None` where nobody asks.
    fn of(call: &Call, request: &SendRequest) -> Option<Self> {
        if !call.front.message_traces.is_on() {
            return None;
        }
        let messages = request.messages.iter().map(|message| {
            let raw = str::from_utf8(&message.properties).unwrap_or_default();
            (
                Subject::of(raw, message.body.len()),
                MessageType::of(message),
            )
        });
        Some(Self {
            topic: request.topic.clone(),
            messages: messages.collect(),
            began: (call.now(), call.front.clock.elapsed()),
        })
    }

    /// Tells how it ended: `sent` has as many entries as there were messages, or none if it failed.
    fn ended(self, call: &Call, instance: &Arc<Instance>, sent: &[Sent]) {
        let (at, began) = self.began;
        let took = call.front.clock.elapsed().saturating_sub(began);
        for (index, (subject, kind)) in self.messages.into_iter().enumerate() {
            let stored = sent.get(index).map(|sent| {
                let id = MessageId {
                    store_host: call.front.store_host(&call.connection),
                    physical_offset: sent.physical_offset.wire(),
                };
                id.to_string()
            });
            let what = What::Sent { took, kind, stored };
            let event = event(call, instance, &self.topic, at, subject, what);
            call.front.message_traces.tell(event);
        }
    }
}

/// Tells that messages are handed out.
pub(crate) fn received(
    call: &Call,
    instance: &Arc<Instance>,
    topic: &TopicName,
    group: &GroupName,
    messages: &[Received],
) {
    if !call.front.message_traces.is_on() {
        return;
    }
    for received in messages {
        let raw = received.message.properties_raw();
        let subject = Subject::of(raw, received.message.body().len());
        let what = What::Received {
            group: group.clone(),
            delivery: Delivery::of(&received.handle),
        };
        let event = event(call, instance, topic, call.now(), subject, what);
        call.front.message_traces.tell(event);
    }
}

/// Tells that a delivery is settled.
pub(crate) fn settled(
    call: &Call,
    (instance, topic, group): (&Arc<Instance>, &TopicName, &GroupName),
    (message_id, handle): (&str, &ReceiptHandle),
    outcome: Outcome,
) {
    if !call.front.message_traces.is_on() {
        return;
    }
    let what = What::Settled {
        group: group.clone(),
        delivery: Delivery::of(handle),
        outcome,
    };
    let subject = Subject::named(message_id);
    let event = event(call, instance, topic, call.now(), subject, what);
    call.front.message_traces.tell(event);
}

/// Tells that a producer has said how the transaction of a half message ended.
pub(crate) fn transaction_ended(
    call: &Call,
    instance: &Arc<Instance>,
    half: &StoredMessage,
    ended: &EndTransactionRequest,
) {
    let what = What::TransactionEnded {
        group: ended.group.clone(),
        transaction: transaction_id(ended.half),
        resolution: ended.resolution,
        from_check: ended.from_check,
    };
    decided(call, instance, half, what);
}

/// Tells that a timed message was taken back.
pub(crate) fn recalled(call: &Call, instance: &Arc<Instance>, message: &StoredMessage) {
    decided(call, instance, message, What::Recalled);
}

/// Tells what a producer has decided of a message that waits.
fn decided(call: &Call, instance: &Arc<Instance>, message: &StoredMessage, what: What) {
    if !call.front.message_traces.is_on() {
        return;
    }
    let Ok(topic) = TopicName::new(message.topic()) else {
        return;
    };
    let subject = Subject::of(message.properties_raw(), message.body().len());
    let event = event(call, instance, &topic, call.now(), subject, what);
    call.front.message_traces.tell(event);
}
