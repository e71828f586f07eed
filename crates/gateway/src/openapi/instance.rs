//! Operations on instances. Those of the 4.x series have an API of their own and are not seen here.

use std::sync::Arc;

use broker::{Instance, InstanceChange, InstanceRecord, InstanceSpec, Series, plan::PlanChange};
use control::Operation as Change;
use serde_json::{Value, json};

use super::{
    account,
    call::Call,
    ip_whitelist::sources,
    page::Page,
    plan,
    region::zone,
    release,
    status::Refusal,
    tags,
    text::{has_part, remark},
};

const WHITELIST: &str = "networkInfo.internetInfo.ipWhitelist";

/// Pages of instances.
const PAGE_SIZES: (i64, i64) = (10, 200);

/// Longest token that makes a creation the only one of its kind.
const CLIENT_TOKEN_CHARACTERS_MAX: usize = 64;

/// CreateInstance.
pub(super) async fn create(call: &Call) -> Result<Value, Refusal> {
    let whitelist = sources(&call.texts(WHITELIST), WHITELIST)?;
    let token = call.text("clientToken").unwrap_or_default();
    if token.len() > CLIENT_TOKEN_CHARACTERS_MAX || !token.is_ascii() {
        let expected = format!("at most {CLIENT_TOKEN_CHARACTERS_MAX} characters of ASCII");
        return Err(Refusal::invalid("clientToken", token, &expected));
    }
    let spec = InstanceSpec {
        series: Series::V5,
        display_name: instance_name(call)?.unwrap_or_default(),
        remark: remark(call)?.unwrap_or_default(),
        tags: tags::of_body(call, "tags")?,
        plan: Some(plan::ordered(call)?),
        resource_group: call.text("resourceGroupId").unwrap_or_default().to_owned(),
        client_token: token.to_owned(),
        nodes: plan::nodes(call)?,
    };
    let record = call.instances()?.create(spec).await?;
    // A request that was cut short here is completed by the same one again, with its token.
    let instance = call.instance_of(record.id.as_str())?;
    account::make_default(&instance).await?;
    if !whitelist.is_empty() {
        instance.access().set_whitelist(whitelist).await?;
    }
    Ok(json!(record.id.as_str()))
}

/// The name of a request: letters, digits, Chinese characters, `_` and `-`.
fn instance_name(call: &Call) -> Result<Option<String>, Refusal> {
    let Some(name) = call.text("instanceName") else {
        return Ok(None);
    };
    let is_han = |letter: char| ('\u{4e00}'..='\u{9fff}').contains(&letter);
    let is_plain = |letter: char| letter.is_ascii_alphanumeric() || "_-".contains(letter);
    match name
        .chars()
        .find(|letter| !is_plain(*letter) && !is_han(*letter))
    {
        None => Ok(Some(name.to_owned())),
        Some(other) => {
            let reason = format!("holds {other:?}, expected letters, digits, `_` and `-`");
            Err(Refusal::field("instanceName", reason))
        }
    }
}

fn name(record: &InstanceRecord) -> &str {
    match record.display_name.as_str() {
        "" => record.id.as_str(),
        name => name,
    }
}

/// Puts more fields into an object.
fn put(shown: &mut Value, more: Value) {
    if let (Some(shown), Value::Object(more)) = (shown.as_object_mut(), more) {
        shown.extend(more);
    }
}

fn listed(call: &Call, instance: &Instance, record: &InstanceRecord) -> Value {
    let (topics, groups) = instance.application_counts();
    let created = plan::begun(record.created_at);
    let mut shown = json!({
        "createTime": created,
        "groupCount": groups,
        "instanceId": record.id.as_str(),
        "instanceName": name(record),
        "regionId": call.region(),
        "remark": record.remark,
        "resourceGroupId": record.resource_group,
        "serviceCode": "rmq",
        "startTime": created,
        "status": record.status.code(),
        "tags": tags::shown(&record.tags),
        "topicCount": topics,
        "userId": call.account(),
    });
    shown["software"] = release::software(call, instance);
    if call.front.is_updating(&record.id) {
        shown["status"] = "CHANGING".into();
    }
    if let Some(plan) = &record.plan {
        put(&mut shown, plan::listed(plan));
    }
    shown
}

