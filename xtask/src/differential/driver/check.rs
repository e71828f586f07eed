//! Transactions of which the server asks how they ended.

use std::time::Duration;

use anyhow::{Result, bail};
use client::RemotingClient;
use wire::message::StoredMessage;
use wire::remoting::{
    Command, RequestCode, ResponseCode,
    header::{CheckTransactionStateRequest, EndTransactionRequest},
};

use super::{Addresses, Driver, not_asked, options};
use crate::conformance::deadline::Deadline;
use crate::differential::outcome::{self, Outcome};

/// For the question to come: the original looks at all half messages, again and again.
const ASKED: Duration = Duration::from_secs(90);

/// Makes Apache look at half messages every two seconds, not twice a minute. It does from its next
/// look on, at most half a minute after its start.
pub(crate) async fn check_often(apache: &Addresses) -> Result<()> {
    let client = RemotingClient::connect(&apache.broker, options()).await?;
    let request = Command::request(RequestCode::UpdateBrokerConfig, &());
    let settings = request.with_body("transactionCheckInterval=2000\n");
    let answer = client.request(settings).await?;
    if answer.response_code() != Some(ResponseCode::Success) {
        bail!("Apache did not take its settings: {:?}", answer.remark);
    }
    Ok(())
}

impl Driver {
    /// Waits for the question about a half message, and answers it.
    pub(super) async fn await_check(&mut self, half: usize, decision: i32) -> Outcome {
        let Some(sent) = self.sent.get(&half).cloned() else {
            return not_asked();
        };
        let Some((command, message)) = self.check_of(&sent.unique_key).await else {
            return not_asked().with("nobody asks");
        };
        let Ok(check) = command.header::<CheckTransactionStateRequest<'_>>() else {
            return not_asked().with("asks without a header");
        };
        let is_named = check.transaction_id == Some(&sent.unique_key);
        let is_told = check.message_id == Some(&sent.unique_key);
        let (topic, producers) = (self.topic(sent.topic), self.producers());
        // As the released clients answer.
        let header = EndTransactionRequest {
            topic: Some(&topic),
            producer_group: &producers,
            transaction_state_offset: check.transaction_state_offset,
            physical_offset: check.physical_offset,
            commit_or_rollback: decision,
            from_transaction_check: true,
            message_id: &sent.unique_key,
            transaction_id: check.transaction_id,
            broker_name: None,
        };
        let request = Command::request(RequestCode::EndTransaction, &header);
        let asked = self.ask(request).await;
        if asked.header::<()>().is_some() {
            self.settle_end(&sent, decision).await;
        }
        asked
            .outcome()
            .with(format!("transaction={is_named} message={is_told}"))
            .with(format!("topic={}", check.topic == Some(topic.as_str())))
            .with(format!("asks of {}", outcome::content(&message)))
    }

    /// The next question about the message; what else the server tells is passed over.
    async fn check_of(&mut self, unique_key: &str) -> Option<(Command, StoredMessage)> {
        let deadline = Deadline::after(ASKED);
        loop {
            let next = tokio::time::timeout(deadline.remaining(), self.pushed.recv());
            let command = next.await.ok()??;
            if command.request_code() != Some(RequestCode::CheckTransactionState) {
                continue;
            }
            let message = StoredMessage::parse(command.body.clone()).ok()?;
            if message.view().unique_key() == Some(unique_key) {
                return Some((command, message));
            }
        }
    }
}
