//! A message of the protocol to and from the core's: which property is which stored property.
//!
//! Bodies are text, as XML is. What another protocol stored that is none is given with U+FFFD for
//! what cannot be shown; the digest is that of the stored body, so that a reader can tell.

use std::{io::Read as _, net::IpAddr, time::Duration};

use base::{Timestamp, limits};
use broker::{Message, POLLED_PRODUCER_GROUP};
use bytes::Bytes;
use flate2::read::{GzDecoder, ZlibDecoder};
use md5::{Digest as _, Md5};
use wire::{
    message::{MessageId, StoredMessage, properties, sys_flag},
    ons_http::{
        Delivery, KEYS, SentMessage, TRANSACTION_CHECK_SECONDS, iterate_properties, push_property,
    },
};

use super::{
    call::Call,
    status::{Code, Refusal},
};
use crate::{ConnectionInfo, Front};

/// A message as the core takes it.
pub(super) struct Incoming {
    /// The message.
    pub(super) message: Message,
    /// The id that it has from now on.
    pub(super) id: String,
    /// The key of its partition, if it has one.
    pub(super) sharding_key: Option<String>,
    /// Whether it is a half message.
    pub(super) is_half: bool,
}

/// What the client sent as the core takes it.
pub(super) fn incoming(call: &Call<'_>, sent: SentMessage) -> Result<Incoming, Refusal> {
    let (length, max) = (sent.body.len(), limits::MESSAGE_BODY_BYTES_MAX);
    if length > max {
        let text = format!("message body has {length} bytes, expected at most {max}");
        return Err(Refusal::new(Code::InvalidArgument, text));
    }
    let id = message_id(call.front, call.connection);
    let mut raw = String::with_capacity(256);
    put(&mut raw, properties::UNIQUE_KEY, &id)?;
    let (mut sharding_key, mut is_half) = (None, false);
    let (mut count, mut bytes) = (0, 0);
    for (name, value) in iterate_properties(&sent.properties) {
        count += 1;
        bytes += name.len() + value.len();
        match name {
            KEYS | properties::START_DELIVER_TIME => put(&mut raw, name, value)?,
            properties::SHARDING_KEY => {
                sharding_key = Some(value.to_owned());
                put(&mut raw, name, value)?;
            }
            TRANSACTION_CHECK_SECONDS => {
                is_half = true;
                let seconds = check_seconds(value)?.to_string();
                put(&mut raw, properties::CHECK_IMMUNITY_TIME_SECONDS, &seconds)?;
            }
            name if properties::WELL_KNOWN.contains(&name) => {
                let text = format!("property `{name}` has a name of the system's");
                return Err(Refusal::new(Code::InvalidArgument, text));
            }
            name => put(&mut raw, name, value)?,
        }
    }
    if count > limits::USER_PROPERTIES_MAX {
        let max = limits::USER_PROPERTIES_MAX;
        let text = format!("message has {count} properties, expected at most {max}");
        return Err(Refusal::new(Code::InvalidArgument, text));
    }
    if bytes > limits::USER_PROPERTIES_BYTES_MAX {
        let max = limits::USER_PROPERTIES_BYTES_MAX;
        let text = format!("message properties have {bytes} bytes, expected at most {max}");
        return Err(Refusal::new(Code::InvalidArgument, text));
    }
    if let Some(tag) = &sent.tag {
        if tag.contains('|') {
            let text = format!("message tag {tag:?} holds `|`, which joins tags in filters");
            return Err(Refusal::new(Code::InvalidArgument, text));
        }
        put(&mut raw, properties::TAGS, tag)?;
    }
    let mut flag = 0;
    if is_half {
        flag = sys_flag::with_transaction(flag, sys_flag::TRANSACTION_PREPARED);
        put(&mut raw, properties::TRANSACTION_PREPARED, "true")?;
        // A send does not tell its group, and nobody can be asked over HTTP.
        put(&mut raw, properties::PRODUCER_GROUP, POLLED_PRODUCER_GROUP)?;
    }
    let message = Message {
        flag: 0,
        sys_flag: flag,
        born_timestamp: call.now(),
        born_host: call.connection.peer,
        reconsume_times: 0,
        body: sent.body.into(),
        properties: raw.into(),
    };
    Ok(Incoming {
        message,
        id,
        sharding_key,
        is_half,
    })
}

fn put(raw: &mut String, name: &str, value: &str) -> Result<(), Refusal> {
    properties::push(raw, name, value)
        .map_err(|error| Refusal::new(Code::InvalidArgument, error.to_string()))
}

/// Seconds before a transaction is first asked about.
fn check_seconds(value: &str) -> Result<u64, Refusal> {
    let max = limits::TRANSACTION_RECOVERY_SECONDS_MAX;
    let seconds = value.parse().ok().filter(|seconds| *seconds <= max);
    seconds.ok_or_else(|| {
        let value: String = value.chars().take(64).collect();
        let text = format!(
            "property `{TRANSACTION_CHECK_SECONDS}` is `{value}`, expected 0 to {max} seconds"
        );
        Refusal::new(Code::InvalidArgument, text)
    })
}

