//! One update of one instance.

use std::{fmt, time::Duration};

use base::{
    Timestamp,
    limits::{UPDATE_LATE_MS_MAX, UPDATE_MS_NORMAL_MAX},
};
use serde::{Deserialize, Serialize};

use crate::{Version, Window, Zone, stored};

/// How far a task is.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Hash, Serialize, Deserialize)]
#[serde(rename_all = "SCREAMING_SNAKE_CASE")]
pub enum TaskState {
    /// It waits for its time.
    Pending,
    /// It is carried out; the instance is changing.
    Running,
    /// The instance runs its target.
    Succeeded,
    /// The instance runs what it ran before.
    Failed,
}

impl fmt::Display for TaskState {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str(match self {
            Self::Pending => "PENDING",
            Self::Running => "RUNNING",
            Self::Succeeded => "SUCCEEDED",
            Self::Failed => "FAILED",
        })
    }
}

/// When a pending task is to begin.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Due {
    /// At once.
    Now,
    /// At this time.
    At(Timestamp),
}

/// An update of an instance from one version to another.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
pub struct Task {
    /// Its number among the tasks of the instance, from 1.
    pub number: u64,
    /// What the instance ran when the task was made.
    pub from: Version,
    /// What it will run.
    pub target: Version,
    /// The zone by which it was scheduled.
    pub zone: Zone,
    /// The window by which it was scheduled.
    pub window: Window,
    /// When it was made.
    #[serde(rename = "created_at_ms", with = "stored::time")]
    pub created_at: Timestamp,
    /// When it is to begin.
    #[serde(rename = "scheduled_at_ms", with = "stored::time")]
    pub scheduled_at: Timestamp,
    /// When it begins whatever else is said.
    #[serde(rename = "deadline_at_ms", with = "stored::time")]
    pub deadline_at: Timestamp,
    /// How far it is.
    pub state: TaskState,
    /// When it began.
    #[serde(rename = "started_at_ms", with = "stored::time_or_none")]
    pub started_at: Option<Timestamp>,
    /// When it ended.
    #[serde(rename = "ended_at_ms", with = "stored::time_or_none")]
    pub ended_at: Option<Timestamp>,
    /// Why it failed.
    pub reason: Option<String>,
}

impl Task {
    /// When it is to begin, seen from `now`: at its scheduled time. If that was missed because
    /// nobody was there to begin it, at the next moment inside a window, at the latest at the
    /// deadline.
    pub fn due(&self, now: Timestamp) -> Due {
        if now < self.scheduled_at {
            return Due::At(self.scheduled_at);
        }
        let on_time = now.since(self.scheduled_at) <= Duration::from_millis(UPDATE_LATE_MS_MAX);
        if on_time || now >= self.deadline_at || self.window.is_open(&self.zone, now) {
            return Due::Now;
        }
        let next_window = self.window.next_start(&self.zone, now);
        Due::At(next_window.min(self.deadline_at))
    }

    /// Whether it has been running for longer than updates do, so that somebody should look.
    pub fn is_overdue(&self, now: Timestamp) -> bool {
        let normal = Duration::from_millis(UPDATE_MS_NORMAL_MAX);
        self.state == TaskState::Running
            && self
                .started_at
                .is_some_and(|start| now.since(start) > normal)
    }
}
