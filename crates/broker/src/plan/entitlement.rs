//! What a plan entitles its instance to, in numbers.

use super::{Capacity, Plan, PlanError, SendRatio};
use crate::quota::Shares;

/// What a plan entitles its instance to.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct Entitlement {
    /// Messaging TPS that are paid for: sends and deliveries, in units.
    pub base_tps: u64,
    /// TPS beyond them that may be used, and are charged for.
    pub burst_tps: u64,
    /// Units of sends in a second.
    pub send_tps: u64,
    /// Units of deliveries in a second.
    pub receive_tps: u64,
    /// Connected clients.
    pub connections: usize,
    /// Topics, those of the system and of groups not counted.
    pub topics: usize,
    /// Groups, those of the system not counted.
    pub groups: usize,
    /// Longest delay of a timed message, in milliseconds: `maxDelayTime` has it in seconds.
    pub delay_ms_max: u64,
    /// How long messages are kept, in milliseconds.
    pub retention_ms: u64,
    /// Longest name of a topic, in bytes.
    pub topic_name_bytes: usize,
    /// Longest name of a group, in bytes.
    pub group_name_bytes: usize,
    /// The part of the TPS that sends have.
    pub send_ratio: SendRatio,
    /// How the limit follows the traffic; `None` where it stays.
    pub growth: Option<Growth>,
}

/// How the limit of a serverless instance follows its traffic.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct Growth {
    /// By how many TPS it grows and shrinks at a time.
    pub step_tps: u64,
    /// TPS that it never grows beyond.
    pub tps_max: u64,
    /// Whether what it has grown by is charged for as elastic TPS; otherwise it is paid for by the
    /// message, as all else.
    pub is_charged: bool,
}

impl Entitlement {
    /// Most units in a second, of sends and deliveries together.
    pub fn tps(&self) -> u64 {
        self.base_tps + self.burst_tps
    }

    /// The same where the limit has grown by so many TPS.
    #[must_use]
    pub fn grown(mut self, extra_tps: u64) -> Self {
        match self.growth {
            Some(growth) if growth.is_charged => self.burst_tps += extra_tps,
            _ => self.base_tps += extra_tps,
        }
        self.send_tps = self.send_ratio.of(self.tps());
        self.receive_tps = self.tps() - self.send_tps;
        self
    }

    /// What a node has of it that shares the budgets of each second with others. The rest is the
    /// same at all of them.
    #[must_use]
    pub(crate) fn shared(self, shares: Shares) -> Self {
        let Shares { sends, deliveries } = shares;
        Self {
            base_tps: deliveries.of(self.base_tps),
            burst_tps: deliveries.of(self.burst_tps),
            send_tps: sends.of(self.send_tps),
            receive_tps: deliveries.of(self.receive_tps),
            ..self
        }
    }
}

const HOUR_MS: u64 = 60 * 60 * 1_000;

impl Plan {
    /// What it entitles to; fails as [`Plan::check`] does.
    pub fn entitlement(&self) -> Result<Entitlement, PlanError> {
        self.check()?;
        let offer = self.offer()?;
        let named = self.specification.as_deref();
        let row = named.and_then(|name| offer.specification(name));
        let (base_tps, burst_tps, connections, topics) = match (row, &offer.serverless) {
            (Some(row), _) => {
                let burst = if self.elastic { row.burst_tps } else { 0 };
                (row.tps, burst, row.connections, row.topics)
            }
            (None, Some(serverless)) => {
                // Reserved TPS grow by as much again without loss. Where none are reserved, a step
                // is there, and what is used of it is paid for by the message.
                let (base, burst) = match self.capacity {
                    Some(Capacity::Provisioned { tps }) => (tps, tps),
                    Some(Capacity::OnDemand) | None => (serverless.on_demand_tps, 0),
                };
                (base, burst, serverless.connections, serverless.topics)
            }
            // A plan that passes its check has one of them.
            (None, None) => return Err(PlanError::None),
        };
        let growth = offer.serverless.as_ref().filter(|_| self.adaptive);
        let growth = growth.map(|serverless| {
            let reserved = match self.capacity {
                Some(Capacity::Provisioned { tps }) => Some(tps),
                Some(Capacity::OnDemand) | None => None,
            };
            Growth {
                step_tps: reserved.unwrap_or(serverless.on_demand_tps),
                tps_max: serverless.adaptive_tps_max,
                is_charged: reserved.is_some(),
            }
        });
        let tps = base_tps + burst_tps;
        let send_tps = self.send_ratio.of(tps);
        Ok(Entitlement {
            base_tps,
            burst_tps,
            send_tps,
            receive_tps: tps - send_tps,
            connections,
            topics,
            groups: offer.groups,
            delay_ms_max: offer.delay_hours_max * HOUR_MS,
            retention_ms: u64::from(self.retention_hours) * HOUR_MS,
            topic_name_bytes: offer.topic_name_bytes,
            group_name_bytes: offer.group_name_bytes,
            send_ratio: self.send_ratio,
            growth,
        })
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::plan::{Edition, SendRatio, SubSeries};

    #[test]
    fn tps_are_parted_and_burst_only_where_that_is_on() {
        let name = Some("rmq.p2.10xlarge".to_owned());
        let mut plan = Plan::new(Edition::Professional, SubSeries::ClusterHa, name);
        plan.send_ratio = SendRatio::new(0.8).unwrap();
        let off = plan.entitlement().unwrap();
        assert_eq!(
            (off.tps(), off.send_tps, off.receive_tps),
            (10_000, 8_000, 2_000)
        );
        plan.elastic = true;
        let on = plan.entitlement().unwrap();
        assert_eq!((on.base_tps, on.tps()), (10_000, 15_000));
        assert_eq!((on.send_tps, on.receive_tps), (12_000, 3_000));
    }

    #[test]
    fn delays_follow_edition_and_payment() {
        let delay_days = |edition, sub_series, name: Option<&str>| {
            let plan = Plan::new(edition, sub_series, name.map(str::to_owned));
            plan.entitlement().unwrap().delay_ms_max / HOUR_MS / 24
        };
        let (cluster, serverless) = (SubSeries::ClusterHa, SubSeries::Serverless);
        assert_eq!(
            delay_days(Edition::Standard, cluster, Some("rmq.s2.2xlarge")),
            7
        );
        assert_eq!(
            delay_days(Edition::Professional, cluster, Some("rmq.p2.2xlarge")),
            40
        );
        assert_eq!(
            delay_days(Edition::Ultimate, cluster, Some("rmq.u2.10xlarge")),
            40
        );
        assert_eq!(delay_days(Edition::Standard, serverless, None), 7);
        assert_eq!(delay_days(Edition::Professional, serverless, None), 7);
    }
}
