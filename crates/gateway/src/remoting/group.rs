//! Groups (codes 38, 200, 201, 207, 208, 352): their members, settings and progress.

use std::collections::{BTreeMap, BTreeSet};

use base::{GroupName, TopicName};
use broker::{Group, GroupSpec, Instance, RetryPolicy};
use wire::remoting::{
    Command, ResponseCode,
    body::{
        Body, ConsumeOffset, ConsumeStats, ConsumerList, CustomizedRetryPolicy, DataVersion,
        GroupConfig, GroupConfigTable, GroupRetryPolicy, GroupRetryPolicyKind, QueueTable,
    },
    header::{ConsumerGroupRequest, DeleteGroupRequest, GetConsumeStatsRequest, GroupRequest},
};

use super::{
    connection::{Connection, GroupIn},
    reply::{Answer, Refusal, Reply},
    route::queue_names,
};

/// The attribute that makes a group one of LiteTopics; of a change it begins with `+`.
const LITE_ATTRIBUTE: &str = "lite.bind.topic";

/// Code 38.
pub(super) fn consumers(connection: &Connection, request: &Command) -> Answer {
    let header: ConsumerGroupRequest<'_> = request.header()?;
    let GroupIn { instance, group } = connection.group(header.consumer_group)?;
    let client_ids: Vec<String> = instance
        .consumers(&group)
        .into_iter()
        .map(|client| client.client.id)
        .collect();
    if client_ids.is_empty() {
        // Compat: clients of all versions take this code for "nobody", and ask again.
        let remark = format!("group `{group}` has no consumers");
        return Err(Refusal::new(ResponseCode::SystemError, remark));
    }
    Ok(Reply::body(request, &ConsumerList { client_ids }))
}

/// Code 200. The body is the whole of the settings; those that mean nothing here are not kept.
pub(super) async fn create(connection: &Connection, request: &Command) -> Answer {
    let config = GroupConfig::decode(&request.body)?;
    let GroupIn { instance, group } = connection.group(&config.group_name)?;
    let lite_topic = match lite_topic(&config.attributes) {
        Some(name) => Some(connection.topic_of(name, &config.group_name)?.topic),
        None => instance
            .group(&group)
            .and_then(|group| group.spec.lite_topic.clone()),
    };
    let spec = GroupSpec {
        fifo: config.consume_message_orderly,
        // The first delivery is not a retry. Negative numbers of old tools are "the default".
        max_attempts: u32::try_from(config.retry_times_max)
            .map_or(base::limits::DELIVERY_ATTEMPTS_DEFAULT, |retries| {
                retries.saturating_add(1)
            }),
        retry: retry(&config.group_retry_policy),
        lite_topic,
        ..GroupSpec::new(group)
    };
    instance.create_group(spec).await?;
    Ok(Reply::success(request))
}

fn lite_topic(attributes: &BTreeMap<String, String>) -> Option<&str> {
    let plain = |name: &str| name.strip_prefix('+').unwrap_or(name) == LITE_ATTRIBUTE;
    attributes
        .iter()
        .find(|(name, _)| plain(name))
        .map(|(_, topic)| topic.as_str())
}

fn retry(policy: &GroupRetryPolicy) -> RetryPolicy {
    let waits = policy
        .customized_retry_policy
        .as_ref()
        .map(|custom| custom.waits_ms.as_slice());
    match (policy.kind, waits) {
        (GroupRetryPolicyKind::Customized, Some([wait])) if *wait > 0 => RetryPolicy::Fixed {
            interval_ms: wait.unsigned_abs(),
        },
        _ => RetryPolicy::Backoff,
    }
}

/// Code 207.
pub(super) async fn delete(connection: &Connection, request: &Command) -> Answer {
    let header: DeleteGroupRequest<'_> = request.header()?;
    let GroupIn { instance, group } = connection.group(header.group)?;
    if !instance.delete_group(&group).await? {
        return Err(not_found(&instance, &group));
    }
    Ok(Reply::success(request))
}

/// Code 201.
pub(super) fn all(connection: &Connection, request: &Command) -> Answer {
    let instance = connection.front.settle([])?;
    let groups = instance.groups();
    let groups = groups
        .iter()
        .map(|group| (group.name().to_string(), config(group, None)));
    Ok(Reply::body(
        request,
        &GroupConfigTable {
            data_version: DataVersion::default(),
            forbidden_table: BTreeMap::new(),
            groups: groups.collect(),
        },
    ))
}

