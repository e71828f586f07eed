//! Routes and sends.

use std::collections::HashMap;

use base::TopicName;
use broker::{TopicSpec, TopicType};
use gateway::Advertise;
use wire::{
    grpc_v2::{self as v2, AddressScheme, Code, MessageType},
    remoting::{RequestCode, ResponseCode, header::PullMessageResponse},
};

use super::{Sdk, bodies, code, message, resource, system, text};
use crate::{
    remoting::{pull_header, send_some, tell_subscription},
    support::{Server, Setup, soon},
};

#[tokio::test]
async fn a_route_leads_back_to_the_address_the_client_came_in_on() {
    let server = Server::start().await;
    let mut sdk = Sdk::connect(&server, "p").await;
    let route = sdk.route("orders").await;
    assert_eq!(code(&route.status), Code::Ok, "created on first use");
    let ids: Vec<i32> = route.message_queues.iter().map(|queue| queue.id).collect();
    assert_eq!(ids, (0..8).collect::<Vec<i32>>());
    let queue = &route.message_queues[0];
    assert_eq!(queue.permission(), v2::Permission::ReadWrite);
    assert_eq!(queue.topic, resource("orders"));
    assert!(
        queue
            .accept_message_types()
            .any(|kind| kind == MessageType::Fifo)
    );
    let broker = queue.broker.as_ref().unwrap();
    assert_eq!((broker.name.as_str(), broker.id), ("default-0", 0));
    let endpoints = broker.endpoints.as_ref().unwrap();
    assert_eq!(endpoints.scheme(), AddressScheme::IPv4);
    let address = &endpoints.addresses[0];
    assert_eq!(address.host, "127.0.0.1");
    assert_eq!(address.port, i32::from(server.address.port()));
}

#[tokio::test]
async fn a_route_gives_the_advertised_address() {
    let advertise = Advertise {
        host: "mq.example".to_owned(),
        port: Some(443),
    };
    let server = Server::with(Setup {
        advertise: Some(advertise),
        ..Setup::default()
    })
    .await;
    let route = Sdk::connect(&server, "p").await.route("orders").await;
    let broker = route.message_queues[0].broker.as_ref().unwrap();
    let endpoints = broker.endpoints.as_ref().unwrap();
    assert_eq!(endpoints.scheme(), AddressScheme::DomainName);
    assert_eq!(endpoints.addresses[0].host, "mq.example");
    assert_eq!(endpoints.addresses[0].port, 443);
}

#[tokio::test]
async fn nothing_is_created_where_that_is_off() {
    let server = Server::with(Setup {
        create_automatically: false,
        ..Setup::default()
    })
    .await;
    let mut sdk = Sdk::connect(&server, "p").await;
    let route = sdk.route("orders").await;
    assert_eq!(code(&route.status), Code::TopicNotFound);
    assert!(text(&route.status).contains("`orders`"));
    let sent = sdk.send(vec![message("orders", "a")]).await;
    assert_eq!(code(&sent.status), Code::TopicNotFound);
    let taken = sdk.receive(super::receive("orders", "billing", 1)).await;
    assert_eq!(taken.code, Code::TopicNotFound);
    assert!(server.instance.topics().is_empty());
}

#[tokio::test]
async fn dead_letter_and_system_topics_are_not_created_by_asking() {
    let server = Server::start().await;
    let mut sdk = Sdk::connect(&server, "p").await;
    assert_eq!(
        code(&sdk.route("%DLQ%billing").await.status),
        Code::TopicNotFound
    );
    for name in ["TBW102", "rmq_sys_trace", "RMQ_SYS_TRACE_TOPIC", "a b", ""] {
        assert_eq!(
            code(&sdk.route(name).await.status),
            Code::IllegalTopic,
            "{name}"
        );
    }
}

#[tokio::test]
async fn a_namespace_that_names_an_instance_leads_there() {
    let server = Server::with(Setup {
        instances: vec!["mq-2"],
        ..Setup::default()
    })
    .await;
    let mut sdk = Sdk::connect(&server, "p").await;
    let named = |namespace: &str, name: &str| {
        Some(v2::Resource {
            resource_namespace: namespace.to_owned(),
            name: name.to_owned(),
        })
    };
    for topic in [named("mq-2", "orders"), named("", "mq-2%orders")] {
        let request = sdk.request(v2::QueryRouteRequest {
            topic: topic.clone(),
            endpoints: None,
        });
        let route = soon("route", sdk.client.query_route(request))
            .await
            .unwrap()
            .into_inner();
        let queue = &route.message_queues[0];
        assert_eq!(queue.broker.as_ref().unwrap().name, "mq-2-0");
        assert_eq!(queue.topic, topic, "told as it was asked for");
    }
    let request = sdk.request(v2::QueryRouteRequest {
        topic: named("team", "orders"),
        endpoints: None,
    });
    soon("route", sdk.client.query_route(request))
        .await
        .unwrap();
    let plain = TopicName::new("team%orders").unwrap();
    assert!(
        server.instance.topic(&plain).is_some(),
        "part of the plain name"
    );

    let request = sdk.request(v2::QueryAssignmentRequest {
        topic: named("mq-2", "orders"),
        group: named("default", "billing"),
        endpoints: None,
    });
    let answer = soon("assignment", sdk.client.query_assignment(request)).await;
    assert_eq!(code(&answer.unwrap().into_inner().status), Code::BadRequest);
}

