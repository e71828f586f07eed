//! A message of the protocol to and from the core's: which system property is which stored
//! property.
//!
//! A message sent here reads over Remoting as if a Remoting client had sent it, and the other way
//! round. Source: Apache's `SendMessageActivity.buildMessageProperty` and
//! `GrpcConverter.buildSystemProperties`, which fix the names.

use std::collections::HashMap;

use base::{Timestamp, TopicName, limits};
use broker::{Message, MessageType, Received};
use bytes::Bytes;
use wire::{
    grpc_v2::{self as v2, Code, Encoding},
    message::{MessageId, StoredMessage, properties, sys_flag},
};

use super::{
    call::Call,
    compression,
    digest::DigestForm,
    status::Refusal,
    time::{from_duration, from_timestamp, to_duration, to_timestamp},
};

/// Names that start so are between server and server.
const TRANSIENT_PREFIX: &str = "__RMQ.TRANSIENT.";

/// What the client sent as the core takes it.
pub(super) fn incoming(
    call: &Call,
    topic: &TopicName,
    message: v2::Message,
    now: Timestamp,
) -> Result<Message, Refusal> {
    let system = message.system_properties.unwrap_or_default();
    if message.body.is_empty() {
        return Err(Refusal::new(
            Code::MessageBodyEmpty,
            "message body is empty",
        ));
    }
    if message.body.len() > limits::MESSAGE_BODY_BYTES_MAX {
        let (length, max) = (message.body.len(), limits::MESSAGE_BODY_BYTES_MAX);
        return Err(Refusal::new(
            Code::MessageBodyTooLarge,
            format!("message body has {length} bytes, expected at most {max}"),
        ));
    }
    let mut flag = 0;
    let mut body = message.body;
    if system.body_encoding() == Encoding::Gzip {
        body = compression::to_zlib(&body)
            .map_err(|error| Refusal::new(Code::MessageCorrupted, error.to_string()))?;
        flag |= sys_flag::COMPRESSED | sys_flag::COMPRESSION_ZLIB;
    }
    if system.message_type() == v2::MessageType::Transaction {
        flag = sys_flag::with_transaction(flag, sys_flag::TRANSACTION_PREPARED);
    }
    let properties = incoming_properties(topic, &message.user_properties, &system)?;
    Ok(Message {
        flag: 0,
        sys_flag: flag,
        born_timestamp: system
            .born_timestamp
            .as_ref()
            .and_then(to_timestamp)
            .unwrap_or(now),
        born_host: call.connection.peer,
        reconsume_times: 0,
        body,
        properties: properties.into(),
    })
}

/// All properties in their stored form.
fn incoming_properties(
    topic: &TopicName,
    user: &HashMap<String, String>,
    system: &v2::SystemProperties,
) -> Result<String, Refusal> {
    check_user_properties(user, system)?;
    let mut raw = String::with_capacity(256);
    put(
        &mut raw,
        properties::UNIQUE_KEY,
        check_message_id(&system.message_id)?,
        Code::IllegalMessageId,
    )?;
    for (name, value) in user {
        // Compat: a property without a value is lost on the way through Apache's stored form; it is
        // no reason to refuse the message.
        if !value.is_empty() {
            put(&mut raw, name, value, Code::IllegalMessagePropertyKey)?;
        }
    }
    if let Some(tag) = system.tag.as_deref().filter(|tag| !tag.is_empty()) {
        put(
            &mut raw,
            properties::TAGS,
            check_tag(tag)?,
            Code::IllegalMessageTag,
        )?;
    }
    let keys = joined_keys(&system.keys)?;
    if !keys.is_empty() {
        put(&mut raw, properties::KEYS, &keys, Code::IllegalMessageKey)?;
    }
    if let Some(group) = message_group(system)? {
        put(
            &mut raw,
            properties::SHARDING_KEY,
            group,
            Code::IllegalMessageGroup,
        )?;
    }
    if let Some(time) = &system.delivery_timestamp {
        let due = to_timestamp(time).ok_or_else(|| {
            Refusal::new(
                Code::IllegalDeliveryTime,
                "delivery timestamp is out of range",
            )
        })?;
        put(
            &mut raw,
            properties::TIMER_DELIVER_MS,
            &due.to_string(),
            Code::IllegalDeliveryTime,
        )?;
    }
    if system.message_type() == v2::MessageType::Transaction {
        put(
            &mut raw,
            properties::TRANSACTION_PREPARED,
            "true",
            Code::MessageCorrupted,
        )?;
        // Transaction checks go to the producers of the topic.
        put(
            &mut raw,
            properties::PRODUCER_GROUP,
            topic.as_str(),
            Code::IllegalTopic,
        )?;
        if let Some(duration) = &system.orphaned_transaction_recovery_duration {
            put(
                &mut raw,
                properties::CHECK_IMMUNITY_TIME_SECONDS,
                &check_recovery(duration)?.to_string(),
                Code::BadRequest,
            )?;
        }
    }
    if let Some(topic) = system
        .lite_topic
        .as_deref()
        .filter(|topic| !topic.is_empty())
    {
        put(
            &mut raw,
            properties::LITE_TOPIC,
            topic,
            Code::IllegalLiteTopic,
        )?;
    }
    if let Some(priority) = system.priority {
        put(
            &mut raw,
            properties::PRIORITY,
            &priority.to_string(),
            Code::IllegalMessagePropertyKey,
        )?;
    }
    if let Some(context) = system
        .trace_context
        .as_deref()
        .filter(|text| !text.is_empty())
    {
        put(
            &mut raw,
            properties::TRACE_CONTEXT,
            context,
            Code::IllegalMessagePropertyKey,
        )?;
    }
    // The host name that the SDK knows; the address it came from is in the head of the message.
    if !system.born_host.trim().is_empty() {
        put(
            &mut raw,
            properties::BORN_HOST,
            &system.born_host,
            Code::IllegalMessagePropertyKey,
        )?;
    }
    if raw.len() > limits::MESSAGE_PROPERTIES_BYTES_MAX {
        return Err(too_large(raw.len(), limits::MESSAGE_PROPERTIES_BYTES_MAX));
    }
    Ok(raw)
}

