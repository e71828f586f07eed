//! PollCommand: what the core tells or asks a client waits here until the client fetches it, and
//! what the client answers comes back as reports.

use std::{collections::VecDeque, sync::Arc};

use base::limits;
use broker::{ClientAnswer, ClientCommand, ClientQuestion, Instance};
use parking_lot::Mutex;
use tokio::select;
use wire::{
    grpc_v1::{self as v1, poll_command_request::Group, poll_command_response::Type},
    grpc_v2::Code,
    message::StoredMessage,
    remoting::body::{Body, ConsumerRunningInfo},
};

use super::{heartbeat::producer_role, message};
use crate::{
    DrainPhase, client_answer,
    grpc::{
        call::{Call, check_client_id},
        clients::Role,
        inbox::Asked,
        long_poll, names,
        status::Refusal,
        transaction_id::transaction_id,
    },
};

/// Most of a client's words on a refusal that are passed on.
const REMARK_CHARS_MAX: usize = 1_024;

/// What is kept of a question until its answer.
pub(super) enum Kept {
    /// What is known of a client besides what its threads do.
    Stacks(Box<ConsumerRunningInfo>),
    /// Nothing: how a message was consumed is all of the answer.
    Consumed,
}

/// Questions that clients of one connection have yet to answer.
pub(super) type Questions = Asked<Kept>;

/// Clients of one connection that have said good-bye.
///
/// Compat: the SDK (2.0.5) goes on polling for clients that it has shut down, at once after a
/// command and a second after an error. They must not count as there again, and the connection,
/// which waits for its polls before it closes, should not wait for theirs.
#[derive(Default)]
pub(super) struct Parted(VecDeque<String>);

impl Parted {
    /// A client has gone. Of too many, the first is forgotten.
    pub(super) fn went(&mut self, client: &str) {
        self.came(client);
        if self.0.len() >= limits::CLIENT_SETTINGS_ENTRIES_MAX {
            self.0.pop_front();
        }
        self.0.push_back(client.to_owned());
    }

    /// A client is there, perhaps again.
    pub(super) fn came(&mut self, client: &str) {
        self.0.retain(|parted| parted != client);
    }

    fn contains(&self, client: &str) -> bool {
        self.0.iter().any(|parted| parted == client)
    }
}

fn good_bye() -> Refusal {
    Refusal::new(Code::NotFound, "client has said good-bye")
}

pub(super) async fn poll_command(
    call: &Call,
    questions: &Mutex<Questions>,
    parted: &Mutex<Parted>,
    request: v1::PollCommandRequest,
) -> Result<v1::PollCommandResponse, Refusal> {
    let client = check_client_id(&request.client_id)?;
    if parted.lock().contains(client) {
        return Err(good_bye());
    }
    let (instance, role) = match &request.group {
        Some(Group::ProducerGroup(group)) => {
            let (instance, group) = names::group(call, Some(group))?;
            (instance, producer_role(group))
        }
        // What it consumes is in its heartbeats.
        Some(Group::ConsumerGroup(group)) => (names::group(call, Some(group))?.0, Role::default()),
        None => (names::instance(call)?, Role::default()),
    };
    let clients = &call.front.grpc_clients;
    let mailbox = clients.fetches(&instance, call.identity_of(client), role, call.now())?;
    if call.front.drain.is_draining() {
        return Err(long_poll::ending());
    }
    let wait = long_poll::wait(None, call.timeout())?;
    let fetching = async {
        // It has said good-bye meanwhile.
        let Some(mailbox) = mailbox else {
            return std::future::pending().await;
        };
        let mut inbox = mailbox.lock().await;
        loop {
            let command = inbox.next().await;
            if let Some(command) = encode(call, (&instance, client), questions, command) {
                return command;
            }
        }
    };
    let command = select! {
        biased;
        command = fetching => command,
        () = call.front.drain.reached(DrainPhase::Draining) => return Err(long_poll::ending()),
        () = clients.gone(&instance, client) => return Err(good_bye()),
        () = call.front.clock.sleep(wait) => Type::NoopCommand(v1::NoopCommand {}),
    };
    Ok(v1::PollCommandResponse {
        r#type: Some(command),
    })
}

