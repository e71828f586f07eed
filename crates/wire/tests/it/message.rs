//! The stored-message layout.

use std::net::SocketAddr;

use bytes::Bytes;
use proptest::prelude::*;
use wire::message::{
    MessageError, MessageId, MessageView, NewMessage, Placement, StoredMessage, split, sys_flag,
};

use crate::golden;

const PROPERTIES: &str = "KEYS\u{1}k1 k2\u{2}TAGS\u{1}paid\u{2}UNIQ_KEY\u{1}7F0000010BC018B4AAC203BCAF130000\u{2}名\u{1}值\u{2}";

pub(crate) fn new_message() -> NewMessage<'static> {
    NewMessage {
        topic: "orders",
        queue_id: 3,
        flag: -7,
        sys_flag: 0,
        born_timestamp: 1_700_000_000_123,
        born_host: "192.0.2.1:54321".parse().unwrap(),
        store_host: "127.0.0.1:10911".parse().unwrap(),
        reconsume_times: 2,
        prepared_transaction_offset: 77,
        body: b"hello, queue",
        properties: PROPERTIES.as_bytes(),
    }
}

pub(crate) const PLACEMENT: Placement = Placement {
    queue_offset: 4_294_967_297,
    physical_offset: (5 << 48) | 1_234_567,
    store_timestamp: 1_700_000_000_456,
};

pub(crate) fn encode(message: &NewMessage<'_>, placement: Placement) -> Bytes {
    let len = message.encoded_len().unwrap();
    let mut out = Vec::with_capacity(len);
    let room = out.capacity();
    message.encode(placement, &mut out);
    assert_eq!(out.len(), len);
    assert_eq!(out.capacity(), room, "encode allocated");
    out.into()
}

fn v6_message() -> NewMessage<'static> {
    NewMessage {
        born_host: "[2001:db8::1]:54321".parse().unwrap(),
        store_host: "[::1]:10911".parse().unwrap(),
        ..new_message()
    }
}

#[test]
fn encodes_apaches_bytes() {
    assert_eq!(encode(&new_message(), PLACEMENT), golden::message_v4());
    assert_eq!(encode(&v6_message(), PLACEMENT), golden::message_v6());
}

#[test]
fn long_topics_take_the_second_layout() {
    let topic = format!("%RETRY%{}", "g".repeat(200));
    let message = NewMessage {
        topic: &topic,
        ..new_message()
    };
    assert_eq!(encode(&message, PLACEMENT), golden::message_long_topic());
    let longest_in_first = "t".repeat(127);
    let message = NewMessage {
        topic: &longest_in_first,
        ..new_message()
    };
    assert_eq!(
        encode(&message, PLACEMENT)[4..8],
        wire::message::MAGIC_V1.to_be_bytes()
    );
}

#[test]
fn reads_apaches_bytes() {
    let message = StoredMessage::parse(golden::message_v6()).unwrap();
    assert_eq!(message.topic(), "orders");
    assert_eq!(message.queue_id(), 3);
    assert_eq!(message.flag(), -7);
    assert_eq!(
        message.sys_flag(),
        sys_flag::BORN_HOST_V6 | sys_flag::STORE_HOST_V6
    );
    assert_eq!(message.queue_offset(), 4_294_967_297);
    assert_eq!(message.physical_offset(), (5 << 48) | 1_234_567);
    assert_eq!(message.born_timestamp(), 1_700_000_000_123);
    assert_eq!(message.born_host(), "[2001:db8::1]:54321".parse().unwrap());
    assert_eq!(message.store_timestamp(), 1_700_000_000_456);
    assert_eq!(message.store_host(), "[::1]:10911".parse().unwrap());
    assert_eq!(message.reconsume_times(), 2);
    assert_eq!(message.prepared_transaction_offset(), 77);
    assert_eq!(message.body(), "hello, queue");
    assert_eq!(message.body_crc(), 975_248_410);
    assert_eq!(message.properties_raw(), PROPERTIES);
    assert_eq!(message.property("名"), Some("值"));
    assert_eq!(message.view().tags(), Some("paid"));
    assert_eq!(message.view().keys().collect::<Vec<_>>(), ["k1", "k2"]);
    assert_eq!(
        message.view().unique_key(),
        Some("7F0000010BC018B4AAC203BCAF130000")
    );
    message.verify_body_crc().unwrap();
}

#[test]
fn body_is_a_slice() {
    let bytes = golden::message_v4();
    let range = bytes.as_ptr_range();
    let message = StoredMessage::parse(bytes).unwrap();
    assert!(range.contains(&message.body().as_ptr()));
}

