//! Traces that the server writes for gRPC clients, where it is told to.

use base::TopicName;
use broker::{QueryRequest, TopicSpec, TopicType};
use wire::{
    grpc_v2::{self as v2, ClientType, Code},
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
