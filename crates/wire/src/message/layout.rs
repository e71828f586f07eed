//! Positions of the fields, and the one walk over a message that checks all of them.

use super::{MessageError, sys_flag};

/// Magic of the layout with a one-byte topic length; the only one that clients before 5.0 read.
pub const MAGIC_V1: i32 = -626_843_481;

/// Magic of the layout with a two-byte topic length.
pub const MAGIC_V2: i32 = -626_843_477;

/// Longest topic in the version 1 layout: its length byte is signed.
pub(super) const TOPIC_BYTES_MAX_V1: usize = i8::MAX as usize;

pub(super) const MAGIC_AT: usize = 4;
pub(super) const BODY_CRC_AT: usize = 8;
pub(super) const QUEUE_ID_AT: usize = 12;
pub(super) const FLAG_AT: usize = 16;
pub(super) const QUEUE_OFFSET_AT: usize = 20;
pub(super) const PHYSICAL_OFFSET_AT: usize = 28;
pub(super) const SYS_FLAG_AT: usize = 36;
pub(super) const BORN_TIMESTAMP_AT: usize = 40;
pub(super) const BORN_HOST_AT: usize = 48;

/// Bytes of an address and its port.
pub(super) const fn host_len(is_v6: bool) -> usize {
    if is_v6 { 20 } else { 8 }
}

/// Bytes before the body, its length included.
pub(super) const fn head_len(born_v6: bool, store_v6: bool) -> usize {
    // Store timestamp, reconsume times, prepared transaction offset, body length.
    BORN_HOST_AT + host_len(born_v6) + 8 + host_len(store_v6) + 4 + 8 + 4
}

/// Where the variable fields of a checked message lie.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(super) struct Layout {
    /// Bytes of the whole message.
    pub(super) total: u32,
    pub(super) body_at: u32,
    pub(super) body_len: u32,
    pub(super) topic_at: u32,
    pub(super) topic_len: u16,
    pub(super) properties_len: u16,
    pub(super) born_v6: bool,
    pub(super) store_v6: bool,
}

impl Layout {
    /// Checks the message at the start of `bytes`, which may go on behind it.
    pub(super) fn of(bytes: &[u8]) -> Result<Self, MessageError> {
        let declared = read_i32(bytes, 0, "total size")?;
        let total = usize::try_from(declared).map_err(|_| MessageError::NegativeLength {
            field: "message",
            value: declared.into(),
        })?;
        let left = bytes.len();
        let message = bytes.get(..total).ok_or(MessageError::Truncated {
            field: "message",
            needed: total,
            left,
        })?;
        Self::of_exact(message)
    }

    fn of_exact(message: &[u8]) -> Result<Self, MessageError> {
        let magic = read_i32(message, MAGIC_AT, "magic")?;
        let topic_length_bytes = match magic {
            MAGIC_V1 => 1,
            MAGIC_V2 => 2,
            other => return Err(MessageError::Magic(other)),
        };
        let flags = read_i32(message, SYS_FLAG_AT, "system flag")?;
        let born_v6 = flags & sys_flag::BORN_HOST_V6 != 0;
        let store_v6 = flags & sys_flag::STORE_HOST_V6 != 0;
        check_port(message, BORN_HOST_AT, born_v6, "born host")?;
        let store_host_at = BORN_HOST_AT + host_len(born_v6) + 8;
        check_port(message, store_host_at, store_v6, "store host")?;

        let body_at = head_len(born_v6, store_v6);
        let body_len = length(
            read_i32(message, body_at - 4, "body length")?.into(),
            "body",
        )?;
        let topic_length_at = checked_end(message, body_at, body_len, "body")?;
        let topic_len = match topic_length_bytes {
            1 => i64::from(read::<1>(message, topic_length_at, "topic length")?[0].cast_signed()),
            _ => i64::from(i16::from_be_bytes(read(
                message,
                topic_length_at,
                "topic length",
            )?)),
        };
        let topic_len = length(topic_len, "topic")?;
        let topic_at = topic_length_at + topic_length_bytes;
        let topic_end = checked_end(message, topic_at, topic_len, "topic")?;
        check_utf8(&message[topic_at..topic_end], "topic")?;

        let properties_len = i16::from_be_bytes(read(message, topic_end, "properties length")?);
        let properties_len = length(properties_len.into(), "properties")?;
        let properties_at = topic_end + 2;
        let end = checked_end(message, properties_at, properties_len, "properties")?;
        check_utf8(&message[properties_at..end], "properties")?;
        if end != message.len() {
            return Err(MessageError::SizeMismatch {
                declared: message.len(),
                actual: end,
            });
        }
        // The total is a positive i32, so every position in it fits 32 bits; the lengths were read
        // from 16 bits or fewer.
        Ok(Self {
            total: end as u32,
            body_at: body_at as u32,
            body_len: body_len as u32,
            topic_at: topic_at as u32,
            topic_len: topic_len as u16,
            properties_len: properties_len as u16,
            born_v6,
            store_v6,
        })
    }

