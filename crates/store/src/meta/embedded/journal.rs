//! How embedded metadata lasts: a log of changes that begins, now and then, with all entries anew.
//!
//! ```text
//! kind  what            payload, numbers little endian
//!   16  set             revision 8, lease 8 (0 = none), key length 4, key, value
//!   17  remove          revision 8, key
//!   18  snapshot begin  revision 8
//!   19  snapshot entry  as set
//!   20  snapshot end    revision 8, number of entries 8
//! ```
//!
//! A snapshot without its end was cut short by a crash: it does not count, and what came before is
//! still there, because segments are trimmed only when the end is durable. What is left of a
//! trimmed snapshot, at the start of the log, does not count either.

use std::{collections::BTreeMap, sync::Arc, time::Duration};

use base::{Clock, LogPosition, ShardId, StreamKey, limits, stdx::with_causes};
use bytes::Bytes;

use super::Held;
use crate::{
    disk::Disk,
    log::{
        AppendError, Log as _, NewRecord, Record, RecordKind, Urgency,
        local::{LocalLog, LocalLogOptions, first_position},
    },
    meta::{LeaseId, MetadataError, Revision},
};

const SET: RecordKind = RecordKind::new(16);
const REMOVE: RecordKind = RecordKind::new(17);
const SNAPSHOT_BEGIN: RecordKind = RecordKind::new(18);
const SNAPSHOT_ENTRY: RecordKind = RecordKind::new(19);
const SNAPSHOT_END: RecordKind = RecordKind::new(20);

/// The shard number in the segments' headers: no shard of messages has it.
const SHARD: ShardId = ShardId::new(u16::MAX);
/// A snapshot is due when this much has been written since the last one...
const SNAPSHOT_AFTER_BYTES_MIN: u64 = 1024 * 1024;
/// ...and this many times the bytes of the last one.
const SNAPSHOT_AFTER_FACTOR: u64 = 4;
/// Bytes of a snapshot that are committed at once.
const SNAPSHOT_COMMIT_BYTES: u64 = 1024 * 1024;

pub(super) struct Journal {
    log: Arc<LocalLog>,
    /// Where the newest whole snapshot begins, and how long it is.
    snapshot_begin: LogPosition,
    snapshot_bytes: u64,
}

/// What was found on disk.
#[derive(Default)]
pub(super) struct Loaded {
    pub(super) entries: BTreeMap<String, Held>,
    pub(super) revision: Revision,
}

fn unavailable(operation: &'static str, reason: impl ToString) -> MetadataError {
    MetadataError::Unavailable {
        operation,
        reason: reason.to_string(),
    }
}

impl Journal {
    pub(super) fn open(
        disk: Arc<dyn Disk>,
        clock: Arc<dyn Clock>,
    ) -> Result<(Self, Loaded), MetadataError> {
        let options = LocalLogOptions {
            segment_bytes_min: 256 * 1024,
            // Two of the largest entries; space is given back by whole segments.
            segment_bytes_max: 2 * limits::METADATA_ENTRY_BYTES_MAX as u64,
            pending_bytes_max: limits::LOG_COMMIT_BYTES_MAX as u64,
            recent_bytes_max: 0,
            ride_delay: Duration::ZERO,
        };
        let from = first_position(&*disk).map_err(|error| unavailable("open", error))?;
        let mut replay = Replay::default();
        let opened = LocalLog::open(disk, SHARD, options, clock, from, &mut |record| {
            replay.take(&record);
        });
        let (log, _) = opened.map_err(|error| unavailable("open", with_causes(&error)))?;
        if let Some(position) = replay.bad {
            return Err(unavailable(
                "open",
                format!("the record at log position {position} is not one of this release"),
            ));
        }
        let journal = Self {
            log,
            snapshot_begin: replay.snapshot_begin,
            snapshot_bytes: replay.snapshot_bytes,
        };
        Ok((journal, replay.loaded))
    }

    /// Makes a change durable: `held` is the new entry, `None` if it is removed.
    pub(super) fn write(
        &mut self,
        key: &str,
        held: Option<&Held>,
        revision: Revision,
    ) -> Result<(), MetadataError> {
        let (kind, payload) = match held {
            Some(held) => (SET, encode_set(key, held)),
            None => (REMOVE, encode_remove(key, revision)),
        };
        self.append(kind, &payload)
            .and_then(|_| self.commit())
            .map_err(|error| unavailable("write", error))
    }

    /// Writes a snapshot if enough has been written since the last one, and gives back what came
    /// before it. A failure is not the caller's: the changes are safe without it.
    pub(super) fn compact_if_due(
        &mut self,
        revision: Revision,
        entries: impl FnOnce() -> BTreeMap<String, Held>,
    ) {
        let since = self.log.tail().get() - self.snapshot_begin.get();
        let due = SNAPSHOT_AFTER_BYTES_MIN.max(self.snapshot_bytes * SNAPSHOT_AFTER_FACTOR);
        if since <= self.snapshot_bytes + due {
            return;
        }
        let compacted = self
            .write_snapshot(revision, &entries())
            .map_err(|error| error.to_string())
            .and_then(|()| {
                let trimmed = self.log.trim(self.snapshot_begin);
                trimmed.map(drop).map_err(|error| error.to_string())
            });
        if let Err(error) = compacted {
            tracing::warn!(error, "metadata journal could not be compacted");
        }
    }

