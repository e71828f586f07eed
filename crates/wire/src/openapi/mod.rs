//! Requests, signatures and answers of the vendor's OpenAPIs: in the RPC style, in which a request
//! is an operation with flat parameters (path `/`, everything in the query or in a form), and what
//! the ROA style, which has paths and JSON, has in common with it.
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
pub use timestamp::{date_time, date_time_ms, timestamp, timestamp_ms};

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

/// A text as it stands in a path or a query, and as both signatures want it.
pub fn escaped(text: &str) -> String {
    let mut out = String::with_capacity(text.len());
    push_escaped(&mut out, text);
    out
}

fn shortened(text: &str) -> String {
    text.chars().take(64).collect()
}

/// What a part of a path stands for; `None` if an escape is malformed or the outcome is no text.
pub fn path_segment(segment: &str) -> Option<String> {
    crate::percent::decoded(segment)
}
