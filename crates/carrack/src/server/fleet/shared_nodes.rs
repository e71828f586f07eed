//! The nodes that all instances share which have none of their own: `shared-1` and so on. They run
//! the binary of the control process, so a new one of that is what updates them, one after another.

use std::{collections::BTreeSet, sync::Arc};

use base::stdx::with_causes;
use control::{NodeError, NodeName, Nodes as _, Supervisor, Version};
use parking_lot::Mutex;

use super::places::Places;

/// The shared nodes.
pub(super) struct SharedNodes {
    supervisor: Arc<Supervisor>,
    places: Arc<Places>,
    names: Vec<NodeName>,
    version: Version,
    /// Those of which nothing is left to be done, unless they crash.
    settled: Mutex<BTreeSet<NodeName>>,
}

impl SharedNodes {
    pub(super) fn new(
        supervisor: Arc<Supervisor>,
        places: Arc<Places>,
        count: u16,
        version: Version,
    ) -> Self {
        let names = (1..=count).map(|number| NodeName::new(format!("shared-{number}")));
        Self {
            supervisor,
            places,
            names: names.collect(),
            version,
            settled: Mutex::default(),
        }
    }

    /// Makes and starts those that are not there, and restarts with the binary of this process one
    /// that runs an older one. To be called from time to time.
    pub(super) async fn keep(&self) {
        for name in &self.names {
            if self.settled.lock().contains(name) {
                continue;
            }
            match self.keep_one(name).await {
                Ok(true) => _ = self.settled.lock().insert(name.clone()),
                // One at a time is away.
                Ok(false) => return,
                Err(error) => {
                    tracing::error!(error = with_causes(&error), "shared node does not run");
                }
            }
        }
    }

    /// Says whether it serves as it should.
    async fn keep_one(&self, name: &NodeName) -> Result<bool, NodeError> {
        self.places.put(name, None).await?;
        let wanted = self.supervisor.node(name).and_then(|node| node.wanted);
        match wanted {
            // An older control process leaves a newer node alone.
            Some(running) if running >= self.version => {}
            Some(running) => {
                tracing::info!(node = %name, %running, version = %self.version, "updating a node");
                self.supervisor.drain(name).await?;
                self.supervisor.stop(name).await?;
                self.supervisor.start(name, self.version).await?;
            }
            None => self.supervisor.start(name, self.version).await?,
        }
        let seen = self.supervisor.look(name).await;
        if !seen.is_ok_and(|seen| seen.healthy) {
            return Ok(false);
        }
        self.supervisor.admit(name).await?;
        Ok(true)
    }
}