/// Appends a property; `code` refuses a value that cannot be stored.
fn put(raw: &mut String, name: &str, value: &str, code: Code) -> Result<(), Refusal> {
    properties::push(raw, name, value).map_err(|error| Refusal::new(code, error.to_string()))
}

/// The message group, if the message has one.
pub(super) fn message_group(system: &v2::SystemProperties) -> Result<Option<&str>, Refusal> {
    let Some(group) = system
        .message_group
        .as_deref()
        .filter(|group| !group.is_empty())
    else {
        return Ok(None);
    };
    let max = limits::MESSAGE_GROUP_BYTES_MAX;
    if group.len() > max {
        let length = group.len();
        return Err(Refusal::new(
            Code::IllegalMessageGroup,
            format!("message group has {length} bytes, expected at most {max}"),
        ));
    }
    check_text("message group", group, Code::IllegalMessageGroup).map(Some)
}

fn check_user_properties(
    user: &HashMap<String, String>,
    system: &v2::SystemProperties,
) -> Result<(), Refusal> {
    if user.len() > limits::USER_PROPERTIES_MAX {
        let (count, max) = (user.len(), limits::USER_PROPERTIES_MAX);
        return Err(Refusal::new(
            Code::MessagePropertiesTooLarge,
            format!("message has {count} user properties, expected at most {max}"),
        ));
    }
    let mut bytes = system.tag.as_ref().map_or(0, String::len);
    bytes += system.keys.iter().map(String::len).sum::<usize>();
    for (name, value) in user {
        if is_system_property(name) {
            return Err(Refusal::new(
                Code::IllegalMessagePropertyKey,
                format!("user property `{name}` has a name of the system's"),
            ));
        }
        if name.is_empty() || has_control(name) || has_control(value) {
            return Err(Refusal::new(
                Code::IllegalMessagePropertyKey,
                format!("user property {name:?} has an empty name or a control character"),
            ));
        }
        bytes += name.len() + value.len();
    }
    if bytes > limits::USER_PROPERTIES_BYTES_MAX {
        return Err(too_large(bytes, limits::USER_PROPERTIES_BYTES_MAX));
    }
    Ok(())
}

fn too_large(bytes: usize, max: usize) -> Refusal {
    Refusal::new(
        Code::MessagePropertiesTooLarge,
        format!("message properties have {bytes} bytes, expected at most {max}"),
    )
}

fn check_message_id(id: &str) -> Result<&str, Refusal> {
    if id.trim().is_empty() {
        return Err(Refusal::new(Code::IllegalMessageId, "message id is empty"));
    }
    Ok(id)
}

/// The time in seconds before which a transaction is not asked about.
fn check_recovery(duration: &prost_types::Duration) -> Result<u64, Refusal> {
    let max = limits::TRANSACTION_RECOVERY_SECONDS_MAX;
    to_duration(duration)
        .map(|duration| duration.as_secs())
        .filter(|seconds| *seconds <= max)
        .ok_or_else(|| {
            let seconds = duration.seconds;
            Refusal::new(
                Code::BadRequest,
                format!("recovery duration is {seconds} s, expected 0 to {max} s"),
            )
        })
}

