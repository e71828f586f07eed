//! Placing records in memory: positions, chunks, the change of segments, and when to refuse.

use std::{
    collections::VecDeque,
    sync::{Arc, atomic::Ordering},
};

use base::{LogPosition, StreamKey, limits};
use tokio::sync::oneshot;

use super::{
    LocalLog, OpenError,
    allocate::Allocation,
    committer::Bell,
    segment::{OpenSegment, Segment},
};
use crate::{
    disk::DiskFile,
    log::{AppendError, Appended, ENVELOPE_BYTES, NewRecord, RecordKind, Urgency, record::Head},
};

/// Room in the active segment that records never take while there is no next one: the log of a full
/// disk can be opened again a hundred times before there must be space.
const OPENING_RESERVE_BYTES: u64 = 4096;

/// Bytes that a chunk's buffer starts with, and the most it starts with.
const CHUNK_CAPACITY_MIN: usize = 4096;
const CHUNK_CAPACITY_MAX: usize = 1024 * 1024;

/// Records that go to disk together: they follow one another in one segment.
pub(super) struct Chunk {
    pub(super) start: u64,
    /// Where the log goes on: behind the bytes, or in the next segment.
    pub(super) end: u64,
    pub(super) bytes: Vec<u8>,
    pub(super) segment: Segment,
    pub(super) file: Arc<dyn DiskFile>,
    /// Whether somebody waits for one of its records.
    pub(super) urgent: bool,
}

/// A failed write or sync, after which nothing is known about the disk.
#[derive(Clone)]
pub(super) struct Poison {
    pub(super) operation: &'static str,
    pub(super) reason: String,
}

/// Somebody who waits until the log is durable up to `end`.
pub(super) struct DurableWait {
    pub(super) end: u64,
    pub(super) tell: oneshot::Sender<Result<(), AppendError>>,
}

/// What the log's lock protects.
pub(super) struct State {
    pub(super) epoch: u32,
    pub(super) tail: u64,
    pub(super) active: OpenSegment,
    /// The segment after the active one, made ahead of need.
    pub(super) spare: Option<OpenSegment>,
    pub(super) allocation: Allocation,
    /// Chunks to be committed, oldest first; appends go to the last one.
    pub(super) pending: VecDeque<Chunk>,
    /// Bytes not yet durable, those of the commit under way among them.
    pub(super) pending_bytes: u64,
    pub(super) committing: bool,
    pub(super) chunk_capacity: usize,
    pub(super) poison: Option<Poison>,
    /// Whether it takes no more appends because its shard is being removed.
    pub(super) closed: bool,
    /// Ordered by position.
    pub(super) durable_waits: VecDeque<DurableWait>,
    pub(super) writable_waits: Vec<oneshot::Sender<()>>,
    /// Size of the largest append refused as busy that has not been worth another try since.
    pub(super) refused_bytes: u64,
    pub(super) bell: Option<Bell>,
}

impl State {
    pub(super) fn new(active: OpenSegment, spare: Option<OpenSegment>, tail: u64) -> Self {
        Self {
            epoch: 0,
            tail,
            active,
            spare,
            allocation: Allocation::default(),
            pending: VecDeque::new(),
            pending_bytes: 0,
            committing: false,
            chunk_capacity: CHUNK_CAPACITY_MIN,
            poison: None,
            closed: false,
            durable_waits: VecDeque::new(),
            writable_waits: Vec::new(),
            refused_bytes: 0,
            bell: None,
        }
    }

    fn room(&self) -> u64 {
        self.active.segment.next() - self.tail
    }

    /// The chunk for `len` bytes of records that are placed at the tail.
    fn chunk_for(&mut self, len: usize) -> &mut Chunk {
        let segment = self.active.segment;
        let start_new = match self.pending.back() {
            None => true,
            Some(last) => {
                last.segment != segment || last.bytes.len() + len > limits::LOG_COMMIT_BYTES_MAX
            }
        };
        if start_new {
            self.pending.push_back(Chunk {
                start: self.tail,
                end: self.tail,
                bytes: Vec::with_capacity(self.chunk_capacity.max(len)),
                segment,
                file: Arc::clone(&self.active.file),
                urgent: false,
            });
        }
        self.pending
            .back_mut()
            .expect("a chunk was there or has just been added")
    }

