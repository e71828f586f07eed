//! Send: store messages in a queue and answer once they are durable.

use std::{net::SocketAddr, time::Duration};

use base::{
    ErrorKind, PhysicalOffset, QueueId, QueueOffset, StreamKey, Timestamp, TopicName, limits,
};
use store::{
    kv::KvError,
    log::{AppendError, Appended, NewRecord, Urgency},
};
use wire::message::{MessageError, NewMessage, Placement};

use crate::{
    Message, MessageType, QueueNotFound, Shard, Topic, TopicNotFound, records, state::State, wait,
};

/// Which queue a send goes to.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum QueueChoice {
    /// The client chose.
    Queue(QueueId),
    /// The broker chooses, in turn.
    Any,
    /// The queue that belongs to this hash of the message group, so that a group keeps its order.
    ByHash(u64),
}

/// Messages for one queue of one topic; they become durable together or are refused together.
#[derive(Clone, Debug)]
pub struct SendRequest {
    /// The topic; created on the fly where the instance allows it.
    pub topic: TopicName,
    /// The queue.
    pub queue: QueueChoice,
    /// One message, or a batch.
    pub messages: Vec<Message>,
    /// The address that clients know this shard by; stored in the message and in its id.
    pub store_host: SocketAddr,
}

/// Where a message went. It is durable.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct Sent {
    /// The queue.
    pub queue: QueueId,
    /// Its number there.
    pub queue_offset: QueueOffset,
    /// Where it is stored, for offset message ids.
    pub physical_offset: PhysicalOffset,
    /// When it was stored.
    pub store_timestamp: Timestamp,
}

