//! Version management of a process that runs nodes, as its front ends ask for it.

use std::sync::Arc;

use base::{ErrorKind, InstanceId, Timestamp};

use crate::{
    Catalogue, NewRelease, Operation, Permit, PublishError, Release, Rollout, StepState, Task,
    TaskState, UpdateError, UpdateInProgress, UpdateStep, Updates, Version, WorkflowRecord,
};

/// What front ends of a process with version management ask and change.
pub struct Control {
    /// The releases there are.
    pub catalogue: Arc<Catalogue>,
    /// The updates of instances, and how far they are.
    pub rollout: Arc<Rollout>,
    /// The version of this process, which is that of instances without nodes of their own.
    pub version: Version,
}

/// A release and what its announcement changed.
#[derive(Debug)]
pub struct Announced {
    /// The release.
    pub release: Arc<Release>,
    /// The instances that have a new task, or a task with a new target.
    pub instances: Vec<InstanceId>,
}

/// Why a release was not announced.
#[derive(Debug, thiserror::Error)]
pub enum AnnounceError {
    /// It was not published.
    #[error(transparent)]
    Publish(#[from] PublishError),
    /// It was published, and tasks of some instances are missing; they are made when the control
    /// process starts.
    #[error("make update tasks for release `{version}`, which is published")]
    Tasks {
        /// The version.
        version: Version,
        /// What failed.
        #[source]
        source: UpdateError,
    },
}

impl AnnounceError {
    /// What the caller should do.
    pub fn kind(&self) -> ErrorKind {
        match self {
            Self::Publish(error) => error.kind(),
            Self::Tasks { source, .. } => source.kind(),
        }
    }
}

/// Something that happened to a task.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Event {
    /// When.
    pub at: Timestamp,
    /// What, for people: `created`, `began drain node-1`, `succeeded`.
    pub text: String,
}

/// A task with all that is known of how it went.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct TaskProgress {
    /// The task.
    pub task: Task,
    /// Its steps; `None` before it has begun, and of tasks so old that they are forgotten.
    pub workflow: Option<WorkflowRecord<UpdateStep>>,
}

impl Control {
    /// The update tasks of instances.
    pub fn updates(&self) -> &Updates {
        &self.rollout.updates
    }

    /// Leave to carry out `operation` on an instance, to be kept until it is done. See
    /// [`Updates::permit`].
    pub async fn permit(
        &self,
        instance: &InstanceId,
        operation: Operation,
    ) -> Result<Permit, UpdateInProgress> {
        self.updates().permit(instance, operation).await
    }

    /// What an instance runs: its own version where it has nodes of its own, and otherwise that of
    /// the nodes that it shares.
    pub fn version_of(&self, instance: &InstanceId) -> Version {
        let record = self.updates().describe(instance);
        record.map_or(self.version, |record| record.version)
    }

    /// Publishes a release and makes the update tasks of all instances that are behind.
    pub async fn publish(&self, new: NewRelease) -> Result<Announced, AnnounceError> {
        let release = self.catalogue.publish(new).await?;
        let announced = self.updates().announce(&release).await;
        let instances = announced.map_err(|source| AnnounceError::Tasks {
            version: release.version,
            source,
        })?;
        Ok(Announced { release, instances })
    }

    /// A task of an instance by its number, and how far it is; `None` if there is no such task.
    pub async fn task(
        &self,
        instance: &InstanceId,
        number: u64,
    ) -> Result<Option<TaskProgress>, UpdateError> {
        let record = self.updates().describe(instance)?;
        let task = record.tasks()?.find(|task| task.number == number).cloned();
        let Some(task) = task else { return Ok(None) };
        let workflow = self.rollout.progress(instance, &task).await?;
        Ok(Some(TaskProgress { task, workflow }))
    }
}

impl TaskProgress {
    /// Steps that are done, and all steps; none before it has begun.
    pub fn steps_done(&self) -> (usize, usize) {
        let steps = self.workflow.as_ref().map(|it| it.steps.as_slice());
        let steps = steps.unwrap_or_default();
        let done = steps.iter().filter(|it| it.state == StepState::Done);
        (done.count(), steps.len())
    }

    /// What happened, the oldest first.
    pub fn events(&self) -> Vec<Event> {
        let mut events = Vec::new();
        let mut add = |at: Option<Timestamp>, text: String| {
            events.extend(at.map(|at| Event { at, text }));
        };
        let task = &self.task;
        add(
            Some(task.created_at),
            format!("created for {}", task.target),
        );
        add(task.started_at, "started".to_owned());
        for step in self.workflow.iter().flat_map(|it| &it.steps) {
            add(step.began_at, format!("began {}", step.step));
            let ended = match (step.state, &step.error) {
                (StepState::Undone, Some(error)) => format!("undid {}: {error}", step.step),
                (StepState::Undone, None) => format!("undid {}", step.step),
                _ => format!("finished {}", step.step),
            };
            add(step.ended_at, ended);
        }
        let ended = match (task.state, &task.reason) {
            (TaskState::Succeeded, _) => "succeeded".to_owned(),
            (_, Some(reason)) => format!("failed: {reason}"),
            (_, None) => "ended".to_owned(),
        };
        add(task.ended_at, ended);
        // What is written down at the same time stays in the order of the plan.
        events.sort_by_key(|event| event.at);
        events
    }
}
