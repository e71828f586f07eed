//! Labels of instances, and the resource groups that they are in.
//!
//! A request names instances of one region, one by its id or several as a JSON list. All must be
//! there before the first is changed; the changes themselves are one by one, and the same request
//! again completes what a fault has cut short.

use std::collections::BTreeMap;

use base::{InstanceId, limits};
use broker::InstanceChange;
use serde::Deserialize;
use serde_json::{Value, json};

use super::{call::Call, status::Refusal};
use crate::openapi_request::check_tag;

const RESOURCES: &str = "resourceId";

type Tags = BTreeMap<String, String>;

/// A label as requests write it.
#[derive(Deserialize)]
struct Tag {
    #[serde(alias = "Key")]
    key: String,
    #[serde(alias = "Value", default)]
    value: String,
}

/// The texts of a parameter: a JSON list, or one as it is.
fn texts(call: &Call, name: &'static str) -> Result<Vec<String>, Refusal> {
    let Some(text) = call.text(name) else {
        return Ok(Vec::new());
    };
    let texts = match text.trim_start().starts_with('[') {
        true => serde_json::from_str::<Vec<String>>(text)
            .map_err(|_| Refusal::invalid(name, text, "a JSON list of texts"))?,
        false => vec![text.to_owned()],
    };
    let (count, max) = (texts.len(), limits::OPENAPI_RESOURCES_MAX);
    if count > max {
        return Err(Refusal::field(
            name,
            format!("{count} items, expected at most {max}"),
        ));
    }
    Ok(texts)
}

/// The labels of a parameter: a JSON list of objects with `key` and `value`, or one of them.
pub(super) fn tags(call: &Call, name: &'static str) -> Result<Vec<(String, String)>, Refusal> {
    let Some(text) = call.text(name) else {
        return Ok(Vec::new());
    };
    let read = serde_json::from_str::<Vec<Tag>>(text)
        .or_else(|_| serde_json::from_str::<Tag>(text).map(|tag| vec![tag]));
    let expected = r#"a JSON list as [{"key":"env","value":"test"}]"#;
    let tags = read.map_err(|_| Refusal::invalid(name, text, expected))?;
    let pairs: Vec<_> = tags.into_iter().map(|tag| (tag.key, tag.value)).collect();
    check_pairs(name, &pairs)?;
    Ok(pairs)
}

fn check_pairs(name: &'static str, pairs: &[(String, String)]) -> Result<(), Refusal> {
    let (count, max) = (pairs.len(), limits::OPENAPI_TAGS_MAX);
    if count > max {
        return Err(Refusal::field(
            name,
            format!("{count} tags, expected at most {max}"),
        ));
    }
    for (key, value) in pairs {
        if key.is_empty() {
            return Err(Refusal::field(name, "a tag has no key"));
        }
        check_tag(key, value).map_err(|reason| Refusal::field(name, reason))?;
    }
    Ok(())
}

/// Labels of a body.
pub(super) fn of_body(call: &Call, name: &'static str) -> Result<Tags, Refusal> {
    let text = |tag: &serde_json::Map<String, Value>, field: &str| {
        let value = tag.get(field).and_then(Value::as_str);
        value.unwrap_or_default().to_owned()
    };
    let tags = call.objects(name).into_iter();
    let pairs: Vec<_> = tags
        .map(|tag| (text(tag, "key"), text(tag, "value")))
        .collect();
    check_pairs(name, &pairs)?;
    Ok(pairs.into_iter().collect())
}

/// Labels in an answer.
pub(super) fn shown(tags: &Tags) -> Value {
    tags.iter()
        .map(|(key, value)| json!({ "key": key, "value": value }))
        .collect()
}

/// Whether something has all these labels. An empty value stands for every value.
pub(super) fn has_all(tags: &Tags, wanted: &[(String, String)]) -> bool {
    wanted.iter().all(|(key, value)| {
        let found = tags.get(key);
        found.is_some_and(|found| value.is_empty() || found == value)
    })
}

/// The instances that a request names; none stands for all.
pub(super) fn instance_ids(call: &Call) -> Result<Vec<InstanceId>, Refusal> {
    call.check_region()?;
    let kind = call.required("resourceType")?;
    if !kind.eq_ignore_ascii_case("instance") {
        return Err(Refusal::invalid("resourceType", kind, "instance"));
    }
    let ids = texts(call, RESOURCES)?.into_iter().map(|id| {
        let id = InstanceId::new(&id);
        id.map_err(|error| Refusal::field(RESOURCES, error))
    });
    ids.collect()
}

