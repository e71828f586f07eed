//! Showing a stored message with other head fields, without copying its body.
//!
//! Some clients must see a topic with an instance prefix, the topic behind a retry topic, a later
//! store time or properties of the delivery (a pop receipt). Head and tail are written anew, a few
//! hundred bytes; the body stays the slice that it was.

use bytes::Bytes;

use super::encode::{put_properties_len, put_topic};
use super::layout::{self, MAGIC_V1, MAGIC_V2, TOPIC_BYTES_MAX_V1};
use super::properties::{self, PropertyError};
use super::{MessageError, StoredMessage};

/// The fields to show differently; `None` and empty lists leave a field as stored.
#[derive(Clone, Copy, Debug, Default)]
pub struct Rewrite<'a> {
    /// Another topic.
    pub topic: Option<&'a str>,
    /// Another queue.
    pub queue_id: Option<u32>,
    /// Another offset within the queue.
    pub queue_offset: Option<i64>,
    /// Another shard and log position.
    pub physical_offset: Option<i64>,
    /// Another system flag; its IPv6 bits stay as stored, since the addresses do.
    pub sys_flag: Option<i32>,
    /// Another store time, ms since 1970.
    pub store_timestamp: Option<i64>,
    /// Another count of failed deliveries.
    pub reconsume_times: Option<i32>,
    /// Another offset of the half message.
    pub prepared_transaction_offset: Option<i64>,
    /// Properties to add, or to give another value.
    pub set_properties: &'a [(&'a str, &'a str)],
    /// Names of properties to leave out.
    pub remove_properties: &'a [&'a str],
}

/// A rewritten message in the order in which its parts are sent.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Rewritten {
    /// Everything before the body.
    pub head: Bytes,
    /// The body, a slice of the stored message.
    pub body: Bytes,
    /// Topic and properties.
    pub tail: Bytes,
}

impl Rewritten {
    /// Bytes of the whole message.
    #[expect(clippy::len_without_is_empty, reason = "a message is never empty")]
    pub fn len(&self) -> usize {
        self.head.len() + self.body.len() + self.tail.len()
    }

    /// The parts, for a vectored write.
    pub fn into_parts(self) -> [Bytes; 3] {
        [self.head, self.body, self.tail]
    }

    /// The parts in one buffer; copies the body.
    pub fn to_bytes(&self) -> Bytes {
        [&self.head[..], &self.body, &self.tail].concat().into()
    }
}

/// Why a message cannot be shown with other fields.
#[derive(Clone, Debug, PartialEq, Eq, thiserror::Error)]
pub enum RewriteError {
    /// A field would break the layout.
    #[error(transparent)]
    Message(#[from] MessageError),
    /// A property cannot be encoded.
    #[error(transparent)]
    Property(#[from] PropertyError),
}

impl Rewrite<'_> {
    /// Writes the head, and the tail if topic or properties differ.
    ///
    /// # Errors
    /// When a new value breaks a limit of the layout.
    pub fn apply(&self, message: &StoredMessage) -> Result<Rewritten, RewriteError> {
        let stored = message.layout();
        let bytes = message.bytes();
        let tail_at = stored.body().end;
        let (tail, magic) = if self.keeps_tail() {
            (bytes.slice(tail_at..), None)
        } else {
            let (tail, magic) = self.tail(message)?;
            (tail, Some(magic))
        };
        let mut head = bytes[..stored.body_at as usize].to_vec();
        let total = head.len() + message.body().len() + tail.len();
        let total = i32::try_from(total).map_err(|_| MessageError::TooLong {
            field: "message",
            length: total,
            max: i32::MAX as usize,
        })?;
        put(&mut head, 0, total.to_be_bytes());
        put_some(&mut head, layout::MAGIC_AT, magic.map(i32::to_be_bytes));
        if let Some(queue_id) = self.queue_id {
            let queue_id = i32::try_from(queue_id).map_err(|_| MessageError::QueueId(queue_id))?;
            put(&mut head, layout::QUEUE_ID_AT, queue_id.to_be_bytes());
        }
        put_some(
            &mut head,
            layout::QUEUE_OFFSET_AT,
            self.queue_offset.map(i64::to_be_bytes),
        );
        put_some(
            &mut head,
            layout::PHYSICAL_OFFSET_AT,
            self.physical_offset.map(i64::to_be_bytes),
        );
        if let Some(flag) = self.sys_flag {
            let v6 = super::sys_flag::BORN_HOST_V6 | super::sys_flag::STORE_HOST_V6;
            let flag = (flag & !v6) | (message.sys_flag() & v6);
            put(&mut head, layout::SYS_FLAG_AT, flag.to_be_bytes());
        }
        put_some(
            &mut head,
            stored.store_timestamp_at(),
            self.store_timestamp.map(i64::to_be_bytes),
        );
        put_some(
            &mut head,
            stored.reconsume_times_at(),
            self.reconsume_times.map(i32::to_be_bytes),
        );
        put_some(
            &mut head,
            stored.prepared_transaction_offset_at(),
            self.prepared_transaction_offset.map(i64::to_be_bytes),
        );
        Ok(Rewritten {
            head: head.into(),
            body: message.body(),
            tail,
        })
    }

    fn keeps_tail(&self) -> bool {
        self.topic.is_none() && self.set_properties.is_empty() && self.remove_properties.is_empty()
    }

    fn tail(&self, message: &StoredMessage) -> Result<(Bytes, i32), RewriteError> {
        let topic = self.topic.unwrap_or(message.topic());
        if topic.is_empty() {
            return Err(MessageError::Empty { field: "topic" }.into());
        }
        check("topic", topic.len(), base::limits::STORED_TOPIC_BYTES_MAX)?;
        let mut raw = String::with_capacity(message.properties_raw().len() + 64);
        raw.push_str(message.properties_raw());
        for name in self.remove_properties {
            properties::remove(&mut raw, name);
        }
        for (name, value) in self.set_properties {
            properties::set(&mut raw, name, value)?;
        }
        check(
            "properties",
            raw.len(),
            base::limits::MESSAGE_PROPERTIES_BYTES_MAX,
        )?;

        let is_v1 = topic.len() <= TOPIC_BYTES_MAX_V1;
        let mut tail = Vec::with_capacity(2 + topic.len() + 2 + raw.len());
        put_topic(topic, is_v1, &mut tail);
        put_properties_len(raw.len(), &mut tail);
        tail.extend_from_slice(raw.as_bytes());
        Ok((tail.into(), if is_v1 { MAGIC_V1 } else { MAGIC_V2 }))
    }
}

fn check(field: &'static str, length: usize, max: usize) -> Result<(), MessageError> {
    if length > max {
        return Err(MessageError::TooLong { field, length, max });
    }
    Ok(())
}

fn put<const N: usize>(head: &mut [u8], at: usize, value: [u8; N]) {
    head[at..at + N].copy_from_slice(&value);
}

fn put_some<const N: usize>(head: &mut [u8], at: usize, value: Option<[u8; N]>) {
    if let Some(value) = value {
        put(head, at, value);
    }
}
