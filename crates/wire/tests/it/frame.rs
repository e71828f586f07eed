//! Frames and the two forms of the header.

use base::limits::{REMOTING_FRAME_BYTES_MAX, REMOTING_HEADER_FIELDS_MAX};
use bytes::{Bytes, BytesMut};
use proptest::prelude::*;
use wire::remoting::{
    Command, ExtFields, FrameError, LanguageCode, RequestCode, ResponseCode, SerializeType, frame,
};

use crate::golden;

fn decode(bytes: &[u8]) -> Result<Option<Command>, FrameError> {
    frame::decode(&mut BytesMut::from(bytes), REMOTING_FRAME_BYTES_MAX)
}

pub(crate) fn command(bytes: &[u8]) -> Command {
    decode(bytes).unwrap().expect("a whole frame")
}

fn encode(command: &Command) -> BytesMut {
    let mut out = BytesMut::new();
    frame::encode(command, &mut out).unwrap();
    out
}

/// A frame with a JSON header.
fn json(header: &str) -> Vec<u8> {
    let mut frame = Vec::new();
    frame.extend_from_slice(&(4 + header.len() as u32).to_be_bytes());
    frame.extend_from_slice(&(header.len() as u32).to_be_bytes());
    frame.extend_from_slice(header.as_bytes());
    frame
}

#[test]
fn apaches_frames_survive() {
    for bytes in [
        golden::send_v2_request_json(),
        golden::send_v2_request_rocketmq(),
        golden::send_response_json(),
        golden::send_response_rocketmq(),
        golden::pull_request_json(),
        golden::pull_request_rocketmq(),
        golden::error_response_json(),
        golden::error_response_rocketmq(),
    ] {
        assert_eq!(encode(&command(&bytes)), bytes);
    }
}

#[test]
fn both_forms_say_the_same() {
    for (json, binary) in [
        (
            golden::send_v2_request_json(),
            golden::send_v2_request_rocketmq(),
        ),
        (
            golden::send_response_json(),
            golden::send_response_rocketmq(),
        ),
        (golden::pull_request_json(), golden::pull_request_rocketmq()),
        (
            golden::error_response_json(),
            golden::error_response_rocketmq(),
        ),
    ] {
        let (json, mut binary) = (command(&json), command(&binary));
        assert_eq!(json.serialize_type, SerializeType::Json);
        assert_eq!(binary.serialize_type, SerializeType::RocketMq);
        binary.serialize_type = SerializeType::Json;
        let sorted = |fields: &ExtFields| {
            let mut fields: Vec<_> = fields
                .iter()
                .map(|(n, v)| (n.to_owned(), v.to_owned()))
                .collect();
            fields.sort_by_key(|(name, _)| {
                if name == "bname" {
                    "n".into()
                } else {
                    name.clone()
                }
            });
            fields
                .into_iter()
                .map(|(_, value)| value)
                .collect::<Vec<_>>()
        };
        assert_eq!(sorted(&json.fields), sorted(&binary.fields));
        binary.fields = json.fields.clone();
        assert_eq!(json, binary);
    }
}

#[test]
fn reads_an_error() {
    let command = command(&golden::error_response_rocketmq());
    assert_eq!(command.response_code(), Some(ResponseCode::TopicNotExist));
    assert_eq!(
        command.remark.as_deref(),
        Some("topic[orders] not exist\nsee \"docs\"")
    );
    assert_eq!(command.opaque, 42);
    assert!(command.is_response());
    assert!(!command.is_oneway());
}

#[test]
fn bytes_may_come_one_by_one() {
    let frames = [
        golden::send_v2_request_json(),
        golden::pull_request_rocketmq(),
    ];
    let mut buffer = BytesMut::new();
    let mut commands = Vec::new();
    for byte in frames.concat() {
        buffer.extend_from_slice(&[byte]);
        commands.extend(frame::decode(&mut buffer, REMOTING_FRAME_BYTES_MAX).unwrap());
    }
    assert!(buffer.is_empty());
    assert_eq!(commands, frames.map(|bytes| command(&bytes)));
}

#[test]
fn body_is_a_slice() {
    let mut buffer = BytesMut::from(&golden::send_v2_request_json()[..]);
    let range = buffer.as_ptr_range();
    let command = frame::decode(&mut buffer, REMOTING_FRAME_BYTES_MAX)
        .unwrap()
        .unwrap();
    assert_eq!(command.body, "hello, queue");
    assert!(range.contains(&command.body.as_ptr()), "body was copied");
}

