//! Requests over HTTP, taken through the front ends up to the broker: gRPC, the ONS HTTP plane and
//! the OpenAPIs of both series.
//!
//! The instance has no shard, so that whatever a request asks for ends there: what is fuzzed is
//! how requests are read, checked and turned into the core's, and how refusals are told.

use std::net::{Ipv4Addr, SocketAddr};
use std::pin::pin;
use std::sync::Arc;
use std::sync::atomic::{AtomicU64, Ordering};
use std::time::Duration;

use base::{Clock, GroupName, InstanceId, Sleep, Timestamp, TopicName};
use broker::{GroupSpec, Instance, InstanceSettings, Router, TopicSpec};
use bytes::Bytes;
use gateway::{ConnectionInfo, Front, FrontSettings, HttpRequests};
use http::{Request, StatusCode};
use http_body_util::{BodyExt, Full};
use prost::Message;
use store::{fs::FolderDisk, meta::EmbeddedMetadata};
use wire::{grpc_v1 as v1, grpc_v2 as v2};

use super::note;

/// How often an answer that is not there yet is asked for again. Nothing here waits for anything
/// but the clock, whose waits are over at once.
const POLLS_MAX: usize = 256;

/// RPCs of protocol v1, by the first byte of an input: `A` is the first one.
const RPCS_V1: &[&str] = &[
    "QueryRoute",
    "Heartbeat",
    "HealthCheck",
    "SendMessage",
    "QueryAssignment",
    "ReceiveMessage",
    "AckMessage",
    "NackMessage",
    "ForwardMessageToDeadLetterQueue",
    "EndTransaction",
    "QueryOffset",
    "PullMessage",
    "PollCommand",
    "ReportThreadStackTrace",
    "ReportMessageConsumptionResult",
    "NotifyClientTermination",
    "ChangeInvisibleDuration",
];

/// The same of protocol v2.
const RPCS_V2: &[&str] = &[
    "QueryRoute",
    "Heartbeat",
    "Telemetry",
    "SendMessage",
    "QueryAssignment",
    "ReceiveMessage",
    "AckMessage",
    "ChangeInvisibleDuration",
    "ForwardMessageToDeadLetterQueue",
    "EndTransaction",
    "QueryOffset",
    "PullMessage",
    "RecallMessage",
    "SyncLiteSubscription",
    "UpdateOffset",
    "NotifyClientTermination",
    "GetOffset",
];

/// A request of protocol v1: which RPC, and its message.
pub(super) fn grpc_v1(input: &[u8]) {
    let Some(answer) = grpc("apache.rocketmq.v1", RPCS_V1, input) else {
        return;
    };
    // Every answer has its status in the same field; the rest is not looked at.
    let read = v1::HealthCheckResponse::decode(answer);
    let status = read.expect("an answer can be read").common;
    if let Some(status) = status.and_then(|common| common.status) {
        note(rpc_code(status.code));
        note(status.message);
    }
}

/// A request of protocol v2: which RPC, and its message.
pub(super) fn grpc_v2(input: &[u8]) {
    let Some(answer) = grpc("apache.rocketmq.v2", RPCS_V2, input) else {
        return;
    };
    let Ok(read) = v2::HeartbeatResponse::decode(answer) else {
        // A stream's answer has its status elsewhere.
        return;
    };
    if let Some(status) = read.status {
        note(status.code().as_str_name());
        note(status.message);
    }
}

/// A request of the ONS HTTP plane.
pub(super) fn ons_http_request(input: &[u8]) {
    let Some((_, text)) = plain(input) else {
        return;
    };
    let code = element(&text, "Code");
    note(code.unwrap_or_default());
    note(element(&text, "Message").unwrap_or_default());
    let is_fault = matches!(code, Some("InternalError" | "InternalServerError"));
    assert!(!is_fault || text.contains("no shard"), "{text}");
}