/// When and how often a message is handed out.
pub(super) struct Handout {
    /// What settles it.
    pub(super) receipt_handle: String,
    /// Which one this is, from 1.
    pub(super) attempt: u32,
    /// When the next one can be.
    pub(super) next: Timestamp,
    /// What lies between two of them at least.
    pub(super) interval: Duration,
}

/// What the core hands out as the client takes it. Nobody remembers when a message was first handed
/// out; what is told is the latest time at which that can have been.
pub(super) fn outgoing(message: &StoredMessage, body: &[u8], handout: Handout) -> Delivery {
    let mut tag = None;
    let mut id = None;
    let mut told = String::new();
    for (name, value) in message.properties() {
        match name {
            properties::UNIQUE_KEY => id = Some(value.to_owned()),
            properties::TAGS => tag = Some(value.to_owned()),
            properties::CHECK_IMMUNITY_TIME_SECONDS => {
                push_property(&mut told, TRANSACTION_CHECK_SECONDS, value);
            }
            KEYS | properties::START_DELIVER_TIME | properties::SHARDING_KEY => {
                push_property(&mut told, name, value);
            }
            // Under the name that this protocol has for it.
            properties::TIMER_DELIVER_MS => {
                push_property(&mut told, properties::START_DELIVER_TIME, value);
            }
            name if properties::WELL_KNOWN.contains(&name) => {}
            name => {
                push_property(&mut told, name, value);
            }
        }
    }
    let before = handout.interval * handout.attempt;
    let before_ms = i64::try_from(before.as_millis()).unwrap_or(i64::MAX);
    let publish_time = message.born_timestamp();
    let first = handout.next.ms().saturating_sub(before_ms);
    Delivery {
        message_id: id.unwrap_or_else(|| {
            // A message of a client that made no id of its own is known by where it is stored.
            MessageId {
                store_host: message.store_host(),
                physical_offset: message.physical_offset(),
            }
            .to_string()
        }),
        body: body_text(body),
        body_md5: md5_text(body),
        receipt_handle: handout.receipt_handle,
        publish_time,
        first_consume_time: first.max(publish_time),
        next_consume_time: handout.next.ms(),
        consumed_times: handout.attempt,
        tag,
        properties: told,
    }
}

/// The body as its sender wrote it. What is compressed in a way that is not known stays as it is.
pub(super) fn plain_body(message: &StoredMessage) -> Bytes {
    let body = message.body();
    if message.sys_flag() & sys_flag::COMPRESSED == 0 {
        return body;
    }
    let max = limits::INFLATED_BODY_BYTES_MAX;
    let mut plain = Vec::new();
    let inflated = if body.starts_with(&[0x1f, 0x8b]) {
        GzDecoder::new(&body[..])
            .take(max + 1)
            .read_to_end(&mut plain)
    } else {
        ZlibDecoder::new(&body[..])
            .take(max + 1)
            .read_to_end(&mut plain)
    };
    match inflated {
        Ok(length) if length as u64 <= max => plain.into(),
        _ => body,
    }
}

/// Compat: SDKs give up on a whole answer in which a body is empty.
fn body_text(body: &[u8]) -> String {
    match String::from_utf8_lossy(body).into_owned() {
        text if text.is_empty() => char::REPLACEMENT_CHARACTER.to_string(),
        text => text,
    }
}

/// The digest of a body: upper-case hexadecimal MD5.
pub(super) fn md5_text(body: &[u8]) -> String {
    format!("{:032X}", u128::from_be_bytes(Md5::digest(body).into()))
}

/// An id for a message, which names it in every protocol: 32 hexadecimal digits, as other clients
/// make them.
fn message_id(front: &Front, connection: &ConnectionInfo) -> String {
    let (place, time, serial) = unique(front, connection);
    format!("{place:08X}{time:016X}{serial:08X}")
}

/// An id for a request: 24 hexadecimal digits.
pub(super) fn request_id(front: &Front, connection: &ConnectionInfo) -> String {
    let (_, time, serial) = unique(front, connection);
    format!("{time:016X}{serial:08X}")
}

/// This server, this time in it, and a number that comes again after 2^32 others.
fn unique(front: &Front, connection: &ConnectionInfo) -> (u32, u64, u32) {
    let place = match connection.local.ip().to_canonical() {
        IpAddr::V4(ip) => ip.to_bits(),
        IpAddr::V6(ip) => {
            let bits = ip.to_bits();
            (bits ^ bits >> 32 ^ bits >> 64 ^ bits >> 96) as u32
        }
    };
    // Milliseconds take 48 bits; the port tells servers of one machine apart.
    let port = u64::from(connection.local.port());
    let time = front.clock.now().ms().cast_unsigned() << 16 | port;
    (place, time, front.next_serial() as u32)
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_body_that_is_no_text_is_shown_as_far_as_it_goes() {
        assert_eq!(body_text("Grüße".as_bytes()), "Grüße");
        assert_eq!(body_text(b"a\xffb"), "a\u{fffd}b");
        assert_eq!(body_text(b""), "\u{fffd}");
    }

    #[test]
    fn a_digest_has_all_its_digits() {
        assert_eq!(md5_text(b""), "D41D8CD98F00B204E9800998ECF8427E");
        // The MD5 of "jk8ssl" begins with two zeros.
        assert_eq!(md5_text(b"jk8ssl").len(), 32);
    }
}
