//! One Remoting connection that carries many requests.

use std::time::Duration;

use client::{
    ClientError, RemotingClient, RemotingOptions,
    remoting::{OutgoingMessage, PullQueue, PullStatus, batch_body},
};
use tokio::sync::mpsc;
use wire::{
    message::{NewMessage, Placement, batch},
    remoting::{
        Command, RequestCode, ResponseCode, SerializeType,
        header::{
            OffsetResponse, PullMessageRequest, PullMessageResponse, SendMessageRequestV2,
            SendMessageResponse, pull_sys_flag,
        },
    },
};

use crate::server::{Peer, listen};

fn ping(number: i32) -> Command {
    let mut command = Command::request(RequestCode::GetBrokerRuntimeInfo, &());
    command.fields.push("number", number);
    command
}

#[tokio::test]
async fn answers_find_their_requests_in_any_order() {
    let (listener, address) = listen().await;
    tokio::spawn(async move {
        let mut peer = Peer::accept(&listener).await;
        let mut requests = Vec::new();
        for _ in 0..100 {
            requests.push(peer.next().await.unwrap());
        }
        // An answer that nobody waits for is passed over.
        let mut stray = requests[0].response(ResponseCode::Success);
        stray.opaque = -5;
        peer.write(&stray).await;
        for request in requests.iter().rev() {
            let remark = request.fields.get("number").unwrap();
            let answer = request.response(ResponseCode::Success).with_remark(remark);
            peer.write(&answer).await;
        }
        // Keeps the connection until the client has gone.
        assert_eq!(peer.next().await, None);
    });
    let client = RemotingClient::connect(&address, RemotingOptions::default())
        .await
        .unwrap();
    let answers = (0..100).map(|number| client.request(ping(number)));
    let answers = futures::future::try_join_all(answers).await.unwrap();
    for (number, answer) in answers.into_iter().enumerate() {
        assert_eq!(answer.remark, Some(number.to_string()));
    }
}

#[tokio::test]
async fn headers_are_written_as_asked_for() {
    for serialize_type in [SerializeType::Json, SerializeType::RocketMq] {
        let (listener, address) = listen().await;
        let options = RemotingOptions {
            serialize_type,
            ..RemotingOptions::default()
        };
        let client = RemotingClient::connect(&address, options).await.unwrap();
        let answering = async {
            let mut peer = Peer::accept(&listener).await;
            let request = peer.next().await.unwrap();
            peer.write(&request.response(ResponseCode::Success)).await;
            request
        };
        let (request, answer) = tokio::join!(answering, client.call(ping(1)));
        answer.unwrap();
        assert_eq!(request.serialize_type, serialize_type);
        assert!(!request.is_oneway());
    }
}

#[tokio::test]
async fn a_silent_server_is_given_up_on() {
    let (listener, address) = listen().await;
    let client = RemotingClient::connect(&address, RemotingOptions::default())
        .await
        .unwrap();
    let _peer = Peer::accept(&listener).await;
    let error = client
        .request_within(ping(1), Duration::from_millis(20))
        .await
        .unwrap_err();
    assert_eq!(
        error.to_string(),
        format!("get_broker_runtime_info to {address}: no answer within 20 ms")
    );
    assert!(error.is_unreachable());
}

#[tokio::test]
async fn requests_beyond_the_limit_wait_for_their_turn() {
    let (listener, address) = listen().await;
    let options = RemotingOptions {
        in_flight_max: 2,
        ..RemotingOptions::default()
    };
    let client = RemotingClient::connect(&address, options).await.unwrap();
    let mut peer = Peer::accept(&listener).await;
    let calls: Vec<_> = (0..3)
        .map(|number| {
            let client = client.clone();
            tokio::spawn(async move { client.request(ping(number)).await })
        })
        .collect();
    let first = peer.next().await.unwrap();
    peer.next().await.unwrap();
    tokio::select! {
        biased;
        request = peer.next() => panic!("a third request was under way: {request:?}"),
        () = tokio::task::yield_now() => {}
    }
    peer.write(&first.response(ResponseCode::Success)).await;
    peer.next().await.unwrap();
    for call in calls {
        call.abort();
    }
}

#[tokio::test]
async fn whoever_waits_hears_that_the_connection_ended() {
    let (listener, address) = listen().await;
    let client = RemotingClient::connect(&address, RemotingOptions::default())
        .await
        .unwrap();
    let closing = async {
        let mut peer = Peer::accept(&listener).await;
        peer.next().await.unwrap();
    };
    let (error, ()) = tokio::join!(client.request(ping(1)), closing);
    let error = error.unwrap_err();
    assert!(matches!(error, ClientError::Closed { .. }), "{error}");
    // And so does everybody who comes later.
    let error = client.request(ping(2)).await.unwrap_err();
    assert!(matches!(error, ClientError::Closed { .. }), "{error}");
}

