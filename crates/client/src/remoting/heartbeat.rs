//! Heartbeat: say which groups this client is in.

use wire::remoting::{
    Command, RequestCode,
    body::{Body, HeartbeatData},
    header::UnregisterClientRequest,
};

use super::RemotingClient;
use crate::ClientError;

impl RemotingClient {
    /// Says which groups the client is in (34).
    ///
    /// # Errors
    /// When the server refuses or does not answer.
    pub async fn heartbeat(&self, heartbeat: &HeartbeatData) -> Result<(), ClientError> {
        let command = Command::request(RequestCode::Heartbeat, &());
        self.call(command.with_body(heartbeat.encode())).await?;
        Ok(())
    }

    /// Leaves the groups (35).
    ///
    /// # Errors
    /// When the server refuses or does not answer.
    pub async fn unregister(
        &self,
        client_id: &str,
        producer_group: Option<&str>,
        consumer_group: Option<&str>,
    ) -> Result<(), ClientError> {
        let header = UnregisterClientRequest {
            client_id,
            producer_group,
            consumer_group,
        };
        self.call(Command::request(RequestCode::UnregisterClient, &header))
            .await?;
        Ok(())
    }
}
