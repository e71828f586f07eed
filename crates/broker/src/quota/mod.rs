//! Quotas: how much an instance may send and be handed out in a second, and what it has used.
//!
//! Both are counted in units: a message has one for each begun 4 KiB of its body (a setting), and a
//! send of a FIFO, timed or half message has five times as many. A budget is filled anew with each
//! second of the clock, so that no second, which is what is metered, has more than the limit. What
//! is too large for a whole budget passes when nothing else has come, and is paid for by the next
//! seconds; so are deliveries, whose size is known only when they are made.
//!
//! The limits of a serverless instance may follow its traffic (`elasticity.rs`).
//!
//! Where several nodes serve an instance, each has a share of every budget (`share.rs`).
//!
//! An instance without a plan costs one look at a flag.

mod budget;
mod elasticity;
mod share;
mod usage;

use std::{
    collections::HashMap,
    sync::atomic::{AtomicBool, Ordering},
};

use base::{ErrorKind, GroupName, InstanceId, Timestamp, TopicName};
use parking_lot::Mutex;

pub use self::usage::UsageRecord;
use self::{budget::Budget, elasticity::Elasticity, usage::Usage};
pub(crate) use self::{
    elasticity::Grown,
    share::{Sharer, Shares},
};
use crate::{Message, MessageType, Series, plan::Entitlement};

/// By how much the units of a send of an advanced message (FIFO, timed, half) are multiplied.
const ADVANCED_FACTOR: u64 = 5;

/// Topics or groups of an instance whose limits are remembered; others begin anew.
const NAMED_BUDGETS_MAX: usize = 10_000;

/// Whose budget is used up.
#[derive(Clone, Debug, PartialEq, Eq)]
pub enum Budgeted {
    /// The instance's for sends.
    Sends,
    /// The instance's for deliveries.
    Deliveries,
    /// A topic's for sends.
    Topic(TopicName),
    /// A group's for deliveries.
    Group(GroupName),
}

impl std::fmt::Display for Budgeted {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        match self {
            Self::Sends => f.write_str("sends"),
            Self::Deliveries => f.write_str("deliveries"),
            Self::Topic(topic) => write!(f, "sends to topic `{topic}`"),
            Self::Group(group) => write!(f, "deliveries to group `{group}`"),
        }
    }
}

/// Why an instance takes or hands out nothing at the moment.
#[derive(Clone, Debug, PartialEq, Eq, thiserror::Error)]
pub enum QuotaError {
    /// Come again in the next second.
    // The first words are those that the service's clients of the 4.x series know.
    #[error(
        "messages flow control: {budget} of instance `{instance}` are limited to {limit} units a \
         second{}",
        here(*.share, *.limit)
    )]
    Throttled {
        /// The instance.
        instance: InstanceId,
        /// Its series, which some protocols have different codes for.
        series: Series,
        /// What is used up.
        budget: Budgeted,
        /// Its size.
        limit: u64,
        /// What this node has of it.
        share: u64,
    },
    /// Its subscription has ended.
    #[error("instance `{instance}` is stopped, expected one whose subscription runs")]
    Stopped {
        /// The instance.
        instance: InstanceId,
    },
}

/// What to add for people where other nodes have a part of a limit.
fn here(share: u64, limit: u64) -> String {
    if share < limit {
        return format!(", {share} of them at this node");
    }
    String::new()
}

impl QuotaError {
    /// What the caller should do.
    pub fn kind(&self) -> ErrorKind {
        match self {
            Self::Throttled { .. } => ErrorKind::Limit,
            Self::Stopped { .. } => ErrorKind::Denied,
        }
    }
}

/// What an instance has used since the start.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub(crate) struct QuotaCounts {
    pub(crate) send_units: u64,
    pub(crate) receive_units: u64,
    pub(crate) throttled_sends: u64,
    pub(crate) throttled_receives: u64,
}

