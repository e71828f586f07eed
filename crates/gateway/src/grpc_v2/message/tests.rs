use std::{collections::HashMap, sync::Arc};

use base::{Clock, GroupId, QueueId, QueueOffset, ShardId, Sleep, TopicId, limits};
use broker::{ReceiptHandle, Router};
use bytes::Bytes;
use tonic::metadata::MetadataMap;
use wire::{
    grpc_v2::Code,
    message::{NewMessage, Placement, sys_flag},
};

use super::*;
use crate::{ConnectionInfo, Front, FrontSettings, grpc::compression};

struct NoClock;

impl Clock for NoClock {
    fn now(&self) -> Timestamp {
        Timestamp::from_ms(0)
    }

    fn elapsed(&self) -> std::time::Duration {
        std::time::Duration::ZERO
    }

    fn sleep(&self, _: std::time::Duration) -> Sleep {
        Box::pin(std::future::pending())
    }
}

fn call() -> Call {
    let settings = FrontSettings {
        advertise: None,
        default_instance: base::InstanceId::default_instance(),
        ..FrontSettings::default()
    };
    let connection = ConnectionInfo {
        id: 1,
        peer: "10.0.0.9:5000".parse().unwrap(),
        local: "127.0.0.1:8081".parse().unwrap(),
        tls: false,
        admin: false,
        trusted: false,
    };
    let front = Front::new(Arc::new(Router::default()), Arc::new(NoClock), settings);
    Call::new(Arc::new(front), connection, MetadataMap::new())
}

fn topic() -> TopicName {
    TopicName::new("orders").unwrap()
}

/// A message as an SDK sends it.
fn sent() -> v2::Message {
    v2::Message {
        topic: Some(resource()),
        user_properties: HashMap::from([("color".to_owned(), "deep blue".to_owned())]),
        system_properties: Some(v2::SystemProperties {
            tag: Some("TagA".to_owned()),
            keys: vec!["key-1".to_owned(), "key-2".to_owned()],
            message_id: "0156F7E71C361B21BC024CCDBE00000000".to_owned(),
            body_encoding: Encoding::Identity.into(),
            message_type: v2::MessageType::Fifo.into(),
            born_timestamp: Some(from_timestamp(Timestamp::from_ms(1_700_000_000_123))),
            born_host: "client.example".to_owned(),
            message_group: Some("group-1".to_owned()),
            trace_context: Some("00-1-2-01".to_owned()),
            ..Default::default()
        }),
        body: Bytes::from_static(b"hello"),
    }
}

fn resource() -> v2::Resource {
    v2::Resource {
        resource_namespace: String::new(),
        name: "orders".to_owned(),
    }
}

/// What the core hands out after it stored `message`.
fn stored(message: &Message) -> Received {
    let mut bytes = Vec::new();
    NewMessage {
        topic: "orders",
        queue_id: 3,
        flag: message.flag,
        sys_flag: message.sys_flag,
        born_timestamp: message.born_timestamp.ms(),
        born_host: message.born_host,
        store_host: "127.0.0.1:8081".parse().unwrap(),
        reconsume_times: 0,
        prepared_transaction_offset: 0,
        body: &message.body,
        properties: &message.properties,
    }
    .encode(
        Placement {
            queue_offset: 7,
            physical_offset: 4_711,
            store_timestamp: 1_700_000_000_999,
        },
        &mut bytes,
    );
    Received {
        message: StoredMessage::parse(bytes.into()).unwrap(),
        handle: ReceiptHandle {
            shard: ShardId::new(0),
            topic: TopicId::new(1),
            group: GroupId::new(2),
            queue: QueueId::new(3),
            offset: QueueOffset::new(7),
            attempt: 2,
            nonce: 9,
        },
        attempt: 2,
        invisible_until: Timestamp::from_ms(30_000),
    }
}

fn through(message: v2::Message) -> v2::Message {
    let message = incoming(&call(), &topic(), message, Timestamp::from_ms(0)).unwrap();
    outgoing(
        &stored(&message),
        &resource(),
        DigestForm::Md5,
        Timestamp::from_ms(0),
    )
}

fn refusal_of(change: impl FnOnce(&mut v2::Message, &mut v2::SystemProperties)) -> Code {
    let mut message = sent();
    let mut system = message.system_properties.take().unwrap();
    change(&mut message, &mut system);
    message.system_properties = Some(system);
    incoming(&call(), &topic(), message, Timestamp::from_ms(0))
        .unwrap_err()
        .code()
}

