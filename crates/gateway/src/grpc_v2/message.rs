//! A message of the protocol to and from what is stored (`grpc/message.rs`).

use base::{Timestamp, TopicName};
use broker::{Message, MessageType, Received};
use wire::{
    grpc_v2::{self as v2, DigestType, Encoding},
    message::StoredMessage,
};

use super::{
    call::Call,
    digest::DigestForm,
    status::Refusal,
    time::{from_duration, from_timestamp},
};
use crate::grpc::message::{self as shared, Delivery, Frame, Half, Incoming};

/// What the client sent as the core takes it.
pub(super) fn incoming(
    call: &Call,
    topic: &TopicName,
    message: v2::Message,
    now: Timestamp,
) -> Result<Message, Refusal> {
    let system = message.system_properties.unwrap_or_default();
    let is_half = system.message_type() == v2::MessageType::Transaction;
    let incoming = Incoming {
        body: message.body,
        is_compressed: system.body_encoding() == Encoding::Gzip,
        user: &message.user_properties,
        message_id: &system.message_id,
        tag: system.tag(),
        keys: &system.keys,
        message_group: system.message_group(),
        delivery: system.delivery_timestamp.map(Delivery::At),
        // Transaction checks go to the producers of the topic.
        half: is_half.then(|| Half {
            producer_group: topic.as_str(),
            recovery: system.orphaned_transaction_recovery_duration.as_ref(),
        }),
        lite_topic: system.lite_topic(),
        priority: system.priority,
        trace_context: system.trace_context(),
        born_timestamp: system.born_timestamp.as_ref(),
        born_host: &system.born_host,
    };
    shared::incoming(call, incoming, now)
}

/// The message group, if the message has one.
pub(super) fn message_group(system: &v2::SystemProperties) -> Result<Option<&str>, Refusal> {
    shared::message_group(system.message_group())
}

/// What the core hands out as the client takes it. `topic` is what the client called it.
pub(super) fn outgoing(
    received: &Received,
    topic: &v2::Resource,
    digest: DigestForm,
    now: Timestamp,
) -> v2::Message {
    let mut message = shown(&received.message, topic, digest);
    let system = message.system_properties.get_or_insert_default();
    system.receipt_handle = Some(received.handle.to_string());
    system.invisible_duration = Some(from_duration(received.invisible_until.since(now)));
    system.delivery_attempt = Some(i32::try_from(received.attempt).unwrap_or(i32::MAX));
    message
}

/// A stored message as the client reads it, without what belongs to a delivery.
pub(super) fn shown(
    message: &StoredMessage,
    topic: &v2::Resource,
    digest: DigestForm,
) -> v2::Message {
    let out = shared::outgoing(message, digest, Frame::Gzip);
    let encoding = match out.is_compressed {
        true => Encoding::Gzip,
        false => Encoding::Identity,
    };
    let digest_type = match digest {
        DigestForm::ShortCrc32 => DigestType::Crc32,
        DigestForm::Md5 => DigestType::Md5,
    };
    let system = v2::SystemProperties {
        tag: out.tag,
        keys: out.keys,
        message_id: out.message_id,
        body_digest: Some(v2::Digest {
            r#type: digest_type.into(),
            checksum: out.checksum,
        }),
        body_encoding: encoding.into(),
        message_type: message_type(out.kind).into(),
        born_timestamp: Some(from_timestamp(out.born_timestamp)),
        born_host: out.born_host,
        store_timestamp: Some(from_timestamp(out.store_timestamp)),
        store_host: out.store_host,
        delivery_timestamp: out.delivery.map(from_timestamp),
        queue_id: out.queue,
        queue_offset: Some(out.offset),
        message_group: out.message_group,
        trace_context: out.trace_context,
        lite_topic: out.lite_topic,
        priority: out.priority,
        dead_letter_queue: out
            .dead_letter
            .map(|(topic, message_id)| v2::DeadLetterQueue { topic, message_id }),
        ..Default::default()
    };
    v2::Message {
        topic: Some(topic.clone()),
        user_properties: out.user,
        system_properties: Some(system),
        body: out.body,
    }
}

/// What the message asked of the broker, in the protocol's words.
fn message_type(kind: MessageType) -> v2::MessageType {
    match kind {
        MessageType::Normal => v2::MessageType::Normal,
        MessageType::Fifo => v2::MessageType::Fifo,
        MessageType::Delay => v2::MessageType::Delay,
        MessageType::Transaction => v2::MessageType::Transaction,
        MessageType::Lite => v2::MessageType::Lite,
        MessageType::Priority => v2::MessageType::Priority,
    }
}

#[cfg(test)]
mod tests;
