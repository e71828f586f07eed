//! ReceiveMessage: take messages of a partition for a time.

use std::{sync::Arc, time::Duration};

use broker::{ReceiveRequest, Start};
use tokio::select;
use wire::{
    grpc_v1::{self as v1, ConsumePolicy},
    grpc_v2::Code,
};

use super::{broker_of, filter, message::outgoing, ok};
use crate::{
    DrainPhase,
    grpc::{
        call::Call,
        long_poll::{self, Origin, batch_size},
        names,
        offset::queue_id,
        shards,
        status::Refusal,
        time::{from_timestamp, to_duration},
        traced,
        unread::{Counted, Unread},
    },
};

pub(super) async fn receive(
    call: &Call,
    unread: &Arc<Unread>,
    request: v1::ReceiveMessageRequest,
) -> Result<(v1::ReceiveMessageResponse, Option<Arc<Counted>>), Refusal> {
    call.named_client(&request.client_id);
    let start = start(request.consume_policy());
    let partition = request.partition.unwrap_or_default();
    let (instance, topic, group) =
        names::topic_and_group(call, partition.topic.as_ref(), request.group.as_ref())?;
    let asked = request.invisible_duration.unwrap_or_default();
    let invisible = to_duration(&asked).ok_or_else(|| {
        Refusal::new(
            Code::IllegalInvisibleTime,
            "invisible duration is negative or malformed",
        )
    })?;
    let wait = wait(call, request.await_time)?;
    let filter = filter(request.filter_expression.as_ref())?;
    let shard = shards::named_shard(call, &instance, broker_of(&partition))?;
    if call.front.drain.is_draining() {
        return Err(long_poll::ending());
    }
    unread.admit()?;
    let taking = shard.receive(ReceiveRequest {
        group: group.clone(),
        topic: topic.clone(),
        queue: Some(queue_id(partition.id)?),
        max_messages: batch_size(request.batch_size)?,
        invisible,
        filter,
        start,
        in_order: request.fifo_flag,
        wait,
        renew_while_alive: None,
    });
    let messages = select! {
        biased;
        messages = taking => messages?,
        () = call.front.grpc_clients.gone(&instance, &request.client_id) => Vec::new(),
        () = call.front.drain.reached(DrainPhase::Draining) => return Err(long_poll::ending()),
    };
    traced::received(call, &instance, &topic, &group, &messages);
    let now = call.now();
    let bytes = messages
        .iter()
        .map(|received| received.message.bytes().len())
        .sum();
    let counted = match unread.count(bytes) {
        Ok(counted) => counted,
        Err(refusal) => {
            let origin = Origin {
                shard,
                group,
                topic,
            };
            origin.give_back(messages.into_iter());
            return Err(refusal);
        }
    };
    let (told_topic, digest) = (partition.topic.unwrap_or_default(), call.digest_form());
    let messages = messages.iter();
    let messages = messages.map(|received| outgoing(received, &told_topic, digest, now));
    let answer = v1::ReceiveMessageResponse {
        // Also where there is none: the SDK (2.0.5) comes again at once, and waits a second after
        // anything else.
        common: ok(),
        messages: messages.collect(),
        delivery_timestamp: Some(from_timestamp(now)),
        invisible_duration: Some(asked),
    };
    Ok((answer, Some(counted)))
}

/// How long to wait for a first message. Zero, the SDK's default, leaves it to the server.
pub(super) fn wait(call: &Call, asked: Option<prost_types::Duration>) -> Result<Duration, Refusal> {
    let asked = asked.filter(|asked| asked.seconds != 0 || asked.nanos != 0);
    long_poll::wait(asked.as_ref(), call.timeout())
}

/// Where a group begins that is new to a partition.
fn start(policy: ConsumePolicy) -> Start {
    match policy {
        ConsumePolicy::Resume | ConsumePolicy::Discard => Start::Newest,
        // No SDK says which time it means; nothing is skipped.
        ConsumePolicy::Playback | ConsumePolicy::TargetTimestamp => Start::Oldest,
    }
}
