//! RecallMessage: a producer takes a timed message back.

use wire::{
    grpc_v2::{self as v2, Code},
    message::properties,
};

use super::{
    call::Call,
    names,
    status::{self, Refusal},
};
use crate::{grpc::traced, recall_handle::RecallHandle};

pub(super) async fn recall(
    call: &Call,
    request: v2::RecallMessageRequest,
) -> Result<v2::RecallMessageResponse, Refusal> {
    let (instance, topic) = names::topic(call, request.topic.as_ref())?;
    let told_topic = request.topic.unwrap_or_default().name;
    let message = RecallHandle::message(&request.recall_handle, &told_topic)
        .map_err(|error| Refusal::new(Code::BadRequest, error.to_string()))?;
    let shard = call
        .front
        .router
        .shard_of(instance.id(), message)
        .map_err(|error| Refusal::new(Code::BadRequest, error.to_string()))?;
    let recalled = shard.recall(&topic, message).await?;
    traced::recalled(call, &instance, &recalled);
    let message_id = recalled.property(properties::UNIQUE_KEY);
    Ok(v2::RecallMessageResponse {
        status: Some(status::ok()),
        message_id: message_id.unwrap_or_default().to_owned(),
    })
}
