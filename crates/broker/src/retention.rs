//! Retention: how long and how much of the log is kept.

use std::time::Duration;

use base::LogPosition;

/// What is kept at least. Whichever is reached first lets the oldest segments go.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct Retention {
    /// Messages older than this may go.
    pub time: Duration,
    /// Bytes of log per shard beyond which the oldest go; `None` for no limit.
    pub bytes: Option<u64>,
}

/// What a run of retention did.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct Trimmed {
    /// Where the log starts now.
    pub start: LogPosition,
    /// Bytes given back.
    pub bytes: u64,
}
