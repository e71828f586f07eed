//! ChangeInvisibleDuration: a message comes back later, or sooner. Push consumers say so that they
//! failed.

use broker::ReceiptHandle;
use wire::grpc_v2 as v2;

use super::{
    call::Call,
    names, shards,
    status::{self, Refusal},
    time::invisible_change,
    traced,
};
use crate::message_trace::Outcome;

pub(super) async fn change_invisible_duration(
    call: &Call,
    request: &v2::ChangeInvisibleDurationRequest,
) -> Result<v2::ChangeInvisibleDurationResponse, Refusal> {
    let (instance, topic, group) =
        names::topic_and_group(call, request.topic.as_ref(), request.group.as_ref())?;
    let duration = invisible_change(request.invisible_duration)?;
    let handle: ReceiptHandle = request.receipt_handle.parse()?;
    let shard = shards::shard_of(call, &instance, &handle)?;
    let group_and_topic = (&instance, &topic, &group);
    let fails = call.front.message_traces.is_on()
        && request.suspend != Some(true)
        && call
            .front
            .grpc_clients
            .listens(&instance, call.client_id()?, &group);
    let before = handle;
    let (handle, _) = if request.suspend == Some(true) {
        shard.suspend(&group, &topic, &handle, duration).await?
    } else {
        shard
            .change_invisible_duration(&group, &topic, &handle, duration)
            .await?
    };
    if fails {
        // Push consumers ask for it when their listener failed; others may mean anything.
        let delivery = (request.message_id.as_str(), &before);
        traced::settled(call, group_and_topic, delivery, Outcome::Failed);
    }
    Ok(v2::ChangeInvisibleDurationResponse {
        status: Some(status::ok()),
        receipt_handle: handle.to_string(),
    })
}
