//! Plans of instances: as requests order and change them, and as they are.

use base::Timestamp;
use broker::plan::{
    AclType, Capacity, Edition, FlowOut, Internet, Network, Payment, Period, PeriodUnit, Plan,
    PlanChange, SendRatio, SubSeries,
};
use serde_json::{Value, json};

use super::{call::Call, page::shown_time, status::Refusal};

const SERIES: &str = "seriesCode";
const SUB_SERIES: &str = "subSeriesCode";
const SPECIFICATION: &str = "productInfo.msgProcessSpec";
const CAPACITY_TYPE: &str = "productInfo.capacityType";
const CAPACITY: &str = "productInfo.provisionedCapacity";
const NODES: &str = "productInfo.nodeCount";
const RATIO: &str = "productInfo.sendReceiveRatio";
const RETENTION: &str = "productInfo.messageRetentionTime";
const INTERNET: &str = "networkInfo.internetInfo.internetSpec";
const FLOW_OUT: &str = "networkInfo.internetInfo.flowOutType";
const BANDWIDTH: &str = "networkInfo.internetInfo.flowOutBandwidth";
const ACL_TYPES: &str = "aclInfo.aclTypes";
const AUTH_FREE: &str = "aclInfo.defaultVpcAuthFree";

fn words<T: Copy>(all: &[T], code: fn(T) -> &'static str) -> Vec<(&'static str, T)> {
    all.iter().map(|value| (code(*value), *value)).collect()
}

fn unsigned(call: &Call, name: &'static str) -> Result<Option<u32>, Refusal> {
    let number = call.integer_in(name, (0, i64::from(u32::MAX)))?;
    Ok(number.and_then(|number| u32::try_from(number).ok()))
}

/// What a new instance is ordered as. Whether that can be, the core checks.
pub(super) fn ordered(call: &Call) -> Result<Plan, Refusal> {
    // The service has one code, and so has this server.
    call.word("serviceCode", &[("rmq", ())])?;
    let edition = call.word(SERIES, &words(Edition::ALL, Edition::code))?;
    let edition = edition.ok_or_else(|| Refusal::missing(SERIES))?;
    let sub_series = call.word(SUB_SERIES, &words(SubSeries::ALL, SubSeries::code))?;
    let sub_series = sub_series.ok_or_else(|| Refusal::missing(SUB_SERIES))?;
    let specification = call.text(SPECIFICATION).map(str::to_owned);
    let mut plan = Plan::new(edition, sub_series, specification);
    plan.payment = payment(call)?;
    refuse_what_is_not_there(call)?;
    // The service's default, which its clients cannot say otherwise.
    plan.acl.types = vec![AclType::Intelligent];
    plan.network = Network {
        internet: internet(call)?,
        ip_whitelist: Vec::new(),
        vpc_id: call.required("networkInfo.vpcInfo.vpcId")?.to_owned(),
        v_switches: switches(call),
        security_groups: text(call, "networkInfo.vpcInfo.securityGroupIds"),
    };
    let mut change = change(call)?;
    change.capacity = capacity(call)?;
    // Only serverless instances have these; the others always trace.
    if !plan.is_serverless() && change.trace == Some(true) {
        change.trace = None;
    }
    Ok(plan.changed(change)?)
}

/// How many nodes of its own the instance is to have: a field of ours.
pub(super) fn nodes(call: &Call) -> Result<Option<u16>, Refusal> {
    let number = call.integer_in(NODES, (0, i64::from(u16::MAX)))?;
    Ok(number.and_then(|number| u16::try_from(number).ok()))
}

/// Refuses what this release cannot do, rather than to keep it as if it were done.
fn refuse_what_is_not_there(call: &Call) -> Result<(), Refusal> {
    let encryption = "productInfo.storageEncryption";
    if call.boolean(encryption) == Some(true) {
        let reason = "true, expected false: this release stores nothing encrypted";
        return Err(Refusal::field(encryption, reason));
    }
    for name in [
        "productInfo.storageSecretKey",
        "productInfo.drReplicationMode",
    ] {
        if let Some(value) = call.text(name) {
            let expected = "none: this release has neither encryption nor replication";
            return Err(Refusal::invalid(name, value, expected));
        }
    }
    Ok(())
}

/// Whether clients of the private network need not say who they are: as the server's setting has
/// it, as it cannot tell its networks apart.
fn default_vpc_auth_free(call: &Call) -> Result<Option<bool>, Refusal> {
    let Some(asked) = call.boolean(AUTH_FREE) else {
        return Ok(None);
    };
    let is = is_auth_free(call);
    if asked != is {
        let setting = if is { "without" } else { "with" };
        let reason = format!("{asked}, expected {is}: this server runs {setting} access control");
        return Err(Refusal::field(AUTH_FREE, reason));
    }
    Ok(Some(asked))
}

