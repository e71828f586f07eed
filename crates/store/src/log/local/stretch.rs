//! Stretches of the log read with one call of the disk, because several of the records in them are
//! wanted: by one reader, or soon by those who read the queues in between.

use std::collections::VecDeque;

use base::{LogPosition, limits};
use bytes::Bytes;

use crate::log::RecordPlace;

/// The bytes from one position of the log on.
#[derive(Clone)]
pub(super) struct Stretch {
    pub(super) start: u64,
    pub(super) bytes: Bytes,
}

impl Stretch {
    fn at(&self, position: u64) -> Option<usize> {
        let at = usize::try_from(position.checked_sub(self.start)?).ok()?;
        (at < self.bytes.len()).then_some(at)
    }

    /// Whether the byte at `position` is here.
    pub(super) fn has(&self, position: LogPosition) -> bool {
        self.at(position.get()).is_some()
    }

    /// All bytes from `position` on, if that is here.
    pub(super) fn from(&self, position: LogPosition) -> Option<Bytes> {
        self.at(position.get()).map(|at| self.bytes.slice(at..))
    }

    /// The bytes of the record at `place`, if all of them are here.
    pub(super) fn part(&self, place: RecordPlace) -> Option<&[u8]> {
        let at = self.at(place.position.get())?;
        self.bytes.get(at..at.checked_add(place.len)?)
    }

    /// Whether less than half of it is the first of `places`, those that are in it: then they are
    /// copied out, as each would keep all of it in memory.
    pub(super) fn is_sparse(&self, places: &[RecordPlace]) -> bool {
        let inside = places.iter().map_while(|place| self.part(*place));
        let wanted: usize = inside.map(<[u8]>::len).sum();
        wanted < self.bytes.len() / 2
    }
}

/// Length of the stretch from the first of `places` to the last one that is worth reading with it;
/// `None` if it is best read alone.
pub(super) fn length(places: &[RecordPlace]) -> Option<usize> {
    let (first, others) = places.split_first()?;
    let start = first.position.get();
    let alone = start.checked_add(first.len as u64)?;
    let mut end = alone;
    for place in others {
        let gap = place.position.get().checked_sub(end);
        let is_near = gap.is_some_and(|gap| gap <= limits::LOG_STRETCH_GAP_BYTES_MAX as u64);
        let next_end = place.position.get().saturating_add(place.len as u64);
        if !is_near || next_end - start > limits::LOG_STRETCH_BYTES_MAX as u64 {
            break;
        }
        end = next_end;
    }
    (end > alone).then_some((end - start) as usize)
}

/// The stretches read last, for those who read other records in them.
#[derive(Default)]
pub(super) struct Stretches {
    kept: VecDeque<Stretch>,
}

impl Stretches {
    /// The newest stretch that the record at `place` is in.
    pub(super) fn get(&self, place: RecordPlace) -> Option<Stretch> {
        let mut newest_first = self.kept.iter().rev();
        newest_first
            .find(|kept| kept.part(place).is_some())
            .cloned()
    }

    /// Keeps a stretch, and the oldest no more.
    pub(super) fn push(&mut self, stretch: Stretch) {
        if self.kept.len() == limits::LOG_STRETCHES_KEPT {
            self.kept.pop_front();
        }
        self.kept.push_back(stretch);
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    const GAP: u64 = limits::LOG_STRETCH_GAP_BYTES_MAX as u64;
    const MAX: u64 = limits::LOG_STRETCH_BYTES_MAX as u64;

    fn places(of: &[(u64, usize)]) -> Vec<RecordPlace> {
        let place = |&(position, len)| RecordPlace {
            position: LogPosition::new(position),
            len,
        };
        of.iter().map(place).collect()
    }

    #[test]
    fn a_stretch_ends_where_the_next_record_is_far_away() {
        let length = |of: &[(u64, usize)]| length(&places(of));
        assert_eq!(length(&[(1_000, 100)]), None);
        assert_eq!(length(&[(1_000, 100), (1_100, 50)]), Some(150));
        let near = 1_100 + GAP;
        assert_eq!(
            length(&[(1_000, 100), (near, 50)]),
            Some((near - 950) as usize)
        );
        assert_eq!(length(&[(1_000, 100), (near + 1, 50)]), None);
        assert_eq!(
            length(&[(1_000, 100), (1_100, 50), (near * 2, 50)]),
            Some(150)
        );
        // As no index has it, nor any other reader.
        assert_eq!(length(&[(1_000, 100), (1_050, 50)]), None);
        assert_eq!(length(&[(1_000, 100), (900, 50)]), None);
        assert_eq!(length(&[(u64::MAX, 100), (900, 50)]), None);
    }

    #[test]
    fn a_stretch_has_no_more_than_its_limit() {
        let many: Vec<(u64, usize)> = (0..100).map(|n| (n * 4_096, 1_000)).collect();
        let length = length(&places(&many)).unwrap() as u64;
        assert!(length <= MAX && length > MAX - 4_096, "{length}");
    }

    #[test]
    fn records_are_found_in_the_stretches_read_last() {
        let mut stretches = Stretches::default();
        for n in 0..=limits::LOG_STRETCHES_KEPT as u64 {
            let bytes = vec![n as u8; 100].into();
            stretches.push(Stretch {
                start: n * 1_000,
                bytes,
            });
        }
        let found = |place| {
            stretches
                .get(places(&[place])[0])
                .map(|found| found.bytes[0])
        };
        assert_eq!(found((50, 10)), None, "the oldest is kept no more");
        assert_eq!(found((1_000, 100)), Some(1));
        assert_eq!(found((2_090, 10)), Some(2));
        assert_eq!(found((2_090, 11)), None);
        assert_eq!(found((2_100, 0)), None);
    }

    #[test]
    fn a_stretch_of_which_little_is_wanted_is_sparse() {
        let stretch = Stretch {
            start: 0,
            bytes: vec![0; 100].into(),
        };
        assert!(!stretch.is_sparse(&places(&[(0, 25), (75, 25)])));
        assert!(stretch.is_sparse(&places(&[(0, 25), (75, 24)])));
        // What lies outside of it does not count.
        assert!(stretch.is_sparse(&places(&[(0, 25), (75, 24), (99, 50)])));
    }
}