#[test]
fn a_message_comes_out_as_it_went_in() {
    let sent = sent();
    let mut out = through(sent.clone());
    let mut system = out.system_properties.take().unwrap();

    assert_eq!(
        system.body_digest.take(),
        Some(v2::Digest {
            r#type: DigestType::Md5.into(),
            checksum: DigestForm::Md5.checksum(b"hello"),
        })
    );
    assert_eq!(
        system.receipt_handle.take().as_deref(),
        Some("1.0.1.2.3.7.2.9")
    );
    assert_eq!(system.delivery_attempt.take(), Some(2));
    assert_eq!(
        system.invisible_duration.take(),
        Some(from_duration(std::time::Duration::from_secs(30)))
    );
    assert_eq!(system.queue_offset.take(), Some(7));
    assert_eq!(std::mem::take(&mut system.queue_id), 3);
    assert_eq!(std::mem::take(&mut system.store_host), "127.0.0.1:8081");
    assert_eq!(
        system.store_timestamp.take(),
        Some(from_timestamp(Timestamp::from_ms(1_700_000_000_999)))
    );
    // All that is left is what the client said.
    assert_eq!(Some(system), sent.system_properties);
    assert_eq!(out.user_properties, sent.user_properties);
    assert_eq!((out.topic, out.body), (sent.topic, sent.body));
}

#[test]
fn a_remoting_client_finds_its_own_names() {
    let message = incoming(&call(), &topic(), sent(), Timestamp::from_ms(0)).unwrap();
    let received = stored(&message);
    let property = |name| received.message.property(name);
    assert_eq!(
        property("UNIQ_KEY"),
        Some("0156F7E71C361B21BC024CCDBE00000000")
    );
    assert_eq!(property("TAGS"), Some("TagA"));
    assert_eq!(property("KEYS"), Some("key-1 key-2"));
    assert_eq!(property("__SHARDINGKEY"), Some("group-1"));
    assert_eq!(property("color"), Some("deep blue"));
    assert_eq!(received.message.born_timestamp(), 1_700_000_000_123);
    assert_eq!(
        received.message.born_host(),
        "10.0.0.9:5000".parse().unwrap()
    );
}

#[test]
fn a_message_of_a_remoting_client_reads_as_one_of_an_sdk() {
    let message = Message {
        flag: 0,
        sys_flag: 0,
        born_timestamp: Timestamp::from_ms(5),
        born_host: "10.0.0.7:999".parse().unwrap(),
        reconsume_times: 0,
        body: Bytes::from_static(b"x"),
        properties: Bytes::from_static(
            b"KEYS\x01a  b\x02WAIT\x01true\x02TAGS\x01T\x02color\x01red",
        ),
    };
    let out = outgoing(
        &stored(&message),
        &resource(),
        DigestForm::Md5,
        Timestamp::from_ms(0),
    );
    let system = out.system_properties.unwrap();
    assert_eq!(system.keys, ["a", "b"]);
    assert_eq!(system.tag.as_deref(), Some("T"));
    assert_eq!(system.born_host, "10.0.0.7");
    assert_eq!(system.message_type(), v2::MessageType::Normal);
    assert_eq!(
        out.user_properties,
        HashMap::from([("color".to_owned(), "red".to_owned())])
    );
    // No client id: the offset message id of 127.0.0.1:8081 and 4711.
    assert_eq!(system.message_id, "7F00000100001F910000000000001267");
}

#[test]
fn what_a_message_asks_for_is_told_again() {
    let mut timed = sent();
    let system = timed.system_properties.as_mut().unwrap();
    system.message_group = None;
    system.message_type = v2::MessageType::Delay.into();
    system.delivery_timestamp = Some(from_timestamp(Timestamp::from_ms(1_800_000_000_000)));
    let out = through(timed).system_properties.unwrap();
    assert_eq!(out.message_type(), v2::MessageType::Delay);
    assert_eq!(
        out.delivery_timestamp,
        Some(from_timestamp(Timestamp::from_ms(1_800_000_000_000)))
    );

    let mut half = sent();
    let system = half.system_properties.as_mut().unwrap();
    system.message_type = v2::MessageType::Transaction.into();
    let message = incoming(&call(), &topic(), half, Timestamp::from_ms(0)).unwrap();
    assert_eq!(MessageType::of(&message), MessageType::Transaction);
    assert_eq!(stored(&message).message.property("PGROUP"), Some("orders"));
}

