//! NackMessage: a message was not consumed. It comes again after the group's pause, or is a dead
//! letter if this was its last attempt.

use broker::ReceiptHandle;
use wire::grpc_v1 as v1;

use super::ok;
use crate::{
    grpc::{call::Call, names, shards, status::Refusal, traced},
    message_trace::Outcome,
};

pub(super) async fn nack(
    call: &Call,
    request: v1::NackMessageRequest,
) -> Result<v1::NackMessageResponse, Refusal> {
    call.named_client(&request.client_id);
    let (instance, topic, group) =
        names::topic_and_group(call, request.topic.as_ref(), request.group.as_ref())?;
    let handle: ReceiptHandle = request.receipt_handle.parse()?;
    let spec = names::existing_group(&instance, &group)?.spec.clone();
    let shard = shards::shard_of(call, &instance, &handle)?;
    // In this protocol the consumer says how often it tries; 0 leaves it to the group.
    let max_attempts = match u32::try_from(request.max_delivery_attempts) {
        Ok(0) | Err(_) => spec.max_attempts,
        Ok(max_attempts) => max_attempts,
    };
    let outcome = if handle.attempt >= max_attempts {
        shard
            .forward_to_dead_letter(&group, &topic, &handle)
            .await?;
        Outcome::DeadLettered
    } else {
        let pause = spec.retry.pause(handle.attempt.saturating_add(1));
        shard
            .change_invisible_duration(&group, &topic, &handle, pause)
            .await?;
        Outcome::Failed
    };
    let delivery = (request.message_id.as_str(), &handle);
    traced::settled(call, (&instance, &topic, &group), delivery, outcome);
    Ok(v1::NackMessageResponse { common: ok() })
}
