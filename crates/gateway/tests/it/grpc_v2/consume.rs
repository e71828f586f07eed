//! Receives, and what becomes of what was received.

use std::time::Duration;

use base::GroupName;
use broker::GroupSpec;
use bytes::Bytes;
use wire::grpc_v2::{self as v2, Code, DigestType, Encoding, receive_message_response::Content};

use super::{Sdk, bodies, code, handle, message, receive, resource, system};
use crate::support::{Server, soon};

fn seconds(seconds: i64) -> Option<prost_types::Duration> {
    Some(prost_types::Duration { seconds, nanos: 0 })
}

#[tokio::test]
async fn a_message_is_delivered_once_and_gone_after_its_ack() {
    let server = Server::start().await;
    let mut sdk = Sdk::connect(&server, "c").await;
    let sent = sdk.send_one("orders", "hello").await;
    assert_eq!(sent.message_id, "id-hello");

    let taken = sdk.take("orders", "billing", 16).await;
    assert_eq!(bodies(&taken), ["hello"]);
    let system = system(&taken[0]);
    assert_eq!(system.message_id, "id-hello");
    assert_eq!(system.delivery_attempt, Some(1));
    assert_eq!(system.body_encoding(), Encoding::Identity);
    let digest = system.body_digest.as_ref().unwrap();
    assert_eq!(
        (digest.r#type(), digest.checksum.as_str()),
        (DigestType::Crc32, "3610A686")
    );
    assert_eq!(taken[0].topic, resource("orders"));

    let acked = sdk.ack("orders", "billing", &[handle(&taken[0])]).await;
    assert_eq!(code(&acked.status), Code::Ok);
    server.clock.advance(Duration::from_secs(3_600));
    let receipt = sdk.receive(receive("orders", "billing", 16)).await;
    assert_eq!(receipt.code, Code::MessageNotFound);
    assert!(receipt.messages.is_empty());

    assert_eq!(bodies(&sdk.take("orders", "another", 16).await), ["hello"]);
}

#[tokio::test]
async fn a_message_comes_again_when_its_invisible_time_ends() {
    let server = Server::start().await;
    let mut sdk = Sdk::connect(&server, "c").await;
    sdk.send_one("orders", "hello").await;
    let first = sdk.take("orders", "billing", 1).await;
    server.clock.advance(Duration::from_secs(29));
    let receipt = sdk.receive(receive("orders", "billing", 1)).await;
    assert_eq!(
        receipt.code,
        Code::MessageNotFound,
        "it is somebody's alone"
    );
    server.clock.advance(Duration::from_secs(2));
    let second = sdk.take("orders", "billing", 1).await;
    assert_eq!(system(&second[0]).delivery_attempt, Some(2));

    let late = sdk.ack("orders", "billing", &[handle(&first[0])]).await;
    assert_eq!(code(&late.status), Code::InvalidReceiptHandle);
    let acked = sdk.ack("orders", "billing", &[handle(&second[0])]).await;
    assert_eq!(code(&acked.status), Code::Ok);
}

#[tokio::test]
async fn a_long_poll_is_woken_by_the_send_it_waits_for() {
    let server = Server::start().await;
    let mut consumer = Sdk::connect(&server, "c").await;
    let mut producer = Sdk::connect(&server, "p").await;
    producer.route("orders").await;
    let mut poll = receive("orders", "billing", 1);
    poll.long_polling_timeout = seconds(30);
    let (receipt, ()) = tokio::join!(consumer.receive(poll), async {
        producer.send_one("orders", "hello").await;
    });
    assert_eq!(bodies(&receipt.messages), ["hello"]);
}

#[tokio::test]
async fn a_long_poll_ends_empty_in_time_for_its_deadline() {
    let server = Server::start().await;
    let mut sdk = Sdk::connect(&server, "c").await;
    sdk.route("orders").await;
    let mut poll = receive("orders", "billing", 1);
    poll.long_polling_timeout = seconds(3_600);
    let mut request = sdk.request(poll);
    // 60 s is the most that the core waits, the client gives up after 600 ms.
    request.set_timeout(Duration::from_millis(600));
    let mut stream = soon("receive", sdk.client.receive_message(request))
        .await
        .unwrap()
        .into_inner();
    let first = soon("status", stream.message()).await.unwrap().unwrap();
    let Some(Content::Status(status)) = first.content else {
        panic!("expected a status, got {first:?}");
    };
    assert_eq!(status.code(), Code::MessageNotFound);
}

#[tokio::test]
async fn a_client_that_goes_while_it_waits_takes_nothing_along() {
    let server = Server::start().await;
    let mut sdk = Sdk::connect(&server, "c").await;
    sdk.route("orders").await;
    let mut poll = receive("orders", "billing", 1);
    poll.long_polling_timeout = seconds(30);
    let request = sdk.request(poll);
    let mut client = sdk.client.clone();
    let waiting = tokio::spawn(async move { client.receive_message(request).await.is_ok() });
    // The group is created by the receive: then it waits.
    let group = GroupName::new("billing").unwrap();
    soon("the receive to begin", async {
        while server.instance.group(&group).is_none() {
            tokio::task::yield_now().await;
        }
    })
    .await;
    waiting.abort();
    assert!(waiting.await.unwrap_err().is_cancelled());
    // The reset travels ahead of this call on the same connection.
    sdk.route("orders").await;
    sdk.send_one("orders", "hello").await;
    let taken = sdk.take("orders", "billing", 1).await;
    assert_eq!(system(&taken[0]).delivery_attempt, Some(1));
}

#[tokio::test]
async fn what_a_client_does_not_stay_to_hear_of_is_given_back() {
    let server = Server::start().await;
    let mut sdk = Sdk::connect(&server, "c").await;
    // Each is more than the window of a client that does not read lets through, so that the second
    // is not begun.
    for id in ["a", "b", "c"] {
        let mut large = message("orders", id);
        large.body = Bytes::from(vec![b'x'; 1024 * 1024]);
        let answer = sdk.send(vec![large]).await;
        assert_eq!(code(&answer.status), Code::Ok);
    }
    let request = sdk.request(receive("orders", "billing", 3));
    let stream = soon("receive", sdk.client.receive_message(request))
        .await
        .unwrap();
    drop(stream);

    let mut again = receive("orders", "billing", 3);
    again.long_polling_timeout = seconds(15);
    let receipt = sdk.receive(again).await;
    assert_eq!(receipt.code, Code::Ok);
    assert!(
        receipt
            .messages
            .iter()
            .all(|again| system(again).delivery_attempt == Some(2))
    );
}

#[tokio::test]
async fn each_entry_of_an_ack_has_its_own_result() {
    let server = Server::start().await;
    let mut sdk = Sdk::connect(&server, "c").await;
    sdk.send_one("orders", "a").await;
    sdk.send_one("refunds", "b").await;
    let order = sdk.take("orders", "billing", 1).await;
    let refund = sdk.take("refunds", "billing", 1).await;

    let handles = [handle(&order[0]), "nonsense", handle(&refund[0])];
    let answer = sdk.ack("orders", "billing", &handles).await;
    assert_eq!(code(&answer.status), Code::MultipleResults);
    let codes: Vec<Code> = answer
        .entries
        .iter()
        .map(|entry| code(&entry.status))
        .collect();
    assert_eq!(
        codes,
        [
            Code::Ok,
            Code::InvalidReceiptHandle,
            Code::InvalidReceiptHandle
        ]
    );
    assert_eq!(answer.entries[1].receipt_handle, "nonsense");
    assert_eq!(answer.entries[1].message_id, "id of nonsense");

    let twice = sdk.ack("orders", "billing", &[handle(&order[0])]).await;
    assert_eq!(code(&twice.status), Code::InvalidReceiptHandle);
    let none = sdk.ack("orders", "billing", &[]).await;
    assert_eq!(code(&none.status), Code::BadRequest);
}

#[tokio::test]
async fn a_changed_duration_gives_a_new_handle_and_an_earlier_delivery() {
    let server = Server::start().await;
    let mut sdk = Sdk::connect(&server, "c").await;
    sdk.send_one("orders", "a").await;
    let taken = sdk.take("orders", "billing", 1).await;
    let old = handle(&taken[0]).to_owned();
    let longer = sdk
        .change_invisible_duration("orders", "billing", &old, 100)
        .await;
    assert_eq!(code(&longer.status), Code::Ok);
    assert_ne!(longer.receipt_handle, old);
    let refused = sdk
        .change_invisible_duration("orders", "billing", &old, 100)
        .await;
    assert_eq!(code(&refused.status), Code::InvalidReceiptHandle);
    assert_eq!(refused.receipt_handle, old, "a refusal changes no handle");

    server.clock.advance(Duration::from_secs(99));
    let receipt = sdk.receive(receive("orders", "billing", 1)).await;
    assert_eq!(receipt.code, Code::MessageNotFound);
    let at_once = sdk
        .change_invisible_duration("orders", "billing", &longer.receipt_handle, 0)
        .await;
    assert_eq!(code(&at_once.status), Code::Ok);
    server.clock.advance(Duration::from_millis(2));
    let again = sdk.take("orders", "billing", 1).await;
    assert_eq!(system(&again[0]).delivery_attempt, Some(2));

    let handle = handle(&again[0]).to_owned();
    for out_of_bounds in [-1, 13 * 60 * 60] {
        let refused = sdk
            .change_invisible_duration("orders", "billing", &handle, out_of_bounds)
            .await;
        assert_eq!(
            code(&refused.status),
            Code::IllegalInvisibleTime,
            "{out_of_bounds}"
        );
    }
}

#[tokio::test]
async fn a_message_given_up_is_found_in_the_dead_letter_topic() {
    let server = Server::start().await;
    let mut sdk = Sdk::connect(&server, "c").await;
    sdk.send_one("orders", "bad").await;
    let taken = sdk.take("orders", "billing", 1).await;
    let request = sdk.request(v2::ForwardMessageToDeadLetterQueueRequest {
        group: resource("billing"),
        topic: resource("orders"),
        receipt_handle: handle(&taken[0]).to_owned(),
        message_id: "id-bad".to_owned(),
        delivery_attempt: 1,
        max_delivery_attempts: 1,
        lite_topic: None,
    });
    let answer = soon(
        "forward",
        sdk.client.forward_message_to_dead_letter_queue(request),
    )
    .await;
    assert_eq!(code(&answer.unwrap().into_inner().status), Code::Ok);

    assert_eq!(code(&sdk.route("%DLQ%billing").await.status), Code::Ok);
    let letters = sdk.take("%DLQ%billing", "clerk", 1).await;
    assert_eq!(bodies(&letters), ["bad"]);
    let origin = system(&letters[0])
        .dead_letter_queue
        .as_ref()
        .expect("where it comes from");
    assert_eq!(
        (origin.topic.as_str(), origin.message_id.as_str()),
        ("orders", "id-bad")
    );
    assert_eq!(system(&letters[0]).message_id, "id-bad");

    server.clock.advance(Duration::from_secs(3_600));
    let receipt = sdk.receive(receive("orders", "billing", 1)).await;
    assert_eq!(receipt.code, Code::MessageNotFound);
}

#[tokio::test]
async fn a_filter_hands_out_its_tags_alone() {
    let server = Server::start().await;
    let mut sdk = Sdk::connect(&server, "c").await;
    for tag in ["A", "B", "C", "D"] {
        let mut tagged = message("orders", tag);
        tagged.system_properties.as_mut().unwrap().tag = Some(tag.to_owned());
        sdk.send(vec![tagged]).await;
    }
    let mut filtered = receive("orders", "billing", 10);
    filtered.filter_expression = Some(v2::FilterExpression {
        r#type: v2::FilterType::Tag.into(),
        expression: "A || C".to_owned(),
    });
    let receipt = sdk.receive(filtered.clone()).await;
    assert_eq!(bodies(&receipt.messages), ["A", "C"]);
    // What did not match is done for the group, and for no other.
    let mut by_property = receive("orders", "auditing", 10);
    by_property.filter_expression = Some(v2::FilterExpression {
        r#type: v2::FilterType::Sql.into(),
        expression: "TAGS IS NOT NULL AND NOT (TAGS IN ('A', 'C'))".to_owned(),
    });
    let receipt = sdk.receive(by_property).await;
    assert_eq!(bodies(&receipt.messages), ["B", "D"]);

    for (kind, expression) in [(v2::FilterType::Sql, "a >"), (v2::FilterType::Tag, "A||")] {
        filtered.filter_expression = Some(v2::FilterExpression {
            r#type: kind.into(),
            expression: expression.to_owned(),
        });
        let receipt = sdk.receive(filtered.clone()).await;
        assert_eq!(receipt.code, Code::IllegalFilterExpression);
        assert!(!receipt.text.is_empty());
    }
}

#[tokio::test]
async fn a_simple_consumer_must_say_for_how_long() {
    let server = Server::start().await;
    let mut sdk = Sdk::connect(&server, "c").await;
    sdk.send_one("orders", "a").await;
    for asked in [None, seconds(-1), seconds(1), seconds(13 * 60 * 60)] {
        let mut request = receive("orders", "billing", 1);
        request.invisible_duration = asked;
        let receipt = sdk.receive(request).await;
        assert_eq!(receipt.code, Code::IllegalInvisibleTime, "{asked:?}");
    }
}

#[tokio::test]
async fn the_server_renews_what_a_living_push_consumer_holds() {
    let server = Server::start().await;
    let mut sdk = Sdk::connect(&server, "pusher").await;
    sdk.send_one("orders", "a").await;
    sdk.heartbeat(v2::ClientType::PushConsumer, Some("billing"))
        .await;
    let mut request = receive("orders", "billing", 1);
    request.auto_renew = true;
    request.invisible_duration = None;
    assert_eq!(sdk.receive(request).await.code, Code::Ok);
    for _ in 0..3 {
        server.clock.advance(Duration::from_secs(61));
        sdk.heartbeat(v2::ClientType::PushConsumer, Some("billing"))
            .await;
        let receipt = sdk.receive(receive("orders", "billing", 1)).await;
        assert_eq!(receipt.code, Code::MessageNotFound);
    }
    sdk.terminate(Some("billing")).await;
    server.clock.advance(Duration::from_secs(61));
    let again = sdk.take("orders", "billing", 1).await;
    assert_eq!(system(&again[0]).delivery_attempt, Some(2));
}

#[tokio::test]
async fn a_fifo_group_is_assigned_every_queue_and_others_one_entry() {
    let server = Server::start().await;
    let fifo = GroupSpec {
        fifo: true,
        ..GroupSpec::new(GroupName::new("ordered").unwrap())
    };
    server.instance.create_group(fifo).await.unwrap();
    let mut sdk = Sdk::connect(&server, "c").await;
    for (group, expected) in [("ordered", (0..8).collect()), ("billing", vec![-1])] {
        let request = sdk.request(v2::QueryAssignmentRequest {
            topic: resource("orders"),
            group: resource(group),
            endpoints: None,
        });
        let answer = soon("assignment", sdk.client.query_assignment(request)).await;
        let answer = answer.unwrap().into_inner();
        assert_eq!(code(&answer.status), Code::Ok);
        let ids: Vec<i32> = answer
            .assignments
            .iter()
            .map(|assignment| assignment.message_queue.as_ref().unwrap().id)
            .collect();
        assert_eq!(ids, expected, "{group}");
    }
}
