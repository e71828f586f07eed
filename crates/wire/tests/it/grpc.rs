//! The gRPC v2 messages.

use bytes::Bytes;
use prost::Message as _;
use wire::grpc_v2::{Code, Message, MessageType, Resource, SystemProperties};

#[test]
fn numbers_are_the_protocols() {
    // Field 1 (topic) with field 2 (name), field 3 with fields 3 and 6, field 4 (body).
    let message = Message {
        topic: Some(Resource {
            name: "t".into(),
            ..Resource::default()
        }),
        system_properties: Some(SystemProperties {
            message_id: "m".into(),
            message_type: MessageType::Priority.into(),
            priority: Some(7),
            ..SystemProperties::default()
        }),
        body: Bytes::from_static(b"b"),
        ..Message::default()
    };
    let bytes = b"\x0A\x03\x12\x01t\x1A\x08\x1A\x01m\x30\x06\xB0\x01\x07\x22\x01b";
    assert_eq!(message.encode_to_vec(), bytes);
    assert_eq!(Code::Ok as i32, 20_000);
    assert_eq!(Code::MessageNotFound as i32, 40_401);
    assert_eq!(Code::FailedToConsumeMessage as i32, 60_000);
}

#[test]
fn body_is_a_slice() {
    let sent = Message {
        body: Bytes::from(vec![7; 1_000]),
        ..Message::default()
    };
    let bytes = Bytes::from(sent.encode_to_vec());
    let read = Message::decode(bytes.clone()).unwrap();
    assert!(
        bytes.as_ptr_range().contains(&read.body.as_ptr()),
        "body was copied"
    );
}
