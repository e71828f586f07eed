//! Operations on instances. Those of the 4.x series have an API of their own and are not seen here.

use std::sync::Arc;

use broker::{Instance, InstanceChange, InstanceRecord};
use serde_json::{Value, json};

use super::{
    call::Call,
    ip_whitelist::sources,
    page::{Page, shown_time},
    status::{Code, Refusal},
    tags,
    text::{has_part, remark},
};

const WHITELIST: &str = "networkInfo.internetInfo.ipWhitelist";

/// Pages of instances.
const PAGE_SIZES: (i64, i64) = (10, 200);

/// CreateInstance.
pub(super) async fn create(_: &Call) -> Result<Value, Refusal> {
    let text = "instances are not created over this API by this release";
    Err(Refusal::new(Code::OperationNotSupported, text))
}

fn name(record: &InstanceRecord) -> &str {
    match record.display_name.as_str() {
        "" => record.id.as_str(),
        name => name,
    }
}

fn listed(call: &Call, instance: &Instance, record: &InstanceRecord) -> Value {
    let (topics, groups) = instance.application_counts();
    let created = shown_time(Some(record.created_at));
    json!({
        "createTime": created,
        "groupCount": groups,
        "instanceId": record.id.as_str(),
        "instanceName": name(record),
        "regionId": call.region(),
        "remark": record.remark,
        "serviceCode": "rmq",
        "startTime": created,
        "status": "RUNNING",
        "tags": tags::shown(&record.tags),
        "topicCount": topics,
        "userId": call.account(),
    })
}

/// GetInstance.
pub(super) async fn get(call: &Call) -> Result<Value, Refusal> {
    let instance = call.instance()?;
    let record = call.instances()?.get(instance.id())?;
    let mut shown = listed(call, &instance, &record);
    let address = call.front.advertised(&call.connection).to_string();
    let users = instance.access().users();
    let whitelist: Vec<String> = instance
        .access()
        .whitelist()
        .iter()
        .map(ToString::to_string)
        .collect();
    let default = users.iter().find(|user| user.is_super());
    let details = json!({
        "accountInfo": { "username": default.map(|user| user.name()).unwrap_or_default() },
        "aclInfo": {
            "aclType": "default",
            "aclTypes": ["default", "apache_acl"],
            "defaultVpcAuthFree": !instance.access().is_on(),
        },
        "networkInfo": {
            "endpoints": [{
                "endpointType": "TCP_VPC", "endpointUrl": address, "ipWhitelist": whitelist,
            }],
            "internetInfo": { "internetSpec": "disable", "ipWhitelist": whitelist },
        },
    });
    if let (Some(shown), Value::Object(details)) = (shown.as_object_mut(), details) {
        shown.extend(details);
    }
    Ok(shown)
}

/// ListInstances.
pub(super) async fn list(call: &Call) -> Result<Value, Refusal> {
    let wanted = tags::tags(call, "tags")?;
    let mut found: Vec<(Arc<Instance>, Arc<InstanceRecord>)> = Vec::new();
    for record in call.instances()?.list() {
        let Ok(instance) = call.instance_of(record.id.as_str()) else {
            continue;
        };
        let texts = [record.id.as_str(), name(&record), &record.remark];
        if has_part(call, &texts) && tags::has_all(&record.tags, &wanted) {
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
    let change = InstanceChange {
        display_name: call.text("instanceName").map(str::to_owned),
        remark: remark(call)?,
        ..InstanceChange::default()
    };
    call.instances()?.update(instance.id(), change).await?;
    if let Some(whitelist) = whitelist {
        instance.access().set_whitelist(whitelist).await?;
    }
    Ok(json!(true))
}

/// DeleteInstance.
pub(super) async fn delete(call: &Call) -> Result<Value, Refusal> {
    let instance = call.instance()?;
    call.instances()?.delete(instance.id()).await?;
    Ok(json!(true))
}
