//! The limits of the protocol: each refusal has the protocol's code and names value and limit.

use std::collections::HashMap;

use base::{Clock, limits};
use wire::grpc_v2::{self as v2, Code};

use super::{Sdk, code, handle, message, receive, resource, text};
use crate::support::{Server, soon};

fn with(change: impl FnOnce(&mut v2::SystemProperties)) -> v2::Message {
    let mut message = message("orders", "body");
    change(message.system_properties.get_or_insert_default());
    message
}

fn seconds(seconds: i64) -> Option<prost_types::Duration> {
    Some(prost_types::Duration { seconds, nanos: 0 })
}

#[tokio::test]
async fn a_message_beyond_a_limit_is_refused_with_its_code() {
    let server = Server::start().await;
    let mut sdk = Sdk::connect(&server, "p").await;
    let now = server.clock.now().ms() / 1_000;
    let day = 24 * 60 * 60;
    let body = |length| v2::Message {
        body: vec![b'x'; length].into(),
        ..message("orders", "body")
    };
    let properties = |count: usize, length: usize| v2::Message {
        user_properties: (0..count)
            .map(|index| (format!("{index:03}"), "x".repeat(length)))
            .collect::<HashMap<_, _>>(),
        ..message("orders", "body")
    };
    let cases = [
        (body(0), Code::MessageBodyEmpty, "empty", ""),
        (
            body(limits::MESSAGE_BODY_BYTES_MAX + 1),
            Code::MessageBodyTooLarge,
            "4194305",
            "4194304",
        ),
        (
            properties(129, 1),
            Code::MessagePropertiesTooLarge,
            "129",
            "128",
        ),
        (
            properties(16, 1_022),
            Code::MessagePropertiesTooLarge,
            "16400",
            "16384",
        ),
        (
            with(|s| s.tag = Some(" ".to_owned())),
            Code::IllegalMessageTag,
            " ",
            "",
        ),
        (
            with(|s| s.tag = Some("a|b".to_owned())),
            Code::IllegalMessageTag,
            "a|b",
            "|",
        ),
        (
            with(|s| s.tag = Some("a\nb".to_owned())),
            Code::IllegalMessageTag,
            "a\\nb",
            "",
        ),
        (
            with(|s| s.keys = vec!["k".to_owned(), "\u{7f}".to_owned()]),
            Code::IllegalMessageKey,
            "u{7f}",
            "",
        ),
        (
            with(|s| s.message_id = String::new()),
            Code::IllegalMessageId,
            "empty",
            "",
        ),
        (
            with(|s| s.message_group = Some("g".repeat(64))),
            Code::IllegalMessageGroup,
            "64",
            "63",
        ),
        (
            with(|s| s.message_group = Some("a\tb".to_owned())),
            Code::IllegalMessageGroup,
            "a\\tb",
            "",
        ),
        (
            with(|s| {
                s.delivery_timestamp = Some(prost_types::Timestamp {
                    seconds: now + 41 * day,
                    nanos: 0,
                });
            }),
            Code::IllegalDeliveryTime,
            "3456000000",
            "",
        ),
        (
            with(|s| {
                s.delivery_timestamp = Some(prost_types::Timestamp {
                    seconds: i64::MAX,
                    nanos: 0,
                });
            }),
            Code::IllegalDeliveryTime,
            "range",
            "",
        ),
    ];
    for (message, expected, value, limit) in cases {
        let refused = sdk.send(vec![message]).await;
        let text = text(&refused.status);
        assert_eq!(code(&refused.status), expected, "{text}");
        assert!(text.contains(value) && text.contains(limit), "{text}");
        assert!(refused.entries.is_empty(), "nothing was stored");
    }
    let mut named = message("orders", "body");
    named.user_properties = HashMap::from([("KEYS".to_owned(), "x".to_owned())]);
    let refused = sdk.send(vec![named]).await;
    assert_eq!(code(&refused.status), Code::IllegalMessagePropertyKey);
    assert!(text(&refused.status).contains("`KEYS`"));

    let max = limits::SEND_BATCH_MESSAGES_MAX;
    let refused = sdk.send(vec![message("orders", "b"); max + 1]).await;
    assert_eq!(code(&refused.status), Code::MessageCorrupted);
    let words = text(&refused.status);
    assert!(words.contains("4097") && words.contains("4096"), "{words}");

    // At the limit all is well.
    let sent = sdk.send(vec![body(limits::MESSAGE_BODY_BYTES_MAX)]).await;
    assert_eq!(code(&sent.status), Code::Ok, "{:?}", sent.status);
    let sent = sdk.send(vec![properties(128, 100)]).await;
    assert_eq!(code(&sent.status), Code::Ok, "{:?}", sent.status);
    let sent = sdk
        .send(vec![with(|s| s.message_group = Some("g".repeat(63)))])
        .await;
    assert_eq!(code(&sent.status), Code::Ok, "{:?}", sent.status);
}