#[test]
fn changed_body_is_noticed() {
    let mut bytes = golden::message_v4().to_vec();
    bytes[90] ^= 1;
    let message = StoredMessage::parse(bytes.into()).unwrap();
    let error = message.verify_body_crc().unwrap_err();
    assert!(
        matches!(
            error,
            MessageError::BodyCrc {
                stored: 975_248_410,
                ..
            }
        ),
        "{error}"
    );
}

#[test]
fn every_cut_is_refused() {
    for whole in [
        golden::message_v4(),
        golden::message_v6(),
        golden::message_long_topic(),
    ] {
        for length in 0..whole.len() {
            let cut = &whole[..length];
            assert!(MessageView::parse(cut).is_err(), "{length} bytes");
            // The same with a total size that agrees, so that the inner checks must notice.
            let mut cut = cut.to_vec();
            if length >= 4 {
                cut[..4].copy_from_slice(&(length as i32).to_be_bytes());
                assert!(
                    MessageView::parse(&cut).is_err(),
                    "{length} bytes that agree"
                );
            }
        }
    }
}

#[test]
fn bytes_behind_a_message_are_refused() {
    let mut bytes = golden::message_v4().to_vec();
    bytes.push(0);
    let error = StoredMessage::parse(bytes.clone().into()).unwrap_err();
    assert!(
        matches!(error, MessageError::SizeMismatch { .. }),
        "{error}"
    );
    let total = (bytes.len() as i32).to_be_bytes();
    bytes[..4].copy_from_slice(&total);
    let first = split(bytes.clone().into()).next().unwrap();
    assert!(
        matches!(first, Err(MessageError::SizeMismatch { .. })),
        "{first:?}"
    );
    let error = StoredMessage::parse(bytes.into()).unwrap_err();
    assert!(
        matches!(error, MessageError::SizeMismatch { .. }),
        "{error}"
    );
}

#[test]
fn each_broken_field_is_named() {
    let breaks: [(usize, &[u8], &str); 7] = [
        (
            0,
            &[0xFF, 0, 0, 0],
            "message length is -16777216, expected 0 or more",
        ),
        (
            4,
            &[0, 0, 0, 1],
            "message magic is 1, expected -626843481 or -626843477",
        ),
        (
            52,
            &[0, 1, 0, 0],
            "born host port is 65536, expected 0 to 65535",
        ),
        (
            84,
            &[0x80, 0, 0, 0],
            "body length is -2147483648, expected 0 or more",
        ),
        (
            84,
            &[0x7F, 0, 0, 0],
            "message ends inside body: 2130706432 bytes needed, 92 left",
        ),
        (100, &[0xFF], "topic length is -1, expected 0 or more"),
        (101, &[0xC0], "topic is not UTF-8 after 0 bytes"),
    ];
    for (at, with, wanted) in breaks {
        let mut bytes = golden::message_v4().to_vec();
        bytes[at..at + with.len()].copy_from_slice(with);
        let error = StoredMessage::parse(bytes.into()).unwrap_err();
        assert_eq!(error.to_string(), wanted);
    }
}

#[test]
fn limits_hold_before_encoding() {
    let long_topic = "t".repeat(base::limits::STORED_TOPIC_BYTES_MAX + 1);
    let long_body = vec![0; base::limits::MESSAGE_BODY_BYTES_MAX + 1];
    let long_properties = vec![b'p'; 32_768];
    let good = new_message();
    for (message, wanted) in [
        (NewMessage { topic: "", ..good }, "topic is empty"),
        (
            NewMessage {
                topic: &long_topic,
                ..good
            },
            "topic has 513 bytes, expected at most 512",
        ),
        (
            NewMessage {
                body: &long_body,
                ..good
            },
            "body has 4194305 bytes, expected at most 4194304",
        ),
        (
            NewMessage {
                properties: &long_properties,
                ..good
            },
            "properties has 32768 bytes, expected at most 32767",
        ),
        (
            NewMessage {
                properties: &[b'a', 0xFF],
                ..good
            },
            "properties is not UTF-8 after 1 bytes",
        ),
        (
            NewMessage {
                queue_id: 1 << 31,
                ..good
            },
            "queue id is 2147483648, expected at most 2147483647",
        ),
    ] {
        assert_eq!(message.encoded_len().unwrap_err().to_string(), wanted);
    }
    let most = NewMessage {
        topic: &long_topic[1..],
        body: &long_body[1..],
        properties: &long_properties[1..],
        ..good
    };
    StoredMessage::parse(encode(&most, PLACEMENT)).unwrap();
}

