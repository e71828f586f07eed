//! What clients are told and asked when they poll, and who counts as there.

use std::time::Duration;

use base::GroupName;
use broker::{ClientAnswer, ClientQuestion};
use tonic::Code;
use wire::grpc_v1::{self as v1, poll_command_request::Group, poll_command_response::Type};

use super::{Sdk, code, consumer, message, producer, resource};
use crate::support::{Server, soon};

const PATIENCE: Duration = Duration::from_secs(3_600);

fn billing() -> GroupName {
    GroupName::new("billing").unwrap()
}

fn consumers() -> Group {
    Group::ConsumerGroup(resource("billing").unwrap())
}

/// The text of what the client is said to have answered.
fn done(answer: Result<ClientAnswer, broker::AskError>) -> String {
    match answer.unwrap() {
        ClientAnswer::Done(body) => String::from_utf8(body.to_vec()).unwrap(),
        ClientAnswer::Refused(text) => panic!("refused: {text}"),
    }
}

async fn connected(server: &Server) -> Sdk {
    let mut sdk = Sdk::connect(server, "c").await;
    assert_eq!(sdk.heartbeat(consumer("billing", "orders")).await, Code::Ok);
    sdk
}

#[tokio::test]
async fn a_client_says_what_its_threads_do() {
    let server = Server::start().await;
    let mut sdk = connected(&server).await;
    let question = |with_stacks| ClientQuestion::RunningInfo {
        group: billing(),
        with_stacks,
    };
    let answering = async {
        let command = sdk.poll(consumers()).await.unwrap();
        let Type::PrintThreadStackTraceCommand(command) = command else {
            panic!("expected a question on threads, got {command:?}");
        };
        for (id, text) in [("of nobody", "x"), (command.command_id.as_str(), "at main")] {
            let request = sdk.request(v1::ReportThreadStackTraceRequest {
                command_id: id.to_owned(),
                thread_stack_trace: text.to_owned(),
            });
            let answer = sdk.client.report_thread_stack_trace(request).await.unwrap();
            assert_eq!(code(&answer.into_inner().common), Code::Ok);
        }
    };
    let asking = server.instance.ask("c", question(true), PATIENCE);
    let (told, ()) = tokio::join!(soon("answer", asking), answering);
    let told = done(told);
    assert!(told.contains("at main"), "{told}");
    assert!(told.contains("orders"), "{told}");
    assert!(told.contains("CONSUME_PASSIVELY"), "{told}");

    // What is known without asking is told without asking, once the client polls.
    let asking = server.instance.ask("c", question(false), PATIENCE);
    let told = tokio::select! {
        told = soon("answer", asking) => told,
        _ = sdk.poll(consumers()) => panic!("the client is not told of it"),
    };
    assert!(done(told).contains("2.0.5"));
}

#[tokio::test]
async fn a_client_consumes_a_message_when_it_is_told_to() {
    let server = Server::start().await;
    let mut sdk = connected(&server).await;
    sdk.send_one(message("orders", "hello")).await;
    let shard = server.instance.shards().remove(0);
    let topic = base::TopicName::new("orders").unwrap();
    let mut stored = Vec::new();
    for queue in 0..8 {
        let pull = broker::PullRequest {
            group: None,
            topic: topic.clone(),
            queue: base::QueueId::new(queue),
            offset: base::QueueOffset::new(0),
            max_messages: 1,
            max_bytes: usize::MAX,
            filter: broker::Filter::All,
            wait: Duration::ZERO,
        };
        stored.extend(shard.pull(pull).await.unwrap().messages);
    }
    let question = ClientQuestion::ConsumeDirectly {
        group: billing(),
        topic,
        message: stored.remove(0),
    };
    let answering = async {
        let command = sdk.poll(consumers()).await.unwrap();
        let Type::VerifyMessageConsumptionCommand(command) = command else {
            panic!("expected a message to consume, got {command:?}");
        };
        let told = command.message.unwrap();
        assert_eq!(&told.body[..], b"hello");
        assert_eq!(told.topic, resource("orders"));
        let request = sdk.request(v1::ReportMessageConsumptionResultRequest {
            command_id: command.command_id,
            status: Some(v1::Status {
                code: Code::Internal.into(),
                message: String::new(),
            }),
        });
        let answer = sdk.client.report_message_consumption_result(request).await;
        assert_eq!(code(&answer.unwrap().into_inner().common), Code::Ok);
    };
    let asking = server.instance.ask("c", question, PATIENCE);
    let (told, ()) = tokio::join!(soon("answer", asking), answering);
    let told = done(told);
    assert!(told.contains("CR_LATER"), "{told}");
}

#[tokio::test]
async fn a_poll_without_news_ends_with_nothing() {
    let server = Server::start().await;
    let mut sdk = connected(&server).await;
    let mut request = sdk.request(v1::PollCommandRequest {
        client_id: "c".to_owned(),
        topics: Vec::new(),
        group: Some(consumers()),
    });
    request.set_timeout(Duration::from_millis(400));
    let answer = soon("poll", sdk.client.poll_command(request)).await;
    let command = answer.unwrap().into_inner().r#type;
    assert_eq!(command, Some(Type::NoopCommand(v1::NoopCommand {})));
}

#[tokio::test]
async fn a_client_counts_as_there_until_it_says_good_bye() {
    let server = Server::start().await;
    let mut sdk = connected(&server).await;
    assert_eq!(server.instance.consumers(&billing()).len(), 1);
    let mut second = Sdk {
        client: sdk.client.clone(),
        channel: sdk.channel.clone(),
        id: "p",
    };
    assert_eq!(second.heartbeat(producer("senders")).await, Code::Ok);

    let request = sdk.request(v1::NotifyClientTerminationRequest {
        client_id: "c".to_owned(),
        group: resource("billing").map(v1::notify_client_termination_request::Group::ConsumerGroup),
    });
    let answer = sdk.client.notify_client_termination(request).await.unwrap();
    assert_eq!(code(&answer.into_inner().common), Code::Ok);
    assert!(server.instance.consumers(&billing()).is_empty());
    // The SDK goes on polling for a client that it has shut down: it is not there again by that.
    let status = sdk.poll(consumers()).await.unwrap_err();
    assert_eq!(status.code(), Code::NotFound);
    let senders = GroupName::new("senders").unwrap();
    assert_eq!(server.instance.producers(&senders).len(), 1);

    drop((sdk, second));
    server.until_connections(0).await;
    assert!(server.instance.producers(&senders).is_empty());
}

#[tokio::test]
async fn a_server_is_well_until_it_drains() {
    let mut server = Server::start().await;
    let mut sdk = connected(&server).await;
    let request = sdk.request(v1::HealthCheckRequest::default());
    let answer = sdk.client.health_check(request).await.unwrap().into_inner();
    assert_eq!(code(&answer.common), Code::Ok);
    let (status, _) = tokio::join!(sdk.poll(consumers()), server.drain(PATIENCE));
    // The SDK waits a second before it tries again.
    assert!(status.is_err());
}
