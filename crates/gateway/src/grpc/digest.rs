//! The checksum of a body that clients compare before they hand a message to the application.

use md5::{Digest as _, Md5};

/// Which checksum a client gets.
///
/// Compat: SDKs write the same CRC32 in three ways: hexadecimal without leading zeros (Java, Go),
/// with eight digits (Python `Misc.crc32_checksum` 5.1), decimal (Node `crc32CheckSum` 1.0). A
/// checksum written another way makes the message *corrupted*. All agree on MD5, which is what
/// Apache's proxy sends and costs twenty times as much. Hence CRC32 for clients whose way is known,
/// MD5 for all others. Test: `every_sdk_reads_its_checksum`.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) enum DigestForm {
    /// CRC32 in upper-case hexadecimal without leading zeros.
    ShortCrc32,
    /// MD5 in upper-case hexadecimal.
    Md5,
}

impl DigestForm {
    /// The form for a client of that `x-mq-language`. The Rust SDK compares no checksum.
    pub(crate) fn for_language(language: &str) -> Self {
        match language {
            "JAVA" | "GO" | "RUST" => Self::ShortCrc32,
            _ => Self::Md5,
        }
    }

    /// The checksum of a body as it travels.
    pub(crate) fn checksum(self, body: &[u8]) -> String {
        match self {
            Self::ShortCrc32 => format!("{:X}", crc32fast::hash(body)),
            Self::Md5 => {
                let sum = u128::from_be_bytes(Md5::digest(body).into());
                format!("{sum:032X}")
            }
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn every_sdk_reads_its_checksum() {
        // The CRC32 of "hello 20" is 0x0cf79720: Java and Go expect it without the zero.
        let short = DigestForm::for_language("JAVA");
        assert_eq!(short, DigestForm::ShortCrc32);
        assert_eq!(short.checksum(b"hello 20"), "CF79720");
        assert_eq!(DigestForm::for_language("GO"), DigestForm::ShortCrc32);

        // Node says HTTP.
        for language in ["PYTHON", "HTTP", "CPP", ""] {
            let form = DigestForm::for_language(language);
            assert_eq!(form, DigestForm::Md5, "{language}");
            assert_eq!(form.checksum(b"hello"), "5D41402ABC4B2A76B9719D911017C592");
        }
    }
}
