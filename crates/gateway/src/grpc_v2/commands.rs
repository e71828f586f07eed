//! Commands: what the core tells or asks a client, as TelemetryCommand, and what comes back.

use broker::{ClientAnswer, ClientCommand, ClientQuestion};
use wire::{
    grpc_v2::{self as v2, Code, settings::PubSub, telemetry_command::Command},
    message::StoredMessage,
    remoting::body::{Body, ConsumerRunningInfo},
};

use super::{
    call::Call, inbox::Asked, message, names, settings::Settled, transaction_id::transaction_id,
};
use crate::client_answer;

/// Most of a client's words on a refusal that are passed on.
const REMARK_CHARS_MAX: usize = 1_024;

/// What becomes of a command.
pub(super) enum Told {
    /// The client is told so.
    Client(Box<Command>),
    /// The client's group has changed, and so have its settings.
    Settings,
    /// The protocol has no such command, or the question is answered already.
    Nothing,
}

/// The command as the client reads it. `settled` is what it has told of itself.
pub(super) fn encode(
    call: &Call,
    settled: &Settled,
    asked: &mut Asked,
    command: ClientCommand,
) -> Told {
    match command {
        ClientCommand::CheckTransaction { half, message, .. } => {
            let command = v2::RecoverOrphanedTransactionCommand {
                message: Some(shown(call, settled, &message)),
                transaction_id: transaction_id(half),
            };
            Told::Client(Box::new(Command::RecoverOrphanedTransactionCommand(
                command,
            )))
        }
        ClientCommand::GroupChanged { .. } => Told::Settings,
        ClientCommand::UnsubscribeLite { lite_topic, .. } => {
            let lite_topic = lite_topic.to_string();
            let command = v2::NotifyUnsubscribeLiteCommand { lite_topic };
            Told::Client(Box::new(Command::NotifyUnsubscribeLiteCommand(command)))
        }
        // Consumers keep neither queues nor offsets of their own.
        ClientCommand::ConsumersChanged { .. } | ClientCommand::OffsetsReset { .. } => {
            Told::Nothing
        }
        ClientCommand::Ask { question, answer } => match question {
            ClientQuestion::RunningInfo {
                with_stacks: true, ..
            } => {
                let nonce = asked.wait(answer, ());
                let command = v2::PrintThreadStackTraceCommand { nonce };
                Told::Client(Box::new(Command::PrintThreadStackTraceCommand(command)))
            }
            ClientQuestion::ConsumeDirectly { message, .. } => {
                let nonce = asked.wait(answer, ());
                let message = Some(shown(call, settled, &message));
                let command = v2::VerifyMessageCommand { nonce, message };
                Told::Client(Box::new(Command::VerifyMessageCommand(command)))
            }
            ClientQuestion::RunningInfo {
                with_stacks: false, ..
            } => {
                let info = running_info(settled, String::new());
                // Who asked may have gone.
                let _ = answer.send(ClientAnswer::Done(info.encode()));
                Told::Nothing
            }
            ClientQuestion::ConsumerStatus { .. } | ClientQuestion::TakeReply { .. } => {
                let remark = "gRPC clients keep no offsets and take no replies";
                let _ = answer.send(ClientAnswer::Refused(remark.to_owned()));
                Told::Nothing
            }
        },
    }
}

/// A message under the name that the client has for its topic.
fn shown(call: &Call, settled: &Settled, stored: &StoredMessage) -> v2::Message {
    message::shown(
        stored,
        &told_topic(call, settled, stored.topic()),
        call.digest_form(),
    )
}

fn told_topic(call: &Call, settled: &Settled, topic: &str) -> v2::Resource {
    let is_it = |resource: &&v2::Resource| {
        let named = names::topic(call, Some(*resource));
        named.is_ok_and(|(_, named)| named.as_str() == topic)
    };
    let told = match &settled.settings.pub_sub {
        Some(PubSub::Publishing(publishing)) => publishing.topics.iter().find(is_it),
        Some(PubSub::Subscription(subscription)) => subscription
            .subscriptions
            .iter()
            .filter_map(|entry| entry.topic.as_ref())
            .find(is_it),
        None => None,
    };
    match told {
        Some(told) => told.clone(),
        None => names::told(call, &settled.instance, topic),
    }
}

/// What a client said that was asked what its threads do.
pub(super) fn stacks(
    settled: &Settled,
    status: Option<&v2::Status>,
    trace: v2::ThreadStackTrace,
) -> ClientAnswer {
    match refused(status) {
        Some(text) => ClientAnswer::Refused(text),
        None => {
            let stacks = trace.thread_stack_trace.unwrap_or_default();
            ClientAnswer::Done(running_info(settled, stacks).encode())
        }
    }
}

/// What a client said that was asked to consume a message. Source of the results: Apache's proxy,
/// `ClientActivity.buildConsumeMessageDirectlyResult`.
pub(super) fn verified(status: Option<&v2::Status>) -> ClientAnswer {
    let result = match status.map_or(Code::Ok, v2::Status::code) {
        Code::Ok => "CR_SUCCESS",
        Code::FailedToConsumeMessage => "CR_LATER",
        Code::MessageCorrupted => "CR_RETURN_NULL",
        _ => return ClientAnswer::Refused(refused(status).unwrap_or_default()),
    };
    client_answer::consumed_directly(result)
}

/// The client's words, if it did not do as asked.
fn refused(status: Option<&v2::Status>) -> Option<String> {
    let status = status.filter(|status| status.code() != Code::Ok)?;
    let text: String = status.message.chars().take(REMARK_CHARS_MAX).collect();
    Some(format!("{}: {text}", status.code().as_str_name()))
}

/// What is known of a client without asking it.
fn running_info(settled: &Settled, stacks: String) -> ConsumerRunningInfo {
    let agent = settled.settings.user_agent.as_ref();
    let version = agent.map(|agent| agent.version.as_str());
    client_answer::running_info(settled.role.consumers.first(), version, stacks)
}
