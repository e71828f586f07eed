//! gRPC: who is believed, and what they may do.

use tonic::{Request, metadata::AsciiMetadataValue};
use wire::grpc_v2::{self as v2, Code, admin_client::AdminClient};

use super::*;
use crate::grpc_v2::{Sdk, client_metrics as report, code, message, receive, resource, text};

const DATE_TIME: &str = "20260102T030405Z";

/// The request as an SDK with these keys sends it.
pub(super) fn signed<T>(sdk: &Sdk, message: T, keys: Keys) -> Request<T> {
    signed_at(sdk, message, keys, DATE_TIME)
}

/// The same, by a clock of its own.
fn signed_at<T>(sdk: &Sdk, message: T, keys: Keys, date_time: &'static str) -> Request<T> {
    let key = hmac::Key::new(hmac::HMAC_SHA1_FOR_LEGACY_USE_ONLY, keys.secret.as_bytes());
    let tag = hmac::sign(&key, date_time.as_bytes());
    let hex: String = tag
        .as_ref()
        .iter()
        .map(|byte| format!("{byte:02X}"))
        .collect();
    let authorization = format!(
        "MQv2-HMAC-SHA1 Credential={}, SignedHeaders=x-mq-date-time, Signature={hex}",
        keys.access
    );
    let mut request = sdk.request(message);
    let metadata = request.metadata_mut();
    metadata.insert("x-mq-date-time", AsciiMetadataValue::from_static(date_time));
    metadata.insert("authorization", authorization.parse().unwrap());
    request
}

