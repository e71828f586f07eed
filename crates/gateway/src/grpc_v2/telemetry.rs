//! Telemetry: the stream on which a client tells its settings, hears the server's, and is told and
//! asked what the core has for it (`commands.rs`).
//!
//! The stream is its own task-free state machine: it reads a command, answers it, and reads on, so
//! a client that does not read its answers is not read from either. It ends when the client ends
//! its side, when a command is refused, and when the server drains, which it says first.

use std::pin::Pin;

use broker::ClientCommand;
use futures::stream;
use tonic::Streaming;
use wire::grpc_v2::{self as v2, telemetry_command::Command};

use super::{
    access,
    call::Call,
    clients::Stream,
    commands::{self, Told},
    inbox::{Asked, Inbox},
    settings::{self, Settled},
    status::{self, Refusal},
};
use crate::DrainPhase;

/// What the client reads.
pub(crate) type Commands =
    Pin<Box<dyn futures::Stream<Item = Result<v2::TelemetryCommand, tonic::Status>> + Send>>;

struct Conversation {
    call: Call,
    incoming: Streaming<v2::TelemetryCommand>,
    stream: Stream,
    inbox: Inbox,
    asked: Asked,
    settled: Option<Settled>,
    drained: Pin<Box<dyn Future<Output = ()> + Send>>,
}

/// Begins the conversation.
pub(super) fn telemetry(call: Call, incoming: Streaming<v2::TelemetryCommand>) -> Commands {
    let inbox = Inbox::default();
    let conversation = Conversation {
        incoming,
        stream: Stream::new(call.front.clone(), inbox.sender.clone()),
        inbox,
        asked: Asked::default(),
        settled: None,
        drained: Box::pin(call.front.drain.reached(DrainPhase::Draining)),
        call,
    };
    let commands = stream::unfold(Some(conversation), |conversation| async {
        let mut conversation = conversation?;
        match conversation.next().await {
            Next::Tell(command) => Some((Ok(*command), Some(conversation))),
            Next::TellAndEnd(command) => Some((Ok(*command), None)),
            Next::Fail(status) => Some((Err(status), None)),
            Next::End => None,
            Next::Refuse(refusal) => {
                let peer = conversation.call.connection.peer;
                let client = conversation.call.client_id().unwrap_or_default();
                // SDKs lose the reason or keep it in a log of their own.
                tracing::info!(%peer, client, reason = refusal.text(), "client settings refused");
                Some((Err(refusal.end_of_stream()), None))
            }
        }
    });
    Box::pin(commands)
}

/// How the conversation goes on.
enum Next {
    Tell(Box<v2::TelemetryCommand>),
    TellAndEnd(Box<v2::TelemetryCommand>),
    Refuse(Refusal),
    Fail(tonic::Status),
    End,
}

/// What happened.
enum Event {
    Said(Result<Option<Box<v2::TelemetryCommand>>, tonic::Status>),
    Told(ClientCommand),
    Drained,
}

impl Conversation {
    /// What the client hears next.
    async fn next(&mut self) -> Next {
        loop {
            let event = tokio::select! {
                biased;
                () = &mut self.drained => Event::Drained,
                said = self.incoming.message() => Event::Said(said.map(|it| it.map(Box::new))),
                command = self.inbox.next() => Event::Told(command),
            };
            match event {
                Event::Drained => return self.farewell(),
                Event::Said(Ok(None)) => return Next::End,
                // The client has gone, or it sent what is no message.
                Event::Said(Err(status)) => return Next::Fail(status),
                Event::Said(Ok(Some(said))) => match self.said(*said).await {
                    Ok(None) => {}
                    Ok(Some(settings)) => return tell(Command::Settings(settings)),
                    Err(refusal) => return Next::Refuse(refusal),
                },
                Event::Told(command) => {
                    if let Some(command) = self.told(command).await {
                        return tell(command);
                    }
                }
            }
        }
    }

    /// Takes what the client says; settings are answered.
    async fn said(&mut self, said: v2::TelemetryCommand) -> Result<Option<v2::Settings>, Refusal> {
        let status = said.status.as_ref();
        match said.command {
            Some(Command::Settings(settings)) => return self.settings(settings).await.map(Some),
            Some(Command::ThreadStackTrace(trace)) => {
                if let Some(settled) = &self.settled {
                    let nonce = trace.nonce.clone();
                    let answer = commands::stacks(settled, status, trace);
                    self.asked.answered(&nonce, |()| answer);
                }
            }
            Some(Command::VerifyMessageResult(result)) => {
                self.asked
                    .answered(&result.nonce, |()| commands::verified(status));
            }
            // Commands that only servers give.
            Some(
                Command::RecoverOrphanedTransactionCommand(_)
                | Command::PrintThreadStackTraceCommand(_)
                | Command::VerifyMessageCommand(_)
                | Command::ReconnectEndpointsCommand(_)
                | Command::NotifyUnsubscribeLiteCommand(_),
            )
            | None => {}
        }
        Ok(None)
    }

    async fn settings(&mut self, settings: v2::Settings) -> Result<v2::Settings, Refusal> {
        let call = &self.call;
        access::check(call, &settings)?;
        let settled = settings::settle(call, settings).await?;
        let identity = call.identity(settled.settings.user_agent.as_ref())?;
        let (role, now) = (settled.role.clone(), call.now());
        let clients = &call.front.grpc_clients;
        clients.settings(&settled.instance, identity, role, &mut self.stream, now)?;
        let settled = self.settled.insert(settled);
        Ok(settled.settings.clone())
    }

    /// What the client hears of a command of the core.
    async fn told(&mut self, command: ClientCommand) -> Option<Command> {
        // The core knows no way here before there are settings.
        let settled = self.settled.as_mut()?;
        match commands::encode(&self.call, settled, &mut self.asked, command) {
            Told::Client(command) => Some(*command),
            Told::Nothing => None,
            Told::Settings => {
                let told = settled.settings.clone();
                // What the server adds to settings takes the place of what it added before.
                let now = settings::settle(&self.call, told).await.ok()?;
                if now.settings == settled.settings {
                    return None;
                }
                settled.settings = now.settings;
                Some(Command::Settings(settled.settings.clone()))
            }
        }
    }

    /// The last command: clients that know it come back to another server, or to the next process
    /// here, without waiting for an error.
    fn farewell(&self) -> Next {
        if self.settled.is_none() {
            return Next::End;
        }
        let command = v2::ReconnectEndpointsCommand {
            nonce: "drain".to_owned(),
        };
        Next::TellAndEnd(Box::new(v2::TelemetryCommand {
            status: Some(status::ok()),
            command: Some(Command::ReconnectEndpointsCommand(command)),
        }))
    }
}

fn tell(command: Command) -> Next {
    Next::Tell(Box::new(v2::TelemetryCommand {
        status: Some(status::ok()),
        command: Some(command),
    }))
}
