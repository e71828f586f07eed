//! Reading a message where it lies.

use std::net::{IpAddr, Ipv4Addr, Ipv6Addr, SocketAddr};

use super::layout::{self, Layout};
use super::{MessageError, Properties, encode, properties};

/// A checked message in borrowed bytes: what indexing reads right after an append, without
/// allocating. [`super::StoredMessage`] is the same with shared bytes.
#[derive(Clone, Copy, Debug)]
pub struct MessageView<'a> {
    bytes: &'a [u8],
    layout: Layout,
}

impl<'a> MessageView<'a> {
    /// Checks the one message that fills `bytes`.
    ///
    /// # Errors
    /// When the bytes are not exactly one message.
    pub fn parse(bytes: &'a [u8]) -> Result<Self, MessageError> {
        let layout = Layout::of(bytes)?;
        let total = layout.total as usize;
        if total != bytes.len() {
            return Err(MessageError::SizeMismatch {
                declared: total,
                actual: bytes.len(),
            });
        }
        Ok(Self { bytes, layout })
    }

    /// Trusts a layout that was made from these bytes.
    pub(super) fn from_parts(bytes: &'a [u8], layout: Layout) -> Self {
        Self { bytes, layout }
    }

    pub(super) fn layout(&self) -> &Layout {
        &self.layout
    }

    /// The whole message.
    pub fn bytes(&self) -> &'a [u8] {
        self.bytes
    }

    /// Topic as stored.
    pub fn topic(&self) -> &'a str {
        text(&self.bytes[self.layout.topic()])
    }

    /// Queue within the topic.
    pub fn queue_id(&self) -> u32 {
        u32::from_be_bytes(self.at(layout::QUEUE_ID_AT))
    }

    /// The application's flag.
    pub fn flag(&self) -> i32 {
        i32::from_be_bytes(self.at(layout::FLAG_AT))
    }

    /// Bits of [`super::sys_flag`].
    pub fn sys_flag(&self) -> i32 {
        i32::from_be_bytes(self.at(layout::SYS_FLAG_AT))
    }

    /// Offset within the queue.
    pub fn queue_offset(&self) -> i64 {
        i64::from_be_bytes(self.at(layout::QUEUE_OFFSET_AT))
    }

    /// Shard and log position.
    pub fn physical_offset(&self) -> i64 {
        i64::from_be_bytes(self.at(layout::PHYSICAL_OFFSET_AT))
    }

    /// When the client made the message, ms since 1970.
    pub fn born_timestamp(&self) -> i64 {
        i64::from_be_bytes(self.at(layout::BORN_TIMESTAMP_AT))
    }

    /// Address of the client that sent it.
    pub fn born_host(&self) -> SocketAddr {
        self.host(layout::BORN_HOST_AT, self.layout.born_v6)
    }

    /// When the server took it, ms since 1970.
    pub fn store_timestamp(&self) -> i64 {
        i64::from_be_bytes(self.at(self.layout.store_timestamp_at()))
    }

    /// Address of the server that took it.
    pub fn store_host(&self) -> SocketAddr {
        self.host(self.layout.store_host_at(), self.layout.store_v6)
    }

    /// Failed deliveries before this message was stored.
    pub fn reconsume_times(&self) -> i32 {
        i32::from_be_bytes(self.at(self.layout.reconsume_times_at()))
    }

    /// Queue offset of the half message, 0 outside transactions.
    pub fn prepared_transaction_offset(&self) -> i64 {
        i64::from_be_bytes(self.at(self.layout.prepared_transaction_offset_at()))
    }

    /// The body as stored, compressed or not.
    pub fn body(&self) -> &'a [u8] {
        &self.bytes[self.layout.body()]
    }

    /// Checksum of the body as stored.
    pub fn body_crc(&self) -> u32 {
        u32::from_be_bytes(self.at(layout::BODY_CRC_AT))
    }

    /// Compares the body with its checksum.
    ///
    /// # Errors
    /// When they differ.
    pub fn verify_body_crc(&self) -> Result<(), MessageError> {
        let stored = self.body_crc();
        let computed = encode::body_crc(self.body());
        if stored != computed {
            return Err(MessageError::BodyCrc { stored, computed });
        }
        Ok(())
    }

    /// The properties in their encoded form.
    pub fn properties_raw(&self) -> &'a str {
        text(&self.bytes[self.layout.properties()])
    }

    /// Names and values of the properties, in stored order.
    pub fn properties(&self) -> Properties<'a> {
        properties::iterate(self.properties_raw())
    }

    /// The value of one property.
    pub fn property(&self, name: &str) -> Option<&'a str> {
        properties::get(self.properties_raw(), name)
    }

    /// The tags property.
    pub fn tags(&self) -> Option<&'a str> {
        self.property(properties::TAGS)
    }

    /// The keys by which the message can be queried.
    pub fn keys(&self) -> impl Iterator<Item = &'a str> + use<'a> {
        properties::keys(self.property(properties::KEYS).unwrap_or_default())
    }

    /// The id that the client gave the message.
    pub fn unique_key(&self) -> Option<&'a str> {
        self.property(properties::UNIQUE_KEY)
    }

    /// What indexes need of the properties, in one pass over them.
    pub fn indexed(&self) -> IndexedProperties<'a> {
        let mut indexed = IndexedProperties::default();
        for (name, value) in self.properties() {
            let place = match name {
                properties::TAGS => &mut indexed.tags,
                properties::KEYS => &mut indexed.keys,
                properties::UNIQUE_KEY => &mut indexed.unique_key,
                properties::SHARDING_KEY => &mut indexed.message_group,
                _ => continue,
            };
            *place = Some(value);
        }
        indexed
    }

    fn at<const N: usize>(&self, at: usize) -> [u8; N] {
        *self.bytes[at..]
            .first_chunk()
            .expect("the layout was checked against these bytes")
    }

    fn host(&self, at: usize, is_v6: bool) -> SocketAddr {
        let address = if is_v6 {
            IpAddr::V6(Ipv6Addr::from(self.at::<16>(at)))
        } else {
            IpAddr::V4(Ipv4Addr::from(self.at::<4>(at)))
        };
        // The port was checked to fit; its high half is zero.
        let port = u32::from_be_bytes(self.at(at + layout::host_len(is_v6) - 4)) as u16;
        SocketAddr::new(address, port)
    }
}

/// The properties by which messages are found and kept apart.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub struct IndexedProperties<'a> {
    /// The tags.
    pub tags: Option<&'a str>,
    /// All keys, as one text.
    keys: Option<&'a str>,
    /// The id that the client gave the message.
    pub unique_key: Option<&'a str>,
    /// The message group, within which order counts.
    pub message_group: Option<&'a str>,
}

impl<'a> IndexedProperties<'a> {
    /// The keys by which the message can be queried.
    pub fn keys(&self) -> impl Iterator<Item = &'a str> + use<'a> {
        properties::keys(self.keys.unwrap_or_default())
    }
}

fn text(bytes: &[u8]) -> &str {
    std::str::from_utf8(bytes).expect("the layout walk checked the text")
}
