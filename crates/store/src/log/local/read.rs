//! Finding records again: in memory, in the page cache, or on the device, in this order.
//!
//! What comes from memory was encoded by this process and is not checked again. What was read from
//! the disk is, record by record, each time that it is handed out.

use std::{
    io,
    sync::{Arc, atomic::Ordering},
};

use base::{LogPosition, limits};
use bytes::Bytes;

use super::{
    LocalLog,
    segment::Segment,
    stretch::{self, Stretch},
};
use crate::{
    disk::DiskFile,
    log::{ENVELOPE_BYTES, Log as _, ReadError, Record, RecordError, RecordPlace},
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
            return from_memory(&bytes, position, len)
                .map_err(|source| ReadError::Corrupt { position, source });
        }
        self.read_disk(position, len).await
    }

    pub(super) async fn read_records(
        &self,
        places: &[RecordPlace],
    ) -> Vec<Result<Record, ReadError>> {
        let mut records = Vec::with_capacity(places.len());
        let mut source = None;
        for at in 0..places.len() {
            let read = self.read_first(&places[at..], &mut source).await;
            let is_over = read.is_err();
            records.push(read);
            if is_over {
                break;
            }
        }
        records
    }

    /// Reads the first of `places`: from where the record before it came from, if it is there too.
    async fn read_first(
        &self,
        places: &[RecordPlace],
        source: &mut Option<Source>,
    ) -> Result<Record, ReadError> {
        let place = places[0];
        self.check_range(place.position)?;
        if source.as_ref().is_none_or(|source| !source.has(place)) {
            *source = self.source_of(places).await;
        }
        match source.as_ref().and_then(|source| source.record(place)) {
            Some(Ok(record)) => Ok(record),
            Some(Err(source)) => Err(ReadError::Corrupt {
                position: place.position,
                source,
            }),
            None => self.read_disk(place.position, Some(place.len)).await,
        }
    }

    /// Where the first of `places` is, and perhaps others; `None` if it is best read alone.
    async fn source_of(&self, places: &[RecordPlace]) -> Option<Source> {
        let place = places[0];
        let position = place.position;
        // Into variables: locks must not live as long as an `if let`.
        let recent = self.recent.read().get(position.get());
        if let Some(bytes) = recent {
            let start = position.get();
            return Some(Source::Memory(Stretch { start, bytes }));
        }
        let kept = self.stretches.lock().get(place);
        let stretch = match kept {
            Some(kept) => kept,
            None => {
                let read = self
                    .read_stretch(position, stretch::length(places)?)
                    .await?;
                self.stretches.lock().push(read.clone());
                read
            }
        };
        let is_sparse = stretch.is_sparse(places);
        Some(Source::Disk { stretch, is_sparse })
    }

    /// Reads a stretch as far as it is in one segment. What fails here is tried again for the
    /// record alone, which says what is wrong, and may be well where its neighbours are not.
    async fn read_stretch(&self, position: LogPosition, len: usize) -> Option<Stretch> {
        let (segment, file) = self.file_of(position).ok()?;
        let room = usize::try_from(segment.next() - position.get()).unwrap_or(usize::MAX);
        let offset = segment.file_offset(position.get());
        let bytes = read_bytes(&file, offset, len.min(room)).await.ok()?;
        let start = position.get();
        Some(Stretch { start, bytes })
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
        checked(&bytes, position, len).map_err(|source| ReadError::Corrupt { position, source })
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

/// Where the records of a page come from, one after the other.
enum Source {
    /// A commit that memory keeps.
    Memory(Stretch),
    /// Bytes that were read from the disk.
    Disk { stretch: Stretch, is_sparse: bool },
}

impl Source {
    fn has(&self, place: RecordPlace) -> bool {
        match self {
            Self::Memory(stretch) => stretch.has(place.position),
            Self::Disk { stretch, .. } => stretch.part(place).is_some(),
        }
    }

    /// The record at `place`; `None` if it is not here, or not whole in what the disk gave.
    fn record(&self, place: RecordPlace) -> Option<Result<Record, RecordError>> {
        let RecordPlace { position, len } = place;
        match self {
            Self::Memory(stretch) => {
                let bytes = stretch.from(position)?;
                Some(from_memory(&bytes, position, Some(len)))
            }
            Self::Disk { stretch, is_sparse } => {
                let part = stretch.part(place)?;
                let bytes = if *is_sparse {
                    Bytes::copy_from_slice(part)
                } else {
                    stretch.bytes.slice_ref(part)
                };
                checked(&bytes, position, Some(len)).ok().map(Ok)
            }
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
) -> Result<Record, RecordError> {
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
}

/// A record out of bytes from the disk: its length, its checksum and its place are looked at.
fn checked(
    bytes: &Bytes,
    position: LogPosition,
    len: Option<usize>,
) -> Result<Record, RecordError> {
    check_len(bytes, len)?;
    Record::decode(bytes, position)
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