/// GetInstance.
pub(super) async fn get(call: &Call) -> Result<Value, Refusal> {
    let instance = call.instance()?;
    let record = call.instances()?.get(instance.id())?;
    let mut shown = listed(call, &instance, &record);
    let access = instance.access();
    let address = call.front.advertised(&call.connection).to_string();
    let users = access.users();
    let default = users.iter().find(|user| user.is_super());
    let whitelist: Vec<String> = access.whitelist().iter().map(ToString::to_string).collect();
    let endpoint = |kind: &str| json!({ "endpointType": kind, "endpointUrl": address, "ipWhitelist": whitelist });
    let mut network = json!({
        "endpoints": [endpoint("TCP_VPC")],
        "internetInfo": { "internetSpec": "disable", "ipWhitelist": whitelist },
    });
    if let Some(plan) = &record.plan {
        put(&mut shown, plan::described(call, plan));
        if record.nodes > 0 {
            shown["productInfo"]["nodeCount"] = record.nodes.into();
        }
        let counts = instance.application_counts();
        shown["instanceQuotas"] = plan::quotas(plan, counts).into();
        put(&mut network["internetInfo"], plan::internet_info(plan));
        network["vpcInfo"] = plan::vpc_info(plan, &zone(call));
        if plan.network.internet.is_some() {
            network["endpoints"] = json!([endpoint("TCP_VPC"), endpoint("TCP_INTERNET")]);
        }
    }
    shown["accountInfo"] = json!({
        "username": default.map(|user| user.name()).unwrap_or_default(),
    });
    shown["networkInfo"] = network;
    Ok(shown)
}

/// ListInstances.
pub(super) async fn list(call: &Call) -> Result<Value, Refusal> {
    let wanted = tags::tags(call, "tags")?;
    let editions = call.texts("seriesCodes");
    let (group, key) = (call.text("resourceGroupId"), call.text("storageSecretKey"));
    let is_asked = |record: &InstanceRecord| {
        let plan = record.plan.as_ref();
        let edition = plan.map(|plan| plan.edition.code());
        (editions.is_empty() || edition.is_some_and(|edition| editions.contains(&edition)))
            && group.is_none_or(|group| record.resource_group == group)
            && key.is_none_or(|key| {
                plan.and_then(|plan| plan.storage_secret_key.as_deref()) == Some(key)
            })
    };
    let mut found: Vec<(Arc<Instance>, Arc<InstanceRecord>)> = Vec::new();
    for record in call.instances()?.list() {
        let Ok(instance) = call.instance_of(record.id.as_str()) else {
            continue;
        };
        let texts = [record.id.as_str(), name(&record), &record.remark];
        if is_asked(&record) && has_part(call, &texts) && tags::has_all(&record.tags, &wanted) {
            found.push((instance, record));
        }
    }
    let page = Page::of(call, PAGE_SIZES.0, PAGE_SIZES.1);
    Ok(page.of_all(&found, |(instance, record)| listed(call, instance, record)))
}

/// UpdateInstance.
pub(super) async fn update(call: &Call) -> Result<Value, Refusal> {
    let instance = call.instance()?;
    let whitelist = match call.has(WHITELIST) {
        true => Some(sources(&call.texts(WHITELIST), WHITELIST)?),
        false => None,
    };
    let plan = plan::change(call)?;
    let (front, id) = (&call.front, instance.id());
    let _permit = match changes_size(&plan) {
        true => front.permit(id, Change::ChangeSpecification).await?,
        false => None,
    };
    let change = InstanceChange {
        display_name: instance_name(call)?,
        remark: remark(call)?,
        // An instance without a plan has none to be changed.
        plan: (plan != PlanChange::default()).then_some(plan),
        nodes: plan::nodes(call)?,
        ..InstanceChange::default()
    };
    call.instances()?.update(instance.id(), change).await?;
    if let Some(whitelist) = whitelist {
        instance.access().set_whitelist(whitelist).await?;
    }
    Ok(json!(true))
}

/// Whether a change of a plan is one of what the instance can do, and not only of who may use it.
fn changes_size(plan: &PlanChange) -> bool {
    let access = PlanChange {
        acl_types: plan.acl_types.clone(),
        default_vpc_auth_free: plan.default_vpc_auth_free,
        ..PlanChange::default()
    };
    *plan != access
}

/// DeleteInstance.
pub(super) async fn delete(call: &Call) -> Result<Value, Refusal> {
    let instance = call.instance()?;
    call.instances()?.release(instance.id()).await?;
    Ok(json!(true))
}
