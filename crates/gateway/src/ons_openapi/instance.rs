//! Operations on instances. Those of the 5.x series have an API of their own and are not seen here.

use base::Timestamp;
use broker::{
    Instance, InstanceChange, InstanceRecord, InstanceSpec, Series, plan::InstanceStatus,
};
use serde_json::{Value, json};

use super::{
    Fields,
    call::Call,
    status::Refusal,
    text::{check_name, is_name_letter, remark, shown_tags},
    topic,
};
use crate::{front::AdvertisedAddress, system_names::is_system_group};

/// Pay as you go, on shared machines: the other type of the service has its own.
const STANDARD: u8 = 1;

/// Every instance here runs; one that does not is not found.
const RUNNING: u8 = 5;

/// OnsInstanceCreate.
pub(super) async fn create(call: &Call) -> Result<Fields, Refusal> {
    let name = call.required("InstanceName")?;
    check_name("InstanceName", name, 3, is_name_letter)?;
    let spec = InstanceSpec {
        series: Series::V4,
        display_name: name.to_owned(),
        remark: remark(call)?,
        ..InstanceSpec::default()
    };
    let instances = call.instances()?;
    check_free(call, name, None)?;
    let record = instances.create(spec).await?;
    let data = json!({ "InstanceId": record.id.as_str(), "InstanceType": STANDARD });
    Ok(Fields::from_iter([("Data".to_owned(), data)]))
}

/// Names are unique. Two requests at once may both find one free: it is told apart by its id then.
fn check_free(call: &Call, name: &str, own: Option<&InstanceRecord>) -> Result<(), Refusal> {
    let instances = call.instances()?.list();
    let mut others = instances
        .iter()
        .filter(|it| own.is_none_or(|own| own.id != it.id));
    match others.find(|record| record.display_name == name) {
        None => Ok(()),
        Some(other) => {
            let reason = format!("`{name}` is the name of instance `{}`", other.id);
            Err(Refusal::field("InstanceName", reason))
        }
    }
}

/// OnsInstanceUpdate.
pub(super) async fn update(call: &Call) -> Result<Fields, Refusal> {
    let id = call.instance().id();
    let instances = call.instances()?;
    let name = call.text("InstanceName");
    if let Some(name) = name {
        // Chinese characters too, which new instances may not have.
        let is_han = |letter: char| ('\u{4e00}'..='\u{9fff}').contains(&letter);
        check_name("InstanceName", name, 3, |letter| {
            is_name_letter(letter) || is_han(letter)
        })?;
        check_free(call, name, Some(&*instances.get(id)?))?;
    }
    let change = InstanceChange {
        display_name: name.map(str::to_owned),
        remark: match call.text("Remark") {
            None => None,
            Some(_) => Some(remark(call)?),
        },
        ..InstanceChange::default()
    };
    instances.update(id, change).await?;
    Ok(Fields::new())
}

/// OnsInstanceDelete.
pub(super) async fn delete(call: &Call) -> Result<Fields, Refusal> {
    call.instances()?.delete(call.instance().id()).await?;
    Ok(Fields::new())
}

/// Name for people, remark, time of creation and tags of an instance.
fn record(call: &Call, instance: &Instance) -> InstanceRecord {
    let registry = call.front.instances.as_ref();
    let known = registry.and_then(|instances| instances.get(instance.id()).ok());
    let known = known.map(|record| InstanceRecord::clone(&record));
    let mut record = known.unwrap_or_else(|| InstanceRecord {
        id: instance.id().clone(),
        series: instance.settings().series,
        display_name: String::new(),
        remark: String::new(),
        created_at: Timestamp::from_ms(0),
        tags: std::collections::BTreeMap::new(),
        status: InstanceStatus::Running,
        plan: None,
        resource_group: String::new(),
        client_token: String::new(),
        nodes: 0,
    });
    if record.display_name.is_empty() {
        record.display_name = record.id.to_string();
    }
    record
}

/// OnsInstanceBaseInfo.
pub(super) async fn base_info(call: &Call) -> Result<Fields, Refusal> {
    let instance = call.instance();
    let record = record(call, instance);
    let address = call.front.advertised(&call.connection);
    let tcp = tcp_endpoint(
        instance.id().as_str(),
        &address,
        call.has_namespace(instance),
    );
    let http = format!("http://{address}");
    let info = json!({
        "CreateTime": record.created_at.ms().to_string(),
        "Endpoints": {
            "HttpInternalEndpoint": http,
            "HttpInternetEndpoint": http,
            "HttpInternetSecureEndpoint": format!("https://{address}"),
            "TcpEndpoint": tcp,
            "TcpInternetEndpoint": tcp,
        },
        "IndependentNaming": call.has_namespace(instance),
        "InstanceId": record.id.as_str(),
        "InstanceName": record.display_name,
        "InstanceStatus": RUNNING,
        "InstanceType": STANDARD,
        "Remark": record.remark,
    });
    Ok(Fields::from_iter([("InstanceBaseInfo".to_owned(), info)]))
}

/// Where ONS clients go, who take the instance from the beginning of the host's name. A number has
/// no names below it: clients then say the instance otherwise.
fn tcp_endpoint(id: &str, address: &AdvertisedAddress, has_namespace: bool) -> String {
    let is_number = address.host.parse::<std::net::IpAddr>().is_ok();
    if is_number || !has_namespace {
        return format!("http://{address}");
    }
    format!("http://{id}.{address}")
}

/// OnsInstanceInServiceList.
pub(super) async fn list(call: &Call) -> Result<Fields, Refusal> {
    let needs_counts = call.boolean("NeedResourceInfo")?.unwrap_or(false);
    let tags = call.tags("Tag")?;
    let instances = call.front.router.instances().into_iter();
    let instances = instances.filter(|instance| instance.settings().series != Series::V5);
    let shown = instances.filter_map(|instance| {
        let record = record(call, &instance);
        let has_tags = tags.iter().all(|(key, value)| {
            let found = record.tags.get(*key);
            found.is_some_and(|found| value.is_empty() || found == value)
        });
        if !has_tags {
            return None;
        }
        let mut shown = json!({
            "CreateTime": record.created_at.ms(),
            "IndependentNaming": call.has_namespace(&instance),
            "InstanceId": record.id.as_str(),
            "InstanceName": record.display_name,
            "InstanceStatus": RUNNING,
            "InstanceType": STANDARD,
            "Tags": shown_tags(&record.tags),
        });
        if needs_counts {
            let groups = instance.groups();
            let groups = groups
                .iter()
                .filter(|group| !is_system_group(group.name().as_str()));
            shown["GroupCount"] = json!(groups.count());
            shown["TopicCount"] = json!(topic::of_applications(instance.topics()).count());
        }
        Some(shown)
    });
    let data = json!({ "InstanceVO": shown.collect::<Vec<Value>>() });
    Ok(Fields::from_iter([("Data".to_owned(), data)]))
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn endpoints_begin_with_the_instance_where_hosts_have_names() {
        let of = |host: &str, has_namespace| {
            let address = AdvertisedAddress {
                host: host.to_owned(),
                port: 8081,
            };
            tcp_endpoint("MQ_INST_1_a", &address, has_namespace)
        };
        assert_eq!(of("mq.example", true), "http://MQ_INST_1_a.mq.example:8081");
        assert_eq!(of("mq.example", false), "http://mq.example:8081");
        assert_eq!(of("10.0.0.1", true), "http://10.0.0.1:8081");
        assert_eq!(of("::1", true), "http://[::1]:8081");
    }
}
