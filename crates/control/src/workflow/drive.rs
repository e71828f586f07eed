//! Driving a workflow from wherever it is to its end.

use std::time::Duration;

use base::{
    Clock,
    limits::{FAILURE_REASON_CHARACTERS_MAX, STEP_FAILURES_MAX, STEP_PAUSE_MS_MAX},
};
use store::meta::{Expected, MetadataError, MetadataStore};

use super::{Outcome, Progress, StepError, StepState, Steps, WorkflowRecord, WorkflowStatus, key};
use crate::{NodeError, stored};

/// Pause after the first failure.
const PAUSE_MS: u64 = 1_000;

/// Why a workflow was left where it is.
#[derive(Debug, thiserror::Error)]
pub enum DriveError {
    /// Somebody else drives it too, or the metadata store failed. What is written down is true.
    #[error("keep workflow `{id}`")]
    Metadata {
        /// The workflow.
        id: String,
        /// What the store said.
        #[source]
        source: MetadataError,
    },
    /// It is not there yet, and its steps cannot be said: the nodes that they are about are not
    /// known.
    #[error("plan workflow `{id}`")]
    Plan {
        /// The workflow.
        id: String,
        /// What failed.
        #[source]
        source: NodeError,
    },
}

impl DriveError {
    /// Names the workflow of an error.
    pub(crate) fn metadata(id: &str) -> impl Fn(MetadataError) -> Self {
        move |source| Self::Metadata {
            id: id.to_owned(),
            source,
        }
    }
}

/// Drives the workflow `id` to its end. If there is none of that id, it is made of the steps of
/// `plan`, which is awaited only then; a plan that exists is never changed, so a node that cannot
/// be asked later does not keep it from going on. One that has ended is not driven again.
pub async fn drive<W: Steps>(
    metadata: &dyn MetadataStore,
    clock: &dyn Clock,
    id: &str,
    work: &W,
    plan: impl Future<Output = Result<Vec<W::Step>, NodeError>>,
) -> Result<Outcome, DriveError> {
    let failed = DriveError::metadata(id);
    let mut driver = Driver::open(metadata, clock, id, work, plan).await?;
    loop {
        let stepped = match driver.record.status {
            WorkflowStatus::Running => driver.go_forward().await,
            WorkflowStatus::Undoing => driver.go_back().await,
            WorkflowStatus::Succeeded => return Ok(Outcome::Succeeded),
            WorkflowStatus::Undone => {
                let reason = driver.reason();
                return Ok(Outcome::Undone { reason });
            }
            WorkflowStatus::Stuck | WorkflowStatus::StuckUndoing => {
                let reason = driver.reason();
                return Ok(Outcome::Stuck { reason });
            }
        };
        stepped.map_err(&failed)?;
    }
}

struct Driver<'a, W: Steps> {
    metadata: &'a dyn MetadataStore,
    clock: &'a dyn Clock,
    work: &'a W,
    record: WorkflowRecord<W::Step>,
    expected: Expected,
}

impl<'a, W: Steps> Driver<'a, W> {
    async fn open(
        metadata: &'a dyn MetadataStore,
        clock: &'a dyn Clock,
        id: &str,
        work: &'a W,
        plan: impl Future<Output = Result<Vec<W::Step>, NodeError>>,
    ) -> Result<Self, DriveError> {
        let failed = DriveError::metadata(id);
        let (record, expected) = match metadata.get(&key(id)).await.map_err(&failed)? {
            Some(entry) => {
                let record = stored::read(&entry).map_err(&failed)?;
                (record, Expected::At(entry.revision))
            }
            None => {
                let steps = plan.await.map_err(|source| DriveError::Plan {
                    id: id.to_owned(),
                    source,
                })?;
                let record = WorkflowRecord {
                    id: id.to_owned(),
                    steps: steps.into_iter().map(Progress::new).collect(),
                    status: WorkflowStatus::Running,
                    reason: None,
                    created_at: clock.now(),
                    ended_at: None,
                };
                (record, Expected::Absent)
            }
        };
        let mut driver = Self {
            metadata,
            clock,
            work,
            record,
            expected,
        };
        let resumed = match driver.record.status {
            WorkflowStatus::Stuck => Some(WorkflowStatus::Running),
            WorkflowStatus::StuckUndoing => Some(WorkflowStatus::Undoing),
            WorkflowStatus::Running
            | WorkflowStatus::Undoing
            | WorkflowStatus::Succeeded
            | WorkflowStatus::Undone => None,
        };
        if let Some(status) = resumed {
            driver.record.status = status;
            for step in &mut driver.record.steps {
                step.failures = 0;
            }
        }
        if resumed.is_some() || driver.expected == Expected::Absent {
            driver.write().await.map_err(failed)?;
        }
        Ok(driver)
    }

