//! The nodes of an instance, as far as the control process acts on them.

use std::fmt;

use base::InstanceId;
use futures::future::{BoxFuture, join_all};
use serde::{Deserialize, Serialize};

use crate::{StepError, Version};

/// A node by its name, which it keeps across restarts.
#[derive(Clone, Debug, PartialEq, Eq, PartialOrd, Ord, Hash, Serialize, Deserialize)]
pub struct NodeName(String);

impl NodeName {
    /// Wraps a name that whoever runs the nodes has given.
    pub fn new(name: impl Into<String>) -> Self {
        Self(name.into())
    }

    /// The name.
    pub fn as_str(&self) -> &str {
        &self.0
    }
}

impl fmt::Display for NodeName {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str(&self.0)
    }
}

/// What a node says of itself.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct Node {
    /// The version of its binary.
    pub version: Version,
    /// The version to which its data was raised, if it ever was. An older binary cannot open it.
    pub format: Option<Version>,
    /// Whether it has recovered and could serve.
    pub healthy: bool,
}

/// Why something could not be done to a node.
#[derive(Clone, Debug, PartialEq, Eq, thiserror::Error)]
#[error("node `{node}`: {reason}")]
pub struct NodeError {
    /// The node.
    pub node: NodeName,
    /// What went wrong.
    pub reason: String,
    /// Whether it may go well after a pause.
    pub again: bool,
}

impl From<NodeError> for StepError {
    fn from(error: NodeError) -> Self {
        if error.again {
            Self::Again(error.to_string())
        } else {
            Self::Never(error.to_string())
        }
    }
}

/// Does something to all of `nodes` at once, as part of a step. All are done with when this
/// returns, and one that fails for good counts before one that may be tried again.
pub(crate) async fn each<'a>(
    nodes: &'a [NodeName],
    act: impl Fn(&'a NodeName) -> BoxFuture<'a, Result<(), NodeError>>,
) -> Result<(), StepError> {
    let outcomes = join_all(nodes.iter().map(act)).await;
    let errors = outcomes.into_iter().filter_map(Result::err);
    // Of those that are alike it is the first.
    let worst = errors.min_by_key(|error| error.again);
    worst.map_or(Ok(()), |error| Err(error.into()))
}

/// Writes what a step does, and to which nodes if to any: `drain node-1, node-2`.
pub(crate) fn write_step(
    f: &mut fmt::Formatter<'_>,
    verb: &str,
    nodes: &[NodeName],
) -> fmt::Result {
    f.write_str(verb)?;
    for (index, node) in nodes.iter().enumerate() {
        write!(f, "{}{node}", if index == 0 { " " } else { ", " })?;
    }
    Ok(())
}

/// Whoever runs the nodes of instances. Everything here can be repeated: asked for what is so
/// already, it does nothing and succeeds. A call that was given up half-way, because the control
/// process ended, must not take effect after a later call was answered.
pub trait Nodes: Send + Sync {
    /// The nodes of an instance, in a fixed order.
    fn list<'a>(
        &'a self,
        instance: &'a InstanceId,
    ) -> BoxFuture<'a, Result<Vec<NodeName>, NodeError>>;

    /// Whether the node can be started with that version: its binary is there and fits, and so does
    /// the disk.
    fn precheck<'a>(
        &'a self,
        node: &'a NodeName,
        version: Version,
    ) -> BoxFuture<'a, Result<(), NodeError>>;

    /// Makes the node refuse changes of topics and groups, or take them again. A restart keeps it.
    fn lock<'a>(&'a self, node: &'a NodeName, locked: bool)
    -> BoxFuture<'a, Result<(), NodeError>>;

    /// Takes the node out of the routes for sends and waits, for a bounded time, until what it has
    /// in hand is finished. Succeeds if it does not run.
    fn drain<'a>(&'a self, node: &'a NodeName) -> BoxFuture<'a, Result<(), NodeError>>;

    /// Puts the node into the routes again.
    fn admit<'a>(&'a self, node: &'a NodeName) -> BoxFuture<'a, Result<(), NodeError>>;

    /// Stops the node's process, and returns when it has ended.
    fn stop<'a>(&'a self, node: &'a NodeName) -> BoxFuture<'a, Result<(), NodeError>>;

    /// Starts the node's process with the binary of that version, outside the routes. An error if
    /// it runs another one.
    fn start<'a>(
        &'a self,
        node: &'a NodeName,
        version: Version,
    ) -> BoxFuture<'a, Result<(), NodeError>>;

    /// What the node says of itself; an error if it does not answer.
    fn look<'a>(&'a self, node: &'a NodeName) -> BoxFuture<'a, Result<Node, NodeError>>;

    /// Makes the node write that version's format from now on; durable when it returns.
    fn finalise<'a>(
        &'a self,
        node: &'a NodeName,
        version: Version,
    ) -> BoxFuture<'a, Result<(), NodeError>>;
}

#[cfg(test)]
mod tests {
    use futures::FutureExt as _;

    use super::*;

    #[test]
    fn a_node_that_fails_for_good_counts_before_those_that_may_be_tried_again() {
        let nodes = ["n0", "n1", "n2"].map(NodeName::new);
        let fail = |again: fn(&NodeName) -> bool| {
            let failing = each(&nodes, move |node| {
                let error = NodeError {
                    node: node.clone(),
                    reason: "failed".to_owned(),
                    again: again(node),
                };
                async { Err(error) }.boxed()
            });
            failing.now_or_never().unwrap().unwrap_err()
        };
        let first = StepError::Again("node `n0`: failed".to_owned());
        assert_eq!(fail(|_| true), first);
        let worst = StepError::Never("node `n1`: failed".to_owned());
        assert_eq!(fail(|node| node.as_str() != "n1"), worst);
    }
}