/// The command as the client reads it; `None` where the protocol has no such command, or the
/// question is answered already.
fn encode(
    call: &Call,
    (instance, client): (&Arc<Instance>, &str),
    questions: &Mutex<Questions>,
    command: ClientCommand,
) -> Option<Type> {
    let question = match command {
        ClientCommand::CheckTransaction { half, message, .. } => {
            let command = v1::RecoverOrphanedTransactionCommand {
                orphaned_transactional_message: Some(shown(call, instance, &message)),
                transaction_id: transaction_id(half),
            };
            return Some(Type::RecoverOrphanedTransactionCommand(command));
        }
        // Consumers keep neither queues nor offsets of their own, ask for no settings, and have no
        // LiteTopics.
        ClientCommand::GroupChanged { .. }
        | ClientCommand::UnsubscribeLite { .. }
        | ClientCommand::ConsumersChanged { .. }
        | ClientCommand::OffsetsReset { .. } => return None,
        ClientCommand::Ask { question, answer } => (question, answer),
    };
    let told = |answer: tokio::sync::oneshot::Sender<ClientAnswer>, told| {
        // Who asked may have gone.
        let _ = answer.send(told);
        None
    };
    match question {
        (ClientQuestion::RunningInfo { with_stacks, .. }, answer) => {
            let role = call.front.grpc_clients.role(instance, client);
            let role = role.unwrap_or_default();
            let version = call.identity_of(client).version;
            let info =
                client_answer::running_info(role.consumers.first(), Some(&version), String::new());
            if !with_stacks {
                return told(answer, ClientAnswer::Done(info.encode()));
            }
            let command_id = questions.lock().wait(answer, Kept::Stacks(Box::new(info)));
            let command = v1::PrintThreadStackTraceCommand { command_id };
            Some(Type::PrintThreadStackTraceCommand(command))
        }
        (ClientQuestion::ConsumeDirectly { message, .. }, answer) => {
            let command_id = questions.lock().wait(answer, Kept::Consumed);
            let message = Some(shown(call, instance, &message));
            let command = v1::VerifyMessageConsumptionCommand {
                command_id,
                message,
            };
            Some(Type::VerifyMessageConsumptionCommand(command))
        }
        (ClientQuestion::ConsumerStatus { .. } | ClientQuestion::TakeReply { .. }, answer) => {
            let remark = "gRPC clients keep no offsets and take no replies";
            told(answer, ClientAnswer::Refused(remark.to_owned()))
        }
    }
}

/// A message under the name that the client has for its topic.
fn shown(call: &Call, instance: &Instance, stored: &StoredMessage) -> v1::Message {
    let topic = names::told(call, instance, stored.topic());
    message::shown(stored, &topic, call.digest_form())
}

/// What a client said that was asked what its threads do.
pub(super) fn stack_trace(
    questions: &Mutex<Questions>,
    request: v1::ReportThreadStackTraceRequest,
) {
    let stacks = request.thread_stack_trace;
    questions
        .lock()
        .answered(&request.command_id, |kept| match kept {
            Kept::Stacks(info) => {
                let info = ConsumerRunningInfo { stacks, ..*info };
                ClientAnswer::Done(info.encode())
            }
            Kept::Consumed => wrong_report(),
        });
}

/// What a client said that was asked to consume a message.
pub(super) fn consumption_result(
    questions: &Mutex<Questions>,
    request: v1::ReportMessageConsumptionResultRequest,
) {
    let status = request.status.unwrap_or_default();
    questions
        .lock()
        .answered(&request.command_id, |kept| match kept {
            Kept::Consumed => consumed(status),
            Kept::Stacks(_) => wrong_report(),
        });
}

fn consumed(status: v1::Status) -> ClientAnswer {
    match tonic::Code::from_i32(status.code) {
        tonic::Code::Ok => client_answer::consumed_directly("CR_SUCCESS"),
        tonic::Code::Internal => client_answer::consumed_directly("CR_LATER"),
        // The message came damaged.
        tonic::Code::InvalidArgument => client_answer::consumed_directly("CR_RETURN_NULL"),
        code => {
            let text: String = status.message.chars().take(REMARK_CHARS_MAX).collect();
            ClientAnswer::Refused(format!("{}: {text}", code.description()))
        }
    }
}

fn wrong_report() -> ClientAnswer {
    ClientAnswer::Refused("client answered another question than it was asked".to_owned())
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn those_who_part_are_forgotten_when_they_come_back_or_are_too_many() {
        let mut parted = Parted::default();
        let max = limits::CLIENT_SETTINGS_ENTRIES_MAX;
        for number in 0..=max {
            parted.went(&number.to_string());
            parted.went(&number.to_string());
        }
        assert!(!parted.contains("0"));
        assert!(parted.contains("1"));
        parted.came("1");
        assert!(!parted.contains("1"));
        assert_eq!(parted.0.len(), max - 1);
    }

    #[test]
    fn results_are_told_in_the_words_of_remoting() {
        let told = |code: tonic::Code| {
            let status = v1::Status {
                code: code.into(),
                message: "x".repeat(2 * REMARK_CHARS_MAX),
            };
            match consumed(status) {
                ClientAnswer::Done(body) => String::from_utf8(body.to_vec()).unwrap(),
                ClientAnswer::Refused(text) => text,
            }
        };
        assert!(told(tonic::Code::Ok).contains("CR_SUCCESS"));
        assert!(told(tonic::Code::Internal).contains("CR_LATER"));
        assert!(told(tonic::Code::InvalidArgument).contains("CR_RETURN_NULL"));
        let refused = told(tonic::Code::Unavailable);
        assert!(refused.contains("unavailable"), "{refused}");
        assert!(refused.len() < 2 * REMARK_CHARS_MAX);
    }
}
