//! What clients were told, against what the server holds.
//!
//! The clients here never send a message twice, so a key may be stored at most once: a second copy
//! is as wrong as a missing one.

use std::collections::{BTreeMap, HashMap, HashSet};

use bytes::Bytes;

/// Problems that are listed; the rest is counted.
const PROBLEMS_LISTED_MAX: usize = 20;

/// Where a message is: queue and offset.
pub(super) type Place = (u32, i64);

/// What clients tried, and what they were told.
#[derive(Debug, Default)]
pub(super) struct Ledger {
    attempted: HashSet<String>,
    /// The place is not known where the protocol does not tell it.
    acknowledged: HashMap<String, Option<Place>>,
    /// What consumers saw while messages were being sent.
    seen: HashMap<Place, String>,
    problems: Vec<String>,
}

/// A message as a consumer got it.
#[derive(Clone, Debug)]
pub(super) struct Stored {
    pub(super) place: Place,
    pub(super) key: String,
    pub(super) body: Bytes,
}

impl Ledger {
    /// A client is about to send this.
    pub(super) fn attempt(&mut self, key: &str) {
        self.attempted.insert(key.to_owned());
    }

    /// A client was told that this is stored.
    pub(super) fn acknowledge(&mut self, key: &str, place: Option<Place>) {
        self.acknowledged.insert(key.to_owned(), place);
    }

    /// A consumer got this.
    pub(super) fn see(&mut self, message: &Stored, expected_body: &Bytes) {
        if message.body != *expected_body {
            self.problem(format!("{} arrived with another body", message.key));
        }
        let before = self.seen.insert(message.place, message.key.clone());
        if before.as_ref().is_some_and(|before| *before != message.key) {
            self.problem(format!(
                "{:?} held {before:?}, then {}",
                message.place, message.key
            ));
        }
    }

    /// Something that must not happen did.
    pub(super) fn problem(&mut self, what: String) {
        self.problems.push(what);
    }

    /// How many messages were acknowledged.
    pub(super) fn acknowledged(&self) -> usize {
        self.acknowledged.len()
    }

    /// How many messages consumers saw while others were sent.
    pub(super) fn seen(&self) -> usize {
        self.seen.len()
    }

    /// The keys that were acknowledged.
    pub(super) fn acknowledged_keys(&self) -> impl Iterator<Item = &String> {
        self.acknowledged.keys()
    }

    /// Everything that is wrong with what the queues hold, from their first offset to their last.
    pub(super) fn check(&self, stored: &[Stored], body_of: impl Fn(&str) -> Bytes) -> Vec<String> {
        let mut problems = self.problems.clone();
        let mut places: HashMap<&str, Place> = HashMap::new();
        let mut queues: BTreeMap<u32, Vec<i64>> = BTreeMap::new();
        for message in stored {
            let (key, place) = (message.key.as_str(), message.place);
            queues.entry(place.0).or_default().push(place.1);
            if !self.attempted.contains(key) {
                problems.push(format!("{place:?} holds `{key}`, which nobody sent"));
            } else if message.body != body_of(key) {
                problems.push(format!("{place:?} holds `{key}` with another body"));
            }
            if let Some(before) = places.insert(key, place) {
                problems.push(format!(
                    "`{key}` is stored twice, at {before:?} and {place:?}"
                ));
            }
        }
        for (queue, offsets) in queues {
            let expected = 0_i64..;
            if let Some((at, found)) = expected.zip(offsets).find(|(at, found)| at != found) {
                problems.push(format!("queue {queue} has {found} where {at} is expected"));
            }
        }
        for (key, told) in &self.acknowledged {
            match (places.get(key.as_str()), told) {
                (None, _) => problems.push(format!("`{key}` was acknowledged and is lost")),
                (Some(found), Some(told)) if found != told => {
                    problems.push(format!(
                        "`{key}` was acknowledged at {told:?}, is at {found:?}"
                    ));
                }
                (Some(_), _) => {}
            }
        }
        for (place, key) in &self.seen {
            if places.get(key.as_str()) != Some(place) {
                problems.push(format!(
                    "`{key}` was consumed at {place:?} and is not there now"
                ));
            }
        }
        problems
    }
}

/// Success, or an error with the first of many problems.
pub(super) fn verdict(problems: &[String]) -> anyhow::Result<()> {
    if problems.is_empty() {
        return Ok(());
    }
    let listed = &problems[..problems.len().min(PROBLEMS_LISTED_MAX)];
    anyhow::bail!(
        "{} problems, the first:\n  {}",
        problems.len(),
        listed.join("\n  ")
    );
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::crash::message::body_of;

    fn stored(queue: u32, offset: i64, key: &str) -> Stored {
        Stored {
            place: (queue, offset),
            key: key.to_owned(),
            body: body_of(key),
        }
    }

    /// Three messages tried, two acknowledged, one of them consumed; the third may be there or not.
    fn ledger() -> Ledger {
        let mut ledger = Ledger::default();
        for key in ["a", "b", "c"] {
            ledger.attempt(key);
        }
        ledger.acknowledge("a", Some((0, 0)));
        ledger.acknowledge("b", None);
        ledger.see(&stored(0, 0, "a"), &body_of("a"));
        ledger
    }

    fn problems(stored: &[Stored]) -> usize {
        ledger().check(stored, body_of).len()
    }

    #[test]
    fn what_was_promised_is_enough() {
        assert_eq!(problems(&[stored(0, 0, "a"), stored(1, 0, "b")]), 0);
        assert_eq!(
            problems(&[stored(0, 0, "a"), stored(1, 0, "b"), stored(0, 1, "c")]),
            0
        );
    }

    #[test]
    fn every_kind_of_damage_is_found() {
        let lost = [stored(0, 0, "a")];
        let moved = [stored(0, 0, "c"), stored(0, 1, "a"), stored(1, 0, "b")];
        let twice = [stored(0, 0, "a"), stored(1, 0, "b"), stored(1, 1, "b")];
        let unknown = [stored(0, 0, "a"), stored(1, 0, "b"), stored(1, 1, "d")];
        let gap = [stored(0, 0, "a"), stored(1, 1, "b")];
        let mut corrupt = [stored(0, 0, "a"), stored(1, 0, "b")];
        corrupt[1].body = body_of("a");
        assert_eq!(problems(&lost), 1);
        assert_eq!(
            problems(&moved),
            2,
            "neither where it was told nor where it was seen"
        );
        assert_eq!(problems(&twice), 1);
        assert_eq!(problems(&unknown), 1);
        assert_eq!(problems(&gap), 1);
        assert_eq!(problems(&corrupt), 1);
        assert!(verdict(&ledger().check(&lost, body_of)).is_err());
    }

    #[test]
    fn a_consumer_that_sees_something_else_is_a_problem() {
        let mut ledger = ledger();
        ledger.see(&stored(0, 0, "c"), &body_of("c"));
        ledger.see(&stored(0, 1, "b"), &body_of("a"));
        assert_eq!(ledger.problems.len(), 2);
    }
}
