//! Offsets: how far a group has come, and where queues start and end.

use wire::remoting::{
    Command, Header, RequestCode, ResponseCode,
    header::{
        GetMaxOffsetRequest, OffsetResponse, QueryConsumerOffsetRequest, QueueRequest,
        SearchOffsetRequest, UpdateConsumerOffsetRequest,
    },
};

use super::RemotingClient;
use crate::ClientError;

impl RemotingClient {
    /// Offset that the next message of a queue will have (30).
    ///
    /// # Errors
    /// When the server refuses or does not answer.
    pub async fn max_offset(&self, topic: &str, queue: u32) -> Result<i64, ClientError> {
        let header = GetMaxOffsetRequest {
            topic,
            queue_id: queue.cast_signed(),
            committed: true,
            broker_name: None,
        };
        self.offset(RequestCode::GetMaxOffset, &header).await
    }

    /// Offset of the first message of a queue (31).
    ///
    /// # Errors
    /// When the server refuses or does not answer.
    pub async fn min_offset(&self, topic: &str, queue: u32) -> Result<i64, ClientError> {
        let header = QueueRequest {
            topic,
            queue_id: queue.cast_signed(),
            broker_name: None,
        };
        self.offset(RequestCode::GetMinOffset, &header).await
    }

    /// Offset of the first message stored at or after a time, in ms since 1970 (29).
    ///
    /// # Errors
    /// When the server refuses or does not answer.
    pub async fn offset_by_time(
        &self,
        topic: &str,
        queue: u32,
        timestamp: i64,
    ) -> Result<i64, ClientError> {
        let header = SearchOffsetRequest {
            topic,
            lite_topic: None,
            queue_id: queue.cast_signed(),
            timestamp,
            boundary: None,
            broker_name: None,
        };
        self.offset(RequestCode::SearchOffsetByTimestamp, &header)
            .await
    }

    /// How far a group has come in a queue; `None` if the server knows of nothing (14).
    ///
    /// # Errors
    /// When the server refuses or does not answer.
    pub async fn consumer_offset(
        &self,
        group: &str,
        topic: &str,
        queue: u32,
    ) -> Result<Option<i64>, ClientError> {
        let header = QueryConsumerOffsetRequest {
            consumer_group: group,
            topic,
            queue_id: queue.cast_signed(),
            set_zero_if_not_found: None,
            broker_name: None,
        };
        match self.offset(RequestCode::QueryConsumerOffset, &header).await {
            Ok(offset) => Ok(Some(offset)),
            Err(error) if error.refusal() == Some(ResponseCode::QueryNotFound) => Ok(None),
            Err(error) => Err(error),
        }
    }

    /// Notes how far a group has come in a queue, and waits for the server to have heard it (15).
    ///
    /// # Errors
    /// When the server refuses or does not answer.
    pub async fn commit_offset(
        &self,
        group: &str,
        topic: &str,
        queue: u32,
        offset: i64,
    ) -> Result<(), ClientError> {
        let header = UpdateConsumerOffsetRequest {
            consumer_group: group,
            topic,
            queue_id: queue.cast_signed(),
            commit_offset: offset,
            broker_name: None,
        };
        self.call(Command::request(RequestCode::UpdateConsumerOffset, &header))
            .await?;
        Ok(())
    }

    async fn offset<'a>(
        &self,
        code: RequestCode,
        header: &impl Header<'a>,
    ) -> Result<i64, ClientError> {
        let answer = self.call(Command::request(code, header)).await?;
        let header: OffsetResponse = answer
            .header()
            .map_err(|error| self.unexpected(code.name(), error))?;
        Ok(header.offset)
    }
}
