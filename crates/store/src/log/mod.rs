//! The log of one shard: an ordered, append-only sequence of records that survive a crash.
//!
//! An append only places a record in memory; it is durable when the log says so. Whoever drives the
//! log (a thread in the server, the scheduler in the simulator) makes records durable in groups,
//! then hands them to the [`DurableObserver`] in log order, and only then completes the waits. So
//! whatever a waiter goes on to read is already visible to it.

pub mod local;
mod record;

use std::sync::Arc;

use base::{ErrorKind, LogPosition, StreamKey};
use futures::future::BoxFuture;

pub use record::{ENVELOPE_BYTES, Record, RecordError, RecordKind};

/// Why the log took no append. Nothing of the refused record remains.
#[derive(Clone, Debug, PartialEq, Eq, thiserror::Error)]
pub enum AppendError {
    /// So much waits for the disk already that senders must wait: see [`Log::writable`].
    #[error("log of shard {shard} has {pending_bytes} bytes waiting for the disk, limit {limit}")]
    Busy {
        /// The shard, as its number.
        shard: u16,
        /// Bytes that wait.
        pending_bytes: u64,
        /// How many may.
        limit: u64,
    },
    /// There is no room for a further segment. Reads go on; appends work again after space is
    /// freed.
    #[error(
        "log of shard {shard} has no space left for a segment of {segment_bytes} bytes: {reason}"
    )]
    Full {
        /// The shard, as its number.
        shard: u16,
        /// Size of the segment that could not be made.
        segment_bytes: u64,
        /// What the disk said.
        reason: String,
    },
    /// A write or sync failed earlier: what the disk holds is unknown until a restart recovers it.
    #[error("log of shard {shard} refuses appends after a failed {operation}: {reason}")]
    Poisoned {
        /// The shard, as its number.
        shard: u16,
        /// Which operation failed, e.g. "fdatasync".
        operation: &'static str,
        /// What the disk said.
        reason: String,
    },
    /// The shard is being removed, with all that it stored.
    #[error("log of shard {shard} is closed, its shard is being removed")]
    Closed {
        /// The shard, as its number.
        shard: u16,
    },
    /// The record is larger than any segment may hold.
    #[error("record of {bytes} bytes exceeds the limit of {limit}")]
    TooLarge {
        /// Size of the record with its envelope.
        bytes: usize,
        /// Largest size.
        limit: usize,
    },
}

impl AppendError {
    /// What the caller should do.
    pub fn kind(&self) -> ErrorKind {
        match self {
            Self::Busy { .. } | Self::Closed { .. } => ErrorKind::Retry,
            Self::Full { .. } => ErrorKind::Limit,
            Self::Poisoned { .. } => ErrorKind::Fault,
            Self::TooLarge { .. } => ErrorKind::Request,
        }
    }
}

/// Why the log gave no record back.
#[derive(Debug, thiserror::Error)]
pub enum ReadError {
    /// The position was trimmed away by retention.
    #[error("log position {position} was removed, the log starts at {start}")]
    Trimmed {
        /// The position asked for.
        position: LogPosition,
        /// Where the log starts now.
        start: LogPosition,
    },
    /// Nothing durable is there yet.
    #[error("log position {position} is past the end of the log at {end}")]
    PastEnd {
        /// The position asked for.
        position: LogPosition,
        /// Where the durable log ends.
        end: LogPosition,
    },
    /// The bytes there are no valid record.
    #[error("read record at log position {position}")]
    Corrupt {
        /// The position asked for.
        position: LogPosition,
        /// What is wrong with them.
        #[source]
        source: RecordError,
    },
    /// The disk failed.
    #[error("read log at position {position}")]
    Disk {
        /// The position asked for.
        position: LogPosition,
        /// What the disk said.
        #[source]
        source: std::io::Error,
    },
}

/// How soon an append wants to be durable.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Urgency {
    /// Somebody waits for it: commit at the next opportunity.
    Now,
    /// Nobody waits (acks, receipts, offsets): commit with the next urgent one, or after a short
    /// time.
    Ride,
}

