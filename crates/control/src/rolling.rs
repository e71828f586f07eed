//! Rolling updates: the nodes of an instance are restarted with a newer binary, a few at a time.
//!
//! 1. *lock*: nodes refuse changes of topics and groups. They do already before the task runs.
//! 2. *precheck*: all nodes serve, and are fit for the new version.
//! 3. For each batch of nodes: *drain* (sends go to other nodes), *stop*, *start* the new binary,
//!    *rejoin* once it is healthy.
//! 4. *confirm*: all nodes serve, on the new version.
//! 5. *finalise*: nodes write the new version's format from here on. There is no way back.
//! 6. *unlock*.
//!
//! If anything fails before the fifth step, what was done is undone in the opposite order, so that
//! in the end all nodes serve on the old binary. At no time are more nodes away than one batch.

mod schedule;
mod steps;
#[cfg(test)]
mod tests;

use std::{num::NonZeroUsize, sync::Arc};

use base::{Clock, InstanceId, limits::UPDATE_TASKS_ENDED_MAX};
use store::meta::{MetadataError, MetadataStore};

use self::steps::RollingUpdate;
pub use self::{schedule::Scheduler, steps::UpdateStep};
use crate::{
    DriveError, Nodes, Outcome, StepError, Task, UpdateError, Updates, WorkflowRecord, drive,
    nodes::each, workflow,
};

/// Why an update was left where it is.
#[derive(Debug, thiserror::Error)]
pub enum RollError {
    /// Its workflow cannot be kept.
    #[error(transparent)]
    Drive(#[from] DriveError),
    /// Its task cannot be kept.
    #[error(transparent)]
    Task(#[from] UpdateError),
    /// Its nodes do not take changes of topics and groups again.
    #[error("unlock nodes of instance `{instance}`")]
    Unlock {
        /// The instance.
        instance: InstanceId,
        /// What failed.
        #[source]
        source: StepError,
    },
}

/// Carries update tasks out. What it does is written down, see `workflow.rs`.
pub struct Rollout {
    /// Where workflows are kept.
    pub metadata: Arc<dyn MetadataStore>,
    /// Time.
    pub clock: Arc<dyn Clock>,
    /// The tasks.
    pub updates: Arc<Updates>,
    /// The nodes.
    pub nodes: Arc<dyn Nodes>,
    /// Nodes of an instance that may be away at the same time.
    pub batch_size: NonZeroUsize,
}

impl Rollout {
    /// Begins the update of an instance if it is due, and drives it. `None` where it cannot begin
    /// now: nodes may stay locked then, see [`Rollout::unlock`].
    async fn update(&self, instance: &InstanceId) -> Result<Option<Outcome>, RollError> {
        if self.updates.describe(instance)?.running().is_none() {
            let locked = async {
                // The first step of the update does it again, and fails the update if it cannot.
                if let Err(error) = self.lock(instance, true).await {
                    tracing::warn!(%instance, %error, "nodes not locked yet");
                }
            };
            let task = match self.updates.start(instance, locked).await {
                Ok(task) => task,
                // Somebody changes the instance, or has moved its task.
                Err(UpdateError::Busy { .. } | UpdateError::NotDue { .. }) => return Ok(None),
                Err(error) => return Err(error.into()),
            };
            let number = task.number;
            tracing::info!(%instance, task = number, target = %task.target, "update begins");
        }
        self.carry_out(instance).await.map(Some)
    }

    /// Has the nodes of an instance of which no update runs take changes of topics and groups: a
    /// process that ended before the update began may have left them locked.
    async fn unlock(&self, instance: &InstanceId) -> Result<(), RollError> {
        let unlocked = self.lock(instance, false).await;
        unlocked.map_err(|source| RollError::Unlock {
            instance: instance.clone(),
            source,
        })
    }

    async fn lock(&self, instance: &InstanceId, locked: bool) -> Result<(), StepError> {
        let nodes = self.nodes.list(instance).await?;
        each(&nodes, |node| self.nodes.lock(node, locked)).await
    }

    /// Drives the running task of an instance from wherever it is to its end, or until it is stuck;
    /// then the task stays running, and this may be called again.
    pub async fn carry_out(&self, instance: &InstanceId) -> Result<Outcome, RollError> {
        let record = self.updates.describe(instance)?;
        let Some(task) = record.running() else {
            let instance = instance.clone();
            return Err(UpdateError::NoTask { instance }.into());
        };
        let work = RollingUpdate {
            clock: &*self.clock,
            nodes: &*self.nodes,
            instance,
            from: record.version,
            target: task.target,
        };
        let id = workflow_id(instance, task.number);
        let plan = async {
            let nodes = self.nodes.list(instance).await?;
            Ok(steps::plan(&nodes, self.batch_size))
        };
        let outcome = drive(&*self.metadata, &*self.clock, &id, &work, plan).await?;
        match &outcome {
            Outcome::Succeeded => self.updates.succeed(instance).await?,
            Outcome::Undone { reason } => self.updates.fail(instance, reason).await?,
            Outcome::Stuck { .. } => return Ok(outcome),
        }
        // The task that is forgotten by now has a workflow too.
        if let Some(number) = task.number.checked_sub(UPDATE_TASKS_ENDED_MAX as u64) {
            let id = workflow_id(instance, number);
            let forgotten = workflow::forget(&*self.metadata, &id).await;
            forgotten.map_err(DriveError::metadata(&id))?;
        }
        Ok(outcome)
    }

    /// How far a task of an instance is, step by step; `None` before it has begun.
    pub async fn progress(
        &self,
        instance: &InstanceId,
        task: &Task,
    ) -> Result<Option<WorkflowRecord<UpdateStep>>, MetadataError> {
        WorkflowRecord::read(&*self.metadata, &workflow_id(instance, task.number)).await
    }
}

fn workflow_id(instance: &InstanceId, task_number: u64) -> String {
    format!("update-{instance}-{task_number}")
}
