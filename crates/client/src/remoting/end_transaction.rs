//! Ending a transaction.

use wire::{
    message::{MessageId, sys_flag},
    remoting::{Command, RequestCode, header::EndTransactionRequest},
};

use super::{RemotingClient, SentMessage};
use crate::ClientError;

impl RemotingClient {
    /// Commits the half message that `sent` is (`EndTransaction`, 37), and waits for the answer,
    /// which Apache's producers do not ask for.
    ///
    /// # Errors
    /// When the server gave the half message no id, or refuses.
    pub async fn commit_transaction(
        &self,
        producer_group: &str,
        topic: &str,
        sent: &SentMessage,
    ) -> Result<(), ClientError> {
        let code = RequestCode::EndTransaction;
        let id: MessageId = sent
            .message_id
            .parse()
            .map_err(|error| self.unexpected(code.name(), error))?;
        let header = EndTransactionRequest {
            topic: Some(topic),
            producer_group,
            transaction_state_offset: sent.queue_offset,
            physical_offset: id.physical_offset,
            commit_or_rollback: sys_flag::TRANSACTION_COMMIT,
            from_transaction_check: false,
            message_id: &sent.message_id,
            transaction_id: None,
            broker_name: None,
        };
        self.call(Command::request(code, &header)).await?;
        Ok(())
    }
}