/// A record about to be appended: all but its payload.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct NewRecord {
    /// What it is.
    pub kind: RecordKind,
    /// Key that the store may cluster by.
    pub stream: StreamKey,
    /// Bytes that the payload will have.
    pub payload_len: usize,
}

/// Where an append went.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct Appended {
    /// Where the first record starts.
    pub position: LogPosition,
    /// Where the next one may start; the append is durable once the log is durable up to here.
    pub end: LogPosition,
}

/// Where a record is, as an index entry says.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct RecordPlace {
    /// Where it starts.
    pub position: LogPosition,
    /// Its length with the envelope, in bytes.
    pub len: usize,
}

/// Hears of records as they become durable, in log order, each exactly once per run.
pub trait DurableObserver: Send + Sync {
    /// `records` are durable now; they end at `end`. Called before anybody who waits for them is
    /// told. Their payloads share the commit buffer: copy what is to be kept for long.
    fn on_durable(&self, records: &[Record], end: LogPosition);
}

/// The log of one shard. All methods may be called from any thread.
pub trait Log: Send + Sync {
    /// Places `records` at the tail, all of them or none, one after the other, and returns where
    /// they are. (All or none is about refusal; a crash may keep a prefix of what nobody was told
    /// of.)
    ///
    /// `write` is called once per record, in order, with its index, its position and the buffer, to
    /// which it must append exactly the announced `payload_len` bytes. It runs under the log's
    /// lock: no I/O, no other lock. `records` must not be empty.
    fn append(
        &self,
        records: &[NewRecord],
        urgency: Urgency,
        write: &mut dyn FnMut(usize, LogPosition, &mut Vec<u8>),
    ) -> Result<Appended, AppendError>;

    /// Completes when an append that was refused as [`AppendError::Busy`] is worth another try.
    fn writable(&self) -> BoxFuture<'static, ()>;

    /// Completes when everything before `end` is durable and observed, or the log has failed.
    fn durable(&self, end: LogPosition) -> BoxFuture<'static, Result<(), AppendError>>;

    /// Where the log starts: older records were trimmed.
    fn start(&self) -> LogPosition;

    /// Where the durable and observed part of the log ends.
    fn durable_end(&self) -> LogPosition;

    /// Where the next append will go, durable or not.
    fn tail(&self) -> LogPosition;

    /// Reads the record at `position`, which is `len` bytes long with its envelope, as an index
    /// entry says. Recent records come from memory without a copy.
    fn read(&self, position: LogPosition, len: usize) -> BoxFuture<'_, Result<Record, ReadError>>;

    /// [`Log::read`] for the records of a page, in this order. Those that lie near each other are
    /// read with one call. Ends after the first that cannot be read.
    fn read_all<'a>(
        &'a self,
        places: &'a [RecordPlace],
    ) -> BoxFuture<'a, Vec<Result<Record, ReadError>>>;

    /// [`Log::read`] for a record whose length is not known (from a message id).
    fn read_at(&self, position: LogPosition) -> BoxFuture<'_, Result<Record, ReadError>>;

    /// Gives whole segments before `position` back, and returns where the log starts now. The
    /// caller has made sure that a durable checkpoint covers them.
    fn trim(&self, position: LogPosition) -> std::io::Result<LogPosition>;

    /// Segments from oldest to newest: what retention decides by.
    fn segments(&self) -> Vec<SegmentSummary>;
}

/// One segment, as retention sees it.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct SegmentSummary {
    /// Where it starts.
    pub start: LogPosition,
    /// Where the next one starts, or the tail for the last one.
    pub end: LogPosition,
    /// Bytes it takes on disk.
    pub disk_bytes: u64,
    /// Whether it is the one being written (never trimmed).
    pub active: bool,
}

/// A log as the broker holds it.
pub type SharedLog = Arc<dyn Log>;
