//! ForwardMessageToDeadLetterQueue: an ordered consumer gives up on a message.

use broker::ReceiptHandle;
use wire::grpc_v1 as v1;

use super::ok;
use crate::{
    grpc::{call::Call, names, shards, status::Refusal, traced},
    message_trace::Outcome,
};

pub(super) async fn forward_to_dead_letter(
    call: &Call,
    request: v1::ForwardMessageToDeadLetterQueueRequest,
) -> Result<v1::ForwardMessageToDeadLetterQueueResponse, Refusal> {
    call.named_client(&request.client_id);
    let (instance, topic, group) =
        names::topic_and_group(call, request.topic.as_ref(), request.group.as_ref())?;
    let handle: ReceiptHandle = request.receipt_handle.parse()?;
    let shard = shards::shard_of(call, &instance, &handle)?;
    shard
        .forward_to_dead_letter(&group, &topic, &handle)
        .await?;
    let delivery = (request.message_id.as_str(), &handle);
    let place = (&instance, &topic, &group);
    traced::settled(call, place, delivery, Outcome::DeadLettered);
    Ok(v1::ForwardMessageToDeadLetterQueueResponse { common: ok() })
}
