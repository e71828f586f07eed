//! QueryOffset: where a partition begins, ends, or was at a time.

use broker::TimeBoundary;
use wire::{
    grpc_v1::{self as v1, QueryOffsetPolicy},
    grpc_v2::Code,
};

use super::{broker_of, ok};
use crate::grpc::{
    call::Call,
    names,
    offset::{queue_id, told},
    shards,
    status::Refusal,
    time::to_timestamp,
};

pub(super) fn query_offset(
    call: &Call,
    request: v1::QueryOffsetRequest,
) -> Result<v1::QueryOffsetResponse, Refusal> {
    let (policy, time) = (request.policy(), request.time_point);
    let partition = request.partition.unwrap_or_default();
    let (instance, topic) = names::topic(call, partition.topic.as_ref())?;
    let shard = shards::named_shard(call, &instance, broker_of(&partition))?;
    let queue = queue_id(partition.id)?;
    let range = shard.queue_range(&topic, queue)?;
    let offset = match policy {
        QueryOffsetPolicy::Beginning => range.min,
        QueryOffsetPolicy::End => range.max,
        QueryOffsetPolicy::TimePoint => {
            let time = time.as_ref().and_then(to_timestamp).ok_or_else(|| {
                Refusal::new(
                    Code::BadRequest,
                    "time point is missing or out of range, expected one with policy TIME_POINT",
                )
            })?;
            shard.offset_by_time(&topic, queue, time, TimeBoundary::Lower)?
        }
    };
    Ok(v1::QueryOffsetResponse {
        common: ok(),
        offset: told(offset),
    })
}
