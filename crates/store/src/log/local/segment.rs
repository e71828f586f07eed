//! Segment files: their names, their header, and which of them are open.
//!
//! A segment is named after the log position of its first record, so the folder alone says where
//! the log starts and what is missing. In front of the records is a header block:
//!
//! ```text
//! offset  size  field
//!      0     8  magic     "carracks"
//!      8     4  crc       CRC-32C of the 28 bytes after this field, in every format
//!     12     4  format    1; a larger one is refused
//!     16     8  start     log position of the first record, little endian like all numbers
//!     24     8  capacity  bytes for records behind the header
//!     32     2  shard
//!     34     6  reserved  zero
//!     40     -  zero up to 4096
//! 4096       -  records
//! ```

use std::{collections::VecDeque, io, sync::Arc};

use base::{ShardId, limits};
use parking_lot::Mutex;

use crate::disk::{Disk, DiskFile};

/// Bytes in front of the first record: one page, so that records never share it with the header.
pub(crate) const HEADER_BYTES: u64 = 4096;
/// Version of the file format that this code writes, and the largest it reads.
pub(crate) const FORMAT: u32 = 1;

const MAGIC: [u8; 8] = *b"carracks";
const HEADER_USED: usize = 40;
const SUFFIX: &str = ".log";
const NAME_DIGITS: usize = 15;

/// What the header of a segment says.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) struct Header {
    pub(crate) start: u64,
    pub(crate) capacity: u64,
    pub(crate) shard: ShardId,
}

/// Why the first bytes of a file are no header.
#[derive(Debug, PartialEq, Eq)]
pub(crate) enum HeaderError {
    /// Written by a newer release.
    Newer(u32),
    /// No header that any release wrote: cut short while it was made, or damaged.
    Invalid,
}

impl Header {
    pub(crate) fn encode(self) -> [u8; HEADER_USED] {
        let mut bytes = [0; HEADER_USED];
        bytes[0..8].copy_from_slice(&MAGIC);
        bytes[12..16].copy_from_slice(&FORMAT.to_le_bytes());
        bytes[16..24].copy_from_slice(&self.start.to_le_bytes());
        bytes[24..32].copy_from_slice(&self.capacity.to_le_bytes());
        bytes[32..34].copy_from_slice(&self.shard.get().to_le_bytes());
        seal(&mut bytes);
        bytes
    }

    pub(crate) fn decode(bytes: &[u8]) -> Result<Self, HeaderError> {
        let Some(bytes) = bytes.first_chunk::<HEADER_USED>() else {
            return Err(HeaderError::Invalid);
        };
        let number = |at: usize, len: usize| {
            bytes[at..at + len]
                .iter()
                .rev()
                .fold(0_u64, |value, byte| (value << 8) | u64::from(*byte))
        };
        if bytes[0..8] != MAGIC || number(8, 4) != u64::from(crc32c::crc32c(&bytes[12..])) {
            return Err(HeaderError::Invalid);
        }
        let format = number(12, 4) as u32;
        if format > FORMAT {
            return Err(HeaderError::Newer(format));
        }
        let header = Self {
            start: number(16, 8),
            capacity: number(24, 8),
            shard: ShardId::new(number(32, 2) as u16),
        };
        // A checksum may be right by chance or malice: sums of these must not overflow.
        let in_range = |value| value <= limits::LOG_POSITION_MAX;
        if !in_range(header.start) || !in_range(header.capacity) || header.capacity == 0 {
            return Err(HeaderError::Invalid);
        }
        Ok(header)
    }
}

/// Puts the checksum in.
fn seal(bytes: &mut [u8; HEADER_USED]) {
    let crc = crc32c::crc32c(&bytes[12..]);
    bytes[8..12].copy_from_slice(&crc.to_le_bytes());
}

/// Name of the segment that starts at `start`.
pub(crate) fn name_of(start: u64) -> String {
    format!("{start:0NAME_DIGITS$}{SUFFIX}")
}

/// The start of the segment that is called `name`, if it is a segment's name.
pub(crate) fn start_of(name: &str) -> Option<u64> {
    let digits = name.strip_suffix(SUFFIX)?;
    if digits.len() != NAME_DIGITS || !digits.bytes().all(|byte| byte.is_ascii_digit()) {
        return None;
    }
    digits.parse().ok()
}

/// A segment that exists on disk.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) struct Segment {
    pub(crate) start: u64,
    pub(crate) capacity: u64,
}

impl Segment {
    /// Where the next segment starts.
    pub(crate) fn next(&self) -> u64 {
        self.start + self.capacity
    }

    /// Where in the file the byte at `position` is.
    pub(crate) fn file_offset(&self, position: u64) -> u64 {
        HEADER_BYTES + (position - self.start)
    }

    /// Whether `len` bytes fit at `position`.
    pub(crate) fn holds(&self, position: u64, len: usize) -> bool {
        self.next() - position >= len as u64
    }

    /// Bytes on disk.
    pub(crate) fn disk_bytes(&self) -> u64 {
        HEADER_BYTES + self.capacity
    }
}

/// A segment with its file.
#[derive(Clone)]
pub(crate) struct OpenSegment {
    pub(crate) segment: Segment,
    pub(crate) file: Arc<dyn DiskFile>,
}

