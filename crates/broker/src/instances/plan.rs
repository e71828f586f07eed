//! Plans of instances in the course of time: ordered, prolonged, ended.
//!
//! ```text
//!           create              unsubscribe, or the subscription ends
//! (nothing) ------> RUNNING ----------------------------------------> STOPPED ---> released
//!                      ^                                                 |
//!                      +-------------------- renew ----------------------+
//! ```
//!
//! A stopped instance keeps all that it has, and takes and hands out no message.

use std::sync::Arc;

use base::{InstanceId, Timestamp};

use super::{
    CreateInstanceError, DeleteInstanceError, InstanceRecord, Instances, UpdateInstanceError,
};
use crate::{
    Series,
    plan::{InstanceStatus, Payment, Period, Plan, PlanError, Subscription},
};

/// The plan of a new instance, its subscription begun.
pub(super) fn ordered(
    plan: Option<Plan>,
    series: Series,
    now: Timestamp,
) -> Result<Option<Plan>, CreateInstanceError> {
    let Some(mut plan) = plan else {
        return Ok(None);
    };
    if series != Series::V5 {
        return Err(CreateInstanceError::PlanOfSeries { series });
    }
    plan.check()?;
    plan.payment.begin(now);
    Ok(Some(plan))
}

impl InstanceRecord {
    /// Its subscription; fails where it has none.
    fn subscription(&mut self) -> Result<&mut Subscription, UpdateInstanceError> {
        let plan = self.plan.as_mut().ok_or(PlanError::None)?;
        match &mut plan.payment {
            Payment::Subscription(subscription) => Ok(subscription),
            Payment::PayAsYouGo => Err(UpdateInstanceError::NoSubscription {
                instance: self.id.clone(),
            }),
        }
    }

    /// As it is at `now`, where its subscription has ended; `None` if nothing is to be changed.
    fn due(&self, now: Timestamp) -> Option<Self> {
        let mut record = self.clone();
        let Some(Plan {
            payment: Payment::Subscription(subscription),
            ..
        }) = &mut record.plan
        else {
            return None;
        };
        if subscription.expires_at > now || record.status != InstanceStatus::Running {
            return None;
        }
        match subscription.auto_renew_months {
            Some(months) => {
                // A server that was off for long may have missed several.
                while subscription.expires_at <= now {
                    let from = subscription.expires_at;
                    subscription.renew(Period::months(months), from);
                }
            }
            None => record.status = InstanceStatus::Stopped,
        }
        Some(record)
    }
}

impl Instances {
    /// Prolongs a subscription. A stopped instance is in service again.
    pub async fn renew(
        self: &Arc<Self>,
        id: &InstanceId,
        period: Period,
    ) -> Result<Arc<InstanceRecord>, UpdateInstanceError> {
        period.check()?;
        let now = self.parts.clock.now();
        self.rework(id, move |record| {
            record.subscription()?.renew(period, now);
            if record.status == InstanceStatus::Stopped {
                record.status = InstanceStatus::Running;
            }
            Ok(())
        })
        .await
    }

    /// Ends a subscription now: the instance is out of service, and can be released.
    pub async fn unsubscribe(
        self: &Arc<Self>,
        id: &InstanceId,
    ) -> Result<Arc<InstanceRecord>, UpdateInstanceError> {
        let now = self.parts.clock.now();
        self.rework(id, move |record| {
            let status = record.status;
            if !matches!(status, InstanceStatus::Running | InstanceStatus::Stopped) {
                return Err(UpdateInstanceError::Busy {
                    instance: record.id.clone(),
                    status,
                    expected: InstanceStatus::Running,
                });
            }
            let subscription = record.subscription()?;
            subscription.auto_renew_months = None;
            subscription.expires_at = subscription.expires_at.min(now);
            record.status = InstanceStatus::Stopped;
            Ok(())
        })
        .await
    }

    /// Deletes an instance as [`Instances::delete`] does, unless a subscription runs.
    pub async fn release(self: &Arc<Self>, id: &InstanceId) -> Result<(), DeleteInstanceError> {
        let now = self.parts.clock.now();
        let ends = self.get(id).ok().and_then(|record| {
            let plan = record.plan.as_ref()?;
            plan.expires_at()
        });
        if let Some(until) = ends.filter(|until| *until > now) {
            let instance = id.clone();
            return Err(DeleteInstanceError::Subscribed { instance, until });
        }
        self.delete(id).await
    }

    /// Prolongs subscriptions that have ended and prolong themselves, and takes instances out of
    /// service whose subscription has ended. To be called every minute or so.
    pub async fn keep_subscriptions(self: &Arc<Self>) {
        let now = self.parts.clock.now();
        for record in self.list() {
            if record.due(now).is_none() {
                continue;
            }
            let kept = self.rework(&record.id, move |record| {
                if let Some(changed) = record.due(now) {
                    *record = changed;
                }
                Ok(())
            });
            match kept.await {
                Ok(record) => {
                    let (instance, status) = (&record.id, record.status);
                    tracing::info!(%instance, %status, "subscription had ended");
                }
                // The next turn tries again.
                Err(error) => {
                    let (instance, error) = (&record.id, &error as &dyn std::error::Error);
                    tracing::warn!(%instance, error, "subscription not looked after");
                }
            }
        }
    }

    pub(super) async fn rework(
        self: &Arc<Self>,
        id: &InstanceId,
        change: impl FnOnce(&mut InstanceRecord) -> Result<(), UpdateInstanceError> + Send + 'static,
    ) -> Result<Arc<InstanceRecord>, UpdateInstanceError> {
        let (own, id) = (Arc::clone(self), id.clone());
        let reworked = self.carry_out(async move {
            let _change = own.changes.lock().await;
            let mut record = InstanceRecord::clone(&*own.get(&id)?);
            change(&mut record)?;
            own.replace(record).await
        });
        reworked.await.unwrap_or(Err(UpdateInstanceError::Stopping))
    }
}
