//! UpdateOffset, GetOffset and QueryOffset: how far a group has come, where a queue starts and
//! ends.

use base::{GroupName, QueueId, QueueOffset, TopicName};
use broker::{ShardHandle, TimeBoundary};
use wire::grpc_v2::{self as v2, Code, QueryOffsetPolicy};

use super::{
    broker_of,
    call::Call,
    names, shards,
    status::{self, Refusal},
    time::to_timestamp,
};
use crate::grpc::offset::{asked, outside, queue_id, told};

/// A queue that a request is about, and the group that it is for.
pub(super) struct Place {
    pub(super) shard: ShardHandle,
    pub(super) topic: TopicName,
    pub(super) queue: QueueId,
    pub(super) group: GroupName,
}

/// The queue, for a group that is there or may be created.
pub(super) async fn place_of_group(
    call: &Call,
    queue: &v2::MessageQueue,
    group: Option<&v2::Resource>,
) -> Result<Place, Refusal> {
    let (instance, topic, group) = names::topic_and_group(call, queue.topic.as_ref(), group)?;
    if instance.group_or_create(&group).await?.is_none() {
        return Err(names::no_group(&instance, &group));
    }
    Ok(Place {
        shard: shards::named_shard(call, &instance, broker_of(queue))?,
        topic,
        queue: queue_id(queue.id)?,
        group,
    })
}

pub(super) async fn update_offset(
    call: &Call,
    request: v2::UpdateOffsetRequest,
) -> Result<v2::UpdateOffsetResponse, Refusal> {
    let queue = request.message_queue.unwrap_or_default();
    let place = place_of_group(call, &queue, request.group.as_ref()).await?;
    let offset = asked(request.offset)?;
    let range = place.shard.queue_range(&place.topic, place.queue)?;
    // One before the first is what a slow group has; beyond the end, messages would be skipped.
    if offset > range.max.get() {
        return Err(outside(offset, QueueOffset::new(0), range.max));
    }
    let offset = QueueOffset::new(offset);
    place
        .shard
        .commit_offset(&place.group, &place.topic, place.queue, offset)
        .await?;
    Ok(v2::UpdateOffsetResponse {
        status: Some(status::ok()),
    })
}

pub(super) async fn get_offset(
    call: &Call,
    request: v2::GetOffsetRequest,
) -> Result<v2::GetOffsetResponse, Refusal> {
    let queue = request.message_queue.unwrap_or_default();
    let place = place_of_group(call, &queue, request.group.as_ref()).await?;
    let Place {
        shard,
        topic,
        queue,
        group,
    } = place;
    let committed = shard.committed_offset(&group, &topic, queue)?;
    let committed = committed.ok_or_else(|| {
        Refusal::new(
            Code::OffsetNotFound,
            format!("group `{group}` has committed no offset in queue {queue} of topic `{topic}`"),
        )
    })?;
    Ok(v2::GetOffsetResponse {
        status: Some(status::ok()),
        offset: told(committed),
    })
}

pub(super) fn query_offset(
    call: &Call,
    request: &v2::QueryOffsetRequest,
) -> Result<v2::QueryOffsetResponse, Refusal> {
    let queue = request.message_queue.clone().unwrap_or_default();
    let (instance, topic) = names::topic(call, queue.topic.as_ref())?;
    let shard = shards::named_shard(call, &instance, broker_of(&queue))?;
    let queue = queue_id(queue.id)?;
    let range = shard.queue_range(&topic, queue)?;
    let offset = match request.query_offset_policy() {
        QueryOffsetPolicy::Beginning => range.min,
        QueryOffsetPolicy::End => range.max,
        QueryOffsetPolicy::Timestamp => {
            let time = request.timestamp.as_ref().and_then(to_timestamp);
            let time = time.ok_or_else(|| {
                Refusal::new(
                    Code::BadRequest,
                    "timestamp is missing or out of range, expected one with policy TIMESTAMP",
                )
            })?;
            shard.offset_by_time(&topic, queue, time, TimeBoundary::Lower)?
        }
    };
    Ok(v2::QueryOffsetResponse {
        status: Some(status::ok()),
        offset: told(offset),
    })
}
