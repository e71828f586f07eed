//! Groups (codes 38, 200, 201, 207, 208, 352): their members, settings and progress.

use std::{
    collections::{BTreeMap, BTreeSet},
    sync::Arc,
};

use base::{GroupName, QueueOffset, Timestamp, TopicName};
use broker::{
    Counter, Group, GroupSpec, Instance, OffsetError, ProgressOf, RetryPolicy, Shard, Topic, Window,
};
use wire::remoting::{
    Command, ResponseCode,
    body::{
        Body, ConsumeOffset, ConsumeStats, ConsumerList, CustomizedRetryPolicy, DataVersion,
        GroupConfig, GroupConfigList, GroupConfigTable, GroupRetryPolicy, GroupRetryPolicyKind,
        QueueTable,
    },
    header::{ConsumerGroupRequest, DeleteGroupRequest, GetConsumeStatsRequest, GroupRequest},
};

use super::{
    connection::{Connection, GroupIn},
    reply::{Answer, Refusal, Reply},
    route::queue_names,
    topic::{self, check_count},
};

/// The attribute that makes a group one of LiteTopics; of a change it begins with `+`.
const LITE_ATTRIBUTE: &str = "lite.bind.topic";

/// Attributes that are settings of groups of LiteTopics.
const LITE_SETTINGS: [&str; 3] = [
    GroupSpec::LITE_SUB_MODEL,
    GroupSpec::LITE_SUB_WILDCARD,
    GroupSpec::LITE_SUB_CLIENT_QUOTA,
];

/// Names under which settings are kept that mean nothing here; those of the protocol.
const BROKER_ID: &str = "brokerId";
const BROADCAST: &str = "consumeBroadcastEnable";
const CONSUME: &str = GroupSpec::CONSUME_ENABLE;
const FROM_MIN: &str = "consumeFromMinEnable";
const TIMEOUT: &str = "consumeTimeoutMinute";
const SYS_FLAG: &str = "groupSysFlag";
const NOTIFY: &str = "notifyConsumerIdsChangedEnable";
const RETRY_QUEUES: &str = "retryQueueNums";
const WHICH_BROKER: &str = "whichBrokerWhenConsumeSlowly";

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

/// Code 200. The body is the whole of the settings; those that mean nothing here are only kept.
pub(super) async fn create(connection: &Connection, request: &Command) -> Answer {
    let config = GroupConfig::decode(&request.body)?;
    let (instance, spec) = spec(connection, &config)?;
    instance.create_group(spec).await?;
    Ok(Reply::success(request))
}

/// Code 225: all or none, as far as the requests themselves can be wrong.
pub(super) async fn create_list(connection: &Connection, request: &Command) -> Answer {
    let list = GroupConfigList::decode(&request.body)?;
    check_count("groupConfigList", list.groups.len())?;
    let specs = list.groups.iter().map(|config| spec(connection, config));
    for (instance, spec) in specs.collect::<Result<Vec<_>, _>>()? {
        instance.create_group(spec).await?;
    }
    Ok(Reply::success(request))
}

/// What a group is asked to be.
fn spec(
    connection: &Connection,
    config: &GroupConfig,
) -> Result<(Arc<Instance>, GroupSpec), Refusal> {
    let GroupIn { instance, group } = connection.group(&config.group_name)?;
    let known = instance.group(&group);
    let known = known.as_ref().map(|known| &known.spec);
    let lite_topic = match attribute(&config.attributes, LITE_ATTRIBUTE) {
        Some(name) => Some(connection.topic_of(name, &config.group_name)?.topic),
        None => known.and_then(|known| known.lite_topic.clone()),
    };
    let mut settings = settings(config);
    // Like the topic, what is not named stays as it is.
    for name in LITE_SETTINGS {
        let told = attribute(&config.attributes, name).map(str::to_owned);
        let is_removed = config.attributes.contains_key(&format!("-{name}"));
        let kept = known.and_then(|known| known.settings.get(name).cloned());
        if let Some(value) = told.or(kept).filter(|_| !is_removed) {
            settings.insert(name.to_owned(), value);
        }
    }
    let spec = GroupSpec {
        fifo: config.consume_message_orderly,
        // The first delivery is not a retry. Negative numbers of old tools are "the default".
        max_attempts: u32::try_from(config.retry_times_max)
            .map_or(base::limits::DELIVERY_ATTEMPTS_DEFAULT, |retries| {
                retries.saturating_add(1)
            }),
        retry: retry(&config.group_retry_policy),
        lite_topic,
        settings,
        ..GroupSpec::new(group)
    };
    Ok((instance, spec))
}

