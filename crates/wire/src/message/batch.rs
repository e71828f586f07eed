//! The body of a batch send (request code 320): short messages one after the other.
//!
//! Each is: total size i32, magic i32 (0), body CRC i32 (0), flag i32, body length i32 and body,
//! properties length i16 and properties. Source: `MessageDecoder.encodeMessage` of RocketMQ.
//! Magic and CRC mean nothing here and are not looked at, nor is the total size: Apache's client
//! decoder reads past it, and so the fields decide.

use bytes::{Buf, Bytes};

use super::MessageError;
use super::layout::{check_utf8, checked_end, length, read, read_i32};

/// One message of a batch body.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct BatchMessage {
    /// The application's flag.
    pub flag: i32,
    /// Body, a slice of the batch body.
    pub body: Bytes,
    properties: Bytes,
}

impl BatchMessage {
    /// Properties in their encoded form.
    pub fn properties(&self) -> &str {
        std::str::from_utf8(&self.properties).expect("checked when the batch was decoded")
    }
}

const FLAG_AT: usize = 12;
const BODY_AT: usize = 20;

/// Takes a batch body apart, without copying.
///
/// # Errors
/// When the batch is empty, holds more than `count_max` messages, or ends inside one.
pub fn decode(mut batch: Bytes, count_max: usize) -> Result<Vec<BatchMessage>, MessageError> {
    if batch.is_empty() {
        return Err(MessageError::BatchEmpty);
    }
    let mut messages = Vec::new();
    while !batch.is_empty() {
        if messages.len() == count_max {
            return Err(MessageError::BatchCount { max: count_max });
        }
        messages.push(take(&mut batch)?);
    }
    Ok(messages)
}

fn take(batch: &mut Bytes) -> Result<BatchMessage, MessageError> {
    let flag = read_i32(batch, FLAG_AT, "flag")?;
    let body_len = length(read_i32(batch, BODY_AT - 4, "body length")?.into(), "body")?;
    let body_end = checked_end(batch, BODY_AT, body_len, "body")?;
    let properties_len = i16::from_be_bytes(read(batch, body_end, "properties length")?);
    let properties_len = length(properties_len.into(), "properties")?;
    let properties_at = body_end + 2;
    let end = checked_end(batch, properties_at, properties_len, "properties")?;
    check_utf8(&batch[properties_at..end], "properties")?;
    let message = BatchMessage {
        flag,
        body: batch.slice(BODY_AT..body_end),
        properties: batch.slice(properties_at..end),
    };
    batch.advance(end);
    Ok(message)
}

/// Appends one message of a batch body.
///
/// # Errors
/// When body or properties are too long for their length fields.
pub fn encode(
    flag: i32,
    body: &[u8],
    properties: &str,
    out: &mut Vec<u8>,
) -> Result<(), MessageError> {
    let too_long = |field, length, max| MessageError::TooLong { field, length, max };
    let body_max = i32::MAX as usize - BODY_AT - 2 - i16::MAX as usize;
    if body.len() > body_max {
        return Err(too_long("body", body.len(), body_max));
    }
    let properties_len = i16::try_from(properties.len())
        .map_err(|_| too_long("properties", properties.len(), i16::MAX as usize))?;
    let total = BODY_AT + body.len() + 2 + properties.len();
    out.reserve(total);
    // Both fit: the body was limited so that the total does.
    out.extend_from_slice(&(total as i32).to_be_bytes());
    out.extend_from_slice(&0_i32.to_be_bytes());
    out.extend_from_slice(&0_i32.to_be_bytes());
    out.extend_from_slice(&flag.to_be_bytes());
    out.extend_from_slice(&(body.len() as i32).to_be_bytes());
    out.extend_from_slice(body);
    out.extend_from_slice(&properties_len.to_be_bytes());
    out.extend_from_slice(properties.as_bytes());
    Ok(())
}
