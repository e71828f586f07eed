//! What the fleet asks of its nodes.

use std::{sync::Arc, time::Duration};

use broker::NodeState;
use control::{NodeCalls, NodeRecord, Updates};
use futures::future::{BoxFuture, FutureExt as _};

use super::cluster::ClusterNodes;

/// How long a node may take to accept a connection.
const CONNECT_SECONDS_MAX: u64 = 2;

/// Wishes in the metadata, and a look at whether the node listens.
pub(super) struct Wishes {
    pub(super) cluster: ClusterNodes,
    pub(super) updates: Arc<Updates>,
    /// How long senders have to go elsewhere.
    pub(super) drain: Duration,
    /// Where nodes listen.
    pub(super) host: String,
}

impl Wishes {
    async fn listens(&self, node: &NodeRecord) -> bool {
        let connecting = tokio::net::TcpStream::connect((self.host.as_str(), node.port));
        let limit = self
            .cluster
            .clock
            .sleep(Duration::from_secs(CONNECT_SECONDS_MAX));
        tokio::select! {
            connected = connecting => connected.is_ok(),
            () = limit => false,
        }
    }

    /// Why changes are refused while the instance of the node is updated.
    fn reason(&self, node: &NodeRecord) -> String {
        let record = node.instance.as_ref().map(|id| self.updates.describe(id));
        let record = record.and_then(Result::ok);
        // It is about to run where it does not yet.
        let task = record.as_deref().and_then(|record| record.open.as_ref());
        match (&node.instance, task) {
            (Some(instance), Some(task)) => format!(
                "instance `{instance}` is being updated to `{}` by update task {}, expected to be \
                 repeated when that has ended",
                task.target, task.number
            ),
            _ => "the node is being updated".to_owned(),
        }
    }
}

impl NodeCalls for Wishes {
    fn is_healthy<'a>(&'a self, node: &'a NodeRecord) -> BoxFuture<'a, Result<bool, String>> {
        async move {
            let state = self.cluster.state(&node.name);
            // What the process before this one said stays for as long as its lease.
            Ok(state.is_some_and(|state| state.healthy) && self.listens(node).await)
        }
        .boxed()
    }

    fn drain<'a>(&'a self, node: &'a NodeRecord) -> BoxFuture<'a, Result<(), String>> {
        async move {
            let name = &node.name;
            self.cluster.wish(name, |wish| wish.sends = false).await?;
            self.cluster.await_state(name, |state| !state.sends).await?;
            self.cluster.await_deserted(name, self.drain).await;
            Ok(())
        }
        .boxed()
    }

    fn admit<'a>(&'a self, node: &'a NodeRecord) -> BoxFuture<'a, Result<(), String>> {
        async move {
            let name = &node.name;
            self.cluster.wish(name, |wish| wish.sends = true).await?;
            self.cluster.await_state(name, |state| state.sends).await
        }
        .boxed()
    }

    fn lock<'a>(&'a self, node: &'a NodeRecord, locked: bool) -> BoxFuture<'a, Result<(), String>> {
        async move {
            let (name, lock) = (&node.name, locked.then(|| self.reason(node)));
            let wished = self.cluster.wish(name, |wish| wish.lock.clone_from(&lock));
            wished.await?;
            // One that does not run finds the wish when it starts.
            if !self.listens(node).await {
                return Ok(());
            }
            let is_so = |state: &NodeState| state.lock == lock;
            self.cluster.await_state(name, is_so).await
        }
        .boxed()
    }
}
