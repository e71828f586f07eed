//! The content of a message: its body, inflated where its sender compressed it.

use std::io::{self, Read};

use base::limits;
use bytes::Bytes;
use flate2::read::ZlibDecoder;

use super::{StoredMessage, sys_flag};

impl StoredMessage {
    /// The body as its sender had it before it was compressed; at most
    /// [`limits::INFLATED_BODY_BYTES_MAX`] of it.
    ///
    /// # Errors
    /// When the body says that it is compressed, and cannot be inflated: it is damaged, or
    /// compressed in another way than zlib's.
    pub fn content(&self) -> io::Result<Bytes> {
        let body = self.body();
        if self.sys_flag() & sys_flag::COMPRESSED == 0 {
            return Ok(body);
        }
        let mut inflated = Vec::new();
        ZlibDecoder::new(&body[..])
            .take(limits::INFLATED_BODY_BYTES_MAX)
            .read_to_end(&mut inflated)?;
        Ok(inflated.into())
    }
}
