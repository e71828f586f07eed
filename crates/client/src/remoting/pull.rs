//! Pull: read a queue from an offset on, waiting for messages if there are none.

use std::time::Duration;

use wire::{
    message::{StoredMessage, split},
    remoting::{
        Command, RequestCode, ResponseCode,
        header::{PullMessageRequest, PullMessageResponse, pull_sys_flag},
    },
};

use super::RemotingClient;
use crate::ClientError;

/// What to read.
#[derive(Clone, Debug)]
pub struct PullQueue<'a> {
    /// Group of the consumer.
    pub group: &'a str,
    /// The topic.
    pub topic: &'a str,
    /// The queue.
    pub queue: u32,
    /// First offset wanted.
    pub offset: i64,
    /// Most messages wanted.
    pub max_messages: u32,
    /// Offset to commit on the way.
    pub commit: Option<i64>,
    /// Tags joined by `||`, or `*`.
    pub expression: &'a str,
    /// How long the server may wait for a message; zero answers at once.
    pub wait: Duration,
}

/// What became of a pull.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum PullStatus {
    /// There are messages.
    Found,
    /// There was nothing at the offset yet.
    NoNewMessage,
    /// Nothing passed the filter: go on at the next offset.
    NoMatch,
    /// The offset is outside the queue: go on at the next offset.
    OffsetMoved,
}

/// The answer to a pull.
#[derive(Clone, Debug)]
pub struct PulledMessages {
    /// What became of it.
    pub status: PullStatus,
    /// The messages, in order.
    pub messages: Vec<StoredMessage>,
    /// Where to go on.
    pub next: i64,
    /// First offset of the queue.
    pub min: i64,
    /// Offset that the next message of the queue will have.
    pub max: i64,
}

impl RemotingClient {
    /// Reads a queue (`PullMessage`, 11).
    ///
    /// # Errors
    /// When the server refuses, or answers with something that is no message.
    pub async fn pull(&self, pull: PullQueue<'_>) -> Result<PulledMessages, ClientError> {
        const CODE: RequestCode = RequestCode::PullMessage;
        let mut sys_flag = pull_sys_flag::SUBSCRIPTION;
        if !pull.wait.is_zero() {
            sys_flag |= pull_sys_flag::SUSPEND;
        }
        if pull.commit.is_some() {
            sys_flag |= pull_sys_flag::COMMIT_OFFSET;
        }
        let header = PullMessageRequest {
            consumer_group: pull.group,
            topic: pull.topic,
            lite_topic: None,
            queue_id: pull.queue.cast_signed(),
            queue_offset: pull.offset,
            max_message_count: pull.max_messages.cast_signed(),
            sys_flag,
            commit_offset: pull.commit.unwrap_or(0),
            suspend_timeout_ms: i64::try_from(pull.wait.as_millis()).unwrap_or(i64::MAX),
            subscription: Some(pull.expression),
            subscription_version: 0,
            expression_type: Some("TAG"),
            max_message_bytes: None,
            request_source: None,
            proxy_client_id: None,
            broker_name: None,
        };
        let limit = self.request_timeout() + pull.wait;
        let answer = self
            .request_within(Command::request(CODE, &header), limit)
            .await?;
        let status = match answer.response_code() {
            Some(ResponseCode::Success) => PullStatus::Found,
            Some(ResponseCode::PullNotFound) => PullStatus::NoNewMessage,
            Some(ResponseCode::PullRetryImmediately) => PullStatus::NoMatch,
            Some(ResponseCode::PullOffsetMoved) => PullStatus::OffsetMoved,
            _ => return Err(self.refused(CODE.name(), &answer)),
        };
        let header: PullMessageResponse = answer
            .header()
            .map_err(|error| self.unexpected(CODE.name(), error))?;
        let messages = split(answer.body.clone())
            .collect::<Result<Vec<_>, _>>()
            .map_err(|error| self.unexpected(CODE.name(), error))?;
        Ok(PulledMessages {
            status,
            messages,
            next: header.next_begin_offset,
            min: header.min_offset,
            max: header.max_offset,
        })
    }
}
