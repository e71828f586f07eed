//! Ack (codes 200051, 200151): popped messages are done.

use base::{QueueId, QueueOffset, limits};
use broker::{AckError, ShardHandle};
use wire::remoting::{
    Command, ResponseCode,
    body::{BatchAck, BatchAckRequest, Body},
    header::AckMessageRequest,
    pop_receipt::PopReceipt,
};

use super::{
    connection::{Connection, TopicAndGroup},
    pull::queue_id,
    reply::{Answer, Refusal, Reply},
};

/// Code 200051. Waits for nothing, as there is one for each message.
pub(super) fn one(connection: &Connection, request: &Command) -> Answer {
    let header: AckMessageRequest<'_> = request.header()?;
    let names = connection.topic_and_group(header.topic, header.consumer_group)?;
    let popped = Popped {
        queue: queue_id(header.queue_id)?,
        nonce: nonce(header.extra_info)?,
    };
    let shard = connection.shard(names.instance.id())?;
    popped.ack(&shard, &names, offset(header.offset)?)?;
    Ok(Reply::success(request))
}

/// Code 200151. As on Apache, receipts that are of no use any more do not fail the others.
pub(super) fn batch(connection: &Connection, request: &Command) -> Answer {
    let body = BatchAckRequest::decode(&request.body)?;
    let (mut asked, mut done) = (0_usize, 0_usize);
    for ack in &body.acks {
        let names = connection.topic_and_group(&ack.topic, &ack.consumer_group)?;
        let shard = connection.shard(names.instance.id())?;
        let popped = Popped::of(ack)?;
        for acked in ack.offsets()? {
            asked += 1;
            if asked > limits::ACK_ENTRIES_MAX {
                let limit = limits::ACK_ENTRIES_MAX;
                let remark = format!(
                    "batch acknowledgement has more than {limit} offsets, {done} of which are done"
                );
                return Err(Refusal::new(ResponseCode::InvalidParameter, remark));
            }
            match popped.ack(&shard, &names, offset(acked)?) {
                Ok(()) => done += 1,
                Err(AckError::Expired { .. } | AckError::Foreign { .. }) => {}
                Err(error) => return Err(error.into()),
            }
        }
    }
    if done == 0 {
        let remark = format!("none of {asked} receipts is of a message in flight");
        return Err(Refusal::new(ResponseCode::NoMessage, remark));
    }
    Ok(Reply::success(request))
}

/// Messages of one pop.
struct Popped {
    queue: QueueId,
    nonce: u32,
}

impl Popped {
    fn of(ack: &BatchAck) -> Result<Self, Refusal> {
        Ok(Self {
            queue: queue_id(ack.queue_id)?,
            nonce: ack.revive_queue_id.cast_unsigned(),
        })
    }

    fn ack(
        &self,
        shard: &ShardHandle,
        names: &TopicAndGroup,
        offset: QueueOffset,
    ) -> Result<(), AckError> {
        let TopicAndGroup { topic, group, .. } = names;
        shard.ack_by_nonce(group, topic, self.queue, offset, self.nonce)
    }
}

/// What a receipt says of the delivery beyond what its request says.
pub(super) fn nonce(receipt: &str) -> Result<u32, Refusal> {
    Ok(PopReceipt::parse(receipt)?.revive_queue_id.cast_unsigned())
}

/// A queue offset off the wire.
pub(super) fn offset(offset: i64) -> Result<QueueOffset, Refusal> {
    u64::try_from(offset).map(QueueOffset::new).map_err(|_| {
        let remark = format!("offset is {offset}, expected 0 or more");
        Refusal::new(ResponseCode::InvalidParameter, remark)
    })
}