/// Why nothing was stored, or, for [`SendError::Unconfirmed`], why nobody knows.
#[derive(Debug, thiserror::Error)]
pub enum SendError {
    /// No such topic.
    #[error(transparent)]
    TopicNotFound(#[from] TopicNotFound),
    /// No such queue.
    #[error(transparent)]
    QueueNotFound(#[from] QueueNotFound),
    /// The topic was not there and could not be created.
    #[error(transparent)]
    CreateTopic(#[from] crate::CreateTopicError),
    /// The topic takes no messages.
    #[error("topic `{topic}` is not writable")]
    NotWritable {
        /// The topic.
        topic: TopicName,
    },
    /// The topic was declared for another type of message.
    #[error("topic `{topic}` takes {expected} messages, got a {found} message")]
    TypeMismatch {
        /// The topic.
        topic: TopicName,
        /// Its declared type.
        expected: &'static str,
        /// The message's type.
        found: MessageType,
    },
    /// The broker cannot do yet what the message asks for; storing it as a normal one would break
    /// its promise (never early, never visible before commit).
    #[error("{found} messages are not supported by this release (topic `{topic}`)")]
    Unsupported {
        /// The topic.
        topic: TopicName,
        /// The message's type.
        found: MessageType,
    },
    /// No message, or more than a batch may hold.
    #[error("send to topic `{topic}` holds {count} messages, expected 1 to {max}", max = base::limits::SEND_BATCH_MESSAGES_MAX)]
    Count {
        /// The topic.
        topic: TopicName,
        /// Messages in the request.
        count: usize,
    },
    /// The message breaks a limit or its properties are malformed.
    #[error("message to topic `{topic}` refused")]
    Message {
        /// The topic.
        topic: TopicName,
        /// What is wrong.
        #[source]
        source: MessageError,
    },
    /// The log took nothing: full, busy for too long, or broken.
    #[error("message to topic `{topic}` not stored")]
    Log {
        /// The topic.
        topic: TopicName,
        /// What the log said.
        #[source]
        source: AppendError,
    },
    /// The log failed while the message was being made durable: it may or may not survive.
    #[error("message to topic `{topic}` not confirmed")]
    Unconfirmed {
        /// The topic.
        topic: TopicName,
        /// What the log said.
        #[source]
        source: AppendError,
    },
    /// The state of the queue could not be read.
    #[error("read state of topic `{topic}`")]
    State {
        /// The topic.
        topic: TopicName,
        /// What the KV said.
        #[source]
        source: KvError,
    },
}

impl SendError {
    /// What the caller should do.
    pub fn kind(&self) -> ErrorKind {
        match self {
            Self::TopicNotFound(_) => ErrorKind::NotFound,
            Self::CreateTopic(error) => error.kind(),
            Self::NotWritable { .. } => ErrorKind::Denied,
            Self::QueueNotFound(_)
            | Self::TypeMismatch { .. }
            | Self::Unsupported { .. }
            | Self::Count { .. }
            | Self::Message { .. } => ErrorKind::Request,
            Self::Log { source, .. } => source.kind(),
            Self::Unconfirmed { .. } | Self::State { .. } => ErrorKind::Fault,
        }
    }
}

impl Shard {
    /// Stores the messages, waits until they are durable, and says where each of them is.
    pub async fn send(&self, request: SendRequest) -> Result<Vec<Sent>, SendError> {
        let topic = self.catalogue.topic_or_create(&request.topic, None).await?;
        check(&topic, &request)?;
        let (appended, sent) = self.append_when_possible(&topic, &request).await?;
        self.log
            .durable(appended.end)
            .await
            .map_err(|source| SendError::Unconfirmed {
                topic: request.topic.clone(),
                source,
            })?;
        Ok(sent)
    }

    /// Appends at once, or waits a bounded time for the disk to catch up.
    async fn append_when_possible(
        &self,
        topic: &Topic,
        request: &SendRequest,
    ) -> Result<(Appended, Vec<Sent>), SendError> {
        let deadline = self.clock.elapsed() + Duration::from_millis(limits::SEND_WAIT_MS_MAX);
        loop {
            let error = {
                let mut state = self.state.lock();
                let queue = choose_queue(topic, request.queue, &mut state)?;
                let host = request.store_host;
                match self.append_messages(&mut state, topic, queue, &request.messages, host) {
                    Ok(done) => return Ok(done),
                    Err(error) => error,
                }
            };
            let left = deadline.saturating_sub(self.clock.elapsed());
            let busy = matches!(error, AppendMessagesError::Log(AppendError::Busy { .. }));
            if !busy
                || left.is_zero()
                || !wait::until(self.log.writable(), &*self.clock, left).await
            {
                return Err(SendError::not_placed(&request.topic, error));
            }
        }
    }

    /// Places messages at the end of a queue: numbers them and appends them, all or none. They
    /// become visible when they are durable.
    pub(crate) fn append_messages(
        &self,
        state: &mut State,
        topic: &Topic,
        queue: QueueId,
        messages: &[Message],
        store_host: SocketAddr,
    ) -> Result<(Appended, Vec<Sent>), AppendMessagesError> {
        // The shard forgets a queue whose topic was deleted; a message would get an offset there
        // that the next start could not make sense of.
        if self.catalogue.topic_by_id(topic.id).is_none() {
            return Err(AppendMessagesError::Deleted(TopicNotFound {
                topic: topic.name().clone(),
                instance: self.catalogue.instance.clone(),
            }));
        }
        let now = self.clock.now();
        let mut encoders = Vec::with_capacity(messages.len());
        let mut records = Vec::with_capacity(messages.len());
        let stream = StreamKey::of_queue(topic.id, queue);
        for message in messages {
            let encoder = NewMessage {
                topic: topic.name().as_str(),
                queue_id: queue.get(),
                flag: message.flag,
                sys_flag: message.sys_flag,
                born_timestamp: message.born_timestamp.ms(),
                born_host: message.born_host,
                store_host,
                reconsume_times: message.reconsume_times,
                prepared_transaction_offset: 0,
                body: &message.body,
                properties: &message.properties,
            };
            let payload_len = encoder.encoded_len()?;
            records.push(NewRecord {
                kind: records::MESSAGE,
                stream,
                payload_len,
            });
            encoders.push(encoder);
        }
        let next = state.queue(stream)?.next;
        let mut sent = Vec::with_capacity(messages.len());
        let appended = self
            .log
            .append(&records, Urgency::Now, &mut |index, position, out| {
                let queue_offset = QueueOffset::new(next + index as u64);
                let physical_offset = PhysicalOffset::new(self.id, position);
                let placement = Placement {
                    queue_offset: queue_offset.get().cast_signed(),
                    physical_offset: physical_offset.wire(),
                    store_timestamp: now.ms(),
                };
                encoders[index].encode(placement, out);
                sent.push(Sent {
                    queue,
                    queue_offset,
                    physical_offset,
                    store_timestamp: now,
                });
            })?;
        state.queue(stream)?.next = next + messages.len() as u64;
        let count = state.in_counts.entry(topic.id).or_default();
        messages
            .iter()
            .for_each(|m| count.add(m.body.len() + m.properties.len()));
        Ok((appended, sent))
    }
}

/// Why messages were not placed.
#[derive(Debug)]
pub(crate) enum AppendMessagesError {
    Deleted(TopicNotFound),
    Message(MessageError),
    Log(AppendError),
    State(KvError),
}

impl From<MessageError> for AppendMessagesError {
    fn from(error: MessageError) -> Self {
        Self::Message(error)
    }
}

impl From<AppendError> for AppendMessagesError {
    fn from(error: AppendError) -> Self {
        Self::Log(error)
    }
}

impl From<KvError> for AppendMessagesError {
    fn from(error: KvError) -> Self {
        Self::State(error)
    }
}

impl SendError {
    pub(crate) fn not_placed(topic: &TopicName, error: AppendMessagesError) -> Self {
        let topic = topic.clone();
        match error {
            AppendMessagesError::Deleted(error) => Self::TopicNotFound(error),
            AppendMessagesError::Message(source) => Self::Message { topic, source },
            AppendMessagesError::Log(source) => Self::Log { topic, source },
            AppendMessagesError::State(source) => Self::State { topic, source },
        }
    }
}

fn check(topic: &Topic, request: &SendRequest) -> Result<(), SendError> {
    let name = || request.topic.clone();
    if !topic.spec.permission.writable() {
        return Err(SendError::NotWritable { topic: name() });
    }
    let count = request.messages.len();
    if count == 0 || count > limits::SEND_BATCH_MESSAGES_MAX {
        return Err(SendError::Count {
            topic: name(),
            count,
        });
    }
    for message in &request.messages {
        let found = MessageType::of(message);
        if let Some(declared) = topic
            .spec
            .topic_type
            .filter(|declared| !declared.accepts(found))
        {
            let expected = declared.attribute();
            return Err(SendError::TypeMismatch {
                topic: name(),
                expected,
                found,
            });
        }
        match found {
            // Order within a queue is order within its message groups.
            MessageType::Normal | MessageType::Fifo => {}
            MessageType::Delay
            | MessageType::Transaction
            | MessageType::Lite
            | MessageType::Priority => {
                return Err(SendError::Unsupported {
                    topic: name(),
                    found,
                });
            }
        }
    }
    Ok(())
}

fn choose_queue(
    topic: &Topic,
    choice: QueueChoice,
    state: &mut State,
) -> Result<QueueId, QueueNotFound> {
    let queues = u64::from(topic.spec.queues);
    let nth = |n: u64| QueueId::new((n % queues) as u32);
    match choice {
        QueueChoice::Queue(queue) => topic.queue(queue),
        QueueChoice::ByHash(hash) => Ok(nth(hash)),
        QueueChoice::Any => {
            state.turn = state.turn.wrapping_add(1);
            Ok(nth(state.turn))
        }
    }
}
