//! Dead letters as their group sees them: found, listed and sent again, for
//! [`limits::DEAD_LETTER_SHOWN_MS`].

use std::time::Duration;

use base::{
    ErrorKind, GroupName, LogPosition, PhysicalOffset, QueueId, StreamKey, Timestamp, TopicName,
    limits,
};
use store::{
    kv::KvError,
    log::{AppendError, Appended, NewRecord, Urgency},
};
use wire::message::{MessageError, NewMessage, Placement, StoredMessage, properties};

use crate::{
    BrowseError, BrowseRequest, Browsed, CreateTopicError, Group, GroupNotFound, QueryError,
    QueueChoice, SendError, Shard, Topic, find,
    records::{self, ReceiptState, Receipts},
    release::copy_of,
    send::{How, Placing},
    wait,
};

/// Why a dead letter was not found or not sent again.
#[derive(Debug, thiserror::Error)]
pub enum DeadLetterError {
    /// No such group.
    #[error(transparent)]
    GroupNotFound(#[from] GroupNotFound),
    /// The group has no such dead letter, or it is no longer shown.
    #[error("group `{group}` has no dead letter with id `{start}` of the last {days} days")]
    NotFound {
        /// The group.
        group: GroupName,
        /// The first characters of the id.
        start: String,
        /// Days for which dead letters are shown.
        days: u64,
    },
    /// Reading failed.
    #[error(transparent)]
    Read(#[from] QueryError),
    /// The list could not be read.
    #[error(transparent)]
    Browse(#[from] BrowseError),
    /// It does not say where it comes from.
    #[error("dead letter of group `{group}` does not say which topic it comes from")]
    NoOrigin {
        /// The group.
        group: GroupName,
    },
    /// The group has never received from the queue that it is said to come from.
    #[error("group `{group}` has not come to offset {offset} of queue {queue} of topic `{topic}`")]
    NeverReceived {
        /// The group.
        group: GroupName,
        /// The topic.
        topic: TopicName,
        /// The queue.
        queue: QueueId,
        /// Where the message should have been.
        offset: u64,
    },
    /// As many messages wait to be handed out as may.
    #[error("group `{group}` has as many messages waiting in a queue of `{topic}` as it may")]
    TooMany {
        /// The group.
        group: GroupName,
        /// The topic.
        topic: TopicName,
    },
    /// The group's retry topic could not be created.
    #[error(transparent)]
    CreateTopic(#[from] CreateTopicError),
    /// The copy could not be stored.
    #[error(transparent)]
    Send(#[from] SendError),
    /// What was stored is no message.
    #[error("copy of a dead letter of group `{group}` refused")]
    Message {
        /// The group.
        group: GroupName,
        /// What is wrong.
        #[source]
        source: MessageError,
    },
    /// The log took nothing.
    #[error("dead letter of group `{group}` not sent again")]
    Log {
        /// The group.
        group: GroupName,
        /// What the log said.
        #[source]
        source: AppendError,
    },
    /// The state could not be read.
    #[error("read state of the queue of a dead letter")]
    State(#[from] KvError),
}

impl DeadLetterError {
    /// What the caller should do.
    pub fn kind(&self) -> ErrorKind {
        match self {
            Self::GroupNotFound(_) | Self::NotFound { .. } => ErrorKind::NotFound,
            Self::Read(error) => error.kind(),
            Self::Browse(error) => error.kind(),
            Self::NoOrigin { .. } | Self::NeverReceived { .. } => ErrorKind::Request,
            Self::TooMany { .. } => ErrorKind::Limit,
            Self::CreateTopic(error) => error.kind(),
            Self::Send(error) => error.kind(),
            Self::Log { source, .. } => source.kind(),
            Self::Message { .. } | Self::State(_) => ErrorKind::Fault,
        }
    }
}

/// Where a message was when it became a dead letter: the queue in which its group has it again.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) struct OriginPlace {
    queue: QueueId,
    offset: u64,
}

impl OriginPlace {
    pub(crate) fn new(queue: QueueId, offset: u64) -> Self {
        Self { queue, offset }
    }

    pub(crate) fn encode(self) -> String {
        format!("{}:{}", self.queue, self.offset)
    }

    fn of(letter: &StoredMessage) -> Option<Self> {
        let (queue, offset) = letter
            .property(properties::DLQ_ORIGIN_PLACE)?
            .split_once(':')?;
        Some(Self {
            queue: QueueId::new(queue.parse().ok()?),
            offset: offset.parse().ok()?,
        })
    }
}

impl Shard {
    /// The dead letter of a group with an id, its sender's or its own.
    ///
    /// # Errors
    /// When there is none that is still shown, or it cannot be read.
    pub async fn dead_letter(
        &self,
        group: &GroupName,
        id: &str,
    ) -> Result<StoredMessage, DeadLetterError> {
        self.catalogue.known_group(group)?;
        let not_found = || DeadLetterError::NotFound {
            group: group.clone(),
            start: id.chars().take(64).collect(),
            days: limits::DEAD_LETTER_SHOWN_MS / (24 * 60 * 60 * 1_000),
        };
        match self.find(&TopicName::dead_letter_of(group), id).await {
            Ok(found) if found.store_timestamp() >= self.shown_since().ms() => Ok(found),
            Ok(_) => Err(not_found()),
            Err(error) if error.kind() == ErrorKind::NotFound => Err(not_found()),
            Err(error) => Err(error.into()),
        }
    }

    /// The dead letters of a group, as [`Shard::browse`] pages them; the topic asked for does not
    /// matter.
    ///
    /// # Errors
    /// When there is no such group, or they cannot be read.
    pub async fn dead_letters(
        &self,
        group: &GroupName,
        mut request: BrowseRequest,
    ) -> Result<Browsed, DeadLetterError> {
        self.catalogue.known_group(group)?;
        request.topic = TopicName::dead_letter_of(group);
        request.from = request.from.max(self.shown_since());
        if self.catalogue.topic(&request.topic).is_none() {
            // It comes with the first of them.
            let (messages, total) = (Vec::new(), 0);
            return Ok(Browsed { messages, total });
        }
        Ok(self.browse(request).await?)
    }

    fn shown_since(&self) -> Timestamp {
        let shown_ms = i64::try_from(limits::DEAD_LETTER_SHOWN_MS).unwrap_or(i64::MAX);
        Timestamp::from_ms(self.clock.now().ms().saturating_sub(shown_ms))
    }

    /// Has a dead letter delivered to its group once more, with all its attempts, durable on
    /// return: the way it came. One that was received is received again, from its queue; one that a
    /// consumer gave back goes to the group's retry topic. Nobody else gets it, and it stays among
    /// the dead letters. Returns the id by which consumers will know it.
    ///
    /// # Errors
    /// When there is none that is still shown, or it cannot be stored.
    pub async fn resend(&self, group: &GroupName, id: &str) -> Result<String, DeadLetterError> {
        let letter = self.dead_letter(group, id).await?;
        let group = self.catalogue.known_group(group)?;
        let origin = letter
            .property(properties::DLQ_ORIGIN_TOPIC)
            .or_else(|| letter.property(properties::RETRY_TOPIC))
            .and_then(|topic| TopicName::new(topic).ok());
        let origin = origin.ok_or_else(|| DeadLetterError::NoOrigin {
            group: group.name().clone(),
        })?;
        let topic = self.catalogue.topic(&origin);
        let place = OriginPlace::of(&letter).zip(topic);
        let place = place.filter(|(place, topic)| topic.queue(place.queue).is_ok());
        match place {
            Some((place, topic)) => self.deliver_again(&group, &topic, place, &letter).await,
            None => self.send_to_retry(&group, &origin, &letter).await,
        }
    }

    /// A copy for the group's retry topic, seen there at once.
    async fn send_to_retry(
        &self,
        group: &Group,
        origin: &TopicName,
        letter: &StoredMessage,
    ) -> Result<String, DeadLetterError> {
        let retry = TopicName::retry_of(group.name());
        let retry = self.catalogue.system_topic(retry.as_str()).await?;
        let mut raw = without_death(letter);
        // The name of a topic is never empty, and holds no separator.
        let _ = properties::set(&mut raw, properties::RETRY_TOPIC, origin.as_str());
        let mut copy = copy_of(letter, letter.sys_flag(), raw.into());
        copy.reconsume_times = 0;
        let placing = Placing {
            topic: &retry,
            queue: QueueChoice::Any,
            messages: &[copy],
            how: &[How::Visible],
            store_host: letter.store_host(),
        };
        let (appended, sent) = self.append_when_possible(&placing).await?;
        self.until_durable(group, appended.end).await?;
        if let Some(id) = letter.property(properties::UNIQUE_KEY) {
            return Ok(id.to_owned());
        }
        let physical_offset = sent.first().map_or(0, |sent| sent.physical_offset.wire());
        let store_host = letter.store_host();
        let id = wire::message::MessageId {
            store_host,
            physical_offset,
        };
        Ok(id.to_string())
    }

    /// Puts the message among those of its queue that the group has yet to receive.
    async fn deliver_again(
        &self,
        group: &Group,
        topic: &Topic,
        place: OriginPlace,
        letter: &StoredMessage,
    ) -> Result<String, DeadLetterError> {
        let stream = Self::stream(topic, place.queue);
        let offset = place.offset;
        let never_received = || DeadLetterError::NeverReceived {
            group: group.name().clone(),
            topic: topic.name().clone(),
            queue: place.queue,
            offset,
        };
        {
            // Anybody who may write to the dead-letter topic can claim any place.
            let mut state = self.state.lock();
            let next = state.consumption(stream, group.id)?.next();
            let end = state.queue(stream)?.tail.end();
            if next.is_none_or(|next| next <= offset) || offset >= end {
                return Err(never_received());
            }
        }
        let entry = |shard: &Self| {
            let state = &mut shard.state.lock();
            shard.entry_in_flight(state, stream, offset)
        };
        let entry = match entry(self)? {
            Some(entry) => entry,
            None => {
                // Retention has taken it. Its place is nobody's any more.
                let appended = self.append_in_place(group, topic, place, letter).await?;
                self.until_durable(group, appended.end).await?;
                entry(self)?.ok_or_else(never_received)?
            }
        };
        let message = self.message_at(entry.position).await?;
        let durable = {
            let mut state = self.state.lock();
            let consumption = state.consumption(stream, group.id)?;
            // What it has in flight, or goes back to meanwhile, it gets anyway.
            let next = consumption.next().filter(|next| *next > offset);
            if let Some(next) = next.filter(|_| consumption.get(offset).is_none()) {
                if !consumption.has_parking_room(0) {
                    let (group, topic) = (group.name().clone(), topic.name().clone());
                    return Err(DeadLetterError::TooMany { group, topic });
                }
                let parked = ReceiptState::parked(entry.message_group);
                let record = Receipts {
                    group: group.id,
                    next,
                    receipts: vec![(offset, parked)],
                };
                self.append_receipts(stream, &record)
                    .map_err(|source| not_logged(group, source))?;
                let consumption = state.consumption(stream, group.id)?;
                consumption.put(offset, parked.into());
                state.wake_group(stream, group.id);
            }
            self.log.tail()
        };
        self.until_durable(group, durable).await?;
        Ok(find::shown_id(&message))
    }

    /// Stores what a dead letter holds where the message was.
    async fn append_in_place(
        &self,
        group: &Group,
        topic: &Topic,
        place: OriginPlace,
        letter: &StoredMessage,
    ) -> Result<Appended, DeadLetterError> {
        let raw = without_death(letter);
        let body = letter.body();
        let message = NewMessage {
            topic: topic.name().as_str(),
            queue_id: place.queue.get(),
            flag: letter.flag(),
            sys_flag: letter.sys_flag(),
            born_timestamp: letter.born_timestamp(),
            born_host: letter.born_host(),
            store_host: letter.store_host(),
            reconsume_times: 0,
            prepared_transaction_offset: 0,
            body: &body,
            properties: raw.as_bytes(),
        };
        let payload_len = message
            .encoded_len()
            .map_err(|source| DeadLetterError::Message {
                group: group.name().clone(),
                source,
            })?;
        let record = NewRecord {
            kind: records::KEPT_MESSAGE,
            stream: StreamKey::of_queue(topic.id, place.queue),
            payload_len,
        };
        let store_timestamp = self.clock.now().ms();
        let deadline = self.clock.elapsed() + Duration::from_millis(limits::SEND_WAIT_MS_MAX);
        loop {
            let appended = self
                .log
                .append(&[record], Urgency::Now, &mut |_, position, out| {
                    let placement = Placement {
                        queue_offset: place.offset.cast_signed(),
                        physical_offset: PhysicalOffset::new(self.id, position).wire(),
                        store_timestamp,
                    };
                    message.encode(placement, out);
                });
            let error = match appended {
                Ok(appended) => return Ok(appended),
                Err(error) => error,
            };
            let left = deadline.saturating_sub(self.clock.elapsed());
            let busy = matches!(error, AppendError::Busy { .. });
            if !busy
                || left.is_zero()
                || !wait::until(self.log.writable(), &*self.clock, left).await
            {
                return Err(not_logged(group, error));
            }
        }
    }

    async fn until_durable(&self, group: &Group, end: LogPosition) -> Result<(), DeadLetterError> {
        let durable = self.log.durable(end).await;
        durable.map_err(|source| not_logged(group, source))
    }
}

fn not_logged(group: &Group, source: AppendError) -> DeadLetterError {
    let group = group.name().clone();
    DeadLetterError::Log { group, source }
}

/// The properties of a dead letter without what made it one.
fn without_death(letter: &StoredMessage) -> String {
    let mut raw = letter.properties_raw().to_owned();
    for name in [
        properties::DLQ_ORIGIN_TOPIC,
        properties::DLQ_ORIGIN_MESSAGE_ID,
        properties::DLQ_ORIGIN_PLACE,
        properties::DELAY_LEVEL,
    ] {
        properties::remove(&mut raw, name);
    }
    raw
}
