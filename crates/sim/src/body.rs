//! Message bodies that tell which message they belong to and whether a byte has changed.

use bytes::Bytes;

/// Bytes of the number that every body begins with.
pub(crate) const NUMBER_BYTES: usize = 8;

/// The body of message `number` with `len` bytes, at least [`NUMBER_BYTES`].
pub(crate) fn of(number: u64, len: usize) -> Bytes {
    let mut body = Vec::with_capacity(len);
    body.extend_from_slice(&number.to_le_bytes());
    let mut state = number.wrapping_mul(0x9e37_79b9_7f4a_7c15) | 1;
    while body.len() < len {
        state = state
            .wrapping_mul(6_364_136_223_846_793_005)
            .wrapping_add(1);
        body.push((state >> 33) as u8);
    }
    body.into()
}

/// The message that a body says it belongs to.
pub(crate) fn number_of(body: &[u8]) -> Option<u64> {
    body.first_chunk().map(|bytes| u64::from_le_bytes(*bytes))
}
