//! The steps of a rolling update.

use std::{fmt, num::NonZeroUsize, time::Duration};

use base::{Clock, InstanceId, limits::NODE_HEALTHY_MS_MAX};
use futures::future::{BoxFuture, FutureExt as _};
use serde::{Deserialize, Serialize};

use crate::{
    NodeName, Nodes, StepError, Steps, Version,
    nodes::{each, write_step},
};

/// Between two looks at a node that is starting.
const LOOK_PAUSE: Duration = Duration::from_millis(500);

/// One step of a rolling update, with the nodes it is about.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
#[serde(tag = "do", content = "nodes", rename_all = "lowercase")]
pub enum UpdateStep {
    /// Have changes of topics and groups refused.
    Lock(Vec<NodeName>),
    /// See that all nodes serve and are fit for the new version.
    Precheck(Vec<NodeName>),
    /// Take a batch out of the routes for sends.
    Drain(Vec<NodeName>),
    /// End its processes.
    Stop(Vec<NodeName>),
    /// Start them with the new binary.
    Start(Vec<NodeName>),
    /// Put them into the routes again once they are healthy.
    Rejoin(Vec<NodeName>),
    /// See that all nodes serve, on the new version.
    Confirm(Vec<NodeName>),
    /// Raise the format: the point of no return.
    Finalise(Vec<NodeName>),
    /// Take changes of topics and groups again.
    Unlock(Vec<NodeName>),
}

impl UpdateStep {
    /// The nodes it is about.
    pub fn nodes(&self) -> &[NodeName] {
        match self {
            Self::Precheck(nodes)
            | Self::Lock(nodes)
            | Self::Drain(nodes)
            | Self::Stop(nodes)
            | Self::Start(nodes)
            | Self::Rejoin(nodes)
            | Self::Confirm(nodes)
            | Self::Finalise(nodes)
            | Self::Unlock(nodes) => nodes,
        }
    }
}

impl fmt::Display for UpdateStep {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        let verb = match self {
            Self::Precheck(_) => "precheck",
            Self::Lock(_) => "lock",
            Self::Drain(_) => "drain",
            Self::Stop(_) => "stop",
            Self::Start(_) => "start",
            Self::Rejoin(_) => "rejoin",
            Self::Confirm(_) => "confirm",
            Self::Finalise(_) => "finalise",
            Self::Unlock(_) => "unlock",
        };
        write_step(f, verb, self.nodes())
    }
}

/// The steps that update `nodes`, so many at a time.
pub(super) fn plan(nodes: &[NodeName], batch_size: NonZeroUsize) -> Vec<UpdateStep> {
    let all = nodes.to_vec();
    let mut steps = vec![
        UpdateStep::Lock(all.clone()),
        UpdateStep::Precheck(all.clone()),
    ];
    for batch in nodes.chunks(batch_size.get()) {
        steps.extend([
            UpdateStep::Drain(batch.to_vec()),
            UpdateStep::Stop(batch.to_vec()),
            UpdateStep::Start(batch.to_vec()),
            UpdateStep::Rejoin(batch.to_vec()),
        ]);
    }
    steps.extend([
        UpdateStep::Confirm(all.clone()),
        UpdateStep::Finalise(all.clone()),
        UpdateStep::Unlock(all),
    ]);
    steps
}

/// An update of one instance from one version to another.
pub(super) struct RollingUpdate<'a> {
    pub(super) clock: &'a dyn Clock,
    pub(super) nodes: &'a dyn Nodes,
    pub(super) instance: &'a InstanceId,
    pub(super) from: Version,
    pub(super) target: Version,
}

