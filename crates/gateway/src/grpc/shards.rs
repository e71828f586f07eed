//! Which shard a request goes to: the one it names as a broker, or the one whose receipt or
//! transaction it shows.

use base::{PhysicalOffset, ShardId};
use broker::{Instance, Place, ReceiptHandle, ShardHandle};
use wire::grpc_v2::Code;

use super::{call::Call, status::Refusal};

/// The shard that a client named as a broker; any if it named none that is here.
pub(crate) fn named_shard(
    call: &Call,
    instance: &Instance,
    broker: &str,
) -> Result<ShardHandle, Refusal> {
    let number = broker
        .strip_prefix(instance.id().as_str())
        .and_then(|rest| rest.strip_prefix('-'))
        .and_then(|number| number.parse().ok())
        .map(ShardId::new);
    if let Some(shard) = number
        && let Ok(shard) = shard_at(call, instance, shard)
    {
        return Ok(shard);
    }
    any_shard(call, instance)
}

/// A shard for requests that name none. The first: an instance on one machine has one.
pub(crate) fn any_shard(call: &Call, instance: &Instance) -> Result<ShardHandle, Refusal> {
    let shard = instance
        .shards()
        .first()
        .map(|shard| shard.id())
        .ok_or_else(|| {
            Refusal::new(
                Code::InternalServerError,
                format!("instance `{}` has no shard here", instance.id()),
            )
        })?;
    shard_at(call, instance, shard)
}

/// The shard that handed out a message.
pub(crate) fn shard_of(
    call: &Call,
    instance: &Instance,
    handle: &ReceiptHandle,
) -> Result<ShardHandle, Refusal> {
    shard_at(call, instance, handle.shard)
        .map_err(|refusal| Refusal::new(Code::InvalidReceiptHandle, refusal.text()))
}

/// The shard that has a half message.
pub(crate) fn shard_of_half(
    call: &Call,
    instance: &Instance,
    half: PhysicalOffset,
) -> Result<ShardHandle, Refusal> {
    let shard = call.front.router.shard_of(instance.id(), half);
    shard.map_err(|error| Refusal::new(Code::InvalidTransactionId, error.to_string()))
}

fn shard_at(call: &Call, instance: &Instance, shard: ShardId) -> Result<ShardHandle, Refusal> {
    call.front
        .router
        .shard(&Place {
            instance: instance.id().clone(),
            shard,
        })
        .map_err(|error| Refusal::new(Code::InternalServerError, error.to_string()))
}
