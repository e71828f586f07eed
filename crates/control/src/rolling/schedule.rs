//! Beginning updates when they are due, and going on with those that a restart interrupted.

use std::{collections::BTreeSet, time::Duration};

use base::{
    InstanceId,
    limits::{INTERRUPTED_PAUSE_MS, STUCK_PAUSE_MS, UPDATES_AT_ONCE},
    stdx::with_causes,
};

use super::{RollError, Rollout};
use crate::{Outcome, under_way::UnderWay};

/// Tasks are looked at this often, besides when the next one is due: they may be made or moved
/// meanwhile, and clocks may be set.
const LOOK_PAUSE: Duration = Duration::from_secs(5);

/// What is done for an instance.
#[derive(Clone, Copy, Debug, PartialEq, Eq, PartialOrd, Ord)]
enum Work {
    Update,
    /// Its nodes take changes of topics and groups, whatever an earlier process has left.
    Unlock,
}

/// Carries out what is due, for ever. Dropping its future leaves everything to the next one.
pub struct Scheduler<'a> {
    rollout: &'a Rollout,
    under_way: UnderWay<'a, Work, Result<Option<Outcome>, RollError>>,
    /// Those whose nodes may be locked for an update that has not begun.
    locked: BTreeSet<InstanceId>,
}

impl<'a> Scheduler<'a> {
    /// A scheduler of which nothing is under way.
    pub fn new(rollout: &'a Rollout) -> Self {
        let instances = rollout.updates.list().into_iter();
        Self {
            rollout,
            under_way: UnderWay::new(&*rollout.clock),
            locked: instances.map(|record| record.instance.clone()).collect(),
        }
    }

    /// Begins and carries out updates.
    pub async fn run(mut self) {
        loop {
            self.begin();
            if let Some((instance, work, outcome)) = self.under_way.ended(self.pause()).await {
                self.end(instance, work, outcome);
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
    fn begin(&mut self) {
        let mut updates = self.rollout.updates.running();
        updates.extend(self.rollout.updates.due());
        self.locked.extend(updates.iter().cloned());
        let locked = self.locked.iter().filter(|it| !updates.contains(it));
        let locked: Vec<_> = locked.cloned().collect();
        for instance in updates {
            self.add(instance, Work::Update);
        }
        for instance in locked {
            self.add(instance, Work::Unlock);
        }
    }

    fn add(&mut self, instance: InstanceId, work: Work) {
        if self.under_way.count() >= UPDATES_AT_ONCE {
            return;
        }
        let (rollout, id) = (self.rollout, instance.clone());
        self.under_way.begin(instance, work, async move {
            match work {
                Work::Update => rollout.update(&id).await,
                Work::Unlock => rollout.unlock(&id).await.map(|()| None),
            }
        });
    }

    fn end(
        &mut self,
        instance: InstanceId,
        work: Work,
        outcome: Result<Option<Outcome>, RollError>,
    ) {
        let pause_ms = match outcome {
            Ok(None) if work == Work::Update => return,
            Ok(None) => {
                self.locked.remove(&instance);
                return;
            }
            Ok(Some(Outcome::Succeeded)) => {
                tracing::info!(%instance, "update succeeded");
                self.locked.remove(&instance);
                return;
            }
            Ok(Some(Outcome::Undone { reason })) => {
                tracing::warn!(%instance, reason, "update failed, all nodes run what they ran");
                self.locked.remove(&instance);
                return;
            }
            Ok(Some(Outcome::Stuck { reason })) => {
                tracing::error!(%instance, reason, "update is stuck, it goes on after a pause");
                STUCK_PAUSE_MS
            }
            Err(error) => {
                let error = with_causes(&error);
                tracing::warn!(%instance, ?work, error, "interrupted, it goes on after a pause");
                INTERRUPTED_PAUSE_MS
            }
        };
        let pause = Duration::from_millis(pause_ms);
        self.under_way.rest(instance, work, pause);
    }
}
