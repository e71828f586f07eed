//! Beginning updates when they are due, and going on with those that a restart interrupted.

use std::{
    collections::{BTreeMap, BTreeSet},
    time::Duration,
};

use base::{
    InstanceId,
    limits::{INTERRUPTED_PAUSE_MS, STUCK_PAUSE_MS, UPDATES_AT_ONCE},
    stdx::with_causes,
};
use futures::{
    StreamExt as _,
    future::{BoxFuture, Either, FutureExt as _, select},
    stream::FuturesUnordered,
};

use super::{RollError, Rollout};
use crate::{Outcome, UpdateError};

/// Tasks are looked at this often, besides when the next one is due: they may be made or moved
/// meanwhile, and clocks may be set.
const LOOK_PAUSE: Duration = Duration::from_secs(5);

/// Carries out what is due, for ever. Dropping its future leaves everything to the next one.
pub struct Scheduler<'a> {
    rollout: &'a Rollout,
    under_way: FuturesUnordered<BoxFuture<'a, (InstanceId, Result<Outcome, RollError>)>>,
    busy: BTreeSet<InstanceId>,
    /// Until when those that are stuck or interrupted are left alone, on the monotonic clock.
    stuck: BTreeMap<InstanceId, Duration>,
}

impl<'a> Scheduler<'a> {
    /// A scheduler of which nothing is under way.
    pub fn new(rollout: &'a Rollout) -> Self {
        Self {
            rollout,
            under_way: FuturesUnordered::new(),
            busy: BTreeSet::new(),
            stuck: BTreeMap::new(),
        }
    }

    /// Begins and carries out updates.
    pub async fn run(mut self) {
        loop {
            self.begin().await;
            let pause = self.rollout.clock.sleep(self.pause());
            if self.under_way.is_empty() {
                pause.await;
                continue;
            }
            if let Either::Left((Some((instance, outcome)), _)) =
                select(self.under_way.next(), pause).await
            {
                self.end(&instance, outcome);
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
        let (rollout, now) = (self.rollout, self.rollout.clock.elapsed());
        self.stuck.retain(|_, until| *until > now);
        for instance in rollout.updates.running() {
            self.add(instance);
        }
        for instance in rollout.updates.due() {
            if self.under_way.len() >= UPDATES_AT_ONCE {
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

    fn add(&mut self, instance: InstanceId) {
        let full = self.under_way.len() >= UPDATES_AT_ONCE;
        if full || self.busy.contains(&instance) || self.stuck.contains_key(&instance) {
            return;
        }
        self.busy.insert(instance.clone());
        let rollout = self.rollout;
        let work = async move {
            let outcome = rollout.carry_out(&instance).await;
            (instance, outcome)
        };
        self.under_way.push(work.boxed());
    }

    fn end(&mut self, instance: &InstanceId, outcome: Result<Outcome, RollError>) {
        self.busy.remove(instance);
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
        let until = self.rollout.clock.elapsed() + Duration::from_millis(pause_ms);
        self.stuck.insert(instance.clone(), until);
    }
}
