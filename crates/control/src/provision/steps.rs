//! The steps by which instances with nodes of their own come, change and go.

use std::{fmt, time::Duration};

use base::limits::{NODE_EMPTIED_LOOKS, NODE_HEALTHY_MS_MAX};
use futures::future::{BoxFuture, FutureExt as _};
use serde::{Deserialize, Serialize};

use super::{Order, OrderKind, Provision};
use crate::{
    NodeName, StepError, Steps, UpdateError, UpdateRecord, Version,
    nodes::{each, write_step},
};

/// Between two looks at a node that is starting, or being emptied.
const LOOK_PAUSE: Duration = Duration::from_millis(250);

/// One step, with all that must be known to carry it out.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
#[serde(tag = "do", rename_all = "lowercase")]
pub enum ProvisionStep {
    /// Give nodes their places.
    Make {
        /// Which.
        nodes: Vec<NodeName>,
    },
    /// Start their processes.
    Start {
        /// Which.
        nodes: Vec<NodeName>,
        /// What they run.
        version: Version,
    },
    /// Wait until they serve.
    Await {
        /// Which.
        nodes: Vec<NodeName>,
        /// What they run.
        version: Version,
    },
    /// Let the instance be updated from now on.
    Register {
        /// What it runs.
        version: Version,
    },
    /// Say that the instance is in service.
    Settle {
        /// With so many nodes.
        count: u16,
    },
    /// Let it be updated no more.
    Unregister,
    /// Take nodes out of the routes for sends.
    Drain {
        /// Which.
        nodes: Vec<NodeName>,
    },
    /// Wait until all that they have was consumed.
    Empty {
        /// Which.
        nodes: Vec<NodeName>,
    },
    /// End their processes.
    Stop {
        /// Which.
        nodes: Vec<NodeName>,
    },
    /// Remove them with all that they have.
    Discard {
        /// Which.
        nodes: Vec<NodeName>,
    },
    /// Remove all else that there is of the instance.
    Remove,
}

impl ProvisionStep {
    fn parts(&self) -> (&'static str, &[NodeName]) {
        match self {
            Self::Make { nodes } => ("make", nodes),
            Self::Start { nodes, .. } => ("start", nodes),
            Self::Await { nodes, .. } => ("await", nodes),
            Self::Register { .. } => ("register", &[]),
            Self::Settle { .. } => ("settle", &[]),
            Self::Unregister => ("unregister", &[]),
            Self::Drain { nodes } => ("drain", nodes),
            Self::Empty { nodes } => ("empty", nodes),
            Self::Stop { nodes } => ("stop", nodes),
            Self::Discard { nodes } => ("discard", nodes),
            Self::Remove => ("remove", &[]),
        }
    }
}

impl fmt::Display for ProvisionStep {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        let (verb, nodes) = self.parts();
        write_step(f, verb, nodes)
    }
}

/// The steps of an order for an instance that has `nodes` now.
pub(super) fn plan(order: &Order, nodes: &[NodeName], version: Version) -> Vec<ProvisionStep> {
    let wanted = usize::from(order.nodes);
    let mut steps = Vec::new();
    match order.kind {
        OrderKind::Create | OrderKind::Change if nodes.len() > wanted => {
            // The youngest go.
            let mut by_number = nodes.to_vec();
            by_number.sort_by_key(number);
            let nodes = by_number.split_off(wanted);
            steps.extend([
                ProvisionStep::Drain {
                    nodes: nodes.clone(),
                },
                ProvisionStep::Empty {
                    nodes: nodes.clone(),
                },
                ProvisionStep::Stop {
                    nodes: nodes.clone(),
                },
                ProvisionStep::Discard { nodes },
            ]);
        }
        OrderKind::Create | OrderKind::Change => {
            let nodes = new_names(order, nodes);
            if !nodes.is_empty() {
                steps.extend([
                    ProvisionStep::Make {
                        nodes: nodes.clone(),
                    },
                    ProvisionStep::Start {
                        nodes: nodes.clone(),
                        version,
                    },
                    ProvisionStep::Await { nodes, version },
                ]);
            }
        }
        OrderKind::Release => {
            let nodes = nodes.to_vec();
            steps.extend([
                ProvisionStep::Unregister,
                ProvisionStep::Stop {
                    nodes: nodes.clone(),
                },
                ProvisionStep::Discard { nodes },
                ProvisionStep::Remove,
            ]);
            return steps;
        }
    }
    if order.kind == OrderKind::Create {
        steps.push(ProvisionStep::Register { version });
    }
    steps.push(ProvisionStep::Settle { count: order.nodes });
    steps
}

/// The last number in a name.
fn number(node: &NodeName) -> u32 {
    let last = node.as_str().rsplit('-').next();
    last.and_then(|digits| digits.parse().ok()).unwrap_or(0)
}

