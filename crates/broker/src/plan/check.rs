//! Whether a plan can be ordered.

use base::{ErrorKind, limits};

use super::{Capacity, Edition, FlowOut, Offer, Payment, Period, PeriodUnit, Plan, offer};

/// Months by which a subscription may be prolonged by itself.
const AUTO_RENEW_MONTHS: [u32; 5] = [1, 2, 3, 6, 12];
/// Mbit/s out.
const BANDWIDTH_MAX: u32 = 1_000;

/// Why a plan, or a change of it, is not taken. Fields are named as in the service's OpenAPI.
#[derive(Clone, Debug, PartialEq, Eq, thiserror::Error)]
pub enum PlanError {
    /// A value is none that it may be.
    #[error("{field} is `{value}`, expected {expected}")]
    Value {
        /// The field.
        field: &'static str,
        /// What it says.
        value: String,
        /// What it might say.
        expected: String,
    },
    /// The instance has no plan, and never gets one.
    #[error("instance has no plan, expected one that was created with an edition")]
    None,
}

impl PlanError {
    /// A value that is none that it may be.
    pub fn value(field: &'static str, value: impl ToString, expected: impl Into<String>) -> Self {
        Self::Value {
            field,
            value: value.to_string(),
            expected: expected.into(),
        }
    }

    /// What the caller should do.
    pub fn kind(&self) -> ErrorKind {
        match self {
            Self::Value { .. } | Self::None => ErrorKind::Request,
        }
    }
}

fn expect(
    holds: bool,
    field: &'static str,
    value: impl ToString,
    expected: impl Into<String>,
) -> Result<(), PlanError> {
    if holds {
        return Ok(());
    }
    Err(PlanError::value(field, value, expected))
}

/// The names, in a text: `a, b or c`.
pub(super) fn one_of<T: AsRef<str>>(names: impl IntoIterator<Item = T>) -> String {
    let names: Vec<T> = names.into_iter().collect();
    let mut text = String::new();
    for (index, name) in names.iter().enumerate() {
        text.push_str(match index {
            0 => "",
            _ if index + 1 == names.len() => " or ",
            _ => ", ",
        });
        text.push_str(name.as_ref());
    }
    text
}

impl Plan {
    /// Checks that it can be ordered.
    pub fn check(&self) -> Result<(), PlanError> {
        let offer = self.offer()?;
        self.check_size(offer)?;
        self.check_payment()?;
        let ratio = self.send_ratio.get();
        let in_range = (0.05..=0.95).contains(&ratio);
        expect(in_range, "sendReceiveRatio", ratio, "0.05 to 0.95")?;
        let (hours, max) = (self.retention_hours, limits::RETENTION_HOURS_MAX);
        let in_range = (1..=max).contains(&hours);
        let expected = format!("1 to {max} hours");
        expect(in_range, "messageRetentionTime", hours, expected)?;
        if let Some(key) = &self.storage_secret_key {
            let expected = "none but of the edition ultimate";
            expect(offer.storage_encryption, "storageSecretKey", key, expected)?;
        }
        expect(!self.acl.types.is_empty(), "aclTypes", "", "at least one")?;
        self.check_network()
    }

