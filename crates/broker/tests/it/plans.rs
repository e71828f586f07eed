//! Plans of instances in the registry: ordered, changed, prolonged, ended.

use std::{sync::Arc, time::Duration};

use base::InstanceId;
use broker::{
    CreateInstanceError, DeleteInstanceError, InstanceChange, InstanceRecord, InstanceSpec, Series,
    UpdateInstanceError,
    plan::{Edition, InstanceStatus, Payment, Period, Plan, PlanChange, PlanError, SubSeries},
};
use futures::executor::block_on;

use crate::instances::Bench;

const DAY: Duration = Duration::from_secs(24 * 60 * 60);

pub(crate) fn professional() -> Plan {
    let name = Some("rmq.p2.2xlarge".to_owned());
    Plan::new(Edition::Professional, SubSeries::ClusterHa, name)
}

fn order(bench: &Bench, plan: Plan) -> Result<Arc<InstanceRecord>, CreateInstanceError> {
    block_on(bench.instances.create(InstanceSpec {
        series: Series::V5,
        plan: Some(plan),
        ..InstanceSpec::default()
    }))
}

fn subscribed(auto_renew_months: Option<u32>) -> Plan {
    let payment = Payment::subscription(Period::months(1), auto_renew_months);
    Plan {
        payment,
        ..professional()
    }
}

fn status(bench: &Bench, id: &InstanceId) -> InstanceStatus {
    let record = bench.instances.get(id);
    record.expect("the test made it").status
}

#[test]
fn a_plan_is_changed_and_outlives_a_restart() {
    let bench = Bench::new();
    let id = order(&bench, professional()).unwrap().id.clone();
    let change = |plan| InstanceChange {
        plan: Some(plan),
        ..InstanceChange::default()
    };
    let bigger = PlanChange {
        specification: Some("rmq.p2.4xlarge".to_owned()),
        elastic: Some(true),
        ..PlanChange::default()
    };
    block_on(bench.instances.update(&id, change(bigger))).unwrap();
    let unknown = PlanChange {
        specification: Some("rmq.p2.5xlarge".to_owned()),
        ..PlanChange::default()
    };
    let refused = block_on(bench.instances.update(&id, change(unknown)));
    assert!(matches!(
        refused,
        Err(UpdateInstanceError::Plan(PlanError::Value { .. }))
    ));
    let default = InstanceId::default_instance();
    let refused = block_on(
        bench
            .instances
            .update(&default, change(PlanChange::default())),
    );
    assert!(matches!(
        refused,
        Err(UpdateInstanceError::Plan(PlanError::None))
    ));
    let bench = bench.reopen();
    let record = bench.instances.get(&id).unwrap();
    let plan = record.plan.as_ref().unwrap();
    assert_eq!(plan.specification.as_deref(), Some("rmq.p2.4xlarge"));
    assert_eq!(plan.entitlement().unwrap().tps(), 6_000);
}

#[test]
fn a_plan_that_cannot_be_ordered_leaves_nothing() {
    let bench = Bench::new();
    let mut plan = professional();
    plan.retention_hours = 721;
    assert!(matches!(
        order(&bench, plan),
        Err(CreateInstanceError::Plan(_))
    ));
    let of_4 = InstanceSpec {
        series: Series::V4,
        plan: Some(professional()),
        ..InstanceSpec::default()
    };
    let refused = block_on(bench.instances.create(of_4));
    assert!(matches!(
        refused,
        Err(CreateInstanceError::PlanOfSeries { .. })
    ));
    assert_eq!(bench.instances.list().len(), 1);
}

#[test]
fn a_subscription_ends_and_is_renewed() {
    let bench = Bench::new();
    let id = order(&bench, subscribed(None)).unwrap().id.clone();
    block_on(bench.instances.keep_subscriptions());
    assert_eq!(status(&bench, &id), InstanceStatus::Running);
    let refused = block_on(bench.instances.release(&id));
    assert!(matches!(
        refused,
        Err(DeleteInstanceError::Subscribed { .. })
    ));
    bench.clock.advance(DAY * 32);
    block_on(bench.instances.keep_subscriptions());
    assert_eq!(status(&bench, &id), InstanceStatus::Stopped);
    let renewed = block_on(bench.instances.renew(&id, Period::months(2))).unwrap();
    assert_eq!(renewed.status, InstanceStatus::Running);
    let ends = renewed.plan.as_ref().unwrap().expires_at().unwrap();
    assert!(ends.since(base::Clock::now(&*bench.clock)) > DAY * 58);
    let refused = block_on(bench.instances.renew(&id, Period::months(7)));
    assert!(matches!(refused, Err(UpdateInstanceError::Plan(_))));
    block_on(bench.instances.unsubscribe(&id)).unwrap();
    assert_eq!(status(&bench, &id), InstanceStatus::Stopped);
    block_on(bench.instances.release(&id)).unwrap();
    assert!(bench.instances.get(&id).is_err());
}

#[test]
fn a_subscription_that_prolongs_itself_goes_on_after_a_long_pause() {
    let bench = Bench::new();
    let id = order(&bench, subscribed(Some(1))).unwrap().id.clone();
    bench.clock.advance(DAY * 100);
    block_on(bench.instances.keep_subscriptions());
    let record = bench.instances.get(&id).unwrap();
    assert_eq!(record.status, InstanceStatus::Running);
    let ends = record.plan.as_ref().unwrap().expires_at().unwrap();
    let left = ends.since(base::Clock::now(&*bench.clock));
    assert!(left > Duration::ZERO && left <= DAY * 31, "{left:?}");
}

#[test]
fn what_is_paid_for_as_it_goes_has_no_subscription() {
    let bench = Bench::new();
    let id = order(&bench, professional()).unwrap().id.clone();
    let refused = block_on(bench.instances.renew(&id, Period::months(1)));
    assert!(matches!(
        refused,
        Err(UpdateInstanceError::NoSubscription { .. })
    ));
    block_on(bench.instances.release(&id)).unwrap();
}