/// Code 352.
pub(super) fn get(connection: &Connection, request: &Command) -> Answer {
    let header: GroupRequest<'_> = request.header()?;
    let GroupIn { instance, group } = connection.group(header.group)?;
    let Some(found) = instance.group(&group) else {
        return Err(not_found(&instance, &group));
    };
    Ok(Reply::body(request, &config(&found, Some(header.group))))
}

fn config(group: &Group, shown: Option<&str>) -> GroupConfig {
    let spec = &group.spec;
    let lite = spec.lite_topic.as_ref();
    let lite = lite.map(|topic| (LITE_ATTRIBUTE.to_owned(), topic.to_string()));
    GroupConfig {
        attributes: lite.into_iter().collect(),
        consume_message_orderly: spec.fifo,
        group_name: shown.unwrap_or(spec.name.as_str()).to_owned(),
        retry_times_max: spec.max_attempts.saturating_sub(1).cast_signed(),
        group_retry_policy: match spec.retry {
            RetryPolicy::Backoff => GroupRetryPolicy::default(),
            RetryPolicy::Fixed { interval_ms } => GroupRetryPolicy {
                kind: GroupRetryPolicyKind::Customized,
                exponential_retry_policy: None,
                customized_retry_policy: Some(CustomizedRetryPolicy {
                    waits_ms: vec![i64::try_from(interval_ms).unwrap_or(i64::MAX)],
                }),
            },
        },
        ..GroupConfig::default()
    }
}

/// Code 208: per queue, its end and how far the group has come.
pub(super) fn stats(connection: &Connection, request: &Command) -> Answer {
    let header: GetConsumeStatsRequest<'_> = request.header()?;
    let GroupIn { instance, group } = connection.group(header.consumer_group)?;
    if instance.group(&group).is_none() {
        return Err(not_found(&instance, &group));
    }
    let shard = connection.shard(instance.id())?;
    let mut table = Vec::new();
    for topic in stats_topics(connection, &header, &instance, &group)? {
        let Some(topic) = instance.topic(&topic) else {
            continue;
        };
        let names = queue_names(&instance, &topic, topic.name().as_str());
        for (name, queue) in names.into_iter().zip(topic.queues()) {
            let end = shard
                .queue_range(topic.name(), queue)?
                .max
                .get()
                .cast_signed();
            let committed = shard.committed_offset(&group, topic.name(), queue)?;
            let committed = committed.map_or(0, |offset| offset.get().cast_signed());
            let offsets = ConsumeOffset {
                broker_offset: end,
                consumer_offset: committed,
                last_timestamp: 0,
                pull_offset: committed,
            };
            table.push((name, offsets));
        }
    }
    Ok(Reply::body(
        request,
        &ConsumeStats {
            consume_tps: 0.0,
            offset_table: QueueTable(table),
        },
    ))
}

/// The topics asked for, else those of which the group has offsets or to which it subscribes now.
fn stats_topics(
    connection: &Connection,
    header: &GetConsumeStatsRequest<'_>,
    instance: &Instance,
    group: &GroupName,
) -> Result<BTreeSet<TopicName>, Refusal> {
    let asked = header
        .topic_list
        .filter(|list| !list.is_empty())
        .or(header.topic);
    let asked: Vec<&str> = asked
        .unwrap_or_default()
        .split(';')
        .map(str::trim)
        .filter(|t| !t.is_empty())
        .collect();
    let mut topics = BTreeSet::new();
    for name in asked {
        topics.insert(connection.topic_of(name, header.consumer_group)?.topic);
    }
    if topics.is_empty() {
        let metrics = instance.metrics();
        let known = metrics
            .groups
            .into_iter()
            .filter(|entry| entry.group == *group);
        topics.extend(known.map(|entry| entry.topic));
        let members = instance
            .consumers(group)
            .into_iter()
            .filter_map(|client| client.consumer);
        topics.extend(members.flat_map(|c| c.subscriptions).map(|s| s.topic));
    }
    Ok(topics)
}

fn not_found(instance: &Instance, group: &GroupName) -> Refusal {
    let remark = format!("group `{group}` not found in instance `{}`", instance.id());
    Refusal::new(ResponseCode::GroupNotExist, remark)
}
