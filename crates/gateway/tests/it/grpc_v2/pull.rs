//! Reading by offset, and messages that are taken back.

use std::time::Duration;

use base::{Clock, TopicName};
use broker::TopicSpec;
use wire::grpc_v2::{self as v2, Code, QueryOffsetPolicy, pull_message_response::Content};

use super::{Sdk, bodies, code, message, receive, resource, system, text};
use crate::support::{Server, Setup, soon};

/// A pull's stream, read to its end.
struct Pulled {
    code: Code,
    text: String,
    messages: Vec<v2::Message>,
    next: Option<i64>,
}

fn queue(topic: &str, id: i32) -> Option<v2::MessageQueue> {
    Some(v2::MessageQueue {
        topic: resource(topic),
        id,
        ..Default::default()
    })
}

fn pull(topic: &str, offset: i64, batch_size: i32) -> v2::PullMessageRequest {
    v2::PullMessageRequest {
        group: resource("billing"),
        message_queue: queue(topic, 0),
        offset,
        batch_size,
        filter_expression: None,
        long_polling_timeout: Some(prost_types::Duration::default()),
    }
}

impl Sdk {
    async fn pull(&mut self, request: v2::PullMessageRequest) -> Pulled {
        let request = self.request(request);
        let pulling = self.client.pull_message(request);
        let mut stream = soon("pull", pulling).await.unwrap().into_inner();
        let mut pulled: Option<Pulled> = None;
        while let Some(answer) = soon("message", stream.message()).await.unwrap() {
            match (answer.content.expect("an answer has content"), &mut pulled) {
                (Content::Status(status), None) => {
                    pulled = Some(Pulled {
                        code: status.code(),
                        text: status.message,
                        messages: Vec::new(),
                        next: None,
                    });
                }
                (Content::Message(message), Some(pulled)) => pulled.messages.push(message),
                (Content::NextOffset(next), Some(pulled)) => pulled.next = Some(next),
                (content, _) => panic!("{content:?} is out of place"),
            }
        }
        pulled.expect("a pull begins with a status")
    }

    async fn update_offset(&mut self, topic: &str, id: i32, offset: i64) -> Option<v2::Status> {
        let request = self.request(v2::UpdateOffsetRequest {
            group: resource("billing"),
            message_queue: queue(topic, id),
            offset,
        });
        let answer = soon("update", self.client.update_offset(request)).await;
        answer.unwrap().into_inner().status
    }

    async fn get_offset(&mut self, topic: &str, id: i32) -> v2::GetOffsetResponse {
        let request = self.request(v2::GetOffsetRequest {
            group: resource("billing"),
            message_queue: queue(topic, id),
        });
        let answer = soon("get", self.client.get_offset(request)).await;
        answer.unwrap().into_inner()
    }

    async fn query_offset(
        &mut self,
        topic: &str,
        policy: QueryOffsetPolicy,
        timestamp: Option<prost_types::Timestamp>,
    ) -> v2::QueryOffsetResponse {
        let request = self.request(v2::QueryOffsetRequest {
            message_queue: queue(topic, 0),
            query_offset_policy: policy.into(),
            timestamp,
        });
        let answer = soon("query", self.client.query_offset(request)).await;
        answer.unwrap().into_inner()
    }
}

/// A server with topic `orders` of one queue, and in it `a`, `b` and, a minute later, `c`.
async fn with_messages() -> (Server, Sdk) {
    let server = Server::start().await;
    let spec = TopicSpec::new(TopicName::new("orders").unwrap(), 1);
    server.instance.create_topic(spec).await.unwrap();
    let mut sdk = Sdk::connect(&server, "c").await;
    for (body, tag) in [("a", "x"), ("b", "y"), ("c", "x")] {
        if body == "c" {
            server.clock.advance(Duration::from_secs(60));
        }
        let mut message = message("orders", body);
        message.system_properties.get_or_insert_default().tag = Some(tag.to_owned());
        let sent = sdk.send(vec![message]).await;
        assert_eq!(code(&sent.status), Code::Ok);
    }
    (server, sdk)
}

