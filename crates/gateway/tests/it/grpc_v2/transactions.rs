//! Half messages: ended by those who sent them, and by those who are asked.

use std::time::Duration;

use wire::{
    grpc_v2::{
        self as v2, Code, MessageType, TransactionResolution, TransactionSource,
        telemetry_command::Command,
    },
    remoting::{
        RequestCode, ResponseCode,
        header::{CheckTransactionStateRequest, EndTransactionRequest, PullMessageRequest},
    },
};

use super::{
    Sdk, bodies, code, message, receive, resource,
    session::{Talk, producer_settings},
    system, text,
};
use crate::{
    remoting::{heartbeat, pull_header, succeeded},
    support::{Server, Setup, soon},
};

fn half(topic: &str, body: &str) -> v2::Message {
    let mut half = message(topic, body);
    let system = half.system_properties.get_or_insert_default();
    system.message_type = MessageType::Transaction.into();
    half
}

impl Sdk {
    /// Sends a half message and returns its transaction id.
    pub(super) async fn send_half(&mut self, topic: &str, body: &str) -> String {
        let answer = self.send(vec![half(topic, body)]).await;
        assert_eq!(code(&answer.status), Code::Ok, "{answer:?}");
        let entry = &answer.entries[0];
        assert_eq!(entry.message_id, format!("id-{body}"));
        assert!(!entry.transaction_id.is_empty());
        entry.transaction_id.clone()
    }

    pub(super) async fn end(
        &mut self,
        topic: &str,
        transaction_id: &str,
        resolution: TransactionResolution,
        source: TransactionSource,
    ) -> Option<v2::Status> {
        let request = self.request(v2::EndTransactionRequest {
            topic: resource(topic),
            message_id: "id".to_owned(),
            transaction_id: transaction_id.to_owned(),
            resolution: resolution.into(),
            source: source.into(),
            trace_context: String::new(),
        });
        let answer = soon("end", self.client.end_transaction(request)).await;
        answer.unwrap().into_inner().status
    }

    pub(super) async fn commit(&mut self, topic: &str, transaction_id: &str) -> Option<v2::Status> {
        let (how, who) = (
            TransactionResolution::Commit,
            TransactionSource::SourceClient,
        );
        self.end(topic, transaction_id, how, who).await
    }
}

impl Talk {
    async fn asked(&mut self) -> v2::RecoverOrphanedTransactionCommand {
        match self.told().await {
            Command::RecoverOrphanedTransactionCommand(command) => command,
            other => panic!("expected a question on a transaction, got {other:?}"),
        }
    }
}

/// Time after which producers are asked, by the instance's settings.
const TIMEOUT: Duration = Duration::from_secs(7);
/// Time after which they are asked again.
const INTERVAL: Duration = Duration::from_secs(31);

#[tokio::test]
async fn a_transaction_is_seen_when_it_commits_and_only_then() {
    let server = Server::start().await;
    let mut sdk = Sdk::connect(&server, "p").await;
    let first = sdk.send_half("orders", "first").await;
    let second = sdk.send_half("orders", "second").await;
    let third = sdk.send_half("orders", "third").await;
    let nothing = sdk.receive(receive("orders", "billing", 10)).await;
    assert_eq!(nothing.code, Code::MessageNotFound);

    assert_eq!(code(&sdk.commit("orders", &first).await), Code::Ok);
    let (rollback, unknown) = (
        TransactionResolution::Rollback,
        TransactionResolution::Unspecified,
    );
    let client = TransactionSource::SourceClient;
    let rolled_back = sdk.end("orders", &second, rollback, client).await;
    assert_eq!(code(&rolled_back), Code::Ok);
    let undecided = sdk.end("orders", &third, unknown, client).await;
    assert_eq!(code(&undecided), Code::Ok);
    let taken = sdk.take("orders", "billing", 10).await;
    assert_eq!(bodies(&taken), ["first"]);
    assert_eq!(system(&taken[0]).message_id, "id-first");

    assert_eq!(code(&sdk.commit("orders", &third).await), Code::Ok);
    let taken = sdk.take("orders", "billing", 10).await;
    assert_eq!(bodies(&taken), ["third"]);
}

