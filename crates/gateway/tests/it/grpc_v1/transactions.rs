//! Half messages: ended by those who sent them, and by those who are asked.

use std::time::Duration;

use tonic::Code;
use wire::grpc_v1::{
    self as v1,
    end_transaction_request::{Source, TransactionResolution},
    poll_command_request::Group,
    poll_command_response::Type,
};

use super::{Sdk, bodies, code, message, producer, resource, system};
use crate::support::{Server, soon};

/// Time after which producers are asked, by the instance's settings.
const TIMEOUT: Duration = Duration::from_secs(7);

fn senders() -> Group {
    Group::ProducerGroup(resource("senders").unwrap())
}

impl Sdk {
    pub(super) async fn send_half(&mut self, body: &str) -> String {
        let mut half = message("orders", body);
        let attributes = half.system_attribute.get_or_insert_default();
        attributes.message_type = v1::MessageType::Transaction.into();
        let answer = self.send_one(half).await;
        assert!(!answer.transaction_id.is_empty());
        answer.transaction_id
    }

    pub(super) async fn end(
        &mut self,
        group: &str,
        transaction_id: &str,
        resolution: TransactionResolution,
    ) -> Code {
        let request = self.request(v1::EndTransactionRequest {
            group: resource(group),
            message_id: "id".to_owned(),
            transaction_id: transaction_id.to_owned(),
            resolution: resolution.into(),
            source: Source::Client.into(),
            trace_context: String::new(),
        });
        let answer = soon("end", self.client.end_transaction(request)).await;
        code(&answer.unwrap().into_inner().common)
    }
}

#[tokio::test]
async fn a_transaction_is_seen_when_it_commits_and_only_then() {
    let server = Server::start().await;
    let mut sdk = Sdk::connect(&server, "p").await;
    let first = sdk.send_half("first").await;
    let second = sdk.send_half("second").await;
    assert!(sdk.take("orders", "billing").await.is_empty());
    let (commit, rollback) = (
        TransactionResolution::Commit,
        TransactionResolution::Rollback,
    );
    // Only its own producers may end it, and only if it is there.
    let foreign = sdk.end("others", &first, commit).await;
    assert_eq!(foreign, Code::InvalidArgument);
    for wrong in ["", "x", "00000000000000FF"] {
        let refused = sdk.end("senders", wrong, commit).await;
        assert_eq!(refused, Code::InvalidArgument, "{wrong}");
    }
    assert_eq!(sdk.end("senders", &first, commit).await, Code::Ok);
    assert_eq!(sdk.end("senders", &second, rollback).await, Code::Ok);
    let taken = sdk.take("orders", "billing").await;
    assert_eq!(bodies(&taken), ["first"]);
    assert_eq!(system(&taken[0]).message_id, "id-first");
    let again = sdk.end("senders", &first, commit).await;
    assert_eq!(again, Code::InvalidArgument);
}

#[tokio::test]
async fn any_producer_of_the_group_is_asked_when_it_polls() {
    let server = Server::start().await;
    let mut first = Sdk::connect(&server, "p1").await;
    let id = first.send_half("body").await;
    drop(first);
    server.until_connections(0).await;

    let mut other = Sdk::connect(&server, "of another group").await;
    assert_eq!(other.heartbeat(producer("others")).await, Code::Ok);
    let mut second = Sdk::connect(&server, "p2").await;
    assert_eq!(second.heartbeat(producer("senders")).await, Code::Ok);
    server.clock.advance(TIMEOUT);
    server.release().await;
    let command = second.poll(senders()).await.unwrap();
    let Type::RecoverOrphanedTransactionCommand(command) = command else {
        panic!("expected a question on a transaction, got {command:?}");
    };
    assert_eq!(command.transaction_id, id);
    let asked = command.orphaned_transactional_message.unwrap();
    assert_eq!(asked.topic, resource("orders"));
    assert_eq!(&asked.body[..], b"body");
    assert_eq!(system(&asked).message_id, "id-body");
    assert_eq!(system(&asked).producer_group, resource("senders"));
    assert!(system(&asked).body_digest.is_some(), "SDKs check it");

    let commit = TransactionResolution::Commit;
    assert_eq!(second.end("senders", &id, commit).await, Code::Ok);
    assert_eq!(bodies(&second.take("orders", "billing").await), ["body"]);
}

#[tokio::test]
async fn a_producer_that_only_polls_is_asked_too() {
    let server = Server::start().await;
    let mut sdk = Sdk::connect(&server, "p").await;
    let id = sdk.send_half("body").await;
    let mut poller = Sdk::connect(&server, "p").await;
    let senders_group = base::GroupName::new("senders").unwrap();
    let release = async {
        // It is known from its poll on.
        while server.instance.producers(&senders_group).is_empty() {
            tokio::task::yield_now().await;
        }
        server.clock.advance(TIMEOUT);
        server.release().await;
    };
    let (command, ()) = tokio::join!(poller.poll(senders()), soon("release", release));
    let Type::RecoverOrphanedTransactionCommand(command) = command.unwrap() else {
        panic!("expected a question on a transaction");
    };
    assert_eq!(command.transaction_id, id);
}

#[tokio::test]
async fn a_half_message_without_a_producer_group_is_refused() {
    let server = Server::start().await;
    let mut sdk = Sdk::connect(&server, "p").await;
    let mut half = message("orders", "body");
    let attributes = half.system_attribute.get_or_insert_default();
    attributes.message_type = v1::MessageType::Transaction.into();
    attributes.producer_group = None;
    let refused = sdk.send(half).await;
    assert_eq!(code(&refused.common), Code::InvalidArgument);
}
