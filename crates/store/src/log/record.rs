//! The record envelope: what the log adds around an opaque payload, on disk and in memory.
//!
//! ```text
//! offset  size  field
//!      0     4  length    of the whole record, envelope included, little endian like all below
//!      4     4  crc       CRC-32C of everything after this field
//!      8     8  position  of this record in the log: a record found elsewhere is not valid
//!     16     8  stream    key that the store may cluster by
//!     24     4  epoch     number of the opening that wrote it; never falls from record to record,
//!                         so that the remains of a torn write never look like new records
//!     28     2  kind      0 = end of segment, 1 = opening, from 16 on the broker's
//!     30     2  flags     bit 0: first of a commit, all before it was durable when it was written;
//!                         the others are zero
//!     32     -  payload
//! ```

use base::{LogPosition, StreamKey, limits};
use bytes::Bytes;

/// Size of the envelope in front of every payload, in bytes.
pub const ENVELOPE_BYTES: usize = 32;

/// What a record is. The log interprets only its own kinds, below 16.
#[derive(Clone, Copy, Debug, PartialEq, Eq, PartialOrd, Ord, Hash)]
pub struct RecordKind(u16);

impl RecordKind {
    /// First kind that is free for the log's user.
    pub const FIRST_FREE: u16 = 16;
    /// Nothing follows in this segment: go on with the next.
    pub(crate) const SEGMENT_END: Self = Self(0);
    /// Somebody opened the log: raises the epoch.
    pub(crate) const OPENING: Self = Self(1);

    /// A kind of the log's user; `number` must not be below [`RecordKind::FIRST_FREE`].
    pub const fn new(number: u16) -> Self {
        assert!(
            number >= Self::FIRST_FREE,
            "record kinds below 16 belong to the log"
        );
        Self(number)
    }

    /// The number on disk.
    pub const fn get(self) -> u16 {
        self.0
    }

    /// Whether the log wrote it for itself.
    pub(crate) const fn is_internal(self) -> bool {
        self.0 < Self::FIRST_FREE
    }
}

/// A record as read back: its envelope's fields and its payload.
#[derive(Clone, Debug)]
pub struct Record {
    /// Where it starts in the log.
    pub position: LogPosition,
    /// Length with the envelope: what [`super::Log::read`] wants to be told.
    pub len: usize,
    /// What it is.
    pub kind: RecordKind,
    /// Key that the store may cluster by.
    pub stream: StreamKey,
    /// Opening of the log that wrote it.
    pub epoch: u32,
    /// The opaque content, a slice of the buffer it was read into.
    pub payload: Bytes,
}

/// Why bytes are not a record.
#[derive(Clone, Debug, PartialEq, Eq, thiserror::Error)]
pub enum RecordError {
    /// Fewer bytes than the envelope or its length says.
    #[error("record is cut short: {have} of {need} bytes")]
    Short {
        /// Bytes there.
        have: usize,
        /// Bytes needed.
        need: usize,
    },
    /// The length field cannot be right.
    #[error("record length {length} is outside {ENVELOPE_BYTES} to {max}", max = limits::RECORD_BYTES_MAX)]
    Length {
        /// The length field.
        length: u32,
    },
    /// The checksum does not match.
    #[error("record checksum is {found:08x}, computed {computed:08x}")]
    Checksum {
        /// The checksum stored.
        found: u32,
        /// The checksum of the bytes.
        computed: u32,
    },
    /// The record says it belongs elsewhere.
    #[error("record belongs at log position {found}, read at {expected}")]
    Misplaced {
        /// The position in the envelope.
        found: LogPosition,
        /// The position it was read at.
        expected: LogPosition,
    },
}

fn u32_at(bytes: &[u8], at: usize) -> u32 {
    let mut field = [0; 4];
    field.copy_from_slice(&bytes[at..at + 4]);
    u32::from_le_bytes(field)
}

fn u64_at(bytes: &[u8], at: usize) -> u64 {
    let mut field = [0; 8];
    field.copy_from_slice(&bytes[at..at + 8]);
    u64::from_le_bytes(field)
}

const FLAG_FIRST_OF_COMMIT: u8 = 1;

/// The envelope of a record to be written.
#[derive(Clone, Copy, Debug)]
pub(crate) struct Head {
    pub(crate) position: LogPosition,
    pub(crate) kind: RecordKind,
    pub(crate) stream: StreamKey,
    pub(crate) epoch: u32,
    pub(crate) first_of_commit: bool,
}

impl Head {
    /// Appends the record to `out`: this envelope around what `write` appends.
    pub(crate) fn encode(
        self,
        payload_len: usize,
        write: impl FnOnce(&mut Vec<u8>),
        out: &mut Vec<u8>,
    ) {
        let len = ENVELOPE_BYTES + payload_len;
        assert!(
            len <= limits::RECORD_BYTES_MAX,
            "record of {len} bytes exceeds the limit"
        );
        let start = out.len();
        let flags = if self.first_of_commit {
            FLAG_FIRST_OF_COMMIT
        } else {
            0
        };
        let mut envelope = [0; ENVELOPE_BYTES];
        envelope[0..4].copy_from_slice(&(len as u32).to_le_bytes());
        envelope[8..16].copy_from_slice(&self.position.get().to_le_bytes());
        envelope[16..24].copy_from_slice(&self.stream.get().to_le_bytes());
        envelope[24..28].copy_from_slice(&self.epoch.to_le_bytes());
        envelope[28..30].copy_from_slice(&self.kind.get().to_le_bytes());
        envelope[30] = flags;
        out.extend_from_slice(&envelope);
        write(out);
        assert_eq!(
            out.len() - start,
            len,
            "payload writer kept to its announced length"
        );
        let crc = crc32c::crc32c(&out[start + 8..]);
        out[start + 4..start + 8].copy_from_slice(&crc.to_le_bytes());
    }
}