/// Quotas of one instance, and what it has used.
pub(crate) struct Quota {
    instance: InstanceId,
    series: Series,
    unit_bytes: u64,
    /// Whether there is a plan, or the instance is stopped.
    is_on: AtomicBool,
    state: Mutex<State>,
}

#[derive(Default)]
struct State {
    /// What the plan says.
    planned: Option<Entitlement>,
    /// The same, grown with the traffic where it does.
    entitlement: Option<Entitlement>,
    /// What this node has of that.
    share: Option<Entitlement>,
    shares: Shares,
    elasticity: Elasticity,
    is_stopped: bool,
    sends: Budget,
    deliveries: Budget,
    topics: HashMap<TopicName, Budget>,
    groups: HashMap<GroupName, Budget>,
    counts: QuotaCounts,
    usage: Usage,
}

impl State {
    /// Lets the limits follow the traffic where the plan says so.
    fn turn(&mut self, now: Timestamp) {
        let Some(planned) = self.planned.filter(|planned| planned.growth.is_some()) else {
            return;
        };
        if self.elasticity.turn(&planned, self.shares.deliveries, now) {
            self.go_by(now);
        }
    }

    /// Goes by what plan, growth and shares are now. What was used until now was used under what
    /// they were before.
    fn go_by(&mut self, now: Timestamp) {
        if let Some(before) = self.share {
            self.usage.settle(&before, now);
        }
        let extra_tps = self.elasticity.extra_tps();
        self.entitlement = self.planned.map(|planned| planned.grown(extra_tps));
        self.share = self.entitlement.map(|whole| whole.shared(self.shares));
    }

    /// A budget of the plan.
    fn limit(&self, of: impl Fn(&Entitlement) -> u64) -> Option<Limit> {
        Some(Limit {
            whole: of(self.entitlement.as_ref()?),
            share: of(self.share.as_ref()?),
        })
    }

    /// Counts what the limits are to follow.
    fn note(&mut self, units: u64, is_refused: bool, now: Timestamp) {
        if self.planned.is_some_and(|planned| planned.growth.is_some()) {
            self.elasticity.note(units, is_refused, now);
        }
    }
}

/// Units a second: the instance's, and what this node has of them.
#[derive(Clone, Copy)]
struct Limit {
    whole: u64,
    share: u64,
}

/// A limit of a topic or a group, of so many units a second.
pub(crate) type NamedLimit<'a, N> = Option<(&'a N, u64)>;

impl Quota {
    pub(crate) fn new(instance: InstanceId, series: Series, unit_bytes: u64) -> Self {
        Self {
            instance,
            series,
            unit_bytes: unit_bytes.max(1),
            is_on: AtomicBool::new(false),
            state: Mutex::default(),
        }
    }

    /// Counts by a plan from now on, or by none.
    pub(crate) fn set(&self, entitlement: Option<Entitlement>, is_stopped: bool, now: Timestamp) {
        let mut state = self.state.lock();
        if state.planned != entitlement {
            state.planned = entitlement;
            state.elasticity = Elasticity::default();
        }
        state.go_by(now);
        state.is_stopped = is_stopped;
        let is_on = entitlement.is_some() || is_stopped;
        self.is_on.store(is_on, Ordering::Release);
    }

    /// Has these shares of the budgets from now on.
    pub(crate) fn share(&self, shares: Shares, now: Timestamp) {
        let mut state = self.state.lock();
        if state.shares != shares {
            state.shares = shares;
            state.go_by(now);
        }
    }

    /// By how much the limit has grown; `None` where it has not.
    pub(crate) fn grown(&self) -> Option<Grown> {
        let state = self.state.lock();
        state.elasticity.grown(state.planned.as_ref()?)
    }

    /// Has the limit as it had grown before the start, if the plan has the same steps.
    pub(crate) fn restore_growth(&self, grown: Grown, now: Timestamp) {
        let mut state = self.state.lock();
        let Some(planned) = state.planned else {
            return;
        };
        if state.elasticity.restore(&planned, grown, now) {
            state.go_by(now);
        }
    }

