//! Instances with nodes of their own: made, given more or fewer nodes, and released.
//!
//! What is to be done is in the record of the instance ([`Order`]), which whoever asked for it has
//! written before he had an answer. What was done is a durable workflow (`workflow.rs`), begun as
//! soon as somebody looks at the records. So nothing is lost between the two, and nothing is ever
//! taken back: a step that keeps failing is tried again after a pause, until the operator has
//! mended what is wrong or the instance is released.
//!
//! | order | steps |
//! | --- | --- |
//! | create | *make* nodes, *start* them, *await* them, *register* the version, *settle* |
//! | more nodes | *make*, *start*, *await*, *settle* |
//! | fewer nodes | *drain*, *empty*, *stop*, *discard*, *settle* |
//! | release | *unregister*, *stop*, *discard*, *remove* |
//!
//! | workflow | |
//! | --- | --- |
//! | `create-<instance>`, `change-<instance>`, `release-<instance>` | forgotten at the end |

mod schedule;
mod steps;
#[cfg(test)]
mod tests;

use std::{sync::Arc, time::Duration};

use base::{Clock, InstanceId};
use futures::future::BoxFuture;
use store::meta::{MetadataError, MetadataStore};

use self::steps::Work;
pub use self::{schedule::Provisioner, steps::ProvisionStep};
use crate::{
    DriveError, NodeError, NodeName, Nodes, Operation, Outcome, Updates, Version, WorkflowRecord,
    Zone, drive, workflow,
};

/// What is to be done about an instance with nodes of its own.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Order {
    /// The instance.
    pub instance: InstanceId,
    /// What.
    pub kind: OrderKind,
    /// How many nodes it is to have in the end.
    pub nodes: u16,
}

/// What can be done about an instance.
#[derive(Clone, Copy, Debug, PartialEq, Eq, PartialOrd, Ord)]
pub enum OrderKind {
    /// It is new and has no nodes yet.
    Create,
    /// It is to have another number of nodes.
    Change,
    /// It is to go, with all that it has.
    Release,
}

/// Whoever keeps the records of instances. Everything here can be repeated.
pub trait Orders: Send + Sync {
    /// All that is to be done, by what the records say now.
    fn due(&self) -> Vec<Order>;

    /// Writes down that the instance is in service, if so many nodes are what is ordered still.
    fn settle<'a>(
        &'a self,
        instance: &'a InstanceId,
        nodes: u16,
    ) -> BoxFuture<'a, Result<(), String>>;

    /// Removes all that there is of a released instance, its record last.
    fn remove<'a>(&'a self, instance: &'a InstanceId) -> BoxFuture<'a, Result<(), String>>;
}

/// Whoever makes nodes and takes them out for good. Everything here can be repeated.
pub trait Grounds: Send + Sync {
    /// Gives a node of `instance` a place (a folder, a port), and takes it on record.
    fn make<'a>(
        &'a self,
        node: &'a NodeName,
        instance: &'a InstanceId,
    ) -> BoxFuture<'a, Result<(), NodeError>>;

    /// Whether all groups have consumed all that the node has.
    fn is_empty<'a>(&'a self, node: &'a NodeName) -> BoxFuture<'a, Result<bool, NodeError>>;

    /// Removes a node that does not run, with all that it has; its place is free again.
    fn discard<'a>(&'a self, node: &'a NodeName) -> BoxFuture<'a, Result<(), NodeError>>;
}

/// How an order ended.
#[derive(Clone, Debug, PartialEq, Eq)]
pub enum Fulfilment {
    /// It was carried out.
    Done,
    /// The instance is being updated; afterwards.
    Later,
    /// Something keeps failing.
    Stuck {
        /// What.
        reason: String,
    },
}

