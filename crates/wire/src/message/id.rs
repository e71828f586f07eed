//! The id that a server gives a message: its address and physical offset in hexadecimal.
//!
//! 4 or 16 address bytes, port as i32, physical offset as i64, in upper case: 32 or 56 characters.
//! The id that a *client* gives a message (property `UNIQ_KEY`) is opaque to servers and has no
//! type.

use std::{fmt, net::IpAddr, net::SocketAddr, str::FromStr};

use super::MessageError;

/// A server-side message id.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Hash)]
pub struct MessageId {
    /// Address of the server that stored the message.
    pub store_host: SocketAddr,
    /// Shard and log position.
    pub physical_offset: i64,
}

/// Digits by hand: every send is answered with an id, and formatting it piece by piece would cost
/// as much as looking at the message.
impl fmt::Display for MessageId {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        let mut text = [0; 56];
        let (address, rest) = match self.store_host.ip() {
            IpAddr::V4(_) => text[24..].split_at_mut(8),
            IpAddr::V6(_) => text.split_at_mut(32),
        };
        match self.store_host.ip() {
            IpAddr::V4(ip) => put_hex(&ip.octets(), address),
            IpAddr::V6(ip) => put_hex(&ip.octets(), address),
        }
        let (port, offset) = rest.split_at_mut(8);
        put_hex(&u32::from(self.store_host.port()).to_be_bytes(), port);
        put_hex(&self.physical_offset.to_be_bytes(), offset);
        let text = match self.store_host.ip() {
            IpAddr::V4(_) => &text[24..],
            IpAddr::V6(_) => &text[..],
        };
        f.write_str(str::from_utf8(text).map_err(|_| fmt::Error)?)
    }
}

/// Two digits in upper case for each byte.
fn put_hex(bytes: &[u8], digits: &mut [u8]) {
    const DIGITS: &[u8; 16] = b"0123456789ABCDEF";
    for (byte, digits) in bytes.iter().zip(digits.chunks_exact_mut(2)) {
        digits[0] = DIGITS[usize::from(byte >> 4)];
        digits[1] = DIGITS[usize::from(byte & 0xf)];
    }
}

impl FromStr for MessageId {
    type Err = MessageError;

    fn from_str(text: &str) -> Result<Self, MessageError> {
        let address_digits = match text.len() {
            32 => 8,
            56 => 32,
            _ => return Err(refuse(text)),
        };
        if !text.bytes().all(|b| b.is_ascii_hexdigit()) {
            return Err(refuse(text));
        }
        let (address, rest) = text.split_at(address_digits);
        let (port, offset) = rest.split_at(8);
        let address = match address_digits {
            8 => IpAddr::V4(hex::<u32>(address, text)?.into()),
            _ => IpAddr::V6(hex::<u128>(address, text)?.into()),
        };
        let port = hex::<u32>(port, text)?;
        let port = u16::try_from(port).map_err(|_| MessageError::Port {
            field: "message id",
            value: port.cast_signed(),
        })?;
        Ok(Self {
            store_host: SocketAddr::new(address, port),
            physical_offset: hex::<u64>(offset, text)?.cast_signed(),
        })
    }
}

trait FromHex: Sized {
    fn from_hex(digits: &str) -> Option<Self>;
}

macro_rules! from_hex {
    ($($number:ty),*) => {
        $(impl FromHex for $number {
            fn from_hex(digits: &str) -> Option<Self> {
                Self::from_str_radix(digits, 16).ok()
            }
        })*
    };
}
from_hex!(u32, u64, u128);

fn hex<T: FromHex>(digits: &str, text: &str) -> Result<T, MessageError> {
    T::from_hex(digits).ok_or_else(|| refuse(text))
}

fn refuse(text: &str) -> MessageError {
    MessageError::Id {
        start: text.chars().take(64).collect(),
        length: text.len(),
    }
}
