//! Adaptive elasticity of serverless instances: the limit follows the traffic.
//!
//! Below its limit an instance is never slowed. Where its budgets were used up in each of
//! [`PRESSED_MINUTES`] minutes in a row, the limit grows by a step; until then requests are
//! throttled. Where [`WATCHED_MINUTES`] minutes in a row would all have fitted into a step less, it
//! shrinks by one, to the plan's own at the least.
//!
//! Each node of a cluster follows its own traffic, by its share: where one of three nodes has grown
//! by a step, the instance may use a third of a step more. What has grown is kept over a restart
//! (`instances/growth.rs`); what the traffic was in the minutes before is not.
//!
//! Sources: the service's "5.x serverless instance overview": a step of about 25,000 TPS, or of
//! about what is reserved; growth takes several minutes, traffic is looked at over about ten.

use std::collections::VecDeque;

use base::Timestamp;
use serde::{Deserialize, Serialize};

use super::share::Share;
use crate::plan::Entitlement;

/// Minutes in a row after which the limit grows.
const PRESSED_MINUTES: usize = 3;
/// Minutes in a row after which it shrinks.
const WATCHED_MINUTES: usize = 10;

#[derive(Clone, Copy, Debug, Default)]
struct Minute {
    /// Units in its busiest second, refused ones included.
    busiest: u64,
    is_pressed: bool,
}

/// How far a limit has grown, as it is kept. Fields are only ever added, with a default.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Serialize, Deserialize)]
pub(crate) struct Grown {
    /// By so many TPS of the instance, of which the node has its share.
    extra_tps: u64,
    /// In steps of so many: with other steps it was another plan.
    step_tps: u64,
}

/// What the traffic was of late, and how far the limit has grown.
#[derive(Debug, Default)]
pub(super) struct Elasticity {
    extra_tps: u64,
    /// Minutes and seconds since 1970.
    minute: i64,
    second: i64,
    second_units: u64,
    current: Minute,
    past: VecDeque<Minute>,
}

impl Elasticity {
    /// Counts units that were used, or were asked for and refused.
    pub(super) fn note(&mut self, units: u64, is_refused: bool, now: Timestamp) {
        let second = now.ms().div_euclid(1_000);
        if second != self.second {
            (self.second, self.second_units) = (second, 0);
        }
        self.second_units = self.second_units.saturating_add(units);
        self.current.busiest = self.current.busiest.max(self.second_units);
        self.current.is_pressed |= is_refused;
    }

    /// By how many TPS the limit of the instance is to be larger than the plan's.
    pub(super) fn extra_tps(&self) -> u64 {
        self.extra_tps
    }

    /// What is to be kept of it; `None` where nothing has grown.
    pub(super) fn grown(&self, planned: &Entitlement) -> Option<Grown> {
        let step_tps = planned.growth?.step_tps;
        let extra_tps = self.extra_tps;
        (extra_tps > 0).then_some(Grown {
            extra_tps,
            step_tps,
        })
    }

    /// Goes on from what was kept. Says whether that is of this plan.
    pub(super) fn restore(&mut self, planned: &Entitlement, grown: Grown, now: Timestamp) -> bool {
        let growth = planned.growth;
        let Some(growth) = growth.filter(|growth| growth.step_tps == grown.step_tps) else {
            return false;
        };
        let most = growth.tps_max.saturating_sub(planned.tps());
        *self = Self {
            extra_tps: grown.extra_tps.min(most),
            // Minutes in which the node was away say nothing of the traffic.
            minute: now.ms().div_euclid(60_000),
            ..Self::default()
        };
        true
    }

    /// Ends the minutes that are over, at a node with that share of the limit. Says whether the
    /// limit changes.
    pub(super) fn turn(&mut self, planned: &Entitlement, share: Share, now: Timestamp) -> bool {
        let Some(growth) = planned.growth else {
            return false;
        };
        let minute = now.ms().div_euclid(60_000);
        let passed = minute.abs_diff(self.minute);
        if passed == 0 {
            return false;
        }
        self.minute = minute;
        let ended = std::mem::take(&mut self.current);
        self.past.push_back(ended);
        // Nothing happened in those between.
        let quiet = usize::try_from(passed - 1).unwrap_or(usize::MAX);
        for _ in 0..quiet.min(WATCHED_MINUTES) {
            self.past.push_back(Minute::default());
        }
        while self.past.len() > WATCHED_MINUTES {
            self.past.pop_front();
        }
        let limit = planned.tps() + self.extra_tps;
        let last = self.past.iter().rev().take(PRESSED_MINUTES);
        let is_pressed = self.past.len() >= PRESSED_MINUTES;
        let extra_tps = if is_pressed && last.clone().all(|minute| minute.is_pressed) {
            let most = growth.tps_max.saturating_sub(planned.tps());
            (self.extra_tps + growth.step_tps).min(most)
        } else {
            let smaller = self.extra_tps.saturating_sub(growth.step_tps);
            let target = share.of(limit - (self.extra_tps - smaller));
            let fits = |minute: &Minute| !minute.is_pressed && minute.busiest <= target;
            let is_quiet = self.past.len() == WATCHED_MINUTES && self.past.iter().all(fits);
            if is_quiet { smaller } else { self.extra_tps }
        };
        if extra_tps == self.extra_tps {
            return false;
        }
        // The next change takes as long again.
        self.past.clear();
        self.extra_tps = extra_tps;
        true
    }
}
