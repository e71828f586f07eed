//! Query: find a message by where it is stored, or by one of its keys.

use base::{ErrorKind, LogPosition, Timestamp, TopicName};
use wire::message::StoredMessage;

use crate::{Shard, TopicNotFound};

/// Which messages to find.
#[derive(Clone, Debug)]
pub struct QueryRequest {
    /// The topic.
    pub topic: TopicName,
    /// One of the message's keys, or its unique id.
    pub key: String,
    /// Most messages wanted; capped at [`base::limits::QUERY_MESSAGES_MAX`].
    pub max_messages: usize,
    /// Only messages stored at or after this time.
    pub from: Timestamp,
    /// Only messages stored at or before this time.
    pub to: Timestamp,
}

/// Why a query failed.
#[derive(Debug, thiserror::Error)]
pub enum QueryError {
    /// No such topic.
    #[error(transparent)]
    TopicNotFound(#[from] TopicNotFound),
    /// No message there.
    #[error("no message at log position {position}")]
    MessageNotFound {
        /// The position asked for.
        position: LogPosition,
    },
    /// Reading failed.
    #[error("read message at log position {position}")]
    Read {
        /// The position.
        position: LogPosition,
        /// What the log said.
        #[source]
        source: store::log::ReadError,
    },
    /// The index could not be read.
    #[error("read key index")]
    State(#[from] store::kv::KvError),
}

impl QueryError {
    /// What the caller should do.
    pub fn kind(&self) -> ErrorKind {
        match self {
            Self::TopicNotFound(_) | Self::MessageNotFound { .. } => ErrorKind::NotFound,
            Self::Read { .. } | Self::State(_) => ErrorKind::Fault,
        }
    }
}

impl Shard {
    /// The message stored at `position`, as an offset message id names it.
    pub async fn message_at(&self, position: LogPosition) -> Result<StoredMessage, QueryError> {
        let _ = position;
        unimplemented!()
    }

    /// Messages with a key, newest first.
    pub async fn query(&self, request: QueryRequest) -> Result<Vec<StoredMessage>, QueryError> {
        let _ = request;
        unimplemented!()
    }
}
