//! Half messages: how local transactions end, and what the checker answers.

use std::any::Any;

use rocketmq_client_rust::{LocalTransactionState, TransactionListener};
use rocketmq_model::common::message::MessageTrait;
use rocketmq_model::common::message::message_ext::MessageExt;
use serde_json::json;

use crate::protocol::{keys, write};

/// The property that the checker answers by.
const CHECK: &str = "check";

pub struct Listener;

impl TransactionListener for Listener {
    /// Ends as the argument of the send says.
    fn execute_local_transaction(
        &self,
        _message: &dyn MessageTrait,
        argument: Option<&(dyn Any + Send + Sync)>,
    ) -> LocalTransactionState {
        argument
            .and_then(|argument| argument.downcast_ref::<String>())
            .map_or(LocalTransactionState::Unknown, |end| state(end))
    }

    fn check_local_transaction(&self, message: &MessageExt) -> LocalTransactionState {
        write(
            "transaction_checked",
            json!({ "key": keys(message).first() }),
        );
        let check = message
            .properties()
            .iter()
            .find(|(name, _)| name.as_str() == CHECK);
        check.map_or(LocalTransactionState::Unknown, |(_, end)| state(end))
    }
}

fn state(end: &str) -> LocalTransactionState {
    match end {
        "commit" => LocalTransactionState::CommitMessage,
        "rollback" => LocalTransactionState::RollbackMessage,
        _ => LocalTransactionState::Unknown,
    }
}