/// Names of nodes that are missing, numbered on from those that there are.
fn new_names(order: &Order, nodes: &[NodeName]) -> Vec<NodeName> {
    let missing = u32::from(order.nodes).saturating_sub(nodes.len() as u32);
    let last = nodes.iter().map(number).max().unwrap_or(0);
    let numbers = last + 1..=last + missing;
    let name = |number| NodeName::new(format!("{}-{number}", order.instance));
    numbers.map(name).collect()
}

/// Carrying out an order.
pub(super) struct Work<'a> {
    pub(super) provision: &'a Provision,
    pub(super) order: &'a Order,
}

impl Steps for Work<'_> {
    type Step = ProvisionStep;

    fn carry_out<'a>(&'a self, step: &'a ProvisionStep) -> BoxFuture<'a, Result<(), StepError>> {
        self.one(step).boxed()
    }

    fn undo<'a>(&'a self, _: &'a ProvisionStep) -> BoxFuture<'a, Result<(), StepError>> {
        async { Err(StepError::Never("there is no way back".to_owned())) }.boxed()
    }

    fn is_final(&self, _: &ProvisionStep) -> bool {
        true
    }
}

impl Work<'_> {
    async fn one(&self, step: &ProvisionStep) -> Result<(), StepError> {
        let instance = &self.order.instance;
        let Provision {
            updates,
            nodes: running,
            grounds,
            orders,
            zone,
            ..
        } = self.provision;
        match step {
            ProvisionStep::Make { nodes } => {
                // One after the other: each takes a place that the next one must not have.
                for node in nodes {
                    grounds.make(node, instance).await?;
                }
                Ok(())
            }
            ProvisionStep::Start { nodes, version } => {
                each(nodes, |node| running.start(node, *version)).await
            }
            ProvisionStep::Await { nodes, version } => self.await_health(nodes, *version).await,
            ProvisionStep::Register { version } => {
                let record = UpdateRecord::new(instance.clone(), true, *version, zone.clone());
                match updates.register(record).await {
                    Ok(()) | Err(UpdateError::AlreadyRegistered { .. }) => Ok(()),
                    Err(error) => Err(StepError::Again(base::stdx::with_causes(&error))),
                }
            }
            ProvisionStep::Settle { count } => orders
                .settle(instance, *count)
                .await
                .map_err(StepError::Again),
            ProvisionStep::Unregister => match updates.remove(instance).await {
                Ok(()) | Err(UpdateError::NotFound { .. }) => Ok(()),
                Err(error) => Err(StepError::Again(base::stdx::with_causes(&error))),
            },
            ProvisionStep::Drain { nodes } => each(nodes, |node| running.drain(node)).await,
            ProvisionStep::Empty { nodes } => self.await_empty(nodes).await,
            ProvisionStep::Stop { nodes } => each(nodes, |node| running.stop(node)).await,
            ProvisionStep::Discard { nodes } => each(nodes, |node| grounds.discard(node)).await,
            ProvisionStep::Remove => orders.remove(instance).await.map_err(StepError::Again),
        }
    }

    /// Waits until all of `nodes` are healthy on `version`, for a bounded time.
    async fn await_health(&self, nodes: &[NodeName], version: Version) -> Result<(), StepError> {
        let clock = &self.provision.clock;
        let limit = Duration::from_millis(NODE_HEALTHY_MS_MAX);
        let began = clock.elapsed();
        'nodes: for node in nodes {
            loop {
                let reason = match self.provision.nodes.look(node).await {
                    Ok(seen) if seen.version == version && seen.healthy => continue 'nodes,
                    Ok(seen) => format!(
                        "node `{node}` runs `{}`, healthy: {}, expected `{version}`",
                        seen.version, seen.healthy
                    ),
                    Err(error) if !error.again => return Err(error.into()),
                    Err(error) => error.to_string(),
                };
                self.expect_due()?;
                if clock.elapsed().saturating_sub(began) >= limit {
                    return Err(StepError::Again(reason));
                }
                clock.sleep(LOOK_PAUSE).await;
            }
        }
        Ok(())
    }

    /// Waits until all that `nodes` have was consumed. A sender who has not looked at its routes
    /// anew may still send there, and what it sends would be lost.
    async fn await_empty(&self, nodes: &[NodeName]) -> Result<(), StepError> {
        let clock = &self.provision.clock;
        clock.sleep(self.provision.routes_kept).await;
        for node in nodes {
            let mut looks = 0;
            // More than once: a message may be on its way from one topic to another.
            while looks < NODE_EMPTIED_LOOKS {
                if self.provision.grounds.is_empty(node).await? {
                    looks += 1;
                } else {
                    looks = 0;
                    self.expect_due()?;
                }
                clock.sleep(LOOK_PAUSE).await;
            }
        }
        Ok(())
    }

    /// Gives up what nobody wants any more: the instance is released meanwhile.
    fn expect_due(&self) -> Result<(), StepError> {
        let due = self.provision.orders.due();
        if due.contains(self.order) {
            return Ok(());
        }
        Err(StepError::Never("it is not ordered any more".to_owned()))
    }
}