pub(super) fn send(topic: &str) -> v2::SendMessageRequest {
    v2::SendMessageRequest {
        messages: vec![message(topic, "hello")],
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
    let unknown = Keys {
        access: "mallory",
        ..ALICE
    };
    let unsigned = sdk.request(send("orders"));
    for (request, refusal) in [
        (unsigned, "username cannot be null."),
        (
            signed(&sdk, send("orders"), wrong),
            "check signature failed.",
        ),
        (
            signed(&sdk, send("orders"), unknown),
            "User:mallory is not found.",
        ),
    ] {
        let answer = sdk.client.send_message(request).await.unwrap().into_inner();
        assert_eq!(
            (code(&answer.status), text(&answer.status)),
            (Code::Unauthorized, refusal)
        );
    }
    let mut other_time = signed(&sdk, send("orders"), ALICE);
    let later = AsciiMetadataValue::from_static("20260102T030406Z");
    other_time.metadata_mut().insert("x-mq-date-time", later);
    let answer = sdk
        .client
        .send_message(other_time)
        .await
        .unwrap()
        .into_inner();
    assert_eq!(code(&answer.status), Code::Unauthorized);

    for keys in [ALICE, ROOT] {
        let request = signed(&sdk, send("orders"), keys);
        let answer = sdk.client.send_message(request).await.unwrap().into_inner();
        assert_eq!(code(&answer.status), Code::Ok, "{answer:?}");
    }
    let mut two = send("orders");
    two.messages.push(message("parcels", "hello"));
    let request = signed(&sdk, two, ALICE);
    let answer = sdk.client.send_message(request).await.unwrap().into_inner();
    assert_eq!(code(&answer.status), Code::Forbidden);
    assert_eq!(
        text(&answer.status),
        "User:alice has no permission to access Topic:parcels from 127.0.0.1, no matched policies."
    );
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
                assert_eq!(code(&answer.status), Code::Forbidden, stringify!($method));
                let request = sdk.request($request);
                let answer = sdk.client.$method(request).await.unwrap().into_inner();
                assert_eq!(code(&answer.status), Code::Unauthorized, stringify!($method));
            )*
        };
    }
    let (topic, group) = (resource("orders"), resource("billing"));
    let queue = Some(v2::MessageQueue {
        topic: topic.clone(),
        ..Default::default()
    });
    forbidden! {
        query_route(v2::QueryRouteRequest {
            topic: topic.clone(),
            endpoints: None,
        });
        query_assignment(v2::QueryAssignmentRequest {
            topic: topic.clone(),
            group: group.clone(),
            endpoints: None,
        });
        heartbeat(v2::HeartbeatRequest {
            group: group.clone(),
            client_type: v2::ClientType::PushConsumer.into(),
        });
        notify_client_termination(v2::NotifyClientTerminationRequest { group: group.clone() });
        send_message(send("orders"));
        ack_message(v2::AckMessageRequest {
            group: group.clone(),
            topic: topic.clone(),
            ..Default::default()
        });
        change_invisible_duration(v2::ChangeInvisibleDurationRequest {
            group: group.clone(),
            topic: topic.clone(),
            ..Default::default()
        });
        forward_message_to_dead_letter_queue(v2::ForwardMessageToDeadLetterQueueRequest {
            group: group.clone(),
            topic: topic.clone(),
            ..Default::default()
        });
        end_transaction(v2::EndTransactionRequest {
            topic: topic.clone(),
            ..Default::default()
        });
        recall_message(v2::RecallMessageRequest {
            topic: topic.clone(),
            ..Default::default()
        });
        sync_lite_subscription(v2::SyncLiteSubscriptionRequest {
            group: group.clone(),
            topic: topic.clone(),
            ..Default::default()
        });
        update_offset(v2::UpdateOffsetRequest {
            group: group.clone(),
            message_queue: queue.clone(),
            offset: 0,
        });
        get_offset(v2::GetOffsetRequest {
            group: group.clone(),
            message_queue: queue.clone(),
        });
        query_offset(v2::QueryOffsetRequest {
            message_queue: queue.clone(),
            ..Default::default()
        });
    }
    let pull = v2::PullMessageRequest {
        group,
        message_queue: queue,
        ..Default::default()
    };
    let pull = signed(&sdk, pull, ALICE);
    let mut pulled = sdk.client.pull_message(pull).await.unwrap().into_inner();
    let first = pulled.message().await.unwrap().unwrap().content;
    let Some(v2::pull_message_response::Content::Status(status)) = first else {
        panic!("{first:?}");
    };
    assert_eq!(status.code(), Code::Forbidden);

    let request = signed(&sdk, receive("orders", "billing", 1), ALICE);
    let mut handed = sdk
        .client
        .receive_message(request)
        .await
        .unwrap()
        .into_inner();
    let first = handed.message().await.unwrap().unwrap().content;
    let Some(v2::receive_message_response::Content::Status(status)) = first else {
        panic!("{first:?}");
    };
    assert_eq!(status.code(), Code::Forbidden);

    let settings = v2::Settings {
        pub_sub: Some(v2::settings::PubSub::Publishing(v2::Publishing {
            topics: topic.into_iter().collect(),
            ..Default::default()
        })),
        ..Default::default()
    };
    let command = v2::TelemetryCommand {
        command: Some(v2::telemetry_command::Command::Settings(settings)),
        ..Default::default()
    };
    let command = command.clone();
    let request = signed(&sdk, futures::stream::iter([command]), ALICE);
    let mut told = sdk.client.telemetry(request).await.unwrap().into_inner();
    let end = told.message().await.unwrap_err();
    assert_eq!(end.code(), tonic::Code::PermissionDenied, "{end:?}");
}