/// A request of the OpenAPI, of either signature; nothing here asks for one.
pub(super) fn openapi_request(input: &[u8]) {
    // Else it is a request of nobody's, or of another plane.
    let Some((answer, text)) = plain(input).filter(|(answer, _)| answer.is_openapi) else {
        return;
    };
    let json = serde_json::from_str::<serde_json::Value>(&text);
    if json.as_ref().is_ok_and(|json| !json["requestId"].is_null()) {
        // The other OpenAPI's.
        return;
    }
    // Answers are good in one of the two forms, and errors as well.
    let is_xml = text.starts_with("<?xml");
    assert!(is_xml || json.is_ok(), "{text}");
    if answer.status.is_success() {
        return note("done");
    }
    match json {
        Ok(json) => {
            note(json["Code"].as_str().expect("an error has a code"));
            note(json["Message"].as_str().expect("an error has a text"));
        }
        Err(_) => {
            note(element(&text, "Code").expect("an error has a code"));
            note(element(&text, "Message").unwrap_or_default());
        }
    }
}

/// A request of the OpenAPI of the 5.x series: what is wrong with it is its sender's fault, and is
/// told in the one shape.
pub(super) fn control_request(input: &[u8]) {
    let Some((answer, text)) = plain(input).filter(|(answer, _)| answer.is_openapi) else {
        return;
    };
    let Ok(json) = serde_json::from_str::<serde_json::Value>(&text) else {
        // The other OpenAPI's.
        return;
    };
    if json["requestId"].is_null() {
        return;
    }
    assert_eq!(json["httpStatusCode"], answer.status.as_u16(), "{text}");
    assert_eq!(json["success"], answer.status.is_success(), "{text}");
    let is_fault = answer.status.is_server_error();
    assert!(!is_fault || text.contains("no shard"), "{text}");
    note(json["code"].as_str().expect("every answer has a code"));
    note(json["message"].as_str().expect("every answer has a text"));
}

fn element<'a>(text: &'a str, name: &str) -> Option<&'a str> {
    let (_, rest) = text.split_once(&format!("<{name}>"))?;
    rest.split_once('<').map(|(value, _)| value)
}

/// What is answered to a request as it stands on the wire, without lengths: a line of method and
/// target, headers, an empty line, the body.
fn plain(input: &[u8]) -> Option<(Answer, String)> {
    let end = input.windows(2).position(|pair| pair == b"\n\n");
    let (head, body) = match end {
        Some(end) => (&input[..end], &input[end + 2..]),
        None => (input, &[][..]),
    };
    let mut lines = str::from_utf8(head).ok()?.lines();
    let (method, target) = lines.next()?.split_once(' ')?;
    let mut request = Request::builder().method(method).uri(target);
    for line in lines {
        if let Some((name, value)) = line.split_once(": ") {
            request = request.header(name, value);
        }
    }
    let body = Full::new(Bytes::copy_from_slice(body));
    // What cannot be made is what hyper would not let in.
    let answer = answer(request.body(body).ok()?)?;
    note(answer.status.as_str().starts_with('2'));
    let text = String::from_utf8(answer.body.to_vec()).expect("an answer is a text");
    Some((answer, text))
}

fn rpc_code(code: i32) -> &'static str {
    tonic::Code::from_i32(code).description()
}

struct Answer {
    status: StatusCode,
    grpc_status: Option<i32>,
    /// Whether the OpenAPI has answered.
    is_openapi: bool,
    body: Bytes,
}

/// The first message of the answer to a gRPC request, if it has one.
fn grpc(package: &str, rpcs: &[&str], input: &[u8]) -> Option<Bytes> {
    let (choice, message) = input.split_first()?;
    let rpc = rpcs.get(usize::from(choice.wrapping_sub(b'A')))?;
    note(rpc);
    let mut framed = Vec::with_capacity(5 + message.len());
    framed.push(0);
    framed.extend_from_slice(&(message.len() as u32).to_be_bytes());
    framed.extend_from_slice(message);
    let request = Request::post(format!("/{package}.MessagingService/{rpc}"))
        .header("content-type", "application/grpc")
        .header("x-mq-client-id", "fuzz")
        .header("x-mq-language", "JAVA")
        .body(Full::new(Bytes::from(framed)));
    let answer = answer(request.expect("all of it is well-formed"))?;
    assert_eq!(answer.status, StatusCode::OK);
    note(answer.grpc_status.map_or("none", rpc_code));
    let head = answer.body.get(..5)?;
    assert_eq!(head[0], 0, "nobody asked for compression");
    let length = u32::from_be_bytes(head[1..].try_into().expect("four bytes")) as usize;
    Some(answer.body.slice(5..5 + length))
}

thread_local! {
    static SERVER: Server = Server::new();
}