    fn write_snapshot(
        &mut self,
        revision: Revision,
        entries: &BTreeMap<String, Held>,
    ) -> Result<(), AppendError> {
        let begin = self.append(SNAPSHOT_BEGIN, &revision.0.to_le_bytes())?;
        let mut committed = begin;
        for (key, held) in entries {
            let position = self.append(SNAPSHOT_ENTRY, &encode_set(key, held))?;
            if position.get() - committed.get() > SNAPSHOT_COMMIT_BYTES {
                self.commit()?;
                committed = position;
            }
        }
        let mut end = revision.0.to_le_bytes().to_vec();
        end.extend_from_slice(&(entries.len() as u64).to_le_bytes());
        self.append(SNAPSHOT_END, &end)?;
        self.commit()?;
        self.snapshot_begin = begin;
        self.snapshot_bytes = self.log.tail().get() - begin.get();
        Ok(())
    }

    fn append(&self, kind: RecordKind, payload: &[u8]) -> Result<LogPosition, AppendError> {
        let record = NewRecord {
            kind,
            stream: StreamKey::new(0),
            payload_len: payload.len(),
        };
        let mut write = |_, _, out: &mut Vec<u8>| out.extend_from_slice(payload);
        let mut append = || self.log.append(&[record], Urgency::Now, &mut write);
        let appended = match append() {
            // Nothing else drives this log: make the room that it lacks, then it is there or not.
            Err(AppendError::Busy { .. }) => {
                self.commit()?;
                append()?
            }
            appended => appended?,
        };
        Ok(appended.position)
    }

    fn commit(&self) -> Result<(), AppendError> {
        while let Some(mut commit) = self.log.begin_commit() {
            commit.write()?;
            commit.sync()?;
            commit.finish();
        }
        self.log.prepare();
        Ok(())
    }
}

fn encode_set(key: &str, held: &Held) -> Vec<u8> {
    let mut out = Vec::with_capacity(20 + key.len() + held.value.len());
    out.extend_from_slice(&held.revision.0.to_le_bytes());
    out.extend_from_slice(&held.lease.map_or(0, |lease| lease.0).to_le_bytes());
    out.extend_from_slice(&(key.len() as u32).to_le_bytes());
    out.extend_from_slice(key.as_bytes());
    out.extend_from_slice(&held.value);
    out
}

fn encode_remove(key: &str, revision: Revision) -> Vec<u8> {
    let mut out = revision.0.to_le_bytes().to_vec();
    out.extend_from_slice(key.as_bytes());
    out
}

/// Puts records together to entries.
#[derive(Default)]
struct Replay {
    loaded: Loaded,
    snapshot_begin: LogPosition,
    snapshot_bytes: u64,
    /// The snapshot being read, which counts when its end is read.
    unfinished: Option<(LogPosition, BTreeMap<String, Held>)>,
    /// The first record that could not be read.
    bad: Option<LogPosition>,
}

impl Replay {
    fn take(&mut self, record: &Record) {
        if self.bad.is_none() && self.try_take(record).is_none() {
            self.bad = Some(record.position);
        }
    }

    /// `None` if the record is not understood.
    fn try_take(&mut self, record: &Record) -> Option<()> {
        let mut rest = record.payload.clone();
        let revision = Revision(take_u64(&mut rest)?);
        self.loaded.revision = self.loaded.revision.max(revision);
        match record.kind {
            SET => {
                let (key, held) = decode_set(revision, rest)?;
                self.unfinished = None;
                self.loaded.entries.insert(key, held);
            }
            REMOVE => {
                let key = std::str::from_utf8(&rest).ok()?;
                self.unfinished = None;
                self.loaded.entries.remove(key);
            }
            SNAPSHOT_BEGIN => self.unfinished = Some((record.position, BTreeMap::new())),
            SNAPSHOT_ENTRY => {
                let (key, held) = decode_set(revision, rest)?;
                if let Some((_, entries)) = &mut self.unfinished {
                    entries.insert(key, held);
                }
            }
            SNAPSHOT_END => {
                let count = take_u64(&mut rest)?;
                let Some((begin, entries)) = self.unfinished.take() else {
                    return Some(());
                };
                if entries.len() as u64 != count {
                    return None;
                }
                self.loaded.entries = entries;
                self.snapshot_begin = begin;
                self.snapshot_bytes = record.position.get() - begin.get() + record.len as u64;
            }
            _ => return None,
        }
        Some(())
    }
}

fn decode_set(revision: Revision, mut rest: Bytes) -> Option<(String, Held)> {
    let lease = take_u64(&mut rest)?;
    let key_len = u32::from_le_bytes(take(&mut rest)?) as usize;
    if key_len > rest.len() {
        return None;
    }
    let key = String::from_utf8(rest.split_to(key_len).to_vec()).ok()?;
    let held = Held {
        // The payload is a slice of a large block: keep only these bytes.
        value: Bytes::copy_from_slice(&rest),
        revision,
        lease: (lease != 0).then_some(LeaseId(lease)),
    };
    Some((key, held))
}

fn take<const LEN: usize>(rest: &mut Bytes) -> Option<[u8; LEN]> {
    let head = *rest.first_chunk()?;
    bytes::Buf::advance(rest, LEN);
    Some(head)
}

fn take_u64(rest: &mut Bytes) -> Option<u64> {
    take(rest).map(u64::from_le_bytes)
}
