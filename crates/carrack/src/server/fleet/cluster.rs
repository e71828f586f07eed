//! What nodes of the fleet say of themselves, and what they are wished to do.

use std::{sync::Arc, time::Duration};

use base::{Clock, stdx::with_causes};
use broker::{NodeState, NodeWish, Nodes};
use control::NodeName;

/// Between two looks at what a node says.
const LOOK_PAUSE: Duration = Duration::from_millis(100);

/// How long a node may take to do as wished. It hears of it at once.
const WISH_TIME_MAX: Duration = Duration::from_secs(15);

/// The nodes as the metadata has them.
#[derive(Clone)]
pub(super) struct ClusterNodes {
    pub(super) nodes: Arc<Nodes>,
    pub(super) clock: Arc<dyn Clock>,
}

impl ClusterNodes {
    /// What a node says of itself; `None` if it says nothing.
    pub(super) fn state(&self, name: &NodeName) -> Option<NodeState> {
        let mut nodes = self.nodes.all().into_iter();
        let named = nodes.find(|peer| peer.record.name == name.as_str());
        named.and_then(|peer| peer.state)
    }

    /// Wishes something of a node.
    pub(super) async fn wish(
        &self,
        name: &NodeName,
        change: impl Fn(&mut NodeWish) + Send + Sync,
    ) -> Result<(), String> {
        let wished = self.nodes.wish(name.as_str(), change).await;
        wished.map_err(|error| with_causes(&error))
    }

    /// Waits until what a node says is as it was wished, for a bounded time.
    pub(super) async fn await_state(
        &self,
        name: &NodeName,
        is_so: impl Fn(&NodeState) -> bool,
    ) -> Result<(), String> {
        if self.wait(name, WISH_TIME_MAX, is_so).await {
            return Ok(());
        }
        let state = self.state(name);
        Err(format!(
            "it says {state:?} of itself, not what was wished, after {WISH_TIME_MAX:?}"
        ))
    }

    /// Waits until senders have forgotten a node that is out of the routes for sends, for a bounded
    /// time.
    pub(super) async fn await_deserted(&self, name: &NodeName, limit: Duration) {
        let is_deserted = |state: &NodeState| !state.sends && state.deserted;
        self.wait(name, limit, is_deserted).await;
    }

    async fn wait(
        &self,
        name: &NodeName,
        limit: Duration,
        is_so: impl Fn(&NodeState) -> bool,
    ) -> bool {
        let began = self.clock.elapsed();
        loop {
            if self.state(name).as_ref().is_some_and(&is_so) {
                return true;
            }
            if self.clock.elapsed().saturating_sub(began) >= limit {
                return false;
            }
            self.clock.sleep(LOOK_PAUSE).await;
        }
    }

    /// Forgets a node; none is a success.
    pub(super) async fn forget(&self, name: &NodeName) -> Result<(), String> {
        let forgotten = self.nodes.forget(name.as_str()).await;
        forgotten.map_err(|error| with_causes(&error))
    }

    /// Whether all that a node has was consumed, as far as it knows.
    pub(super) fn is_empty(&self, name: &NodeName) -> bool {
        let state = self.state(name);
        state.and_then(|state| state.unconsumed) == Some(0)
    }
}
