//! Routes, and messages on their way in.

use std::time::Duration;

use tonic::Code;
use wire::grpc_v1::{self as v1, AddressScheme, Permission, system_attribute::TimedDelivery};

use super::{Sdk, bodies, code, message, resource, system, text};
use crate::{
    grpc_v2::{self, Sdk as SdkV2},
    support::{Server, Setup},
};

#[tokio::test]
async fn a_route_names_this_server_for_every_partition() {
    let server = Server::start().await;
    let mut sdk = Sdk::connect(&server, "p").await;
    let answer = sdk.route("orders").await;
    assert_eq!(code(&answer.common), Code::Ok);
    let ids: Vec<i32> = answer.partitions.iter().map(|it| it.id).collect();
    assert_eq!(ids, (0..8).collect::<Vec<_>>());
    let partition = &answer.partitions[0];
    assert_eq!(partition.topic, resource("orders"));
    assert_eq!(partition.permission(), Permission::ReadWrite);
    let broker = partition.broker.as_ref().unwrap();
    assert_eq!(broker.id, 0, "SDKs use no other");
    let endpoints = broker.endpoints.as_ref().unwrap();
    assert_eq!(endpoints.scheme(), AddressScheme::IPv4);
    assert_eq!(endpoints.addresses[0].host, "127.0.0.1");
    let port = i32::from(server.address.port());
    assert_eq!(endpoints.addresses[0].port, port);

    // Every consumer takes them all.
    let request = sdk.request(v1::QueryAssignmentRequest {
        topic: resource("orders"),
        group: resource("billing"),
        client_id: "c".to_owned(),
        endpoints: None,
    });
    let assigned = sdk.client.query_assignment(request).await.unwrap();
    let assigned = assigned.into_inner();
    let partitions = assigned.assignments.into_iter();
    let partitions: Vec<_> = partitions.filter_map(|it| it.partition).collect();
    assert_eq!(partitions, answer.partitions);
}

#[tokio::test]
async fn a_topic_that_is_not_there_is_not_found() {
    let server = Server::with(Setup {
        create_automatically: false,
        ..Setup::default()
    })
    .await;
    let mut sdk = Sdk::connect(&server, "p").await;
    let route = sdk.route("orders").await;
    assert_eq!(code(&route.common), Code::NotFound);
    assert!(text(&route.common).contains("`orders`"));
    let sent = sdk.send(message("orders", "hello")).await;
    assert_eq!(code(&sent.common), Code::NotFound);
}

#[tokio::test]
async fn both_protocols_read_what_the_other_has_sent() {
    let server = Server::start().await;
    let mut old = Sdk::connect(&server, "old").await;
    let mut new = SdkV2::connect(&server, "new").await;
    let mut sent = message("orders", "hello");
    let attributes = sent.system_attribute.get_or_insert_default();
    attributes.tag = "TagA".to_owned();
    attributes.keys = vec!["k1".to_owned(), "k2".to_owned()];
    attributes.trace_context = "00-1-2-01".to_owned();
    let color = ("color".to_owned(), "deep blue".to_owned());
    sent.user_attribute.extend([color.clone()]);
    let answer = old.send_one(sent).await;
    assert_eq!(answer.message_id, "id-hello");
    assert_eq!(answer.transaction_id, "");

    let taken = new.take("orders", "billing", 10).await;
    let properties = grpc_v2::system(&taken[0]);
    assert_eq!(properties.message_id, "id-hello");
    assert_eq!(properties.tag(), "TagA");
    assert_eq!(properties.keys, ["k1", "k2"]);
    assert_eq!(properties.trace_context(), "00-1-2-01");
    assert_eq!(taken[0].user_properties, [color].into());

    new.send_one("replies", "back").await;
    let taken = old.take("replies", "billing").await;
    assert_eq!(bodies(&taken), ["back"]);
    assert_eq!(system(&taken[0]).message_id, "id-back");
    assert_eq!(taken[0].topic, resource("replies"));
}

#[tokio::test]
async fn a_message_group_has_one_partition_whoever_sends() {
    let server = Server::start().await;
    let mut old = Sdk::connect(&server, "old").await;
    let mut new = SdkV2::connect(&server, "new").await;
    for number in 0..3 {
        let mut sent = message("orders", &format!("old-{number}"));
        let attributes = sent.system_attribute.get_or_insert_default();
        attributes.message_type = v1::MessageType::Fifo.into();
        attributes.message_group = "order-1".to_owned();
        // Whatever the SDK's own hash says.
        attributes.partition_id = number;
        old.send_one(sent).await;
        let mut sent = grpc_v2::message("orders", &format!("new-{number}"));
        let properties = sent.system_properties.get_or_insert_default();
        properties.message_group = Some("order-1".to_owned());
        new.send(vec![sent]).await;
    }
    let taken = old.take("orders", "billing").await;
    assert_eq!(taken.len(), 6);
    let partition = system(&taken[0]).partition_id;
    for (message, sender) in taken.iter().zip(["old", "new"].into_iter().cycle()) {
        assert_eq!(system(message).partition_id, partition);
        assert_eq!(system(message).message_group, "order-1");
        assert!(message.body.starts_with(sender.as_bytes()));
    }
}

#[tokio::test]
async fn order_without_a_group_keeps_the_partition_that_the_client_chose() {
    let server = Server::start().await;
    let mut sdk = Sdk::connect(&server, "p").await;
    let ordered = |partition_id| {
        let mut sent = message("orders", "hello");
        let attributes = sent.system_attribute.get_or_insert_default();
        attributes.message_type = v1::MessageType::Fifo.into();
        attributes.partition_id = partition_id;
        sent
    };
    sdk.send_one(ordered(5)).await;
    for wrong in [8, -1] {
        let refused = sdk.send(ordered(wrong)).await;
        assert_eq!(code(&refused.common), Code::InvalidArgument, "{wrong}");
    }
    let taken = sdk.take("orders", "billing").await;
    assert_eq!(taken.len(), 1);
    assert_eq!(system(&taken[0]).partition_id, 5);
}

#[tokio::test]
async fn timed_messages_come_when_they_are_due() {
    let server = Server::start().await;
    let mut sdk = Sdk::connect(&server, "p").await;
    let timed = |body: &str, delivery| {
        let mut sent = message("orders", body);
        let attributes = sent.system_attribute.get_or_insert_default();
        attributes.message_type = v1::MessageType::Delay.into();
        attributes.timed_delivery = Some(delivery);
        sent
    };
    let now = base::Clock::now(&*server.clock).ms();
    let at = prost_types::Timestamp {
        seconds: now / 1_000 + 60,
        nanos: 0,
    };
    sdk.send_one(timed("at", TimedDelivery::DeliveryTimestamp(at)))
        .await;
    // The fifth level is one minute.
    sdk.send_one(timed("level", TimedDelivery::DelayLevel(5)))
        .await;
    server.clock.advance(Duration::from_secs(50));
    server.release().await;
    assert!(sdk.take("orders", "billing").await.is_empty());
    server.clock.advance(Duration::from_secs(15));
    server.release().await;
    let taken = sdk.take("orders", "billing").await;
    assert_eq!(bodies(&taken), ["at", "level"]);
    let told = taken.iter().find(|it| &it.body[..] == b"at").unwrap();
    let told = system(told).timed_delivery;
    assert_eq!(told, Some(TimedDelivery::DeliveryTimestamp(at)));
}
