//! Traces that the server writes for gRPC clients, where it is told to.

use std::{convert::Infallible, sync::Arc};

use base::{Clock, TopicName, limits};
use broker::{QueryRequest, TopicSpec, TopicType};
use gateway::{ConnectionInfo, Front, FrontSettings, HttpRequests};
use http_body_util::BodyExt;
use wire::{
    grpc_v2::{
        self as v2, ClientType, Code, TransactionResolution, TransactionSource,
        messaging_service_client::MessagingServiceClient,
    },
    message::{TraceKind, trace_records},
};

use super::{Sdk, code, handle, message, receive, resource, session::consumer_settings};
use crate::support::{Server, Setup, soon};

const TRACE_TOPIC: &str = "RMQ_SYS_TRACE_TOPIC";

/// A trace record: kind, success, and what joins receipt and end.
pub(crate) type Record = (TraceKind, Option<bool>, Option<String>);

pub(crate) async fn traced() -> Server {
    Server::with(Setup {
        message_trace: true,
        ..Setup::default()
    })
    .await
}

/// The records about that message, once there are so many of them.
pub(crate) async fn records(server: &Server, id: &str, count: usize) -> Vec<Record> {
    let shard = server.instance.shards().remove(0);
    soon("records", async {
        loop {
            let request = QueryRequest {
                topic: TopicName::new(TRACE_TOPIC).unwrap(),
                key: id.to_owned(),
                max_messages: 64,
                from: base::Timestamp::from_ms(0),
                to: base::Timestamp::from_ms(i64::MAX),
            };
            let mut found = Vec::new();
            // The topic comes with the first record.
            for message in shard.query(request).await.unwrap_or_default().iter().rev() {
                let body = String::from_utf8(message.body().to_vec()).unwrap();
                let about = trace_records(&body).filter(|record| record.message_id == id);
                found.extend(about.map(|record| {
                    let request = record.request_id.map(str::to_owned);
                    (record.kind, record.success, request)
                }));
            }
            if found.len() >= count {
                return found;
            }
            tokio::task::yield_now().await;
        }
    })
    .await
}

#[tokio::test]
async fn a_message_is_traced_from_send_to_ack() {
    let server = traced().await;
    let mut sdk = Sdk::connect(&server, "traced").await;
    sdk.send_one("orders", "one").await;
    let taken = sdk.take("orders", "billing", 1).await;
    sdk.change_invisible_duration("orders", "billing", handle(&taken[0]), 30)
        .await;
    let answer = sdk.ack("orders", "billing", &[handle(&taken[0])]).await;
    // The handle was renewed: this is no end of the consumption.
    assert_ne!(code(&answer.status), Code::Ok);
    sdk.send_one("orders", "two").await;
    let taken = sdk.take("orders", "billing", 1).await;
    // The end is recorded by itself, and found by the id that the receipt said, whatever the
    // client says with its ack.
    records(&server, "id-two", 2).await;
    let answer = sdk.ack("orders", "billing", &[handle(&taken[0])]).await;
    assert_eq!(code(&answer.status), Code::Ok);
    let found = records(&server, "id-two", 3).await;
    let joined = found[1].2.clone();
    assert!(joined.is_some());
    assert_eq!(
        found,
        [
            (TraceKind::Send, Some(true), None),
            (TraceKind::Receive, None, joined.clone()),
            (TraceKind::Consume, Some(true), joined),
        ]
    );
    assert_eq!(records(&server, "id-one", 2).await.len(), 2);
    soon("all to be counted", async {
        loop {
            let page = crate::http::request(&server, "GET /metrics").await.1;
            assert!(
                page.contains("carrack_message_traces_lost_total{} 0"),
                "{page}"
            );
            if page.contains("carrack_message_traces_written_total{} 5") {
                return;
            }
        }
    })
    .await;
}

/// All records in the trace topic that hold `text`.
pub(crate) async fn records_with(server: &Server, id: &str, text: &str) -> usize {
    let shard = server.instance.shards().remove(0);
    let request = QueryRequest {
        topic: TopicName::new(TRACE_TOPIC).unwrap(),
        key: id.to_owned(),
        max_messages: 64,
        from: base::Timestamp::from_ms(0),
        to: base::Timestamp::from_ms(i64::MAX),
    };
    let found = shard.query(request).await.unwrap();
    let bodies = found.iter().map(|message| message.body());
    let bodies = bodies.map(|body| String::from_utf8(body.to_vec()).unwrap());
    bodies.map(|body| body.matches(text).count()).sum()
}

