//! AckMessage: a message is done for its group.

use broker::ReceiptHandle;
use wire::{
    grpc_v1::{self as v1, ack_message_request::Handle},
    grpc_v2::Code,
};

use super::ok;
use crate::{
    grpc::{call::Call, names, shards, status::Refusal, traced},
    message_trace::Outcome,
};

pub(super) async fn ack(
    call: &Call,
    request: v1::AckMessageRequest,
) -> Result<v1::AckMessageResponse, Refusal> {
    call.named_client(&request.client_id);
    let (instance, topic, group) =
        names::topic_and_group(call, request.topic.as_ref(), request.group.as_ref())?;
    let handle = match request.handle {
        Some(Handle::ReceiptHandle(handle)) => handle,
        // Names no partition: what it would acknowledge cannot be told.
        Some(Handle::Offset(_)) | None => {
            return Err(Refusal::new(
                Code::InvalidReceiptHandle,
                "acknowledgement has no receipt handle, expected one that a receive returned",
            ));
        }
    };
    let handle: ReceiptHandle = handle.parse()?;
    let shard = shards::shard_of(call, &instance, &handle)?;
    shard.ack(&group, &topic, &handle).await?;
    let delivery = (request.message_id.as_str(), &handle);
    traced::settled(call, (&instance, &topic, &group), delivery, Outcome::Acked);
    Ok(v1::AckMessageResponse { common: ok() })
}
