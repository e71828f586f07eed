//! What nodes see of what is inspected. Each sees its own shards and clients; what is said of an
//! instance is said of all of that together.

use std::collections::{BTreeMap, BTreeSet};

use base::stdx::hash_bytes;
use serde::{Deserialize, Serialize};

use crate::RegisteredClient;

/// Different subscriptions that are told of one group: with two of them it is inconsistent.
const SUBSCRIPTIONS_MAX: usize = 8;

/// What is seen of a topic, a group or an instance. Which fields count, and what of, is the
/// template's.
#[derive(Clone, Debug, Default, PartialEq, Eq, Serialize, Deserialize)]
#[serde(default)]
pub(crate) struct Seen {
    /// Messages or requests: of several nodes their sum.
    #[serde(skip_serializing_if = "is_default")]
    pub(super) count: u64,
    /// Those of another kind.
    #[serde(skip_serializing_if = "is_default")]
    pub(super) others: u64,
    /// What each node keeps for itself: of several nodes the most.
    #[serde(skip_serializing_if = "is_default")]
    pub(super) most: u64,
    /// What is above a node's share of something, or below it: of several nodes the sum.
    #[serde(skip_serializing_if = "is_default")]
    pub(super) above: i64,
    /// When the oldest message was stored, in ms since 1970.
    #[serde(skip_serializing_if = "is_default")]
    pub(super) oldest_ms: Option<i64>,
    /// Whether anybody uses it.
    #[serde(skip_serializing_if = "is_default")]
    pub(super) in_use: bool,
    /// Members of a group, as hashes of their ids: one may be known at several nodes.
    #[serde(skip_serializing_if = "is_default")]
    pub(super) members: BTreeSet<u64>,
    /// What members subscribe to: all different sets of topics, each with a hash of its filter.
    #[serde(skip_serializing_if = "is_default")]
    pub(super) subscriptions: BTreeSet<BTreeMap<String, u64>>,
    /// Releases of SDKs.
    #[serde(skip_serializing_if = "is_default")]
    pub(super) releases: BTreeSet<String>,
}

fn is_default<T: Default + PartialEq>(value: &T) -> bool {
    *value == T::default()
}

impl Seen {
    /// So many messages or requests.
    pub(super) fn of_count(count: u64) -> Self {
        Self {
            count,
            ..Self::default()
        }
    }

    /// The members of a group.
    pub(super) fn of_members(members: &[RegisteredClient]) -> Self {
        let mut seen = Self::default();
        for member in members {
            seen.members.insert(hash_bytes(member.client.id.bytes()));
        }
        seen
    }

    /// Notes what a member subscribes to.
    pub(super) fn subscribed(&mut self, member: &RegisteredClient) {
        let consumer = member.consumer.iter();
        let subscriptions = consumer.flat_map(|consumer| &consumer.subscriptions);
        let filter = |filter| hash_bytes(format!("{filter:?}").bytes());
        let all = subscriptions.map(|it| (it.topic.to_string(), filter(&it.filter)));
        self.subscriptions.insert(all.collect());
        if self.subscriptions.len() > SUBSCRIPTIONS_MAX {
            self.subscriptions.pop_last();
        }
    }

    fn add(&mut self, other: Self) {
        self.count = self.count.saturating_add(other.count);
        self.others = self.others.saturating_add(other.others);
        self.most = self.most.max(other.most);
        self.above = self.above.saturating_add(other.above);
        self.oldest_ms = [self.oldest_ms, other.oldest_ms]
            .into_iter()
            .flatten()
            .min();
        self.in_use |= other.in_use;
        self.members.extend(other.members);
        self.subscriptions.extend(other.subscriptions);
        self.releases.extend(other.releases);
    }
}

/// What is seen by one item of a run.
#[derive(Clone, Debug, Default, PartialEq, Eq, Serialize, Deserialize)]
pub(crate) struct SeenByItem {
    /// By the names of topics, groups or the instance. One that is not here has nothing that could
    /// be seen; `None` could not be looked at.
    pub(super) things: BTreeMap<String, Option<Seen>>,
    /// Why something could not be looked at.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub(super) error: Option<String>,
    /// Whether a node is missing that may see anything: that something is not there cannot be said.
    #[serde(default, skip_serializing_if = "is_default")]
    pub(super) is_partial: bool,
}

impl SeenByItem {
    /// Takes in what another node sees.
    pub(crate) fn add(&mut self, other: Self) {
        for (name, other) in other.things {
            let known = self.things.entry(name);
            let known = known.or_insert_with(|| Some(Seen::default()));
            match (known.as_mut(), other) {
                (Some(known), Some(other)) => known.add(other),
                _ => *known = None,
            }
        }
        self.error = self.error.take().or(other.error);
        self.is_partial |= other.is_partial;
    }

    /// Notes why it is not known what a node sees.
    pub(crate) fn miss(&mut self, error: String) {
        self.error.get_or_insert(error);
        self.is_partial = true;
    }

    /// How many things are seen, or could not be.
    pub(crate) fn size(&self) -> usize {
        self.things.len()
    }

    /// Forgets what is seen.
    pub(crate) fn clear(&mut self) {
        self.things.clear();
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn by(things: &[(&str, Option<Seen>)]) -> SeenByItem {
        let things = things.iter();
        SeenByItem {
            things: things
                .map(|(name, seen)| ((*name).to_owned(), seen.clone()))
                .collect(),
            ..SeenByItem::default()
        }
    }

    #[test]
    fn what_nodes_see_adds_up() {
        let seen = |count, most, oldest_ms, member| Seen {
            count,
            most,
            oldest_ms,
            members: BTreeSet::from([member]),
            ..Seen::default()
        };
        let mut all = by(&[
            ("both", Some(seen(3, 5, None, 1))),
            ("failed here", None),
            ("failed there", Some(seen(1, 1, None, 1))),
        ]);
        all.add(by(&[
            ("both", Some(seen(4, 2, Some(9), 1))),
            ("failed here", Some(seen(1, 1, None, 1))),
            ("failed there", None),
            ("there", Some(seen(1, 0, Some(7), 2))),
        ]));
        let expected = by(&[
            ("both", Some(seen(7, 5, Some(9), 1))),
            ("failed here", None),
            ("failed there", None),
            ("there", Some(seen(1, 0, Some(7), 2))),
        ]);
        assert_eq!(all, expected);
        let stored = serde_json::to_string(&all).unwrap();
        assert_eq!(serde_json::from_str::<SeenByItem>(&stored).unwrap(), all);
        // What is not seen takes no room.
        assert_eq!(serde_json::to_string(&Seen::default()).unwrap(), "{}");
    }
}