#[tokio::test]
async fn what_becomes_of_half_and_timed_messages_is_traced() {
    let server = traced().await;
    let mut sdk = Sdk::connect(&server, "traced").await;
    let half = sdk.send_half("orders", "half").await;
    let (unknown, asked) = (
        TransactionResolution::Unspecified,
        TransactionSource::SourceServerCheck,
    );
    assert_eq!(
        code(&sdk.end("orders", &half, unknown, asked).await),
        Code::Ok
    );
    assert_eq!(code(&sdk.commit("orders", &half).await), Code::Ok);
    // There is nothing left to end, and so nothing to tell.
    assert_ne!(code(&sdk.commit("orders", &half).await), Code::Ok);
    let ended = (TraceKind::EndTransaction, None, None);
    let sent = (TraceKind::Send, Some(true), None);
    assert_eq!(
        records(&server, "id-half", 3).await,
        [sent.clone(), ended.clone(), ended]
    );
    for (state, from_check) in [("UNKNOW", true), ("COMMIT_MESSAGE", false)] {
        let record = format!("\u{1}{half}\u{1}{state}\u{1}{from_check}\u{2}");
        assert_eq!(records_with(&server, "id-half", &record).await, 1);
    }

    let mut timed = message("orders", "timed");
    let system = timed.system_properties.get_or_insert_default();
    system.message_type = v2::MessageType::Delay.into();
    system.delivery_timestamp = Some(prost_types::Timestamp {
        seconds: server.clock.now().ms() / 1_000 + 60,
        nanos: 0,
    });
    let waiting = sdk.send(vec![timed]).await.entries.remove(0);
    let request = sdk.request(v2::RecallMessageRequest {
        topic: resource("orders"),
        recall_handle: waiting.recall_handle,
    });
    let answer = soon("recall", sdk.client.recall_message(request)).await;
    assert_eq!(code(&answer.unwrap().into_inner().status), Code::Ok);
    assert_eq!(
        records(&server, "id-timed", 2).await,
        [sent, (TraceKind::Recall, Some(true), None)]
    );
}

#[tokio::test]
async fn traces_without_room_are_lost_and_counted_and_nobody_waits() {
    const BATCH: usize = 2_048;
    let server = Server::start().await;
    // A front of its own, that nobody serves: nothing takes its traces out of their queue.
    let settings = FrontSettings {
        message_trace: true,
        ..FrontSettings::default()
    };
    let router = server.front.router.clone();
    let front = Arc::new(Front::new(router, server.clock.clone(), settings));
    let connection = ConnectionInfo {
        id: front.next_connection_id(),
        peer: server.address,
        local: server.address,
        tls: false,
        admin: false,
        trusted: false,
    };
    let requests = HttpRequests::new(front, connection);
    let answering = requests.clone();
    let mut client = MessagingServiceClient::new(tower::service_fn(move |request| {
        let requests = answering.clone();
        async move { Ok::<_, Infallible>(requests.answer::<tonic::body::Body>(request).await) }
    }));
    let mut send = async |count: usize| {
        let messages = (0..count).map(|number| message("orders", &number.to_string()));
        let mut request = tonic::Request::new(v2::SendMessageRequest {
            messages: messages.collect(),
        });
        request
            .metadata_mut()
            .insert("x-mq-client-id", "sdk".parse().unwrap());
        let answer = soon("send", client.send_message(request)).await;
        let answer = answer.unwrap().into_inner();
        assert_eq!(code(&answer.status), Code::Ok);
        answer.entries.len()
    };
    let lost = async || {
        let request = http::Request::get("/metrics").body(tonic::body::Body::empty());
        let page = requests.answer(request.unwrap()).await.into_body();
        let page = page.collect().await.unwrap().to_bytes();
        let page = String::from_utf8(page.to_vec()).unwrap();
        let name = "carrack_message_traces_lost_total{} ";
        let line = page.lines().find_map(|line| line.strip_prefix(name));
        line.unwrap().parse::<u64>().unwrap()
    };
    for _ in 0..limits::TRACE_EVENTS_QUEUED_MAX / BATCH {
        assert_eq!(send(BATCH).await, BATCH);
    }
    assert_eq!(lost().await, 0);
    assert_eq!(send(3).await, 3);
    assert_eq!(lost().await, 3);
}

