//! Bytes that RocketMQ 5.5.0's own classes wrote, in hexadecimal.

use bytes::Bytes;

macro_rules! golden {
    ($($name:ident),* $(,)?) => {
        $(pub(crate) fn $name() -> Bytes {
            super::golden::bytes(include_str!(concat!("golden/", stringify!($name), ".hex")))
        })*
    };
}

golden!(
    message_v4,
    message_v6,
    message_long_topic,
    batch,
    send_v2_request_json,
    send_v2_request_rocketmq,
    send_response_json,
    send_response_rocketmq,
    pull_request_json,
    pull_request_rocketmq,
    error_response_json,
    error_response_rocketmq,
);

pub(crate) fn bytes(hex: &str) -> Bytes {
    let digits: Vec<u8> = hex.bytes().filter(u8::is_ascii_hexdigit).collect();
    let pair = |pair: &[u8]| u8::from_str_radix(std::str::from_utf8(pair).unwrap(), 16).unwrap();
    digits.chunks(2).map(pair).collect()
}
