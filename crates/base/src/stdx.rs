//! Small additions to the standard library.

use std::error::Error;

/// The low 32 bits of a Java `String.hashCode` of `text`, which RocketMQ uses to code tags.
///
/// Java hashes UTF-16 units, so does this.
pub fn java_string_hash(text: &str) -> i32 {
    text.encode_utf16().fold(0_i32, |hash, unit| {
        hash.wrapping_mul(31).wrapping_add(i32::from(unit))
    })
}

/// FNV-1a with a final mix, so that the high bits depend on all input. Not for foreign input that
/// may be chosen to collide, unless a collision costs nothing but time.
pub fn hash_bytes(bytes: impl IntoIterator<Item = u8>) -> u64 {
    let mut hash = 0xcbf2_9ce4_8422_2325_u64;
    for byte in bytes {
        hash = (hash ^ u64::from(byte)).wrapping_mul(0x0100_0000_01b3);
    }
    hash ^= hash >> 32;
    hash.wrapping_mul(0x9e37_79b9_7f4a_7c15)
}

/// The text of an error and of what caused it, in one line, from the effect to the first cause.
pub fn with_causes(error: &dyn Error) -> String {
    let mut text = error.to_string();
    let mut cause = error.source();
    while let Some(error) = cause {
        text.push_str(": ");
        text.push_str(&error.to_string());
        cause = error.source();
    }
    text
}

#[cfg(test)]
mod tests {
    use super::*;

    #[derive(Debug, thiserror::Error)]
    #[error("read settings")]
    struct Outer(#[source] std::fmt::Error);

    #[test]
    fn an_error_is_told_with_its_causes() {
        let cause = std::fmt::Error;
        let text = format!("read settings: {cause}");
        assert_eq!(with_causes(&Outer(cause)), text);
        assert_eq!(with_causes(&cause), cause.to_string());
    }

    #[test]
    fn hashes_as_java_does() {
        assert_eq!(java_string_hash(""), 0);
        assert_eq!(java_string_hash("TagA"), 2_598_919);
        assert_eq!(java_string_hash("polygenelubricants"), i32::MIN);
    }
}