#[tokio::test]
async fn a_queue_is_read_from_an_offset() {
    let (_server, mut sdk) = with_messages().await;
    let pulled = sdk.pull(pull("orders", 0, 2)).await;
    assert_eq!((pulled.code, pulled.next), (Code::Ok, Some(2)));
    assert_eq!(bodies(&pulled.messages), ["a", "b"]);
    assert_eq!(system(&pulled.messages[1]).queue_offset, Some(1));
    assert_eq!(pulled.messages[1].topic, resource("orders"));

    let mut filtered = pull("orders", 0, 10);
    filtered.filter_expression = Some(v2::FilterExpression {
        r#type: v2::FilterType::Tag.into(),
        expression: "x".to_owned(),
    });
    let pulled = sdk.pull(filtered.clone()).await;
    assert_eq!(bodies(&pulled.messages), ["a", "c"]);
    assert_eq!(pulled.next, Some(3));

    filtered.offset = 1;
    filtered.filter_expression = Some(v2::FilterExpression {
        r#type: v2::FilterType::Tag.into(),
        expression: "z".to_owned(),
    });
    let pulled = sdk.pull(filtered).await;
    assert_eq!((pulled.code, pulled.next), (Code::MessageNotFound, Some(3)));
    let pulled = sdk.pull(pull("orders", 3, 10)).await;
    assert_eq!((pulled.code, pulled.next), (Code::MessageNotFound, Some(3)));
    let pulled = sdk.pull(pull("orders", 9, 10)).await;
    assert_eq!((pulled.code, pulled.next), (Code::IllegalOffset, Some(3)));
    assert!(
        pulled.text.contains("is 9, expected 0 to 3"),
        "{}",
        pulled.text
    );
}

#[tokio::test]
async fn a_pull_waits_for_a_message() {
    let (server, mut sdk) = with_messages().await;
    let mut waiting = pull("orders", 3, 10);
    waiting.long_polling_timeout = Some(prost_types::Duration {
        seconds: 15,
        nanos: 0,
    });
    let mut other = Sdk::connect(&server, "p").await;
    let (pulled, _) = tokio::join!(sdk.pull(waiting), other.send_one("orders", "d"));
    assert_eq!(bodies(&pulled.messages), ["d"]);
}

#[tokio::test]
async fn pulls_that_make_no_sense_are_refused_by_name() {
    let (_server, mut sdk) = with_messages().await;
    let cases = [
        (pull("orders", -1, 1), Code::IllegalOffset, "is -1"),
        (pull("orders", 0, -1), Code::BadRequest, "batch size is -1"),
        (pull("a b", 0, 1), Code::IllegalTopic, "a b"),
        (
            v2::PullMessageRequest {
                message_queue: queue("orders", 7),
                ..pull("orders", 0, 1)
            },
            Code::BadRequest,
            "queue 7",
        ),
        (
            v2::PullMessageRequest {
                message_queue: queue("orders", -1),
                ..pull("orders", 0, 1)
            },
            Code::BadRequest,
            "queue is -1",
        ),
        (
            v2::PullMessageRequest {
                group: resource("a b"),
                ..pull("orders", 0, 1)
            },
            Code::IllegalConsumerGroup,
            "a b",
        ),
        (
            v2::PullMessageRequest {
                long_polling_timeout: Some(prost_types::Duration {
                    seconds: -1,
                    nanos: 0,
                }),
                ..pull("orders", 0, 1)
            },
            Code::IllegalPollingTime,
            "negative",
        ),
        (
            pull("nowhere", 0, 1),
            Code::TopicNotFound,
            "`nowhere` not found",
        ),
    ];
    for (request, expected, part) in cases {
        let pulled = sdk.pull(request).await;
        assert_eq!(pulled.code, expected, "{}", pulled.text);
        assert!(pulled.text.contains(part), "{}", pulled.text);
        assert!(pulled.messages.is_empty());
    }
}

#[tokio::test]
async fn groups_are_not_created_by_reading_where_that_is_off() {
    let server = Server::with(Setup {
        create_automatically: false,
        ..Setup::default()
    })
    .await;
    let spec = TopicSpec::new(TopicName::new("orders").unwrap(), 1);
    server.instance.create_topic(spec).await.unwrap();
    let mut sdk = Sdk::connect(&server, "c").await;
    let pulled = sdk.pull(pull("orders", 0, 1)).await;
    assert_eq!(pulled.code, Code::ConsumerGroupNotFound);
    assert!(pulled.text.contains("`billing`"), "{}", pulled.text);
    let refused = sdk.update_offset("orders", 0, 0).await;
    assert_eq!(code(&refused), Code::ConsumerGroupNotFound);
    assert!(server.instance.groups().is_empty());
}