#[tokio::test]
async fn garbage_ends_the_connection_with_its_reason() {
    for (garbage, reason) in [
        (
            &b"HTTP/1.1 400 Bad Request\r\n\r\n"[..],
            "frame has 1213486164 bytes",
        ),
        (
            &[0, 0, 0, 2, 0, 0, 0, 0],
            "frame has 2 bytes after its length",
        ),
        (&[0, 0, 0, 8, 9, 0, 0, 4, 0, 0, 0, 0], "serialize type is 9"),
    ] {
        let (listener, address) = listen().await;
        let client = RemotingClient::connect(&address, RemotingOptions::default())
            .await
            .unwrap();
        let answering = async {
            let mut peer = Peer::accept(&listener).await;
            peer.next().await.unwrap();
            peer.write_bytes(garbage).await;
            peer.next().await
        };
        let (error, end) = tokio::join!(client.request(ping(1)), answering);
        let error = error.unwrap_err();
        assert!(matches!(&error, ClientError::Closed { .. }), "{error}");
        assert!(error.to_string().contains(reason), "{error}");
        assert_eq!(end, None);
    }
}

#[tokio::test]
async fn the_last_handle_closes_the_connection() {
    let (listener, address) = listen().await;
    let client = RemotingClient::connect(&address, RemotingOptions::default())
        .await
        .unwrap();
    let other = client.clone();
    let mut peer = Peer::accept(&listener).await;
    drop(client);
    other.oneway(ping(1)).await.unwrap();
    assert!(peer.next().await.unwrap().is_oneway());
    drop(other);
    assert_eq!(peer.next().await, None);
}

#[tokio::test]
async fn requests_of_the_server_are_passed_on() {
    let (listener, address) = listen().await;
    let (sender, mut pushed) = mpsc::channel(1);
    let options = RemotingOptions {
        pushed: Some(sender),
        ..RemotingOptions::default()
    };
    let client = RemotingClient::connect(&address, options).await.unwrap();
    let mut peer = Peer::accept(&listener).await;
    let notice = Command::request(RequestCode::NotifyConsumerIdsChanged, &()).as_oneway();
    // There is room for one; the others must not hold up the answer behind them.
    for _ in 0..3 {
        peer.write(&notice).await;
    }
    let answering = async {
        let request = peer.next().await.unwrap();
        peer.write(&request.response(ResponseCode::Success)).await;
    };
    let (answer, ()) = tokio::join!(client.call(ping(1)), answering);
    answer.unwrap();
    let code = pushed.recv().await.unwrap().request_code();
    assert_eq!(code, Some(RequestCode::NotifyConsumerIdsChanged));
    assert!(pushed.try_recv().is_err());
}

#[tokio::test]
async fn nobody_there_is_said_with_the_address() {
    let (listener, address) = listen().await;
    drop(listener);
    let error = RemotingClient::connect(&address, RemotingOptions::default())
        .await
        .unwrap_err();
    assert_eq!(error.to_string(), format!("connect to {address}"));
    assert!(error.is_unreachable());
}

#[tokio::test]
async fn a_refusal_keeps_code_and_words() {
    let (listener, address) = listen().await;
    let client = RemotingClient::connect(&address, RemotingOptions::default())
        .await
        .unwrap();
    let answering = async {
        let mut peer = Peer::accept(&listener).await;
        let request = peer.next().await.unwrap();
        let answer = request
            .response(ResponseCode::TopicNotExist)
            .with_remark("no such topic");
        peer.write(&answer).await;
        peer
    };
    let (error, _peer) = tokio::join!(client.topic_config("orders"), answering);
    let error = error.unwrap_err();
    assert_eq!(error.refusal(), Some(ResponseCode::TopicNotExist));
    assert!(!error.is_unreachable());
    assert_eq!(
        error.to_string(),
        format!("{address} refused get_topic_config with topic_not_exist (17): no such topic")
    );
}

#[tokio::test]
async fn a_send_says_all_that_servers_ask_for() {
    let (listener, address) = listen().await;
    let client = RemotingClient::connect(&address, RemotingOptions::default())
        .await
        .unwrap();
    let answering = async {
        let mut peer = Peer::accept(&listener).await;
        let request = peer.next().await.unwrap();
        let header: SendMessageRequestV2<'_> = request.header().unwrap();
        assert_eq!((header.topic, header.queue_id), ("orders", 3));
        assert_eq!(
            (header.properties, header.batch),
            (Some("KEYS\u{1}k\u{2}"), Some(false))
        );
        assert_eq!(
            (header.born_timestamp, &request.body[..]),
            (77, &b"body"[..])
        );
        let answer = request
            .response(ResponseCode::Success)
            .with_header(&SendMessageResponse {
                message_id: "ID",
                queue_id: 3,
                queue_offset: 9,
                transaction_id: None,
                batch_unique_id: None,
                recall_handle: None,
                region: None,
                trace_on: None,
            });
        peer.write(&answer).await;
        peer
    };
    let message = OutgoingMessage {
        producer_group: "g",
        topic: "orders",
        queue: Some(3),
        automatic_queues: 4,
        flag: 0,
        sys_flag: 0,
        born_timestamp: 77,
        properties: "KEYS\u{1}k\u{2}",
        body: "body".into(),
    };
    let (sent, _peer) = tokio::join!(client.send(message), answering);
    let sent = sent.unwrap();
    assert_eq!(
        (sent.message_id.as_str(), sent.queue, sent.queue_offset),
        ("ID", 3, 9)
    );
}

