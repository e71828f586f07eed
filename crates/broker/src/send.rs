//! Send: store messages in a queue and answer once they are durable.

use std::{net::SocketAddr, sync::Arc, time::Duration};

use base::{
    ErrorKind, GroupName, LiteTopicName, NameError, PhysicalOffset, QueueId, QueueOffset,
    StreamKey, Timestamp, TopicName, limits,
};
use smallvec::SmallVec;
use store::{
    kv::KvError,
    log::{AppendError, Appended, NewRecord, Urgency},
};
use wire::message::{MessageError, NewMessage, Placement, properties};

use crate::{
    DueTimeError, LiteTopicQuota, Message, MessageType, QueueNotFound, QuotaError, Shard, Topic,
    TopicNotFound, TopicType, due_time,
    lite_topic::LiteTopic,
    records::{self, HeldHead, HeldKind},
    state::State,
    system_names::is_application_topic,
    wait,
};

pub(crate) use crate::placing::{AppendMessagesError, How, Placing};

/// Which queue a send goes to.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum QueueChoice {
    /// The client chose.
    Queue(QueueId),
    /// The broker chooses, in turn.
    Any,
    /// The queue that belongs to this hash of the message group, so that a group keeps its order.
    ByHash(u64),
    /// The queue of this priority: queue 0 is the lowest, and the last one takes all that are
    /// higher. Source: `SendMessageProcessor` of Apache 5.5.
    ByPriority(u32),
    /// That of the LiteTopic which the messages name.
    LiteTopic,
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
    /// For messages to a retry topic, which consumers send that could not give a message back: the
    /// retry limit that the consumer has set. A message that has failed more often goes to the
    /// dead-letter topic.
    pub retries_max: Option<i32>,
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
    /// When it will be in its queue, if it is a timed message: only then does it get its offset.
    pub due: Option<Timestamp>,
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
    /// What a message names cannot be a LiteTopic.
    #[error("message to topic `{topic}` refused")]
    LiteTopicName {
        /// The topic.
        topic: TopicName,
        /// What is wrong.
        #[source]
        source: NameError,
    },
    /// Messages for one queue that name several LiteTopics.
    #[error("messages of one send to topic `{topic}` name different LiteTopics")]
    LiteTopics {
        /// The topic.
        topic: TopicName,
    },
    /// The topic has as many LiteTopics as it may.
    #[error(transparent)]
    LiteTopicQuota(#[from] LiteTopicQuota),
    /// The instance takes nothing at the moment.
    #[error(transparent)]
    Quota(#[from] QuotaError),
    /// The time that the message asks for cannot be kept.
    #[error("message to topic `{topic}` refused")]
    DueTime {
        /// The topic.
        topic: TopicName,
        /// What is wrong.
        #[source]
        source: DueTimeError,
    },
    /// A transaction whose producer group is not told: nobody could be asked how it ended.
    #[error("half message to topic `{topic}` names no producer group (property `PGROUP`)")]
    NoProducerGroup {
        /// The topic.
        topic: TopicName,
    },
    /// Messages for one queue whose priorities want them in several.
    #[error("messages of one send to topic `{topic}` have different priorities")]
    Priorities {
        /// The topic.
        topic: TopicName,
    },
    /// No message, or more than a batch may hold.
    #[error("send to topic `{topic}` holds {count} messages, expected 1 to {max}")]
    Count {
        /// The topic.
        topic: TopicName,
        /// Messages in the request.
        count: usize,
        /// Most messages in a request to this instance.
        max: usize,
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
            | Self::LiteTopicName { .. }
            | Self::LiteTopics { .. }
            | Self::DueTime { .. }
            | Self::NoProducerGroup { .. }
            | Self::Priorities { .. }
            | Self::Count { .. }
            | Self::Message { .. } => ErrorKind::Request,
            Self::LiteTopicQuota(_) => ErrorKind::Limit,
            Self::Quota(error) => error.kind(),
            Self::Log { source, .. } => source.kind(),
            Self::Unconfirmed { .. } | Self::State { .. } => ErrorKind::Fault,
        }
    }
}