#[tokio::test]
async fn a_receive_beyond_a_limit_is_refused_with_its_code() {
    let server = Server::start().await;
    let mut sdk = Sdk::connect(&server, "c").await;
    sdk.send_one("orders", "body").await;
    let plain = || receive("orders", "billing", 1);
    let cases = [
        (
            v2::ReceiveMessageRequest {
                invisible_duration: seconds(9),
                ..plain()
            },
            Code::IllegalInvisibleTime,
            "9 s",
            "10 s",
        ),
        (
            v2::ReceiveMessageRequest {
                invisible_duration: None,
                ..plain()
            },
            Code::IllegalInvisibleTime,
            "0 s",
            "10 s",
        ),
        (
            v2::ReceiveMessageRequest {
                invisible_duration: seconds(12 * 60 * 60 + 1),
                ..plain()
            },
            Code::IllegalInvisibleTime,
            "43201",
            "43200",
        ),
        (
            v2::ReceiveMessageRequest {
                long_polling_timeout: seconds(-1),
                ..plain()
            },
            Code::IllegalPollingTime,
            "negative",
            "",
        ),
        (
            receive("orders", "billing", -5),
            Code::BadRequest,
            "-5",
            "1024",
        ),
        (
            v2::ReceiveMessageRequest {
                filter_expression: Some(v2::FilterExpression {
                    r#type: v2::FilterType::Sql.into(),
                    expression: "a >".to_owned(),
                }),
                ..plain()
            },
            Code::IllegalFilterExpression,
            "SQL",
            "",
        ),
        (
            receive("orders", "CID_RMQ_SYS_x", 1),
            Code::IllegalConsumerGroup,
            "CID_RMQ_SYS_x",
            "",
        ),
        (
            receive("orders", &"g".repeat(121), 1),
            Code::IllegalConsumerGroup,
            "121",
            "120",
        ),
        (
            receive(&"t".repeat(128), "billing", 1),
            Code::IllegalTopic,
            "128",
            "127",
        ),
    ];
    for (request, expected, value, limit) in cases {
        let refused = sdk.receive(request).await;
        let text = &refused.text;
        assert_eq!(refused.code, expected, "{text}");
        assert!(text.contains(value) && text.contains(limit), "{text}");
    }
}

#[tokio::test]
async fn a_receipt_beyond_a_limit_is_refused_with_its_code() {
    let server = Server::start().await;
    let mut sdk = Sdk::connect(&server, "c").await;
    sdk.send_one("orders", "body").await;
    let taken = sdk.take("orders", "billing", 1).await;
    let receipt = handle(&taken[0]);
    for (wanted, value, limit) in [(-1, "negative", ""), (43_201, "43201", "43200")] {
        let answer = sdk
            .change_invisible_duration("orders", "billing", receipt, wanted)
            .await;
        let text = text(&answer.status);
        assert_eq!(code(&answer.status), Code::IllegalInvisibleTime, "{text}");
        assert!(text.contains(value) && text.contains(limit), "{text}");
        assert_eq!(answer.receipt_handle, receipt, "still the one that counts");
    }
    for wrong in ["", "x", &receipt[1..]] {
        let answer = sdk
            .change_invisible_duration("orders", "billing", wrong, 30)
            .await;
        assert_eq!(code(&answer.status), Code::InvalidReceiptHandle, "{wrong}");
        let request = sdk.request(v2::ForwardMessageToDeadLetterQueueRequest {
            group: resource("billing"),
            topic: resource("orders"),
            receipt_handle: wrong.to_owned(),
            ..Default::default()
        });
        let forwarding = sdk.client.forward_message_to_dead_letter_queue(request);
        let answer = soon("forward", forwarding).await.unwrap().into_inner();
        assert_eq!(code(&answer.status), Code::InvalidReceiptHandle, "{wrong}");
    }
    let handles = vec![receipt; limits::ACK_ENTRIES_MAX + 1];
    let answer = sdk.ack("orders", "billing", &handles).await;
    assert_eq!(code(&answer.status), Code::BadRequest);
    let words = text(&answer.status);
    assert!(words.contains("1025") && words.contains("1024"), "{words}");
    let answer = sdk.ack("orders", "billing", &[]).await;
    assert_eq!(code(&answer.status), Code::BadRequest);
    let answer = sdk.ack("orders", "billing", &[receipt]).await;
    assert_eq!(code(&answer.status), Code::Ok);
}

#[tokio::test]
async fn lite_topics_of_a_topic_that_is_not_there_are_not_found() {
    let server = Server::start().await;
    let mut sdk = Sdk::connect(&server, "c").await;
    let request = sdk.request(v2::SyncLiteSubscriptionRequest {
        group: resource("billing"),
        topic: resource("orders"),
        ..Default::default()
    });
    let answer = soon("sync", sdk.client.sync_lite_subscription(request)).await;
    let status = answer.unwrap().into_inner().status;
    assert_eq!(code(&status), Code::TopicNotFound);
    assert!(text(&status).contains("`orders`"), "{}", text(&status));
}
