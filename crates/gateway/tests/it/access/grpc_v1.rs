//! gRPC v1: who is believed, and what they may do.

use tonic::{Code, Request, metadata::AsciiMetadataValue};
use wire::{
    grpc_v1 as v1,
    otlp::collector::trace::v1::{
        ExportTraceServiceRequest, trace_service_client::TraceServiceClient,
    },
};

use super::*;
use crate::grpc_v1::{Sdk, code, consumer, message, receive, resource, text};

/// As the SDK writes it: local time, in spite of the letter at its end.
const DATE_TIME: &str = "20260102T030405Z";

/// The request as the SDK with these keys sends it.
pub(super) fn signed<T>(sdk: &Sdk, message: T, keys: Keys) -> Request<T> {
    let key = hmac::Key::new(hmac::HMAC_SHA1_FOR_LEGACY_USE_ONLY, keys.secret.as_bytes());
    let tag = hmac::sign(&key, DATE_TIME.as_bytes());
    let hex = tag.as_ref().iter().map(|byte| format!("{byte:02X}"));
    let authorization = format!(
        "MQv2-HMAC-SHA1 Credential={}/cn-test/RocketMQ, SignedHeaders=x-mq-date-time, Signature={}",
        keys.access,
        hex.collect::<String>()
    );
    let mut request = sdk.request(message);
    let metadata = request.metadata_mut();
    let date_time = AsciiMetadataValue::from_static(DATE_TIME);
    metadata.insert("x-mq-date-time", date_time);
    metadata.insert("authorization", authorization.parse().unwrap());
    request
}

pub(super) fn send(topic: &str) -> v1::SendMessageRequest {
    v1::SendMessageRequest {
        message: Some(message(topic, "hello")),
        partition: None,
    }
}

#[tokio::test]
async fn a_call_must_be_signed_by_its_sender() {
    let server = guarded(&["Topic:orders Pub Allow"]).await;
    let mut sdk = Sdk::connect(&server, "sdk").await;
    let wrong = Keys {
        secret: "root-secret",
        ..ALICE
    };
    let unsigned = sdk.request(send("orders"));
    for (request, refusal) in [
        (unsigned, "username cannot be null."),
        (
            signed(&sdk, send("orders"), wrong),
            "check signature failed.",
        ),
    ] {
        let answer = sdk.client.send_message(request).await.unwrap().into_inner();
        assert_eq!(
            (code(&answer.common), text(&answer.common)),
            (Code::Unauthenticated, refusal)
        );
    }
    for keys in [ALICE, ROOT] {
        let request = signed(&sdk, send("orders"), keys);
        let answer = sdk.client.send_message(request).await.unwrap().into_inner();
        assert_eq!(code(&answer.common), Code::Ok, "{answer:?}");
    }
}

#[tokio::test]
async fn no_call_is_done_without_permission() {
    let server = guarded(&["Topic:other All Allow", "Group:other All Allow"]).await;
    let mut sdk = Sdk::connect(&server, "sdk").await;
    macro_rules! forbidden {
        ($($method:ident($request:expr);)*) => {
            $(
                let request = signed(&sdk, $request, ALICE);
                let answer = sdk.client.$method(request).await.unwrap().into_inner();
                assert_eq!(code(&answer.common), Code::PermissionDenied, stringify!($method));
                let request = sdk.request($request);
                let answer = sdk.client.$method(request).await.unwrap().into_inner();
                assert_eq!(code(&answer.common), Code::Unauthenticated, stringify!($method));
            )*
        };
    }
    let (topic, group) = (resource("orders"), resource("billing"));
    let partition = v1::Partition {
        topic: topic.clone(),
        ..Default::default()
    };
    forbidden! {
        query_route(v1::QueryRouteRequest { topic: topic.clone(), endpoints: None });
        query_assignment(v1::QueryAssignmentRequest {
            topic: topic.clone(),
            group: resource("other"),
            ..Default::default()
        });
        heartbeat(v1::HeartbeatRequest {
            client_id: "sdk".to_owned(),
            client_data: Some(consumer("billing", "other")),
            fifo_flag: false,
        });
        send_message(send("orders"));
        receive_message(receive("orders", "other", 0));
        receive_message(receive("other", "billing", 0));
        pull_message(v1::PullMessageRequest {
            group: group.clone(),
            partition: Some(partition.clone()),
            ..Default::default()
        });
        query_offset(v1::QueryOffsetRequest {
            partition: Some(partition.clone()),
            ..Default::default()
        });
        ack_message(v1::AckMessageRequest {
            group: group.clone(),
            topic: topic.clone(),
            ..Default::default()
        });
        nack_message(v1::NackMessageRequest {
            group: group.clone(),
            topic: topic.clone(),
            ..Default::default()
        });
        forward_message_to_dead_letter_queue(v1::ForwardMessageToDeadLetterQueueRequest {
            group: group.clone(),
            topic: topic.clone(),
            ..Default::default()
        });
        change_invisible_duration(v1::ChangeInvisibleDurationRequest {
            group: group.clone(),
            topic: topic.clone(),
            ..Default::default()
        });
        notify_client_termination(v1::NotifyClientTerminationRequest {
            client_id: "sdk".to_owned(),
            group: group.clone()
                .map(v1::notify_client_termination_request::Group::ConsumerGroup),
        });
    }
    // Calls that name nothing must come from somebody who is known.
    for (keys, expected) in [(None, Code::Unauthenticated), (Some(ALICE), Code::Ok)] {
        let health = v1::HealthCheckRequest::default();
        let request = match keys {
            Some(keys) => signed(&sdk, health, keys),
            None => sdk.request(health),
        };
        let answer = sdk.client.health_check(request).await.unwrap().into_inner();
        assert_eq!(code(&answer.common), expected);
    }
    let poll = || v1::PollCommandRequest {
        client_id: "sdk".to_owned(),
        topics: Vec::new(),
        group: group
            .clone()
            .map(v1::poll_command_request::Group::ConsumerGroup),
    };
    let request = signed(&sdk, poll(), ALICE);
    let status = sdk.client.poll_command(request).await.unwrap_err();
    assert_eq!(status.code(), Code::PermissionDenied);
}

#[tokio::test]
async fn spans_are_taken_from_those_who_are_known() {
    let server = guarded(&[]).await;
    let sdk = Sdk::connect(&server, "sdk").await;
    let mut traces = TraceServiceClient::new(sdk.channel.clone());
    let spans = ExportTraceServiceRequest::default;
    let status = traces.export(sdk.request(spans())).await.unwrap_err();
    assert_eq!(status.code(), Code::Unauthenticated);
    let taken = traces.export(signed(&sdk, spans(), ALICE)).await;
    assert!(taken.is_ok(), "{taken:?}");
}
