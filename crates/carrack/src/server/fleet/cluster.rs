//! What nodes of the fleet say of themselves in the metadata that all share, and what they are
//! wished to do.

use std::{sync::Arc, time::Duration};

use base::{Clock, stdx::with_causes};
use broker::{Nodes, Peer};
use control::NodeName;
use serde::{Deserialize, Serialize};
use store::meta::{Expected, MetadataError, MetadataStore};

/// How often a change is tried again because somebody else was faster.
const ATTEMPTS: usize = 8;

/// Between two looks at what a node says.
const LOOK_PAUSE: Duration = Duration::from_millis(100);

/// What a node is wished to do: `nodes/wanted/<name>`.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
#[serde(default)]
pub(super) struct Wish {
    /// Whether it is in the routes for sends.
    pub(super) sends: bool,
    /// Why it refuses changes of topics and groups, if it does.
    pub(super) lock: Option<String>,
}

impl Default for Wish {
    fn default() -> Self {
        Self {
            sends: true,
            lock: None,
        }
    }
}

/// What a node says of itself: `nodes/live/<number>`.
#[derive(Clone, Debug, PartialEq, Eq, Deserialize)]
pub(super) struct Live {
    /// As wished.
    #[serde(default = "yes")]
    pub(super) sends: bool,
    /// As wished.
    #[serde(default)]
    pub(super) lock: Option<String>,
    /// Whether it serves.
    #[serde(default = "yes")]
    pub(super) healthy: bool,
}

impl Default for Live {
    fn default() -> Self {
        Self {
            sends: true,
            lock: None,
            healthy: true,
        }
    }
}

fn yes() -> bool {
    true
}

/// The keys of nodes.
#[derive(Clone)]
pub(super) struct ClusterKeys {
    pub(super) metadata: Arc<dyn MetadataStore>,
    pub(super) nodes: Arc<Nodes>,
    pub(super) clock: Arc<dyn Clock>,
}

impl ClusterKeys {
    /// What the cluster knows of a node.
    pub(super) fn peer(&self, name: &NodeName) -> Option<Peer> {
        let mut nodes = self.nodes.all().into_iter();
        nodes.find(|peer| peer.record.name == name.as_str())
    }

    /// What a node says of itself now; `None` if it says nothing.
    pub(super) async fn live(&self, name: &NodeName) -> Result<Option<Live>, String> {
        let Some(peer) = self.peer(name) else {
            return Ok(None);
        };
        let key = format!("nodes/live/{}", peer.record.number);
        let found = self.metadata.get(&key).await;
        let found = found.map_err(|error| with_causes(&error))?;
        let Some(entry) = found else { return Ok(None) };
        // One of an older release says nothing but its name.
        let live = serde_json::from_slice(&entry.value);
        Ok(Some(live.unwrap_or_default()))
    }

    /// Wishes something of a node.
    pub(super) async fn wish(
        &self,
        name: &NodeName,
        change: impl Fn(&mut Wish),
    ) -> Result<(), String> {
        let key = format!("nodes/wanted/{name}");
        for _ in 0..ATTEMPTS {
            let found = self.metadata.get(&key).await;
            let found = found.map_err(|error| with_causes(&error))?;
            let (expected, before) = match found {
                None => (Expected::Absent, Wish::default()),
                Some(entry) => {
                    let wish = serde_json::from_slice(&entry.value);
                    let wish =
                        wish.map_err(|error| format!("key `{key}` is unreadable: {error}"))?;
                    (Expected::At(entry.revision), wish)
                }
            };
            let mut wish = before.clone();
            change(&mut wish);
            if wish == before {
                return Ok(());
            }
            let value = serde_json::to_vec(&wish).map_err(|error| error.to_string())?;
            let put = self
                .metadata
                .compare_and_set(&key, expected, Some(value.into()), None);
            match put.await {
                Err(MetadataError::Conflict { .. }) => {}
                put => return put.map(drop).map_err(|error| with_causes(&error)),
            }
        }
        Err(format!("key `{key}` does not stay as it is"))
    }

    /// Waits until what a node says is so, for a bounded time.
    pub(super) async fn await_live(
        &self,
        name: &NodeName,
        limit: Duration,
        is_so: impl Fn(&Live) -> bool,
    ) -> Result<(), String> {
        let began = self.clock.elapsed();
        loop {
            let live = self.live(name).await?;
            if live.as_ref().is_some_and(&is_so) {
                return Ok(());
            }
            if self.clock.elapsed().saturating_sub(began) >= limit {
                return Err(format!(
                    "it says {live:?} of itself, not what was wished, after {limit:?}"
                ));
            }
            self.clock.sleep(LOOK_PAUSE).await;
        }
    }

    /// Waits until nobody sends to a node that is out of the routes for sends, for a bounded time.
    pub(super) async fn await_quiet(&self, name: &NodeName, limit: Duration) {
        let began = self.clock.elapsed();
        let is_quiet = || {
            let state = self.peer(name).and_then(|peer| peer.state);
            state.is_some_and(|state| !state.sends && state.quiet)
        };
        while !is_quiet() && self.clock.elapsed().saturating_sub(began) < limit {
            self.clock.sleep(LOOK_PAUSE).await;
        }
    }

    /// Removes all that there is of a node; none is a success.
    pub(super) async fn forget(&self, name: &NodeName) -> Result<(), String> {
        let live = self.peer(name);
        let live = live.map(|peer| format!("nodes/live/{}", peer.record.number));
        let keys = live.into_iter().chain([
            format!("nodes/wanted/{name}"),
            format!("nodes/known/{name}"),
        ]);
        for key in keys {
            self.remove(&key)
                .await
                .map_err(|error| with_causes(&error))?;
        }
        Ok(())
    }

    async fn remove(&self, key: &str) -> Result<(), MetadataError> {
        for _ in 0..ATTEMPTS {
            let Some(entry) = self.metadata.get(key).await? else {
                return Ok(());
            };
            let expected = Expected::At(entry.revision);
            match self
                .metadata
                .compare_and_set(key, expected, None, None)
                .await
            {
                // It was written, or its lease ended, in this moment.
                Err(MetadataError::Conflict { .. }) => {}
                removed => return removed.map(drop),
            }
        }
        Err(MetadataError::Unavailable {
            operation: "remove",
            reason: format!("key `{key}` does not stay as it is"),
        })
    }

    /// Whether all that a node has was consumed.
    pub(super) async fn is_empty(&self, name: &NodeName) -> Result<bool, String> {
        let state = self.peer(name).and_then(|peer| peer.state);
        Ok(state.and_then(|state| state.unconsumed) == Some(0))
    }
}
