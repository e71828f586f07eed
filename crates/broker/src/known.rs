//! Which entries of the metadata store are in memory, and from which change each one is.
//!
//! Several nodes change one store. What a change is decided on is what is in memory, so it is made
//! only if that is still what the store has ([`Known::put`]); and what a watch tells late, when
//! this node knows something newer of the entry, is left out ([`Known::take`]).

use std::collections::{HashMap, VecDeque};

use base::limits;
use parking_lot::Mutex;
use store::meta::{Entry, Expected, MetadataError, MetadataStore, Revision};

/// Revisions of the entries in memory. Whoever keeps them changes both together, holding off other
/// changes.
#[derive(Default)]
pub(crate) struct Known {
    tables: Mutex<Tables>,
}

#[derive(Default)]
struct Tables {
    at: HashMap<String, Revision>,
    /// The newest removals: a watch may still tell of what went before them.
    removed: VecDeque<(String, Revision)>,
    /// What was read first stands for this revision.
    floor: Revision,
}

impl Known {
    /// Notes what was read of a range that stands for `revision`.
    pub(crate) fn read(&self, entries: &[Entry], revision: Revision) {
        let mut tables = self.tables.lock();
        for entry in entries {
            tables.at.insert(entry.key.clone(), entry.revision);
        }
        // Of several ranges, one after the other, the first says what was surely seen of all.
        if tables.floor == Revision::default() || revision < tables.floor {
            tables.floor = revision;
        }
    }

    /// What stands for an entry in memory.
    fn expected(&self, key: &str) -> Expected {
        let at = self.tables.lock().at.get(key).copied();
        at.map_or(Expected::Absent, Expected::At)
    }

    /// Sets an entry, or removes it, if the store has it as it is in memory. One that is not there
    /// is removed already.
    pub(crate) async fn put(
        &self,
        store: &dyn MetadataStore,
        key: &str,
        value: Option<Vec<u8>>,
    ) -> Result<(), MetadataError> {
        let expected = self.expected(key);
        if expected == Expected::Absent && value.is_none() {
            return Ok(());
        }
        let is_there = value.is_some();
        let put = store.compare_and_set(key, expected, value.map(Into::into), None);
        let revision = put.await?;
        self.tables.lock().note(key, revision, is_there);
        Ok(())
    }

    /// Whether a change of the store is newer than what is in memory; it is noted then.
    pub(crate) fn take(&self, key: &str, revision: Revision, is_there: bool) -> bool {
        let mut tables = self.tables.lock();
        let is_news = match tables.at.get(key) {
            Some(at) => revision > *at,
            None => {
                let removed = tables.removed.iter().rev().find(|(it, _)| it == key);
                let seen = removed.map_or(tables.floor, |(_, removed)| *removed);
                is_there && revision > seen
            }
        };
        if is_news {
            tables.note(key, revision, is_there);
        }
        is_news
    }

    /// Keys of all entries in memory.
    pub(crate) fn keys(&self) -> Vec<String> {
        self.tables.lock().at.keys().cloned().collect()
    }
}

impl Tables {
    fn note(&mut self, key: &str, revision: Revision, is_there: bool) {
        if is_there {
            self.at.insert(key.to_owned(), revision);
            return;
        }
        self.at.remove(key);
        self.removed.push_back((key.to_owned(), revision));
        if self.removed.len() > limits::METADATA_REMOVALS_KEPT_MAX {
            self.removed.pop_front();
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn only_what_is_newer_is_taken() {
        let known = Known::default();
        let entry = Entry {
            key: "a".to_owned(),
            value: Vec::new().into(),
            revision: Revision(5),
        };
        known.read(&[entry], Revision(7));
        assert!(!known.take("a", Revision(5), true));
        // Was there and gone before anything was read.
        assert!(!known.take("b", Revision(6), true));
        assert!(known.take("b", Revision(8), true));
        assert!(known.take("a", Revision(9), false));
        assert!(!known.take("a", Revision(9), false));
        // Told late.
        assert!(!known.take("a", Revision(8), true));
        assert!(known.take("a", Revision(10), true));
        assert_eq!(known.keys().len(), 2);
    }
}
