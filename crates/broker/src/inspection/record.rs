//! What is known of an instance's inspections, and what of it is stored. Fields are only ever
//! added, with a default.

use base::{InstanceId, Timestamp};
use serde::{Deserialize, Serialize};

use super::{InspectionSpec, ResourceKind};

/// How an inspection of an instance is set up.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Inspection {
    /// The instance.
    pub instance: InstanceId,
    /// What it is inspected by.
    pub spec: InspectionSpec,
    /// How often that was changed, from 1.
    pub revision: u64,
    /// When it is inspected by itself next.
    pub next_run_at: Option<Timestamp>,
    /// The newest run.
    pub last_run: Option<String>,
    /// The run that is not over yet.
    pub open_run: Option<String>,
}

/// How bad something is.
#[derive(
    Clone, Copy, Debug, Default, PartialEq, Eq, PartialOrd, Ord, Hash, Serialize, Deserialize,
)]
pub enum InspectionResult {
    /// All is well.
    #[default]
    Normal,
    /// Somebody may want to know.
    Info,
    /// Somebody should act.
    Risk,
}

impl InspectionResult {
    /// All values.
    pub const ALL: [Self; 3] = [Self::Normal, Self::Info, Self::Risk];

    /// Its name.
    pub const fn name(self) -> &'static str {
        match self {
            Self::Normal => "Normal",
            Self::Info => "Info",
            Self::Risk => "Risk",
        }
    }
}

/// How far a run is.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Hash, Serialize, Deserialize)]
pub enum InspectionRunStatus {
    /// Asked for.
    Pending,
    /// Under way.
    Running,
    /// Done. Single items may have failed.
    Succeeded,
    /// Given up.
    Failed,
}

impl InspectionRunStatus {
    /// All values.
    pub const ALL: [Self; 4] = [Self::Pending, Self::Running, Self::Succeeded, Self::Failed];

    /// Its name.
    pub const fn name(self) -> &'static str {
        match self {
            Self::Pending => "Pending",
            Self::Running => "Running",
            Self::Succeeded => "Succeeded",
            Self::Failed => "Failed",
        }
    }

    /// Whether nothing comes after it.
    pub const fn is_over(self) -> bool {
        matches!(self, Self::Succeeded | Self::Failed)
    }
}

/// Why there is a run.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Serialize, Deserialize)]
pub enum InspectionTrigger {
    /// Somebody asked for it.
    Manual,
    /// It was due.
    Schedule,
}

impl InspectionTrigger {
    /// Its name.
    pub const fn name(self) -> &'static str {
        match self {
            Self::Manual => "Manual",
            Self::Schedule => "Schedule",
        }
    }
}

/// Something that a template had a word to say about.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
pub struct InspectedResource {
    /// What it is.
    pub kind: ResourceKind,
    /// Its name.
    pub name: String,
    /// How bad it is.
    pub result: InspectionResult,
    /// The word, in a sentence.
    pub summary: String,
}

/// What came of one item.
#[derive(Clone, Debug, Default, PartialEq, Eq, Serialize, Deserialize)]
pub struct InspectionItemOutcome {
    /// The template's code.
    pub template: String,
    /// Topics, groups or instances that were looked at.
    pub looked_at: u64,
    /// How many of them somebody may want to know of.
    pub infos: u64,
    /// How many of them somebody should act on.
    pub risks: u64,
    /// Those two, the worse first, as many as are kept.
    pub resources: Vec<InspectedResource>,
    /// Why it could not look at everything; `None` if it could.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub error: Option<String>,
    /// When it was done, in ms since 1970.
    pub observed_at_ms: i64,
}

impl InspectionItemOutcome {
    /// The worst that was found.
    pub fn result(&self) -> InspectionResult {
        match (self.risks, self.infos) {
            (0, 0) => InspectionResult::Normal,
            (0, _) => InspectionResult::Info,
            _ => InspectionResult::Risk,
        }
    }
}

/// One inspection of an instance.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
pub struct InspectionRun {
    /// Its id, unique within the instance; later ones are larger.
    pub id: String,
    /// How far it is.
    pub status: InspectionRunStatus,
    /// Why there is one.
    pub trigger: InspectionTrigger,
    /// What it looks by.
    pub spec: InspectionSpec,
    /// When it was asked for, in ms since 1970.
    pub requested_at_ms: i64,
    /// When it was over, in ms since 1970.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub finished_at_ms: Option<i64>,
    /// How often it was begun.
    #[serde(default)]
    pub attempts: u32,
    /// The number of the node that carries it out, where there are several.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub node: Option<u16>,
    /// What came of it, in the order of the items.
    #[serde(default)]
    pub outcomes: Vec<InspectionItemOutcome>,
}

impl InspectionRun {
    /// The worst that was found.
    pub fn result(&self) -> InspectionResult {
        let results = self.outcomes.iter().map(InspectionItemOutcome::result);
        results.max().unwrap_or_default()
    }

    /// What was found, as counts of what somebody may want to know and should act on.
    pub fn counts(&self) -> (u64, u64) {
        let outcomes = self.outcomes.iter();
        outcomes.fold((0, 0), |(infos, risks), outcome| {
            (infos + outcome.infos, risks + outcome.risks)
        })
    }

    /// How far back it looks, in ms since 1970.
    pub fn from_ms(&self) -> i64 {
        let items = self.spec.items.iter();
        let back = items.map(|item| super::templates::lookback_ms(&item.effective()));
        self.requested_at_ms - back.max().unwrap_or(0)
    }
}

/// A request that was answered.
#[derive(Clone, Debug, Serialize, Deserialize)]
pub(crate) struct StoredRequest {
    pub(crate) token: String,
    /// Of what was asked.
    pub(crate) digest: u64,
    pub(crate) at_ms: i64,
    /// The run that it made, if it did.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub(crate) run: Option<String>,
}

/// The configuration as it is stored.
#[derive(Clone, Debug, Default, Serialize, Deserialize)]
pub(crate) struct StoredInspection {
    pub(crate) spec: InspectionSpec,
    pub(crate) revision: u64,
    #[serde(default)]
    pub(crate) next_run_at_ms: Option<i64>,
    /// The run that is pending or running.
    #[serde(default)]
    pub(crate) open_run: Option<String>,
    #[serde(default)]
    pub(crate) last_run: Option<String>,
    /// Answered requests, the oldest first.
    #[serde(default)]
    pub(crate) requests: Vec<StoredRequest>,
}

impl StoredInspection {
    pub(crate) fn shown(&self, instance: &InstanceId) -> Inspection {
        Inspection {
            instance: instance.clone(),
            spec: self.spec.clone(),
            revision: self.revision,
            next_run_at: self.next_run_at_ms.map(Timestamp::from_ms),
            last_run: self.open_run.clone().or_else(|| self.last_run.clone()),
            open_run: self.open_run.clone(),
        }
    }
}
