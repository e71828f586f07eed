//! Plans of instances as the command line writes them, and as they are.

use broker::plan::{
    Capacity, Edition, FlowOut, Internet, Payment, Period, PeriodUnit, Plan, PlanChange, PlanError,
    SendRatio, SubSeries,
};
use wire::remoting::body::PlanInfo;

/// The plan of a new instance. What it does not say is as in [`Plan::new`], but that it is open to
/// the Internet.
pub(super) fn ordered(said: &PlanInfo) -> Result<Plan, PlanError> {
    let edition = said.series_code.as_deref().unwrap_or_default();
    let edition = coded(
        "seriesCode",
        edition,
        Edition::of_code,
        Edition::ALL,
        Edition::code,
    )?;
    let sub_series = match said.sub_series_code.as_deref() {
        None => SubSeries::ClusterHa,
        Some(code) => coded(
            "subSeriesCode",
            code,
            SubSeries::of_code,
            SubSeries::ALL,
            SubSeries::code,
        )?,
    };
    let mut plan = Plan::new(edition, sub_series, said.msg_process_spec.clone());
    plan.payment = match said.payment_type.as_deref() {
        None | Some("PayAsYouGo") => Payment::PayAsYouGo,
        Some("Subscription") => Payment::subscription(period(said)?, None),
        Some(other) => {
            let expected = "PayAsYouGo or Subscription";
            return Err(PlanError::value("paymentType", other, expected));
        }
    };
    if said.internet_spec.is_none() {
        // The command line knows no private networks: whoever reaches the server may come.
        plan.network.internet = Some(Internet {
            flow_out: FlowOut::Traffic,
            bandwidth: 0,
        });
    }
    plan.changed(change(said)?)
}

/// What is to be changed of a plan.
pub(super) fn change(said: &PlanInfo) -> Result<PlanChange, PlanError> {
    Ok(PlanChange {
        specification: said.msg_process_spec.clone(),
        capacity: capacity(said)?,
        elastic: said.auto_scaling,
        adaptive: said.adaptive_elasticity,
        send_ratio: said.send_receive_ratio.map(ratio).transpose()?,
        retention_hours: said.message_retention_time,
        trace: said.trace_on,
        internet: internet(said)?,
        auto_renew_months: match (said.auto_renew, said.auto_renew_period) {
            (None, None) => None,
            (Some(false), _) => Some(None),
            (Some(true), None) => Some(Some(1)),
            (_, Some(months)) => Some(Some(months)),
        },
        ..PlanChange::default()
    })
}

/// For how long it is subscribed to.
pub(super) fn period(said: &PlanInfo) -> Result<Period, PlanError> {
    let unit = said.period_unit.as_deref().unwrap_or("Month");
    let unit = coded(
        "periodUnit",
        unit,
        PeriodUnit::of_code,
        PeriodUnit::ALL,
        PeriodUnit::code,
    )?;
    let count = said.period.unwrap_or(1);
    Ok(Period { count, unit })
}

/// A plan as it is shown.
pub(super) fn info(plan: &Plan) -> PlanInfo {
    let subscription = match &plan.payment {
        Payment::PayAsYouGo => None,
        Payment::Subscription(subscription) => Some(subscription),
    };
    let (capacity_type, provisioned_capacity) = match plan.capacity {
        None => (None, None),
        Some(Capacity::OnDemand) => (Some("ondemand"), None),
        Some(Capacity::Provisioned { tps }) => (Some("provisioned"), Some(tps)),
    };
    let internet = plan.network.internet;
    let entitlement = plan.entitlement().ok();
    let text = |text: &str| Some(text.to_owned());
    PlanInfo {
        series_code: text(plan.edition.code()),
        sub_series_code: text(plan.sub_series.code()),
        msg_process_spec: plan.specification.clone(),
        payment_type: text(plan.payment.code()),
        period: subscription.map(|subscription| subscription.period.count),
        period_unit: subscription.and_then(|subscription| text(subscription.period.unit.code())),
        auto_renew: subscription.map(|subscription| subscription.auto_renew_months.is_some()),
        auto_renew_period: subscription.and_then(|subscription| subscription.auto_renew_months),
        capacity_type: capacity_type.and_then(text),
        provisioned_capacity,
        auto_scaling: Some(plan.elastic),
        adaptive_elasticity: Some(plan.adaptive),
        send_receive_ratio: Some(plan.send_ratio.get()),
        message_retention_time: Some(plan.retention_hours),
        trace_on: Some(plan.trace),
        internet_spec: text(if internet.is_some() {
            "enable"
        } else {
            "disable"
        }),
        flow_out_type: text(internet.map_or("uninvolved", |internet| internet.flow_out.code())),
        flow_out_bandwidth: internet.map(|internet| internet.bandwidth),
        node_count: None,
        expire_time_ms: plan.expires_at().map(|time| time.ms()),
        base_tps: entitlement.map(|entitlement| entitlement.base_tps),
        burst_tps: entitlement.map(|entitlement| entitlement.burst_tps),
    }
}

fn coded<T: Copy>(
    field: &'static str,
    code: &str,
    of_code: fn(&str) -> Option<T>,
    all: &[T],
    code_of: fn(T) -> &'static str,
) -> Result<T, PlanError> {
    of_code(code).ok_or_else(|| {
        let codes: Vec<&str> = all.iter().map(|value| code_of(*value)).collect();
        let code: String = code.chars().take(32).collect();
        PlanError::value(field, code, format!("one of {}", codes.join(", ")))
    })
}

fn ratio(ratio: f64) -> Result<SendRatio, PlanError> {
    SendRatio::new(ratio).ok_or_else(|| PlanError::value("sendReceiveRatio", ratio, "0.05 to 0.95"))
}

fn capacity(said: &PlanInfo) -> Result<Option<Capacity>, PlanError> {
    match (said.capacity_type.as_deref(), said.provisioned_capacity) {
        (None, None) => Ok(None),
        (Some("ondemand"), None) => Ok(Some(Capacity::OnDemand)),
        (None | Some("provisioned"), Some(tps)) => Ok(Some(Capacity::Provisioned { tps })),
        (Some("provisioned"), None) => {
            let expected = "a number of TPS where capacityType is provisioned";
            Err(PlanError::value("provisionedCapacity", "", expected))
        }
        (Some("ondemand"), Some(tps)) => {
            let expected = "none where capacityType is ondemand";
            Err(PlanError::value("provisionedCapacity", tps, expected))
        }
        (Some(other), _) => {
            let expected = "provisioned or ondemand";
            Err(PlanError::value("capacityType", other, expected))
        }
    }
}

fn internet(said: &PlanInfo) -> Result<Option<Option<Internet>>, PlanError> {
    let flow_out = said.flow_out_type.as_deref();
    match said.internet_spec.as_deref() {
        None if flow_out.is_none() => Ok(None),
        Some("disable") => match flow_out {
            None | Some("uninvolved") => Ok(Some(None)),
            Some(other) => {
                let expected = "uninvolved where internetSpec is disable";
                Err(PlanError::value("flowOutType", other, expected))
            }
        },
        None | Some("enable") => {
            let code = flow_out.unwrap_or_default();
            let flow_out = coded(
                "flowOutType",
                code,
                FlowOut::of_code,
                FlowOut::ALL,
                FlowOut::code,
            )?;
            let bandwidth = said.flow_out_bandwidth.unwrap_or(0);
            Ok(Some(Some(Internet {
                flow_out,
                bandwidth,
            })))
        }
        Some(other) => {
            let expected = "enable or disable";
            Err(PlanError::value("internetSpec", other, expected))
        }
    }
}
