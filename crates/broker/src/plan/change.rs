//! What may be changed of a plan. Edition and set-up stay as they were ordered.

use super::{AclType, Capacity, Internet, Payment, Plan, PlanError, SendRatio};

/// What is to be changed of a plan; `None` leaves it as it is.
#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub struct PlanChange {
    /// Another specification of the same edition and set-up.
    pub specification: Option<String>,
    /// Of a serverless instance, what is reserved.
    pub capacity: Option<Capacity>,
    /// Elastic TPS on or off.
    pub elastic: Option<bool>,
    /// Of a serverless instance, whether the limit follows the traffic.
    pub adaptive: Option<bool>,
    /// The part of the TPS that sends have.
    pub send_ratio: Option<SendRatio>,
    /// How long messages are kept, in hours.
    pub retention_hours: Option<u32>,
    /// Of a serverless instance, whether messages are traced.
    pub trace: Option<bool>,
    /// The way from the Internet; `Some(None)` closes it.
    pub internet: Option<Option<Internet>>,
    /// Addresses and ranges that may come.
    pub ip_whitelist: Option<Vec<String>>,
    /// Ways to say who one is.
    pub acl_types: Option<Vec<AclType>>,
    /// Whether clients of the private network need not say who they are.
    pub default_vpc_auth_free: Option<bool>,
    /// Months by which the subscription is prolonged by itself; `Some(None)` lets it end.
    pub auto_renew_months: Option<Option<u32>>,
}

impl Plan {
    /// The plan with a change made, checked.
    pub fn changed(mut self, change: PlanChange) -> Result<Self, PlanError> {
        fn set<T>(place: &mut T, value: Option<T>) {
            if let Some(value) = value {
                *place = value;
            }
        }
        if change.specification.is_some() {
            self.specification = change.specification;
        }
        if change.capacity.is_some() {
            self.capacity = change.capacity;
        }
        set(&mut self.elastic, change.elastic);
        set(&mut self.adaptive, change.adaptive);
        set(&mut self.send_ratio, change.send_ratio);
        set(&mut self.retention_hours, change.retention_hours);
        set(&mut self.trace, change.trace);
        set(&mut self.network.internet, change.internet);
        set(&mut self.network.ip_whitelist, change.ip_whitelist);
        set(&mut self.acl.types, change.acl_types);
        set(
            &mut self.acl.default_vpc_auth_free,
            change.default_vpc_auth_free,
        );
        match (&mut self.payment, change.auto_renew_months) {
            (_, None) => {}
            (Payment::Subscription(subscription), Some(months)) => {
                subscription.auto_renew_months = months;
            }
            (Payment::PayAsYouGo, Some(None)) => {}
            (Payment::PayAsYouGo, Some(Some(months))) => {
                let expected = "none of an instance that is paid for as it goes";
                return Err(PlanError::value("autoRenewPeriod", months, expected));
            }
        }
        self.check()?;
        Ok(self)
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::plan::{Edition, SubSeries};

    #[test]
    fn a_change_is_checked_as_a_whole() {
        let plan = Plan::new(
            Edition::Professional,
            SubSeries::ClusterHa,
            Some("rmq.p2.10xlarge".to_owned()),
        );
        let change = PlanChange {
            specification: Some("rmq.p2.20xlarge".to_owned()),
            elastic: Some(true),
            retention_hours: Some(24),
            ..PlanChange::default()
        };
        let changed = plan.clone().changed(change).unwrap();
        assert_eq!(changed.specification.as_deref(), Some("rmq.p2.20xlarge"));
        assert!(changed.elastic);
        assert_eq!(changed.retention_hours, 24);
        assert_eq!(changed.send_ratio, plan.send_ratio);
        let change = PlanChange {
            specification: Some("rmq.u2.20xlarge".to_owned()),
            ..PlanChange::default()
        };
        plan.clone().changed(change).unwrap_err();
        let change = PlanChange {
            auto_renew_months: Some(Some(1)),
            ..PlanChange::default()
        };
        plan.changed(change).unwrap_err();
    }
}