#[test]
fn splits_a_concatenation() {
    let parts = [
        golden::message_v4(),
        golden::message_v6(),
        golden::message_long_topic(),
    ];
    let all = Bytes::from(parts.concat());
    let messages: Vec<_> = split(all.clone()).map(|message| message.unwrap()).collect();
    let bytes: Vec<_> = messages
        .iter()
        .map(|message| message.bytes().clone())
        .collect();
    assert_eq!(bytes, parts);

    let mut cut = split(all.slice(..all.len() - 1));
    assert!(cut.next().unwrap().is_ok());
    assert!(cut.next().unwrap().is_ok());
    assert!(cut.next().unwrap().is_err());
    assert!(cut.next().is_none(), "an error ends the iteration");
    assert!(split(Bytes::new()).next().is_none());
}

#[test]
fn ids_are_apaches() {
    for (host, offset, text) in [
        (
            "192.0.2.1:10911",
            (5 << 48) | 1_234_567,
            "C000020100002A9F000500000012D687",
        ),
        (
            "[2001:db8::1]:65535",
            -1,
            "20010DB80000000000000000000000010000FFFFFFFFFFFFFFFFFFFF",
        ),
    ] {
        let id = MessageId {
            store_host: host.parse().unwrap(),
            physical_offset: offset,
        };
        assert_eq!(id.to_string(), text);
        assert_eq!(text.parse(), Ok(id));
        assert_eq!(text.to_lowercase().parse(), Ok(id));
    }
}

#[test]
fn no_id_is_refused() {
    for text in [
        "",
        "C000020100002A9F000500000012D68",
        "C000020100002A9F000500000012D6877",
        "+000020100002A9F000500000012D687",
        "C0000201000F2A9F000500000012D687",
        "ééééééééééééééééé",
        "éééééééééééééééé",
    ] {
        assert!(text.parse::<MessageId>().is_err(), "{text}");
    }
}

fn hosts() -> impl Strategy<Value = SocketAddr> {
    (any::<std::net::IpAddr>(), any::<u16>()).prop_map(SocketAddr::from)
}

proptest! {
    #[test]
    fn round_trip(
        topic in "[a-z%_-]{1,300}",
        queue_id in 0_u32..=i32::MAX as u32,
        (flag, sys_flag, reconsume_times) in any::<(i32, i32, i32)>(),
        (born_timestamp, prepared_transaction_offset) in any::<(i64, i64)>(),
        (born_host, store_host) in (hosts(), hosts()),
        body in proptest::collection::vec(any::<u8>(), 0..2_000),
        properties in "\\PC{0,200}",
        (queue_offset, physical_offset, store_timestamp) in any::<(i64, i64, i64)>(),
    ) {
        let placement = Placement { queue_offset, physical_offset, store_timestamp };
        let new = NewMessage {
            topic: &topic, queue_id, flag, sys_flag, born_timestamp, born_host, store_host,
            reconsume_times, prepared_transaction_offset, body: &body,
            properties: properties.as_bytes(),
        };
        let stored = StoredMessage::parse(encode(&new, placement)).unwrap();
        let v6 = sys_flag::BORN_HOST_V6 | sys_flag::STORE_HOST_V6;
        prop_assert_eq!(stored.topic(), &topic);
        prop_assert_eq!(stored.queue_id(), queue_id);
        prop_assert_eq!(stored.flag(), flag);
        prop_assert_eq!(stored.sys_flag() & !v6, sys_flag & !v6);
        prop_assert_eq!(stored.reconsume_times(), reconsume_times);
        prop_assert_eq!(stored.born_timestamp(), born_timestamp);
        prop_assert_eq!(stored.prepared_transaction_offset(), prepared_transaction_offset);
        prop_assert_eq!(stored.born_host(), born_host);
        prop_assert_eq!(stored.store_host(), store_host);
        prop_assert_eq!(&stored.body()[..], &body[..]);
        prop_assert_eq!(stored.properties_raw(), &properties);
        prop_assert_eq!(stored.queue_offset(), queue_offset);
        prop_assert_eq!(stored.physical_offset(), physical_offset);
        prop_assert_eq!(stored.store_timestamp(), store_timestamp);
        prop_assert!(stored.verify_body_crc().is_ok());
    }

    #[test]
    fn id_round_trip(store_host in hosts(), physical_offset in any::<i64>()) {
        let id = MessageId { store_host, physical_offset };
        prop_assert_eq!(id.to_string().parse(), Ok(id));
    }
}
