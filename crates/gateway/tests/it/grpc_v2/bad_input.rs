//! Bad input: what is no message, what lacks its headers, what is too large, and who reads nothing.
//! Each gets its code, the connection goes on, and others are not harmed. Signatures are tried in
//! `access/grpc_v2.rs`, limits of single fields in `limits.rs`.

use base::limits;
use bytes::{BufMut, Bytes, BytesMut};
use futures::{channel::mpsc, stream};
use http_body_util::{BodyExt, Full};
use tonic::{Request, body::Body};
use wire::grpc_v2::{
    self as v2, Code, pull_message_response, receive_message_response::Content, settings::PubSub,
    telemetry_command::Command,
};

use super::{
    Channel, Sdk, bodies, code, message, receive, resource,
    session::{consumer_settings, producer_settings},
    text,
};
use crate::support::{Server, soon};

const MESSAGING: &str = "apache.rocketmq.v2.MessagingService";
const MESSAGING_CALLS: [&str; 16] = [
    "QueryRoute",
    "Heartbeat",
    "SendMessage",
    "QueryAssignment",
    "ReceiveMessage",
    "AckMessage",
    "ForwardMessageToDeadLetterQueue",
    "PullMessage",
    "UpdateOffset",
    "GetOffset",
    "QueryOffset",
    "EndTransaction",
    "NotifyClientTermination",
    "ChangeInvisibleDuration",
    "RecallMessage",
    "SyncLiteSubscription",
];

const ADMIN: &str = "apache.rocketmq.v2.Admin";
const ADMIN_CALLS: [&str; 16] = [
    "ChangeLogLevel",
    "DescribeTopicStatus",
    "ListSubscription",
    "DescribeSubscription",
    "DeleteSubscription",
    "DescribeGroupAccumulation",
    "ListConsumerConnection",
    "ResetGroupOffset",
    "QueryMessage",
    "PrintThreadStackTrace",
    "VerifyMessage",
    "AdminSendMessage",
    "GetConsumerRunningInfo",
    "GetTopicRoute",
    "QueryTimeSpan",
    "GetProxyRuntimeStats",
];

fn calls() -> impl Iterator<Item = (&'static str, &'static str)> {
    let messaging = MESSAGING_CALLS.into_iter().chain(["Telemetry"]);
    let messaging = messaging.map(|call| (MESSAGING, call));
    messaging.chain(ADMIN_CALLS.map(|call| (ADMIN, call)))
}

/// A frame of gRPC around `payload`, which says that it has `length` bytes.
fn frame(flag: u8, length: usize, payload: &[u8]) -> Bytes {
    let mut frame = BytesMut::new();
    frame.put_u8(flag);
    frame.put_u32(u32::try_from(length).unwrap());
    frame.put_slice(payload);
    frame.freeze()
}

/// Sends bytes to a call and returns the code of gRPC that it ends with.
pub(crate) async fn raw(channel: &Channel, service: &str, call: &str, body: Bytes) -> tonic::Code {
    let request = http::Request::post(format!("http://server/{service}/{call}"))
        .header("content-type", "application/grpc")
        .header("te", "trailers")
        .header("x-mq-client-id", "c")
        .header("x-mq-language", "JAVA")
        .body(Body::new(Full::new(body)))
        .unwrap();
    let mut sender = channel.0.clone();
    let response = soon("response", sender.send_request(request))
        .await
        .unwrap();
    let (head, body) = response.into_parts();
    let body = soon("body", body.collect()).await.unwrap();
    let trailers = body.trailers();
    let status = head
        .headers
        .get("grpc-status")
        .or_else(|| trailers.and_then(|trailers| trailers.get("grpc-status")))
        .expect("every call ends with a status");
    tonic::Code::from_bytes(status.as_bytes())
}

