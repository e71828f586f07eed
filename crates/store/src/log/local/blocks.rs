//! Segment files as recovery reads and mends them, a block at a time.

use std::io;

use base::{LogPosition, limits};
use bytes::Bytes;

use super::{
    scan::{self, ScanError},
    segment::OpenSegment,
};
use crate::log::{ENVELOPE_BYTES, Record};

/// Bytes read at a time while records are replayed.
pub(super) const BLOCK_BYTES: usize = 1024 * 1024;
/// How far behind the end of the log a record is looked for that proves damage: past what one
/// commit can tear, the first record of the next one would begin, and be this long at most.
const LOOK_BEHIND_BYTES: u64 = 2 * limits::LOG_COMMIT_BYTES_MAX as u64;

/// Up to `len` bytes at `position`, not beyond the segment.
pub(super) fn read_block(open: &OpenSegment, position: u64, len: usize) -> io::Result<Bytes> {
    let room = open.segment.next() - position;
    let len = usize::try_from(room).unwrap_or(usize::MAX).min(len);
    let bytes = open.file.read_at(open.segment.file_offset(position), len)?;
    if bytes.len() < len {
        return Err(io::ErrorKind::UnexpectedEof.into());
    }
    Ok(bytes)
}

pub(super) fn read_record(
    open: &OpenSegment,
    position: u64,
) -> io::Result<Result<Record, ScanError>> {
    let head = read_block(open, position, ENVELOPE_BYTES)?;
    let len = match Record::claimed_len(&head) {
        Ok(len) => len,
        Err(error) => return Ok(Err(error.into())),
    };
    let bytes = read_block(open, position, len)?;
    Ok(scan::next(&bytes, LogPosition::new(position), None))
}

/// Looks behind the end of the log: up to where the bytes are not all zero, and whether a record
/// there proves that the log went on.
pub(super) fn look_behind(
    open: &OpenSegment,
    end: u64,
    epoch: u32,
) -> io::Result<(u64, Option<LogPosition>)> {
    let last = open.segment.next().min(end + LOOK_BEHIND_BYTES);
    let mut remains_end = end;
    let mut position = end;
    while position < last {
        let block = read_block(open, position, BLOCK_BYTES)?;
        if let Some(at) = block.iter().rposition(|byte| *byte != 0) {
            remains_end = position + at as u64 + 1;
        }
        position += block.len() as u64;
    }
    if remains_end == end {
        return Ok((end, None));
    }
    let len = usize::try_from(remains_end - end).unwrap_or(usize::MAX);
    let remains = read_block(open, end, len)?;
    let commit_start = scan::find_commit_start(&remains, LogPosition::new(end), epoch);
    Ok((remains_end, commit_start))
}

/// Writes the bytes from `start` to `end` again as they are, so that the next sync makes them
/// durable whatever an earlier one failed to do.
pub(super) fn rewrite(open: &OpenSegment, start: u64, end: u64) -> io::Result<()> {
    let mut position = start;
    while position < end {
        let len = BLOCK_BYTES.min(usize::try_from(end - position).unwrap_or(BLOCK_BYTES));
        let bytes = read_block(open, position, len)?;
        open.file
            .write_at(open.segment.file_offset(position), &bytes)?;
        position += len as u64;
    }
    Ok(())
}

pub(super) fn zero(open: &OpenSegment, start: u64, end: u64) -> io::Result<()> {
    let len_max = BLOCK_BYTES.min(usize::try_from(end - start).unwrap_or(BLOCK_BYTES));
    let zeros = vec![0; len_max];
    let mut position = start;
    while position < end {
        let len = len_max.min(usize::try_from(end - position).unwrap_or(len_max));
        open.file
            .write_at(open.segment.file_offset(position), &zeros[..len])?;
        position += len as u64;
    }
    Ok(())
}
