//! Telemetry: the stream on which client and server tell each other their settings.

use futures::StreamExt;
use tokio::sync::mpsc;
use tokio_stream::wrappers::ReceiverStream;
use wire::grpc_v2::{Settings, TelemetryCommand, telemetry_command::Command};

use super::GrpcClient;
use crate::ClientError;

/// Commands that may wait to be written, and commands of the server that may wait to be read.
const COMMANDS_MAX: usize = 64;

/// The open stream. It ends when this is dropped.
#[derive(Debug)]
pub struct TelemetrySession {
    /// What the server answered.
    pub settings: Settings,
    /// Further commands of the server; dropped when there is no room.
    pub commands: mpsc::Receiver<TelemetryCommand>,
    _stream: mpsc::Sender<TelemetryCommand>,
}

impl GrpcClient {
    /// Tells the server this client's settings and waits for its own. The server counts the client
    /// as present as long as the session lives.
    ///
    /// # Errors
    /// When the server refuses the settings or does not answer.
    pub async fn telemetry(&self, settings: Settings) -> Result<TelemetrySession, ClientError> {
        const NAME: &str = "telemetry";
        let (stream, outgoing) = mpsc::channel(COMMANDS_MAX);
        let first = TelemetryCommand {
            status: None,
            command: Some(Command::Settings(settings)),
        };
        stream
            .try_send(first)
            .expect("the channel was just made and is empty");
        let mut stub = self.stub.clone();
        let request = self.request(ReceiverStream::new(outgoing));
        let answered = self.within(NAME, std::time::Duration::ZERO, async {
            let mut commands = stub.telemetry(request).await?.into_inner();
            let first = commands.next().await.transpose()?;
            Ok(tonic::Response::new((first, commands)))
        });
        let (first, mut incoming) = answered.await?;
        let unexpected = |reason: &str| ClientError::Answer {
            address: self.address.clone(),
            request: NAME,
            reason: reason.to_owned(),
        };
        let first = first.ok_or_else(|| unexpected("the end of the stream"))?;
        if first.status.is_some() {
            self.expect_ok(NAME, first.status.as_ref())?;
        }
        let Some(Command::Settings(settings)) = first.command else {
            return Err(unexpected("a command that is no settings"));
        };
        let (sender, commands) = mpsc::channel(COMMANDS_MAX);
        tokio::spawn(async move {
            loop {
                tokio::select! {
                    command = incoming.next() => match command {
                        // Dropped when there is no room.
                        Some(Ok(command)) => drop(sender.try_send(command)),
                        Some(Err(_)) | None => return,
                    },
                    () = sender.closed() => return,
                }
            }
        });
        Ok(TelemetrySession {
            settings,
            commands,
            _stream: stream,
        })
    }
}