#[tokio::test]
async fn what_is_no_message_is_refused_and_the_connection_goes_on() {
    let server = Server::start().await;
    let mut sdk = Sdk::connect(&server, "c").await;
    // A field of a wire type that there is not, a text that is not UTF-8, a length past the end.
    let payloads: [&[u8]; 3] = [&[0xff, 0xff, 0xff, 0xff], &[0x0f, 0x01], &[0x0a, 0x7f]];
    for (service, call) in calls() {
        for payload in payloads {
            let body = frame(0, payload.len(), payload);
            let code = raw(&sdk.channel, service, call, body).await;
            // Nothing is a field of the empty request, and so unknown, but must still be one.
            assert_eq!(code, tonic::Code::Internal, "{call} {payload:?}");
        }
        // The frame ends before it should.
        let code = raw(&sdk.channel, service, call, frame(0, 100, &[0; 10])).await;
        assert_ne!(code, tonic::Code::Ok, "{call}");
        // Compressed, which nobody agreed on; and a flag that there is not.
        for flag in [1, 7] {
            let code = raw(&sdk.channel, service, call, frame(flag, 1, &[0])).await;
            assert_ne!(code, tonic::Code::Ok, "{call}");
        }
        // More than is taken, as the first five bytes say: nothing is waited for.
        for length in [limits::GRPC_REQUEST_BYTES_MAX + 1, u32::MAX as usize] {
            let code = raw(&sdk.channel, service, call, frame(0, length, &[0; 10])).await;
            assert_eq!(code, tonic::Code::OutOfRange, "{call} {length}");
        }
    }
    for (service, call) in [
        (MESSAGING, "NoSuchCall"),
        (ADMIN, "NoSuchCall"),
        ("apache.rocketmq.v9.MessagingService", "SendMessage"),
    ] {
        let code = raw(&sdk.channel, service, call, frame(0, 0, &[])).await;
        assert_eq!(code, tonic::Code::Unimplemented, "{call}");
    }
    sdk.send_one("orders", "well").await;
    assert_eq!(server.front.connections(), 1);
}

#[tokio::test]
async fn a_call_needs_its_headers() {
    let server = Server::start().await;
    let mut sdk = Sdk::connect(&server, "c").await;
    let long = "x".repeat(limits::CLIENT_ID_BYTES_MAX + 1);
    for id in [None, Some(""), Some("  "), Some(&long)] {
        let with_id = |mut request: Request<v2::SendMessageRequest>| {
            if let Some(id) = id {
                let id = id.parse().unwrap();
                request.metadata_mut().insert("x-mq-client-id", id);
            }
            request
        };
        let request = with_id(Request::new(v2::SendMessageRequest {
            messages: vec![message("orders", "a")],
        }));
        let answer = soon("send", sdk.client.send_message(request)).await;
        let status = answer.unwrap().into_inner().status;
        assert_eq!(code(&status), Code::ClientIdRequired, "{id:?}");
        assert!(text(&status).contains("x-mq-client-id"));
    }
    macro_rules! client_id_required {
        ($($method:ident($request:ident);)*) => {
            $(
                let calling = sdk.client.$method(v2::$request::default());
                let answer = soon(stringify!($method), calling).await;
                let status = answer.unwrap().into_inner().status;
                assert_eq!(code(&status), Code::ClientIdRequired, stringify!($method));
            )*
        };
    }
    client_id_required! {
        query_route(QueryRouteRequest);
        heartbeat(HeartbeatRequest);
        query_assignment(QueryAssignmentRequest);
        ack_message(AckMessageRequest);
        forward_message_to_dead_letter_queue(ForwardMessageToDeadLetterQueueRequest);
        update_offset(UpdateOffsetRequest);
        get_offset(GetOffsetRequest);
        query_offset(QueryOffsetRequest);
        end_transaction(EndTransactionRequest);
        notify_client_termination(NotifyClientTerminationRequest);
        change_invisible_duration(ChangeInvisibleDurationRequest);
        recall_message(RecallMessageRequest);
        sync_lite_subscription(SyncLiteSubscriptionRequest);
    }
    let pull = sdk.client.pull_message(v2::PullMessageRequest::default());
    let mut pulled = soon("pull", pull).await.unwrap().into_inner();
    let first = soon("status", pulled.message()).await.unwrap().unwrap();
    let Some(pull_message_response::Content::Status(status)) = first.content else {
        panic!("expected a status, got {first:?}");
    };
    assert_eq!(status.code(), Code::ClientIdRequired);

    // What no header may hold, and more of them than are read.
    let headers = |name: &'static str, value: Vec<u8>| {
        let value = http::HeaderValue::from_bytes(&value).unwrap();
        let request = http::Request::post(format!("http://server/{MESSAGING}/QueryRoute"));
        let request = request.header("content-type", "application/grpc");
        let body = Body::new(Full::new(frame(0, 0, &[])));
        request.header(name, value).body(body).unwrap()
    };
    let odd = headers("x-mq-client-id", vec![0xff, 0xfe]);
    let mut sender = sdk.channel.0.clone();
    let response = soon("odd", sender.send_request(odd)).await.unwrap();
    assert_eq!(
        response.status(),
        200,
        "it is a client id that cannot be read"
    );
    let many = headers("x-mq-namespace", vec![b'x'; limits::HTTP_HEADER_BYTES_MAX]);
    let response = soon("many", sender.send_request(many)).await;
    let refused = response.map_or(true, |response| response.status() == 431);
    assert!(refused, "more header bytes than are read");
    sdk.send_one("orders", "well").await;
}