#[tokio::test]
async fn no_administration_is_done_without_permission() {
    let server = guarded(&["Topic:other All Allow", "Group:other All Allow"]).await;
    let sdk = Sdk::connect(&server, "tool").await;
    let mut tool = AdminClient::new(sdk.channel.clone());
    macro_rules! forbidden {
        ($($method:ident($request:ident { $($field:ident: $value:expr),* });)*) => {
            $(
                let message = v2::$request {
                    $($field: $value,)*
                    ..Default::default()
                };
                for (request, expected) in [
                    (signed(&sdk, message.clone(), ALICE), Code::Forbidden),
                    (Request::new(message), Code::Unauthorized),
                ] {
                    let answer = tool.$method(request).await.unwrap().into_inner();
                    assert_eq!(code(&answer.status), expected, stringify!($method));
                }
            )*
        };
    }
    let (topic, group) = (resource("orders"), resource("billing"));
    forbidden! {
        describe_topic_status(DescribeTopicStatusRequest { topic: topic.clone() });
        get_topic_route(GetTopicRouteRequest { topic: topic.clone() });
        list_subscription(ListSubscriptionRequest { topic: topic.clone() });
        list_subscription(ListSubscriptionRequest { group: group.clone() });
        describe_subscription(DescribeSubscriptionRequest { group: group.clone() });
        delete_subscription(DeleteSubscriptionRequest { topic: topic.clone(), group: group.clone() });
        describe_group_accumulation(DescribeGroupAccumulationRequest { group: group.clone() });
        describe_group_accumulation(DescribeGroupAccumulationRequest {
            group: resource("other"),
            topics: Vec::from_iter(topic.clone())
        });
        list_consumer_connection(ListConsumerConnectionRequest { group: group.clone() });
        reset_group_offset(ResetGroupOffsetRequest { topic: topic.clone(), group: resource("other") });
        query_message(ListMessageRequest { topic: topic.clone() });
        print_thread_stack_trace(PrintThreadStackTraceRequest { group: group.clone() });
        verify_message(VerifyMessageRequest { topic: resource("other"), group: group.clone() });
        admin_send_message(AdminSendMessageRequest { topic: topic.clone() });
        get_consumer_running_info(GetConsumerRunningInfoRequest { group: group.clone() });
        query_time_span(QueryTimeSpanRequest { group: group.clone() });
    }
    for (request, expected) in [
        (
            signed(&sdk, v2::GetProxyRuntimeStatsRequest {}, ALICE),
            Code::Forbidden,
        ),
        (
            signed(&sdk, v2::GetProxyRuntimeStatsRequest {}, ROOT),
            Code::Ok,
        ),
    ] {
        let answer = tool
            .get_proxy_runtime_stats(request)
            .await
            .unwrap()
            .into_inner();
        assert_eq!(code(&answer.status), expected);
    }
    let request = signed(&sdk, v2::ChangeLogLevelRequest::default(), ALICE);
    let refused = tool.change_log_level(request).await.unwrap_err();
    assert_eq!(refused.code(), tonic::Code::PermissionDenied);
    let request = signed(&sdk, v2::ChangeLogLevelRequest::default(), ROOT);
    let refused = tool.change_log_level(request).await.unwrap_err();
    assert_eq!(
        refused.code(),
        tonic::Code::Unimplemented,
        "for others it would be done"
    );

    // An instance that is not there is told to those who are believed.
    let elsewhere = v2::DescribeTopicStatusRequest {
        deployment_name: Some("mq-9".to_owned()),
        topic,
    };
    for (request, expected) in [
        (Request::new(elsewhere.clone()), Code::Unauthorized),
        (signed(&sdk, elsewhere, ALICE), Code::NotFound),
    ] {
        let answer = tool
            .describe_topic_status(request)
            .await
            .unwrap()
            .into_inner();
        assert_eq!(code(&answer.status), expected);
    }
}