#[tokio::test]
async fn a_transaction_that_is_not_there_is_not_ended() {
    let server = Server::start().await;
    let mut sdk = Sdk::connect(&server, "p").await;
    let id = sdk.send_half("orders", "first").await;
    sdk.route("other").await;

    // Who may send to one topic must not end transactions of another.
    let elsewhere = sdk.commit("other", &id).await;
    assert_eq!(code(&elsewhere), Code::InvalidTransactionId);
    for wrong in ["", "x", "00000000000000FF", "FFFFFFFFFFFFFFFF", &id[1..]] {
        let status = sdk.commit("orders", wrong).await;
        assert_eq!(code(&status), Code::InvalidTransactionId, "{wrong}");
    }
    let status = sdk.commit("a b", &id).await;
    assert_eq!(code(&status), Code::IllegalTopic);
    assert_eq!(code(&sdk.commit("orders", &id).await), Code::Ok);
    let again = sdk.commit("orders", &id).await;
    assert_eq!(code(&again), Code::InvalidTransactionId);
    assert!(text(&again).contains("no half message"), "{}", text(&again));
    assert_eq!(sdk.take("orders", "billing", 10).await.len(), 1);
}

#[tokio::test]
async fn any_live_producer_of_the_topic_is_asked_for_one_that_is_gone() {
    let server = Server::start().await;
    let mut first = Sdk::connect(&server, "p1").await;
    let mut talk = first.telemetry().await;
    talk.settle(producer_settings(&["orders"])).await;
    let id = first.send_half("orders", "body").await;
    drop((talk, first));
    server.until_connections(0).await;

    let mut unread = Sdk::connect(&server, "not of that topic").await;
    let mut others = unread.telemetry().await;
    others.settle(producer_settings(&["other"])).await;
    let mut second = Sdk::connect(&server, "p2").await;
    let mut talk = second.telemetry().await;
    talk.settle(producer_settings(&["stock", "orders"])).await;
    server.clock.advance(TIMEOUT);
    server.release().await;
    let asked = talk.asked().await;
    assert_eq!(asked.transaction_id, id);
    let message = asked.message.unwrap();
    assert_eq!(message.topic, resource("orders"));
    assert_eq!(&message.body[..], b"body");
    let properties = system(&message);
    assert_eq!(properties.message_id, "id-body");
    assert_eq!(properties.message_type(), MessageType::Transaction);
    assert!(properties.body_digest.is_some(), "SDKs check it");
    assert_eq!(properties.receipt_handle, None);

    // It does not know yet: it is asked again, and then decides.
    let checked = TransactionSource::SourceServerCheck;
    let (unknown, commit) = (
        TransactionResolution::Unspecified,
        TransactionResolution::Commit,
    );
    let status = second.end("orders", &id, unknown, checked).await;
    assert_eq!(code(&status), Code::Ok);
    server.clock.advance(INTERVAL);
    server.release().await;
    assert_eq!(talk.asked().await.transaction_id, id);
    let status = second.end("orders", &id, commit, checked).await;
    assert_eq!(code(&status), Code::Ok);
    assert_eq!(
        bodies(&second.take("orders", "billing", 10).await),
        ["body"]
    );
}

#[tokio::test]
async fn a_producer_is_asked_about_topics_that_its_settings_do_not_name() {
    let server = Server::with(Setup {
        instances: vec!["mq-2"],
        ..Setup::default()
    })
    .await;
    let mut sdk = Sdk::connect(&server, "p").await;
    let mut talk = sdk.telemetry().await;
    talk.settle(producer_settings(&[])).await;
    let id = sdk.send_half("orders", "body").await;
    // SDKs tell their settings again from time to time.
    talk.settle(producer_settings(&["other"])).await;
    server.clock.advance(TIMEOUT);
    server.release().await;
    let asked = talk.asked().await;
    assert_eq!(asked.transaction_id, id);
    assert_eq!(asked.message.unwrap().topic, resource("orders"));
}

