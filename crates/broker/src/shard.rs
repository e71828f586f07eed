//! A shard: one log, the state derived from it, and the verbs on both.
//!
//! Lock order: the state lock, then the log's own. The log calls [`DurableObserver::on_durable`]
//! holding neither.

use std::sync::{
    Arc,
    atomic::{AtomicBool, Ordering},
};

use base::{Clock, ErrorKind, GroupId, LogPosition, QueueId, Random, ShardId, StreamKey, limits};
use parking_lot::Mutex;
use store::{
    kv::{KvError, StateKv},
    log::{AppendError, Appended, DurableObserver, NewRecord, Record, SharedLog, Urgency},
};
use tokio::sync::{Semaphore, SemaphorePermit, watch};

use crate::{
    Topic,
    apply::ApplyError,
    clients::Clients,
    index::IndexEntry,
    keys,
    lite_lag::LiteLags,
    metadata::Catalogue,
    records::{self, Offset, Receipts, Settled},
    state::State,
};

/// What a shard is made of. Its log is opened after the state is known, see [`ShardState`].
pub struct ShardParts {
    /// Its number.
    pub id: ShardId,
    /// Its log, replayed into `state` from [`ShardState::replay_from`] on.
    pub log: SharedLog,
    /// Its state.
    pub state: ShardState,
    /// Time.
    pub clock: Arc<dyn Clock>,
    /// Chance.
    pub random: Arc<dyn Random>,
}

/// Why a shard did not open.
#[derive(Debug, thiserror::Error)]
pub enum OpenShardError {
    /// The KV failed.
    #[error("read shard state")]
    State(#[from] KvError),
    /// A record of the log cannot be applied.
    #[error("apply record at log position {position}")]
    Apply {
        /// Where it is.
        position: LogPosition,
        /// What is wrong with it.
        #[source]
        source: ApplyError,
    },
}

/// The derived state of a shard while its log is being replayed.
///
/// Opening goes: [`ShardState::open`], then open the log from [`ShardState::replay_from`] with
/// [`ShardState::replay`] for each record, then [`crate::Instance::add_shard`].
pub struct ShardState {
    kv: Arc<dyn StateKv>,
    state: State,
    failure: Option<OpenShardError>,
    replayed: u64,
}

impl ShardState {
    /// Reads the last checkpoint from `kv`.
    pub fn open(kv: Arc<dyn StateKv>) -> Result<Self, OpenShardError> {
        let position = kv.position()?;
        let mut state = State::new(kv.clone(), position);
        state.lite.lags = LiteLags::open(&*kv)?;
        Ok(Self {
            kv,
            state,
            failure: None,
            replayed: 0,
        })
    }

    /// Where the log after the checkpoint begins.
    pub fn replay_from(&self) -> LogPosition {
        self.state.applied
    }

    /// Applies the next record. The first failure is kept and ends the replay.
    pub fn replay(&mut self, record: &Record) {
        if self.failure.is_some() {
            return;
        }
        self.replayed += 1;
        if let Err(source) = self.state.apply(record) {
            self.failure = Some(OpenShardError::Apply {
                position: record.position,
                source,
            });
        }
    }

    /// Records replayed so far.
    pub fn replayed(&self) -> u64 {
        self.replayed
    }
}

/// One shard of one instance. All methods may be called from any thread.
pub struct Shard {
    pub(crate) id: ShardId,
    pub(crate) log: SharedLog,
    pub(crate) kv: Arc<dyn StateKv>,
    pub(crate) clock: Arc<dyn Clock>,
    pub(crate) random: Arc<dyn Random>,
    pub(crate) catalogue: Arc<Catalogue>,
    pub(crate) clients: Arc<Clients>,
    pub(crate) state: Mutex<State>,
    /// One checkpoint or sweep at a time.
    pub(crate) upkeep: Mutex<crate::retention::Upkeep>,
    /// How far consumers have pulled.
    pub(crate) pulled: Mutex<crate::pulled::PullPositions>,
    pub(crate) draining: AtomicBool,
    drain: watch::Sender<bool>,
    /// Who may look at LiteTopics, see [`limits::LITE_LOOKS_AT_A_TIME`].
    lite_looks: Semaphore,
}

impl Shard {
    pub(crate) fn new(
        parts: ShardParts,
        catalogue: Arc<Catalogue>,
        clients: Arc<Clients>,
    ) -> Result<Arc<Self>, OpenShardError> {
        let ShardState {
            kv,
            mut state,
            failure,
            ..
        } = parts.state;
        if let Some(failure) = failure {
            return Err(failure);
        }
        // Records of the log's own (openings) are not replayed, but are applied all the same.
        state.applied = state.applied.max(parts.log.durable_end());
        Ok(Arc::new(Self {
            id: parts.id,
            log: parts.log,
            kv,
            clock: parts.clock,
            random: parts.random,
            catalogue,
            clients,
            state: Mutex::new(state),
            upkeep: Mutex::default(),
            pulled: Mutex::default(),
            draining: AtomicBool::new(false),
            drain: watch::Sender::new(false),
            lite_looks: Semaphore::new(limits::LITE_LOOKS_AT_A_TIME),
        }))
    }

    /// Its number.
    pub fn id(&self) -> ShardId {
        self.id
    }

    /// Its log.
    pub fn log(&self) -> &SharedLog {
        &self.log
    }

    /// What the log tells when records become durable.
    pub fn observer(self: &Arc<Self>) -> Arc<dyn DurableObserver> {
        self.clone()
    }