#[test]
fn a_gzipped_body_is_stored_as_remoting_clients_read_it() {
    use std::io::Write;
    let mut encoder = flate2::write::GzEncoder::new(Vec::new(), flate2::Compression::default());
    encoder.write_all(b"hello hello hello").unwrap();
    let mut zipped = sent();
    zipped.body = encoder.finish().unwrap().into();
    zipped.system_properties.as_mut().unwrap().body_encoding = Encoding::Gzip.into();

    let message = incoming(&call(), &topic(), zipped.clone(), Timestamp::from_ms(0)).unwrap();
    assert_eq!(
        message.sys_flag & sys_flag::COMPRESSED,
        sys_flag::COMPRESSED
    );
    assert_eq!(message.body[0], 0x78, "zlib");
    let out = through(zipped);
    assert!(compression::is_gzip(&out.body));
    assert_eq!(
        out.system_properties.unwrap().body_encoding(),
        Encoding::Gzip
    );

    assert_eq!(
        refusal_of(|_, system| system.body_encoding = Encoding::Gzip.into()),
        Code::MessageCorrupted
    );
}

#[test]
fn a_property_without_a_value_is_left_out() {
    let mut message = sent();
    message
        .user_properties
        .insert("nothing".to_owned(), String::new());
    assert!(!through(message).user_properties.contains_key("nothing"));
}

#[test]
fn every_limit_has_its_code() {
    let text = |length| "x".repeat(length);
    assert_eq!(
        refusal_of(|m, _| m.body = Bytes::new()),
        Code::MessageBodyEmpty
    );
    assert_eq!(
        refusal_of(|m, _| m.body = vec![0; limits::MESSAGE_BODY_BYTES_MAX + 1].into()),
        Code::MessageBodyTooLarge
    );
    assert_eq!(
        refusal_of(|_, s| s.message_id = " ".to_owned()),
        Code::IllegalMessageId
    );
    assert_eq!(
        refusal_of(|_, s| s.message_id = "a\u{2}b".to_owned()),
        Code::IllegalMessageId
    );
    for tag in [" ", "a|b", "a\nb"] {
        assert_eq!(
            refusal_of(|_, s| s.tag = Some(tag.to_owned())),
            Code::IllegalMessageTag
        );
    }
    for key in [" ", "a\u{1}b"] {
        assert_eq!(
            refusal_of(|_, s| s.keys = vec![key.to_owned()]),
            Code::IllegalMessageKey
        );
    }
    for group in [" ".to_owned(), text(64), "a\tb".to_owned()] {
        assert_eq!(
            refusal_of(|_, s| s.message_group = Some(group)),
            Code::IllegalMessageGroup
        );
    }
    for name in ["KEYS", "UNIQ_KEY", "__RMQ.TRANSIENT.x", "a\u{2}b", ""] {
        let code = refusal_of(|m, _| {
            m.user_properties.insert(name.to_owned(), "v".to_owned());
        });
        assert_eq!(code, Code::IllegalMessagePropertyKey, "{name:?}");
    }
    let value = refusal_of(|m, _| {
        m.user_properties
            .insert("a".to_owned(), "b\u{1}c".to_owned());
    });
    assert_eq!(value, Code::IllegalMessagePropertyKey);
    let many = refusal_of(|m, _| {
        m.user_properties = (0..129)
            .map(|n| (format!("p{n}"), "v".to_owned()))
            .collect();
    });
    assert_eq!(many, Code::MessagePropertiesTooLarge);
    let large = refusal_of(|m, _| {
        m.user_properties
            .insert("p".to_owned(), text(limits::USER_PROPERTIES_BYTES_MAX));
    });
    assert_eq!(large, Code::MessagePropertiesTooLarge);
    // Within the limit of user properties, beyond that of the stored form.
    let trace = refusal_of(|_, s| s.trace_context = Some(text(40_000)));
    assert_eq!(trace, Code::MessagePropertiesTooLarge);
    let far = prost_types::Timestamp {
        seconds: i64::MAX,
        nanos: 0,
    };
    assert_eq!(
        refusal_of(|_, s| s.delivery_timestamp = Some(far)),
        Code::IllegalDeliveryTime
    );
}
