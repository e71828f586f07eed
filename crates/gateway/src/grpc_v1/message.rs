//! A message of the protocol to and from what is stored (`grpc/message.rs`).

use base::Timestamp;
use broker::{Message, MessageType, Received};
use wire::{
    grpc_v1::{self as v1, DigestType, Encoding, system_attribute::TimedDelivery},
    message::StoredMessage,
};

use crate::grpc::{
    call::Call,
    digest::DigestForm,
    message::{self as shared, Delivery, Frame, Half, Incoming},
    names,
    status::Refusal,
    time::{from_duration, from_timestamp},
};

/// What the client sent as the core takes it.
pub(super) fn incoming(
    call: &Call,
    message: v1::Message,
    now: Timestamp,
) -> Result<Message, Refusal> {
    let system = message.system_attribute.unwrap_or_default();
    let group = match system.message_type() {
        v1::MessageType::Transaction => names::group(call, system.producer_group.as_ref())?
            .1
            .as_str()
            .to_owned(),
        v1::MessageType::Normal | v1::MessageType::Fifo | v1::MessageType::Delay => String::new(),
    };
    let incoming = Incoming {
        body: message.body,
        is_compressed: system.body_encoding() == Encoding::Gzip,
        user: &message.user_attribute,
        message_id: &system.message_id,
        tag: &system.tag,
        keys: &system.keys,
        message_group: &system.message_group,
        delivery: system.timed_delivery.map(|delivery| match delivery {
            TimedDelivery::DeliveryTimestamp(time) => Delivery::At(time),
            TimedDelivery::DelayLevel(level) => Delivery::Level(level),
        }),
        half: (!group.is_empty()).then(|| Half {
            producer_group: &group,
            recovery: system.orphaned_transaction_recovery_period.as_ref(),
        }),
        lite_topic: "",
        priority: None,
        trace_context: &system.trace_context,
        born_timestamp: system.born_timestamp.as_ref(),
        born_host: &system.born_host,
    };
    shared::incoming(call, incoming, now)
}

/// What the core hands out as the client takes it. `topic` is what the client called it.
pub(super) fn outgoing(
    received: &Received,
    topic: &v1::Resource,
    digest: DigestForm,
    now: Timestamp,
) -> v1::Message {
    let mut message = shown(&received.message, topic, digest);
    let system = message.system_attribute.get_or_insert_default();
    system.receipt_handle = received.handle.to_string();
    system.invisible_period = Some(from_duration(received.invisible_until.since(now)));
    system.delivery_attempt = i32::try_from(received.attempt).unwrap_or(i32::MAX);
    message
}

/// A stored message as the client reads it, without what belongs to a delivery.
pub(super) fn shown(
    message: &StoredMessage,
    topic: &v1::Resource,
    digest: DigestForm,
) -> v1::Message {
    // Compat: what the SDK (2.0.5) calls GZIP is zlib, both ways.
    let out = shared::outgoing(message, digest, Frame::Zlib);
    let encoding = match out.is_compressed {
        true => Encoding::Gzip,
        false => Encoding::Identity,
    };
    let digest_type = match digest {
        DigestForm::ShortCrc32 => DigestType::Crc32,
        DigestForm::Md5 => DigestType::Md5,
    };
    let delivery = out.delivery.map(from_timestamp);
    let system = v1::SystemAttribute {
        tag: out.tag.unwrap_or_default(),
        keys: out.keys,
        message_id: out.message_id,
        body_digest: Some(v1::Digest {
            r#type: digest_type.into(),
            checksum: out.checksum,
        }),
        body_encoding: encoding.into(),
        message_type: message_type(out.kind).into(),
        born_timestamp: Some(from_timestamp(out.born_timestamp)),
        born_host: out.born_host,
        store_timestamp: Some(from_timestamp(out.store_timestamp)),
        store_host: out.store_host,
        timed_delivery: delivery.map(TimedDelivery::DeliveryTimestamp),
        partition_id: out.queue,
        partition_offset: out.offset,
        // Pulled messages are in their first delivery too.
        delivery_attempt: 1,
        producer_group: out.producer_group.map(|name| v1::Resource {
            resource_namespace: topic.resource_namespace.clone(),
            name,
        }),
        message_group: out.message_group.unwrap_or_default(),
        trace_context: out.trace_context.unwrap_or_default(),
        ..Default::default()
    };
    v1::Message {
        topic: Some(topic.clone()),
        user_attribute: out.user,
        system_attribute: Some(system),
        body: out.body,
    }
}

/// What the message asked of the broker, in the protocol's words. It has none for the types that
/// are newer than itself.
fn message_type(kind: MessageType) -> v1::MessageType {
    match kind {
        MessageType::Normal | MessageType::Lite | MessageType::Priority => v1::MessageType::Normal,
        MessageType::Fifo => v1::MessageType::Fifo,
        MessageType::Delay => v1::MessageType::Delay,
        MessageType::Transaction => v1::MessageType::Transaction,
    }
}