/// Makes the file of `segment`, with its header durable and its name too. Nothing remains of it if
/// it fails, as far as the disk lets us.
pub(crate) fn create(disk: &dyn Disk, shard: ShardId, segment: Segment) -> io::Result<OpenSegment> {
    if segment.next() > limits::LOG_POSITION_MAX {
        return Err(io::Error::other("log positions are used up"));
    }
    let name = name_of(segment.start);
    let header = Header {
        start: segment.start,
        capacity: segment.capacity,
        shard,
    };
    let file = disk.create(&name, segment.disk_bytes())?;
    let finish = || {
        file.write_at(0, &header.encode())?;
        file.sync()?;
        disk.sync_names()
    };
    if let Err(error) = finish() {
        // A file without a whole header is taken for unfinished at the next start, so failing to
        // remove it does no harm beyond its space.
        if let Err(error) = disk.remove(&name) {
            tracing::warn!(file = name, %error, "could not remove an unfinished segment");
        }
        return Err(error);
    }
    Ok(OpenSegment {
        segment,
        file: file.into(),
    })
}

/// The segments of a log from oldest to active, and the files that are open for reading.
pub(crate) struct Segments {
    pub(crate) list: VecDeque<Segment>,
    /// Most recently used last. Bounded, so that a log of any length needs few descriptors.
    open: Mutex<VecDeque<OpenSegment>>,
}

impl Segments {
    pub(crate) fn new(list: VecDeque<Segment>) -> Self {
        Self {
            list,
            open: Mutex::new(VecDeque::new()),
        }
    }

    /// The segment that holds `position`.
    pub(crate) fn find(&self, position: u64) -> Option<Segment> {
        let after = self
            .list
            .partition_point(|segment| segment.start <= position);
        let segment = *self.list.get(after.checked_sub(1)?)?;
        (position < segment.next()).then_some(segment)
    }

    /// The file of `segment`, opened if it is not yet.
    pub(crate) fn file(&self, disk: &dyn Disk, segment: Segment) -> io::Result<Arc<dyn DiskFile>> {
        let mut open = self.open.lock();
        if let Some(at) = open.iter().position(|held| held.segment == segment) {
            let held = open.remove(at).expect("the index was just found");
            let file = Arc::clone(&held.file);
            open.push_back(held);
            return Ok(file);
        }
        let file: Arc<dyn DiskFile> = disk.open(&name_of(segment.start))?.into();
        let opened = OpenSegment {
            segment,
            file: Arc::clone(&file),
        };
        Self::hold(&mut open, opened);
        Ok(file)
    }

    /// Adds the segment that appends go to from now on.
    pub(crate) fn push(&mut self, opened: OpenSegment) {
        self.list.push_back(opened.segment);
        Self::hold(self.open.get_mut(), opened);
    }

    /// Forgets the oldest segment.
    pub(crate) fn pop_oldest(&mut self) {
        if let Some(segment) = self.list.pop_front() {
            self.open.get_mut().retain(|held| held.segment != segment);
        }
    }

    fn hold(open: &mut VecDeque<OpenSegment>, opened: OpenSegment) {
        if open.len() == limits::LOG_OPEN_FILES_MAX {
            open.pop_front();
        }
        open.push_back(opened);
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    const HEADER: Header = Header {
        start: 1 << 40,
        capacity: 4 << 20,
        shard: ShardId::new(513),
    };

    #[test]
    fn a_header_reads_back_as_written() {
        assert_eq!(Header::decode(&HEADER.encode()), Ok(HEADER));
    }

    #[test]
    fn a_flipped_bit_anywhere_in_the_header_is_noticed() {
        for bit in 0..HEADER_USED * 8 {
            let mut bytes = HEADER.encode();
            bytes[bit / 8] ^= 1 << (bit % 8);
            assert_eq!(
                Header::decode(&bytes),
                Err(HeaderError::Invalid),
                "bit {bit}"
            );
        }
    }

    #[test]
    fn numbers_that_no_segment_has_are_no_header() {
        let with = |start, capacity| {
            let header = Header {
                start,
                capacity,
                ..HEADER
            };
            Header::decode(&header.encode())
        };
        assert!(with(limits::LOG_POSITION_MAX, 1).is_ok());
        for (start, capacity) in [(u64::MAX, 1), (0, u64::MAX), (0, 0), (1 << 48, 1)] {
            assert_eq!(with(start, capacity), Err(HeaderError::Invalid));
        }
    }

    #[test]
    fn a_newer_format_is_told_apart_from_damage() {
        let mut bytes = HEADER.encode();
        bytes[12] = 2;
        seal(&mut bytes);
        assert_eq!(Header::decode(&bytes), Err(HeaderError::Newer(2)));
        assert_eq!(Header::decode(&bytes[..39]), Err(HeaderError::Invalid));
        assert_eq!(Header::decode(&[0; 4096]), Err(HeaderError::Invalid));
    }

    #[test]
    fn names_sort_as_positions_do() {
        assert_eq!(name_of(0), "000000000000000.log");
        assert_eq!(
            start_of(&name_of(limits::LOG_POSITION_MAX)),
            Some(limits::LOG_POSITION_MAX)
        );
        for other in [
            "lock",
            "1.log",
            "00000000000000a.log",
            "000000000000000.tmp",
            "+00000000000000.log",
        ] {
            assert_eq!(start_of(other), None, "{other}");
        }
    }
}
