//! Receives, and what becomes of what was received.

use std::{io::Write, time::Duration};

use flate2::{Compression, write::ZlibEncoder};
use tonic::Code;
use wire::grpc_v1::{self as v1, DigestType, Encoding};

use super::{
    ATTEMPTS, Sdk, bodies, code, consumer, handle, message, receive, resource, seconds, system,
    text,
};
use crate::{
    grpc_v2::{self, Sdk as SdkV2},
    support::{Server, soon},
};

#[tokio::test]
async fn a_message_is_delivered_once_and_gone_after_its_ack() {
    let server = Server::start().await;
    let mut sdk = Sdk::connect(&server, "c").await;
    sdk.send_one(message("orders", "hello")).await;
    let taken = sdk.take("orders", "billing").await;
    assert_eq!(bodies(&taken), ["hello"]);
    let attributes = system(&taken[0]);
    assert_eq!(attributes.message_id, "id-hello");
    assert_eq!(attributes.delivery_attempt, 1);
    assert!(attributes.store_timestamp.is_some());
    let digest = attributes.body_digest.as_ref().unwrap();
    // Without it the SDK takes the message for damaged.
    assert_eq!(
        (digest.r#type(), digest.checksum.as_str()),
        (DigestType::Crc32, "3610A686")
    );
    let receipt = handle(&taken[0]).to_owned();
    assert_eq!(sdk.ack("orders", "billing", &receipt).await, Code::Ok);
    server.clock.advance(Duration::from_secs(3_600));
    assert!(sdk.take("orders", "billing").await.is_empty());
    let again = sdk.ack("orders", "billing", &receipt).await;
    assert_eq!(again, Code::InvalidArgument);
    assert_eq!(sdk.take("orders", "another").await.len(), 1);
}

#[tokio::test]
async fn a_message_that_failed_comes_again_and_is_a_dead_letter_after_its_last_attempt() {
    let server = Server::start().await;
    let mut sdk = Sdk::connect(&server, "c").await;
    sdk.send_one(message("orders", "hello")).await;
    let mut taken = sdk.take("orders", "billing").await;
    for (attempt, pause) in [(1, 10), (2, 30)] {
        assert_eq!(system(&taken[0]).delivery_attempt, attempt);
        let nacked = sdk.nack("orders", "billing", handle(&taken[0]), 3).await;
        assert_eq!(nacked, Code::Ok);
        server.clock.advance(Duration::from_secs(pause - 1));
        assert!(sdk.take("orders", "billing").await.is_empty());
        server.clock.advance(Duration::from_secs(2));
        taken = sdk.take("orders", "billing").await;
    }
    assert_eq!(system(&taken[0]).delivery_attempt, 3);
    let nacked = sdk.nack("orders", "billing", handle(&taken[0]), 3).await;
    assert_eq!(nacked, Code::Ok);
    server.clock.advance(Duration::from_secs(3_600));
    assert!(sdk.take("orders", "billing").await.is_empty());
    let dead = sdk.receive(receive("%DLQ%billing", "undertaker", 0)).await;
    assert_eq!(bodies(&dead.messages), ["hello"]);
}

#[tokio::test]
async fn without_a_word_of_the_consumer_the_group_says_how_often() {
    let server = Server::start().await;
    let mut spec = broker::GroupSpec::new(base::GroupName::new("billing").unwrap());
    spec.max_attempts = 1;
    server.instance.create_group(spec).await.unwrap();
    let mut sdk = Sdk::connect(&server, "c").await;
    sdk.send_one(message("orders", "hello")).await;
    let taken = sdk.take("orders", "billing").await;
    let nacked = sdk.nack("orders", "billing", handle(&taken[0]), 0).await;
    assert_eq!(nacked, Code::Ok);
    let dead = sdk.receive(receive("%DLQ%billing", "undertaker", 0)).await;
    assert_eq!(dead.messages.len(), 1);
}

#[tokio::test]
async fn a_consumer_gives_up_on_a_message_or_takes_longer_over_it() {
    let server = Server::start().await;
    let mut sdk = Sdk::connect(&server, "c").await;
    sdk.send_one(message("orders", "hello")).await;
    let taken = sdk.take("orders", "billing").await;
    let request = sdk.request(v1::ChangeInvisibleDurationRequest {
        group: resource("billing"),
        topic: resource("orders"),
        receipt_handle: handle(&taken[0]).to_owned(),
        invisible_duration: seconds(120),
    });
    let changed = sdk.client.change_invisible_duration(request).await.unwrap();
    let changed = changed.into_inner();
    assert_eq!(code(&changed.common), Code::Ok);
    server.clock.advance(Duration::from_secs(60));
    assert!(sdk.take("orders", "billing").await.is_empty());
    // The new handle has taken the place of the old one.
    let old = sdk.ack("orders", "billing", handle(&taken[0])).await;
    assert_eq!(old, Code::InvalidArgument);
    let request = sdk.request(v1::ForwardMessageToDeadLetterQueueRequest {
        group: resource("billing"),
        topic: resource("orders"),
        client_id: "c".to_owned(),
        receipt_handle: changed.receipt_handle,
        message_id: String::new(),
        delivery_attempt: 1,
        max_delivery_attempts: ATTEMPTS,
    });
    let answer = sdk.client.forward_message_to_dead_letter_queue(request);
    let answer = soon("forward", answer).await.unwrap().into_inner();
    assert_eq!(code(&answer.common), Code::Ok);
    let dead = sdk.receive(receive("%DLQ%billing", "undertaker", 0)).await;
    assert_eq!(bodies(&dead.messages), ["hello"]);
}

#[tokio::test]
async fn an_ordered_partition_is_with_one_consumer_at_a_time() {
    let server = Server::start().await;
    let mut sdk = Sdk::connect(&server, "c").await;
    for body in ["1", "2", "3"] {
        let mut sent = message("orders", body);
        let attributes = sent.system_attribute.get_or_insert_default();
        attributes.message_type = v1::MessageType::Fifo.into();
        attributes.partition_id = 4;
        sdk.send_one(sent).await;
    }
    let ordered = |batch_size| v1::ReceiveMessageRequest {
        fifo_flag: true,
        batch_size,
        ..receive("orders", "billing", 4)
    };
    let first = sdk.receive(ordered(2)).await.messages;
    assert_eq!(bodies(&first), ["1", "2"]);
    assert!(sdk.receive(ordered(2)).await.messages.is_empty());
    for message in &first {
        sdk.ack("orders", "billing", handle(message)).await;
    }
    assert_eq!(bodies(&sdk.receive(ordered(2)).await.messages), ["3"]);
}

#[tokio::test]
async fn what_this_protocol_calls_gzip_is_zlib() {
    let server = Server::start().await;
    let mut old = Sdk::connect(&server, "old").await;
    let mut new = SdkV2::connect(&server, "new").await;
    let content = "hello ".repeat(1_000);
    let mut encoder = ZlibEncoder::new(Vec::new(), Compression::default());
    encoder.write_all(content.as_bytes()).unwrap();
    let zipped = encoder.finish().unwrap();
    let mut sent = message("orders", "x");
    let attributes = sent.system_attribute.get_or_insert_default();
    attributes.body_encoding = Encoding::Gzip.into();
    sent.body = zipped.clone().into();
    old.send_one(sent).await;
    let taken = old.take("orders", "billing").await;
    assert_eq!(system(&taken[0]).body_encoding(), Encoding::Gzip);
    assert_eq!(taken[0].body, zipped);
    // SDKs of the other protocol get what the name says.
    let taken = new.take("orders", "another", 1).await;
    assert_eq!(taken[0].body[..2], [0x1f, 0x8b]);
    assert_ne!(grpc_v2::system(&taken[0]).body_encoding(), {
        wire::grpc_v2::Encoding::Identity
    });
}

#[tokio::test]
async fn a_long_poll_is_the_servers_where_the_client_sets_none() {
    let server = Server::start().await;
    let mut consumer = Sdk::connect(&server, "c").await;
    let mut producer = Sdk::connect(&server, "p").await;
    producer.route("orders").await;
    let mut poll = receive("orders", "billing", 3);
    poll.await_time = seconds(0);
    let mut sent = message("orders", "hello");
    let attributes = sent.system_attribute.get_or_insert_default();
    attributes.message_type = v1::MessageType::Fifo.into();
    attributes.partition_id = 3;
    let (answer, _) = tokio::join!(consumer.receive(poll), producer.send_one(sent));
    assert_eq!(bodies(&answer.messages), ["hello"]);
}

#[tokio::test]
async fn long_polls_end_with_their_client() {
    let server = Server::start().await;
    let mut sdk = Sdk::connect(&server, "c").await;
    sdk.route("orders").await;
    assert_eq!(sdk.heartbeat(consumer("billing", "orders")).await, Code::Ok);
    let mut other = Sdk {
        client: sdk.client.clone(),
        channel: sdk.channel.clone(),
        id: "c",
    };
    let mut poll = receive("orders", "billing", 3);
    poll.await_time = seconds(3_600);
    let leave = async {
        // Calls that came after it are done: it waits.
        for _ in 0..20 {
            other.route("orders").await;
        }
        let request = other.request(v1::NotifyClientTerminationRequest {
            client_id: "c".to_owned(),
            group: resource("billing")
                .map(v1::notify_client_termination_request::Group::ConsumerGroup),
        });
        let answer = other.client.notify_client_termination(request).await;
        assert_eq!(code(&answer.unwrap().into_inner().common), Code::Ok);
    };
    let mut waiting = sdk.request(poll);
    waiting.set_timeout(Duration::from_secs(60));
    let (answer, ()) = tokio::join!(soon("poll", sdk.client.receive_message(waiting)), leave);
    let answer = answer.unwrap().into_inner();
    assert_eq!(code(&answer.common), Code::Ok);
    assert!(answer.messages.is_empty());
}

#[tokio::test]
async fn times_that_make_no_sense_are_refused() {
    let server = Server::start().await;
    let mut sdk = Sdk::connect(&server, "c").await;
    sdk.route("orders").await;
    for invisible_duration in [None, seconds(0), seconds(-1), seconds(13 * 3_600)] {
        let refused = sdk
            .receive(v1::ReceiveMessageRequest {
                invisible_duration,
                ..receive("orders", "billing", 0)
            })
            .await;
        assert_eq!(code(&refused.common), Code::InvalidArgument);
        let text = text(&refused.common);
        assert!(text.contains("invisible duration"), "{text}");
    }
}