    /// What it was ordered from.
    pub fn offer(&self) -> Result<&'static Offer, PlanError> {
        offer(self.edition, self.sub_series).ok_or_else(|| {
            let fitting = super::offers()
                .iter()
                .filter(|offer| offer.edition == self.edition);
            let fitting = one_of(fitting.map(|offer| offer.sub_series.code()));
            let expected = format!("{fitting} of the edition {}", self.edition);
            PlanError::value("subSeriesCode", self.sub_series, expected)
        })
    }

    fn check_size(&self, offer: &Offer) -> Result<(), PlanError> {
        let named = self.specification.as_deref().unwrap_or_default();
        match &offer.serverless {
            None => {
                let names = offer.specifications.iter().map(|row| &row.name);
                let known = offer.specification(named).is_some();
                expect(known, "msgProcessSpec", named, one_of(names))?;
                let capacity = self.capacity.is_none();
                let expected = "none but of serverless instances";
                expect(capacity, "capacityType", "set", expected)?;
                expect(!self.adaptive, "adaptiveElasticity", true, expected)?;
                expect(
                    self.trace,
                    "traceOn",
                    false,
                    "true but of serverless instances",
                )?;
            }
            Some(serverless) => {
                let expected = "none of a serverless instance";
                expect(named.is_empty(), "msgProcessSpec", named, expected)?;
                let (min, max) = (
                    serverless.provisioned_tps_min,
                    serverless.provisioned_tps_max,
                );
                match self.capacity {
                    None => {
                        let expected = "provisioned or ondemand";
                        return Err(PlanError::value("capacityType", "", expected));
                    }
                    Some(Capacity::OnDemand) => {}
                    Some(Capacity::Provisioned { tps }) => {
                        let in_range = (min..=max).contains(&tps);
                        let expected = format!("{min} to {max}");
                        expect(in_range, "provisionedCapacity", tps, expected)?;
                    }
                }
            }
        }
        let may_burst = offer.elastic || !self.elastic;
        let fitting = [Edition::Professional, Edition::Ultimate].map(Edition::code);
        let expected = format!("false but of cluster_ha of {}", one_of(fitting));
        expect(may_burst, "autoScaling", self.elastic, expected)
    }

    fn check_payment(&self) -> Result<(), PlanError> {
        let Payment::Subscription(subscription) = &self.payment else {
            return Ok(());
        };
        let code = self.payment.code();
        let expected = "PayAsYouGo of a serverless instance";
        expect(!self.is_serverless(), "paymentType", code, expected)?;
        subscription.period.check()?;
        if let Some(months) = subscription.auto_renew_months {
            let known = AUTO_RENEW_MONTHS.contains(&months);
            let expected = one_of(AUTO_RENEW_MONTHS.map(|months| months.to_string()));
            expect(known, "autoRenewPeriod", months, expected)?;
        }
        Ok(())
    }

    fn check_network(&self) -> Result<(), PlanError> {
        let Some(internet) = self.network.internet else {
            return Ok(());
        };
        let bandwidth = internet.bandwidth;
        match internet.flow_out {
            FlowOut::Bandwidth => {
                let in_range = (1..=BANDWIDTH_MAX).contains(&bandwidth);
                let expected = format!("1 to {BANDWIDTH_MAX} Mbit/s");
                expect(in_range, "flowOutBandwidth", bandwidth, expected)
            }
            FlowOut::Traffic => {
                let expected = "none where traffic is paid for";
                expect(bandwidth == 0, "flowOutBandwidth", bandwidth, expected)
            }
        }
    }
}