#[tokio::test]
async fn offsets_are_kept_and_found() {
    let (server, mut sdk) = with_messages().await;
    let none = sdk.get_offset("orders", 0).await;
    assert_eq!(code(&none.status), Code::OffsetNotFound);
    let words = text(&none.status);
    assert!(
        words.contains("`billing`") && words.contains("`orders`"),
        "{words}"
    );
    assert_eq!(code(&sdk.update_offset("orders", 0, 2).await), Code::Ok);
    assert_eq!(sdk.get_offset("orders", 0).await.offset, 2);
    for wrong in [-1, 4] {
        let refused = sdk.update_offset("orders", 0, wrong).await;
        assert_eq!(code(&refused), Code::IllegalOffset);
        assert!(text(&refused).contains(&format!("is {wrong}")));
    }
    let refused = sdk.update_offset("orders", 1, 0).await;
    assert_eq!(code(&refused), Code::BadRequest);
    assert_eq!(sdk.get_offset("orders", 0).await.offset, 2, "as it was");

    let query = |policy| (policy, None);
    let ago = |seconds: i64| {
        let now = server.clock.now().ms() / 1_000;
        let timestamp = prost_types::Timestamp {
            seconds: now - seconds,
            nanos: 0,
        };
        (QueryOffsetPolicy::Timestamp, Some(timestamp))
    };
    for ((policy, timestamp), expected) in [
        (query(QueryOffsetPolicy::Beginning), 0),
        (query(QueryOffsetPolicy::End), 3),
        (ago(3_600), 0),
        (ago(30), 2),
        (ago(-30), 3),
    ] {
        let answer = sdk.query_offset("orders", policy, timestamp).await;
        assert_eq!(code(&answer.status), Code::Ok);
        assert_eq!(answer.offset, expected, "{policy:?} {timestamp:?}");
    }
    let (policy, none) = query(QueryOffsetPolicy::Timestamp);
    let refused = sdk.query_offset("orders", policy, none).await;
    assert_eq!(code(&refused.status), Code::BadRequest);
}

#[tokio::test]
async fn a_timed_message_is_taken_back() {
    let server = Server::start().await;
    let mut sdk = Sdk::connect(&server, "p").await;
    let mut timed = message("orders", "later");
    let system = timed.system_properties.get_or_insert_default();
    system.message_type = v2::MessageType::Delay.into();
    system.delivery_timestamp = Some(prost_types::Timestamp {
        seconds: server.clock.now().ms() / 1_000 + 60,
        nanos: 0,
    });
    let sent = sdk.send(vec![timed]).await.entries.remove(0);
    let plain = sdk.send_one("orders", "now").await;
    assert_eq!(plain.recall_handle, "", "nothing to take back");
    assert_eq!(plain.transaction_id, "");

    let mut recall = async |topic: &str, handle: &str| {
        let request = sdk.request(v2::RecallMessageRequest {
            topic: resource(topic),
            recall_handle: handle.to_owned(),
        });
        let answer = soon("recall", sdk.client.recall_message(request)).await;
        answer.unwrap().into_inner()
    };
    for wrong in ["", "x", &sent.recall_handle[1..]] {
        let refused = recall("orders", wrong).await;
        assert_eq!(code(&refused.status), Code::BadRequest, "{wrong}");
    }
    let refused = recall("other", &sent.recall_handle).await;
    assert_eq!(code(&refused.status), Code::BadRequest);
    assert!(text(&refused.status).contains("`orders`"));
    let recalled = recall("orders", &sent.recall_handle).await;
    assert_eq!(code(&recalled.status), Code::Ok, "{recalled:?}");
    assert_eq!(recalled.message_id, "id-later");
    let again = recall("orders", &sent.recall_handle).await;
    assert_eq!(code(&again.status), Code::NotFound);

    server.clock.advance(Duration::from_secs(61));
    server.release().await;
    assert_eq!(bodies(&sdk.take("orders", "billing", 10).await), ["now"]);
    let nothing = sdk.receive(receive("orders", "billing", 10)).await;
    assert_eq!(nothing.code, Code::MessageNotFound);
}
