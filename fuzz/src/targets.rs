//! What is fuzzed.

mod filter;
mod http;
mod log;
mod message;
mod ons_http;
mod openapi;
mod policy;
mod remoting;

use std::cell::Cell;
use std::fmt::{self, Write};

/// A decoder and the folder of inputs to start from.
pub(crate) struct Target {
    /// Name on the command line and of the corpus folder.
    pub(crate) name: &'static str,
    /// Runs the decoder; panics if it, or what is expected of it, fails.
    pub(crate) run: fn(&[u8]),
    /// Makes what all runs share, so that none of them has to answer for its memory.
    pub(crate) prepare: fn(),
}

macro_rules! targets {
    ($($name:literal => $run:path $(, after $prepare:path)?;)*) => {
        /// All targets.
        pub(crate) const TARGETS: &[Target] = &[$(Target {
            name: $name,
            run: $run,
            prepare: || { $($prepare();)? },
        },)*];
    };
}

targets! {
    "batch_body" => message::batch_body;
    "control_request" => http::control_request, after http::prepare;
    "grpc_v1" => http::grpc_v1, after http::prepare;
    "grpc_v2" => http::grpc_v2, after http::prepare;
    "log_open" => log::open;
    "log_scan" => log::scan;
    "message_id" => message::message_id;
    "message_properties" => message::properties;
    "ons_http_body" => ons_http::body;
    "ons_http_head" => ons_http::head;
    "ons_http_request" => http::ons_http_request, after http::prepare;
    "openapi" => openapi::openapi;
    "openapi_request" => http::openapi_request, after http::prepare;
    "ram_policy" => policy::ram;
    "remoting_binary_header" => remoting::binary_header;
    "remoting_body" => remoting::body;
    "remoting_frame" => remoting::frame;
    "remoting_json_header" => remoting::json_header;
    "sql_filter" => filter::sql;
    "stored_message" => message::stored_message;
}

thread_local! {
    static OUTCOME: Cell<u64> = const { Cell::new(0) };
}

/// Tells how a decoder ended. An input with an outcome that was not seen before is mutated further,
/// so the text should say which branch was taken; digits and what is in quotes do not count.
pub(crate) fn note(outcome: impl fmt::Display) {
    let mut hash = Hash {
        value: OUTCOME.get(),
        in_quotes: false,
    };
    write!(hash, "{outcome}").expect("hashing a text cannot fail");
    OUTCOME.set(hash.value);
}

/// Tells how many of something a decoder found, up to 8.
pub(crate) fn note_count(count: usize) {
    note(&"########"[..count.min(8)]);
}

/// The outcome of the last input.
pub(crate) fn take_outcome() -> u64 {
    OUTCOME.replace(0)
}

/// A hash of bytes that is the same on every machine.
pub(crate) fn digest(bytes: &[u8]) -> u64 {
    let mut hash = Hash::default();
    bytes.iter().for_each(|byte| hash.add(*byte));
    hash.value
}

/// FNV-1a of a text.
#[derive(Default)]
struct Hash {
    value: u64,
    in_quotes: bool,
}

impl Hash {
    fn add(&mut self, byte: u8) {
        self.value =
            (self.value ^ u64::from(byte) ^ 0xcbf2_9ce4_8422_2325).wrapping_mul(0x0100_0000_01b3);
    }
}

impl Write for Hash {
    fn write_str(&mut self, text: &str) -> fmt::Result {
        for byte in text.bytes() {
            self.in_quotes ^= matches!(byte, b'`' | b'"');
            if !self.in_quotes && !byte.is_ascii_digit() {
                self.add(byte);
            }
        }
        Ok(())
    }
}