impl Steps for RollingUpdate<'_> {
    type Step = UpdateStep;

    fn carry_out<'a>(&'a self, step: &'a UpdateStep) -> BoxFuture<'a, Result<(), StepError>> {
        async move {
            match step {
                UpdateStep::Precheck(nodes) => {
                    if nodes.is_empty() {
                        let text = format!("instance `{}` has no nodes", self.instance);
                        return Err(StepError::Never(text));
                    }
                    self.expect_all(nodes, self.from).await?;
                    each(nodes, |node| self.nodes.precheck(node, self.target)).await
                }
                UpdateStep::Lock(nodes) => each(nodes, |node| self.nodes.lock(node, true)).await,
                UpdateStep::Drain(nodes) => each(nodes, |node| self.nodes.drain(node)).await,
                UpdateStep::Stop(nodes) => each(nodes, |node| self.nodes.stop(node)).await,
                UpdateStep::Start(nodes) => {
                    each(nodes, |node| self.nodes.start(node, self.target)).await
                }
                UpdateStep::Rejoin(nodes) => {
                    self.await_health(nodes, self.target).await?;
                    each(nodes, |node| self.nodes.admit(node)).await
                }
                UpdateStep::Confirm(nodes) => self.expect_all(nodes, self.target).await,
                UpdateStep::Finalise(nodes) => {
                    each(nodes, |node| self.nodes.finalise(node, self.target)).await?;
                    self.expect_format(nodes).await
                }
                UpdateStep::Unlock(nodes) => each(nodes, |node| self.nodes.lock(node, false)).await,
            }
        }
        .boxed()
    }

    fn undo<'a>(&'a self, step: &'a UpdateStep) -> BoxFuture<'a, Result<(), StepError>> {
        async move {
            match step {
                UpdateStep::Lock(nodes) => each(nodes, |node| self.nodes.lock(node, false)).await,
                UpdateStep::Drain(nodes) => each(nodes, |node| self.nodes.admit(node)).await,
                UpdateStep::Stop(nodes) => {
                    each(nodes, |node| self.nodes.start(node, self.from)).await?;
                    self.await_health(nodes, self.from).await
                }
                UpdateStep::Start(nodes) => each(nodes, |node| self.nodes.stop(node)).await,
                UpdateStep::Rejoin(nodes) => each(nodes, |node| self.nodes.drain(node)).await,
                UpdateStep::Precheck(_) | UpdateStep::Confirm(_) => Ok(()),
                UpdateStep::Finalise(_) | UpdateStep::Unlock(_) => {
                    Err(StepError::Never("there is no way back".to_owned()))
                }
            }
        }
        .boxed()
    }

    fn is_final(&self, step: &UpdateStep) -> bool {
        matches!(step, UpdateStep::Finalise(_))
    }
}

impl RollingUpdate<'_> {
    /// All of `nodes` are healthy on `version` now.
    async fn expect_all(&self, nodes: &[NodeName], version: Version) -> Result<(), StepError> {
        for node in nodes {
            let seen = self.nodes.look(node).await?;
            if seen.version != version {
                return Err(StepError::Never(format!(
                    "node `{node}` runs `{}`, expected `{version}`",
                    seen.version
                )));
            }
            if !seen.healthy {
                return Err(StepError::Again(format!("node `{node}` is not healthy")));
            }
        }
        Ok(())
    }

    async fn expect_format(&self, nodes: &[NodeName]) -> Result<(), StepError> {
        for node in nodes {
            let seen = self.nodes.look(node).await?;
            if seen.format < Some(self.target) {
                return Err(StepError::Again(format!(
                    "data of node `{node}` is not raised to `{}`",
                    self.target
                )));
            }
        }
        Ok(())
    }

    /// Waits until all of `nodes` are healthy on `version`, for a bounded time.
    async fn await_health(&self, nodes: &[NodeName], version: Version) -> Result<(), StepError> {
        let limit = Duration::from_millis(NODE_HEALTHY_MS_MAX);
        let began = self.clock.elapsed();
        loop {
            let error = match self.expect_all(nodes, version).await {
                Err(StepError::Again(reason)) => reason,
                done => return done,
            };
            if self.clock.elapsed().saturating_sub(began) >= limit {
                let waited = limit.as_secs();
                return Err(StepError::Never(format!("{error} after {waited} s")));
            }
            self.clock.sleep(LOOK_PAUSE).await;
        }
    }
}
