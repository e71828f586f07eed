//! A message in shared bytes, and a run of them.

use std::net::SocketAddr;

use bytes::Bytes;

use super::layout::Layout;
use super::{MessageError, MessageView, Properties};

/// A stored message, checked once; no accessor fails afterwards and none copies the body.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct StoredMessage {
    bytes: Bytes,
    layout: Layout,
}

impl StoredMessage {
    /// Checks the one message that fills `bytes`. The body's checksum is not compared, see
    /// [`StoredMessage::verify_body_crc`].
    ///
    /// # Errors
    /// When the bytes are not exactly one message.
    pub fn parse(bytes: Bytes) -> Result<Self, MessageError> {
        let layout = *MessageView::parse(&bytes)?.layout();
        Ok(Self { bytes, layout })
    }

    /// The whole message.
    pub fn bytes(&self) -> &Bytes {
        &self.bytes
    }

    /// The same message, borrowed.
    pub fn view(&self) -> MessageView<'_> {
        MessageView::from_parts(&self.bytes, self.layout)
    }

    /// Topic as stored.
    pub fn topic(&self) -> &str {
        self.view().topic()
    }

    /// Queue within the topic.
    pub fn queue_id(&self) -> u32 {
        self.view().queue_id()
    }

    /// The application's flag.
    pub fn flag(&self) -> i32 {
        self.view().flag()
    }

    /// Bits of [`super::sys_flag`].
    pub fn sys_flag(&self) -> i32 {
        self.view().sys_flag()
    }

    /// Offset within the queue.
    pub fn queue_offset(&self) -> i64 {
        self.view().queue_offset()
    }

    /// Shard and log position.
    pub fn physical_offset(&self) -> i64 {
        self.view().physical_offset()
    }

    /// When the client made the message, ms since 1970.
    pub fn born_timestamp(&self) -> i64 {
        self.view().born_timestamp()
    }

    /// Address of the client that sent it.
    pub fn born_host(&self) -> SocketAddr {
        self.view().born_host()
    }

    /// When the server took it, ms since 1970.
    pub fn store_timestamp(&self) -> i64 {
        self.view().store_timestamp()
    }

    /// Address of the server that took it.
    pub fn store_host(&self) -> SocketAddr {
        self.view().store_host()
    }

    /// Failed deliveries before this message was stored.
    pub fn reconsume_times(&self) -> i32 {
        self.view().reconsume_times()
    }

    /// Queue offset of the half message, 0 outside transactions.
    pub fn prepared_transaction_offset(&self) -> i64 {
        self.view().prepared_transaction_offset()
    }

    /// The body as stored: a slice of the message's bytes.
    pub fn body(&self) -> Bytes {
        self.bytes.slice(self.layout.body())
    }

    /// Checksum of the body as stored.
    pub fn body_crc(&self) -> u32 {
        self.view().body_crc()
    }

    /// Compares the body with its checksum.
    ///
    /// # Errors
    /// When they differ.
    pub fn verify_body_crc(&self) -> Result<(), MessageError> {
        self.view().verify_body_crc()
    }

    /// The properties in their encoded form.
    pub fn properties_raw(&self) -> &str {
        self.view().properties_raw()
    }

    /// Names and values of the properties, in stored order.
    pub fn properties(&self) -> Properties<'_> {
        self.view().properties()
    }

    /// The value of one property.
    pub fn property(&self, name: &str) -> Option<&str> {
        self.view().property(name)
    }

    pub(super) fn layout(&self) -> &Layout {
        &self.layout
    }
}

/// The messages of a concatenation, as a pull answer carries them. Ends after the first error.
pub fn split(bytes: Bytes) -> Split {
    Split { rest: bytes }
}

/// Iterator of [`split`].
#[derive(Clone, Debug)]
pub struct Split {
    rest: Bytes,
}

impl Iterator for Split {
    type Item = Result<StoredMessage, MessageError>;

    fn next(&mut self) -> Option<Self::Item> {
        if self.rest.is_empty() {
            return None;
        }
        match Layout::of(&self.rest) {
            Ok(layout) => {
                let bytes = self.rest.split_to(layout.total as usize);
                Some(Ok(StoredMessage { bytes, layout }))
            }
            Err(error) => {
                self.rest.clear();
                Some(Err(error))
            }
        }
    }
}
