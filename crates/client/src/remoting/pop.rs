//! Pop and ack: take messages of a group for a time, and settle them.

use std::time::Duration;

use wire::{
    message::{StoredMessage, split},
    remoting::{
        Command, RequestCode, ResponseCode,
        header::{AckMessageRequest, PopMessageRequest, PopMessageResponse},
        pop_receipt::{PopReceipt, start_offsets},
    },
};

use super::RemotingClient;
use crate::ClientError;

/// What to take.
#[derive(Clone, Debug)]
pub struct PopQueue<'a> {
    /// Group of the consumer.
    pub group: &'a str,
    /// The topic.
    pub topic: &'a str,
    /// The queue; `None` is any.
    pub queue: Option<u32>,
    /// Most messages wanted; servers take 1 to 32.
    pub max_messages: u32,
    /// How long the messages stay invisible to others.
    pub invisible: Duration,
    /// How long the server may wait for a message; zero answers at once.
    pub wait: Duration,
    /// When the request is made, ms since 1970: Apache refuses what has been under way too long.
    pub born_timestamp: i64,
    /// Name of the broker, which becomes part of the receipts.
    pub broker_name: &'a str,
}

/// A message that was taken.
#[derive(Clone, Debug)]
pub struct PoppedMessage {
    /// The message.
    pub message: StoredMessage,
    /// What settles it.
    pub receipt: String,
}

impl RemotingClient {
    /// Takes messages (`PopMessage`, 200050); none if there were none in time.
    ///
    /// # Errors
    /// When the server refuses, or answers with something that is no message.
    pub async fn pop(&self, pop: PopQueue<'_>) -> Result<Vec<PoppedMessage>, ClientError> {
        const CODE: RequestCode = RequestCode::PopMessage;
        let header = PopMessageRequest {
            consumer_group: pop.group,
            topic: pop.topic,
            queue_id: pop.queue.map_or(-1, u32::cast_signed),
            max_message_count: pop.max_messages.cast_signed(),
            invisible_ms: i64::try_from(pop.invisible.as_millis()).unwrap_or(i64::MAX),
            poll_ms: i64::try_from(pop.wait.as_millis()).unwrap_or(i64::MAX),
            born_timestamp: pop.born_timestamp,
            init_mode: 0,
            expression_type: Some("TAG"),
            expression: Some("*"),
            order: false,
            attempt_id: None,
            broker_name: None,
        };
        let limit = self.request_timeout() + pop.wait;
        let answer = self
            .request_within(Command::request(CODE, &header), limit)
            .await?;
        match answer.response_code() {
            Some(ResponseCode::Success) => {}
            Some(ResponseCode::PollingTimeout | ResponseCode::PollingFull) => {
                return Ok(Vec::new());
            }
            _ => return Err(self.refused(CODE.name(), &answer)),
        }
        let header: PopMessageResponse<'_> = answer
            .header()
            .map_err(|error| self.unexpected(CODE.name(), error))?;
        let starts = start_offsets(header.start_offset_info.unwrap_or_default())
            .map_err(|error| self.unexpected(CODE.name(), error))?;
        split(answer.body.clone())
            .map(|message| {
                let message = message.map_err(|error| self.unexpected(CODE.name(), error))?;
                let (queue_id, offset) = (message.queue_id(), message.queue_offset());
                let receipt = PopReceipt {
                    start_offset: starts.get(&queue_id).copied().unwrap_or(offset),
                    pop_timestamp: header.pop_timestamp,
                    invisible_ms: header.invisible_ms,
                    revive_queue_id: header.revive_queue_id,
                    retry: "0",
                    broker_name: pop.broker_name,
                    queue_id: queue_id.cast_signed(),
                    queue_offset: Some(offset),
                };
                let receipt = receipt.to_string();
                Ok(PoppedMessage { message, receipt })
            })
            .collect()
    }

    /// Settles a message (`AckMessage`, 200051).
    ///
    /// # Errors
    /// When the server refuses: the message is not in flight any more.
    pub async fn ack(
        &self,
        group: &str,
        topic: &str,
        popped: &PoppedMessage,
    ) -> Result<(), ClientError> {
        let header = AckMessageRequest {
            consumer_group: group,
            topic,
            queue_id: popped.message.queue_id().cast_signed(),
            extra_info: &popped.receipt,
            offset: popped.message.queue_offset(),
            lite_topic: None,
            broker_name: None,
        };
        self.call(Command::request(RequestCode::AckMessage, &header))
            .await?;
        Ok(())
    }
}
