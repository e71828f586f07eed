//! Query: find messages by where they are stored, or by key.

use wire::{
    message::{StoredMessage, split},
    remoting::{
        Command, RequestCode, ResponseCode,
        header::{QueryMessageRequest, ViewMessageRequest},
    },
};

use super::RemotingClient;
use crate::ClientError;

/// Which messages to find.
#[derive(Clone, Debug)]
pub struct QueryMessages<'a> {
    /// The topic.
    pub topic: &'a str,
    /// A key, or the id that a client gave.
    pub key: &'a str,
    /// Whether `key` is the id that a client gave.
    pub is_unique_key: bool,
    /// Most messages wanted.
    pub max_messages: u32,
    /// Earliest store time, ms since 1970.
    pub from: i64,
    /// Latest store time, ms since 1970.
    pub to: i64,
}

impl RemotingClient {
    /// The message at a physical offset, as an offset message id names it (33); `None` if there is
    /// none.
    ///
    /// # Errors
    /// When the server does not answer, or with something that is no message.
    pub async fn message_at(
        &self,
        topic: Option<&str>,
        physical_offset: i64,
    ) -> Result<Option<StoredMessage>, ClientError> {
        const CODE: RequestCode = RequestCode::ViewMessageById;
        let header = ViewMessageRequest {
            topic,
            offset: physical_offset,
        };
        let answer = self.request(Command::request(CODE, &header)).await?;
        match answer.response_code() {
            Some(ResponseCode::Success) => StoredMessage::parse(answer.body)
                .map(Some)
                .map_err(|error| self.unexpected(CODE.name(), error)),
            // Apache has one code for "no such message" and for faults here.
            Some(ResponseCode::QueryNotFound | ResponseCode::SystemError) => Ok(None),
            _ => Err(self.refused(CODE.name(), &answer)),
        }
    }

    /// Messages with a key, at most as many as wanted (12).
    ///
    /// # Errors
    /// When the server refuses, or answers with something that is no message.
    pub async fn query(&self, query: QueryMessages<'_>) -> Result<Vec<StoredMessage>, ClientError> {
        const CODE: RequestCode = RequestCode::QueryMessage;
        let header = QueryMessageRequest {
            topic: query.topic,
            key: query.key,
            max_count: query.max_messages.cast_signed(),
            begin_timestamp: query.from,
            end_timestamp: query.to,
            index_type: Some(if query.is_unique_key { "U" } else { "K" }),
            last_key: None,
            is_unique_key: Some(query.is_unique_key),
            broker_name: None,
        };
        let answer = self.request(Command::request(CODE, &header)).await?;
        match answer.response_code() {
            Some(ResponseCode::Success) => split(answer.body)
                .collect::<Result<_, _>>()
                .map_err(|error| self.unexpected(CODE.name(), error)),
            Some(ResponseCode::QueryNotFound) => Ok(Vec::new()),
            _ => Err(self.refused(CODE.name(), &answer)),
        }
    }
}
