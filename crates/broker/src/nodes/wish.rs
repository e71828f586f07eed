//! What nodes are wished to do, and what they say of themselves. Fields are only ever added, with a
//! default.

use std::collections::BTreeMap;

use base::{InstanceId, limits};
use serde::{Deserialize, Serialize};
use store::meta::{Entry, Expected, MetadataError, MetadataStore, overwrite};

use super::{KNOWN, LIVE, Nodes, WANTED};

/// What a node is wished to do: `nodes/wanted/<name>`. It stays over restarts of the node.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
#[serde(default)]
pub struct NodeWish {
    /// Whether routes offer its queues to write to. Where they do not, it goes on serving what is
    /// stored there, and takes what is sent to it all the same.
    pub sends: bool,
    /// Why the topics and groups of its instances stay as they are now, if they do.
    pub lock: Option<String>,
}

impl Default for NodeWish {
    fn default() -> Self {
        Self {
            sends: true,
            lock: None,
        }
    }
}

/// What a node says of itself, under its lease: `nodes/live/<number>`.
#[derive(Clone, Debug, Default, PartialEq, Eq, Serialize, Deserialize)]
#[serde(default)]
pub struct NodeState {
    /// Its name.
    pub name: String,
    /// Whether it is in the routes for sends: the wish that it knows of.
    pub sends: bool,
    /// Why it refuses changes of topics and groups: the wish that it goes by.
    pub lock: Option<String>,
    /// The instance of its own, once that is open.
    pub instance: Option<String>,
    /// Whether all that it is for is open and served.
    pub healthy: bool,
    /// Of one that is out of the routes for sends: whether none has come for a second.
    pub quiet: bool,
    /// Of the same: whether none has come for 30 s, by when all who sent there have asked for
    /// routes again. What never was sent to since it started counts from then.
    pub deserted: bool,
    /// Of the same: messages stored there that a group has not finished, or whose time or
    /// transaction has not come; `None` while that is not known.
    pub unconsumed: Option<u64>,
}

/// Why a node is not taken out for good.
#[derive(Debug, thiserror::Error)]
pub enum RemoveNodeError {
    /// There is none of that name.
    #[error("node `{name}` not found")]
    NotFound {
        /// The name.
        name: String,
    },
    /// Sends may still go there.
    #[error("node `{name}` is in the routes for sends, drain it first")]
    NotDrained {
        /// The name.
        name: String,
    },
    /// What it has would be lost.
    #[error("node `{name}` has {count} messages that are not consumed, expected none")]
    NotEmpty {
        /// The name.
        name: String,
        /// How many.
        count: u64,
    },
    /// Nobody can say what it has.
    #[error("node `{name}` does not say whether its messages are consumed")]
    Unknown {
        /// The name.
        name: String,
    },
    /// The metadata store did not take it.
    #[error(transparent)]
    Metadata(#[from] MetadataError),
}

impl Nodes {
    /// Wishes something of a node, which need not be there. The same again changes nothing.
    ///
    /// # Errors
    /// When the store cannot be asked.
    pub async fn wish(
        &self,
        name: &str,
        change: impl Fn(&mut NodeWish),
    ) -> Result<(), MetadataError> {
        let metadata = &self.parts.metadata;
        let key = format!("{WANTED}{name}");
        for _ in 0..limits::METADATA_CHANGE_ATTEMPTS_MAX {
            let found = metadata.get(&key).await?;
            let expected = found.as_ref().map(|entry| Expected::At(entry.revision));
            let before = found.map(|entry| read_wish(&entry)).transpose()?;
            let before = before.unwrap_or_default();
            let mut wish = before.clone();
            change(&mut wish);
            if wish == before {
                return Ok(());
            }
            let value = (wish != NodeWish::default()).then(|| {
                serde_json::to_vec(&wish)
                    .expect("plain data becomes JSON")
                    .into()
            });
            let expected = expected.unwrap_or(Expected::Absent);
            match metadata.compare_and_set(&key, expected, value, None).await {
                Err(MetadataError::Conflict { .. }) => {}
                done => return done.map(drop),
            }
        }
        Err(MetadataError::Unavailable {
            operation: "write",
            reason: format!("entry `{key}` does not stay as it is"),
        })
    }

    /// What this node is wished to do; the usual of who is no node.
    pub fn own_wish(&self) -> NodeWish {
        let table = self.table.read();
        let own = self.number().and_then(|number| table.get(&number));
        own.map(|known| known.wish.clone()).unwrap_or_default()
    }

    /// Why topics and groups stay as they are now: of instances with nodes of their own, and with
    /// `None` of those that share nodes.
    pub(super) fn locks(&self) -> BTreeMap<Option<InstanceId>, String> {
        let table = self.table.read();
        let locks = table.values().filter_map(|known| {
            let lock = known.wish.lock.clone()?;
            Some((known.record.instance.clone(), lock))
        });
        locks.collect()
    }

    /// Takes a node out for good: it must be out of the routes for sends, and groups must have
    /// finished all that it has, unless `force` says that this is to be lost. A node that runs ends
    /// by itself, and its folder is refused from then on.
    ///
    /// # Errors
    /// See [`RemoveNodeError`].
    pub async fn remove(&self, name: &str, force: bool) -> Result<(), RemoveNodeError> {
        self.read().await?;
        let all = self.all().into_iter();
        let mut named = all.filter(|peer| peer.record.name == name);
        let name = name.to_owned();
        let Some(peer) = named.next() else {
            return Err(RemoveNodeError::NotFound { name });
        };
        if !force {
            if peer.wish.sends || peer.state.as_ref().is_some_and(|state| state.sends) {
                return Err(RemoveNodeError::NotDrained { name });
            }
            match peer.state.and_then(|state| state.unconsumed) {
                Some(0) => {}
                Some(count) => return Err(RemoveNodeError::NotEmpty { name, count }),
                None => return Err(RemoveNodeError::Unknown { name }),
            }
        }
        self.forget(&name).await?;
        Ok(())
    }

    /// Forgets a node with all that is written of it, whatever it has; none is a success.
    ///
    /// # Errors
    /// When the store cannot be asked.
    pub async fn forget(&self, name: &str) -> Result<(), MetadataError> {
        let metadata = &*self.parts.metadata;
        let all = self.all().into_iter();
        let number = all.filter(|peer| peer.record.name == name);
        let number = number.map(|peer| peer.record.number).next();
        // What makes it a node goes first: whatever of it still runs ends then.
        erase(metadata, &format!("{KNOWN}{name}")).await?;
        if let Some(number) = number {
            erase(metadata, &format!("{LIVE}{number}")).await?;
        }
        erase(metadata, &format!("{WANTED}{name}")).await
    }
}

/// Removes an entry that somebody may be writing.
async fn erase(metadata: &dyn MetadataStore, key: &str) -> Result<(), MetadataError> {
    let mut attempts = 1;
    loop {
        match overwrite(metadata, key, None).await {
            Err(MetadataError::Conflict { .. })
                if attempts < limits::METADATA_CHANGE_ATTEMPTS_MAX =>
            {
                attempts += 1;
            }
            done => return done,
        }
    }
}

pub(super) fn read_wish(entry: &Entry) -> Result<NodeWish, MetadataError> {
    serde_json::from_slice(&entry.value).map_err(|error| entry.unreadable(error))
}

/// What a node says of itself; `None` of one that says its name alone, as older releases do.
pub(super) fn read_state(entry: &Entry) -> Option<NodeState> {
    serde_json::from_slice(&entry.value).ok()
}
