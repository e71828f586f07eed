//! Requests, signatures and answers of the vendor's OpenAPI in its RPC style, in which a request
//! is an operation with flat parameters: path `/`, everything in the query or in a form.
//!
//! Two signatures are in use, which clients of one API choose by their age: [`rpc`] (parameters
//! `Signature...`, HMAC-SHA1) and [`acs3`] (header `Authorization`, HMAC-SHA256).
//!
//! Source: the released SDKs for Python (`alibabacloud-tea-openapi`, `aliyun-python-sdk-core`) and
//! the public pages of the service ("Common parameters", "Request signatures").

pub mod acs3;
mod document;
mod parameters;
pub mod rpc;
mod timestamp;

pub use document::{ErrorAnswer, json_document, xml_document};
pub use parameters::{ParameterError, Parameters};
pub use timestamp::timestamp_ms;

/// Writes `text` as both signatures want it (RFC 3986): everything but letters, digits, `-`, `_`,
/// `.` and `~` is escaped byte by byte.
fn push_escaped(out: &mut String, text: &str) {
    const DIGITS: &[u8; 16] = b"0123456789ABCDEF";
    for byte in text.bytes() {
        if byte.is_ascii_alphanumeric() || matches!(byte, b'-' | b'_' | b'.' | b'~') {
            out.push(char::from(byte));
            continue;
        }
        out.push('%');
        out.push(char::from(DIGITS[usize::from(byte >> 4)]));
        out.push(char::from(DIGITS[usize::from(byte & 15)]));
    }
}

fn shortened(text: &str) -> String {
    text.chars().take(64).collect()
}
