//! Reading records out of raw bytes: what recovery believes and what it does not. Pure functions.
//!
//! A record counts if its checksum and position are right and it continues the epoch: the same one
//! as the record before it, or the next one if it is an opening. So what a torn write left behind a
//! cut never counts again: the log was opened since, and those remains are of an epoch before that.

use base::LogPosition;
use bytes::Bytes;

use crate::log::{ENVELOPE_BYTES, Record, RecordError, RecordKind};

/// Why a record with the right checksum in the right place still does not count.
#[derive(Clone, Debug, PartialEq, Eq, thiserror::Error)]
pub enum ScanError {
    /// The bytes are no record.
    #[error(transparent)]
    Record(#[from] RecordError),
    /// The record does not continue the log: it is a remain of an earlier life of it.
    #[error("record is of epoch {found}, the log is at epoch {current}")]
    Epoch {
        /// The record's epoch.
        found: u32,
        /// The epoch of the records before it.
        current: u32,
    },
    /// The kind is one that no release writes.
    #[error("record is of kind {0}, which the log does not know")]
    Kind(u16),
}

/// Why a scan went no further.
#[derive(Clone, Debug, PartialEq, Eq)]
pub enum Stop {
    /// The bytes end inside a record; it can be read once there are this many from its start on.
    Short {
        /// Bytes needed.
        need: usize,
    },
    /// The segment ends here and the log goes on in the next one.
    SegmentEnd,
    /// What follows is not a record of this log.
    Invalid(ScanError),
}

/// How far a scan came.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Scan {
    /// Where the last record that counts ends.
    pub end: LogPosition,
    /// Epoch of the last record that counts; what was passed in if there is none.
    pub epoch: Option<u32>,
    /// Start of the last record before which everything was durable when it was written.
    pub commit_start: Option<LogPosition>,
    /// Records that count, the log's own among them.
    pub records: u64,
    /// Why there are no more.
    pub stop: Stop,
}

/// Reads records from `bytes`, which were found at `start`, as long as they count, and shows each
/// that is not the log's own to `visit`. `epoch` is that of the record before, `None` if it is not
/// known.
///
/// Never panics, and keeps nothing, whatever the bytes.
pub fn scan(
    bytes: &Bytes,
    start: LogPosition,
    epoch: Option<u32>,
    visit: &mut dyn FnMut(Record),
) -> Scan {
    let mut scan = Scan {
        end: start,
        epoch,
        commit_start: None,
        records: 0,
        stop: Stop::Short {
            need: ENVELOPE_BYTES,
        },
    };
    let mut at = 0;
    loop {
        let rest = bytes.slice(at..);
        let record = match next(&rest, scan.end, scan.epoch) {
            Ok(record) => record,
            Err(ScanError::Record(RecordError::Short { need, .. })) => {
                scan.stop = Stop::Short { need };
                return scan;
            }
            Err(error) => {
                scan.stop = Stop::Invalid(error);
                return scan;
            }
        };
        if Record::is_first_of_commit(&rest) {
            scan.commit_start = Some(record.position);
        }
        at += record.len;
        scan.end = scan.end.plus(record.len as u64);
        scan.epoch = Some(record.epoch);
        scan.records += 1;
        if record.kind == RecordKind::SEGMENT_END {
            scan.stop = Stop::SegmentEnd;
            return scan;
        }
        if !record.kind.is_internal() {
            visit(record);
        }
    }
}

/// The record at the start of `bytes`, if it counts after one of `epoch`.
pub(crate) fn next(
    bytes: &Bytes,
    position: LogPosition,
    epoch: Option<u32>,
) -> Result<Record, ScanError> {
    let record = Record::decode(bytes, position)?;
    let known = [RecordKind::SEGMENT_END, RecordKind::OPENING];
    if record.kind.is_internal() && !known.contains(&record.kind) {
        return Err(ScanError::Kind(record.kind.get()));
    }
    if let Some(current) = epoch {
        // Equal or, for an opening, exactly one more. An opening of the same epoch is what an
        // attempt to open left whose records never came to be.
        let expected = if record.kind == RecordKind::OPENING {
            current.checked_add(1)
        } else {
            Some(current)
        };
        if expected != Some(record.epoch) {
            return Err(ScanError::Epoch {
                found: record.epoch,
                current,
            });
        }
    }
    Ok(record)
}

