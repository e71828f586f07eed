//! ReceiveMessage: take messages, as a stream of status, messages and the time of delivery.
//!
//! The messages are taken before the stream begins. A client that goes away while it waits is
//! handed nothing; one that goes away before all messages are on their way gives the rest back at
//! once.

use std::{
    pin::Pin,
    sync::Arc,
    task::{Context, Poll},
    time::Duration,
    vec,
};

use base::{Timestamp, limits};
use broker::{ReceiveRequest, Received};
use futures::Stream;
use tokio::select;
use wire::grpc_v2::{self as v2, Code, receive_message_response::Content};

use super::{
    broker_of,
    call::Call,
    digest::DigestForm,
    message::outgoing,
    names,
    settings::filter,
    shards,
    status::{self, Refusal},
    time::{from_timestamp, to_duration},
    traced,
    unread::{Counted, Unread},
};
use crate::{
    DrainPhase,
    grpc::long_poll::{Origin, batch_size, draining, wait},
};

/// Invisible duration where the server renews it. Apache's proxy `defaultInvisibleTimeMills`.
const RENEWED_INVISIBLE: Duration = Duration::from_secs(60);

pub(super) async fn receive(
    call: &Call,
    unread: &Arc<Unread>,
    request: v2::ReceiveMessageRequest,
) -> Result<(Handout, Arc<Counted>), Refusal> {
    let queue = request.message_queue.unwrap_or_default();
    let (instance, topic, group) =
        names::topic_and_group(call, queue.topic.as_ref(), request.group.as_ref())?;
    let (invisible, renew_while_alive) = if request.auto_renew {
        (RENEWED_INVISIBLE, Some(call.client_id()?.to_owned()))
    } else {
        (asked_invisible(request.invisible_duration.as_ref())?, None)
    };
    let wait = wait(request.long_polling_timeout.as_ref(), call.timeout())?;
    let filter = filter(request.filter_expression.as_ref())?;
    let shard = shards::named_shard(call, &instance, broker_of(&queue))?;
    if call.front.drain.is_draining() {
        return Err(draining());
    }
    unread.admit()?;
    let chooses = instance.chooses_lite_topics(&topic, &group);
    let client = chooses.then(|| call.client_id()).transpose()?;
    let asked = ReceiveRequest {
        group: group.clone(),
        topic: topic.clone(),
        // As with Apache's proxy, any queue: a queue asked for alone would wait while others are
        // full.
        queue: None,
        max_messages: batch_size(request.batch_size)?,
        invisible,
        filter,
        start: broker::Start::Oldest,
        in_order: false,
        wait,
        renew_while_alive,
    };
    let taking = async {
        match client {
            Some(client) => shard.receive_lite(asked, client).await,
            None => shard.receive(asked).await,
        }
    };
    let messages = select! {
        biased;
        messages = taking => messages?,
        () = call.front.drain.reached(DrainPhase::Draining) => return Err(draining()),
    };
    if messages.is_empty() {
        return Err(Refusal::new(Code::MessageNotFound, "no new message"));
    }
    traced::received(call, &instance, &topic, &group, &messages);
    let bytes = messages
        .iter()
        .map(|received| received.message.bytes().len())
        .sum();
    let handout = Handout {
        status: Some(status::ok()),
        messages: messages.into_iter(),
        end: Some(call.now()),
        told_topic: queue.topic.unwrap_or_default(),
        digest: call.digest_form(),
        taken_at: call.now(),
        origin: Some(Origin {
            shard,
            group,
            topic,
        }),
    };
    // What cannot be given goes back as it is dropped.
    let counted = unread.count(bytes)?;
    Ok((handout, counted))
}

/// What a simple consumer asks for. The least is the protocol's: the core takes less from other
/// clients.
fn asked_invisible(asked: Option<&prost_types::Duration>) -> Result<Duration, Refusal> {
    let asked = asked.copied().unwrap_or_default();
    let range = Duration::from_millis(limits::INVISIBLE_MS_MIN)
        ..=Duration::from_millis(limits::INVISIBLE_MS_MAX);
    to_duration(&asked)
        .filter(|asked| range.contains(asked))
        .ok_or_else(|| {
            let seconds = asked.seconds;
            let (least, most) = (range.start().as_secs(), range.end().as_secs());
            Refusal::new(
                Code::IllegalInvisibleTime,
                format!("invisible duration is {seconds} s, expected {least} s to {most} s"),
            )
        })
}

/// The answer to one receive: a status, the messages, the time.
pub(crate) struct Handout {
    status: Option<v2::Status>,
    messages: vec::IntoIter<Received>,
    end: Option<Timestamp>,
    told_topic: v2::Resource,
    digest: DigestForm,
    taken_at: Timestamp,
    origin: Option<Origin>,
}

impl Handout {
    /// An answer without messages.
    pub(super) fn refused(refusal: &Refusal, now: Timestamp) -> Self {
        Self {
            status: Some(refusal.status()),
            messages: Vec::new().into_iter(),
            end: Some(now),
            told_topic: v2::Resource::default(),
            digest: DigestForm::Md5,
            taken_at: now,
            origin: None,
        }
    }
}

impl Stream for Handout {
    type Item = Result<v2::ReceiveMessageResponse, tonic::Status>;

    fn poll_next(self: Pin<&mut Self>, _: &mut Context<'_>) -> Poll<Option<Self::Item>> {
        let this = self.get_mut();
        let content = if let Some(status) = this.status.take() {
            Some(Content::Status(status))
        } else if let Some(received) = this.messages.next() {
            let message = outgoing(&received, &this.told_topic, this.digest, this.taken_at);
            Some(Content::Message(message))
        } else {
            this.end
                .take()
                .map(|now| Content::DeliveryTimestamp(from_timestamp(now)))
        };
        Poll::Ready(content.map(|content| {
            Ok(v2::ReceiveMessageResponse {
                content: Some(content),
            })
        }))
    }
}

impl Drop for Handout {
    fn drop(&mut self) {
        if let Some(origin) = self.origin.take() {
            origin.give_back(std::mem::take(&mut self.messages));
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_negative_invisible_duration_is_refused() {
        let negative = prost_types::Duration {
            seconds: -1,
            nanos: 0,
        };
        let refusal = asked_invisible(Some(&negative)).unwrap_err();
        assert_eq!(refusal.code(), Code::IllegalInvisibleTime);
    }
}
