//! The checksum of a body that clients compare before they hand a message to the application.

use md5::{Digest as _, Md5};
use wire::grpc_v2::{self as v2, DigestType};

/// Which checksum a client gets.
///
/// Compat: SDKs write the same CRC32 in three ways: hexadecimal without leading zeros (Java, Go),
/// with eight digits (Python `Misc.crc32_checksum` 5.1), decimal (Node `crc32CheckSum` 1.0). A
/// checksum written another way makes the message *corrupted*. All agree on MD5, which is what
/// Apache's proxy sends and costs twenty times as much. Hence CRC32 for clients whose way is known,
/// MD5 for all others. Test: `every_sdk_reads_its_checksum`.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(super) enum DigestForm {
    /// CRC32 in upper-case hexadecimal without leading zeros.
    ShortCrc32,
    /// MD5 in upper-case hexadecimal.
    Md5,
}

impl DigestForm {
    /// The form for a client of that `x-mq-language`. The Rust SDK compares no checksum.
    pub(super) fn for_language(language: &str) -> Self {
        match language {
            "JAVA" | "GO" | "RUST" => Self::ShortCrc32,
            _ => Self::Md5,
        }
    }

    /// The digest of a body as it travels.
    pub(super) fn of(self, body: &[u8]) -> v2::Digest {
        let (kind, checksum) = match self {
            Self::ShortCrc32 => (DigestType::Crc32, format!("{:X}", crc32fast::hash(body))),
            Self::Md5 => {
                let sum = u128::from_be_bytes(Md5::digest(body).into());
                (DigestType::Md5, format!("{sum:032X}"))
            }
        };
        v2::Digest {
            r#type: kind.into(),
            checksum,
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn every_sdk_reads_its_checksum() {
        // The CRC32 of "hello 20" is 0x0cf79720: Java and Go expect it without the zero.
        let short = DigestForm::for_language("JAVA").of(b"hello 20");
        assert_eq!(short.r#type(), DigestType::Crc32);
        assert_eq!(short.checksum, "CF79720");
        assert_eq!(DigestForm::for_language("GO"), DigestForm::ShortCrc32);

        // Node says HTTP.
        for language in ["PYTHON", "HTTP", "CPP", ""] {
            let digest = DigestForm::for_language(language).of(b"hello");
            assert_eq!(digest.r#type(), DigestType::Md5, "{language}");
            assert_eq!(digest.checksum, "5D41402ABC4B2A76B9719D911017C592");
        }
    }
}
