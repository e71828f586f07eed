//! Bad input: what is no message, what lacks its parts, what is too large. Each gets its code and
//! the connection goes on.

use base::limits;
use bytes::{BufMut, Bytes, BytesMut};
use tonic::Code;
use wire::grpc_v1 as v1;

use super::{Sdk, code, message, receive, resource, text};
use crate::{
    grpc_v2::bad_input::raw,
    support::{Server, soon},
};

const MESSAGING: &str = "apache.rocketmq.v1.MessagingService";
const CALLS: [&str; 17] = [
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

fn frame(payload: &[u8]) -> Bytes {
    let mut frame = BytesMut::new();
    frame.put_u8(0);
    frame.put_u32(u32::try_from(payload.len()).unwrap());
    frame.put_slice(payload);
    frame.freeze()
}

#[tokio::test]
async fn what_is_no_message_is_refused_and_the_connection_goes_on() {
    let server = Server::start().await;
    let mut sdk = Sdk::connect(&server, "c").await;
    let payloads: [&[u8]; 3] = [&[0xff, 0xff, 0xff, 0xff], &[0x0f, 0x01], &[0x0a, 0x7f]];
    for call in CALLS {
        for payload in payloads {
            let code = raw(&sdk.channel, MESSAGING, call, frame(payload)).await;
            assert_eq!(code, Code::Internal, "{call} {payload:?}");
        }
    }
    let unknown = raw(&sdk.channel, MESSAGING, "Telemetry", frame(&[])).await;
    assert_eq!(unknown, Code::Unimplemented);
    let too_large = Bytes::from(vec![0; limits::GRPC_REQUEST_BYTES_MAX + 1]);
    let mut head = BytesMut::new();
    head.put_u8(0);
    head.put_u32(u32::try_from(too_large.len()).unwrap());
    let refused = raw(&sdk.channel, MESSAGING, "SendMessage", head.freeze()).await;
    assert_eq!(refused, Code::OutOfRange);
    assert_eq!(code(&sdk.route("orders").await.common), Code::Ok);
}

#[tokio::test]
async fn empty_requests_are_refused_by_name() {
    let server = Server::start().await;
    let mut sdk = Sdk::connect(&server, "c").await;
    macro_rules! refused {
        ($($method:ident($request:ident);)*) => {
            $(
                let request = sdk.request(v1::$request::default());
                let answer = soon("answer", sdk.client.$method(request)).await;
                let answer = answer.unwrap().into_inner();
                assert_eq!(code(&answer.common), Code::InvalidArgument, stringify!($method));
                assert!(!text(&answer.common).is_empty());
            )*
        };
    }
    refused! {
        query_route(QueryRouteRequest);
        query_assignment(QueryAssignmentRequest);
        heartbeat(HeartbeatRequest);
        send_message(SendMessageRequest);
        receive_message(ReceiveMessageRequest);
        ack_message(AckMessageRequest);
        nack_message(NackMessageRequest);
        forward_message_to_dead_letter_queue(ForwardMessageToDeadLetterQueueRequest);
        end_transaction(EndTransactionRequest);
        query_offset(QueryOffsetRequest);
        pull_message(PullMessageRequest);
        notify_client_termination(NotifyClientTerminationRequest);
        change_invisible_duration(ChangeInvisibleDurationRequest);
    }
    let request = sdk.request(v1::PollCommandRequest::default());
    let status = sdk.client.poll_command(request).await.unwrap_err();
    assert_eq!(status.code(), Code::InvalidArgument);
}

#[tokio::test]
async fn messages_keep_the_limits_of_the_other_protocol() {
    let server = Server::start().await;
    let mut sdk = Sdk::connect(&server, "c").await;
    let mut empty = message("orders", "x");
    empty.body.clear();
    let mut large = message("orders", "x");
    large.body = vec![0; limits::MESSAGE_BODY_BYTES_MAX + 1].into();
    let mut reserved = message("orders", "x");
    reserved
        .user_attribute
        .insert("UNIQ_KEY".to_owned(), "x".to_owned());
    let mut nameless = message("orders", "x");
    nameless.system_attribute = None;
    let mut damaged = message("orders", "no zlib");
    let attributes = damaged.system_attribute.get_or_insert_default();
    attributes.body_encoding = v1::Encoding::Gzip.into();
    let mut tagged = message("orders", "x");
    tagged.system_attribute.get_or_insert_default().tag = "a|b".to_owned();
    for (what, wrong) in [
        ("body is empty", empty),
        ("message body has", large),
        ("`UNIQ_KEY`", reserved),
        ("message id is empty", nameless),
        ("neither gzip nor zlib", damaged),
        ("message tag", tagged),
        ("topic", message("rmq_sys_x", "x")),
        ("topic", message("a b", "x")),
    ] {
        let refused = sdk.send(wrong).await;
        assert_eq!(code(&refused.common), Code::InvalidArgument, "{what}");
        let text = text(&refused.common);
        assert!(text.contains(what), "{text}");
    }
}

#[tokio::test]
async fn filters_and_handles_that_are_none_are_refused() {
    let server = Server::start().await;
    let mut sdk = Sdk::connect(&server, "c").await;
    sdk.route("orders").await;
    let sql = v1::FilterExpression {
        r#type: v1::FilterType::Sql.into(),
        expression: "a = ".to_owned(),
    };
    let refused = sdk
        .receive(v1::ReceiveMessageRequest {
            filter_expression: Some(sql),
            ..receive("orders", "billing", 0)
        })
        .await;
    assert_eq!(code(&refused.common), Code::InvalidArgument);
    let refused = sdk.receive(receive("orders", "billing", 8)).await;
    assert_eq!(code(&refused.common), Code::InvalidArgument);
    for wrong in ["", "x", "1.0.0.0.0.0.0"] {
        let code = sdk.ack("orders", "billing", wrong).await;
        assert_eq!(code, Code::InvalidArgument, "{wrong}");
        let code = sdk.nack("orders", "billing", wrong, 3).await;
        assert!(code != Code::Ok, "{wrong}");
    }
    let request = sdk.request(v1::AckMessageRequest {
        group: resource("billing"),
        topic: resource("orders"),
        handle: Some(v1::ack_message_request::Handle::Offset(3)),
        ..Default::default()
    });
    let answer = sdk.client.ack_message(request).await.unwrap().into_inner();
    assert_eq!(code(&answer.common), Code::InvalidArgument);
}