fn is_auth_free(call: &Call) -> bool {
    !call.front.router.has_access_control()
}

fn text(call: &Call, name: &str) -> String {
    call.text(name).unwrap_or_default().to_owned()
}

fn switches(call: &Call) -> Vec<String> {
    let one = call.text("networkInfo.vpcInfo.vSwitchId").into_iter();
    let several = call.objects("networkInfo.vpcInfo.vSwitches").into_iter();
    let several = several.filter_map(|switch| switch.get("vSwitchId")?.as_str());
    let all = several.chain(one).filter(|id| !id.is_empty());
    let mut ids: Vec<String> = all.map(str::to_owned).collect();
    ids.dedup();
    ids
}

fn payment(call: &Call) -> Result<Payment, Refusal> {
    let name = "paymentType";
    let is_ahead = call.word(name, &[("PayAsYouGo", false), ("Subscription", true)])?;
    if !is_ahead.ok_or_else(|| Refusal::missing(name))? {
        return Ok(Payment::PayAsYouGo);
    }
    let unit = call.word("periodUnit", &words(PeriodUnit::ALL, PeriodUnit::code))?;
    let period = Period {
        count: unsigned(call, "period")?.unwrap_or(1),
        unit: unit.unwrap_or(PeriodUnit::Month),
    };
    let months = match call.boolean("autoRenew") {
        Some(true) => Some(unsigned(call, "autoRenewPeriod")?.unwrap_or(1)),
        Some(false) | None => None,
    };
    Ok(Payment::subscription(period, months))
}

fn internet(call: &Call) -> Result<Option<Internet>, Refusal> {
    let is_open = call.word(INTERNET, &[("enable", true), ("disable", false)])?;
    if !is_open.ok_or_else(|| Refusal::missing(INTERNET))? {
        return Ok(None);
    }
    let flow_out = call.word(FLOW_OUT, &words(FlowOut::ALL, FlowOut::code))?;
    Ok(Some(Internet {
        flow_out: flow_out.ok_or_else(|| Refusal::missing(FLOW_OUT))?,
        bandwidth: unsigned(call, BANDWIDTH)?.unwrap_or(0),
    }))
}

fn capacity(call: &Call) -> Result<Option<Capacity>, Refusal> {
    let kinds = [("provisioned", true), ("ondemand", false)];
    Ok(match call.word(CAPACITY_TYPE, &kinds)? {
        None => None,
        Some(false) => Some(Capacity::OnDemand),
        Some(true) => {
            let tps = unsigned(call, CAPACITY)?;
            let tps = tps.ok_or_else(|| Refusal::missing(CAPACITY))?;
            Some(Capacity::Provisioned { tps: tps.into() })
        }
    })
}

/// What is to be changed of a plan.
pub(super) fn change(call: &Call) -> Result<PlanChange, Refusal> {
    let ratio = call.number(RATIO).map(|ratio| {
        let known = SendRatio::new(ratio);
        known.ok_or_else(|| Refusal::field(RATIO, format!("{ratio}, expected 0.05 to 0.95")))
    });
    let types = match call.has(ACL_TYPES) {
        false => None,
        true => {
            let types = call.texts(ACL_TYPES).into_iter().map(|code| {
                let known = AclType::of_code(code);
                known.ok_or_else(|| Refusal::invalid(ACL_TYPES, code, "default or apache_acl"))
            });
            Some(types.collect::<Result<Vec<_>, _>>()?)
        }
    };
    Ok(PlanChange {
        elastic: call.boolean("productInfo.autoScaling"),
        adaptive: call.boolean("productInfo.adaptiveElasticity"),
        send_ratio: ratio.transpose()?,
        retention_hours: unsigned(call, RETENTION)?,
        trace: call.boolean("productInfo.traceOn"),
        acl_types: types,
        default_vpc_auth_free: default_vpc_auth_free(call)?,
        ..PlanChange::default()
    })
}

/// What lists show of a plan.
pub(super) fn listed(plan: &Plan) -> Value {
    json!({
        "commodityCode": commodity(plan),
        "expireTime": shown_time(plan.expires_at()),
        "paymentType": plan.payment.code(),
        "productInfo": { "capacityType": capacity_type(plan), "traceOn": plan.trace },
        "seriesCode": plan.edition.code(),
        "subSeriesCode": plan.sub_series.code(),
    })
}

