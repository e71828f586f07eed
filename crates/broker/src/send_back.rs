//! Send back: a consumer that could not consume a message has it delivered again, later.

use base::{ErrorKind, GroupName, PhysicalOffset, TopicName};
use wire::message::{MessageId, StoredMessage, properties};

use crate::{
    CreateTopicError, Group, GroupNotFound, Message, QueryError, QueueChoice, SendError, Shard,
    due_time,
    records::HeldHead,
    release::copy_of,
    send::{How, Placing},
};

/// What a consumer gives back.
#[derive(Clone, Debug)]
pub struct SendBackRequest {
    /// Its group.
    pub group: GroupName,
    /// The message.
    pub message: PhysicalOffset,
    /// 0: the group's retry policy decides when it comes again; above: RocketMQ's delay level;
    /// below: it becomes a dead letter at once.
    pub delay_level: i32,
    /// Retries that the consumer allows; `None` leaves it to the group.
    pub retries_max: Option<i32>,
}

/// Why a message was not taken back. The consumer has it still.
#[derive(Debug, thiserror::Error)]
pub enum SendBackError {
    /// No such group.
    #[error(transparent)]
    GroupNotFound(#[from] GroupNotFound),
    /// The message is not there, or could not be read.
    #[error(transparent)]
    Read(#[from] QueryError),
    /// The group's retry or dead-letter topic could not be created.
    #[error(transparent)]
    CreateTopic(#[from] CreateTopicError),
    /// The copy could not be stored.
    #[error(transparent)]
    Send(#[from] SendError),
}

impl SendBackError {
    /// What the caller should do.
    pub fn kind(&self) -> ErrorKind {
        match self {
            Self::GroupNotFound(_) => ErrorKind::NotFound,
            Self::Read(error) => error.kind(),
            Self::CreateTopic(error) => error.kind(),
            Self::Send(error) => error.kind(),
        }
    }
}

impl Shard {
    /// Stores a copy of the message, durable on return: in the group's retry topic, to be seen
    /// there when its pause is over, or in its dead-letter topic if it has failed too often.
    pub async fn send_back(&self, request: SendBackRequest) -> Result<(), SendBackError> {
        let group = self.catalogue.known_group(&request.group)?;
        let message = self.message_at(request.message.position()).await?;
        let failed = message.reconsume_times().max(0);
        let retries_max = request.retries_max.map_or_else(
            || group.spec.max_attempts.saturating_sub(1),
            |max| u32::try_from(max).unwrap_or(0),
        );
        let is_dead = request.delay_level < 0 || failed.cast_unsigned() >= retries_max;
        let (topic, how) = if is_dead {
            let topic = self.catalogue.dead_letter_topic(group.name()).await?;
            (topic, How::Visible)
        } else {
            let name = TopicName::retry_of(group.name());
            let topic = self.catalogue.system_topic(name.as_str()).await?;
            let pause = match u32::try_from(request.delay_level) {
                Ok(level) if level > 0 => due_time::level_pause(level),
                _ => group
                    .spec
                    .retry
                    .pause(failed.cast_unsigned().saturating_add(2)),
            };
            let due = self.clock.now().after(pause);
            (topic, How::Held(HeldHead::timed(due)))
        };
        let placing = Placing {
            topic: &topic,
            queue: QueueChoice::Any,
            messages: &[sent_back(&message, &group, is_dead)],
            how: &[how],
            store_host: message.store_host(),
        };
        let (appended, _) = self.append_when_possible(&placing).await?;
        if is_dead {
            self.count_dead_letter(&group, &message);
        }
        let durable = self.log.durable(appended.end).await;
        durable.map_err(|source| SendError::Unconfirmed {
            topic: topic.name().clone(),
            source,
        })?;
        Ok(())
    }

    fn count_dead_letter(&self, group: &Group, message: &StoredMessage) {
        let origin = message.property(properties::RETRY_TOPIC);
        let origin = origin.unwrap_or(message.topic());
        let topic = TopicName::new(origin).ok();
        if let Some(topic) = topic.and_then(|topic| self.catalogue.topic(&topic)) {
            let mut state = self.state.lock();
            *state
                .dead_letter_counts
                .entry((group.id, topic.id))
                .or_default() += 1;
        }
    }
}

/// The copy: failed once more, with where it came from among its properties. Source:
/// `AbstractSendMessageProcessor.consumerSendMsgBack` of Apache 5.5.
fn sent_back(message: &StoredMessage, group: &Group, is_dead: bool) -> Message {
    let mut raw = message.properties_raw().to_owned();
    properties::remove(&mut raw, properties::DELAY_LEVEL);
    let id = MessageId {
        store_host: message.store_host(),
        physical_offset: message.physical_offset(),
    }
    .to_string();
    let mut set = vec![
        (properties::RETRY_TOPIC, message.topic()),
        (properties::ORIGIN_MESSAGE_ID, id.as_str()),
    ];
    // The first failure says where it all began.
    set.retain(|(name, _)| message.property(name).is_none());
    if is_dead {
        let topic = message.property(properties::RETRY_TOPIC);
        let first = message.property(properties::ORIGIN_MESSAGE_ID);
        set.push((
            properties::DLQ_ORIGIN_TOPIC,
            topic.unwrap_or(message.topic()),
        ));
        set.push((properties::DLQ_ORIGIN_MESSAGE_ID, first.unwrap_or(&id)));
    }
    for (name, value) in set {
        // Names and topics are never empty, and hold no separator.
        let _ = properties::set(&mut raw, name, value);
    }
    if raw.len() > base::limits::MESSAGE_PROPERTIES_BYTES_MAX {
        tracing::debug!(group = %group.name(), "message sent back without its origin: no room");
        raw = message.properties_raw().to_owned();
    }
    let mut copy = copy_of(message, message.sys_flag(), raw.into());
    copy.reconsume_times = message.reconsume_times().saturating_add(1);
    copy
}
