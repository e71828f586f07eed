//! From the fields of a new message to its bytes.

use std::net::{IpAddr, SocketAddr};

use base::limits;

use super::layout::{self, MAGIC_V1, MAGIC_V2, TOPIC_BYTES_MAX_V1};
use super::{MessageError, sys_flag};

/// A message that is about to be stored. Borrows everything, so that encoding copies each byte
/// once.
#[derive(Clone, Copy, Debug)]
pub struct NewMessage<'a> {
    /// Topic as stored, without an instance prefix.
    pub topic: &'a str,
    /// Queue within the topic.
    pub queue_id: u32,
    /// The application's flag, never interpreted.
    pub flag: i32,
    /// Bits of [`sys_flag`]; the two IPv6 bits are set from the addresses, whatever they are here.
    pub sys_flag: i32,
    /// When the client made the message, ms since 1970.
    pub born_timestamp: i64,
    /// Address of the client.
    pub born_host: SocketAddr,
    /// Address of the server.
    pub store_host: SocketAddr,
    /// Failed deliveries so far.
    pub reconsume_times: i32,
    /// Queue offset of the half message, 0 outside transactions.
    pub prepared_transaction_offset: i64,
    /// Body as the client sent it, compressed or not.
    pub body: &'a [u8],
    /// Properties in their encoded form, see [`super::properties`].
    pub properties: &'a [u8],
}

/// What only the store knows about a message: where it lands, and when.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct Placement {
    /// Offset within the queue.
    pub queue_offset: i64,
    /// Shard and log position.
    pub physical_offset: i64,
    /// When the server took it, ms since 1970.
    pub store_timestamp: i64,
}

impl NewMessage<'_> {
    /// Bytes that [`NewMessage::encode`] will append.
    ///
    /// # Errors
    /// When a field breaks its limit (topic, body, properties, queue id) or a text is not UTF-8.
    pub fn encoded_len(&self) -> Result<usize, MessageError> {
        if self.topic.is_empty() {
            return Err(MessageError::Empty { field: "topic" });
        }
        check_len("topic", self.topic.len(), limits::STORED_TOPIC_BYTES_MAX)?;
        check_len("body", self.body.len(), limits::MESSAGE_BODY_BYTES_MAX)?;
        check_len(
            "properties",
            self.properties.len(),
            limits::MESSAGE_PROPERTIES_BYTES_MAX,
        )?;
        layout::check_utf8(self.properties, "properties")?;
        if i32::try_from(self.queue_id).is_err() {
            return Err(MessageError::QueueId(self.queue_id));
        }
        Ok(self.len())
    }

    /// Appends the message, exactly [`NewMessage::encoded_len`] bytes; allocates only if `out` has
    /// less room than that.
    ///
    /// # Panics
    /// When a length does not fit the layout, which `encoded_len` refuses.
    pub fn encode(&self, placement: Placement, out: &mut Vec<u8>) {
        let total = i32::try_from(self.len()).expect("encoded_len limits every field");
        let body_len = i32::try_from(self.body.len()).expect("encoded_len limits the body");
        let start = out.len();
        out.reserve(self.len());

        let is_v1 = self.topic.len() <= TOPIC_BYTES_MAX_V1;
        out.extend_from_slice(&total.to_be_bytes());
        out.extend_from_slice(&if is_v1 { MAGIC_V1 } else { MAGIC_V2 }.to_be_bytes());
        out.extend_from_slice(&body_crc(self.body).to_be_bytes());
        out.extend_from_slice(&self.queue_id.to_be_bytes());
        out.extend_from_slice(&self.flag.to_be_bytes());
        out.extend_from_slice(&placement.queue_offset.to_be_bytes());
        out.extend_from_slice(&placement.physical_offset.to_be_bytes());
        out.extend_from_slice(&self.stored_sys_flag().to_be_bytes());
        out.extend_from_slice(&self.born_timestamp.to_be_bytes());
        put_host(self.born_host, out);
        out.extend_from_slice(&placement.store_timestamp.to_be_bytes());
        put_host(self.store_host, out);
        out.extend_from_slice(&self.reconsume_times.to_be_bytes());
        out.extend_from_slice(&self.prepared_transaction_offset.to_be_bytes());
        out.extend_from_slice(&body_len.to_be_bytes());
        out.extend_from_slice(self.body);
        put_topic(self.topic, is_v1, out);
        put_properties_len(self.properties.len(), out);
        out.extend_from_slice(self.properties);

        assert_eq!(
            out.len() - start,
            self.len(),
            "encoded size differs from the announced one"
        );
    }

    fn len(&self) -> usize {
        let topic_length_bytes = if self.topic.len() <= TOPIC_BYTES_MAX_V1 {
            1
        } else {
            2
        };
        layout::head_len(self.born_host.is_ipv6(), self.store_host.is_ipv6())
            + self.body.len()
            + topic_length_bytes
            + self.topic.len()
            + 2
            + self.properties.len()
    }

    fn stored_sys_flag(&self) -> i32 {
        let mut flag = self.sys_flag & !(sys_flag::BORN_HOST_V6 | sys_flag::STORE_HOST_V6);
        if self.born_host.is_ipv6() {
            flag |= sys_flag::BORN_HOST_V6;
        }
        if self.store_host.is_ipv6() {
            flag |= sys_flag::STORE_HOST_V6;
        }
        flag
    }
}

/// Checksum that the layout keeps of a body: CRC-32 without its top bit.
pub(super) fn body_crc(body: &[u8]) -> u32 {
    crc32fast::hash(body) & 0x7FFF_FFFF
}

fn check_len(field: &'static str, length: usize, max: usize) -> Result<(), MessageError> {
    if length > max {
        return Err(MessageError::TooLong { field, length, max });
    }
    Ok(())
}

fn put_host(host: SocketAddr, out: &mut Vec<u8>) {
    match host.ip() {
        IpAddr::V4(address) => out.extend_from_slice(&address.octets()),
        IpAddr::V6(address) => out.extend_from_slice(&address.octets()),
    }
    out.extend_from_slice(&i32::from(host.port()).to_be_bytes());
}

pub(super) fn put_topic(topic: &str, is_v1: bool, out: &mut Vec<u8>) {
    if is_v1 {
        let length = i8::try_from(topic.len()).expect("version 1 is chosen for short topics only");
        out.extend_from_slice(&length.to_be_bytes());
    } else {
        let length = i16::try_from(topic.len()).expect("encoded_len limits the topic");
        out.extend_from_slice(&length.to_be_bytes());
    }
    out.extend_from_slice(topic.as_bytes());
}

pub(super) fn put_properties_len(length: usize, out: &mut Vec<u8>) {
    let length = i16::try_from(length).expect("encoded_len limits the properties");
    out.extend_from_slice(&length.to_be_bytes());
}