impl Period {
    /// Checks that a subscription can be ordered for so long.
    pub fn check(self) -> Result<(), PlanError> {
        let max = match self.unit {
            PeriodUnit::Month => 6,
            PeriodUnit::Year => 3,
        };
        let in_range = (1..=max).contains(&self.count);
        let expected = format!("1 to {max} (periodUnit {})", self.unit);
        expect(in_range, "period", self.count, expected)
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::plan::{Internet, SendRatio, SubSeries};

    fn plan() -> Plan {
        let name = "rmq.p2.10xlarge".to_owned();
        Plan::new(Edition::Professional, SubSeries::ClusterHa, Some(name))
    }

    fn serverless() -> Plan {
        Plan::new(Edition::Standard, SubSeries::Serverless, None)
    }

    #[test]
    fn what_can_be_ordered_passes() {
        plan().check().unwrap();
        serverless().check().unwrap();
        let mut bursts = plan();
        bursts.elastic = true;
        bursts.payment = Payment::subscription(Period::months(6), Some(12));
        bursts.check().unwrap();
        let micro = Some("rmq.s1.micro".to_owned());
        let micro = Plan::new(Edition::Standard, SubSeries::SingleNode, micro);
        micro.check().unwrap();
    }

    #[test]
    fn what_cannot_is_told_with_field_value_and_what_was_expected() {
        type Change = fn(&mut Plan);
        let cases: [(Change, &str); 16] = [
            (
                |plan| plan.sub_series = SubSeries::Serverless,
                "msgProcessSpec is `rmq.p2.10xlarge`, expected none of a serverless instance",
            ),
            (
                |plan| plan.edition = Edition::Shared,
                "subSeriesCode is `cluster_ha`, expected serverless of the edition shared",
            ),
            (
                |plan| {
                    plan.edition = Edition::Ultimate;
                    plan.sub_series = SubSeries::SingleNode;
                },
                "subSeriesCode is `single_node`, expected cluster_ha of the edition ultimate",
            ),
            (
                |plan| {
                    plan.edition = Edition::Standard;
                },
                "msgProcessSpec is `rmq.p2.10xlarge`, expected rmq.s2.2xlarge, rmq.s2.4xlarge or \
                 rmq.s2.6xlarge",
            ),
            (
                |plan| {
                    plan.edition = Edition::Standard;
                    plan.specification = Some("rmq.s2.2xlarge".to_owned());
                    plan.elastic = true;
                },
                "autoScaling is `true`, expected false but of cluster_ha of professional or \
                 ultimate",
            ),
            (
                |plan| plan.send_ratio = SendRatio::new(0.04).unwrap(),
                "sendReceiveRatio is `0.04`, expected 0.05 to 0.95",
            ),
            (
                |plan| plan.send_ratio = SendRatio::new(0.96).unwrap(),
                "sendReceiveRatio is `0.96`, expected 0.05 to 0.95",
            ),
            (
                |plan| plan.retention_hours = 0,
                "messageRetentionTime is `0`, expected 1 to 720 hours",
            ),
            (
                |plan| plan.retention_hours = 721,
                "messageRetentionTime is `721`, expected 1 to 720 hours",
            ),
            (
                |plan| plan.storage_secret_key = Some("key".to_owned()),
                "storageSecretKey is `key`, expected none but of the edition ultimate",
            ),
            (
                |plan| plan.payment = Payment::subscription(Period::months(7), None),
                "period is `7`, expected 1 to 6 (periodUnit Month)",
            ),
            (
                |plan| plan.payment = Payment::subscription(Period::months(1), Some(4)),
                "autoRenewPeriod is `4`, expected 1, 2, 3, 6 or 12",
            ),
            (
                |plan| {
                    plan.network.internet = Some(Internet {
                        flow_out: FlowOut::Bandwidth,
                        bandwidth: 1_001,
                    });
                },
                "flowOutBandwidth is `1001`, expected 1 to 1000 Mbit/s",
            ),
            (
                |plan| plan.acl.types.clear(),
                "aclTypes is ``, expected at least one",
            ),
            (
                |plan| plan.trace = false,
                "traceOn is `false`, expected true but of serverless instances",
            ),
            (
                |plan| plan.capacity = Some(Capacity::OnDemand),
                "capacityType is `set`, expected none but of serverless instances",
            ),
        ];
        for (change, expected) in cases {
            let mut plan = plan();
            change(&mut plan);
            assert_eq!(plan.check().unwrap_err().to_string(), expected);
        }
        let mut wrong = serverless();
        wrong.payment = Payment::subscription(Period::months(1), None);
        let expected =
            "paymentType is `Subscription`, expected PayAsYouGo of a serverless instance";
        assert_eq!(wrong.check().unwrap_err().to_string(), expected);
        let mut wrong = serverless();
        wrong.capacity = Some(Capacity::Provisioned { tps: 999 });
        let expected = "provisionedCapacity is `999`, expected 1000 to 1000000";
        assert_eq!(wrong.check().unwrap_err().to_string(), expected);
    }
}
