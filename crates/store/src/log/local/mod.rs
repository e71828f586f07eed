//! The log on a local disk: preallocated segment files, group commit, recovery that cuts a torn
//! tail.
//!
//! ```text
//! append.rs    places records in memory          commit.rs     writes, syncs, tells who waits
//! allocate.rs  makes the next segment ahead      committer.rs  the thread that drives both
//! read.rs      finds a record again              trim.rs       gives old segments back
//! recover.rs   opens, cuts, replays              scan.rs       which bytes count as records
//! blocks.rs    reads and mends files for it      segment.rs    names, headers, open files
//! recent.rs    commits that memory keeps         stretch.rs    what is read with one call
//! ```
//!
//! Locks, in the order in which they are taken: `trimming`, `state`, `segments`, `recent`,
//! `stretches`. No lock
//! but `trimming` is held across I/O that may wait, except to open a segment's file.

mod allocate;
mod append;
mod blocks;
mod commit;
mod committer;
mod open_error;
mod read;
mod recent;
mod recover;
pub mod scan;
mod segment;
mod stretch;
mod trim;

use std::{
    sync::{
        Arc, Weak,
        atomic::{AtomicU8, AtomicU64, Ordering},
    },
    time::Duration,
};

use base::{Clock, LogPosition, ShardId, limits};
use futures::{FutureExt as _, future::BoxFuture};
use parking_lot::{Mutex, RwLock};
use tokio::sync::oneshot;

pub use commit::{Commit, Told};
pub use committer::Committer;
pub use open_error::OpenError;
pub use recover::Recovery;
pub(crate) use recover::first_position;

use self::{
    append::State,
    recent::Recent,
    segment::{Segment, Segments},
    stretch::Stretches,
};
use super::{
    AppendError, Appended, DurableObserver, Log, NewRecord, ReadError, Record, RecordPlace,
    SegmentSummary, Urgency,
};
use crate::disk::Disk;

/// How a [`LocalLog`] uses memory and disk.
#[derive(Clone, Debug)]
pub struct LocalLogOptions {
    /// Bytes of the first segment: what a shard costs at its first write. At least 64 KiB.
    pub segment_bytes_min: u64,
    /// Bytes of the largest segment: each is twice as large as the one before, up to this.
    pub segment_bytes_max: u64,
    /// Bytes of appends that may wait for the disk before further ones are refused as busy.
    pub pending_bytes_max: u64,
    /// Bytes of memory for the newest durable records.
    pub recent_bytes_max: u64,
    /// Longest time that an append nobody waits for stays in memory.
    pub ride_delay: Duration,
}

impl Default for LocalLogOptions {
    fn default() -> Self {
        Self {
            segment_bytes_min: 4 * 1024 * 1024,
            segment_bytes_max: 256 * 1024 * 1024,
            pending_bytes_max: limits::LOG_PENDING_BYTES_MAX as u64,
            recent_bytes_max: 16 * 1024 * 1024,
            ride_delay: Duration::from_millis(20),
        }
    }
}

impl LocalLogOptions {
    /// Smallest segment that makes sense: room for some records besides the log's own.
    pub const SEGMENT_BYTES_MIN: u64 = 64 * 1024;

    /// The segment to be made after `active`: twice as large, and large enough for `wanted` bytes.
    fn segment_after(&self, active: Segment, wanted: u64) -> Segment {
        let (min, max) = (self.segment_bytes_min, self.segment_bytes_max);
        let grown = active.capacity.saturating_mul(2).clamp(min, max);
        let fitting = wanted.checked_next_power_of_two().unwrap_or(max).min(max);
        Segment {
            start: active.next(),
            capacity: grown.max(fitting),
        }
    }

    fn check(&self) {
        assert!(
            self.segment_bytes_min >= Self::SEGMENT_BYTES_MIN
                && self.segment_bytes_max >= self.segment_bytes_min,
            "log segments of {} to {} bytes, expected at least {} and in order",
            self.segment_bytes_min,
            self.segment_bytes_max,
            Self::SEGMENT_BYTES_MIN
        );
    }
}

