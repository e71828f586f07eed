//! Update tasks: when an instance is updated, and to what.
//!
//! ```text
//!   announce (behind, no open task)        start (due)           succeed
//!  ---------------------------------> PENDING --------> RUNNING ---------> SUCCEEDED
//!        ^                            |  ^ |  ^            |                   |
//!        |                announce: --+  | +--+ reschedule | fail              |
//!        |                new target     |                 v                   |
//!        |                               +------------- FAILED                 |
//!        |                                a new task, at once                  |
//!        +---------------------------------------------------------------------+
//!                 at once if a newer version was announced meanwhile
//! ```
//!
//! - An instance has one open task at most, and its target is always the newest version.
//! - A task is scheduled for the first start of the instance's window at or after the announcement.
//!   Its deadline is the same local time seven calendar days later and never moves. It can be
//!   rescheduled to any time until then, inside a window or not, and never cancelled.
//! - Zone and window are the task's own from when it was made: a window that is changed later
//!   counts for later tasks.
//! - There is no way back from a version that an instance has reached.
//!
//! This file is the state machine of one instance: no clock, no store. [`Updates`] keeps it.

mod blocked;
mod errors;
#[cfg(test)]
mod random_tests;
mod task;
#[cfg(test)]
mod tests;
mod updates;

use base::{
    InstanceId, Timestamp,
    limits::{FAILURE_REASON_CHARACTERS_MAX, UPDATE_TASKS_ENDED_MAX},
};
use serde::{Deserialize, Serialize};

pub use self::{
    blocked::{Operation, Permit, UpdateInProgress},
    errors::UpdateError,
    task::{Due, Task, TaskState},
    updates::Updates,
};
use crate::{Version, Window, Zone, stored};

/// From the first scheduled time of a task to its deadline.
const DEADLINE_DAYS: u8 = 7;

/// What is known of the updates of one instance.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
pub struct UpdateRecord {
    /// The instance.
    #[serde(with = "stored::instance")]
    pub instance: InstanceId,
    /// Whether its version is managed, as that of instances of the ultimate edition is. Others have
    /// a version and no tasks.
    pub managed: bool,
    /// What it runs.
    pub version: Version,
    /// Time zone of its region.
    pub zone: Zone,
    /// Its maintenance window, for tasks to come.
    pub window: Window,
    /// When it became known here.
    #[serde(rename = "registered_at_ms", with = "stored::time")]
    pub registered_at: Timestamp,
    /// Tasks made so far.
    pub tasks_made: u64,
    /// The task that is pending or running.
    pub open: Option<Task>,
    /// Tasks that have ended, the newest first.
    pub ended: Vec<Task>,
}

impl UpdateRecord {
    /// An instance without tasks.
    pub fn new(instance: InstanceId, managed: bool, version: Version, zone: Zone) -> Self {
        Self {
            instance,
            managed,
            version,
            zone,
            window: Window::DEFAULT,
            registered_at: Timestamp::default(),
            tasks_made: 0,
            open: None,
            ended: Vec::new(),
        }
    }

    /// Takes note that `newest` is there since `at`: makes the task, or gives the pending one that
    /// target. While a task runs nothing changes; its end asks again. Says whether anything did.
    pub fn announce(&mut self, newest: Version, at: Timestamp) -> bool {
        if !self.managed || newest <= self.version {
            return false;
        }
        match &mut self.open {
            None => {
                self.make_task(newest, at);
                true
            }
            Some(task) if task.state == TaskState::Pending && task.target < newest => {
                task.target = newest;
                true
            }
            Some(_) => false,
        }
    }

    fn make_task(&mut self, target: Version, at: Timestamp) {
        let scheduled_at = self.window.next_start(&self.zone, at);
        self.tasks_made += 1;
        self.open = Some(Task {
            number: self.tasks_made,
            from: self.version,
            target,
            zone: self.zone.clone(),
            window: self.window,
            created_at: at,
            scheduled_at,
            deadline_at: self.zone.days_later(scheduled_at, DEADLINE_DAYS),
            state: TaskState::Pending,
            started_at: None,
            ended_at: None,
            reason: None,
        });
    }

    /// All tasks, the newest first.
    pub fn tasks(&self) -> Result<impl Iterator<Item = &Task>, UpdateError> {
        self.check_managed()?;
        Ok(self.open.iter().chain(&self.ended))
    }