fn check_tag(tag: &str) -> Result<&str, Refusal> {
    if tag.contains('|') {
        return Err(Refusal::new(
            Code::IllegalMessageTag,
            format!("message tag {tag:?} holds `|`, which joins tags in filters"),
        ));
    }
    check_text("message tag", tag, Code::IllegalMessageTag)
}

fn joined_keys(keys: &[String]) -> Result<String, Refusal> {
    let mut joined = String::new();
    for key in keys.iter().filter(|key| !key.is_empty()) {
        check_text("message key", key, Code::IllegalMessageKey)?;
        if !joined.is_empty() {
            joined.push(properties::KEY_SEPARATOR);
        }
        joined.push_str(key);
    }
    Ok(joined)
}

fn check_text<'a>(what: &str, text: &'a str, code: Code) -> Result<&'a str, Refusal> {
    if text.trim().is_empty() || has_control(text) {
        let start: String = text.chars().take(64).collect();
        return Err(Refusal::new(
            code,
            format!("{what} {start:?} is blank or holds a control character"),
        ));
    }
    Ok(text)
}

fn has_control(text: &str) -> bool {
    text.chars().any(char::is_control)
}

fn is_system_property(name: &str) -> bool {
    properties::WELL_KNOWN.contains(&name) || name.starts_with(TRANSIENT_PREFIX)
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
    let (body, encoding) = outgoing_body(message);
    let mut user_properties = HashMap::new();
    let mut system = v2::SystemProperties {
        body_digest: Some(digest.of(&body)),
        body_encoding: encoding.into(),
        message_type: message_type(message).into(),
        born_timestamp: Some(from_timestamp(Timestamp::from_ms(message.born_timestamp()))),
        born_host: message.born_host().ip().to_string(),
        store_timestamp: Some(from_timestamp(Timestamp::from_ms(
            message.store_timestamp(),
        ))),
        store_host: message.store_host().to_string(),
        queue_id: message.queue_id().cast_signed(),
        queue_offset: Some(message.queue_offset()),
        ..Default::default()
    };
    let mut dead_letter = v2::DeadLetterQueue::default();
    for (name, value) in message.properties() {
        let value = || value.to_owned();
        match name {
            properties::UNIQUE_KEY => system.message_id = value(),
            properties::TAGS => system.tag = Some(value()),
            properties::KEYS => {
                system.keys = properties::keys(&value()).map(str::to_owned).collect()
            }
            properties::SHARDING_KEY => system.message_group = Some(value()),
            properties::TRACE_CONTEXT => system.trace_context = Some(value()),
            properties::LITE_TOPIC => system.lite_topic = Some(value()),
            properties::PRIORITY => system.priority = value().parse().ok(),
            properties::BORN_HOST => system.born_host = value(),
            properties::DLQ_ORIGIN_TOPIC => dead_letter.topic = value(),
            properties::DLQ_ORIGIN_MESSAGE_ID => dead_letter.message_id = value(),
            properties::TIMER_DELIVER_MS | properties::START_DELIVER_TIME => {
                system.delivery_timestamp = value()
                    .parse()
                    .ok()
                    .map(|ms| from_timestamp(Timestamp::from_ms(ms)));
            }
            name if is_system_property(name) => {}
            name => {
                user_properties.insert(name.to_owned(), value());
            }
        }
    }
    if system.message_id.is_empty() {
        // A message of a client that made no id of its own is known by where it is stored.
        system.message_id = MessageId {
            store_host: message.store_host(),
            physical_offset: message.physical_offset(),
        }
        .to_string();
    }
    if !dead_letter.topic.is_empty() && !dead_letter.message_id.is_empty() {
        system.dead_letter_queue = Some(dead_letter);
    }
    v2::Message {
        topic: Some(topic.clone()),
        user_properties,
        system_properties: Some(system),
        body,
    }
}

/// The body in a form that every SDK reads.
fn outgoing_body(message: &StoredMessage) -> (Bytes, Encoding) {
    let body = message.body();
    if message.sys_flag() & sys_flag::COMPRESSED == 0 {
        return (body, Encoding::Identity);
    }
    // Other compressions (LZ4, Zstandard) have no name in the protocol; Java and Go know them by
    // their first bytes.
    (compression::to_gzip(&body).unwrap_or(body), Encoding::Gzip)
}

/// What the message asked of the broker, as the core tells it from flags and properties.
fn message_type(message: &StoredMessage) -> v2::MessageType {
    let kind = MessageType::of(&Message {
        flag: message.flag(),
        sys_flag: message.sys_flag(),
        born_timestamp: Timestamp::from_ms(message.born_timestamp()),
        born_host: message.born_host(),
        reconsume_times: message.reconsume_times(),
        body: Bytes::new(),
        properties: message
            .bytes()
            .slice_ref(message.properties_raw().as_bytes()),
    });
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
