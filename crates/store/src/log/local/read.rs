//! Finding a record again: in memory, in the page cache, or on the device, in this order.

use std::{
    io,
    sync::{Arc, atomic::Ordering},
};

use base::{LogPosition, limits};
use bytes::Bytes;

use super::{LocalLog, segment::Segment};
use crate::{
    disk::DiskFile,
    log::{ENVELOPE_BYTES, Log as _, ReadError, Record, RecordError},
};

/// Bytes read for a record of unknown length: most records are not longer.
const GUESS_BYTES: usize = 4096;

impl LocalLog {
    pub(super) async fn read_record(
        &self,
        position: LogPosition,
        len: Option<usize>,
    ) -> Result<Record, ReadError> {
        self.check_range(position)?;
        // Into a variable: the lock must not live as long as a `match`.
        let recent = self.recent.read().get(position.get());
        if let Some(bytes) = recent {
            return from_memory(&bytes, position, len);
        }
        self.read_disk(position, len).await
    }

    fn check_range(&self, position: LogPosition) -> Result<(), ReadError> {
        let start = self.start();
        if position < start {
            return Err(ReadError::Trimmed { position, start });
        }
        let end = LogPosition::new(self.readable_end.load(Ordering::Acquire));
        if position >= end {
            return Err(ReadError::PastEnd { position, end });
        }
        Ok(())
    }

    async fn read_disk(
        &self,
        position: LogPosition,
        len: Option<usize>,
    ) -> Result<Record, ReadError> {
        let failed = |source: io::Error| {
            // The segment may have been trimmed since the range was checked.
            match self.check_range(position) {
                Err(trimmed) => trimmed,
                Ok(()) => ReadError::Disk { position, source },
            }
        };
        let (segment, file) = self.file_of(position)?;
        let room = usize::try_from(segment.next() - position.get()).unwrap_or(usize::MAX);
        let offset = segment.file_offset(position.get());
        let first = len
            .unwrap_or(GUESS_BYTES)
            .min(room)
            .min(limits::RECORD_BYTES_MAX);
        let mut bytes = read_bytes(&file, offset, first).await.map_err(failed)?;
        if len.is_none()
            && let Ok(claimed) = Record::claimed_len(&bytes)
            && claimed > bytes.len()
            && claimed <= room
        {
            bytes = read_bytes(&file, offset, claimed).await.map_err(failed)?;
        }
        let corrupt = |source| ReadError::Corrupt { position, source };
        check_len(&bytes, len).map_err(corrupt)?;
        Record::decode(&bytes, position).map_err(corrupt)
    }

    fn file_of(&self, position: LogPosition) -> Result<(Segment, Arc<dyn DiskFile>), ReadError> {
        let segments = self.segments.read();
        let Some(segment) = segments.find(position.get()) else {
            drop(segments);
            self.check_range(position)?;
            let source = io::ErrorKind::NotFound.into();
            return Err(ReadError::Disk { position, source });
        };
        match segments.file(&*self.disk, segment) {
            Ok(file) => Ok((segment, file)),
            // A segment is removed from the disk before it is removed from the list.
            Err(error) if error.kind() == io::ErrorKind::NotFound => Err(ReadError::Trimmed {
                position,
                start: LogPosition::new(segment.next()),
            }),
            Err(source) => Err(ReadError::Disk { position, source }),
        }
    }
}

/// Reads without leaving this thread if nothing has to be waited for.
async fn read_bytes(file: &Arc<dyn DiskFile>, offset: u64, len: usize) -> io::Result<Bytes> {
    if let Some(bytes) = file.read_cached(offset, len)? {
        return Ok(bytes);
    }
    let file = Arc::clone(file);
    match tokio::runtime::Handle::try_current() {
        Ok(runtime) => runtime
            .spawn_blocking(move || file.read_at(offset, len))
            .await
            .map_err(io::Error::other)?,
        // A caller without a runtime, such as a tool, has nothing else to do meanwhile.
        Err(_) => file.read_at(offset, len),
    }
}

/// A record out of bytes that this process wrote and that are not on the way to anywhere else: what
/// can be wrong is only where and how much the caller asked for.
fn from_memory(
    bytes: &Bytes,
    position: LogPosition,
    len: Option<usize>,
) -> Result<Record, ReadError> {
    let checked = || {
        let claimed = Record::claimed_len(bytes)?;
        let (have, found) = (bytes.len(), Record::claimed_position(bytes));
        if claimed > have {
            return Err(RecordError::Short {
                have,
                need: claimed,
            });
        }
        if found != position {
            return Err(RecordError::Misplaced {
                found,
                expected: position,
            });
        }
        check_len(bytes, len)?;
        Ok(Record::decode_trusted(bytes, claimed))
    };
    checked().map_err(|source| ReadError::Corrupt { position, source })
}

/// The length that an index entry gives must be the record's own.
fn check_len(bytes: &[u8], len: Option<usize>) -> Result<(), RecordError> {
    let claimed = Record::claimed_len(bytes)?;
    match len {
        Some(len) if len != claimed => Err(RecordError::Short {
            have: len.max(ENVELOPE_BYTES),
            need: claimed,
        }),
        _ => Ok(()),
    }
}
