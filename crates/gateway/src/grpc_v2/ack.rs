//! AckMessage: messages are done for their group. Each entry has a result of its own.

use std::sync::Arc;

use base::{GroupName, TopicName, limits};
use broker::{Instance, ReceiptHandle};
use wire::grpc_v2::{self as v2, Code};

use super::{
    call::Call,
    names, shards,
    status::{self, Refusal},
    traced,
};
use crate::message_trace::Outcome;

pub(super) async fn ack(
    call: &Call,
    request: v2::AckMessageRequest,
) -> Result<v2::AckMessageResponse, Refusal> {
    let (instance, topic, group) =
        names::topic_and_group(call, request.topic.as_ref(), request.group.as_ref())?;
    let (count, max) = (request.entries.len(), limits::ACK_ENTRIES_MAX);
    if count == 0 || count > max {
        return Err(Refusal::new(
            Code::BadRequest,
            format!("acknowledgement has {count} entries, expected 1 to {max}"),
        ));
    }
    let mut entries = Vec::with_capacity(count);
    let mut results = Vec::with_capacity(count);
    for entry in request.entries {
        let place = (&instance, &topic, &group);
        let result = ack_entry(call, place, &entry).await;
        let status = result.map_or_else(|refusal| refusal.status(), |()| status::ok());
        results.push(status.clone());
        entries.push(v2::AckMessageResultEntry {
            message_id: entry.message_id,
            receipt_handle: entry.receipt_handle,
            status: Some(status),
        });
    }
    Ok(v2::AckMessageResponse {
        status: Some(status::summary(&results)),
        entries,
    })
}

async fn ack_entry(
    call: &Call,
    place: (&Arc<Instance>, &TopicName, &GroupName),
    entry: &v2::AckMessageEntry,
) -> Result<(), Refusal> {
    let (instance, topic, group) = place;
    let handle: ReceiptHandle = entry.receipt_handle.parse()?;
    let shard = shards::shard_of(call, instance, &handle)?;
    shard.ack(group, topic, &handle).await?;
    traced::settled(call, place, (&entry.message_id, &handle), Outcome::Acked);
    Ok(())
}
