//! Rolling updates: the nodes of an instance are restarted with a newer binary, a few at a time.
//!
//! 1. *precheck*: all nodes serve, and are fit for the new version.
//! 2. *lock*: nodes refuse changes of topics and groups.
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
    DriveError, Nodes, Outcome, Task, UpdateError, Updates, WorkflowRecord, drive, workflow,
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
