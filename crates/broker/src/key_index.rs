//! The index of message keys: from a hash of topic and key to the log positions that may have it.
//!
//! Entries gather in memory; each checkpoint writes them as sorted runs, one per partition of the
//! hash, and joins small runs with the one before. A hit is only a hint: the reader compares the
//! key itself.

use base::{LogPosition, TopicId, stdx::hash_bytes};
use bytes::Bytes;

/// A run below this size is joined with the next one.
pub(crate) const RUN_BYTES_MIN: usize = 32 * 1024;

const ENTRY_BYTES: usize = 16;

/// A hash and a position where a message with it is.
#[derive(Clone, Copy, Debug, PartialEq, Eq, PartialOrd, Ord)]
pub(crate) struct KeyEntry {
    hash: u64,
    position: u64,
}

/// Its high bits choose the partition.
pub(crate) fn hash(topic: TopicId, key: &str) -> u64 {
    hash_bytes(topic.get().to_le_bytes().into_iter().chain(key.bytes()))
}

/// Which of 16 parts of the hash space: a query reads a sixteenth of each checkpoint's run.
pub(crate) fn partition(hash: u64) -> u8 {
    (hash >> 60) as u8
}

impl KeyEntry {
    pub(crate) fn new(hash: u64, position: LogPosition) -> Self {
        Self {
            hash,
            position: position.get(),
        }
    }

    pub(crate) fn hash(self) -> u64 {
        self.hash
    }

    pub(crate) fn position(self) -> LogPosition {
        LogPosition::new(self.position)
    }
}

/// The value of a run: `old` (a run or nothing) and `new` together, sorted.
pub(crate) fn encode_run(old: Option<&Bytes>, new: &[KeyEntry]) -> Vec<u8> {
    let mut entries: Vec<KeyEntry> = old.map(|old| decode_run(old).collect()).unwrap_or_default();
    entries.extend_from_slice(new);
    entries.sort_unstable();
    let mut value = Vec::with_capacity(entries.len() * ENTRY_BYTES);
    for entry in entries {
        value.extend_from_slice(&entry.hash.to_be_bytes());
        value.extend_from_slice(&entry.position.to_be_bytes());
    }
    value
}

fn decode_run(run: &[u8]) -> impl Iterator<Item = KeyEntry> + '_ {
    run.chunks_exact(ENTRY_BYTES).map(|chunk| {
        let (hash, position) = chunk.split_at(8);
        let number = |bytes: &[u8]| {
            u64::from_be_bytes(
                bytes
                    .try_into()
                    .expect("half of a 16-byte chunk is 8 bytes"),
            )
        };
        KeyEntry {
            hash: number(hash),
            position: number(position),
        }
    })
}

/// Positions in a run that have `hash`, ascending.
pub(crate) fn find_in_run(run: &[u8], hash: u64) -> Vec<LogPosition> {
    let key = hash.to_be_bytes();
    let count = run.len() / ENTRY_BYTES;
    let (mut low, mut high) = (0, count);
    while low < high {
        let middle = low + (high - low) / 2;
        if run[middle * ENTRY_BYTES..][..8] < key[..] {
            low = middle + 1;
        } else {
            high = middle;
        }
    }
    decode_run(&run[low * ENTRY_BYTES..])
        .take_while(|entry| entry.hash == hash)
        .map(KeyEntry::position)
        .collect()
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn runs_join_and_find_every_position_of_a_hash() {
        let entry = |hash, position| KeyEntry::new(hash, LogPosition::new(position));
        let old = Bytes::from(encode_run(None, &[entry(5, 1), entry(9, 2)]));
        let run = encode_run(Some(&old), &[entry(5, 7), entry(1, 3)]);
        assert_eq!(
            find_in_run(&run, 5),
            [LogPosition::new(1), LogPosition::new(7)]
        );
        assert_eq!(find_in_run(&run, 6), []);
        assert_eq!(find_in_run(&run, 9), [LogPosition::new(2)]);
        assert_eq!(find_in_run(&[], 9), []);
        assert_eq!(find_in_run(&run[..20], 1), [LogPosition::new(3)]);
    }

    #[test]
    fn topics_do_not_share_keys() {
        assert_ne!(hash(TopicId::new(1), "k"), hash(TopicId::new(2), "k"));
    }
}