#[tokio::test]
async fn what_fails_is_traced_as_failed() {
    let server = traced().await;
    let mut spec = TopicSpec::new(TopicName::new("timed").unwrap(), 4);
    spec.topic_type = Some(TopicType::Delay);
    server.instance.create_topic(spec).await.unwrap();
    let mut sdk = Sdk::connect(&server, "listener").await;
    let answer = sdk.send(vec![message("timed", "refused")]).await;
    assert_eq!(code(&answer.status), Code::MessagePropertyConflictWithType);
    assert_eq!(
        records(&server, "id-refused", 1).await,
        [(TraceKind::Send, Some(false), None)]
    );
    // A push consumer whose listener fails.
    let mut talk = sdk.telemetry().await;
    let mut settings = consumer_settings("billing", "orders");
    settings.client_type = Some(ClientType::PushConsumer.into());
    talk.settle(settings).await;
    sdk.send_one("orders", "one").await;
    let asked = v2::ReceiveMessageRequest {
        auto_renew: true,
        ..receive("orders", "billing", 1)
    };
    let receipt = sdk.receive(asked).await;
    let request = sdk.request(v2::ChangeInvisibleDurationRequest {
        group: resource("billing"),
        topic: resource("orders"),
        receipt_handle: handle(&receipt.messages[0]).to_owned(),
        message_id: "id-one".to_owned(),
        invisible_duration: Some(prost_types::Duration {
            seconds: 10,
            nanos: 0,
        }),
        ..Default::default()
    });
    let answer = soon("change", sdk.client.change_invisible_duration(request)).await;
    assert_eq!(code(&answer.unwrap().into_inner().status), Code::Ok);
    let found = records(&server, "id-one", 3).await;
    assert_eq!((found[2].0, found[2].1), (TraceKind::Consume, Some(false)));
    assert_eq!(found[2].2, found[1].2);
}

#[tokio::test]
async fn nothing_is_traced_unless_it_is_asked_for_and_a_drain_writes_the_rest() {
    let server = Server::start().await;
    let mut sdk = Sdk::connect(&server, "sdk").await;
    sdk.send_one("orders", "one").await;
    let topic = TopicName::new(TRACE_TOPIC).unwrap();
    assert!(server.instance.topic(&topic).is_none());

    let mut server = traced().await;
    let mut sdk = Sdk::connect(&server, "sdk").await;
    sdk.send_one("orders", "one").await;
    drop(sdk);
    server.drain(std::time::Duration::from_secs(5)).await;
    let shard = server.instance.shards().remove(0);
    let request = QueryRequest {
        topic,
        key: "id-one".to_owned(),
        max_messages: 64,
        from: base::Timestamp::from_ms(0),
        to: base::Timestamp::from_ms(i64::MAX),
    };
    assert_eq!(shard.query(request).await.unwrap().len(), 1);
}

#[tokio::test]
async fn spans_follow_a_message_in_the_trace_that_it_brings() {
    const TRACE: &str = "0af7651916cd43dd8448eb211c80319c";
    let (out, mut spans) = tokio::sync::mpsc::channel(64);
    let server = Server::with(Setup {
        spans: Some(out),
        ..Setup::default()
    })
    .await;
    let mut sdk = Sdk::connect(&server, "sdk").await;
    let mut brought = message("orders", "one");
    let context = format!("00-{TRACE}-b7ad6b7169203331-01");
    let properties = [("traceparent".to_owned(), context.clone())];
    brought.user_properties = properties.into_iter().collect();
    sdk.send(vec![brought]).await;
    let taken = sdk.take("orders", "billing", 1).await;
    assert_eq!(taken[0].user_properties["traceparent"], context);
    sdk.ack("orders", "billing", &[handle(&taken[0])]).await;
    sdk.send_one("orders", "two").await;
    let mut found = Vec::new();
    soon("spans", async {
        while found.len() < 4 {
            found.extend(spans.recv().await.unwrap());
        }
    })
    .await;
    let names: Vec<&str> = found.iter().map(|span| span.name.as_str()).collect();
    assert_eq!(
        names,
        [
            "send orders",
            "receive orders",
            "process orders",
            "send orders"
        ]
    );
    let hex = |bytes: &[u8]| bytes.iter().map(|b| format!("{b:02x}")).collect::<String>();
    for span in &found[..3] {
        assert_eq!(hex(&span.trace_id), TRACE);
        assert!(span.start_time_unix_nano <= span.end_time_unix_nano);
        let has = |key: &str| span.attributes.iter().any(|one| one.key == key);
        assert!(
            has("messaging.system") && has("messaging.message.id"),
            "{span:?}"
        );
        assert!(span.status.is_none());
    }
    assert_eq!(hex(&found[0].parent_span_id), "b7ad6b7169203331");
    assert_eq!(found[1].parent_span_id, found[0].span_id);
    assert_eq!(found[2].parent_span_id, found[1].span_id);
    assert_eq!(hex(&found[2].links[0].span_id), "b7ad6b7169203331");
    // One without a trace begins its own.
    assert_ne!(hex(&found[3].trace_id), TRACE);
    assert_eq!(
        (found[3].parent_span_id.len(), found[3].trace_id.len()),
        (0, 16)
    );
    let topic = TopicName::new(TRACE_TOPIC).unwrap();
    assert!(
        server.instance.topic(&topic).is_none(),
        "spans need no trace topic"
    );
}
