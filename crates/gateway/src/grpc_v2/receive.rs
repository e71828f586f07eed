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

use base::{GroupName, Timestamp, TopicName, limits};
use broker::{ReceiveRequest, Received, ShardHandle};
use futures::Stream;
use tokio::{runtime::Handle, select};
use wire::grpc_v2::{self as v2, Code, receive_message_response::Content};

use super::{
    call::Call,
    digest::DigestForm,
    message::outgoing,
    names, route,
    settings::filter,
    status::{self, Refusal},
    time::{from_timestamp, to_duration},
    unread::{Counted, Unread},
};
use crate::DrainPhase;

/// Invisible duration where the server renews it. Apache's proxy `defaultInvisibleTimeMills`.
const RENEWED_INVISIBLE: Duration = Duration::from_secs(60);

/// Longest wait of a client that names none: Apache's proxy
/// `grpcClientConsumerMaxLongPollingTimeoutMillis`.
const WAIT_UNASKED_MAX: Duration = Duration::from_secs(20);

/// Kept free between the end of a long poll and the client's deadline, for the answer to arrive.
const ANSWER_MARGIN: Duration = Duration::from_millis(200);

/// Invisible duration of a message that its client did not stay to hear of.
const GIVE_BACK: Duration = Duration::from_millis(limits::INVISIBLE_CHANGE_MS_MIN);

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
    let shard = route::named_shard(call, &instance, queue.broker.as_ref())?;
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

pub(super) fn draining() -> Refusal {
    Refusal::new(
        Code::MessageNotFound,
        "no new message, the server is about to stop",
    )
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

/// How many messages are asked for: one where nothing is said. The core gives no more than it may.
pub(super) fn batch_size(asked: i32) -> Result<usize, Refusal> {
    let asked = usize::try_from(asked).map_err(|_| {
        let max = limits::PULL_MESSAGES_MAX;
        Refusal::new(
            Code::BadRequest,
            format!("batch size is {asked}, expected 1 to {max}"),
        )
    })?;
    Ok(asked.max(1))
}

/// How long to wait for a first message: what the client asks for, but never past its deadline.
pub(super) fn wait(
    asked: Option<&prost_types::Duration>,
    timeout: Option<Duration>,
) -> Result<Duration, Refusal> {
    let asked = asked
        .map(|asked| {
            to_duration(asked).ok_or_else(|| {
                Refusal::new(
                    Code::IllegalPollingTime,
                    "long polling timeout is negative or malformed",
                )
            })
        })
        .transpose()?;
    let wait = match (asked, timeout) {
        (Some(asked), Some(timeout)) => asked.min(timeout.saturating_sub(ANSWER_MARGIN)),
        (Some(asked), None) => asked,
        // Without a word on the wait, the deadline holds the time of the request itself too.
        (None, Some(timeout)) => (timeout / 4 * 3).min(WAIT_UNASKED_MAX),
        (None, None) => WAIT_UNASKED_MAX,
    };
    Ok(wait.min(Duration::from_millis(limits::LONG_POLL_MS_MAX)))
}

/// Where the messages of a hand-out came from, to give them back.
struct Origin {
    shard: ShardHandle,
    group: GroupName,
    topic: TopicName,
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
        if self.messages.len() == 0 {
            return;
        }
        let (Some(origin), Ok(runtime)) = (self.origin.take(), Handle::try_current()) else {
            return;
        };
        let messages = std::mem::take(&mut self.messages);
        runtime.spawn(async move {
            for received in messages {
                // What cannot be given back comes back when its invisible time ends.
                let _ = origin
                    .shard
                    .change_invisible_duration(
                        &origin.group,
                        &origin.topic,
                        &received.handle,
                        GIVE_BACK,
                    )
                    .await;
            }
        });
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::grpc::time::from_duration;

    #[test]
    fn a_long_poll_ends_before_its_client_gives_up() {
        let of = |asked: Option<u64>, timeout: Option<u64>| {
            let asked = asked.map(|ms| from_duration(Duration::from_millis(ms)));
            wait(asked.as_ref(), timeout.map(Duration::from_millis))
                .unwrap()
                .as_millis()
        };
        assert_eq!(of(Some(20_000), Some(23_000)), 20_000);
        assert_eq!(of(Some(20_000), Some(20_000)), 19_800);
        assert_eq!(of(Some(5_000), Some(100)), 0);
        assert_eq!(of(None, Some(8_000)), 6_000);
        assert_eq!(of(None, None), 20_000);
        assert_eq!(of(Some(10_000_000), None), 60_000);
    }

    #[test]
    fn a_negative_wait_is_refused() {
        let negative = prost_types::Duration {
            seconds: -1,
            nanos: 0,
        };
        let refusal = wait(Some(&negative), None).unwrap_err();
        assert_eq!(refusal.code(), Code::IllegalPollingTime);
        let refusal = asked_invisible(Some(&negative)).unwrap_err();
        assert_eq!(refusal.code(), Code::IllegalInvisibleTime);
    }
}
