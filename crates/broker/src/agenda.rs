//! An agenda: the LiteTopics that a consumer has to look at, now or at a time, each once.

use std::collections::{BTreeSet, HashMap, HashSet, VecDeque};

use base::{StreamKey, Timestamp};

/// Room of an empty agenda that is not given back: what a message takes that comes now and then.
const ROOM_MIN: usize = 16;

/// Which LiteTopics may have a message, out of many that have none.
#[derive(Debug, Default)]
pub(crate) struct Agenda {
    /// Where each one is: `None` is in `now`.
    places: HashMap<StreamKey, Option<Timestamp>>,
    /// Those to look at now, and some that were taken off.
    now: VecDeque<StreamKey>,
    later: BTreeSet<(Timestamp, StreamKey)>,
}

impl Agenda {
    /// Puts one on for now.
    pub(crate) fn put(&mut self, stream: StreamKey) {
        match self.places.insert(stream, None) {
            Some(None) => return,
            Some(Some(time)) => {
                self.later.remove(&(time, stream));
            }
            None => {}
        }
        self.now.push_back(stream);
        // Who subscribes and unsubscribes without end leaves nothing behind.
        if self.now.len() > 2 * self.places.len() + 64 {
            let mut seen = HashSet::new();
            let places = &self.places;
            self.now
                .retain(|stream| places.get(stream) == Some(&None) && seen.insert(*stream));
        }
    }

    /// Puts one on for a time, unless it is on for now.
    pub(crate) fn put_later(&mut self, stream: StreamKey, time: Timestamp) {
        match self.places.get(&stream) {
            Some(None) => return,
            Some(Some(before)) => {
                self.later.remove(&(*before, stream));
            }
            None => {}
        }
        self.places.insert(stream, Some(time));
        self.later.insert((time, stream));
    }

    /// Takes one off.
    pub(crate) fn remove(&mut self, stream: StreamKey) {
        if let Some(Some(time)) = self.places.remove(&stream) {
            self.later.remove(&(time, stream));
        }
        self.give_back_room();
    }

    /// Gives back the room of a day on which there was much, once there is nothing: a client that
    /// came back has looked at all that it subscribes to.
    fn give_back_room(&mut self) {
        if !self.places.is_empty() {
            return;
        }
        self.now.clear();
        if self.places.capacity().max(self.now.capacity()) > ROOM_MIN {
            self.places.shrink_to_fit();
            self.now.shrink_to_fit();
        }
    }

    /// Takes off the next one to look at: first those whose time has come.
    pub(crate) fn next(&mut self, now: Timestamp) -> Option<StreamKey> {
        if let Some((time, stream)) = self.later.first().copied()
            && time <= now
        {
            self.remove(stream);
            return Some(stream);
        }
        while let Some(stream) = self.now.pop_front() {
            if self.places.get(&stream) == Some(&None) {
                self.places.remove(&stream);
                self.give_back_room();
                return Some(stream);
            }
        }
        None
    }

    /// Whether there is none, not even for later.
    pub(crate) fn is_empty(&self) -> bool {
        self.places.is_empty()
    }

    /// Whether there is one to look at now.
    pub(crate) fn is_ready(&self, now: Timestamp) -> bool {
        self.places.len() > self.later.len() || self.next_time().is_some_and(|time| time <= now)
    }

    /// The next time at which there is one to look at, leaving aside what is on for now.
    pub(crate) fn next_time(&self) -> Option<Timestamp> {
        self.later.first().map(|(time, _)| *time)
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn stream(n: u64) -> StreamKey {
        StreamKey::new(n)
    }

    fn at(ms: i64) -> Timestamp {
        Timestamp::from_ms(ms)
    }

    #[test]
    fn each_is_on_it_once() {
        let mut agenda = Agenda::default();
        agenda.put(stream(1));
        agenda.put(stream(2));
        agenda.put(stream(1));
        agenda.put_later(stream(2), at(50));
        assert_eq!(agenda.next(at(100)), Some(stream(1)));
        assert_eq!(agenda.next(at(100)), Some(stream(2)));
        assert_eq!(agenda.next(at(100)), None);
    }

    #[test]
    fn what_is_for_later_comes_at_its_time() {
        let mut agenda = Agenda::default();
        agenda.put_later(stream(1), at(50));
        agenda.put_later(stream(1), at(60));
        assert_eq!(agenda.next_time(), Some(at(60)));
        assert_eq!(agenda.next(at(59)), None);
        assert!(!agenda.is_ready(at(59)) && agenda.is_ready(at(60)));
        assert_eq!(agenda.next(at(60)), Some(stream(1)));
        agenda.put_later(stream(1), at(50));
        agenda.put(stream(1));
        assert!(agenda.is_ready(at(0)));
        assert_eq!(agenda.next_time(), None);
    }

    #[test]
    fn what_comes_and_goes_without_end_takes_no_memory() {
        let mut agenda = Agenda::default();
        agenda.put(stream(0));
        for _ in 0..1_000 {
            agenda.put(stream(1));
            agenda.remove(stream(1));
        }
        assert!(agenda.now.len() < 100, "{} entries", agenda.now.len());
        assert_eq!(agenda.next(at(0)), Some(stream(0)));
        assert_eq!(agenda.next(at(0)), None);
    }

    #[test]
    fn an_agenda_with_nothing_on_it_keeps_no_room() {
        let mut agenda = Agenda::default();
        let room = |agenda: &Agenda| agenda.places.capacity().max(agenda.now.capacity());
        (0..100).for_each(|n| agenda.put(stream(n)));
        assert!(room(&agenda) >= 100);
        (0..100).for_each(|n| assert_eq!(agenda.next(at(0)), Some(stream(n))));
        assert!(room(&agenda) <= ROOM_MIN, "room for {}", room(&agenda));
        (0..100).for_each(|n| agenda.put_later(stream(n), at(50)));
        (0..100).for_each(|n| agenda.remove(stream(n)));
        assert!(room(&agenda) <= ROOM_MIN, "room for {}", room(&agenda));
    }

    #[test]
    fn what_was_taken_off_is_gone_and_may_come_back() {
        let mut agenda = Agenda::default();
        agenda.put(stream(1));
        agenda.put(stream(2));
        agenda.remove(stream(1));
        agenda.put(stream(1));
        assert_eq!(agenda.next(at(0)), Some(stream(1)));
        assert_eq!(agenda.next(at(0)), Some(stream(2)));
        assert_eq!(agenda.next(at(0)), None);
    }
}
