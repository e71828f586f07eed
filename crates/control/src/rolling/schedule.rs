//! Beginning updates when they are due, and going on with those that a restart interrupted.

use std::time::Duration;

use base::{
    InstanceId,
    limits::{INTERRUPTED_PAUSE_MS, STUCK_PAUSE_MS, UPDATES_AT_ONCE},
    stdx::with_causes,
};

use super::{RollError, Rollout};
use crate::{Outcome, UpdateError, under_way::UnderWay};

/// Tasks are looked at this often, besides when the next one is due: they may be made or moved
/// meanwhile, and clocks may be set.
const LOOK_PAUSE: Duration = Duration::from_secs(5);

/// Carries out what is due, for ever. Dropping its future leaves everything to the next one.
pub struct Scheduler<'a> {
    rollout: &'a Rollout,
    updates: UnderWay<'a, (), Result<Outcome, RollError>>,
}

impl<'a> Scheduler<'a> {
    /// A scheduler of which nothing is under way.
    pub fn new(rollout: &'a Rollout) -> Self {
        Self {
            rollout,
            updates: UnderWay::new(&*rollout.clock),
        }
    }

    /// Begins and carries out updates.
    pub async fn run(mut self) {
        loop {
            self.begin().await;
            if let Some((instance, (), outcome)) = self.updates.ended(self.pause()).await {
                self.end(instance, outcome);
            }
        }
    }

    fn pause(&self) -> Duration {
        let now = self.rollout.clock.now();
        let next = self.rollout.updates.next_due();
        let until = next.map_or(LOOK_PAUSE, |due| due.since(now));
        // What is due and could not begin is tried again, though not without a pause.
        until.clamp(Duration::from_millis(100), LOOK_PAUSE)
    }

    /// First those that were begun already, then those that are due.
    async fn begin(&mut self) {
        let rollout = self.rollout;
        for instance in rollout.updates.running() {
            self.add(instance);
        }
        for instance in rollout.updates.due() {
            if self.is_full() {
                break;
            }
            match rollout.updates.start(&instance).await {
                Ok(task) => {
                    let number = task.number;
                    tracing::info!(%instance, task = number, target = %task.target, "update begins");
                    self.add(instance);
                }
                // Somebody changes the instance, or has moved its task.
                Err(UpdateError::Busy { .. } | UpdateError::NotDue { .. }) => {}
                Err(error) => {
                    tracing::warn!(%instance, error = with_causes(&error), "update did not begin");
                }
            }
        }
    }

    fn is_full(&self) -> bool {
        self.updates.count() >= UPDATES_AT_ONCE
    }

    fn add(&mut self, instance: InstanceId) {
        if self.is_full() {
            return;
        }
        let (rollout, updated) = (self.rollout, instance.clone());
        let update = async move { rollout.carry_out(&updated).await };
        self.updates.begin(instance, (), update);
    }

    fn end(&mut self, instance: InstanceId, outcome: Result<Outcome, RollError>) {
        let pause_ms = match outcome {
            Ok(Outcome::Succeeded) => {
                tracing::info!(%instance, "update succeeded");
                return;
            }
            Ok(Outcome::Undone { reason }) => {
                tracing::warn!(%instance, reason, "update failed, all nodes run what they ran");
                return;
            }
            Ok(Outcome::Stuck { reason }) => {
                tracing::error!(%instance, reason, "update is stuck, it goes on after a pause");
                STUCK_PAUSE_MS
            }
            Err(error) => {
                let error = with_causes(&error);
                tracing::warn!(%instance, error, "update is interrupted, it goes on after a pause");
                INTERRUPTED_PAUSE_MS
            }
        };
        let pause = Duration::from_millis(pause_ms);
        self.updates.rest(instance, (), pause);
    }
}
