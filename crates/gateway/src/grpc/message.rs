//! A message of the protocols to and from the core's: which system property is which stored
//! property.
//!
//! A message sent here reads over Remoting as if a Remoting client had sent it, and the other way
//! round. Source: Apache's `SendMessageActivity.buildMessageProperty` and
//! `GrpcConverter.buildSystemProperties`, which fix the names.

use std::{
    collections::HashMap,
    net::{IpAddr, SocketAddr},
};

use base::{Timestamp, limits};
use broker::{Message, MessageType};
use bytes::Bytes;
use prost_types::{Duration as WireDuration, Timestamp as WireTimestamp};
use wire::{
    grpc_v2::Code,
    message::{MessageId, StoredMessage, properties, sys_flag},
};

use super::{
    call::Call,
    compression,
    digest::DigestForm,
    status::Refusal,
    time::{to_duration, to_timestamp},
};

/// Names that start so are between server and server.
const TRANSIENT_PREFIX: &str = "__RMQ.TRANSIENT.";

/// When a message is to be delivered.
pub(crate) enum Delivery {
    /// At this time.
    At(WireTimestamp),
    /// After the pause of this delay level of Remoting.
    Level(i32),
}

/// What makes a message a half message.
pub(crate) struct Half<'m> {
    /// The group that is asked how its transaction ended.
    pub(crate) producer_group: &'m str,
    /// How long it is not asked about, if that is said.
    pub(crate) recovery: Option<&'m WireDuration>,
}

/// What a client sent, whichever protocol it speaks. Empty texts say nothing.
pub(crate) struct Incoming<'m> {
    pub(crate) body: Bytes,
    pub(crate) is_compressed: bool,
    pub(crate) user: &'m HashMap<String, String>,
    pub(crate) message_id: &'m str,
    pub(crate) tag: &'m str,
    pub(crate) keys: &'m [String],
    pub(crate) message_group: &'m str,
    pub(crate) delivery: Option<Delivery>,
    pub(crate) half: Option<Half<'m>>,
    pub(crate) lite_topic: &'m str,
    pub(crate) priority: Option<i32>,
    pub(crate) trace_context: &'m str,
    pub(crate) born_timestamp: Option<&'m WireTimestamp>,
    pub(crate) born_host: &'m str,
}

/// What the client sent as the core takes it.
pub(crate) fn incoming(
    call: &Call,
    incoming: Incoming<'_>,
    now: Timestamp,
) -> Result<Message, Refusal> {
    if incoming.body.is_empty() {
        return Err(Refusal::new(
            Code::MessageBodyEmpty,
            "message body is empty",
        ));
    }
    if incoming.body.len() > limits::MESSAGE_BODY_BYTES_MAX {
        let (length, max) = (incoming.body.len(), limits::MESSAGE_BODY_BYTES_MAX);
        return Err(Refusal::new(
            Code::MessageBodyTooLarge,
            format!("message body has {length} bytes, expected at most {max}"),
        ));
    }
    let properties = incoming_properties(&incoming)?;
    let mut flag = 0;
    let mut body = incoming.body;
    if incoming.is_compressed {
        body = compression::to_zlib(&body)
            .map_err(|error| Refusal::new(Code::MessageCorrupted, error.to_string()))?;
        flag |= sys_flag::COMPRESSED | sys_flag::COMPRESSION_ZLIB;
    }
    if incoming.half.is_some() {
        flag = sys_flag::with_transaction(flag, sys_flag::TRANSACTION_PREPARED);
    }
    Ok(Message {
        flag: 0,
        sys_flag: flag,
        born_timestamp: incoming
            .born_timestamp
            .and_then(to_timestamp)
            .unwrap_or(now),
        born_host: call.connection.peer,
        reconsume_times: 0,
        body,
        properties: properties.into(),
    })
}