/// Looks in `bytes`, found at `start`, for a record which proves that everything before it was
/// durable once: the first record of a commit, of `epoch` or a later one, at any byte.
pub fn find_commit_start(bytes: &Bytes, start: LogPosition, epoch: u32) -> Option<LogPosition> {
    let last = bytes.len().checked_sub(ENVELOPE_BYTES)?;
    (0..=last).find_map(|at| {
        let position = start.plus(at as u64);
        // The position makes nearly every place wrong at the price of one comparison.
        if Record::claimed_position(&bytes[at..]) != position {
            return None;
        }
        let rest = bytes.slice(at..);
        let record = Record::decode(&rest, position).ok()?;
        (record.epoch >= epoch && Record::is_first_of_commit(&rest)).then_some(position)
    })
}

#[cfg(test)]
mod tests {
    use base::StreamKey;
    use proptest::prelude::*;

    use super::*;
    use crate::log::record::Head;

    fn record(
        position: u64,
        kind: u16,
        epoch: u32,
        first_of_commit: bool,
        payload: &[u8],
    ) -> Vec<u8> {
        let kind = match kind {
            0 => RecordKind::SEGMENT_END,
            1 => RecordKind::OPENING,
            kind => RecordKind::new(kind),
        };
        let head = Head {
            position: LogPosition::new(position),
            kind,
            stream: StreamKey::new(0),
            epoch,
            first_of_commit,
        };
        let mut out = Vec::new();
        head.encode(
            payload.len(),
            |out| out.extend_from_slice(payload),
            &mut out,
        );
        out
    }

    fn scanned(bytes: Vec<u8>, epoch: Option<u32>) -> (Scan, usize) {
        let mut visited = 0;
        let scan = scan(&bytes.into(), LogPosition::new(0), epoch, &mut |_| {
            visited += 1
        });
        (scan, visited)
    }

    #[test]
    fn records_count_up_to_the_end_of_the_segment() {
        let mut bytes = record(0, 1, 1, true, &[]);
        bytes.extend(record(32, 16, 1, true, &[7; 8]));
        bytes.extend(record(72, 17, 1, false, &[]));
        bytes.extend(record(104, 0, 1, false, &[]));
        bytes.extend(record(136, 16, 1, false, &[]));
        let (scan, visited) = scanned(bytes, None);
        assert_eq!(visited, 2);
        assert_eq!(scan.stop, Stop::SegmentEnd);
        assert_eq!(scan.end.get(), 136);
        assert_eq!(scan.epoch, Some(1));
        assert_eq!(scan.commit_start, Some(LogPosition::new(32)));
    }

    #[test]
    fn remains_of_an_earlier_epoch_do_not_count() {
        let mut bytes = record(0, 1, 5, true, &[]);
        bytes.extend(record(32, 16, 4, false, &[]));
        let (scan, visited) = scanned(bytes, Some(4));
        assert_eq!((visited, scan.end.get()), (0, 32));
        assert_eq!(
            scan.stop,
            Stop::Invalid(ScanError::Epoch {
                found: 4,
                current: 5
            })
        );
    }

    #[test]
    fn only_an_opening_raises_the_epoch_and_only_by_one() {
        for (kind, epoch) in [(16, 4), (16, 2), (1, 3), (1, 5), (0, 4)] {
            let (scan, _) = scanned(record(0, kind, epoch, true, &[]), Some(3));
            assert!(
                matches!(scan.stop, Stop::Invalid(ScanError::Epoch { .. })),
                "kind {kind} epoch {epoch}: {scan:?}"
            );
        }
        assert_eq!(
            scanned(record(0, 1, 4, true, &[]), Some(3)).0.epoch,
            Some(4)
        );
    }

    #[test]
    fn a_commit_start_is_found_at_any_byte_and_older_epochs_are_not() {
        let mut bytes = vec![0xff; 77];
        bytes.extend(record(77, 16, 3, true, b"payload"));
        let bytes = Bytes::from(bytes);
        let found = |epoch| find_commit_start(&bytes, LogPosition::new(0), epoch);
        assert_eq!(found(3), Some(LogPosition::new(77)));
        assert_eq!(found(4), None);
        let unmarked = Bytes::from(record(0, 16, 3, false, b"payload"));
        assert_eq!(find_commit_start(&unmarked, LogPosition::new(0), 3), None);
    }

    proptest! {
        #[test]
        fn any_bytes_are_scanned_without_panic(bytes: Vec<u8>, epoch: Option<u32>) {
            let bytes = Bytes::from(bytes);
            let result = scan(&bytes, LogPosition::new(0), epoch, &mut |_| ());
            prop_assert!(result.end.get() <= bytes.len() as u64);
            find_commit_start(&bytes, LogPosition::new(0), epoch.unwrap_or(0));
        }
    }
}