impl Record {
    /// Appends a record to `out`: the envelope around what `write` appends.
    pub fn encode(
        position: LogPosition,
        kind: RecordKind,
        stream: StreamKey,
        epoch: u32,
        payload_len: usize,
        write: impl FnOnce(&mut Vec<u8>),
        out: &mut Vec<u8>,
    ) {
        let head = Head {
            position,
            kind,
            stream,
            epoch,
            first_of_commit: false,
        };
        head.encode(payload_len, write, out);
    }

    /// The length that the envelope at the start of `bytes` claims, if it can be one at all.
    pub fn claimed_len(bytes: &[u8]) -> Result<usize, RecordError> {
        if bytes.len() < ENVELOPE_BYTES {
            return Err(RecordError::Short {
                have: bytes.len(),
                need: ENVELOPE_BYTES,
            });
        }
        let length = u32_at(bytes, 0);
        let len = length as usize;
        if !(ENVELOPE_BYTES..=limits::RECORD_BYTES_MAX).contains(&len) {
            return Err(RecordError::Length { length });
        }
        Ok(len)
    }

    /// The position that the envelope at the start of `bytes` claims.
    pub(crate) fn claimed_position(bytes: &[u8]) -> LogPosition {
        LogPosition::new(u64_at(bytes, 8))
    }

    /// Whether the envelope at the start of `bytes` says that everything before it was durable when
    /// it was written: an invalid record before it is damage then, not the torn tail of a write.
    pub(crate) fn is_first_of_commit(bytes: &[u8]) -> bool {
        bytes[30] & FLAG_FIRST_OF_COMMIT != 0
    }

    /// Reads and verifies the record at the start of `bytes`, which were read at `expected`. Bytes
    /// after the record are ignored.
    pub fn decode(bytes: &Bytes, expected: LogPosition) -> Result<Self, RecordError> {
        let len = Self::claimed_len(bytes)?;
        if bytes.len() < len {
            return Err(RecordError::Short {
                have: bytes.len(),
                need: len,
            });
        }
        let found = u32_at(bytes, 4);
        let computed = crc32c::crc32c(&bytes[8..len]);
        if found != computed {
            return Err(RecordError::Checksum { found, computed });
        }
        let record = Self::decode_trusted(bytes, len);
        if record.position != expected {
            return Err(RecordError::Misplaced {
                found: record.position,
                expected,
            });
        }
        Ok(record)
    }

    /// Reads a record that this process encoded itself, without verifying it again.
    pub(crate) fn decode_trusted(bytes: &Bytes, len: usize) -> Self {
        Self {
            position: LogPosition::new(u64_at(bytes, 8)),
            len,
            kind: RecordKind((u32_at(bytes, 28) & 0xffff) as u16),
            stream: StreamKey::new(u64_at(bytes, 16)),
            epoch: u32_at(bytes, 24),
            payload: bytes.slice(ENVELOPE_BYTES..len),
        }
    }
}

#[cfg(test)]
mod tests {
    use proptest::prelude::*;

    use super::*;

    fn encoded(position: u64, payload: &[u8]) -> Bytes {
        let mut out = Vec::new();
        Record::encode(
            LogPosition::new(position),
            RecordKind::new(20),
            StreamKey::new(9),
            3,
            payload.len(),
            |out| out.extend_from_slice(payload),
            &mut out,
        );
        out.into()
    }

    proptest! {
        #[test]
        fn a_record_reads_back_as_written(position in 0..limits::LOG_POSITION_MAX, payload: Vec<u8>) {
            let record = Record::decode(&encoded(position, &payload), LogPosition::new(position)).unwrap();
            prop_assert_eq!(&record.payload[..], &payload[..]);
            prop_assert_eq!((record.kind.get(), record.stream.get(), record.epoch), (20, 9, 3));
        }

        #[test]
        fn a_flipped_bit_anywhere_is_noticed(payload: Vec<u8>, at: prop::sample::Index, bit in 0_u32..8) {
            let mut bytes = encoded(64, &payload).to_vec();
            let at = at.index(bytes.len());
            bytes[at] ^= 1_u8 << bit;
            prop_assert!(Record::decode(&bytes.into(), LogPosition::new(64)).is_err());
        }

        #[test]
        fn garbage_is_an_error(bytes: Vec<u8>) {
            prop_assert!(Record::decode(&bytes.into(), LogPosition::new(0)).is_err());
        }
    }

    #[test]
    fn a_record_in_the_wrong_place_is_refused() {
        assert!(matches!(
            Record::decode(&encoded(64, b"x"), LogPosition::new(65)),
            Err(RecordError::Misplaced { .. })
        ));
    }
}