#[test]
fn a_batch_holds_its_messages() {
    let body = batch_body([("a\u{1}1\u{2}", &b"one"[..]), ("", b"two")]).unwrap();
    let messages = batch::decode(body, 10).unwrap();
    assert_eq!(messages.len(), 2);
    assert_eq!(
        (messages[0].properties(), &messages[0].body[..]),
        ("a\u{1}1\u{2}", &b"one"[..])
    );
    assert_eq!(
        (messages[1].properties(), &messages[1].body[..]),
        ("", &b"two"[..])
    );
}

#[tokio::test]
async fn a_pull_reads_messages_and_where_to_go_on() {
    let (listener, address) = listen().await;
    let client = RemotingClient::connect(&address, RemotingOptions::default())
        .await
        .unwrap();
    let pull = PullQueue {
        group: "g",
        topic: "orders",
        queue: 1,
        offset: 5,
        max_messages: 32,
        commit: Some(4),
        expression: "*",
        wait: Duration::from_secs(10),
    };
    let header = PullMessageResponse {
        suggested_broker_id: 0,
        next_begin_offset: 6,
        min_offset: 2,
        max_offset: 8,
        offset_delta: None,
        topic_sys_flag: None,
        group_sys_flag: None,
        forbidden_type: None,
    };
    let here = "127.0.0.1:1".parse().unwrap();
    let message = NewMessage {
        topic: "orders",
        queue_id: 1,
        flag: 0,
        sys_flag: 0,
        born_timestamp: 1,
        born_host: here,
        store_host: here,
        reconsume_times: 0,
        prepared_transaction_offset: 0,
        body: b"body",
        properties: b"",
    };
    let mut stored = Vec::new();
    let placement = Placement {
        queue_offset: 5,
        physical_offset: 0,
        store_timestamp: 2,
    };
    message.encode(placement, &mut stored);
    let mut peer = Peer::accept(&listener).await;
    for (code, body, status, count) in [
        (ResponseCode::Success, stored.clone(), PullStatus::Found, 1),
        (
            ResponseCode::PullNotFound,
            Vec::new(),
            PullStatus::NoNewMessage,
            0,
        ),
        (
            ResponseCode::PullRetryImmediately,
            Vec::new(),
            PullStatus::NoMatch,
            0,
        ),
        (
            ResponseCode::PullOffsetMoved,
            Vec::new(),
            PullStatus::OffsetMoved,
            0,
        ),
    ] {
        let answering = async {
            let request = peer.next().await.unwrap();
            let asked: PullMessageRequest<'_> = request.header().unwrap();
            assert_eq!((asked.queue_offset, asked.commit_offset), (5, 4));
            let flags =
                pull_sys_flag::SUBSCRIPTION | pull_sys_flag::SUSPEND | pull_sys_flag::COMMIT_OFFSET;
            assert_eq!((asked.sys_flag, asked.suspend_timeout_ms), (flags, 10_000));
            peer.write(&request.response(code).with_header(&header).with_body(body))
                .await;
        };
        let (pulled, ()) = tokio::join!(client.pull(pull.clone()), answering);
        let pulled = pulled.unwrap();
        assert_eq!((pulled.status, pulled.messages.len()), (status, count));
        assert_eq!((pulled.next, pulled.min, pulled.max), (6, 2, 8));
    }
    // Bytes that are no message are an error, not a panic.
    let answering = async {
        let request = peer.next().await.unwrap();
        stored.truncate(stored.len() - 1);
        let answer = request.response(ResponseCode::Success).with_header(&header);
        peer.write(&answer.with_body(stored)).await;
    };
    let (pulled, ()) = tokio::join!(client.pull(pull), answering);
    assert!(matches!(pulled.unwrap_err(), ClientError::Answer { .. }));
}

#[tokio::test]
async fn an_unknown_group_has_come_nowhere() {
    let (listener, address) = listen().await;
    let client = RemotingClient::connect(&address, RemotingOptions::default())
        .await
        .unwrap();
    let mut peer = Peer::accept(&listener).await;
    for (code, offset) in [
        (ResponseCode::QueryNotFound, None),
        (ResponseCode::Success, Some(7)),
    ] {
        let answering = async {
            let request = peer.next().await.unwrap();
            let answer = request
                .response(code)
                .with_header(&OffsetResponse { offset: 7 });
            peer.write(&answer).await;
        };
        let (found, ()) = tokio::join!(client.consumer_offset("g", "orders", 0), answering);
        assert_eq!(found.unwrap(), offset);
    }
}