    /// Adds one record at the tail of the active segment, where there is room for it.
    fn place(
        &mut self,
        kind: RecordKind,
        stream: StreamKey,
        urgency: Urgency,
        payload_len: usize,
        write: impl FnOnce(LogPosition, &mut Vec<u8>),
    ) {
        let len = ENVELOPE_BYTES + payload_len;
        let position = LogPosition::new(self.tail);
        let epoch = self.epoch;
        let chunk = self.chunk_for(len);
        let head = Head {
            position,
            kind,
            stream,
            epoch,
            first_of_commit: chunk.bytes.is_empty(),
        };
        head.encode(payload_len, |out| write(position, out), &mut chunk.bytes);
        chunk.end = chunk.start + chunk.bytes.len() as u64;
        chunk.urgent |= urgency == Urgency::Now;
        self.tail += len as u64;
        self.pending_bytes += len as u64;
    }

    /// Ends the active segment and goes on in `next`.
    fn advance(&mut self, next: OpenSegment) {
        if self.room() >= ENVELOPE_BYTES as u64 {
            let end = RecordKind::SEGMENT_END;
            self.place(end, StreamKey::new(0), Urgency::Ride, 0, |_, _| ());
        }
        // Whoever reads the log from the end of this chunk finds the next record right there.
        if let Some(last) = self.pending.back_mut()
            && last.segment == self.active.segment
        {
            last.end = next.segment.start;
        }
        self.tail = next.segment.start;
        self.active = next;
    }
}

/// Takes back what was placed so far if writing a payload panics: half a record must not reach the
/// disk, where recovery would cut the log at it.
struct Placing<'a> {
    state: &'a mut State,
    tail: u64,
    pending_bytes: u64,
    chunk_len: usize,
    done: bool,
}

impl<'a> Placing<'a> {
    fn begin(state: &'a mut State, bytes: usize) -> Self {
        let chunk_len = state.chunk_for(bytes).bytes.len();
        Self {
            tail: state.tail,
            pending_bytes: state.pending_bytes,
            chunk_len,
            state,
            done: false,
        }
    }
}

impl Drop for Placing<'_> {
    fn drop(&mut self) {
        if self.done {
            return;
        }
        self.state.tail = self.tail;
        self.state.pending_bytes = self.pending_bytes;
        if let Some(chunk) = self.state.pending.back_mut() {
            chunk.bytes.truncate(self.chunk_len);
            chunk.end = self.tail;
            if chunk.bytes.is_empty() {
                self.state.pending.pop_back();
            }
        }
    }
}

impl LocalLog {
    pub(super) fn append_records(
        &self,
        records: &[NewRecord],
        urgency: Urgency,
        write: &mut dyn FnMut(usize, LogPosition, &mut Vec<u8>),
    ) -> Result<Appended, AppendError> {
        assert!(!records.is_empty(), "an append has at least one record");
        let bytes = self.checked_len(records)?;
        let mut state = self.state.lock();
        self.admit(&mut state, bytes, urgency)?;
        let appended = self.place_records(&mut state, records, urgency, write);
        self.ring_after(&state, urgency, bytes);
        Ok(appended)
    }

    /// Length of the records together, if no limit forbids it.
    fn checked_len(&self, records: &[NewRecord]) -> Result<u64, AppendError> {
        let mut bytes = 0_usize;
        for record in records {
            let len = record.payload_len.saturating_add(ENVELOPE_BYTES);
            if len > limits::RECORD_BYTES_MAX {
                return Err(AppendError::TooLarge {
                    bytes: len,
                    limit: limits::RECORD_BYTES_MAX,
                });
            }
            bytes = bytes.saturating_add(len);
        }
        let segment = usize::try_from(self.options.segment_bytes_max).unwrap_or(usize::MAX);
        let limit = limits::LOG_COMMIT_BYTES_MAX.min(segment);
        if bytes > limit {
            return Err(AppendError::TooLarge { bytes, limit });
        }
        Ok(bytes as u64)
    }

    /// Decides whether `bytes` may be appended now, and sees to it that there is a segment for
    /// them.
    fn admit(&self, state: &mut State, bytes: u64, urgency: Urgency) -> Result<(), AppendError> {
        if let Some(poison) = &state.poison {
            return Err(self.poisoned(poison));
        }
        if state.closed {
            let shard = self.shard.get();
            return Err(AppendError::Closed { shard });
        }
        let limit = self.options.pending_bytes_max;
        let busy = AppendError::Busy {
            shard: self.shard.get(),
            pending_bytes: state.pending_bytes,
            limit,
        };
        // A single append larger than the limit passes when nothing else waits.
        if state.pending_bytes > 0 && state.pending_bytes + bytes > limit {
            state.refused_bytes = state.refused_bytes.max(bytes);
            return Err(busy);
        }
        let Some(spare) = &state.spare else {
            // What is left of the active segment is kept for acks and offsets once the disk is
            // full: without them, consumers could not even make progress with what is stored.
            if urgency == Urgency::Now
                && let Some(full) = self.full(state)
            {
                return Err(full);
            }
            if bytes + OPENING_RESERVE_BYTES <= state.room() {
                return Ok(());
            }
            state.allocation.want(bytes);
            self.ring(state, Urgency::Now);
            return Err(self.full(state).unwrap_or(busy));
        };
        if bytes <= state.room() {
            return Ok(());
        }
        if bytes <= spare.segment.capacity {
            let next = state.spare.take().expect("it was just looked at");
            self.advance(state, next);
            return Ok(());
        }
        state.allocation.want(bytes);
        self.ring(state, Urgency::Now);
        Err(self.full(state).unwrap_or(busy))
    }

