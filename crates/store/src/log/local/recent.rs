//! The newest durable chunks, kept in memory: consumers that keep up never reach the disk.

use std::collections::VecDeque;

use bytes::Bytes;

use crate::log::Record;

/// What a chunk costs besides its bytes, so that many tiny ones are bounded too.
const CHUNK_OVERHEAD_BYTES: u64 = 128;

/// Chunks in log order, oldest first, within a budget of bytes.
pub(crate) struct Recent {
    chunks: VecDeque<Held>,
    bytes: u64,
    bytes_max: u64,
}

struct Held {
    start: u64,
    bytes: Bytes,
    /// Memory it takes, which is more than its length while its buffer has room left.
    cost: u64,
}

impl Recent {
    pub(crate) fn new(bytes_max: u64) -> Self {
        Self {
            chunks: VecDeque::new(),
            bytes: 0,
            bytes_max,
        }
    }

    /// Keeps a chunk that starts at `start` and takes `capacity` bytes of memory.
    pub(crate) fn push(&mut self, start: u64, bytes: Bytes, capacity: usize) {
        let cost = capacity as u64 + CHUNK_OVERHEAD_BYTES;
        self.bytes += cost;
        self.chunks.push_back(Held { start, bytes, cost });
        while self.bytes > self.bytes_max
            && let Some(oldest) = self.chunks.pop_front()
        {
            self.bytes -= oldest.cost;
        }
    }

    /// The bytes from `position` on to the end of its chunk.
    pub(crate) fn get(&self, position: u64) -> Option<Bytes> {
        let after = self.chunks.partition_point(|held| held.start <= position);
        let held = self.chunks.get(after.checked_sub(1)?)?;
        let at = usize::try_from(position - held.start).ok()?;
        (at < held.bytes.len()).then(|| held.bytes.slice(at..))
    }
}

/// The records in a chunk that this process encoded.
pub(crate) fn records_in(chunk: &Bytes) -> impl Iterator<Item = Record> + '_ {
    let mut at = 0;
    std::iter::from_fn(move || {
        if at == chunk.len() {
            return None;
        }
        let rest = chunk.slice(at..);
        let len = Record::claimed_len(&rest).expect("the chunk was encoded by this process");
        at += len;
        Some(Record::decode_trusted(&rest, len))
    })
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn the_oldest_chunks_make_room_for_the_newest() {
        let mut recent = Recent::new(3 * (100 + CHUNK_OVERHEAD_BYTES));
        for chunk in 0..5_u8 {
            let start = 1_000 + u64::from(chunk) * 100;
            recent.push(start, vec![chunk; 100].into(), 100);
        }
        assert_eq!(recent.get(1_199), None);
        assert_eq!(recent.get(1_200).map(|bytes| bytes.len()), Some(100));
        assert_eq!(recent.get(1_499).as_deref(), Some(&[4][..]));
        assert_eq!(recent.get(1_500), None);
    }

    #[test]
    fn a_chunk_above_the_budget_is_not_kept() {
        let mut recent = Recent::new(100);
        recent.push(0, vec![1; 200].into(), 200);
        assert_eq!(recent.get(0), None);
        assert_eq!(recent.bytes, 0);
    }
}
