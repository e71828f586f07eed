//! ForwardMessageToDeadLetterQueue: a FIFO push consumer gives up on a message.

use broker::ReceiptHandle;
use wire::grpc_v2 as v2;

use super::{
    call::Call,
    names, shards,
    status::{self, Refusal},
    traced,
};
use crate::message_trace::Outcome;

pub(super) async fn forward_to_dead_letter(
    call: &Call,
    request: v2::ForwardMessageToDeadLetterQueueRequest,
) -> Result<v2::ForwardMessageToDeadLetterQueueResponse, Refusal> {
    let (instance, topic, group) =
        names::topic_and_group(call, request.topic.as_ref(), request.group.as_ref())?;
    let handle: ReceiptHandle = request.receipt_handle.parse()?;
    let shard = shards::shard_of(call, &instance, &handle)?;
    shard
        .forward_to_dead_letter(&group, &topic, &handle)
        .await?;
    let place = (&instance, &topic, &group);
    let delivery = (request.message_id.as_str(), &handle);
    traced::settled(call, place, delivery, Outcome::DeadLettered);
    Ok(v2::ForwardMessageToDeadLetterQueueResponse {
        status: Some(status::ok()),
    })
}
