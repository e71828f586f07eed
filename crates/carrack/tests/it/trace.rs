//! What the server tells of gRPC clients' messages: traces, seen by `carrack message trace`, and
//! spans, as a collector gets them.

use std::time::{Duration, Instant};

use client::grpc::{GrpcClient, GrpcOptions};
use hyper::server::conn::http2;
use hyper_util::{
    rt::{TokioExecutor, TokioIo},
    service::TowerToHyperService,
};
use tokio::{net::TcpListener, sync::mpsc};
use tonic::{Request, Response, Status};
use wire::{
    grpc_v2::{
        AckMessageEntry, AckMessageRequest, Encoding, Message, MessageQueue, MessageType,
        ReceiveMessageRequest, Resource, SendMessageRequest, SystemProperties,
    },
    otlp::{
        collector::trace::v1::{
            ExportTraceServiceRequest, ExportTraceServiceResponse,
            trace_service_server::{TraceService, TraceServiceServer},
        },
        trace::v1::ResourceSpans,
    },
};

use crate::support::{Server, carrack};

/// How long traces may take on a busy machine.
const PATIENCE: Duration = Duration::from_secs(30);

fn resource(name: &str) -> Option<Resource> {
    Some(Resource {
        resource_namespace: String::new(),
        name: name.to_owned(),
    })
}

/// Sends a message with that id, receives it and acknowledges it.
async fn send_and_consume(server: &str, id: &str) {
    let client = GrpcClient::connect(server, GrpcOptions::default());
    let client = client.await.unwrap();
    let message = Message {
        topic: resource("orders"),
        system_properties: Some(SystemProperties {
            message_id: id.to_owned(),
            message_type: MessageType::Normal.into(),
            body_encoding: Encoding::Identity.into(),
            keys: vec!["order-7".to_owned()],
            ..Default::default()
        }),
        body: "traced".into(),
        ..Default::default()
    };
    let messages = vec![message];
    client.send(SendMessageRequest { messages }).await.unwrap();
    let request = ReceiveMessageRequest {
        group: resource("billing"),
        message_queue: Some(MessageQueue {
            topic: resource("orders"),
            ..Default::default()
        }),
        batch_size: 1,
        invisible_duration: Some(prost_types::Duration {
            seconds: 30,
            nanos: 0,
        }),
        long_polling_timeout: Some(prost_types::Duration {
            seconds: 3,
            nanos: 0,
        }),
        ..Default::default()
    };
    let received = client.receive(request).await.unwrap();
    let properties = received[0].system_properties.as_ref().unwrap();
    let entry = AckMessageEntry {
        message_id: properties.message_id.clone(),
        receipt_handle: properties.receipt_handle.clone().unwrap(),
        ..Default::default()
    };
    let acked = client.ack(AckMessageRequest {
        group: resource("billing"),
        topic: resource("orders"),
        entries: vec![entry],
    });
    acked.await.unwrap();
}

#[test]
#[expect(
    clippy::disallowed_methods,
    reason = "a test of the real server runs in real time"
)]
fn the_way_of_a_message_of_grpc_clients_is_shown() {
    const ID: &str = "01BB6E6C8B03D40A1C05F6F3A400000000";
    let data = tempfile::tempdir().unwrap();
    let mut command = carrack(&["server", "--data", data.path().to_str().unwrap()]);
    command.args(["--listen", "127.0.0.1:0"]);
    command.env("CARRACK_MESSAGE_TRACE", "true");
    let server = Server::spawn(command);
    let runtime = tokio::runtime::Runtime::new().unwrap();
    runtime.block_on(send_and_consume(&server.address(), ID));
    let begun = Instant::now();
    let steps = loop {
        let ended = server.run(&["message", "trace", ID, "--output", "json"]);
        let steps: Vec<serde_json::Value> = match ended.code {
            Some(0) => serde_json::from_str(&ended.out).unwrap(),
            // The topic, or the trace, is not there yet.
            _ => Vec::new(),
        };
        if steps.len() == 3 {
            break steps;
        }
        assert!(begun.elapsed() < PATIENCE, "{steps:?} {}", ended.err);
    };
    let of = |index: usize| {
        let step = &steps[index];
        (step["step"].as_str().unwrap(), step["success"].as_bool())
    };
    assert_eq!(of(0), ("send", Some(true)));
    assert_eq!(of(1), ("receive", None));
    assert_eq!(of(2), ("consume", Some(true)));
    assert_eq!(steps[0]["topic"], "orders");
    assert_eq!(steps[1]["group"], "billing");
    assert_eq!(steps[1]["request_id"], steps[2]["request_id"]);
    for step in &steps {
        assert_eq!(step["message_id"], ID);
        assert!(step["host"].as_str().unwrap().starts_with("127.0.0.1:"));
    }
    let by_key = server.json(&["message", "trace", "order-7"]);
    assert_eq!(by_key.as_array().unwrap().len(), 3);
    server.stop();
}

/// A collector that keeps what it gets.
#[derive(Clone)]
struct Collector(mpsc::UnboundedSender<ResourceSpans>);

#[tonic::async_trait]
impl TraceService for Collector {
    async fn export(
        &self,
        request: Request<ExportTraceServiceRequest>,
    ) -> Result<Response<ExportTraceServiceResponse>, Status> {
        for spans in request.into_inner().resource_spans {
            self.0.send(spans).unwrap();
        }
        Ok(Response::new(ExportTraceServiceResponse::default()))
    }
}

async fn collect(listener: TcpListener, collector: Collector) {
    loop {
        let (stream, _) = listener.accept().await.unwrap();
        let service = TowerToHyperService::new(TraceServiceServer::new(collector.clone()));
        let serving = http2::Builder::new(TokioExecutor::new())
            .serve_connection(TokioIo::new(stream), service);
        tokio::spawn(serving);
    }
}

#[test]
fn spans_reach_the_collector_that_is_set() {
    const ID: &str = "01BB6E6C8B03D40A1C05F6F3A400000001";
    let runtime = tokio::runtime::Runtime::new().unwrap();
    let listener = runtime.block_on(TcpListener::bind("127.0.0.1:0")).unwrap();
    let endpoint = format!("http://{}", listener.local_addr().unwrap());
    let (out, mut given) = mpsc::unbounded_channel();
    runtime.spawn(collect(listener, Collector(out)));

    let data = tempfile::tempdir().unwrap();
    let mut command = carrack(&["server", "--data", data.path().to_str().unwrap()]);
    command.args(["--listen", "127.0.0.1:0"]);
    command.env("CARRACK_SPANS_ENDPOINT", endpoint);
    command.env("CARRACK_SPANS_SAMPLED_PERCENT", "100");
    let server = Server::spawn(command);
    runtime.block_on(send_and_consume(&server.address(), ID));
    // What is on its way is given before the server ends.
    server.stop();
    let mut names = Vec::new();
    while let Ok(given) = given.try_recv() {
        let service = &given.resource.unwrap().attributes[0];
        assert_eq!(service.key, "service.name");
        let spans = given.scope_spans.into_iter().flat_map(|scope| scope.spans);
        names.extend(spans.map(|span| span.name));
    }
    assert_eq!(names, ["send orders", "receive orders", "process orders"]);
}