#[tokio::test]
async fn settings_are_bounded() {
    let server = Server::start().await;
    let mut sdk = Sdk::connect(&server, "c").await;
    let many: Vec<String> = (0..=limits::CLIENT_SETTINGS_ENTRIES_MAX)
        .map(|index| format!("topic-{index}"))
        .collect();
    let many: Vec<&str> = many.iter().map(String::as_str).collect();
    let mut long = consumer_settings("billing", "orders");
    let words = "x".repeat(limits::CLIENT_SETTINGS_BYTES_MAX);
    long.client_properties.insert("words".to_owned(), words);
    let mut blank = consumer_settings("billing", "orders");
    if let Some(PubSub::Subscription(subscription)) = &mut blank.pub_sub {
        subscription.group = None;
    }
    for (settings, part) in [
        (
            producer_settings(&many),
            "1025 topics, expected at most 1024",
        ),
        (long, "expected at most 262144"),
        (blank, "group is empty"),
        (producer_settings(&["a b"]), "a b"),
    ] {
        let mut talk = sdk.telemetry().await;
        talk.tell(settings);
        let refused = talk.heard().await.unwrap_err();
        assert_eq!(refused.code(), tonic::Code::InvalidArgument);
        assert!(refused.message().contains(part), "{}", refused.message());
    }

    // Before there are settings nothing is answered, and nothing happens.
    let mut talk = sdk.telemetry().await;
    let trace = v2::ThreadStackTrace::default();
    talk.say(None, Command::ThreadStackTrace(trace));
    let nonce = "x".to_owned();
    talk.say(
        None,
        Command::ReconnectEndpointsCommand(v2::ReconnectEndpointsCommand { nonce }),
    );
    talk.settle(producer_settings(&["orders"])).await;
    assert_eq!(
        server.instance.groups().len(),
        0,
        "no group came of what was refused"
    );
}

#[tokio::test]
async fn many_streams_and_clients_on_one_connection_end_with_it() {
    let server = Server::start().await;
    let sdk = Sdk::connect(&server, "c").await;
    let mut client = sdk.client.clone();
    let mut kept = Vec::new();
    for index in 0..200 {
        let (say, commands) = mpsc::unbounded();
        let settings = producer_settings(&["orders"]);
        let command = v2::TelemetryCommand {
            status: None,
            command: Some(Command::Settings(settings)),
        };
        say.unbounded_send(command).unwrap();
        let mut request = sdk.request(commands);
        let id = format!("c{}", index % 50).parse().unwrap();
        request.metadata_mut().insert("x-mq-client-id", id);
        let mut told = soon("stream", client.telemetry(request))
            .await
            .unwrap()
            .into_inner();
        soon("settings", told.message()).await.unwrap();
        kept.push((say, told));
    }
    let group = base::GroupName::new("orders").unwrap();
    assert_eq!(server.instance.producers(&group).len(), 50);
    drop((kept, client, sdk));
    server.until_connections(0).await;
    soon("producers to go", async {
        while !server.instance.producers(&group).is_empty() {
            tokio::task::yield_now().await;
        }
    })
    .await;
}

fn large(topic: &str, bytes: usize) -> v2::Message {
    v2::Message {
        body: vec![b'x'; bytes].into(),
        ..message(topic, "large")
    }
}