/// What answers requests. Clients are remembered between inputs, and forgotten as time passes.
struct Server {
    requests: HttpRequests,
    clock: Arc<LeapingClock>,
    runtime: tokio::runtime::Runtime,
    _folder: tempfile::TempDir,
}

impl Server {
    fn new() -> Self {
        let folder = tempfile::tempdir().expect("a folder for metadata");
        let clock = Arc::new(LeapingClock::default());
        let runtime = tokio::runtime::Builder::new_current_thread()
            .build()
            .expect("a runtime without drivers");
        let router = Arc::new(Router::default());
        for id in ["default", "MQ_INST_1_a"] {
            let path = folder.path().join(id);
            router.add(runtime.block_on(instance(&path, id, clock.clone())));
        }
        let front = Front::new(router, clock.clone(), FrontSettings::default());
        let here = SocketAddr::from((Ipv4Addr::LOCALHOST, 8_081));
        let connection = ConnectionInfo {
            id: front.next_connection_id(),
            peer: here,
            local: here,
            tls: false,
            admin: false,
            trusted: false,
        };
        Self {
            requests: HttpRequests::new(Arc::new(front), connection),
            clock,
            runtime,
            _folder: folder,
        }
    }

    async fn answer(&self, request: Request<Full<Bytes>>) -> Option<Answer> {
        let work = async {
            let (head, body): (_, tonic::body::Body) =
                self.requests.answer(request).await.into_parts();
            let grpc_status = |headers: &http::HeaderMap| {
                let status = headers.get("grpc-status")?.to_str().ok()?;
                status.parse().ok()
            };
            let mut status = grpc_status(&head.headers);
            let body = body.collect().await.ok()?;
            status = status.or_else(|| body.trailers().and_then(grpc_status));
            Some(Answer {
                status: head.status,
                grpc_status: status,
                is_openapi: head.headers.contains_key("x-acs-request-id"),
                body: body.to_bytes(),
            })
        };
        let mut work = pin!(work);
        for _ in 0..POLLS_MAX {
            tokio::select! {
                biased;
                answer = work.as_mut() => return answer,
                () = tokio::task::yield_now() => {}
            }
        }
        // A stream that stays open.
        note("open");
        None
    }
}

async fn instance(path: &std::path::Path, id: &str, clock: Arc<LeapingClock>) -> Arc<Instance> {
    std::fs::create_dir_all(path).expect("a folder of its own");
    let disk = FolderDisk::open(path).expect("nobody else has it");
    let metadata = EmbeddedMetadata::open(disk, clock.clone()).expect("it is empty");
    let id = InstanceId::new(id).expect("a valid id");
    let settings = InstanceSettings::default();
    let opened = Instance::open(id, settings, metadata, clock).await;
    let instance = opened.expect("it is empty");
    let topic = TopicName::new("orders").expect("a valid name");
    let topic = instance.create_topic(TopicSpec::new(topic, 4)).await;
    topic.expect("it is the first one");
    let group = GroupName::new("GID_a").expect("a valid name");
    let group = instance.create_group(GroupSpec::new(group)).await;
    group.expect("it is the first one");
    instance
}

fn answer(request: Request<Full<Bytes>>) -> Option<Answer> {
    SERVER.with(|server| {
        server.clock.leap(Duration::from_secs(1));
        server.runtime.block_on(server.answer(request))
    })
}

/// Makes the server before anything is measured.
pub(super) fn prepare() {
    SERVER.with(|_| ());
}

/// Time that goes on by itself when somebody waits for it.
#[derive(Default)]
struct LeapingClock(AtomicU64);

impl LeapingClock {
    fn leap(&self, duration: Duration) {
        let ms = u64::try_from(duration.as_millis()).unwrap_or(u64::MAX);
        // A century at most: no duration makes time wrap.
        self.0
            .fetch_add(ms.min(3_153_600_000_000), Ordering::Relaxed);
    }
}

impl Clock for LeapingClock {
    fn now(&self) -> Timestamp {
        // Fri, 02 Jan 2026 03:04:05 GMT
        Timestamp::from_ms(1_767_323_045_000).after(self.elapsed())
    }

    fn elapsed(&self) -> Duration {
        Duration::from_millis(self.0.load(Ordering::Relaxed))
    }

    fn sleep(&self, duration: Duration) -> Sleep {
        self.leap(duration);
        Box::pin(tokio::task::yield_now())
    }
}