    /// Goes on in `next`, which the reading side learns of.
    pub(super) fn advance(&self, state: &mut State, next: OpenSegment) {
        self.segments.write().push(next.clone());
        state.advance(next);
        self.tail.store(state.tail, Ordering::Release);
    }

    fn place_records(
        &self,
        state: &mut State,
        records: &[NewRecord],
        urgency: Urgency,
        write: &mut dyn FnMut(usize, LogPosition, &mut Vec<u8>),
    ) -> Appended {
        // All of them go into one chunk: a commit is never larger than the largest append.
        let bytes = records
            .iter()
            .map(|record| ENVELOPE_BYTES + record.payload_len)
            .sum();
        let mut placing = Placing::begin(state, bytes);
        let position = LogPosition::new(placing.tail);
        for (index, record) in records.iter().enumerate() {
            let write = |position, out: &mut Vec<u8>| write(index, position, out);
            let (kind, stream) = (record.kind, record.stream);
            placing
                .state
                .place(kind, stream, urgency, record.payload_len, write);
        }
        placing.done = true;
        drop(placing);
        self.tail.store(state.tail, Ordering::Release);
        Appended {
            position,
            end: LogPosition::new(state.tail),
        }
    }

    /// Makes the record durable with which every opening of the log begins.
    pub(super) fn write_opening(self: &Arc<Self>, epoch: u32) -> Result<(), OpenError> {
        let mut state = self.state.lock();
        // A record that ends the segment because the opening does not fit belongs to what came
        // before: nothing but an opening may raise the epoch.
        state.epoch = epoch - 1;
        let payload = self.clock.now().ms().to_le_bytes();
        if state.room() < (ENVELOPE_BYTES + payload.len()) as u64 {
            let next = match state.spare.take() {
                Some(spare) => spare,
                None => self.next_segment(&state)?,
            };
            self.advance(&mut state, next);
        }
        state.epoch = epoch;
        let write = |_, out: &mut Vec<u8>| out.extend_from_slice(&payload);
        let (kind, stream) = (RecordKind::OPENING, StreamKey::new(0));
        state.place(kind, stream, Urgency::Now, payload.len(), write);
        self.tail.store(state.tail, Ordering::Release);
        drop(state);
        while let Some(mut commit) = self.begin_commit() {
            commit.write().map_err(OpenError::Opening)?;
            commit.sync().map_err(OpenError::Opening)?;
            commit.finish();
        }
        Ok(())
    }

    pub(super) fn poisoned(&self, poison: &Poison) -> AppendError {
        AppendError::Poisoned {
            shard: self.shard.get(),
            operation: poison.operation,
            reason: poison.reason.clone(),
        }
    }

    /// The refusal that stands as long as the next segment cannot be made.
    fn full(&self, state: &State) -> Option<AppendError> {
        let failure = state.allocation.failure.as_ref()?;
        Some(AppendError::Full {
            shard: self.shard.get(),
            segment_bytes: failure.segment_bytes,
            reason: failure.reason.clone(),
        })
    }

    /// Whether what was refused as busy would be refused again.
    pub(super) fn is_busy(&self, state: &State) -> bool {
        let pending = state.pending_bytes;
        let no_room = pending > 0 && pending + state.refused_bytes > self.options.pending_bytes_max;
        state.poison.is_none() && (no_room || state.allocation.is_wanted())
    }

    /// Takes those who wait for room, if there is some now.
    pub(super) fn take_writable_waits(&self, state: &mut State) -> Vec<oneshot::Sender<()>> {
        if self.is_busy(state) {
            return Vec::new();
        }
        state.refused_bytes = 0;
        std::mem::take(&mut state.writable_waits)
    }

    /// Capacity for the next chunk's buffer, after one of `len` bytes.
    pub(super) fn chunk_capacity_after(len: usize) -> usize {
        len.clamp(CHUNK_CAPACITY_MIN, CHUNK_CAPACITY_MAX)
    }
}