    pub(super) fn store_timestamp_at(&self) -> usize {
        BORN_HOST_AT + host_len(self.born_v6)
    }

    pub(super) fn store_host_at(&self) -> usize {
        self.store_timestamp_at() + 8
    }

    pub(super) fn reconsume_times_at(&self) -> usize {
        self.store_host_at() + host_len(self.store_v6)
    }

    pub(super) fn prepared_transaction_offset_at(&self) -> usize {
        self.reconsume_times_at() + 4
    }

    pub(super) fn body(&self) -> std::ops::Range<usize> {
        let start = self.body_at as usize;
        start..start + self.body_len as usize
    }

    pub(super) fn topic(&self) -> std::ops::Range<usize> {
        let start = self.topic_at as usize;
        start..start + usize::from(self.topic_len)
    }

    pub(super) fn properties(&self) -> std::ops::Range<usize> {
        let start = self.topic().end + 2;
        start..start + usize::from(self.properties_len)
    }
}

/// `N` bytes at `at`, or the error that names the field.
pub(super) fn read<const N: usize>(
    bytes: &[u8],
    at: usize,
    field: &'static str,
) -> Result<[u8; N], MessageError> {
    bytes
        .get(at..)
        .and_then(|rest| rest.first_chunk::<N>())
        .copied()
        .ok_or(MessageError::Truncated {
            field,
            needed: N,
            left: bytes.len().saturating_sub(at),
        })
}

pub(super) fn read_i32(bytes: &[u8], at: usize, field: &'static str) -> Result<i32, MessageError> {
    read(bytes, at, field).map(i32::from_be_bytes)
}

/// End of a field of `len` bytes that starts at `at`.
pub(super) fn checked_end(
    bytes: &[u8],
    at: usize,
    len: usize,
    field: &'static str,
) -> Result<usize, MessageError> {
    let left = bytes.len().saturating_sub(at);
    if len > left {
        return Err(MessageError::Truncated {
            field,
            needed: len,
            left,
        });
    }
    Ok(at + len)
}

pub(super) fn length(value: i64, field: &'static str) -> Result<usize, MessageError> {
    usize::try_from(value).map_err(|_| MessageError::NegativeLength { field, value })
}

pub(super) fn check_utf8(bytes: &[u8], field: &'static str) -> Result<(), MessageError> {
    match std::str::from_utf8(bytes) {
        Ok(_) => Ok(()),
        Err(error) => Err(MessageError::Utf8 {
            field,
            valid_up_to: error.valid_up_to(),
        }),
    }
}

fn check_port(
    bytes: &[u8],
    host_at: usize,
    is_v6: bool,
    field: &'static str,
) -> Result<(), MessageError> {
    let value = read_i32(bytes, host_at + host_len(is_v6) - 4, field)?;
    match u16::try_from(value) {
        Ok(_) => Ok(()),
        Err(_) => Err(MessageError::Port { field, value }),
    }
}
