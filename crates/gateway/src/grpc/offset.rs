//! Queues and offsets as clients name them.

use base::{QueueId, QueueOffset};
use wire::grpc_v2::Code;

use super::status::Refusal;

/// A queue that a client names.
pub(crate) fn queue_id(id: i32) -> Result<QueueId, Refusal> {
    let id = u32::try_from(id).map_err(|_| {
        Refusal::new(
            Code::BadRequest,
            format!("queue is {id}, expected 0 or more"),
        )
    })?;
    Ok(QueueId::new(id))
}

/// An offset that a client names.
pub(crate) fn asked(offset: i64) -> Result<u64, Refusal> {
    u64::try_from(offset).map_err(|_| {
        Refusal::new(
            Code::IllegalOffset,
            format!("offset is {offset}, expected 0 or more"),
        )
    })
}

/// What is said of an offset that the queue does not have.
pub(crate) fn outside(offset: u64, min: QueueOffset, max: QueueOffset) -> Refusal {
    Refusal::new(
        Code::IllegalOffset,
        format!("offset is {offset}, expected {min} to {max}"),
    )
}

/// The offset as the protocols have it.
pub(crate) fn told(offset: QueueOffset) -> i64 {
    i64::try_from(offset.get()).unwrap_or(i64::MAX)
}
