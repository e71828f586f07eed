//! ForwardMessageToDeadLetterQueue: an ordered consumer gives up on a message.

use broker::ReceiptHandle;
use wire::grpc_v1 as v1;

use super::ok;
use crate::grpc::{call::Call, names, shards, status::Refusal};

pub(super) async fn forward_to_dead_letter(
    call: &Call,
    request: v1::ForwardMessageToDeadLetterQueueRequest,
) -> Result<v1::ForwardMessageToDeadLetterQueueResponse, Refusal> {
    let (instance, topic, group) =
        names::topic_and_group(call, request.topic.as_ref(), request.group.as_ref())?;
    let handle: ReceiptHandle = request.receipt_handle.parse()?;
    let shard = shards::shard_of(call, &instance, &handle)?;
    shard
        .forward_to_dead_letter(&group, &topic, &handle)
        .await?;
    Ok(v1::ForwardMessageToDeadLetterQueueResponse { common: ok() })
}