    /// Hands out no more receipts and ends waiting polls, each with what it has. Sends, acks and
    /// offsets go on: they finish work that clients have begun.
    pub fn drain(&self) {
        self.draining.store(true, Ordering::Release);
        self.drain.send_replace(true);
    }

    /// A place among those that look at LiteTopics.
    pub(crate) async fn lite_look(&self) -> Option<SemaphorePermit<'_>> {
        // It is never closed.
        self.lite_looks.acquire().await.ok()
    }

    /// Completes when the shard drains.
    pub(crate) fn drained(&self) -> impl Future<Output = ()> + Send + use<> {
        let mut drain = self.drain.subscribe();
        async move {
            // The sender lives in the shard; when it is gone, so is the reason to wait.
            let _ = drain.wait_for(|drain| *drain).await;
        }
    }

    pub(crate) fn is_draining(&self) -> bool {
        self.draining.load(Ordering::Acquire)
    }

    /// Appends a record that nobody waits for.
    fn append_riding(
        &self,
        kind: store::log::RecordKind,
        stream: StreamKey,
        payload_len: usize,
        write: &mut dyn FnMut(&mut Vec<u8>),
    ) -> Result<(), AppendError> {
        let record = NewRecord {
            kind,
            stream,
            payload_len,
        };
        self.log
            .append(&[record], Urgency::Ride, &mut |_, _, out| write(out))?;
        Ok(())
    }

    pub(crate) fn append_receipts(
        &self,
        stream: StreamKey,
        receipts: &Receipts,
    ) -> Result<(), AppendError> {
        let len = receipts.encoded_len();
        self.append_riding(records::RECEIPTS, stream, len, &mut |out| {
            receipts.encode(out)
        })
    }

    pub(crate) fn append_settled(
        &self,
        stream: StreamKey,
        settled: &Settled,
    ) -> Result<(), AppendError> {
        let len = settled.encoded_len();
        self.append_riding(records::SETTLED, stream, len, &mut |out| {
            settled.encode(out)
        })
    }

    pub(crate) fn append_offset(
        &self,
        stream: StreamKey,
        offset: Offset,
    ) -> Result<(), AppendError> {
        self.append_riding(records::OFFSET, stream, Offset::BYTES, &mut |out| {
            offset.encode(out)
        })
    }

    /// Appends a message that is still owed once more, as it is, before its segment goes.
    pub(crate) fn append_kept(
        &self,
        stream: StreamKey,
        message: &[u8],
    ) -> Result<Appended, AppendError> {
        let record = NewRecord {
            kind: records::KEPT_MESSAGE,
            stream,
            payload_len: message.len(),
        };
        // Not urgent, though it is waited for: what is left of a full disk takes only what is not,
        // and without this copy no space could be given back.
        self.log.append(&[record], Urgency::Ride, &mut |_, _, out| {
            out.extend_from_slice(message)
        })
    }

    /// Where a message in flight is: in its queue, or where retention put it.
    pub(crate) fn entry_in_flight(
        &self,
        state: &mut State,
        stream: StreamKey,
        offset: u64,
    ) -> Result<Option<IndexEntry>, KvError> {
        let entry = state.entry(stream, offset)?;
        if entry.is_some_and(|entry| entry.position >= self.log.start()) {
            return Ok(entry);
        }
        let kept = state.get(&keys::kept(stream, offset))?;
        let kept = kept.as_deref().and_then(IndexEntry::decode);
        // What nobody has seen after all is not kept for ever.
        Ok(kept.filter(|kept| kept.position >= self.log.start()))
    }

    /// A random number that tells one delivery of a message from another. Never zero, and of 31
    /// bits: Remoting carries it as a signed number.
    pub(crate) fn nonce(&self) -> u32 {
        (self.random.next() >> 33) as u32 | 1
    }

    /// The ids under which the state keeps a group on a queue of a topic.
    pub(crate) fn stream(topic: &Topic, queue: QueueId) -> StreamKey {
        StreamKey::of_queue(topic.id, queue)
    }

    /// Whether enough has gathered in memory that a checkpoint should not wait for its turn.
    pub fn checkpoint_is_due(&self) -> bool {
        let state = self.state.lock();
        state.tail_entries >= limits::CHECKPOINT_INDEX_ENTRIES
            || state.key_entries.len() >= limits::CHECKPOINT_INDEX_ENTRIES
            || state.pending.len() >= limits::CHECKPOINT_CHANGES
    }

    /// Lets go of LiteTopics that nobody uses, where so many are in memory that it should not wait
    /// for the next checkpoint: ten thousand clients that subscribe touch a million in seconds.
    pub fn forget_idle_lite_topics(&self) {
        let mut state = self.state.lock();
        let in_memory = state.queues.len().max(state.consumptions.len());
        if in_memory > limits::LITE_TOPICS_IN_MEMORY {
            let forgotten = state.forget_idle_lite_topics(self.log.tail());
            drop(state);
            drop(forgotten);
        }
    }

    /// Whether a queue is locked, or to be, so that nothing of it is handed out.
    pub(crate) fn is_locked(&self, state: &State, stream: StreamKey, group: GroupId) -> bool {
        state.queue_lock(group, stream, self.clock.now()).is_some()
    }
}

impl OpenShardError {
    /// What the caller should do.
    pub fn kind(&self) -> ErrorKind {
        ErrorKind::Fault
    }
}