#[tokio::test]
async fn a_batch_is_stored_in_one_queue_in_its_order() {
    let server = Server::start().await;
    let mut sdk = Sdk::connect(&server, "p").await;
    let batch = ["a", "b", "c"].map(|body| message("orders", body)).to_vec();
    let answer = sdk.send(batch).await;
    assert_eq!(code(&answer.status), Code::Ok);
    let sent: Vec<(&str, i64)> = answer
        .entries
        .iter()
        .map(|entry| (entry.message_id.as_str(), entry.offset))
        .collect();
    assert_eq!(sent, [("id-a", 0), ("id-b", 1), ("id-c", 2)]);

    let mixed = vec![message("orders", "a"), message("refunds", "b")];
    assert_eq!(code(&sdk.send(mixed).await.status), Code::MessageCorrupted);
    assert_eq!(
        code(&sdk.send(Vec::new()).await.status),
        Code::MessageCorrupted
    );
}

#[tokio::test]
async fn a_declared_type_is_told_and_enforced() {
    let server = Server::start().await;
    let mut spec = TopicSpec::new(TopicName::new("plain").unwrap(), 1);
    spec.topic_type = Some(TopicType::Normal);
    server.instance.create_topic(spec).await.unwrap();
    let mut sdk = Sdk::connect(&server, "p").await;
    let route = sdk.route("plain").await;
    let types: Vec<MessageType> = route.message_queues[0].accept_message_types().collect();
    assert_eq!(types, [MessageType::Normal]);

    let mut ordered = message("plain", "a");
    ordered.system_properties.as_mut().unwrap().message_group = Some("g".to_owned());
    let answer = sdk.send(vec![ordered]).await;
    assert_eq!(code(&answer.status), Code::MessagePropertyConflictWithType);
}

/// A message of every type but NORMAL, which has nothing of its own.
fn of_type(topic: &str, kind: MessageType) -> v2::Message {
    let mut message = message(topic, kind.as_str_name());
    let system = message.system_properties.get_or_insert_default();
    system.message_type = kind.into();
    match kind {
        MessageType::Fifo => system.message_group = Some("g".to_owned()),
        MessageType::Delay => {
            system.delivery_timestamp = Some(prost_types::Timestamp {
                seconds: 1,
                nanos: 0,
            });
        }
        MessageType::Lite => system.lite_topic = Some("l".to_owned()),
        MessageType::Priority => system.priority = Some(1),
        MessageType::Normal | MessageType::Transaction | MessageType::Unspecified => {}
    }
    message
}

#[tokio::test]
async fn a_mismatch_of_types_names_topic_expected_and_found_for_every_pair() {
    let server = Server::start().await;
    let mut sdk = Sdk::connect(&server, "p").await;
    let kinds = [
        (TopicType::Normal, MessageType::Normal),
        (TopicType::Fifo, MessageType::Fifo),
        (TopicType::Delay, MessageType::Delay),
        (TopicType::Transaction, MessageType::Transaction),
        (TopicType::Lite, MessageType::Lite),
        (TopicType::Priority, MessageType::Priority),
    ];
    for (declared, expected) in kinds {
        let topic = format!("of-{}", declared.attribute());
        let mut spec = TopicSpec::new(TopicName::new(&topic).unwrap(), 1);
        spec.topic_type = Some(declared);
        server.instance.create_topic(spec).await.unwrap();
        for (_, found) in kinds {
            let answer = sdk.send(vec![of_type(&topic, found)]).await;
            let conflict = code(&answer.status) == Code::MessagePropertyConflictWithType;
            let text = text(&answer.status);
            assert_eq!(
                conflict,
                found != expected,
                "{declared:?} {found:?}: {text}"
            );
            if conflict {
                for name in [&topic, expected.as_str_name(), found.as_str_name()] {
                    assert!(text.contains(name), "{name}: {text}");
                }
            }
        }
    }
}

#[tokio::test]
async fn remoting_and_grpc_clients_read_each_other() {
    let server = Server::start().await;
    let mut sdk = Sdk::connect(&server, "p").await;
    let mut sent = message("orders", "hello");
    sent.user_properties = HashMap::from([("color".to_owned(), "red".to_owned())]);
    let properties = sent.system_properties.as_mut().unwrap();
    properties.tag = Some("TagA".to_owned());
    properties.keys = vec!["k1".to_owned(), "k2".to_owned()];
    // The same queue for both clients.
    properties.message_group = Some("g".to_owned());
    let answer = sdk.send(vec![sent.clone()]).await;
    assert_eq!(code(&answer.status), Code::Ok, "{answer:?}");
    let queue = {
        let taken = sdk.take("orders", "look", 1).await;
        system(&taken[0]).queue_id
    };

    let mut peer = server.peer().await;
    tell_subscription(&mut peer, "billing", "orders", "*").await;
    let mut header = pull_header("billing", "orders", 0, 0);
    header.queue_id = queue;
    let pulled = peer.call(RequestCode::PullMessage, &header).await;
    assert_eq!(pulled.response_code(), Some(ResponseCode::Success));
    let next: PullMessageResponse = pulled.header().unwrap();
    assert_eq!(next.next_begin_offset, 1);
    let read = wire::message::split(pulled.body.clone())
        .next()
        .unwrap()
        .unwrap();
    assert_eq!(read.body(), "hello");
    for (name, value) in [
        ("UNIQ_KEY", "id-hello"),
        ("TAGS", "TagA"),
        ("KEYS", "k1 k2"),
        ("color", "red"),
        ("__SHARDINGKEY", "g"),
    ] {
        assert_eq!(read.property(name), Some(value));
    }

    send_some(&server, "payments", 3).await;
    let taken = sdk.take("payments", "billing", 10).await;
    assert_eq!(bodies(&taken).len(), 3);
}