#[test]
fn vectored_parts_are_the_frame() {
    let bytes = golden::send_v2_request_json();
    let mut command = command(&bytes);
    let body = command.body.split_off(5);
    let encoded =
        frame::encode_vectored(&command, [body.slice(..2), Bytes::new(), body.slice(2..)]).unwrap();
    assert_eq!(encoded.body, ["hello", ", ", "queue"]);
    assert_eq!(encoded.len(), bytes.len());
    let joined = [&encoded.head[..], &encoded.body.concat()].concat();
    assert_eq!(joined, bytes);
}

#[test]
fn frames_are_limited_by_their_length_alone() {
    let too_long = (REMOTING_FRAME_BYTES_MAX as u32 - 3).to_be_bytes();
    let error = decode(&too_long).unwrap_err();
    assert_eq!(
        error.to_string(),
        "frame has 16777217 bytes, expected at most 16777216"
    );
    assert_eq!(
        decode(&(REMOTING_FRAME_BYTES_MAX as u32 - 4).to_be_bytes()),
        Ok(None)
    );
    assert!(decode(b"GET / HTTP/1.1").is_err());
    assert!(decode(b"\xFF\xFF\xFF\xFF").is_err());
}

#[test]
fn broken_frames_are_refused_before_they_are_complete() {
    assert_eq!(
        decode(&[0, 0, 0, 3]),
        Err(FrameError::TooShort { length: 3 })
    );
    assert_eq!(
        decode(&[0, 0, 0, 10, 0, 0, 0, 7]),
        Err(FrameError::HeaderLength { header: 7, room: 6 })
    );
    assert_eq!(
        decode(&[0, 0, 0, 10, 2, 0, 0, 6]),
        Err(FrameError::SerializeType(2))
    );
}

