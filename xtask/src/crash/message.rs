//! Messages whose content follows from their key, so that whoever reads one knows what it must be.

use base::{Random as _, SeededRandom};
use bytes::Bytes;

/// The body that belongs to `key`: mostly small, some of several pages, a few large.
pub(super) fn body_of(key: &str) -> Bytes {
    let random = SeededRandom::new(number_of(key));
    let len = match random.below(100) {
        0 => 200 * 1024,
        1..=9 => 9_000,
        _ => 16 + random.below(1_500),
    };
    body_of_len(key, len)
}

/// The body of `len` bytes, rounded up to words, that belongs to `key`.
pub(super) fn body_of_len(key: &str, len: u64) -> Bytes {
    let random = SeededRandom::new(number_of(key) ^ len);
    let words = len.div_ceil(8);
    (0..words)
        .flat_map(|_| random.next().to_le_bytes())
        .collect()
}

/// FNV-1a: the same in every run.
fn number_of(key: &str) -> u64 {
    key.bytes().fold(0xcbf2_9ce4_8422_2325, |hash, byte| {
        (hash ^ u64::from(byte)).wrapping_mul(0x0100_0000_01b3)
    })
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_key_has_one_body_and_keys_differ() {
        assert_eq!(body_of("a"), body_of("a"));
        assert_ne!(body_of("a"), body_of("b"));
        assert_eq!(body_of_len("a", 20).len(), 24);
    }
}