/// Carries orders out. What it does is written down, see `workflow.rs`.
pub struct Provision {
    /// Where workflows are kept.
    pub metadata: Arc<dyn MetadataStore>,
    /// Time.
    pub clock: Arc<dyn Clock>,
    /// Versions of instances.
    pub updates: Arc<Updates>,
    /// Running nodes.
    pub nodes: Arc<dyn Nodes>,
    /// Making nodes.
    pub grounds: Arc<dyn Grounds>,
    /// The records of instances.
    pub orders: Arc<dyn Orders>,
    /// What nodes of new instances run.
    pub version: Box<dyn Fn() -> Version + Send + Sync>,
    /// Time zone of new instances.
    pub zone: Zone,
    /// How long senders may go by routes that they have asked for before.
    pub routes_kept: Duration,
}

impl OrderKind {
    const ALL: [Self; 3] = [Self::Create, Self::Change, Self::Release];

    fn prefix(self) -> &'static str {
        match self {
            Self::Create => "create-",
            Self::Change => "change-",
            Self::Release => "release-",
        }
    }

    fn workflow_id(self, instance: &InstanceId) -> String {
        format!("{}{instance}", self.prefix())
    }

    fn of_workflow(id: &str) -> Option<(Self, InstanceId)> {
        let kind = Self::ALL
            .into_iter()
            .find(|kind| id.starts_with(kind.prefix()))?;
        let instance = InstanceId::new(&id[kind.prefix().len()..]).ok()?;
        Some((kind, instance))
    }
}

impl Provision {
    /// Drives the workflow of an order from wherever it is to its end, or until it is stuck; then
    /// this may be called again.
    pub async fn carry_out(&self, order: &Order) -> Result<Fulfilment, DriveError> {
        let instance = &order.instance;
        // No update begins among nodes that come and go. A release waits for an update in its first
        // step, and a new instance has none.
        let _permit = match order.kind {
            OrderKind::Change => {
                let permit = self
                    .updates
                    .permit(instance, Operation::ChangeSpecification);
                match permit.await {
                    Ok(permit) => Some(permit),
                    Err(_) => return Ok(Fulfilment::Later),
                }
            }
            OrderKind::Create | OrderKind::Release => None,
        };
        let id = order.kind.workflow_id(instance);
        let plan = async {
            let nodes = self.nodes.list(instance).await?;
            let described = self.updates.describe(instance);
            let version = described.map_or_else(|_| (self.version)(), |record| record.version);
            Ok(steps::plan(order, &nodes, version))
        };
        let work = Work {
            provision: self,
            order,
        };
        match drive(&*self.metadata, &*self.clock, &id, &work, plan).await? {
            Outcome::Succeeded => {}
            // No step is ever taken back, so there is no other end.
            Outcome::Undone { reason } | Outcome::Stuck { reason } => {
                return Ok(Fulfilment::Stuck { reason });
            }
        }
        let ended = match order.kind {
            OrderKind::Release => &OrderKind::ALL[..],
            OrderKind::Create | OrderKind::Change => &[order.kind],
        };
        for kind in ended {
            let id = kind.workflow_id(instance);
            let forgotten = workflow::forget(&*self.metadata, &id).await;
            forgotten.map_err(DriveError::metadata(&id))?;
        }
        Ok(Fulfilment::Done)
    }

    /// How far an order is, step by step; `None` if nothing was begun, or all is done.
    pub async fn progress(
        &self,
        order: &Order,
    ) -> Result<Option<WorkflowRecord<ProvisionStep>>, MetadataError> {
        let id = order.kind.workflow_id(&order.instance);
        WorkflowRecord::read(&*self.metadata, &id).await
    }

    /// Forgets workflows that had ended when the control process did. Those of releases are to be
    /// carried out again: their instances have no record any more that would say so.
    async fn left(&self) -> Result<Vec<Order>, MetadataError> {
        let due = self.orders.due();
        let mut releases = Vec::new();
        for id in workflow::ids(&*self.metadata).await? {
            let Some((kind, instance)) = OrderKind::of_workflow(&id) else {
                continue;
            };
            let is_of = |order: &Order| order.instance == instance && order.kind == kind;
            if due.iter().any(is_of) {
                continue;
            }
            if kind == OrderKind::Release {
                releases.push(Order {
                    instance,
                    kind,
                    nodes: 0,
                });
            } else {
                workflow::forget(&*self.metadata, &id).await?;
            }
        }
        Ok(releases)
    }
}