#[tokio::test]
async fn a_signature_must_be_one_and_a_clock_may_be_wrong() {
    let server = guarded(&["Topic:orders Pub Allow"]).await;
    let mut sdk = Sdk::connect(&server, "sdk").await;
    let zeros = "0".repeat(40);
    let long = "x".repeat(16 * 1024);
    for wrong in [
        "",
        " ",
        "MQv2-HMAC-SHA1",
        "MQv2-HMAC-SHA1 ",
        "MQv2-HMAC-SHA1 Credential=alice",
        "MQv2-HMAC-SHA1 Credential=,SignedHeaders=,Signature=",
        "MQv2-HMAC-SHA1 Credential=alice, Signature=zz",
        "MQv2-HMAC-SHA1 Credential=alice, Signature=00",
        "MQv2-HMAC-SHA1 ====,,,,=,=,",
        "Basic YWxpY2U6YWxpY2Utc2VjcmV0",
        &format!("MQv2-HMAC-SHA1 Credential=alice, Signature={zeros}"),
        &format!("MQv2-HMAC-SHA1 Credential={long}, Signature={zeros}"),
    ] {
        let mut request = sdk.request(send("orders"));
        let metadata = request.metadata_mut();
        metadata.insert("x-mq-date-time", AsciiMetadataValue::from_static(DATE_TIME));
        metadata.insert("authorization", wrong.parse().unwrap());
        let answer = sdk.client.send_message(request).await.unwrap().into_inner();
        assert_eq!(code(&answer.status), Code::Unauthorized, "{wrong:.80}");
        let told = text(&answer.status).len();
        assert!(
            told < 1_024 + long.len(),
            "an answer is no longer than what was asked"
        );
    }
    // SDKs write local times as universal ones, and clocks of devices are years off.
    for date_time in ["19700101T000000Z", "99991231T235959Z", "yesterday"] {
        let request = signed_at(&sdk, send("orders"), ALICE, date_time);
        let answer = sdk.client.send_message(request).await.unwrap().into_inner();
        assert_eq!(code(&answer.status), Code::Ok, "{date_time}");
    }
}

#[tokio::test]
async fn a_session_token_that_nobody_issued_is_refused() {
    let server = guarded(&["Topic:orders Pub Allow"]).await;
    let mut sdk = Sdk::connect(&server, "sdk").await;
    let mut request = signed(&sdk, send("orders"), ALICE);
    let token = AsciiMetadataValue::from_static("a-token");
    request.metadata_mut().insert("x-mq-session-token", token);
    let answer = sdk.client.send_message(request).await.unwrap().into_inner();
    assert_eq!(code(&answer.status), Code::Unauthorized);
    let text = text(&answer.status);
    assert!(
        text.contains("session token sent for user `alice`"),
        "{text}"
    );
    assert!(!text.contains("a-token"), "a token is a secret: {text}");
    // Who does not even sign hears of that.
    let mut request = sdk.request(send("orders"));
    let token = AsciiMetadataValue::from_static("a-token");
    request.metadata_mut().insert("x-mq-session-token", token);
    let answer = sdk.client.send_message(request).await.unwrap().into_inner();
    assert_eq!(code(&answer.status), Code::Unauthorized);
    // Without access control it says nothing, as a signature does not.
    let open = Server::start().await;
    let mut sdk = Sdk::connect(&open, "sdk").await;
    let mut request = sdk.request(send("orders"));
    let token = AsciiMetadataValue::from_static("a-token");
    request.metadata_mut().insert("x-mq-session-token", token);
    let answer = sdk.client.send_message(request).await.unwrap().into_inner();
    assert_eq!(code(&answer.status), Code::Ok);
}

#[tokio::test]
async fn metrics_are_taken_from_users_only() {
    use tonic::Code as GrpcCode;

    let server = guarded(&["Topic:orders Pub Allow"]).await;
    let mut sdk = Sdk::connect(&server, "sdk").await;
    let request = signed(&sdk, send("orders"), ALICE);
    assert_eq!(
        code(
            &sdk.client
                .send_message(request)
                .await
                .unwrap()
                .into_inner()
                .status
        ),
        Code::Ok
    );
    let wrong = Keys {
        secret: "root-secret",
        ..ALICE
    };
    for request in [
        sdk.request(report::sends("orders", 3)),
        signed(&sdk, report::sends("orders", 3), wrong),
    ] {
        let refused = report::tell(&sdk, request).await.unwrap_err();
        assert_eq!(refused.code(), GrpcCode::Unauthenticated);
    }
    let page = crate::http::request(&server, "GET /metrics").await.1;
    assert!(!page.contains("rocketmq_send_cost_time_count"), "{page}");
    let request = signed(&sdk, report::sends("orders", 3), ALICE);
    assert_eq!(report::tell(&sdk, request).await.unwrap(), 0);
    let page = crate::http::request(&server, "GET /metrics").await.1;
    assert!(page.contains("rocketmq_send_cost_time_count"), "{page}");
}