    /// Moves the pending task to another time, in a window or not, at most until its deadline.
    pub fn reschedule(&mut self, to: Timestamp, now: Timestamp) -> Result<(), UpdateError> {
        let task = self.task_in(TaskState::Pending)?;
        if to <= now || to > task.deadline_at {
            return Err(UpdateError::TimeOutOfBounds {
                wanted: task.zone.show(to),
                now: task.zone.show(now),
                deadline: task.zone.show(task.deadline_at),
            });
        }
        task.scheduled_at = to;
        Ok(())
    }

    /// Always refused: an update can be put off, not called off.
    pub fn cancel(&self) -> Result<(), UpdateError> {
        self.check_managed()?;
        let task = self.open.as_ref().ok_or_else(|| self.no_task())?;
        Err(UpdateError::NotCancellable {
            instance: self.instance.clone(),
            task: task.number,
            deadline: task.zone.show(task.deadline_at),
        })
    }

    /// Changes the window, and the zone whose clocks it is of, for tasks that are made from now on.
    /// What is `None` stays.
    pub fn set_window(
        &mut self,
        window: Option<Window>,
        zone: Option<Zone>,
    ) -> Result<(), UpdateError> {
        self.check_managed()?;
        self.window = window.unwrap_or(self.window);
        if let Some(zone) = zone {
            self.zone = zone;
        }
        Ok(())
    }

    /// Begins the pending task, which must be due.
    pub fn start(&mut self, now: Timestamp) -> Result<(), UpdateError> {
        let instance = self.instance.clone();
        let task = self.task_in(TaskState::Pending)?;
        if let Due::At(due) = task.due(now) {
            return Err(UpdateError::NotDue {
                instance,
                task: task.number,
                due: task.zone.show(due),
            });
        }
        task.state = TaskState::Running;
        task.started_at = Some(now);
        Ok(())
    }

    /// Ends the running task: the instance runs its target. `newest` is the newest version there is
    /// now, for which there may be a task next.
    pub fn succeed(&mut self, newest: Version, now: Timestamp) -> Result<(), UpdateError> {
        let target = self.task_in(TaskState::Running)?.target;
        self.version = target;
        self.end(TaskState::Succeeded, None, newest, now);
        Ok(())
    }

    /// Ends the running task: the instance runs what it ran before. The next task is made at once.
    pub fn fail(
        &mut self,
        reason: &str,
        newest: Version,
        now: Timestamp,
    ) -> Result<(), UpdateError> {
        let target = self.task_in(TaskState::Running)?.target;
        let reason = reason.chars().take(FAILURE_REASON_CHARACTERS_MAX).collect();
        self.end(TaskState::Failed, Some(reason), newest.max(target), now);
        Ok(())
    }

    fn end(&mut self, state: TaskState, reason: Option<String>, newest: Version, now: Timestamp) {
        if let Some(mut task) = self.open.take() {
            task.state = state;
            task.ended_at = Some(now);
            task.reason = reason;
            self.ended.insert(0, task);
            self.ended.truncate(UPDATE_TASKS_ENDED_MAX);
        }
        self.announce(newest, now);
    }

    /// Whether the instance may run `version`: never one below what it has reached.
    pub fn check_version(&self, version: Version) -> Result<(), UpdateError> {
        if version < self.version {
            return Err(UpdateError::NoWayBack {
                instance: self.instance.clone(),
                current: self.version,
                wanted: version,
            });
        }
        Ok(())
    }

    /// The task that is running.
    pub fn running(&self) -> Option<&Task> {
        let running = |task: &&Task| task.state == TaskState::Running;
        self.open.as_ref().filter(running)
    }

    /// Checks that there may be tasks.
    pub fn check_managed(&self) -> Result<(), UpdateError> {
        if self.managed {
            return Ok(());
        }
        Err(UpdateError::NotManaged {
            instance: self.instance.clone(),
        })
    }

    fn no_task(&self) -> UpdateError {
        UpdateError::NoTask {
            instance: self.instance.clone(),
        }
    }

    /// The open task, which must be in that state.
    fn task_in(&mut self, expected: TaskState) -> Result<&mut Task, UpdateError> {
        self.check_managed()?;
        let absent = self.no_task();
        let instance = self.instance.clone();
        let task = self.open.as_mut().ok_or(absent)?;
        if task.state != expected {
            return Err(UpdateError::WrongState {
                instance,
                task: task.number,
                state: task.state,
                expected,
            });
        }
        Ok(task)
    }
}
