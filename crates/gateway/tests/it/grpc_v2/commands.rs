//! What clients are told and asked over their Telemetry streams.

use std::time::Duration;

use base::GroupName;
use broker::{AskError, ClientAnswer, ClientQuestion, GroupSpec, RetryPolicy};
use wire::{
    grpc_v2::{
        self as v2, Code, retry_policy::Strategy, settings::PubSub, telemetry_command::Command,
    },
    message::MessageId,
    remoting::{
        self, RequestCode, ResponseCode,
        body::{Body, ConsumeDirectlyResult, ConsumerRunningInfo},
        header::{
            ConsumeMessageDirectlyRequest, GetConsumerRunningInfoRequest, PullMessageRequest,
            pull_sys_flag,
        },
    },
};

use super::{
    Sdk, resource,
    session::{Talk, consumer_settings},
    system,
};
use crate::{
    remoting::{messages, pull_header, succeeded},
    support::{Server, soon},
};

fn spec(group: &str) -> GroupSpec {
    GroupSpec::new(GroupName::new(group).unwrap())
}

fn stacks_of(group: &str) -> ClientQuestion {
    ClientQuestion::RunningInfo {
        group: GroupName::new(group).unwrap(),
        with_stacks: true,
    }
}

fn status(code: Code, message: &str) -> Option<v2::Status> {
    Some(v2::Status {
        code: code.into(),
        message: message.to_owned(),
    })
}

/// A consumer of group `billing` and topic `orders`, and its stream.
async fn consumer(server: &Server, id: &'static str) -> (Sdk, Talk) {
    let mut sdk = Sdk::connect(server, id).await;
    let mut talk = sdk.telemetry().await;
    talk.settle(consumer_settings("billing", "orders")).await;
    (sdk, talk)
}

impl Talk {
    /// The nonce of a question on threads.
    async fn asked_for_stacks(&mut self) -> String {
        match self.told().await {
            Command::PrintThreadStackTraceCommand(command) => command.nonce,
            other => panic!("expected a question on threads, got {other:?}"),
        }
    }

    fn tell_stacks(&self, status: Option<v2::Status>, nonce: &str, text: &str) {
        let trace = v2::ThreadStackTrace {
            nonce: nonce.to_owned(),
            thread_stack_trace: Some(text.to_owned()),
        };
        self.say(status, Command::ThreadStackTrace(trace));
    }
}

#[tokio::test]
async fn settings_are_pushed_when_the_group_changes() {
    let server = Server::start().await;
    let (_sdk, mut talk) = consumer(&server, "c").await;
    let mut changed = spec("billing");
    changed.max_attempts = 5;
    changed.fifo = true;
    changed.retry = RetryPolicy::Fixed { interval_ms: 3_000 };
    for _ in 0..2 {
        server.instance.create_group(changed.clone()).await.unwrap();
    }
    let Command::Settings(settings) = talk.told().await else {
        panic!("expected settings");
    };
    let backoff = settings.backoff_policy.unwrap();
    assert_eq!(backoff.max_attempts, 5);
    let Some(Strategy::CustomizedBackoff(pauses)) = backoff.strategy else {
        panic!("expected the pauses of the group");
    };
    let pauses: Vec<i64> = pauses.next.iter().map(|pause| pause.seconds).collect();
    assert_eq!(pauses, [3]);
    let Some(PubSub::Subscription(subscription)) = settings.pub_sub else {
        panic!("expected a subscription");
    };
    assert_eq!(subscription.fifo, Some(true));
    assert_eq!(subscription.subscriptions[0].topic, resource("orders"));

    // What SDKs are not told of, and a change to what is already, push nothing.
    changed
        .settings
        .insert("brokerId".to_owned(), "0".to_owned());
    server.instance.create_group(changed.clone()).await.unwrap();
    changed.max_attempts = 6;
    server.instance.create_group(changed).await.unwrap();
    let Command::Settings(settings) = talk.told().await else {
        panic!("expected settings");
    };
    assert_eq!(settings.backoff_policy.unwrap().max_attempts, 6);
}

#[tokio::test]
async fn a_client_says_what_its_threads_do() {
    let server = Server::start().await;
    let (_sdk, mut talk) = consumer(&server, "c").await;
    let mut peer = server.peer().await;
    let header = |with_stack| GetConsumerRunningInfoRequest {
        consumer_group: "billing",
        client_id: "c",
        with_stack,
    };
    // What is known without asking is told without asking.
    let answer = peer
        .call(RequestCode::GetConsumerRunningInfo, &header(false))
        .await;
    succeeded(&answer);
    let info = ConsumerRunningInfo::decode(&answer.body).unwrap();
    assert_eq!(info.properties["PROP_CONSUME_TYPE"], "CONSUME_PASSIVELY");
    assert_eq!(info.subscriptions[0].topic, "orders");
    assert_eq!(info.subscriptions[0].tags, ["A", "B"]);
    assert_eq!(info.stacks, "");

    let command = peer.command(RequestCode::GetConsumerRunningInfo, &header(true));
    peer.send(&command).await;
    let nonce = talk.asked_for_stacks().await;
    talk.tell_stacks(status(Code::Ok, "OK"), &nonce, "main waits");
    let answer = peer.receive().await.unwrap();
    succeeded(&answer);
    let info = ConsumerRunningInfo::decode(&answer.body).unwrap();
    assert_eq!(info.stacks, "main waits");

    peer.send(&command).await;
    let nonce = talk.asked_for_stacks().await;
    talk.tell_stacks(status(Code::InternalError, "no way"), &nonce, "");
    let answer = peer.receive().await.unwrap();
    assert_eq!(answer.response_code(), Some(ResponseCode::SystemError));
    let remark = answer.remark.unwrap_or_default();
    assert!(remark.contains("INTERNAL_ERROR: no way"), "{remark}");
}