#[test]
fn clients_write_json_in_many_ways() {
    let command = command(&json(
        r#" {"namespaceId":"ns","code":"310","language":"COBOL","version":2147483347,
        "opaque":4294967295,"flag":null,"remark":null,"body":[{"x":{}}],
        "extFields":{"e":3,"k":false,"g":1700000000123,"none":null,"list":[1,"a"],"o":{"p":1},"f":"a\/\u00e9"}} "#,
    ));
    assert_eq!(command.request_code(), Some(RequestCode::SendMessageV2));
    assert_eq!(command.language, LanguageCode::Other);
    assert_eq!(command.version, i32::MAX - 300);
    assert_eq!(command.opaque, -1);
    assert_eq!(command.flag, 0);
    assert_eq!(command.remark, None);
    let fields: Vec<_> = command.fields.iter().collect();
    let wanted = [
        ("e", "3"),
        ("k", "false"),
        ("g", "1700000000123"),
        ("f", "a/é"),
    ];
    assert_eq!(fields, wanted);
    let null_fields = self::command(&json(r#"{"code":34,"extFields":null,"language":9}"#));
    assert!(null_fields.fields.is_empty());
    assert_eq!(null_fields.language, LanguageCode::Go);
}

#[test]
fn nonsense_headers_are_refused() {
    for header in [
        "",
        "{",
        "[]",
        "null",
        "{}",
        r#"{"code":"ten"}"#,
        r#"{"code":10}}"#,
        r#"{"code":99999999999}"#,
        r#"{"code":10,"extFields":[]}"#,
        r#"{"code":10,"extFields":{1:2}}"#,
        "{\"code\":10,\"remark\":\"\u{0}\"}",
    ] {
        let error = decode(&json(header)).unwrap_err();
        assert!(
            matches!(error, FrameError::Json { .. }),
            "{header}: {error}"
        );
    }
}

#[test]
fn nesting_in_a_header_is_limited() {
    for deep in ["[", "{\"a\":"] {
        let header = format!("{{\"code\":10,\"x\":{}", deep.repeat(200_000));
        assert!(decode(&json(&header)).is_err());
        let header = format!(
            "{{\"code\":10,\"extFields\":{{\"x\":{}",
            deep.repeat(200_000)
        );
        assert!(decode(&json(&header)).is_err());
    }
}

#[test]
fn fields_are_counted() {
    for serialize_type in [SerializeType::Json, SerializeType::RocketMq] {
        let mut command = Command {
            code: 10,
            serialize_type,
            ..Command::default()
        };
        for index in 0..REMOTING_HEADER_FIELDS_MAX {
            command.fields.push(&index.to_string(), index);
        }
        assert_eq!(self::command(&encode(&command)), command);
        command.fields.push("more", "");
        let error = decode(&encode(&command)).unwrap_err();
        assert!(
            error.to_string().contains("more than 128 fields"),
            "{error}"
        );
    }
}

#[test]
fn broken_binary_headers_are_named() {
    let whole = golden::send_v2_request_rocketmq();
    let header_len = usize::from(u16::from_be_bytes([whole[6], whole[7]]));
    for length in 0..header_len {
        // Only the header is cut; lengths of frame and header agree with what is left.
        let mut cut = whole[..8 + length].to_vec();
        cut[..4].copy_from_slice(&(4 + length as u32).to_be_bytes());
        cut[4..8].copy_from_slice(&(0x0100_0000 | length as u32).to_be_bytes());
        let error = decode(&cut).unwrap_err();
        assert!(
            matches!(error, FrameError::Truncated { .. }),
            "{length} bytes: {error}"
        );
    }
    let breaks: [(usize, &[u8], &str); 4] = [
        (21, &[0xFF; 4], "remark length is -1, expected 0 or more"),
        (
            29,
            &[0xFF; 2],
            "field name length is -1, expected 0 or more",
        ),
        (31, &[0xFF], "field name is not UTF-8"),
        (
            32,
            &[0x80, 0, 0, 0],
            "field value length is -2147483648, expected 0 or more",
        ),
    ];
    for (at, with, wanted) in breaks {
        let mut bytes = whole.to_vec();
        bytes[at..at + with.len()].copy_from_slice(with);
        assert_eq!(decode(&bytes).unwrap_err().to_string(), wanted);
    }
}

#[test]
fn what_does_not_fit_is_refused_without_a_trace() {
    let mut out = BytesMut::from("before");
    let command = Command {
        code: 200_050,
        serialize_type: SerializeType::RocketMq,
        ..Command::default()
    };
    assert_eq!(
        frame::encode(&command, &mut out),
        Err(FrameError::Code(200_050))
    );
    let command = Command {
        remark: Some("r".repeat(1 << 24)),
        ..Command::default()
    };
    assert!(matches!(
        frame::encode(&command, &mut out),
        Err(FrameError::Encode { .. })
    ));
    assert_eq!(out, "before");
}

#[test]
fn answers_repeat_number_and_form() {
    let request = command(&golden::send_v2_request_rocketmq());
    let answer = request
        .response(ResponseCode::SystemBusy)
        .with_remark("wait")
        .with_body("x");
    assert_eq!(answer.opaque, 41);
    assert_eq!(answer.serialize_type, SerializeType::RocketMq);
    assert_eq!(answer.language, LanguageCode::Java);
    assert!(answer.is_response());
    assert_eq!(command(&encode(&answer)), answer);
    assert!(
        Command::request(RequestCode::Heartbeat, &())
            .as_oneway()
            .is_oneway()
    );
}

#[test]
fn last_of_equal_fields_counts() {
    let fields: ExtFields = [("a", "1"), ("b", "2"), ("a", "3")].into_iter().collect();
    assert_eq!(fields.get("a"), Some("3"));
    assert_eq!(fields.get("c"), None);
    assert_eq!(fields.len(), 3);
}

proptest! {
    #[test]
    fn round_trip(
        code in any::<i16>(), language in any::<u8>(), version in any::<i16>(),
        (opaque, flag) in any::<(i32, i32)>(),
        remark in proptest::option::of("\\PC{1,30}"),
        fields in proptest::collection::vec(("\\PC{0,9}", "(\\PC|[\u{0}-\u{1f}\"\\\\]){0,30}"), 0..20),
        body in any::<Vec<u8>>(),
        is_json in any::<bool>(),
    ) {
        let serialize_type = if is_json { SerializeType::Json } else { SerializeType::RocketMq };
        let language = match LanguageCode::from_byte(language) {
            LanguageCode::Unknown(_) if is_json => LanguageCode::Other,
            language => language,
        };
        let command = Command {
            code: code.into(), language, version: version.into(), opaque, flag, remark,
            fields: fields.iter().map(|(n, v)| (n.as_str(), v.as_str())).collect(),
            body: body.into(), serialize_type,
        };
        let mut buffer = encode(&command);
        let read = frame::decode(&mut buffer, REMOTING_FRAME_BYTES_MAX).unwrap();
        prop_assert_eq!(read, Some(command));
        prop_assert!(buffer.is_empty());
    }
}