/// All properties in their stored form.
fn incoming_properties(message: &Incoming<'_>) -> Result<String, Refusal> {
    check_user_properties(message)?;
    let mut raw = String::with_capacity(256);
    let id = check_message_id(message.message_id)?;
    put(&mut raw, properties::UNIQUE_KEY, id, Code::IllegalMessageId)?;
    for (name, value) in message.user {
        // Compat: a property without a value is lost on the way through Apache's stored form; it is
        // no reason to refuse the message.
        if !value.is_empty() {
            put(&mut raw, name, value, Code::IllegalMessagePropertyKey)?;
        }
    }
    if !message.tag.is_empty() {
        let tag = check_tag(message.tag)?;
        put(&mut raw, properties::TAGS, tag, Code::IllegalMessageTag)?;
    }
    let keys = joined_keys(message.keys)?;
    if !keys.is_empty() {
        put(&mut raw, properties::KEYS, &keys, Code::IllegalMessageKey)?;
    }
    if let Some(group) = message_group(message.message_group)? {
        put(
            &mut raw,
            properties::SHARDING_KEY,
            group,
            Code::IllegalMessageGroup,
        )?;
    }
    match &message.delivery {
        Some(Delivery::At(time)) => {
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
        Some(Delivery::Level(level)) => put(
            &mut raw,
            properties::DELAY_LEVEL,
            &level.to_string(),
            Code::IllegalDeliveryTime,
        )?,
        None => {}
    }
    if let Some(half) = &message.half {
        put_half(&mut raw, half)?;
    }
    if !message.lite_topic.is_empty() {
        put(
            &mut raw,
            properties::LITE_TOPIC,
            message.lite_topic,
            Code::IllegalLiteTopic,
        )?;
    }
    // What has no limit or form of its own.
    let priority = message.priority.map(|priority| priority.to_string());
    let texts = [
        (properties::PRIORITY, priority.as_deref().unwrap_or("")),
        (properties::TRACE_CONTEXT, message.trace_context),
        // The host name that the SDK knows; the address it came from is in the head of the message.
        (properties::BORN_HOST, message.born_host.trim()),
    ];
    for (name, text) in texts.into_iter().filter(|(_, text)| !text.is_empty()) {
        put(&mut raw, name, text, Code::IllegalMessagePropertyKey)?;
    }
    if raw.len() > limits::MESSAGE_PROPERTIES_BYTES_MAX {
        return Err(too_large(raw.len(), limits::MESSAGE_PROPERTIES_BYTES_MAX));
    }
    Ok(raw)
}

fn put_half(raw: &mut String, half: &Half<'_>) -> Result<(), Refusal> {
    put(
        raw,
        properties::TRANSACTION_PREPARED,
        "true",
        Code::MessageCorrupted,
    )?;
    put(
        raw,
        properties::PRODUCER_GROUP,
        half.producer_group,
        Code::IllegalTopic,
    )?;
    if let Some(duration) = half.recovery {
        put(
            raw,
            properties::CHECK_IMMUNITY_TIME_SECONDS,
            &check_recovery(duration)?.to_string(),
            Code::BadRequest,
        )?;
    }
    Ok(())
}

/// Appends a property; `code` refuses a value that cannot be stored.
fn put(raw: &mut String, name: &str, value: &str, code: Code) -> Result<(), Refusal> {
    properties::push(raw, name, value).map_err(|error| Refusal::new(code, error.to_string()))
}

/// The message group, if the message has one.
pub(crate) fn message_group(group: &str) -> Result<Option<&str>, Refusal> {
    if group.is_empty() {
        return Ok(None);
    }
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

fn check_user_properties(message: &Incoming<'_>) -> Result<(), Refusal> {
    let user = message.user;
    if user.len() > limits::USER_PROPERTIES_MAX {
        let (count, max) = (user.len(), limits::USER_PROPERTIES_MAX);
        return Err(Refusal::new(
            Code::MessagePropertiesTooLarge,
            format!("message has {count} user properties, expected at most {max}"),
        ));
    }
    let mut bytes = message.tag.len();
    bytes += message.keys.iter().map(String::len).sum::<usize>();
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
fn check_recovery(duration: &WireDuration) -> Result<u64, Refusal> {
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

/// An address as text. Every message that is received carries two; of the usual kind they are put
/// together here at a fraction of what formatting costs.
fn ip_text(ip: IpAddr, room: usize) -> String {
    let IpAddr::V4(ip) = ip else {
        return ip.to_string();
    };
    let mut text = String::with_capacity("255.255.255.255".len() + room);
    for (index, octet) in ip.octets().into_iter().enumerate() {
        if index > 0 {
            text.push('.');
        }
        push_decimal(&mut text, octet.into());
    }
    text
}

/// An address and its port as text.
fn host_text(host: SocketAddr) -> String {
    if host.is_ipv6() {
        return host.to_string();
    }
    let mut text = ip_text(host.ip(), ":65535".len());
    text.push(':');
    push_decimal(&mut text, host.port());
    text
}

fn push_decimal(text: &mut String, number: u16) {
    let mut unit = 10_000;
    while unit > 1 && number < unit {
        unit /= 10;
    }
    while unit > 0 {
        let digit = number / unit % 10;
        text.push(char::from(b'0' + digit as u8));
        unit /= 10;
    }
}

/// A stored message as clients are shown it, without what belongs to a delivery.
pub(crate) struct Outgoing {
    pub(crate) body: Bytes,
    pub(crate) is_compressed: bool,
    pub(crate) checksum: String,
    pub(crate) user: HashMap<String, String>,
    pub(crate) kind: MessageType,
    pub(crate) message_id: String,
    pub(crate) tag: Option<String>,
    pub(crate) keys: Vec<String>,
    pub(crate) message_group: Option<String>,
    pub(crate) delivery: Option<Timestamp>,
    pub(crate) producer_group: Option<String>,
    pub(crate) lite_topic: Option<String>,
    pub(crate) priority: Option<i32>,
    pub(crate) trace_context: Option<String>,
    pub(crate) born_timestamp: Timestamp,
    pub(crate) born_host: String,
    pub(crate) store_timestamp: Timestamp,
    pub(crate) store_host: String,
    pub(crate) queue: i32,
    pub(crate) offset: i64,
    /// Topic and message id of a dead letter's original.
    pub(crate) dead_letter: Option<(String, String)>,
}

/// The frame of compressed bodies that clients of a protocol read.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) enum Frame {
    /// What its name says.
    Gzip,
    /// That of stored bodies.
    Zlib,
}

/// What the core has stored as clients are shown it.
pub(crate) fn outgoing(message: &StoredMessage, digest: DigestForm, frame: Frame) -> Outgoing {
    let (body, is_compressed) = outgoing_body(message, frame);
    let mut out = Outgoing {
        checksum: digest.checksum(&body),
        body,
        is_compressed,
        user: HashMap::new(),
        kind: MessageType::of_stored(message),
        message_id: String::new(),
        tag: None,
        keys: Vec::new(),
        message_group: None,
        delivery: None,
        producer_group: None,
        lite_topic: None,
        priority: None,
        trace_context: None,
        born_timestamp: Timestamp::from_ms(message.born_timestamp()),
        born_host: ip_text(message.born_host().ip(), 0),
        store_timestamp: Timestamp::from_ms(message.store_timestamp()),
        store_host: host_text(message.store_host()),
        queue: message.queue_id().cast_signed(),
        offset: message.queue_offset(),
        dead_letter: None,
    };
    let (mut dead_topic, mut dead_id) = (String::new(), String::new());
    for (name, value) in message.properties() {
        let value = || value.to_owned();
        match name {
            properties::UNIQUE_KEY => out.message_id = value(),
            properties::TAGS => out.tag = Some(value()),
            properties::KEYS => out.keys = properties::keys(&value()).map(str::to_owned).collect(),
            properties::SHARDING_KEY => out.message_group = Some(value()),
            properties::TRACE_CONTEXT => out.trace_context = Some(value()),
            properties::LITE_TOPIC => out.lite_topic = Some(value()),
            properties::PRIORITY => out.priority = value().parse().ok(),
            properties::BORN_HOST => out.born_host = value(),
            properties::PRODUCER_GROUP => out.producer_group = Some(value()),
            properties::DLQ_ORIGIN_TOPIC => dead_topic = value(),
            properties::DLQ_ORIGIN_MESSAGE_ID => dead_id = value(),
            properties::TIMER_DELIVER_MS | properties::START_DELIVER_TIME => {
                out.delivery = value().parse().ok().map(Timestamp::from_ms);
            }
            name if is_system_property(name) => {}
            name => {
                out.user.insert(name.to_owned(), value());
            }
        }
    }
    if out.message_id.is_empty() {
        // A message of a client that made no id of its own is known by where it is stored.
        out.message_id = MessageId {
            store_host: message.store_host(),
            physical_offset: message.physical_offset(),
        }
        .to_string();
    }
    if !dead_topic.is_empty() && !dead_id.is_empty() {
        out.dead_letter = Some((dead_topic, dead_id));
    }
    out
}

/// The body in a form that SDKs read, and whether it is compressed.
fn outgoing_body(message: &StoredMessage, frame: Frame) -> (Bytes, bool) {
    let body = message.body();
    if message.sys_flag() & sys_flag::COMPRESSED == 0 {
        return (body, false);
    }
    if frame == Frame::Zlib {
        return (body, true);
    }
    // Other compressions (LZ4, Zstandard) have no name in the protocol; Java and Go know them by
    // their first bytes.
    (compression::to_gzip(&body).unwrap_or(body), true)
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn addresses_are_written_as_they_always_are() {
        for host in [
            "0.0.0.0:0",
            "127.0.0.1:9",
            "10.20.200.255:10911",
            "255.255.255.255:65535",
            "1.9.10.99:100",
            "[::1]:8081",
        ] {
            let address: SocketAddr = host.parse().unwrap();
            assert_eq!(host_text(address), host);
            assert_eq!(ip_text(address.ip(), 0), address.ip().to_string());
        }
    }
}