    fn reason(&self) -> String {
        self.record.reason.clone().unwrap_or_default()
    }

    async fn write(&mut self) -> Result<(), MetadataError> {
        let value = stored::write(&self.record)?;
        let key = key(&self.record.id);
        let written = self
            .metadata
            .compare_and_set(&key, self.expected, Some(value), None)
            .await?;
        self.expected = Expected::At(written);
        Ok(())
    }

    /// The first step that is not done.
    async fn go_forward(&mut self) -> Result<(), MetadataError> {
        let steps = &mut self.record.steps;
        let next = steps.iter().position(|step| step.state != StepState::Done);
        let Some(index) = next else {
            return self.end(WorkflowStatus::Succeeded).await;
        };
        if steps[index].state != StepState::Begun {
            steps[index].state = StepState::Begun;
            steps[index].began_at = Some(self.clock.now());
            self.write().await?;
        }
        let step = self.record.steps[index].step.clone();
        tracing::info!(workflow = self.record.id, %step, "carrying out a step");
        match self.work.carry_out(&step).await {
            Ok(()) => self.finish(index, StepState::Done).await,
            Err(error) => {
                let again = self.take_failure(index, &error);
                if again {
                    self.write().await?;
                    self.pause(index).await;
                    return Ok(());
                }
                self.record.reason = Some(shorten(&format!("{step}: {error}")));
                let begun = self.record.steps[..=index].iter();
                let past_return = begun.rev().any(|step| self.work.is_final(&step.step));
                if past_return {
                    return self.end(WorkflowStatus::Stuck).await;
                }
                tracing::warn!(workflow = self.record.id, %step, %error, "undoing a workflow");
                self.record.status = WorkflowStatus::Undoing;
                for step in &mut self.record.steps {
                    step.failures = 0;
                }
                self.write().await
            }
        }
    }

    /// The last step that was begun.
    async fn go_back(&mut self) -> Result<(), MetadataError> {
        let steps = &self.record.steps;
        let last = steps
            .iter()
            .rposition(|step| matches!(step.state, StepState::Begun | StepState::Done));
        let Some(index) = last else {
            return self.end(WorkflowStatus::Undone).await;
        };
        let step = steps[index].step.clone();
        tracing::info!(workflow = self.record.id, %step, "undoing a step");
        match self.work.undo(&step).await {
            Ok(()) => self.finish(index, StepState::Undone).await,
            Err(error) if self.take_failure(index, &error) => {
                self.write().await?;
                self.pause(index).await;
                Ok(())
            }
            Err(error) => {
                let (first, undo) = (self.reason(), format!("undo {step}: {error}"));
                if !first.contains(&undo) {
                    self.record.reason = Some(shorten(&format!("{first}; {undo}")));
                }
                self.end(WorkflowStatus::StuckUndoing).await
            }
        }
    }

    async fn finish(&mut self, index: usize, state: StepState) -> Result<(), MetadataError> {
        let step = &mut self.record.steps[index];
        step.state = state;
        step.failures = 0;
        step.ended_at = Some(self.clock.now());
        self.write().await
    }

    async fn end(&mut self, status: WorkflowStatus) -> Result<(), MetadataError> {
        self.record.status = status;
        self.record.ended_at = Some(self.clock.now());
        self.write().await
    }

    /// Notes a failure. Says whether the step is to be tried again.
    fn take_failure(&mut self, index: usize, error: &StepError) -> bool {
        let step = &mut self.record.steps[index];
        step.failures += 1;
        step.error = Some(shorten(&error.to_string()));
        match error {
            StepError::Again(_) => step.failures < STEP_FAILURES_MAX,
            StepError::Never(_) => false,
        }
    }

    async fn pause(&self, index: usize) {
        let failures = self.record.steps[index].failures;
        let pause_ms = PAUSE_MS << failures.saturating_sub(1).min(16);
        let pause = Duration::from_millis(pause_ms.min(STEP_PAUSE_MS_MAX));
        self.clock.sleep(pause).await;
    }
}

impl<S> Progress<S> {
    fn new(step: S) -> Self {
        Self {
            step,
            state: StepState::Waiting,
            failures: 0,
            error: None,
            began_at: None,
            ended_at: None,
        }
    }
}

fn shorten(text: &str) -> String {
    text.chars().take(FAILURE_REASON_CHARACTERS_MAX).collect()
}