/// The log of one shard on a local disk.
pub struct LocalLog {
    shard: ShardId,
    options: LocalLogOptions,
    disk: Arc<dyn Disk>,
    clock: Arc<dyn Clock>,
    state: Mutex<State>,
    segments: RwLock<Segments>,
    recent: RwLock<Recent>,
    stretches: Mutex<Stretches>,
    trimming: Mutex<()>,
    observer: RwLock<Option<Weak<dyn DurableObserver>>>,
    start: AtomicU64,
    tail: AtomicU64,
    /// Records before this are durable and may be read.
    readable_end: AtomicU64,
    /// Records before this have been shown to the observer too.
    observed_end: AtomicU64,
    /// The strongest [`Urgency`] asked for since the committer last looked.
    wanted: AtomicU8,
}

impl LocalLog {
    /// From now on `observer` hears of records as they become durable. The log keeps no more than a
    /// weak reference: its observer usually owns it.
    pub fn observe(&self, observer: Weak<dyn DurableObserver>) {
        *self.observer.write() = Some(observer);
    }

    fn from_parts(
        shard: ShardId,
        options: LocalLogOptions,
        disk: Arc<dyn Disk>,
        clock: Arc<dyn Clock>,
        state: State,
        segments: Segments,
    ) -> Self {
        let start = segments.list.front().map_or(0, |first| first.start);
        let end = state.tail;
        Self {
            shard,
            recent: RwLock::new(Recent::new(options.recent_bytes_max)),
            stretches: Mutex::default(),
            options,
            disk,
            clock,
            state: Mutex::new(state),
            segments: RwLock::new(segments),
            trimming: Mutex::new(()),
            observer: RwLock::new(None),
            start: AtomicU64::new(start),
            tail: AtomicU64::new(end),
            readable_end: AtomicU64::new(end),
            observed_end: AtomicU64::new(end),
            wanted: AtomicU8::new(0),
        }
    }

    /// Takes no more appends; what was appended is still made durable. For a shard that is to be
    /// removed.
    pub fn close(&self) {
        let mut state = self.state.lock();
        state.closed = true;
        let waits = std::mem::take(&mut state.writable_waits);
        drop(state);
        for tell in waits {
            // Who stopped waiting needs no answer.
            let _ = tell.send(());
        }
    }

    /// The shard whose log this is.
    pub fn shard(&self) -> ShardId {
        self.shard
    }
}

impl Log for LocalLog {
    fn append(
        &self,
        records: &[NewRecord],
        urgency: Urgency,
        write: &mut dyn FnMut(usize, LogPosition, &mut Vec<u8>),
    ) -> Result<Appended, AppendError> {
        self.append_records(records, urgency, write)
    }

    fn writable(&self) -> BoxFuture<'static, ()> {
        let mut state = self.state.lock();
        if !self.is_busy(&state) {
            return futures::future::ready(()).boxed();
        }
        let (tell, told) = oneshot::channel();
        state.writable_waits.push(tell);
        // A log that is dropped tells nobody: the next append will say what is wrong.
        told.map(|_| ()).boxed()
    }

    fn durable(&self, end: LogPosition) -> BoxFuture<'static, Result<(), AppendError>> {
        self.wait_durable(end)
    }

    fn start(&self) -> LogPosition {
        LogPosition::new(self.start.load(Ordering::Acquire))
    }

    fn durable_end(&self) -> LogPosition {
        LogPosition::new(self.observed_end.load(Ordering::Acquire))
    }

    fn tail(&self) -> LogPosition {
        LogPosition::new(self.tail.load(Ordering::Acquire))
    }

    fn read(&self, position: LogPosition, len: usize) -> BoxFuture<'_, Result<Record, ReadError>> {
        self.read_record(position, Some(len)).boxed()
    }

    fn read_all<'a>(
        &'a self,
        places: &'a [RecordPlace],
    ) -> BoxFuture<'a, Vec<Result<Record, ReadError>>> {
        self.read_records(places).boxed()
    }

    fn read_at(&self, position: LogPosition) -> BoxFuture<'_, Result<Record, ReadError>> {
        self.read_record(position, None).boxed()
    }

    fn trim(&self, position: LogPosition) -> std::io::Result<LogPosition> {
        self.trim_segments(position)
    }

    fn segments(&self) -> Vec<SegmentSummary> {
        let segments = self.segments.read();
        let tail = self.tail();
        let last = segments.list.len().saturating_sub(1);
        let summary = |(index, segment): (usize, &Segment)| SegmentSummary {
            start: LogPosition::new(segment.start),
            end: if index == last {
                tail
            } else {
                LogPosition::new(segment.next())
            },
            disk_bytes: segment.disk_bytes(),
            active: index == last,
        };
        segments.list.iter().enumerate().map(summary).collect()
    }
}
