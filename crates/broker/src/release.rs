//! Release: held messages whose time has come go to their queues, and producers are asked how
//! their transactions ended.

use std::{pin::pin, time::Duration};

use base::{ErrorKind, GroupName, LogPosition, PhysicalOffset, QueueId, Timestamp, limits};
use bytes::Bytes;
use futures::{FutureExt, future::select};
use store::{
    kv::KvError,
    log::{AppendError, Appended, NewRecord, ReadError, Urgency},
};
use wire::message::{StoredMessage, properties, sys_flag};

use crate::{
    ClientCommand, Message, PullError, QueueChoice, SendError, Shard, Topic,
    held::{Busy, Held},
    pull::is_trimmed,
    receive_half::POLLED_PRODUCER_GROUP,
    records::{self, HeldHead, HeldKind},
    send::{How, Placing},
    wait,
};

/// Why held messages could not be released. They stay held, and are tried again.
#[derive(Debug, thiserror::Error)]
pub enum ReleaseError {
    /// The state could not be read.
    #[error("read held messages")]
    State(#[from] KvError),
    /// A held message could not be read.
    #[error("read held message")]
    Read(#[from] PullError),
    /// The message could not be appended to its queue.
    #[error("release held message")]
    Send(#[from] SendError),
    /// The log takes nothing.
    #[error("record the fate of a held message")]
    Log(#[from] AppendError),
}

impl ReleaseError {
    /// What the caller should do.
    pub fn kind(&self) -> ErrorKind {
        match self {
            Self::State(_) => ErrorKind::Fault,
            Self::Read(error) => error.kind(),
            Self::Send(error) => error.kind(),
            Self::Log(error) => error.kind(),
        }
    }
}

/// Longest sleep while something is held: the due time is by the wall clock, which may be set while
/// this sleeps by another.
const SLEEP_MAX: Duration = Duration::from_secs(5);

/// Pause after a failure.
const FAILURE_PAUSE: Duration = Duration::from_secs(1);

/// Where half messages go whose producers never told how they ended. Apache's name, so that its
/// tools find them.
pub(crate) const UNRESOLVED_TOPIC: &str = "TRANS_CHECK_MAX_TIME_TOPIC";

impl Shard {
    /// Releases held messages when they are due, until the shard drains. Whoever runs the shard
    /// keeps exactly one of these going.
    pub async fn release_held(&self) {
        let wake = self.state.lock().waiting.wake.clone();
        while !self.is_draining() {
            let mut woken = pin!(wake.notified());
            woken.as_mut().enable();
            let released = self.release_all().await;
            let pause = match released.and_then(|()| Ok(self.fall_asleep()?)) {
                Ok(pause) => pause,
                Err(error) => {
                    tracing::error!(
                        shard = %self.id, error = &error as &dyn std::error::Error,
                        "held messages not released"
                    );
                    Some(FAILURE_PAUSE)
                }
            };
            let drained = pin!(self.drained());
            let event = select(woken, drained).map(drop);
            match pause {
                Some(pause) => {
                    wait::until(event, &*self.clock, pause).await;
                }
                None => event.await,
            }
        }
    }

    /// How long to sleep until the next is due; `None` for as long as nothing comes. What came
    /// since the last look has found nobody asleep, so it is looked again.
    fn fall_asleep(&self) -> Result<Option<Duration>, KvError> {
        let mut state = self.state.lock();
        let next = state.next_due()?;
        state.waiting.asleep_until = next.unwrap_or(Timestamp::from_ms(i64::MAX));
        let now = self.clock.now();
        Ok(next.map(|next| next.since(now).min(SLEEP_MAX)))
    }

    /// Releases what is due now, and says when the next is.
    pub async fn release_due(&self) -> Result<Option<Timestamp>, ReleaseError> {
        self.release_all().await?;
        Ok(self.state.lock().next_due()?)
    }

    /// Releases what is due now.
    async fn release_all(&self) -> Result<(), ReleaseError> {
        self.state.lock().waiting.asleep_until = Timestamp::from_ms(i64::MIN);
        loop {
            let due = self.state.lock().take_due(self.clock.now())?;
            if due.is_empty() {
                return Ok(());
            }
            let mut due = due.into_iter();
            while let Some((id, held)) = due.next() {
                if let Err(error) = self.release(id, &held).await {
                    let mut state = self.state.lock();
                    state.put_back(id, held.due);
                    due.for_each(|(id, held)| state.put_back(id, held.due));
                    return Err(error);
                }
            }
            if self.state.lock().waiting.busy.len() >= limits::RELEASES_IN_FLIGHT_MAX {
                self.log.durable(self.log.tail()).await?;
            }
        }
    }

    async fn release(&self, id: LogPosition, held: &Held) -> Result<(), ReleaseError> {
        let (topic, _) = held.place.stream.queue();
        let Some(topic) = self.catalogue.topic_by_id(topic) else {
            // Its topic was deleted, and its messages with it.
            self.append_dropped(id, held)?;
            return Ok(());
        };
        let read = self.read_held(id, held).await;
        if is_trimmed(&read) {
            // Retention has moved it since: look again.
            self.state.lock().put_back(id, held.due);
            return Ok(());
        }
        let message = match read {
            Ok(message) => message,
            Err(error) if is_damaged(&error) => {
                // It stays marked as busy: the next start tries again, others go on.
                tracing::error!(
                    shard = %self.id, topic = %topic.name(), %id,
                    error = &error as &dyn std::error::Error, "held message lost"
                );
                return Ok(());
            }
            Err(error) => return Err(error.into()),
        };
        match held.kind {
            HeldKind::Timed => {
                self.append_released(id, held, &topic, &message).await?;
                Ok(())
            }
            HeldKind::Half => self.check_transaction(id, held, &topic, message).await,
        }
    }

    /// Reads a held message, wherever its record is now.
    pub(crate) async fn read_held(
        &self,
        id: LogPosition,
        held: &Held,
    ) -> Result<StoredMessage, PullError> {
        let (topic, queue) = held.place.stream.queue();
        let name = self.catalogue.topic_by_id(topic);
        let name = name.map_or_else(unnamed, |topic| topic.name().clone());
        let position = held.place.position;
        let read = self.log.read(position, held.place.len as usize).await;
        let record = read.map_err(|source| PullError::Read {
            topic: name.clone(),
            queue,
            offset: base::QueueOffset::new(id.get()),
            source,
        })?;
        let message = record
            .payload
            .slice(HeldHead::BYTES.min(record.payload.len())..);
        StoredMessage::parse(message).map_err(|source| PullError::Message {
            topic: name,
            position,
            source,
        })
    }

    /// Appends a held message to its queue. It is marked as leaving.
    pub(crate) async fn append_released(
        &self,
        id: LogPosition,
        held: &Held,
        topic: &Topic,
        message: &StoredMessage,
    ) -> Result<Appended, SendError> {
        let (_, queue) = held.place.stream.queue();
        let placing = Placing {
            topic,
            queue: QueueChoice::Queue(queue),
            messages: &[released(message)],
            how: &[How::Releases(id)],
            store_host: message.store_host(),
        };
        Ok(self.append_when_possible(&placing).await?.0)
    }

    /// Records that a held message will never be seen. It is marked as leaving.
    pub(crate) fn append_dropped(
        &self,
        id: LogPosition,
        held: &Held,
    ) -> Result<Appended, AppendError> {
        let record = NewRecord {
            kind: records::HELD_DROPPED,
            stream: held.place.stream,
            payload_len: 8,
        };
        self.log.append(&[record], Urgency::Now, &mut |_, _, out| {
            out.extend_from_slice(&id.get().to_le_bytes())
        })
    }

    /// Records when a held message is looked at next, and what it waits for.
    pub(crate) fn append_changed(
        &self,
        held: &Held,
        head: HeldHead,
        urgency: Urgency,
    ) -> Result<Appended, AppendError> {
        let record = NewRecord {
            kind: records::HELD_CHANGED,
            stream: held.place.stream,
            payload_len: HeldHead::BYTES,
        };
        self.log
            .append(&[record], urgency, &mut |_, _, out| head.encode(out))
    }

    /// How long a producer may take before it is asked, by the properties of its half message.
    /// Source: `TransactionalMessageServiceImpl.getImmunityTime` of Apache 5.5.
    pub(crate) fn transaction_patience(&self, raw: &str) -> Duration {
        let settings = &self.catalogue.settings;
        let own = properties::get(raw, properties::CHECK_IMMUNITY_TIME_SECONDS)
            .and_then(|seconds| seconds.parse::<u64>().ok())
            .map(|seconds| {
                seconds
                    .saturating_mul(1_000)
                    .min(limits::HALF_MESSAGE_MS_MAX)
            });
        Duration::from_millis(own.unwrap_or(settings.transaction_timeout_ms))
    }

    /// Asks a producer of the group how the transaction ended, or gives up.
    async fn check_transaction(
        &self,
        id: LogPosition,
        held: &Held,
        topic: &Topic,
        message: StoredMessage,
    ) -> Result<(), ReleaseError> {
        let settings = &self.catalogue.settings;
        let now = self.clock.now();
        let age = now.since(Timestamp::from_ms(message.store_timestamp()));
        let too_old = age > Duration::from_millis(limits::HALF_MESSAGE_MS_MAX);
        if held.checks >= settings.transaction_checks_max || too_old {
            return self.put_aside(id, held, topic, &message).await;
        }
        let owner = message.property(properties::PRODUCER_GROUP);
        let is_polled = owner == Some(POLLED_PRODUCER_GROUP);
        let group = owner.and_then(|group| GroupName::new(group).ok());
        {
            let state = self.state.lock();
            // Its transaction ended while it was read.
            if state.waiting.busy.get(&id) != Some(&Busy::Checking) {
                return Ok(());
            }
        }
        let interval = Duration::from_millis(settings.transaction_check_interval_ms);
        if is_polled {
            let due = now.after(interval);
            let head = HeldHead {
                due,
                ..held.head(id)
            };
            self.append_changed(held, head, Urgency::Ride)?;
            // After its record, so that the record of whoever takes it comes later.
            self.state.lock().waiting.offer(topic.id, id);
            return Ok(());
        }
        let asked = group.is_some_and(|group| {
            let half = PhysicalOffset::new(self.id, id);
            let command = ClientCommand::CheckTransaction {
                group: group.clone(),
                half,
                message,
                times: held.checks + 1,
            };
            self.clients.tell_producer(&group, command, now)
        });
        let head = HeldHead {
            due: now.after(interval),
            // Without a producer there was no question.
            checks: held.checks + u32::from(asked),
            ..held.head(id)
        };
        self.append_changed(held, head, Urgency::Ride)?;
        Ok(())
    }

    /// Moves a half message that nobody decides about to [`UNRESOLVED_TOPIC`].
    async fn put_aside(
        &self,
        id: LogPosition,
        held: &Held,
        topic: &Topic,
        message: &StoredMessage,
    ) -> Result<(), ReleaseError> {
        let aside = self.catalogue.system_topic(UNRESOLVED_TOPIC).await;
        let aside = aside.map_err(SendError::from)?;
        {
            let mut state = self.state.lock();
            match state.waiting.busy.get_mut(&id) {
                Some(busy) if *busy == Busy::Checking => *busy = Busy::Leaving,
                _ => return Ok(()),
            }
        }
        tracing::warn!(
            shard = %self.id, topic = %topic.name(), checks = held.checks,
            message = message.property(properties::UNIQUE_KEY),
            "half message not resolved by its producers, moved to {UNRESOLVED_TOPIC}"
        );
        let placing = Placing {
            topic: &aside,
            queue: QueueChoice::Queue(QueueId::new(0)),
            messages: &[copy_of(
                message,
                message.sys_flag(),
                Bytes::copy_from_slice(message.properties_raw().as_bytes()),
            )],
            how: &[How::Releases(id)],
            store_host: message.store_host(),
        };
        self.append_when_possible(&placing).await?;
        Ok(())
    }
}

/// A topic that is gone has no name any more; errors show this one.
fn unnamed() -> base::TopicName {
    base::TopicName::new("-").expect("a plain name")
}

fn is_damaged(error: &PullError) -> bool {
    match error {
        PullError::Message { .. } => true,
        PullError::Read { source, .. } => matches!(source, ReadError::Corrupt { .. }),
        _ => false,
    }
}

/// What a held message is once it is seen: no delay level (as in Apache's
/// `ScheduleMessageService.messageTimeUp`) and, if it was a half message, committed.
fn released(message: &StoredMessage) -> Message {
    let mut raw = message.properties_raw().to_owned();
    properties::remove(&mut raw, properties::DELAY_LEVEL);
    let mut flag = message.sys_flag();
    if flag & sys_flag::TRANSACTION == sys_flag::TRANSACTION_PREPARED
        || properties::remove(&mut raw, properties::TRANSACTION_PREPARED)
    {
        properties::remove(&mut raw, properties::TRANSACTION_PREPARED);
        flag = sys_flag::with_transaction(flag, sys_flag::TRANSACTION_COMMIT);
    }
    copy_of(message, flag, raw.into())
}

/// A stored message as one to be stored again.
pub(crate) fn copy_of(message: &StoredMessage, sys_flag: i32, properties: Bytes) -> Message {
    Message {
        flag: message.flag(),
        sys_flag,
        born_timestamp: Timestamp::from_ms(message.born_timestamp()),
        born_host: message.born_host(),
        reconsume_times: message.reconsume_times(),
        body: message.body(),
        properties,
    }
}