fn commodity(plan: &Plan) -> &'static str {
    match (&plan.payment, plan.is_serverless()) {
        (_, true) => "ons_rmqsrvlesspost_public_cn",
        (Payment::PayAsYouGo, false) => "ons_rmqpost_public_cn",
        (Payment::Subscription(_), false) => "ons_rmqsub_public_cn",
    }
}

fn capacity_type(plan: &Plan) -> &'static str {
    match plan.capacity {
        None => "",
        Some(Capacity::OnDemand) => "ondemand",
        Some(Capacity::Provisioned { .. }) => "provisioned",
    }
}

/// All of a plan, by the names of the answer that it goes into.
pub(super) fn described(call: &Call, plan: &Plan) -> Value {
    let mut shown = listed(plan);
    let offer = plan.offer().ok();
    let can_scale = offer.is_some_and(|offer| offer.elastic);
    let specification = plan.specification.as_deref().unwrap_or_default();
    let product = &mut shown["productInfo"];
    product["adaptiveElasticity"] = plan.adaptive.into();
    product["autoScaling"] = plan.elastic.into();
    product["messageRetentionTime"] = plan.retention_hours.into();
    product["msgProcessSpec"] = specification.into();
    product["sendReceiveRatio"] = plan.send_ratio.get().into();
    product["storageEncryption"] = plan.storage_secret_key.is_some().into();
    product["supportAutoScaling"] = can_scale.into();
    if let Some(Capacity::Provisioned { tps }) = plan.capacity {
        product["provisionedCapacity"] = tps.into();
    }
    if let Ok(entitlement) = plan.entitlement() {
        product["maxDelayTime"] = (entitlement.delay_ms_max / 1_000).into();
    }
    if let Payment::Subscription(subscription) = &plan.payment {
        shown["autoRenew"] = subscription.auto_renew_months.is_some().into();
        if let Some(months) = subscription.auto_renew_months {
            shown["autoRenewPeriod"] = months.into();
        }
    }
    let types: Vec<&str> = plan.acl.types.iter().map(|it| it.code()).collect();
    let internet = internet_info(plan);
    shown["extConfig"] = json!({
        "aclType": types.first(),
        "autoScaling": plan.elastic,
        "flowOutBandwidth": internet["flowOutBandwidth"],
        "flowOutType": internet["flowOutType"],
        "internetSpec": internet["internetSpec"],
        "messageRetentionTime": plan.retention_hours,
        "msgProcessSpec": specification,
        "sendReceiveRatio": plan.send_ratio.get(),
        "supportAutoScaling": can_scale,
    });
    shown["aclInfo"] = json!({
        "aclType": types.first(),
        "aclTypes": types,
        "defaultVpcAuthFree": is_auth_free(call),
    });
    shown
}

/// The way from the Internet.
pub(super) fn internet_info(plan: &Plan) -> Value {
    let internet = plan.network.internet;
    json!({
        "flowOutBandwidth": internet.map_or(0, |internet| internet.bandwidth),
        "flowOutType": internet.map_or("uninvolved", |internet| internet.flow_out.code()),
        "internetSpec": if internet.is_some() { "enable" } else { "disable" },
    })
}

/// The private network.
pub(super) fn vpc_info(plan: &Plan, zone: &str) -> Value {
    let network = &plan.network;
    let switches = network.v_switches.iter();
    let switches = switches.map(|id| json!({ "vSwitchId": id, "zoneId": zone }));
    json!({
        "securityGroupIds": network.security_groups,
        "vSwitchId": network.v_switches.first().cloned().unwrap_or_default(),
        "vSwitches": switches.collect::<Vec<Value>>(),
        "vpcId": network.vpc_id,
    })
}

/// What a plan lets an instance have, and how much of it is there.
pub(super) fn quotas(plan: &Plan, (topics, groups): (usize, usize)) -> Vec<Value> {
    let Ok(entitlement) = plan.entitlement() else {
        return Vec::new();
    };
    let of = |name: &str, total: usize, used: usize| {
        json!({
            "freeCount": total.saturating_sub(used),
            "quotaName": name,
            "totalCount": total,
            "usedCount": used,
        })
    };
    vec![
        of("TOPIC_COUNT", entitlement.topics, topics),
        of("GROUP_COUNT", entitlement.groups, groups),
    ]
}

/// When a plan begins to be paid for.
pub(super) fn begun(created: Timestamp) -> String {
    shown_time(Some(created))
}
