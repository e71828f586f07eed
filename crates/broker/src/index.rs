//! The index of a queue: where each of its messages is in the log.
//!
//! The newest entries are in memory; a checkpoint moves them to the KV in blocks of
//! [`BLOCK_ENTRIES`], one value per block and never one pair per message. Block `n` holds the
//! offsets from `n * BLOCK_ENTRIES` on, so an offset finds its entry with one look-up.

use std::collections::VecDeque;

use base::{LogPosition, Timestamp};
use bytes::Bytes;

use crate::{
    message_group::MessageGroupHash,
    records::{pack_48, take_u32, take_u64, unpack_48, unsigned_ms},
};

/// Offsets in one block: 6 KiB a value, which a slow queue rewrites at most once per checkpoint.
pub(crate) const BLOCK_ENTRIES: u64 = 256;

/// Where one message is.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) struct IndexEntry {
    /// Its record.
    pub(crate) position: LogPosition,
    /// Length of the record with its envelope.
    pub(crate) len: u32,
    /// Java hash of its tag, 0 without one.
    pub(crate) tag_hash: i32,
    /// When it was stored.
    pub(crate) stored: Timestamp,
    /// The message group.
    pub(crate) message_group: MessageGroupHash,
}

impl IndexEntry {
    pub(crate) const BYTES: usize = 24;

    /// Positions and times need 48 bits each; the message group is in what they leave.
    pub(crate) fn encode(self, out: &mut Vec<u8>) {
        let [low, high] = self.message_group.halves();
        out.extend_from_slice(&pack_48(self.position.get(), low).to_le_bytes());
        out.extend_from_slice(&self.len.to_le_bytes());
        out.extend_from_slice(&self.tag_hash.to_le_bytes());
        out.extend_from_slice(&pack_48(unsigned_ms(self.stored), high).to_le_bytes());
    }

    pub(crate) fn decode(mut bytes: &[u8]) -> Option<Self> {
        let (position, low) = unpack_48(take_u64(&mut bytes)?);
        let (len, tag_hash) = (take_u32(&mut bytes)?, take_u32(&mut bytes)?);
        let (stored, high) = unpack_48(take_u64(&mut bytes)?);
        let entry = Self {
            position: LogPosition::new(position),
            len,
            tag_hash: tag_hash.cast_signed(),
            stored: Timestamp::from_ms(stored.cast_signed()),
            message_group: MessageGroupHash::from_halves([low, high]),
        };
        bytes.is_empty().then_some(entry)
    }
}

/// The entry of `offset` in the value of its block.
pub(crate) fn entry_in_block(block: &Bytes, offset: u64) -> Option<IndexEntry> {
    let at = (offset % BLOCK_ENTRIES) as usize * IndexEntry::BYTES;
    IndexEntry::decode(block.get(at..at + IndexEntry::BYTES)?)
}

/// Entries in the value of a block.
pub(crate) fn entries_in_block(block: &Bytes) -> u64 {
    (block.len() / IndexEntry::BYTES) as u64
}

/// The entries that no checkpoint has moved yet: consecutive offsets from `base` on.
#[derive(Debug, Default)]
pub(crate) struct Tail {
    base: u64,
    entries: VecDeque<IndexEntry>,
}

impl Tail {
    /// An empty tail that begins at `base`.
    pub(crate) fn at(base: u64) -> Self {
        Self {
            base,
            entries: VecDeque::new(),
        }
    }

    /// First offset that is still here.
    pub(crate) fn base(&self) -> u64 {
        self.base
    }

    /// Offset of the next entry.
    pub(crate) fn end(&self) -> u64 {
        self.base + self.entries.len() as u64
    }

    pub(crate) fn push(&mut self, entry: IndexEntry) {
        self.entries.push_back(entry);
    }

    pub(crate) fn get(&self, offset: u64) -> Option<IndexEntry> {
        let at = offset.checked_sub(self.base)?;
        self.entries.get(usize::try_from(at).ok()?).copied()
    }

    /// Forgets the entries before `offset`, which the KV has now.
    pub(crate) fn forget_before(&mut self, offset: u64) {
        let count = offset
            .saturating_sub(self.base)
            .min(self.entries.len() as u64);
        self.entries.drain(..count as usize);
        self.base += count;
        if self.entries.is_empty() {
            self.entries = VecDeque::new();
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn entry(n: u64) -> IndexEntry {
        IndexEntry {
            position: LogPosition::new(n * 100),
            len: 100,
            tag_hash: -1,
            stored: Timestamp::from_ms(n.cast_signed()),
            message_group: MessageGroupHash::of(Some("orders")),
        }
    }

    #[test]
    fn a_tail_keeps_offsets_while_its_start_moves() {
        let mut tail = Tail::at(10);
        (10..20).for_each(|n| tail.push(entry(n)));
        tail.forget_before(15);
        assert_eq!((tail.base(), tail.end()), (15, 20));
        assert_eq!(tail.get(14), None);
        assert_eq!(tail.get(19), Some(entry(19)));
        tail.forget_before(99);
        assert_eq!((tail.base(), tail.end()), (20, 20));
    }

    #[test]
    fn a_block_finds_the_entry_of_an_offset() {
        let mut block = Vec::new();
        (512..600).for_each(|n| entry(n).encode(&mut block));
        let block = Bytes::from(block);
        assert_eq!(entry_in_block(&block, 599), Some(entry(599)));
        assert_eq!(entry_in_block(&block, 600), None);
    }
}