/// The instances that a request names, each with the labels that it is to have.
fn changed(call: &Call, change: impl Fn(&mut Tags)) -> Result<Vec<(InstanceId, Tags)>, Refusal> {
    let ids = instance_ids(call)?;
    if ids.is_empty() {
        return Err(Refusal::missing(RESOURCES));
    }
    let found = ids.into_iter().map(|id| {
        call.instance_of(id.as_str())?;
        let mut tags = call.instances()?.get(&id)?.tags.clone();
        change(&mut tags);
        let (count, max) = (tags.len(), limits::OPENAPI_TAGS_MAX);
        if count > max {
            let reason = format!("`{id}` would have {count} tags, expected at most {max}");
            return Err(Refusal::field("tag", reason));
        }
        Ok((id, tags))
    });
    found.collect()
}

async fn put(call: &Call, changes: Vec<(InstanceId, Tags)>) -> Result<Value, Refusal> {
    for (id, tags) in changes {
        let change = InstanceChange {
            tags: Some(tags),
            ..InstanceChange::default()
        };
        call.instances()?.update(&id, change).await?;
    }
    Ok(json!(true))
}

/// TagResources: a label whose key is there already gets the new value.
pub(super) async fn tag(call: &Call) -> Result<Value, Refusal> {
    let added = tags(call, "tag")?;
    if added.is_empty() {
        return Err(Refusal::missing("tag"));
    }
    let changes = changed(call, |tags| tags.extend(added.iter().cloned()))?;
    put(call, changes).await
}

/// UntagResources: the labels of these keys, or all. `all` counts only where no key is named.
pub(super) async fn untag(call: &Call) -> Result<Value, Refusal> {
    let keys = texts(call, "tagKey")?;
    if keys.is_empty() && call.boolean("all") != Some(true) {
        return Err(Refusal::missing("tagKey"));
    }
    let changes = changed(call, |tags| {
        tags.retain(|key, _| !keys.is_empty() && !keys.contains(key));
    })?;
    put(call, changes).await
}

/// ListTagResources: every label of the instances that are named and have all labels that are
/// named, in the order of instances and keys.
pub(super) async fn list(call: &Call) -> Result<Value, Refusal> {
    let wanted = tags(call, "tag")?;
    let skipped = match call.text("nextToken") {
        None => 0,
        Some(text) => text.parse::<usize>().map_err(|_| {
            Refusal::invalid("nextToken", text, "what the answer before this one gave")
        })?,
    };
    let ids = instance_ids(call)?;
    for id in &ids {
        call.instance_of(id.as_str())?;
    }
    let records = call.instances()?.list().into_iter().filter(|record| {
        (ids.is_empty() || ids.contains(&record.id))
            && call.instance_of(record.id.as_str()).is_ok()
            && has_all(&record.tags, &wanted)
    });
    let account = call.account().parse::<i64>().unwrap_or(0);
    let all = records.flat_map(|record| {
        let tags = record.tags.clone().into_iter();
        tags.map(move |(key, value)| (record.id.clone(), key, value))
    });
    let page = limits::OPENAPI_TAGS_PER_PAGE_MAX;
    let mut shown: Vec<Value> = all
        .skip(skipped)
        .take(page + 1)
        .map(|(id, key, value)| {
            json!({
                "aliUid": account,
                "category": "custom",
                "resourceId": id.as_str(),
                "resourceType": "INSTANCE",
                "scope": "public",
                "tagKey": key,
                "tagValue": value,
            })
        })
        .collect();
    let next = match shown.len() > page {
        true => skipped.saturating_add(page).to_string(),
        false => String::new(),
    };
    shown.truncate(page);
    Ok(json!({ "nextToken": next, "tagResources": shown }))
}

/// ChangeResourceGroup.
pub(super) async fn change_resource_group(call: &Call) -> Result<Value, Refusal> {
    let group = call.required("resourceGroupId")?;
    let ids = instance_ids(call)?;
    for id in &ids {
        call.instance_of(id.as_str())?;
    }
    for id in &ids {
        let change = InstanceChange {
            resource_group: Some(group.to_owned()),
            ..InstanceChange::default()
        };
        call.instances()?.update(id, change).await?;
    }
    Ok(json!(true))
}