#[tokio::test]
async fn a_producer_is_asked_on_the_stream_that_it_opened_last() {
    let server = Server::start().await;
    let mut sdk = Sdk::connect(&server, "p").await;
    let mut first = sdk.telemetry().await;
    first.settle(producer_settings(&["orders"])).await;
    let mut second = sdk.telemetry().await;
    second.settle(producer_settings(&["orders"])).await;
    let id = sdk.send_half("orders", "body").await;
    server.clock.advance(TIMEOUT);
    server.release().await;
    assert_eq!(second.asked().await.transaction_id, id);

    // Without it, the other is still there.
    second.say = None;
    assert!(second.heard().await.unwrap().is_none());
    server.clock.advance(INTERVAL);
    server.release().await;
    assert_eq!(first.asked().await.transaction_id, id);
}

#[tokio::test]
async fn a_producer_sets_when_it_is_asked() {
    let server = Server::start().await;
    let mut sdk = Sdk::connect(&server, "p").await;
    let mut talk = sdk.telemetry().await;
    talk.settle(producer_settings(&["orders"])).await;
    let patient = |seconds| {
        let mut half = half("orders", "patient");
        let system = half.system_properties.get_or_insert_default();
        let duration = prost_types::Duration { seconds, nanos: 0 };
        system.orphaned_transaction_recovery_duration = Some(duration);
        half
    };
    for wrong in [-1, 3_601] {
        let refused = sdk.send(vec![patient(wrong)]).await;
        assert_eq!(code(&refused.status), Code::BadRequest);
        let text = text(&refused.status);
        assert!(text.contains(&wrong.to_string()), "{text}");
        assert!(text.contains("3600"), "{text}");
    }
    let patient = sdk.send(vec![patient(60)]).await.entries.remove(0);
    let usual = sdk.send_half("orders", "usual").await;
    server.clock.advance(TIMEOUT);
    server.release().await;
    assert_eq!(talk.asked().await.transaction_id, usual);
    server.clock.advance(Duration::from_secs(54));
    server.release().await;
    let asked = [talk.asked().await, talk.asked().await];
    assert!(
        asked
            .iter()
            .any(|asked| asked.transaction_id == patient.transaction_id)
    );
}

#[tokio::test]
async fn a_transaction_is_the_same_over_both_protocols() {
    let server = Server::start().await;
    let mut sdk = Sdk::connect(&server, "p").await;
    let id = sdk.send_half("orders", "over gRPC").await;

    // A Remoting producer whose group has the name of the topic.
    let mut peer = server.peer().await;
    let mut beat = heartbeat("billing", "orders", "*");
    beat.producers[0].group_name = "orders".to_owned();
    succeeded(&peer.post(RequestCode::Heartbeat, &beat).await);
    peer.pushed().await;
    server.clock.advance(TIMEOUT);
    server.release().await;
    let asked = peer.pushed().await;
    let header: CheckTransactionStateRequest<'_> = asked.header().unwrap();
    assert_eq!(header.message_id, Some("id-over gRPC"));
    assert_eq!(format!("{:016X}", header.physical_offset), id);
    let end = EndTransactionRequest {
        topic: None,
        producer_group: "orders",
        transaction_state_offset: 0,
        physical_offset: header.physical_offset,
        commit_or_rollback: 8,
        from_transaction_check: true,
        message_id: "id",
        transaction_id: None,
        broker_name: None,
    };
    succeeded(&peer.call(RequestCode::EndTransaction, &end).await);
    let pull = PullMessageRequest {
        sys_flag: wire::remoting::header::pull_sys_flag::SUBSCRIPTION,
        subscription: Some("*"),
        ..pull_header("accounting", "orders", 0, 0)
    };
    for queue_id in 0..8 {
        let pull = PullMessageRequest {
            queue_id,
            ..pull.clone()
        };
        let pulled = peer.call(RequestCode::PullMessage, &pull).await;
        if pulled.response_code() == Some(ResponseCode::Success) {
            assert_eq!(bodies(&sdk.take("orders", "shop", 10).await), ["over gRPC"]);
            return;
        }
    }
    panic!("a committed message is in a queue");
}