#[tokio::test]
async fn answers_find_the_questions_that_they_belong_to() {
    let server = Server::start().await;
    let (_sdk, mut talk) = consumer(&server, "c").await;
    let ask = || {
        let instance = server.instance.clone();
        tokio::spawn(async move {
            let patience = Duration::from_secs(60);
            instance.ask("c", stacks_of("billing"), patience).await
        })
    };
    let first = ask();
    let first_nonce = talk.asked_for_stacks().await;
    let second = ask();
    let second_nonce = talk.asked_for_stacks().await;
    assert_ne!(first_nonce, second_nonce);
    talk.tell_stacks(None, "of nobody", "x");
    talk.tell_stacks(None, &second_nonce, "second");
    talk.tell_stacks(None, &second_nonce, "twice");
    talk.tell_stacks(None, &first_nonce, "first");
    for (asked, expected) in [(first, "first"), (second, "second")] {
        let answer = soon("answer", asked).await.unwrap();
        let Ok(ClientAnswer::Done(body)) = answer else {
            panic!("expected an answer, got {answer:?}");
        };
        let info = ConsumerRunningInfo::decode(&body).unwrap();
        assert_eq!(info.stacks, expected);
    }

    // One that says nothing is given up, and one that has gone cannot be asked.
    let silent = ask();
    talk.asked_for_stacks().await;
    server.clock.advance(Duration::from_secs(61));
    let answer = soon("silence", silent).await.unwrap();
    assert!(matches!(answer, Err(AskError::Silent { .. })), "{answer:?}");
    talk.say = None;
    assert!(talk.heard().await.unwrap().is_none());
    let answer = soon("nobody", ask()).await.unwrap();
    let unreachable = matches!(answer, Err(AskError::Unreachable { .. }));
    assert!(unreachable, "{answer:?}");
}

#[tokio::test]
async fn a_client_consumes_a_message_that_it_is_given() {
    let server = Server::start().await;
    let (mut sdk, mut talk) = consumer(&server, "c").await;
    sdk.send_one("orders", "body").await;
    let mut peer = server.peer().await;
    let mut stored = Vec::new();
    for queue_id in 0..8 {
        let pull = PullMessageRequest {
            queue_id,
            sys_flag: pull_sys_flag::SUBSCRIPTION,
            subscription: Some("*"),
            ..pull_header("tools", "orders", 0, 0)
        };
        stored.extend(messages(&peer.call(RequestCode::PullMessage, &pull).await));
    }
    let id = MessageId {
        store_host: stored[0].store_host(),
        physical_offset: stored[0].physical_offset(),
    }
    .to_string();
    let header = ConsumeMessageDirectlyRequest {
        consumer_group: "billing",
        client_id: Some("c"),
        message_id: Some(&id),
        broker_name: None,
        topic: Some("orders"),
    };
    for (said, expected) in [
        (Code::Ok, "CR_SUCCESS"),
        (Code::FailedToConsumeMessage, "CR_LATER"),
        (Code::MessageCorrupted, "CR_RETURN_NULL"),
        (Code::VerifyFifoMessageUnsupported, ""),
    ] {
        let command = peer.command(RequestCode::ConsumeMessageDirectly, &header);
        peer.send(&command).await;
        let Command::VerifyMessageCommand(asked) = talk.told().await else {
            panic!("expected a message to consume");
        };
        let message = asked.message.unwrap();
        assert_eq!(message.topic, resource("orders"));
        assert_eq!(&message.body[..], b"body");
        assert_eq!(system(&message).message_id, "id-body");
        let nonce = asked.nonce;
        let result = Command::VerifyMessageResult(v2::VerifyMessageResult { nonce });
        talk.say(status(said, "word"), result);
        let answer: remoting::Command = peer.receive().await.unwrap();
        if expected.is_empty() {
            assert_eq!(answer.response_code(), Some(ResponseCode::SystemError));
            continue;
        }
        succeeded(&answer);
        let result = ConsumeDirectlyResult::decode(&answer.body).unwrap();
        assert_eq!(result.consume_result, expected);
    }
}

#[tokio::test]
async fn a_client_that_reads_nothing_harms_nobody() {
    let server = Server::start().await;
    let (_unread_sdk, unread) = consumer(&server, "unread").await;
    let (_sdk, mut talk) = consumer(&server, "c").await;
    // Far more than its window and its queue take, each with an answer that says much.
    let mut unreachable = false;
    for _ in 0..100_000 {
        let told = server
            .instance
            .ask("unread", stacks_of("billing"), Duration::ZERO);
        let told = soon("nobody waits for it", told).await;
        unreachable = matches!(told, Err(AskError::Unreachable { .. }));
        if unreachable {
            break;
        }
    }
    assert!(unreachable, "what a client does not read is bounded");

    let mut changed = spec("billing");
    changed.max_attempts = 5;
    soon("change", server.instance.create_group(changed))
        .await
        .unwrap();
    assert!(matches!(talk.told().await, Command::Settings(_)));
    let instance = server.instance.clone();
    let asked = tokio::spawn(async move {
        let patience = Duration::from_secs(10);
        instance.ask("c", stacks_of("billing"), patience).await
    });
    let nonce = talk.asked_for_stacks().await;
    talk.tell_stacks(None, &nonce, "well");
    assert!(soon("answer", asked).await.unwrap().is_ok());
    drop(unread);
}
