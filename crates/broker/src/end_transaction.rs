//! End transaction: a producer says how the transaction of a half message ended.

use base::{ErrorKind, GroupName, LogPosition, PhysicalOffset, Timestamp, TopicName};
use store::{
    kv::KvError,
    log::{AppendError, Urgency},
};
use wire::message::{StoredMessage, properties};

use crate::{
    PullError, SendError, Shard, due_time,
    held::{Busy, Held},
    records::{HeldHead, HeldKind},
    state::State,
};

/// How a transaction ended.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Resolution {
    /// The message is to be delivered.
    Commit,
    /// The message is never to be seen.
    Rollback,
    /// The producer does not know yet: it is asked again later.
    Unknown,
}

/// What a producer says.
#[derive(Clone, Debug)]
pub struct EndTransactionRequest {
    /// The producer's group, which must be the one of the half message; `None` where a protocol
    /// knows no producer groups.
    pub group: Option<GroupName>,
    /// The topic of the half message; `None` where a protocol does not name it.
    pub topic: Option<TopicName>,
    /// The half message: what its send returned as physical offset.
    pub half: PhysicalOffset,
    /// How it ended.
    pub resolution: Resolution,
    /// Whether this answers a check. An unasked word that comes after the time that the producer
    /// itself has set for checks is refused: a check may have been answered otherwise meanwhile.
    pub from_check: bool,
}

/// Why a transaction was not ended.
#[derive(Debug, thiserror::Error)]
pub enum EndTransactionError {
    /// There is no half message there: never was, or its transaction has ended.
    #[error("no half message at physical offset {half}")]
    NotFound {
        /// The offset asked for.
        half: i64,
    },
    /// It belongs to another producer group.
    #[error(
        "half message at physical offset {half} belongs to producer group `{expected}`, not `{found}`"
    )]
    OtherGroup {
        /// The half message.
        half: i64,
        /// Its group.
        expected: String,
        /// The group that asks.
        found: GroupName,
    },
    /// The producer's own time limit has passed; the next check decides.
    #[error("half message at physical offset {half} is past its own check time, a check decides")]
    TooLate {
        /// The half message.
        half: i64,
    },
    /// The message could not be read.
    #[error(transparent)]
    Read(#[from] PullError),
    /// The message could not be placed.
    #[error(transparent)]
    Send(#[from] SendError),
    /// The log took it not, or failed over it.
    #[error("end transaction of half message at physical offset {half}")]
    Log {
        /// The half message.
        half: i64,
        /// What the log said.
        #[source]
        source: AppendError,
    },
    /// The state could not be read.
    #[error("read held messages")]
    State(#[from] KvError),
}

impl EndTransactionError {
    /// What the caller should do.
    pub fn kind(&self) -> ErrorKind {
        match self {
            Self::NotFound { .. } => ErrorKind::NotFound,
            Self::OtherGroup { .. } | Self::TooLate { .. } => ErrorKind::Request,
            Self::Read(error) => error.kind(),
            Self::Send(error) => error.kind(),
            Self::Log { source, .. } => source.kind(),
            Self::State(_) => ErrorKind::Fault,
        }
    }
}

impl Shard {
    /// Ends the transaction of a half message; what was decided is durable on return. A committed
    /// message that also asks for a later time becomes a timed one. Returns the half message.
    pub async fn end_transaction(
        &self,
        request: EndTransactionRequest,
    ) -> Result<StoredMessage, EndTransactionError> {
        let half = request.half.wire();
        let not_found = || EndTransactionError::NotFound { half };
        let id = request.half.position();
        if request.half.shard() != self.id {
            return Err(not_found());
        }
        let held = open_half(&self.state.lock(), id)?.ok_or_else(not_found)?;
        let (topic, _) = held.place.stream.queue();
        let topic = self.catalogue.topic_by_id(topic).ok_or_else(not_found)?;
        // Who may send to one topic must not end the transactions of another.
        if request.topic.is_some_and(|named| named != *topic.name()) {
            return Err(not_found());
        }
        let message = self.read_held(id, &held).await?;
        let raw = message.properties_raw();
        let owner = properties::get(raw, properties::PRODUCER_GROUP).unwrap_or_default();
        if let Some(found) = request.group.filter(|found| found.as_str() != owner) {
            let expected = owner.to_owned();
            return Err(EndTransactionError::OtherGroup {
                half,
                expected,
                found,
            });
        }
        let has_own_limit = properties::get(raw, properties::CHECK_IMMUNITY_TIME_SECONDS).is_some();
        let age = self
            .clock
            .now()
            .since(Timestamp::from_ms(message.store_timestamp()));
        if has_own_limit && !request.from_check && age > self.transaction_patience(raw) {
            return Err(EndTransactionError::TooLate { half });
        }
        let failed = |source| EndTransactionError::Log { half, source };
        if request.resolution == Resolution::Unknown {
            return Ok(message);
        }
        let leaving = {
            let mut state = self.state.lock();
            open_half(&state, id)?.ok_or_else(not_found)?;
            // From here on nobody else decides.
            state.waiting.busy.insert(id, Busy::Leaving);
            Leaving {
                shard: self,
                id,
                due: held.due,
            }
        };
        let max_ms = self.catalogue.longest_delay_ms();
        // A delay that cannot be kept is none: it is too late to refuse the message.
        let due = due_time::of(raw, self.clock.now(), max_ms).unwrap_or_default();
        let ended = match (request.resolution, due) {
            (Resolution::Commit, None) => {
                let appended = self.append_released(id, &held, &topic, &message).await;
                appended.map_err(Into::into)
            }
            (Resolution::Commit, Some(due)) => {
                let head = HeldHead {
                    id: Some(id),
                    ..HeldHead::timed(due)
                };
                self.append_changed(&held, head, Urgency::Now)
                    .map_err(failed)
            }
            (Resolution::Rollback | Resolution::Unknown, _) => {
                self.append_dropped(id, &held).map_err(failed)
            }
        };
        let appended = ended?;
        leaving.keep();
        self.log.durable(appended.end).await.map_err(failed)?;
        Ok(message)
    }
}

/// A half message whose end is decided and not recorded yet. Dropped before it is, because the log
/// took nothing or because the client has gone away, it leaves the transaction open.
struct Leaving<'a> {
    shard: &'a Shard,
    id: LogPosition,
    due: Timestamp,
}

impl Leaving<'_> {
    fn keep(self) {
        std::mem::forget(self);
    }
}

impl Drop for Leaving<'_> {
    fn drop(&mut self) {
        let mut state = self.shard.state.lock();
        // It may have been checked meanwhile, and so be due at another time.
        let held = state.held(self.id).ok().flatten();
        state.put_back(self.id, held.map_or(self.due, |held| held.due));
    }
}

/// The half message of that id, unless it is on its way out.
pub(crate) fn open_half(state: &State, id: LogPosition) -> Result<Option<Held>, KvError> {
    let leaving = state.waiting.busy.get(&id) == Some(&Busy::Leaving);
    let held = state.held(id)?.filter(|held| held.kind == HeldKind::Half);
    Ok(held.filter(|_| !leaving))
}
