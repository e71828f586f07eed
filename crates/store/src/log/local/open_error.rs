//! Why a log cannot be opened: each reason with what a person can do about it.

use std::io;

use base::{LogPosition, ShardId};

use super::segment;
use crate::log::AppendError;

/// Why a log cannot be opened.
#[derive(Debug, thiserror::Error)]
pub enum OpenError {
    /// The disk failed, or is full.
    #[error("{operation} of log segment `{file}`")]
    Disk {
        /// A noun: what was tried, e.g. "read".
        operation: &'static str,
        /// Name of the file, empty if it is about the folder.
        file: String,
        /// What the disk said.
        #[source]
        source: io::Error,
    },
    /// A newer release wrote it.
    #[error("log segment `{file}` has format {found}, this release reads up to {supported}")]
    NewerFormat {
        /// Name of the file.
        file: String,
        /// Its format.
        found: u32,
        /// The newest format this release reads.
        supported: u32,
    },
    /// The file belongs to another shard's folder.
    #[error("log segment `{file}` belongs to shard {found}, expected shard {expected}")]
    Foreign {
        /// Name of the file.
        file: String,
        /// The shard in its header.
        found: ShardId,
        /// The shard being opened.
        expected: ShardId,
    },
    /// A segment between others is not there.
    #[error(
        "log has no segment from position {expected} on, the next one is `{file}`: restore the missing \
         file or the whole folder from a backup"
    )]
    Missing {
        /// Where the missing segment starts.
        expected: LogPosition,
        /// The segment found instead.
        file: String,
    },
    /// Records that were durable once cannot be read.
    #[error(
        "log segment `{file}` is damaged at position {position}: {reason}; {evidence}, so this is not \
         the torn end of a write: restore the folder from a backup"
    )]
    Corrupt {
        /// Name of the file.
        file: String,
        /// Where the damage is.
        position: LogPosition,
        /// What was found there.
        reason: String,
        /// How it is known that there was a record.
        evidence: String,
    },
    /// The state is ahead of the log.
    #[error(
        "state stands at log position {checkpoint} but the log ends at {end}: the log was restored from \
         an older copy, or its disk lost data that it had confirmed; restore log and state together"
    )]
    CheckpointPastEnd {
        /// Where the state stands.
        checkpoint: LogPosition,
        /// Where the log ends.
        end: LogPosition,
    },
    /// The state needs records that the log no longer has.
    #[error(
        "state stands at log position {checkpoint} but the log starts at {start}: the state was restored \
         from an older copy or lost; restore log and state together"
    )]
    CheckpointTrimmed {
        /// Where the state stands.
        checkpoint: LogPosition,
        /// Where the log starts.
        start: LogPosition,
    },
    /// The log was opened so often that there is no further number for an opening.
    #[error("log was opened {0} times, more than any log is; its records are not of this program")]
    EpochsUsedUp(u32),
    /// The opening record could not be made durable.
    #[error("write opening record")]
    Opening(#[source] AppendError),
}

/// Names the file that `operation` failed on.
pub(super) fn disk_error(
    operation: &'static str,
    start: u64,
) -> impl FnOnce(io::Error) -> OpenError {
    move |source| OpenError::Disk {
        operation,
        file: segment::name_of(start),
        source,
    }
}
