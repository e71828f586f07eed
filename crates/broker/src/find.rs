//! Find: the message that an id names, whichever of its ids it is.

use base::{PhysicalOffset, Timestamp, TopicName};
use wire::message::{MessageId, StoredMessage, properties};

use crate::{QueryError, QueryRequest, Shard};

impl Shard {
    /// The message of `topic` with an id: the one that its sender gave it, or the one that says
    /// where it is stored. The two can look alike, so the sender's is looked for first. Of several
    /// messages with one id it is the newest.
    ///
    /// # Errors
    /// When there is none in this shard, or it cannot be read.
    pub async fn find(&self, topic: &TopicName, id: &str) -> Result<StoredMessage, QueryError> {
        let mut found = self
            .query(QueryRequest {
                topic: topic.clone(),
                key: id.to_owned(),
                max_messages: 1,
                from: Timestamp::from_ms(i64::MIN),
                to: Timestamp::from_ms(i64::MAX),
            })
            .await?;
        if let Some(found) = found.pop() {
            return Ok(found);
        }
        let not_found = || QueryError::IdNotFound {
            topic: topic.clone(),
            start: id.chars().take(64).collect(),
        };
        let stored_at: MessageId = id.parse().map_err(|_| not_found())?;
        let offset = PhysicalOffset::from_wire(stored_at.physical_offset);
        if offset.shard() != self.id() {
            return Err(not_found());
        }
        match self.message_at(offset.position()).await {
            // Rights are on the topic.
            Ok(found) if found.topic() == topic.as_str() => Ok(found),
            Ok(_) | Err(QueryError::MessageNotFound { .. }) => Err(not_found()),
            Err(error) => Err(error),
        }
    }
}

/// The id by which clients know a message: its sender's, or else the one of where it is stored.
pub fn shown_id(message: &StoredMessage) -> String {
    match message.property(properties::UNIQUE_KEY) {
        Some(id) => id.to_owned(),
        None => MessageId {
            store_host: message.store_host(),
            physical_offset: message.physical_offset(),
        }
        .to_string(),
    }
}