    /// Whether there is anything to count or to refuse, but for limits of topics and groups.
    pub(crate) fn is_on(&self) -> bool {
        self.is_on.load(Ordering::Acquire)
    }

    /// What the plan entitles to; `None` without one.
    pub(crate) fn entitlement(&self) -> Option<Entitlement> {
        self.is_on()
            .then(|| self.state.lock().entitlement)
            .flatten()
    }

    /// Units of one message with a body of so many bytes.
    pub(crate) fn units(&self, body_bytes: usize) -> u64 {
        (body_bytes as u64).div_ceil(self.unit_bytes).max(1)
    }

    /// Units of the sends of messages.
    fn send_units(&self, messages: &[Message]) -> u64 {
        let units = messages.iter().map(|message| {
            let factor = match MessageType::of(message) {
                MessageType::Fifo | MessageType::Delay | MessageType::Transaction => {
                    ADVANCED_FACTOR
                }
                MessageType::Normal | MessageType::Lite | MessageType::Priority => 1,
            };
            self.units(message.body.len()) * factor
        });
        units.sum()
    }

    /// Takes the units of a send out of the budgets, and counts them as used. Returns what to give
    /// back if nothing comes of the send.
    pub(crate) fn admit_send(
        &self,
        messages: &[Message],
        topic: NamedLimit<'_, TopicName>,
        now: impl FnOnce() -> Timestamp,
    ) -> Result<u64, QuotaError> {
        if !self.is_on() && topic.is_none() {
            return Ok(0);
        }
        let (units, now) = (self.send_units(messages), now());
        let mut state = self.state.lock();
        let state = &mut *state;
        if state.is_stopped {
            return Err(self.stopped());
        }
        state.turn(now);
        let shares = state.shares;
        let limit = state.limit(|entitlement| entitlement.send_tps);
        let full = match limit.filter(|limit| !state.sends.fits(limit.share, units, now)) {
            Some(limit) => Some((Budgeted::Sends, limit)),
            None => topic.and_then(|(name, whole)| {
                let budget = named(&mut state.topics, name);
                let share = shares.sends.of(whole);
                let fits = budget.fits(share, units, now);
                if fits {
                    budget.take(share, units, now);
                }
                (!fits).then(|| (Budgeted::Topic(name.clone()), Limit { whole, share }))
            }),
        };
        if let Some((budget, limit)) = full {
            state.counts.throttled_sends += 1;
            if budget == Budgeted::Sends {
                state.note(units, true, now);
            }
            return Err(self.throttled(budget, limit));
        }
        state.counts.send_units += units;
        state.note(units, false, now);
        if let Some(share) = &state.share {
            state.sends.take(share.send_tps, units, now);
            state.usage.add_sends(share, units, now);
        }
        Ok(units)
    }

    /// Takes back that a send was used, as nothing came of it. The second keeps it.
    pub(crate) fn give_back_send(&self, units: u64) {
        if units > 0 {
            let mut state = self.state.lock();
            state.counts.send_units = state.counts.send_units.saturating_sub(units);
            state.usage.give_back_sends(units);
        }
    }

    /// Whether there is anything left for deliveries.
    pub(crate) fn admit_receive(
        &self,
        group: NamedLimit<'_, GroupName>,
        now: impl FnOnce() -> Timestamp,
    ) -> Result<(), QuotaError> {
        if !self.is_on() && group.is_none() {
            return Ok(());
        }
        let now = now();
        let mut state = self.state.lock();
        let state = &mut *state;
        if state.is_stopped {
            return Err(self.stopped());
        }
        state.turn(now);
        let shares = state.shares;
        let limit = state.limit(|entitlement| entitlement.receive_tps);
        let full = match limit.filter(|limit| !state.deliveries.fits(limit.share, 1, now)) {
            Some(limit) => Some((Budgeted::Deliveries, limit)),
            None => group.and_then(|(name, whole)| {
                let share = shares.deliveries.of(whole);
                let fits = named(&mut state.groups, name).fits(share, 1, now);
                (!fits).then(|| (Budgeted::Group(name.clone()), Limit { whole, share }))
            }),
        };
        let Some((budget, limit)) = full else {
            return Ok(());
        };
        state.counts.throttled_receives += 1;
        if budget == Budgeted::Deliveries {
            state.note(1, true, now);
        }
        Err(self.throttled(budget, limit))
    }

