//! Operations on groups.

use std::sync::Arc;

use base::{TopicName, limits};
use broker::{Description, Group, GroupSpec, RetryPolicy};
use serde_json::{Value, json};

use super::{
    call::{Call, GROUP, TOPIC},
    page::{Page, SIZE_MAX, shown_time},
    status::{Code, Refusal},
    text::{has_part, remark},
};
use crate::system_names::is_system_group;

const RETRY_POLICY: &str = "consumeRetryPolicy.retryPolicy";
const RETRY_TIMES: &str = "consumeRetryPolicy.maxRetryTimes";
const RETRY_INTERVAL: &str = "consumeRetryPolicy.fixedIntervalRetryTime";
const DEAD_LETTER_TOPIC: &str = "consumeRetryPolicy.deadLetterTargetTopic";
const ORDER: &str = "deliveryOrderType";

/// The smallest page of groups.
const PAGE_LEAST: i64 = 10;

/// Seconds between retries of groups that consume in no order, and in order.
const INTERVAL_SECONDS: [(i64, i64); 2] = [(10, 1_800), (1, 600)];
/// The same where a request names none.
const INTERVAL_SECONDS_DEFAULT: [i64; 2] = [10, 1];

#[derive(Clone, Copy, PartialEq, Eq)]
enum Policy {
    Default,
    Fixed,
}

#[derive(Clone, Copy, PartialEq, Eq)]
enum Model {
    Clustering,
    LiteSelective,
}

/// Puts what a request says of retries into a group that is already as ordered as it will be.
fn put_policy(call: &Call, spec: &mut GroupSpec) -> Result<(), Refusal> {
    let words = [
        ("DefaultRetryPolicy", Policy::Default),
        ("FixedRetryPolicy", Policy::Fixed),
    ];
    let policy = call.word(RETRY_POLICY, &words)?;
    let policy = policy.ok_or_else(|| Refusal::missing(RETRY_POLICY))?;
    let order = usize::from(spec.fifo);
    let interval = call.integer_in(RETRY_INTERVAL, INTERVAL_SECONDS[order])?;
    spec.retry = match policy {
        Policy::Default if spec.fifo => {
            let reason = "DefaultRetryPolicy, expected FixedRetryPolicy of a group in order";
            return Err(Refusal::field(RETRY_POLICY, reason));
        }
        Policy::Default => RetryPolicy::Backoff,
        Policy::Fixed => {
            let seconds = interval.unwrap_or(INTERVAL_SECONDS_DEFAULT[order]);
            RetryPolicy::Fixed {
                interval_ms: seconds.cast_unsigned() * 1_000,
            }
        }
    };
    let most = i64::from(limits::DELIVERY_ATTEMPTS_MAX) - 1;
    if let Some(times) = call.integer_in(RETRY_TIMES, (0, most))? {
        // The first delivery is no retry.
        spec.max_attempts = u32::try_from(times + 1).unwrap_or(limits::DELIVERY_ATTEMPTS_MAX);
    }
    if call.has(DEAD_LETTER_TOPIC) {
        let name = GroupSpec::DEAD_LETTER_TARGET_TOPIC;
        match call.text(DEAD_LETTER_TOPIC) {
            None => _ = spec.settings.remove(name),
            Some(_) => {
                let topic = call.topic_name(DEAD_LETTER_TOPIC)?;
                let reason = match call.instance()?.topic(&topic) {
                    None => Some(format!("topic `{topic}` does not exist")),
                    Some(known) if known.spec.is_lite() => {
                        Some(format!("topic `{topic}` is of type LITE, expected another"))
                    }
                    Some(_) => None,
                };
                if let Some(reason) = reason {
                    return Err(Refusal::field(DEAD_LETTER_TOPIC, reason));
                }
                spec.settings.insert(name.to_owned(), topic.to_string());
            }
        }
    }
    let tps = call.integer_in("maxReceiveTps", (1, limits::OPENAPI_TPS_MAX))?;
    if let Some(tps) = tps {
        let name = GroupSpec::MAX_RECEIVE_TPS.to_owned();
        spec.settings.insert(name, tps.to_string());
    }
    Ok(())
}

fn is_ordered(call: &Call) -> Result<Option<bool>, Refusal> {
    call.word(ORDER, &[("Concurrently", false), ("Orderly", true)])
}

/// The topic whose LiteTopics a new group consumes.
fn lite_topic(call: &Call, model: Model) -> Result<Option<TopicName>, Refusal> {
    if call.text(TOPIC).is_none() {
        if model == Model::LiteSelective {
            return Err(Refusal::missing(TOPIC));
        }
        return Ok(None);
    }
    let topic = call.topic()?;
    if !topic.spec.is_lite() {
        let reason = format!("topic `{}` is not of type LITE", topic.name());
        return Err(Refusal::field(TOPIC, reason));
    }
    Ok(Some(topic.name().clone()))
}