impl Shard {
    /// Stores the messages, waits until they are durable, and says where each of them is.
    #[expect(
        clippy::manual_async_fn,
        reason = "an `async fn` keeps its arguments twice, and thousands of sends may be under way"
    )]
    pub fn send(
        &self,
        request: SendRequest,
    ) -> impl Future<Output = Result<Vec<Sent>, SendError>> + Send {
        async move {
            let topic = self.catalogue.topic_or_create(&request.topic, None).await?;
            let (queue, how) = self.check(&topic, &request)?;
            let units = self.admit_send(&topic, &request)?;
            let (topic, queue, how) = match self.grave_of_retry(&request).await? {
                Some(grave) => (grave, QueueChoice::Any, Vec::new()),
                None => (topic, queue, how),
            };
            let placing = Placing {
                topic: &topic,
                queue,
                messages: &request.messages,
                how: &how,
                store_host: request.store_host,
            };
            let appended = self.append_when_possible(&placing).await;
            let (appended, sent) = appended.inspect_err(|_| {
                self.catalogue.quota.give_back_send(units);
            })?;
            self.log
                .durable(appended.end)
                .await
                .map_err(|source| SendError::Unconfirmed {
                    topic: request.topic.clone(),
                    source,
                })?;
            Ok(sent)
        }
    }

    /// Units that the send uses, if there are so many left. What consumers and the system send for
    /// themselves costs nothing.
    fn admit_send(&self, topic: &Topic, request: &SendRequest) -> Result<u64, QuotaError> {
        let limit = topic.spec.max_send_tps();
        let quota = &self.catalogue.quota;
        if limit.is_none() && !quota.is_on() || !is_application_topic(topic.name()) {
            return Ok(0);
        }
        let limit = limit.map(|limit| (topic.name(), limit));
        quota.admit_send(&request.messages, limit, || self.clock.now())
    }

    /// Appends at once, or waits a bounded time for the disk to catch up.
    pub(crate) async fn append_when_possible(
        &self,
        placing: &Placing<'_>,
    ) -> Result<(Appended, Vec<Sent>), SendError> {
        let error = match self.append_messages(&mut self.state.lock(), placing) {
            Ok(done) => return Ok(done),
            Err(error) => error,
        };
        // Put aside: every send would keep room for what only those on a busy disk do.
        Box::pin(self.append_later(placing, error)).await
    }

    /// Appends as soon as there is room for what was refused with `error`, if that can come.
    async fn append_later(
        &self,
        placing: &Placing<'_>,
        mut error: AppendMessagesError,
    ) -> Result<(Appended, Vec<Sent>), SendError> {
        let deadline = self.clock.elapsed() + Duration::from_millis(limits::SEND_WAIT_MS_MAX);
        loop {
            let left = deadline.saturating_sub(self.clock.elapsed());
            let busy = matches!(error, AppendMessagesError::Log(AppendError::Busy { .. }));
            if !busy
                || left.is_zero()
                || !wait::until(self.log.writable(), &*self.clock, left).await
            {
                return Err(SendError::not_placed(placing.topic.name(), error));
            }
            error = match self.append_messages(&mut self.state.lock(), placing) {
                Ok(done) => return Ok(done),
                Err(error) => error,
            };
        }
    }

    /// Places messages: numbers them at the end of their queue, or holds them outside of it, and
    /// appends them, all or none. They take effect when they are durable.
    pub(crate) fn append_messages(
        &self,
        state: &mut State,
        placing: &Placing<'_>,
    ) -> Result<(Appended, Vec<Sent>), AppendMessagesError> {
        let Placing {
            topic,
            messages,
            how,
            ..
        } = *placing;
        // The shard forgets a queue whose topic was deleted; a message would get an offset there
        // that the next start could not make sense of.
        if self.catalogue.topic_by_id(topic.id).is_none() {
            return Err(AppendMessagesError::Deleted(TopicNotFound {
                topic: topic.name().clone(),
                instance: self.catalogue.instance.clone(),
            }));
        }
        let (queue, new_lite_topic) = self.choose_queue(state, placing)?;
        let how = |index: usize| how.get(index).copied().unwrap_or_default();
        let now = self.clock.now();
        // One message is the usual case, and needs no room of its own.
        let mut encoders = SmallVec::<[NewMessage<'_>; 1]>::with_capacity(messages.len());
        let mut records = SmallVec::<[NewRecord; 1]>::with_capacity(messages.len());
        let stream = StreamKey::of_queue(topic.id, queue);
        // In one piece with its first message: neither is there without the other.
        let new = new_lite_topic.as_ref();
        records.extend(new.map(|name| LiteTopic::record(stream, name)));
        let first = records.len();
        for (index, message) in messages.iter().enumerate() {
            let how = how(index);
            let replaces = match how {
                How::Releases(id) => PhysicalOffset::new(self.id, id).wire(),
                How::Visible | How::Held(_) => 0,
            };
            let encoder = NewMessage {
                topic: topic.name().as_str(),
                queue_id: queue.get(),
                flag: message.flag,
                sys_flag: message.sys_flag,
                born_timestamp: message.born_timestamp.ms(),
                born_host: message.born_host,
                store_host: placing.store_host,
                reconsume_times: message.reconsume_times,
                prepared_transaction_offset: replaces,
                body: &message.body,
                properties: &message.properties,
            };
            let (kind, head_len) = match how {
                How::Visible => (records::MESSAGE, 0),
                How::Releases(_) => (records::RELEASED_MESSAGE, 0),
                How::Held(_) => (records::HELD_MESSAGE, HeldHead::BYTES),
            };
            records.push(NewRecord {
                kind,
                stream,
                payload_len: head_len + encoder.encoded_len()?,
            });
            encoders.push(encoder);
        }
        let mut next = state.queue(stream)?.next;
        let mut sent = Vec::with_capacity(messages.len());
        let appended = self
            .log
            .append(&records, Urgency::Now, &mut |index, position, out| {
                if let (Some(name), 0) = (&new_lite_topic, index) {
                    return LiteTopic::encode(name, now, out);
                }
                let index = index - first;
                let physical_offset = PhysicalOffset::new(self.id, position);
                let mut due = None;
                let queue_offset = match how(index) {
                    How::Held(head) => {
                        head.encode(out);
                        due = (head.kind == HeldKind::Timed).then_some(head.due);
                        QueueOffset::new(0)
                    }
                    How::Visible | How::Releases(_) => {
                        next += 1;
                        QueueOffset::new(next - 1)
                    }
                };
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
                    due,
                });
            })?;
        state.queue(stream)?.next = next;
        if let Some(name) = &new_lite_topic {
            state.lite_topic_comes(stream, name);
        }
        let count = state.in_counts.entry(topic.id).or_default();
        for (index, message) in messages.iter().enumerate() {
            // What is released was counted when it came.
            if !matches!(how(index), How::Releases(_)) {
                count.add(message.body.len() + message.properties.len());
            }
        }
        Ok((appended, sent))
    }

    /// The queue of messages, and the name of its LiteTopic where that is to be created.
    fn choose_queue(
        &self,
        state: &mut State,
        placing: &Placing<'_>,
    ) -> Result<(QueueId, Option<LiteTopicName>), AppendMessagesError> {
        let topic = placing.topic;
        let queues = u64::from(topic.spec.queues);
        let nth = |n: u64| QueueId::new((n % queues) as u32);
        let queue = match placing.queue {
            QueueChoice::Queue(queue) => topic.queue(queue)?,
            QueueChoice::LiteTopic => {
                let first = placing.messages.first();
                let name = first.and_then(|message| message.lite_topic().ok());
                let name = name.ok_or(AppendMessagesError::NoLiteTopic)?;
                let (queue, is_new) = self.lite_queue_or_new(state, topic, &name)?;
                return Ok((queue, is_new.then_some(name)));
            }
            QueueChoice::ByHash(hash) => nth(hash),
            QueueChoice::ByPriority(priority) => nth(u64::from(priority).min(queues - 1)),
            QueueChoice::Any => {
                state.turn = state.turn.wrapping_add(1);
                nth(state.turn)
            }
        };
        Ok((queue, None))
    }

    /// Where a send goes, and what is to become of each of its messages: empty if all go to their
    /// queue at once.
    fn check(
        &self,
        topic: &Topic,
        request: &SendRequest,
    ) -> Result<(QueueChoice, Vec<How>), SendError> {
        let name = || request.topic.clone();
        if !topic.spec.permission.writable() {
            return Err(SendError::NotWritable { topic: name() });
        }
        let of_series = self.catalogue.settings.series.limits_of(topic.name());
        let max = of_series.batch_messages;
        let count = request.messages.len();
        if count == 0 || count > max {
            return Err(SendError::Count {
                topic: name(),
                count,
                max,
            });
        }
        let mut queue = request.queue;
        let mut hows = Vec::new();
        let mut lite: Option<LiteTopicName> = None;
        for (index, message) in request.messages.iter().enumerate() {
            let found = MessageType::of(message);
            of_series.check(message, found).map_err(|source| {
                let topic = name();
                SendError::Message { topic, source }
            })?;
            let checks = self.catalogue.settings.series.checks_message_types();
            let declared = topic.spec.topic_type.filter(|_| checks);
            // What is declared to be nothing takes what a mixed topic takes.
            if !declared.unwrap_or(TopicType::Mixed).accepts(found) {
                let expected = declared.map_or("UNSPECIFIED", TopicType::attribute);
                return Err(SendError::TypeMismatch {
                    topic: name(),
                    expected,
                    found,
                });
            }
            let how = match found {
                // Order within a queue is order within its message groups.
                MessageType::Normal | MessageType::Fifo => continue,
                MessageType::Priority => {
                    let wanted = QueueChoice::ByPriority(message.priority());
                    if index > 0 && queue != wanted {
                        return Err(SendError::Priorities { topic: name() });
                    }
                    queue = wanted;
                    continue;
                }
                MessageType::Delay => self.how_timed(topic, message)?,
                MessageType::Transaction => self.how_half(topic, message)?,
                MessageType::Lite => {
                    let topic = name();
                    let wanted = message
                        .lite_topic()
                        .map_err(|source| SendError::LiteTopicName { topic, source })?;
                    if lite.get_or_insert_with(|| wanted.clone()) != &wanted {
                        return Err(SendError::LiteTopics { topic: name() });
                    }
                    queue = QueueChoice::LiteTopic;
                    continue;
                }
            };
            hows.resize(index, How::Visible);
            hows.push(how);
        }
        Ok((queue, hows))
    }

    /// Held until it is due, or visible if that is now.
    pub(crate) fn how_timed(&self, topic: &Topic, message: &Message) -> Result<How, SendError> {
        let raw = str::from_utf8(&message.properties).unwrap_or_default();
        let max_ms = self.catalogue.longest_delay_ms();
        let due = due_time::of(raw, self.clock.now(), max_ms);
        let due = due.map_err(|source| SendError::DueTime {
            topic: topic.name().clone(),
            source,
        })?;
        Ok(due.map_or(How::Visible, |due| How::Held(HeldHead::timed(due))))
    }

    /// Held until its transaction ends.
    fn how_half(&self, topic: &Topic, message: &Message) -> Result<How, SendError> {
        let raw = str::from_utf8(&message.properties).unwrap_or_default();
        if properties::get(raw, properties::PRODUCER_GROUP).is_none() {
            return Err(SendError::NoProducerGroup {
                topic: topic.name().clone(),
            });
        }
        let due = self.clock.now().after(self.transaction_patience(raw));
        Ok(How::Held(HeldHead::half(due)))
    }

    /// The dead-letter topic, where a message to a retry topic has failed too often for another
    /// retry. Source: `SendMessageProcessor.handleRetryAndDLQ` of Apache 5.5.
    async fn grave_of_retry(&self, request: &SendRequest) -> Result<Option<Arc<Topic>>, SendError> {
        let group = request.topic.retry_group().map(GroupName::new);
        let Some(Ok(group)) = group else {
            return Ok(None);
        };
        let limit = request.retries_max.or_else(|| {
            let group = self.catalogue.group(&group)?;
            i32::try_from(group.spec.max_attempts - 1).ok()
        });
        let failed = request.messages.iter().map(|m| m.reconsume_times).max();
        if limit.is_none_or(|limit| failed.is_none_or(|failed| failed <= limit)) {
            return Ok(None);
        }
        let grave = Box::pin(self.catalogue.dead_letter_topic(&group)).await?;
        Ok(Some(grave))
    }
}