    /// Counts deliveries of messages whose bodies have so many bytes.
    pub(crate) fn count_deliveries(
        &self,
        bodies: impl Iterator<Item = usize>,
        group: NamedLimit<'_, GroupName>,
        now: Timestamp,
    ) {
        if !self.is_on() && group.is_none() {
            return;
        }
        let units = bodies.map(|bytes| self.units(bytes)).sum();
        let mut state = self.state.lock();
        let state = &mut *state;
        if let Some((name, limit)) = group {
            let share = state.shares.deliveries.of(limit);
            named(&mut state.groups, name).take(share, units, now);
        }
        state.counts.receive_units += units;
        state.note(units, false, now);
        if let Some(share) = &state.share {
            state.deliveries.take(share.receive_tps, units, now);
            state.usage.add_deliveries(share, units, now);
        }
    }

    /// What it has used since the start.
    pub(crate) fn counts(&self) -> QuotaCounts {
        self.state.lock().counts
    }

    /// By how much the busiest second of the hour that runs was above this node's share of the TPS
    /// that are paid for; less than 0 if it was below it.
    pub(crate) fn elastic_tps(&self) -> i64 {
        self.state.lock().usage.elastic_tps()
    }

    /// Goes on with an hour from what is known of it.
    pub(crate) fn restore(&self, record: UsageRecord) {
        self.state.lock().usage.restore(record);
    }

    /// Begins the hour of `now` if it is another, with the bytes that are stored.
    pub(crate) fn look_at_storage(&self, now: Timestamp, bytes: impl FnOnce() -> u64) {
        if !self.is_on() {
            return;
        }
        let mut state = self.state.lock();
        let state = &mut *state;
        state.turn(now);
        if let Some(share) = &state.share {
            state.usage.look_at_storage(share, now, bytes);
        }
    }

    /// The hours that are over since the last call, and the one that runs.
    pub(crate) fn usage(&self, now: Timestamp) -> Vec<UsageRecord> {
        let mut state = self.state.lock();
        let state = &mut *state;
        match &state.share {
            Some(share) => state.usage.take(share, now),
            None => Vec::new(),
        }
    }

    fn stopped(&self) -> QuotaError {
        QuotaError::Stopped {
            instance: self.instance.clone(),
        }
    }

    fn throttled(&self, budget: Budgeted, limit: Limit) -> QuotaError {
        QuotaError::Throttled {
            instance: self.instance.clone(),
            series: self.series,
            budget,
            limit: limit.whole,
            share: limit.share,
        }
    }
}

/// The budget of that name. Limits of topics and groups are few; past the bound all begin anew.
fn named<'a, N: Clone + Eq + std::hash::Hash>(
    budgets: &'a mut HashMap<N, Budget>,
    name: &N,
) -> &'a mut Budget {
    if !budgets.contains_key(name) {
        if budgets.len() >= NAMED_BUDGETS_MAX {
            budgets.clear();
        }
        budgets.insert(name.clone(), Budget::default());
    }
    budgets
        .get_mut(name)
        .expect("it is there or was just put there")
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn units_are_those_of_the_worked_tests() {
        let instance = InstanceId::default_instance();
        let quota = Quota::new(instance, Series::V5, 4_096);
        for (bytes, units) in [
            (1, 1),
            (4_096, 1),
            (4_097, 2),
            (18 * 1_024, 5),
            (4 << 20, 1_024),
        ] {
            assert_eq!(quota.units(bytes), units, "{bytes} bytes");
        }
    }
}