#[tokio::test]
async fn who_reads_nothing_is_given_no_more_and_harms_nobody() {
    const LARGE: usize = 1024 * 1024;
    let server = Server::start().await;
    let mut producer = Sdk::connect(&server, "p").await;
    let count = limits::GRPC_UNREAD_BYTES_MAX / LARGE + 16;
    for _ in 0..count {
        let sent = producer.send(vec![large("orders", LARGE)]).await;
        assert_eq!(code(&sent.status), Code::Ok);
    }
    // It takes answers on many streams, and reads of each the status alone.
    let mut idle = Sdk::with_window(&server, "idle", 1 << 30).await;
    let mut unread = Vec::new();
    let refused = loop {
        let request = idle.request(receive("orders", "billing", 32));
        let receiving = idle.client.receive_message(request);
        let mut stream = soon("receive", receiving).await.unwrap().into_inner();
        let first = soon("status", stream.message()).await.unwrap().unwrap();
        let Some(Content::Status(status)) = first.content else {
            panic!("expected a status, got {first:?}");
        };
        match status.code() {
            Code::Ok => unread.push(stream),
            Code::TooManyRequests => break status,
            other => panic!("{other:?}: {}", status.message),
        }
        assert!(unread.len() < count, "what is not read is bounded");
    };
    let limit = limits::GRPC_UNREAD_BYTES_MAX.to_string();
    assert!(refused.message.contains(&limit), "{}", refused.message);
    let pull = v2::PullMessageRequest {
        group: resource("tools"),
        message_queue: Some(v2::MessageQueue {
            topic: resource("orders"),
            ..Default::default()
        }),
        batch_size: 1,
        ..Default::default()
    };
    let request = idle.request(pull);
    let pulling = idle.client.pull_message(request);
    let mut stream = soon("pull", pulling).await.unwrap().into_inner();
    let first = soon("status", stream.message()).await.unwrap().unwrap();
    let Some(pull_message_response::Content::Status(status)) = first.content else {
        panic!("expected a status, got {first:?}");
    };
    assert_eq!(status.code(), Code::TooManyRequests);

    // Others send and receive, in the same group too.
    producer.send_one("stock", "small").await;
    assert_eq!(
        bodies(&producer.take("stock", "billing", 1).await),
        ["small"]
    );
    let mut other = Sdk::connect(&server, "other").await;
    assert!(!other.take("orders", "billing", 32).await.is_empty());

    // Once it does not want them any more, others get them, and it may ask again.
    drop((unread, stream));
    soon("room", async {
        loop {
            let receipt = idle.receive(receive("stock", "billing", 1)).await;
            if receipt.code == Code::MessageNotFound {
                return;
            }
        }
    })
    .await;
}

#[tokio::test]
async fn a_pull_is_counted_until_it_is_read() {
    const LARGE: usize = 2 * 1024 * 1024;
    let server = Server::start().await;
    let mut producer = Sdk::connect(&server, "p").await;
    let mut first_queue = large("orders", LARGE);
    let system = first_queue.system_properties.get_or_insert_default();
    system.message_group = Some("g".to_owned());
    let sent = producer.send(vec![first_queue]).await;
    assert_eq!(code(&sent.status), Code::Ok);
    let taken = producer.take("orders", "billing", 1).await;
    let queue = super::system(&taken[0]).queue_id;
    let mut idle = Sdk::with_window(&server, "idle", 1 << 30).await;
    let mut unread = Vec::new();
    let mut refused = false;
    // Each answer of 2 MiB is counted while its stream is open.
    for _ in 0..=limits::GRPC_UNREAD_BYTES_MAX / LARGE {
        let request = idle.request(v2::PullMessageRequest {
            group: resource("tools"),
            message_queue: Some(v2::MessageQueue {
                topic: resource("orders"),
                id: queue,
                ..Default::default()
            }),
            batch_size: 1,
            ..Default::default()
        });
        let pulling = idle.client.pull_message(request);
        let mut stream = soon("pull", pulling).await.unwrap().into_inner();
        let first = soon("status", stream.message()).await.unwrap().unwrap();
        let Some(pull_message_response::Content::Status(status)) = first.content else {
            panic!("expected a status, got {first:?}");
        };
        refused = status.code() == Code::TooManyRequests;
        assert!(refused || status.code() == Code::Ok, "{}", status.message);
        unread.push(stream);
    }
    assert!(refused, "the last one is too many");
    let mut first = unread.swap_remove(0);
    while let Some(answer) = soon("message", first.message()).await.unwrap() {
        assert!(answer.content.is_some());
    }
    producer.send_one("stock", "small").await;
    soon("room", async {
        while idle.receive(receive("stock", "billing", 1)).await.code != Code::Ok {}
    })
    .await;
    let nothing = stream::empty::<v2::TelemetryCommand>();
    let request = idle.request(nothing);
    let mut ended = soon("end", idle.client.telemetry(request))
        .await
        .unwrap()
        .into_inner();
    assert!(soon("end", ended.message()).await.unwrap().is_none());
}
