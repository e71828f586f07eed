//! What the plan of an instance means for it: limits of topics, groups, delays and clients, and how
//! long messages are kept.

use std::{sync::atomic::Ordering, time::Duration};

use base::{GroupName, TopicName, limits};

use crate::{
    CreateGroupError, CreateTopicError, Instance, InstanceMetrics, UsageRecord,
    metadata::{Catalogue, is_application_topic},
    plan::{InstanceStatus, Plan, PlanError},
    quota::{Grown, QuotaCounts, Shares},
    system_names::is_system_group,
};

impl Instance {
    /// Goes by a plan from now on, or by none; one that is stopped or released takes and hands out
    /// no message.
    ///
    /// # Errors
    /// When the plan is one that cannot be ordered; the one before stays.
    pub fn go_by(&self, plan: Option<&Plan>, status: InstanceStatus) -> Result<(), PlanError> {
        let entitlement = plan.map(Plan::entitlement).transpose()?;
        let is_stopped = matches!(status, InstanceStatus::Stopped | InstanceStatus::Released);
        let quota = &self.catalogue.quota;
        quota.set(entitlement, is_stopped, self.clock.now());
        self.access().planned.set(plan);
        let untraced = plan.is_some_and(|plan| !plan.trace);
        self.untraced.store(untraced, Ordering::Relaxed);
        Ok(())
    }

    /// Has these shares of the budgets of each second from now on: other nodes have the rest.
    pub(crate) fn share_budgets(&self, shares: Shares) {
        self.catalogue.quota.share(shares, self.clock.now());
    }

    /// By how much its limit has grown with the traffic; `None` where it has not.
    pub(crate) fn grown(&self) -> Option<Grown> {
        self.catalogue.quota.grown()
    }

    /// Has the limit as it had grown before the start. To be called once it goes by its plan.
    pub(crate) fn restore_growth(&self, grown: Grown) {
        let now = self.clock.now();
        self.catalogue.quota.restore_growth(grown, now);
    }

    /// How long messages are kept by its plan; `None` without one.
    pub fn planned_retention(&self) -> Option<Duration> {
        let entitlement = self.catalogue.quota.entitlement()?;
        Some(Duration::from_millis(entitlement.retention_ms))
    }

    /// Notes what is stored at the start of each hour. To be called several times a second.
    pub fn look_at_storage(&self) {
        let now = self.clock.now();
        self.catalogue.quota.look_at_storage(now, || {
            let logs = self.shards().into_iter().map(|shard| {
                let log = shard.log();
                log.durable_end().get().saturating_sub(log.start().get())
            });
            logs.sum()
        });
    }

    /// What it used in the hours that are over since the last call, and in the one that runs. Empty
    /// without a plan.
    pub fn usage(&self) -> Vec<UsageRecord> {
        self.catalogue.quota.usage(self.clock.now())
    }

    /// Goes on with an hour from what is known of it, unless it has used something already.
    pub(crate) fn restore_usage(&self, record: UsageRecord) {
        self.catalogue.quota.restore(record);
    }

    /// What it has used, and how often it was refused, since the start.
    pub(crate) fn quota_counts(&self) -> QuotaCounts {
        self.catalogue.quota.counts()
    }

    /// By how much the busiest second of this hour was above this node's share of the TPS that are
    /// paid for; less than 0 if it was below it.
    pub(crate) fn elastic_tps(&self) -> i64 {
        self.catalogue.quota.elastic_tps()
    }

    pub(crate) fn add_quota_metrics(&self, metrics: &mut InstanceMetrics) {
        let counts = self.catalogue.quota.counts();
        metrics.send_units = counts.send_units;
        metrics.receive_units = counts.receive_units;
        metrics.throttled_sends = counts.throttled_sends;
        metrics.throttled_receives = counts.throttled_receives;
    }
}

impl Catalogue {
    /// Longest delay of a timed message, in milliseconds: that of the series or the setting, or
    /// that of the plan where it is shorter.
    pub(crate) fn longest_delay_ms(&self) -> u64 {
        let of_series = self.settings.series.limits().delay_ms;
        let longest = of_series.unwrap_or(self.settings.delay_ms_max);
        let planned = self.quota.entitlement();
        planned.map_or(longest, |planned| planned.delay_ms_max.min(longest))
    }

    /// Checks that there may be one more topic, of that name.
    pub(crate) fn check_new_topic(&self, topic: &TopicName) -> Result<(), CreateTopicError> {
        let of_application = is_application_topic(topic);
        let planned = self.quota.entitlement().filter(|_| of_application);
        let mut max = self.settings.series.limits_of(topic).topic_name_bytes;
        if let Some(planned) = planned {
            max = max.min(planned.topic_name_bytes);
        }
        if topic.as_str().len() > max {
            let topic = topic.clone();
            return Err(CreateTopicError::Name { topic, max });
        }
        let (mut count, mut limit) = (self.topic_count(), limits::TOPICS_PER_INSTANCE_MAX);
        if let Some(planned) = planned {
            (count, limit) = (self.application_counts().0, planned.topics);
        }
        if count >= limit {
            return Err(CreateTopicError::TooMany { count, limit });
        }
        Ok(())
    }

    /// Checks that there may be one more group, of that name.
    pub(crate) fn check_new_group(&self, group: &GroupName) -> Result<(), CreateGroupError> {
        let of_application = !is_system_group(group.as_str());
        let planned = self.quota.entitlement().filter(|_| of_application);
        let of_series = self.settings.series.limits();
        let mut max = of_series.group_name_bytes;
        if let Some(planned) = planned {
            max = max.min(planned.group_name_bytes);
        }
        if group.as_str().len() > max {
            let group = group.clone();
            return Err(CreateGroupError::Name { group, max });
        }
        let (mut count, mut limit) = (self.group_count(), of_series.groups);
        if let Some(planned) = planned {
            (count, limit) = (self.application_counts().1, planned.groups);
        }
        if count >= limit {
            return Err(CreateGroupError::TooMany { count, limit });
        }
        Ok(())
    }
}
