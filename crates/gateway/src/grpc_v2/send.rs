//! SendMessage: messages of one topic, stored together.

use base::stdx::java_string_hash;
use broker::{Instance, MessageType, QueueChoice, SendRequest, Sent};
use wire::grpc_v2::{self as v2, Code};

use super::{
    call::Call,
    message::{incoming, message_group},
    names, shards,
    status::{self, Refusal},
    traced,
    transaction_id::transaction_id,
};
use crate::{front::broker_name, recall_handle::RecallHandle};

pub(super) async fn send(
    call: &Call,
    request: v2::SendMessageRequest,
) -> Result<v2::SendMessageResponse, Refusal> {
    let first = request
        .messages
        .first()
        .ok_or_else(|| Refusal::new(Code::MessageCorrupted, "request holds no message"))?;
    let (instance, topic) = names::topic(call, first.topic.as_ref())?;
    let told_topic = first.topic.as_ref().map_or("", |topic| topic.name.as_str());
    let told_topic = told_topic.to_owned();
    let queue = queue_choice(&request.messages)?;
    if request
        .messages
        .iter()
        .any(|message| message.topic != first.topic)
    {
        return Err(Refusal::new(
            Code::MessageCorrupted,
            "messages of one request have different topics",
        ));
    }
    let now = call.now();
    let mut ids = Vec::with_capacity(request.messages.len());
    let mut messages = Vec::with_capacity(request.messages.len());
    let mut sizes = Vec::with_capacity(request.messages.len());
    let mut halves = Vec::with_capacity(request.messages.len());
    for message in request.messages {
        let system = message.system_properties.as_ref();
        ids.push(
            system
                .map(|system| system.message_id.clone())
                .unwrap_or_default(),
        );
        let message = incoming(call, &topic, message, now)?;
        halves.push(MessageType::of(&message) == MessageType::Transaction);
        sizes.push(message.body.len() + message.properties.len());
        messages.push(message);
    }
    let shard = shards::any_shard(call, &instance)?;
    if halves.contains(&true) {
        let client = call.client_id()?;
        let clients = &call.front.grpc_clients;
        clients.sent_half(&instance, client, &topic);
    }
    let request = SendRequest {
        topic,
        queue,
        messages,
        store_host: call.front.store_host(&call.connection),
        retries_max: None,
    };
    let sent = traced::send(call, &instance, &shard, request).await?;
    for size in sizes {
        call.front.metrics.message_stored(size);
    }
    let entries = sent.iter().zip(ids.into_iter().zip(halves));
    let entries = entries.map(|(sent, (message_id, is_half))| v2::SendResultEntry {
        status: Some(status::ok()),
        message_id,
        transaction_id: if is_half {
            transaction_id(sent.physical_offset)
        } else {
            String::new()
        },
        offset: i64::try_from(sent.queue_offset.get()).unwrap_or(i64::MAX),
        recall_handle: recall_handle(&instance, &told_topic, sent),
    });
    let entries = entries.collect();
    Ok(v2::SendMessageResponse {
        status: Some(status::ok()),
        entries,
    })
}

/// What takes a timed message back; empty for others.
fn recall_handle(instance: &Instance, topic: &str, sent: &Sent) -> String {
    if sent.due.is_none() {
        return String::new();
    }
    let broker = broker_name(instance.id(), sent.physical_offset.shard());
    RecallHandle {
        topic,
        broker: &broker,
        due: sent.due,
        message: sent.physical_offset,
    }
    .to_string()
}

/// The queue that keeps the order of the message group, if there is one.
///
/// The hash is the one by which ONS clients and `SelectMessageQueueByHash` choose a queue, so that
/// a message group has one queue whichever client sends.
fn queue_choice(messages: &[v2::Message]) -> Result<QueueChoice, Refusal> {
    let none = v2::SystemProperties::default();
    let mut groups = messages
        .iter()
        .map(|message| message_group(message.system_properties.as_ref().unwrap_or(&none)));
    let first = groups.next().transpose()?.flatten();
    for group in groups {
        if group? != first {
            return Err(Refusal::new(
                Code::IllegalMessageGroup,
                "messages of one request have different message groups",
            ));
        }
    }
    Ok(first.map_or(QueueChoice::Any, |group| {
        QueueChoice::ByHash(java_string_hash(group).unsigned_abs().into())
    }))
}

#[cfg(test)]
mod tests {
    use super::*;

    fn of_group(group: Option<&str>) -> v2::Message {
        v2::Message {
            system_properties: Some(v2::SystemProperties {
                message_group: group.map(str::to_owned),
                ..Default::default()
            }),
            ..Default::default()
        }
    }

    #[test]
    fn a_message_group_has_one_queue() {
        assert_eq!(queue_choice(&[of_group(None)]), Ok(QueueChoice::Any));
        assert_eq!(queue_choice(&[of_group(Some(""))]), Ok(QueueChoice::Any));
        // "order-1".hashCode() is -1207111310 in Java.
        let same = [of_group(Some("order-1")), of_group(Some("order-1"))];
        assert_eq!(queue_choice(&same), Ok(QueueChoice::ByHash(1_207_111_310)));
        let mixed = [of_group(Some("a")), of_group(Some("b"))];
        assert_eq!(
            queue_choice(&mixed).unwrap_err().code(),
            Code::IllegalMessageGroup
        );
        let half = [of_group(Some("a")), of_group(None)];
        assert_eq!(
            queue_choice(&half).unwrap_err().code(),
            Code::IllegalMessageGroup
        );
    }
}
