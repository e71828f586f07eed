//! Ordered and timed messages of one protocol at consumers of the other; transactions are in
//! `transactions.rs`, plain messages in `produce.rs`.

use std::time::Duration;

use base::{Clock as _, GroupName};
use broker::GroupSpec;
use wire::{
    grpc_v2::{self as v2, Code, MessageType},
    message::{StoredMessage, properties},
    remoting::{
        RequestCode, ResponseCode,
        header::{PullMessageRequest, pull_sys_flag},
    },
};

use super::{Sdk, bodies, code, handle, message, receive, system};
use crate::{
    remoting::{messages, pull_header, send_header, succeeded},
    support::{Peer, Server},
};

/// Queues of a topic created on first use.
const QUEUES: i32 = 8;

/// Sends a message over Remoting to a queue.
async fn send(peer: &mut Peer, queue_id: i32, body: &str, asked: &[(&str, &str)]) {
    let id = format!("id-{body}");
    let asked = asked
        .iter()
        .copied()
        .chain([(properties::UNIQUE_KEY, id.as_str())]);
    let raw = properties::encode(asked).unwrap();
    let mut header = send_header("orders", &raw);
    header.queue_id = queue_id;
    let command = peer.command(RequestCode::SendMessageV2, &header);
    succeeded(&peer.ask(&command.with_body(body.to_owned())).await);
}

/// Sends a message over gRPC.
async fn send_grpc(sdk: &mut Sdk, body: &str, ask: impl FnOnce(&mut v2::SystemProperties)) {
    let mut message = message("orders", body);
    ask(message.system_properties.as_mut().unwrap());
    let answer = sdk.send(vec![message]).await;
    assert_eq!(code(&answer.status), Code::Ok, "{answer:?}");
}

/// What a Remoting consumer finds in a queue, from its beginning, without waiting.
async fn pull(peer: &mut Peer, queue_id: i32) -> Vec<StoredMessage> {
    let header = PullMessageRequest {
        sys_flag: pull_sys_flag::SUBSCRIPTION,
        subscription: Some("*"),
        ..pull_header("accounting", "orders", queue_id, 0)
    };
    let pulled = peer.call(RequestCode::PullMessage, &header).await;
    match pulled.response_code() {
        Some(ResponseCode::Success) => messages(&pulled),
        _ => Vec::new(),
    }
}

fn of_group(group: &str) -> impl FnOnce(&mut v2::SystemProperties) {
    move |system| {
        system.message_type = MessageType::Fifo.into();
        system.message_group = Some(group.to_owned());
    }
}

#[tokio::test]
async fn messages_of_a_group_keep_their_order_for_consumers_of_either_protocol() {
    let server = Server::start().await;
    let mut spec = GroupSpec::new(GroupName::new("ledgers").unwrap());
    spec.fifo = true;
    server.instance.create_group(spec).await.unwrap();
    let (mut sdk, mut peer) = (Sdk::connect(&server, "c").await, server.peer().await);
    send_grpc(&mut sdk, "1", of_group("a")).await;
    let first = sdk.take("orders", "ledgers", 16).await;
    assert_eq!(bodies(&first), ["1"]);
    let queue = system(&first[0]).queue_id;
    // Remoting producers choose the queue; all that share a message group choose the same.
    send(&mut peer, queue, "2", &[(properties::SHARDING_KEY, "a")]).await;
    send(
        &mut peer,
        queue,
        "other",
        &[(properties::SHARDING_KEY, "b")],
    )
    .await;
    send_grpc(&mut sdk, "3", of_group("a")).await;

    // Neither waits for the sender's protocol, both for the message before.
    let taken = sdk.take("orders", "ledgers", 16).await;
    assert_eq!(bodies(&taken), ["other"]);
    sdk.ack("orders", "ledgers", &[handle(&first[0])]).await;
    for body in ["2", "3"] {
        let taken = sdk.take("orders", "ledgers", 1).await;
        assert_eq!(bodies(&taken), [body]);
        assert_eq!(system(&taken[0]).message_group.as_deref(), Some("a"));
        let acked = sdk.ack("orders", "ledgers", &[handle(&taken[0])]).await;
        assert_eq!(code(&acked.status), Code::Ok);
    }
    let pulled = pull(&mut peer, queue).await;
    let pulled: Vec<_> = pulled.iter().map(StoredMessage::body).collect();
    assert_eq!(pulled, ["1", "2", "other", "3"]);
}

#[tokio::test]
async fn a_timed_message_comes_at_its_time_to_consumers_of_either_protocol() {
    const DELAY: Duration = Duration::from_secs(60);
    let server = Server::start().await;
    let (mut sdk, mut peer) = (Sdk::connect(&server, "c").await, server.peer().await);
    sdk.route("orders").await;
    let due = server.clock.now().after(DELAY).ms();
    let at = due.to_string();
    send(
        &mut peer,
        0,
        "exact",
        &[(properties::TIMER_DELIVER_MS, &at)],
    )
    .await;
    // Level 5 is one minute.
    send(&mut peer, 1, "level", &[(properties::DELAY_LEVEL, "5")]).await;
    send_grpc(&mut sdk, "grpc", |system| {
        system.message_type = MessageType::Delay.into();
        system.delivery_timestamp = Some(prost_types::Timestamp {
            seconds: due / 1_000,
            nanos: 0,
        });
    })
    .await;

    server.clock.advance(DELAY / 2);
    server.release().await;
    let early = sdk.receive(receive("orders", "billing", 16)).await;
    assert_eq!(early.code, Code::MessageNotFound);
    for queue in 0..QUEUES {
        assert!(pull(&mut peer, queue).await.is_empty());
    }
    server.clock.advance(DELAY);
    server.release().await;
    let taken = sdk.take("orders", "billing", 16).await;
    assert_eq!(bodies(&taken), ["exact", "grpc", "level"]);
    let mut pulled = Vec::new();
    for queue in 0..QUEUES {
        let here = pull(&mut peer, queue).await;
        pulled.extend(
            here.iter()
                .map(|it| String::from_utf8_lossy(&it.body()).into_owned()),
        );
    }
    pulled.sort();
    assert_eq!(pulled, ["exact", "grpc", "level"]);
}
