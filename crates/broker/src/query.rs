//! Query: find a message by where it is stored, or by one of its keys.

use std::collections::BTreeSet;

use base::{ErrorKind, LogPosition, Timestamp, TopicName, limits};
use store::log::{ReadError, Record};
use wire::message::StoredMessage;

use crate::{Shard, TopicNotFound, key_index, keys, records, state};

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
    /// No message of that id in the topic.
    #[error("no message with id `{start}` in topic `{topic}`")]
    IdNotFound {
        /// The topic.
        topic: TopicName,
        /// The first characters of the id.
        start: String,
    },
    /// Reading failed.
    #[error("read message at log position {position}")]
    Read {
        /// The position.
        position: LogPosition,
        /// What the log said.
        #[source]
        source: ReadError,
    },
    /// The index could not be read.
    #[error("read key index")]
    State(#[from] store::kv::KvError),
}

impl QueryError {
    /// What the caller should do.
    pub fn kind(&self) -> ErrorKind {
        match self {
            Self::TopicNotFound(_) | Self::MessageNotFound { .. } | Self::IdNotFound { .. } => {
                ErrorKind::NotFound
            }
            Self::Read { .. } | Self::State(_) => ErrorKind::Fault,
        }
    }
}

/// Runs of the key index read at a time, and messages looked at, for one query.
const RUNS_PER_PAGE: usize = 16;
const CANDIDATES_MAX: usize = 4_096;

impl Shard {
    /// The message stored at `position`, as an offset message id names it.
    pub async fn message_at(&self, position: LogPosition) -> Result<StoredMessage, QueryError> {
        let record = match self.log.read_at(position).await {
            Ok(record) => record,
            // An id comes from outside: what is not there, or no record's start, was never stored.
            Err(
                ReadError::Trimmed { .. } | ReadError::PastEnd { .. } | ReadError::Corrupt { .. },
            ) => return Err(QueryError::MessageNotFound { position }),
            Err(source) => return Err(QueryError::Read { position, source }),
        };
        message_of(record).ok_or(QueryError::MessageNotFound { position })
    }

    /// Messages with a key, newest first.
    pub async fn query(&self, request: QueryRequest) -> Result<Vec<StoredMessage>, QueryError> {
        let topic = self.catalogue.known_topic(&request.topic)?;
        let hash = key_index::hash(topic.id, &request.key);
        let messages_max = request.max_messages.clamp(1, limits::QUERY_MESSAGES_MAX);
        let mut found = Vec::new();
        let mut looked = 0;
        let mut candidates = self.positions_in_memory(hash);
        // A checkpoint may move an entry from memory to the KV while this goes on.
        let mut seen = BTreeSet::new();
        let partition = key_index::partition(hash);
        let (first, mut to) = (
            keys::key_run(partition, self.log.start().get()),
            state::next_key(&keys::key_run(partition, u64::MAX)),
        );
        loop {
            while let Some(position) = candidates.pop_last() {
                if !seen.insert(position) {
                    continue;
                }
                looked += 1;
                if let Some(message) = self.candidate(position, &request).await? {
                    found.push(message);
                }
                if found.len() >= messages_max || looked >= CANDIDATES_MAX {
                    return Ok(found);
                }
            }
            let runs = self.kv.range(&first, &to, true, RUNS_PER_PAGE)?;
            let Some((last, _)) = runs.last() else {
                return Ok(found);
            };
            to = last.to_vec();
            candidates.extend(
                runs.iter()
                    .flat_map(|(_, run)| key_index::find_in_run(run, hash)),
            );
        }
    }

    fn positions_in_memory(&self, hash: u64) -> BTreeSet<LogPosition> {
        let state = self.state.lock();
        let flushing = state.key_entries_flushing.iter();
        let entries = state.key_entries.iter().chain(flushing);
        entries
            .filter(|entry| entry.hash() == hash)
            .map(|entry| entry.position())
            .collect()
    }

    /// The message at `position`, if it is still there and is what the query asks for.
    async fn candidate(
        &self,
        position: LogPosition,
        request: &QueryRequest,
    ) -> Result<Option<StoredMessage>, QueryError> {
        let message = match self.message_at(position).await {
            Ok(message) => message,
            Err(QueryError::MessageNotFound { .. }) => return Ok(None),
            Err(error) => return Err(error),
        };
        let view = message.view();
        let stored = Timestamp::from_ms(message.store_timestamp());
        let wanted = message.topic() == request.topic.as_str()
            && (request.from..=request.to).contains(&stored)
            && view
                .keys()
                .chain(view.unique_key())
                .any(|key| key == request.key);
        Ok(wanted.then_some(message))
    }
}

fn message_of(record: Record) -> Option<StoredMessage> {
    matches!(
        record.kind,
        records::MESSAGE | records::KEPT_MESSAGE | records::RELEASED_MESSAGE
    )
    .then(|| StoredMessage::parse(record.payload).ok())
    .flatten()
}