/// What is kept and shown only: the settings that are not the default.
fn settings(config: &GroupConfig) -> BTreeMap<String, String> {
    let default = GroupConfig::default();
    let mut settings = BTreeMap::new();
    let mut keep = |name: &str, value: String, default: String| {
        if value != default {
            settings.insert(name.to_owned(), value);
        }
    };
    macro_rules! keep {
        ($($field:ident $name:ident,)*) => {
            $(keep($name, config.$field.to_string(), default.$field.to_string());)*
        };
    }
    keep! {
        broker_id BROKER_ID,
        consume_broadcast_enable BROADCAST,
        consume_enable CONSUME,
        consume_from_min_enable FROM_MIN,
        consume_timeout_minute TIMEOUT,
        group_sys_flag SYS_FLAG,
        notify_consumer_ids_changed_enable NOTIFY,
        retry_queue_count RETRY_QUEUES,
        which_broker_when_consume_slowly WHICH_BROKER,
    }
    settings
}

/// An attribute that is set, or of which a change says so.
fn attribute<'a>(attributes: &'a BTreeMap<String, String>, wanted: &str) -> Option<&'a str> {
    let plain = |name: &str| name.strip_prefix('+').unwrap_or(name) == wanted;
    attributes
        .iter()
        .find(|(name, _)| plain(name))
        .map(|(_, value)| value.as_str())
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
    let (instance, is_named) = connection.instance_of_all(request)?;
    let groups = instance.groups();
    let groups = groups.iter().map(|group| {
        let name = topic::shown(&instance, is_named, group.name().as_str());
        let config = config(group, Some(&name));
        (name, config)
    });
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
    let lite_settings = LITE_SETTINGS.into_iter().filter_map(|name| {
        let value = spec.settings.get(name)?;
        Some((name.to_owned(), value.clone()))
    });
    let default = GroupConfig::default();
    let kept = |name: &str| spec.settings.get(name);
    macro_rules! kept {
        ($name:ident $field:ident) => {
            kept($name).map_or(default.$field, |value| {
                value.parse().unwrap_or(default.$field)
            })
        };
    }
    GroupConfig {
        broker_id: kept!(BROKER_ID broker_id),
        consume_broadcast_enable: kept!(BROADCAST consume_broadcast_enable),
        consume_enable: kept!(CONSUME consume_enable),
        consume_from_min_enable: kept!(FROM_MIN consume_from_min_enable),
        consume_timeout_minute: kept!(TIMEOUT consume_timeout_minute),
        group_sys_flag: kept!(SYS_FLAG group_sys_flag),
        notify_consumer_ids_changed_enable: kept!(NOTIFY notify_consumer_ids_changed_enable),
        retry_queue_count: kept!(RETRY_QUEUES retry_queue_count),
        which_broker_when_consume_slowly: kept!(WHICH_BROKER which_broker_when_consume_slowly),
        attributes: lite.into_iter().chain(lite_settings).collect(),
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
    let mut all = ConsumeStats::default();
    for topic in stats_topics(connection, &header, &shard, &group)? {
        let Some(topic) = instance.topic(&topic) else {
            continue;
        };
        let shown = topic.name().as_str();
        let stats = topic_stats(&instance, &shard, &group, &topic, shown)?;
        all.consume_tps += stats.consume_tps;
        all.offset_table.0.extend(stats.offset_table.0);
    }
    Ok(Reply::body(request, &all))
}

/// The progress of a group on one topic, which the asker calls `shown`.
pub(super) fn topic_stats(
    instance: &Instance,
    shard: &Shard,
    group: &GroupName,
    topic: &Topic,
    shown: &str,
) -> Result<ConsumeStats, OffsetError> {
    let mut table = Vec::new();
    let names = queue_names(instance, topic, shown);
    for (name, queue) in names.into_iter().zip(topic.queues()) {
        let range = shard.queue_range(topic.name(), queue)?;
        let committed = shard.committed_offset(group, topic.name(), queue)?;
        let committed = committed.map_or(0, QueueOffset::get);
        let last = match committed.checked_sub(1).map(QueueOffset::new) {
            Some(last) => shard.store_time(topic.name(), queue, last)?,
            None => None,
        };
        let pulled = shard.pulled_offset(group, topic.name(), queue)?;
        let pulled = pulled.map_or(committed, |next| next.get().max(committed));
        let committed = committed.cast_signed();
        let offsets = ConsumeOffset {
            broker_offset: range.max.get().cast_signed(),
            consumer_offset: committed,
            last_timestamp: last.map_or(0, Timestamp::ms),
            pull_offset: pulled.cast_signed(),
        };
        table.push((name, offsets));
    }
    let counter = Counter::MessagesOut(topic.name().clone(), group.clone());
    Ok(ConsumeStats {
        consume_tps: instance.rate(&counter, Window::Minute).per_second,
        offset_table: QueueTable(table),
    })
}

/// The topics asked for, else those of which the group has offsets.
fn stats_topics(
    connection: &Connection,
    header: &GetConsumeStatsRequest<'_>,
    shard: &Shard,
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
        let progress = shard.progress(ProgressOf::Group(group))?;
        topics.extend(progress.into_iter().map(|progress| progress.topic));
    }
    Ok(topics)
}

fn not_found(instance: &Instance, group: &GroupName) -> Refusal {
    let remark = format!("group `{group}` not found in instance `{}`", instance.id());
    Refusal::new(ResponseCode::GroupNotExist, remark)
}
