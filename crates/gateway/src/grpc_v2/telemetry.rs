//! Telemetry: the stream on which a client tells its settings and hears the server's.
//!
//! The stream is its own task-free state machine: it reads a command, answers it, and reads on, so
//! a client that does not read its answers is not read from either. It ends when the client ends
//! its side, when a command is refused, and when the server drains.

use std::pin::Pin;

use futures::{Stream, stream};
use tonic::Streaming;
use wire::grpc_v2::{self as v2, telemetry_command::Command};

use super::{
    access,
    call::Call,
    settings,
    status::{self, Refusal},
};
use crate::DrainPhase;

/// What the client reads.
pub(crate) type Commands =
    Pin<Box<dyn Stream<Item = Result<v2::TelemetryCommand, tonic::Status>> + Send>>;

struct Conversation {
    call: Call,
    incoming: Streaming<v2::TelemetryCommand>,
}

/// Begins the conversation.
pub(super) fn telemetry(call: Call, incoming: Streaming<v2::TelemetryCommand>) -> Commands {
    let drained = call.front.drain.reached(DrainPhase::Draining);
    let conversation = Conversation { call, incoming };
    let commands = stream::unfold(Some(conversation), |conversation| async {
        let mut conversation = conversation?;
        match conversation.next().await? {
            Ok(command) => Some((Ok(command), Some(conversation))),
            Err(refusal) => {
                let peer = conversation.call.connection.peer;
                let client = conversation.call.client_id().unwrap_or_default();
                // SDKs lose the reason or keep it in a log of their own.
                tracing::info!(%peer, client, reason = refusal.text(), "client settings refused");
                Some((Err(refusal.end_of_stream()), None))
            }
        }
    });
    Box::pin(futures::StreamExt::take_until(commands, drained))
}

impl Conversation {
    /// The next command for the client; `None` when the client is done.
    async fn next(&mut self) -> Option<Result<v2::TelemetryCommand, Refusal>> {
        loop {
            // An error here is the client's going away or a message that is none: nobody to answer.
            let command = self.incoming.message().await.ok().flatten()?;
            match command.command {
                Some(Command::Settings(settings)) => return Some(self.settings(settings).await),
                // Results of commands that this server never gives, and commands that only servers
                // give.
                Some(
                    Command::ThreadStackTrace(_)
                    | Command::VerifyMessageResult(_)
                    | Command::RecoverOrphanedTransactionCommand(_)
                    | Command::PrintThreadStackTraceCommand(_)
                    | Command::VerifyMessageCommand(_)
                    | Command::ReconnectEndpointsCommand(_)
                    | Command::NotifyUnsubscribeLiteCommand(_),
                )
                | None => {}
            }
        }
    }

    async fn settings(&self, settings: v2::Settings) -> Result<v2::TelemetryCommand, Refusal> {
        let call = &self.call;
        access::check(call, &settings)?;
        let agent = settings.user_agent.clone();
        let settled = settings::settle(call, settings).await?;
        let identity = call.identity(agent.as_ref())?;
        let clients = &call.front.grpc_clients;
        clients.settings(&settled.instance, identity, settled.role, call.now())?;
        Ok(v2::TelemetryCommand {
            status: Some(status::ok()),
            command: Some(Command::Settings(settled.settings)),
        })
    }
}
