//! SendMessage: a message is stored before its sender hears of it.

use base::stdx::java_string_hash;
use broker::{MessageType, QueueChoice, SendRequest};
use wire::{grpc_v1 as v1, grpc_v2::Code};

use super::{message::incoming, ok};
use crate::grpc::{
    call::Call, message::message_group, names, offset::queue_id, shards, status::Refusal, traced,
    transaction_id::transaction_id,
};

pub(super) async fn send(
    call: &Call,
    request: v1::SendMessageRequest,
) -> Result<v1::SendMessageResponse, Refusal> {
    let message = request
        .message
        .ok_or_else(|| Refusal::new(Code::MessageCorrupted, "request holds no message"))?;
    let (instance, topic) = names::topic(call, message.topic.as_ref())?;
    let system = message.system_attribute.as_ref();
    let message_id = system.map_or("", |system| system.message_id.as_str());
    let message_id = message_id.to_owned();
    let queue = queue_choice(system, request.partition.as_ref())?;
    let message = incoming(call, message, call.now())?;
    let is_half = MessageType::of(&message) == MessageType::Transaction;
    let bytes = message.body.len() + message.properties.len();
    let shard = shards::any_shard(call, &instance)?;
    let request = SendRequest {
        topic,
        queue,
        messages: vec![message],
        store_host: call.front.store_host(&call.connection),
        retries_max: None,
    };
    let sent = traced::send(call, &instance, &shard, request).await?;
    call.front.metrics.message_stored(bytes);
    let half = sent.first().filter(|_| is_half);
    Ok(v1::SendMessageResponse {
        common: ok(),
        message_id,
        transaction_id: half.map_or_else(String::new, |sent| transaction_id(sent.physical_offset)),
    })
}

/// The queue that keeps the order of the message group, if there is one. A client that orders
/// without a group has chosen a partition; for others any will do.
///
/// The hash is the one by which clients of the other protocols choose a queue, so that a message
/// group has one queue whichever client sends.
fn queue_choice(
    system: Option<&v1::SystemAttribute>,
    partition: Option<&v1::Partition>,
) -> Result<QueueChoice, Refusal> {
    let Some(system) = system else {
        return Ok(QueueChoice::Any);
    };
    if let Some(group) = message_group(&system.message_group)? {
        let hash = java_string_hash(group).unsigned_abs();
        return Ok(QueueChoice::ByHash(hash.into()));
    }
    match system.message_type() {
        v1::MessageType::Fifo => {
            let id = partition.map_or(system.partition_id, |partition| partition.id);
            Ok(QueueChoice::Queue(queue_id(id)?))
        }
        v1::MessageType::Normal | v1::MessageType::Delay | v1::MessageType::Transaction => {
            Ok(QueueChoice::Any)
        }
    }
}

#[cfg(test)]
mod tests {
    use base::QueueId;

    use super::*;

    #[test]
    fn order_decides_the_queue() {
        let choice = |group: &str, kind: v1::MessageType| {
            let system = v1::SystemAttribute {
                message_group: group.to_owned(),
                message_type: kind.into(),
                partition_id: 3,
                ..Default::default()
            };
            queue_choice(Some(&system), None).unwrap()
        };
        // "order-1".hashCode() is -1207111310 in Java.
        let by_group = choice("order-1", v1::MessageType::Fifo);
        assert_eq!(by_group, QueueChoice::ByHash(1_207_111_310));
        let by_partition = choice("", v1::MessageType::Fifo);
        assert_eq!(by_partition, QueueChoice::Queue(QueueId::new(3)));
        assert_eq!(choice("", v1::MessageType::Normal), QueueChoice::Any);
        assert_eq!(queue_choice(None, None), Ok(QueueChoice::Any));
    }
}