/// CreateConsumerGroup.
pub(super) async fn create(call: &Call) -> Result<Value, Refusal> {
    let (name, instance) = (call.group_name(GROUP)?, call.instance()?);
    let words = [
        ("CLUSTERING", Model::Clustering),
        ("LITE_SELECTIVE", Model::LiteSelective),
    ];
    let model = call
        .word("messageModel", &words)?
        .unwrap_or(Model::Clustering);
    let mut spec = GroupSpec {
        fifo: is_ordered(call)?.ok_or_else(|| Refusal::missing(ORDER))?,
        lite_topic: lite_topic(call, model)?,
        ..GroupSpec::new(name.clone())
    };
    let mut set = |name: &str, value: &str| {
        spec.settings.insert(name.to_owned(), value.to_owned());
    };
    if spec.lite_topic.is_some() && model == Model::Clustering {
        set(GroupSpec::LITE_SUB_WILDCARD, "true");
    }
    if call.boolean("exclusive") == Some(true) {
        if model != Model::LiteSelective {
            let reason = "true, which only groups of model LITE_SELECTIVE may be";
            return Err(Refusal::field("exclusive", reason));
        }
        set(GroupSpec::LITE_SUB_MODEL, "Exclusive");
    }
    put_policy(call, &mut spec)?;
    let description = Description {
        remark: remark(call)?.unwrap_or_default(),
        ..Description::default()
    };
    if instance.add_group(spec, description).await?.is_none() {
        let text = format!("group `{name}` exists in instance `{}`", instance.id());
        return Err(Refusal::new(Code::GroupExisted, text));
    }
    Ok(json!(true))
}

fn listed(call: &Call, instance: &str, group: &Group) -> Value {
    let (spec, description) = (&group.spec, &group.description);
    let is_selective = spec.lite_topic.is_some() && !spec.consumes_every_lite_topic();
    let mut shown = json!({
        "consumerGroupId": group.name().as_str(),
        "createTime": shown_time(description.created_at),
        "instanceId": instance,
        "messageModel": if is_selective { "LITE_SELECTIVE" } else { "CLUSTERING" },
        "regionId": call.region(),
        "remark": description.remark,
        "status": "RUNNING",
        "updateTime": shown_time(description.updated_at),
    });
    let tps = spec.settings.get(GroupSpec::MAX_RECEIVE_TPS);
    if let Some(tps) = tps.and_then(|text| text.parse::<i64>().ok()) {
        shown["maxReceiveTps"] = tps.into();
    }
    if let Some(topic) = &spec.lite_topic {
        shown["topicName"] = topic.as_str().into();
    }
    shown
}

/// GetConsumerGroup.
pub(super) async fn get(call: &Call) -> Result<Value, Refusal> {
    let (group, instance) = (call.group()?, call.instance()?);
    let spec = &group.spec;
    let mut policy = json!({
        "maxRetryTimes": spec.max_attempts - 1,
        "retryPolicy": match spec.retry {
            RetryPolicy::Backoff => "DefaultRetryPolicy",
            RetryPolicy::Fixed { .. } => "FixedRetryPolicy",
        },
    });
    if let RetryPolicy::Fixed { interval_ms } = spec.retry {
        policy["fixedIntervalRetryTime"] = (interval_ms / 1_000).into();
    }
    if let Some(topic) = spec.settings.get(GroupSpec::DEAD_LETTER_TARGET_TOPIC) {
        policy["deadLetterTargetTopic"] = topic.as_str().into();
    }
    let mut shown = listed(call, instance.id().as_str(), &group);
    shown["consumeRetryPolicy"] = policy;
    shown[ORDER] = if spec.fifo { "Orderly" } else { "Concurrently" }.into();
    shown["exclusive"] = spec.is_exclusive().into();
    Ok(shown)
}

/// ListConsumerGroups.
pub(super) async fn list(call: &Call) -> Result<Value, Refusal> {
    let instance = call.instance()?;
    let groups = instance.groups().into_iter().filter(|group| {
        let name = group.name().as_str();
        !is_system_group(name) && has_part(call, &[name, &group.description.remark])
    });
    let groups: Vec<Arc<Group>> = groups.collect();
    let page = Page::of(call, PAGE_LEAST, SIZE_MAX);
    Ok(page.of_all(&groups, |group| listed(call, instance.id().as_str(), group)))
}

/// UpdateConsumerGroup.
pub(super) async fn update(call: &Call) -> Result<Value, Refusal> {
    let (group, instance) = (call.group()?, call.instance()?);
    let remark = remark(call)?;
    let mut spec = group.spec.clone();
    if let Some(fifo) = is_ordered(call)?.filter(|fifo| *fifo != spec.fifo) {
        let (have, asked) = match fifo {
            true => ("Concurrently", "Orderly"),
            false => ("Orderly", "Concurrently"),
        };
        let reason = format!("{asked}, the group is {have} and stays so");
        return Err(Refusal::field(ORDER, reason));
    }
    put_policy(call, &mut spec)?;
    instance.create_group(spec).await?;
    if let Some(remark) = remark {
        let change = |description: &mut Description| description.remark = remark;
        instance.describe_group(group.name(), change).await?;
    }
    Ok(json!(true))
}

/// DeleteConsumerGroup.
pub(super) async fn delete(call: &Call) -> Result<Value, Refusal> {
    let (name, instance) = (call.group_name(GROUP)?, call.instance()?);
    if instance.delete_group(&name).await? {
        return Ok(json!(true));
    }
    let text = format!("group `{name}` not found in instance `{}`", instance.id());
    Err(Refusal::new(Code::GroupNotFound, text))
}
