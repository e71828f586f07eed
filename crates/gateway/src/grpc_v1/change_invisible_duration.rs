//! ChangeInvisibleDuration: a message comes back later, or sooner.

use broker::ReceiptHandle;
use wire::grpc_v1 as v1;

use super::ok;
use crate::grpc::{call::Call, names, shards, status::Refusal, time::invisible_change};

pub(super) async fn change_invisible_duration(
    call: &Call,
    request: v1::ChangeInvisibleDurationRequest,
) -> Result<v1::ChangeInvisibleDurationResponse, Refusal> {
    let (instance, topic, group) =
        names::topic_and_group(call, request.topic.as_ref(), request.group.as_ref())?;
    let duration = invisible_change(request.invisible_duration)?;
    let handle: ReceiptHandle = request.receipt_handle.parse()?;
    let shard = shards::shard_of(call, &instance, &handle)?;
    let (handle, _) = shard
        .change_invisible_duration(&group, &topic, &handle, duration)
        .await?;
    Ok(v1::ChangeInvisibleDurationResponse {
        common: ok(),
        receipt_handle: handle.to_string(),
    })
}
