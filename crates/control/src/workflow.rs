//! Durable workflows: lists of steps that are carried out whatever happens to who does it.
//!
//! ```text
//!                    all steps done
//!      RUNNING --------------------------> SUCCEEDED
//!       ^   |  a step failed for good
//!       |   |  and nothing is final yet                  all undone
//!       |   +----------------------------> UNDOING -----------------> UNDONE
//!       |   |                               ^   |
//!       |   | a final step failed    resume |   | an undo failed for good
//!       |   v                               |   v
//!       +- STUCK                           STUCK (undoing)
//!    resume
//! ```
//!
//! | key | value |
//! | --- | --- |
//! | `control/workflows/<id>` | JSON of [`WorkflowRecord`] |
//!
//! Before a step is begun that is written down, and its end before the next one begins. Whoever
//! drives the workflow may die anywhere: the next driver begins the step again that was under way,
//! so a step must be *idempotent*: begun twice, or begun again after it was done, it leaves the
//! same as once. What a step does is part of the record, so a newer program drives an older
//! program's workflow to its end as it was planned.
//!
//! A step that fails is tried again after a pause, a bounded number of times; then all steps that
//! were begun are undone, the last one first. A *final* step is a point of no return: from its
//! beginning on the workflow only goes forward.

mod drive;
#[cfg(test)]
mod tests;

use std::fmt;

use base::Timestamp;
use futures::future::BoxFuture;
use serde::{Deserialize, Serialize, de::DeserializeOwned};
use store::meta::{MetadataError, MetadataStore, overwrite};

pub use self::drive::{DriveError, drive};
use crate::stored;

const PREFIX: &str = "control/workflows/";

/// What a workflow is made of, and how it is done.
pub trait Steps: Send + Sync {
    /// One step, with all that must be known to carry it out.
    type Step: Clone + fmt::Display + Serialize + DeserializeOwned + Send + Sync;

    /// Carries the step out. May find it half or wholly done.
    fn carry_out<'a>(&'a self, step: &'a Self::Step) -> BoxFuture<'a, Result<(), StepError>>;

    /// Takes the step back. May find it half or wholly done, not done, or taken back.
    fn undo<'a>(&'a self, step: &'a Self::Step) -> BoxFuture<'a, Result<(), StepError>>;

    /// Whether there is no way back once the step has begun.
    fn is_final(&self, step: &Self::Step) -> bool;
}

/// Why a step failed.
#[derive(Clone, Debug, PartialEq, Eq, thiserror::Error)]
pub enum StepError {
    /// It may succeed after a pause.
    #[error("{0}")]
    Again(String),
    /// It will not succeed.
    #[error("{0}")]
    Never(String),
}

/// How far a step is.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Serialize, Deserialize)]
#[serde(rename_all = "SCREAMING_SNAKE_CASE")]
pub enum StepState {
    /// Nothing of it was done.
    Waiting,
    /// Some of it may have been done.
    Begun,
    /// All of it was done.
    Done,
    /// It was taken back.
    Undone,
}

/// How far a workflow is.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Serialize, Deserialize)]
#[serde(rename_all = "SCREAMING_SNAKE_CASE")]
pub enum WorkflowStatus {
    /// Steps are carried out.
    Running,
    /// Steps are taken back.
    Undoing,
    /// All steps are done.
    Succeeded,
    /// All steps that had begun were taken back.
    Undone,
    /// A step keeps failing beyond the point of no return.
    Stuck,
    /// A step cannot be taken back.
    StuckUndoing,
}

/// How a drive ended.
#[derive(Clone, Debug, PartialEq, Eq)]
pub enum Outcome {
    /// All steps are done.
    Succeeded,
    /// Everything is as before.
    Undone {
        /// What failed.
        reason: String,
    },
    /// It is neither, and the next drive tries again.
    Stuck {
        /// What keeps failing.
        reason: String,
    },
}

/// One step of a workflow and how far it is.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
pub struct Progress<S> {
    /// What is to be done.
    pub step: S,
    /// How far it is.
    pub state: StepState,
    /// How often it failed since it last made progress.
    pub failures: u32,
    /// How it failed last.
    pub error: Option<String>,
    /// When it was begun first.
    #[serde(rename = "began_at_ms", with = "stored::time_or_none")]
    pub began_at: Option<Timestamp>,
    /// When it was done, or taken back.
    #[serde(rename = "ended_at_ms", with = "stored::time_or_none")]
    pub ended_at: Option<Timestamp>,
}

/// A workflow and how far it is.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
pub struct WorkflowRecord<S> {
    /// Its name, unique for ever.
    pub id: String,
    /// Its steps in order.
    pub steps: Vec<Progress<S>>,
    /// How far it is.
    pub status: WorkflowStatus,
    /// Why it is undone or stuck.
    pub reason: Option<String>,
    /// When it was made.
    #[serde(rename = "created_at_ms", with = "stored::time")]
    pub created_at: Timestamp,
    /// When it ended.
    #[serde(rename = "ended_at_ms", with = "stored::time_or_none")]
    pub ended_at: Option<Timestamp>,
}

impl<S: DeserializeOwned> WorkflowRecord<S> {
    /// The workflow of that id, if there is one.
    pub async fn read(
        metadata: &dyn MetadataStore,
        id: &str,
    ) -> Result<Option<Self>, MetadataError> {
        let entry = metadata.get(&key(id)).await?;
        entry.map(|entry| stored::read(&entry)).transpose()
    }
}

/// The ids of all workflows that are kept.
pub(crate) async fn ids(metadata: &dyn MetadataStore) -> Result<Vec<String>, MetadataError> {
    let entries = metadata.range(PREFIX).await?.0.into_iter();
    let ids = entries.map(|entry| entry.key[PREFIX.len()..].to_owned());
    Ok(ids.collect())
}

/// Forgets the workflow of that id; none is a success.
pub(crate) async fn forget(metadata: &dyn MetadataStore, id: &str) -> Result<(), MetadataError> {
    overwrite(metadata, &key(id), None).await
}

fn key(id: &str) -> String {
    format!("{PREFIX}{id}")
}
