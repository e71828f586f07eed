//! LiteTopics as `mqadmin` asks about them: codes 200074 to 200079, answered as Apache's
//! `LiteManagerProcessor` of 5.5 does.

use std::{cmp::Reverse, collections::BTreeMap, sync::Arc};

use base::{GroupName, LiteTopicName, Timestamp, TopicName, limits};
use broker::{Instance, LiteAccumulation, Topic};
use wire::remoting::{
    Command, ResponseCode,
    body::{
        BrokerLiteInfo, ClientGroup, ConsumeOffset, LiteClientInfo, LiteGroupInfo, LiteLagInfo,
        LiteTopicInfo, ParentTopicInfo, TopicOffset,
    },
    header::{
        GetLiteClientInfoRequest, GetLiteGroupInfoRequest, GetLiteTopicInfoRequest,
        GetParentTopicInfoRequest, TriggerLiteDispatchRequest,
    },
};

use super::shown;
use crate::remoting::{
    connection::{Connection, GroupIn, TopicIn},
    reply::{Answer, Refusal, Reply},
    topic::not_found,
};

/// What Apache says where there is no number.
const NONE: i64 = -1;

fn count(number: impl TryInto<i32>) -> i32 {
    number.try_into().unwrap_or(i32::MAX)
}

/// The topic, which must be there and of type LITE.
fn lite_topic_of(named: TopicIn) -> Result<(Arc<Instance>, Arc<Topic>), Refusal> {
    let Some(topic) = named.instance.topic(&named.topic) else {
        return Err(not_found(&named));
    };
    if !topic.spec.is_lite() {
        let remark = format!("topic `{}` is not of type LITE", named.topic);
        return Err(Refusal::new(ResponseCode::InvalidParameter, remark));
    }
    Ok((named.instance, topic))
}

/// The topic that a group is bound to; both must be there.
fn bound(instance: &Instance, group: &GroupName) -> Result<TopicName, Refusal> {
    let Some(known) = instance.group(group) else {
        let remark = format!("group `{group}` not found in instance `{}`", instance.id());
        return Err(Refusal::new(ResponseCode::GroupNotExist, remark));
    };
    known.spec.lite_topic.clone().ok_or_else(|| {
        let remark = format!("group `{group}` is bound to no topic of type LITE");
        Refusal::new(ResponseCode::InvalidParameter, remark)
    })
}

fn name(text: &str) -> Result<LiteTopicName, Refusal> {
    LiteTopicName::new(text).map_err(|error| Refusal::of(ResponseCode::InvalidParameter, &error))
}

fn minutes(topic: &Topic) -> i32 {
    let expiration = topic.spec.lite_topic_expiration();
    expiration.map_or(-1, |expiration| count(expiration.as_secs() / 60))
}

/// Code 200074.
pub(super) fn broker(connection: &Connection, request: &Command) -> Answer {
    let instance = connection.front.settle([None])?;
    let shard = connection.shard(instance.id())?;
    let mut info = BrokerLiteInfo {
        store_type: "default".to_owned(),
        lite_topics_max: count(limits::LITE_TOPICS_MAX),
        lite_subscription_count: count(shard.lite_subscription_count()),
        cq_table_size: count(shard.queues_in_memory()),
        ..BrokerLiteInfo::default()
    };
    for topic in instance
        .topics()
        .iter()
        .filter(|topic| topic.spec.is_lite())
    {
        let lite_topics = count(shard.lite_topic_count(topic.name())?);
        info.lite_topics = info.lite_topics.saturating_add(lite_topics);
        info.topic_meta
            .insert(topic.name().to_string(), minutes(topic));
    }
    let mut groups: BTreeMap<String, Vec<String>> = BTreeMap::new();
    for group in instance.groups().iter() {
        if let Some(topic) = &group.spec.lite_topic {
            let bound = groups.entry(topic.to_string()).or_default();
            bound.push(group.name().to_string());
        }
    }
    info.group_meta = groups;
    Ok(Reply::body(request, &info))
}

/// Code 200075.
pub(super) fn parent(connection: &Connection, request: &Command) -> Answer {
    let header: GetParentTopicInfoRequest<'_> = request.header()?;
    let (instance, topic) = lite_topic_of(connection.topic(header.topic)?)?;
    let shard = connection.shard(instance.id())?;
    let lite_topics = count(shard.lite_topic_count(topic.name())?);
    let groups = instance.groups();
    let is_bound = |of: Option<&TopicName>| of == Some(topic.name());
    let groups = groups
        .iter()
        .filter(|group| is_bound(group.spec.lite_topic.as_ref()));
    let groups: Vec<String> = groups
        .map(|group| {
            shown(
                connection,
                header.topic,
                instance.id(),
                group.name().as_str(),
            )
        })
        .collect();
    let info = ParentTopicInfo {
        topic: header.topic.to_owned(),
        ttl: minutes(&topic),
        groups: Some(groups).filter(|groups| !groups.is_empty()),
        lite_topics_of_server: lite_topics,
        lite_topic_count: lite_topics,
    };
    Ok(Reply::body(request, &info))
}

/// Code 200076. One that is not there has no messages.
pub(super) fn lite_topic(connection: &Connection, request: &Command) -> Answer {
    let header: GetLiteTopicInfoRequest<'_> = request.header()?;
    let (instance, topic) = lite_topic_of(connection.topic(header.parent_topic)?)?;
    let shard = connection.shard(instance.id())?;
    let name = name(header.lite_topic)?;
    let mut offset = TopicOffset::default();
    if let Some(queue) = shard.lite_topic_queue(topic.name(), &name)? {
        let range = shard.queue_range(topic.name(), queue)?;
        offset.min_offset = range.min.get().cast_signed();
        offset.max_offset = range.max.get().cast_signed();
        if let Some(last) = range.max.get().checked_sub(1) {
            let last = base::QueueOffset::new(last);
            let stored = shard.store_time(topic.name(), queue, last)?;
            offset.last_update_timestamp = stored.map_or(0, Timestamp::ms);
        }
    }
    let subscribers = shard.lite_subscribers(topic.name(), &name)?.into_iter();
    let told = |group: &GroupName| {
        shown(
            connection,
            header.parent_topic,
            instance.id(),
            group.as_str(),
        )
    };
    let info = LiteTopicInfo {
        parent_topic: header.parent_topic.to_owned(),
        lite_topic: header.lite_topic.to_owned(),
        subscribers: subscribers
            .take(limits::LITE_TOPICS_PER_ANSWER_MAX)
            .map(|subscriber| ClientGroup {
                group: told(&subscriber.group),
                client_id: subscriber.client.unwrap_or_else(|| "*".to_owned()),
            })
            .collect(),
        topic_offset: Some(offset),
        sharding_to_broker: true,
    };
    Ok(Reply::body(request, &info))
}

/// Code 200077.
pub(super) fn client(connection: &Connection, request: &Command) -> Answer {
    let header: GetLiteClientInfoRequest<'_> = request.header()?;
    let names = connection.topic_and_group(header.parent_topic, header.group)?;
    let named = TopicIn {
        instance: names.instance,
        topic: names.topic,
    };
    let (instance, topic) = lite_topic_of(named)?;
    if bound(&instance, &names.group)? != *topic.name() {
        let remark = format!("group `{}` is not bound to `{}`", names.group, topic.name());
        return Err(Refusal::new(ResponseCode::InvalidParameter, remark));
    }
    let shard = connection.shard(instance.id())?;
    let max = usize::try_from(header.max_count).unwrap_or(0);
    let max = max.min(limits::LITE_TOPICS_PER_ANSWER_MAX);
    let found = shard.lite_subscription(&names.group, topic.name(), header.client_id, max)?;
    let info = LiteClientInfo {
        parent_topic: header.parent_topic.to_owned(),
        group: header.group.to_owned(),
        client_id: header.client_id.to_owned(),
        last_access_time: found.as_ref().map_or(NONE, |found| found.seen.ms()),
        last_consume_time: 0,
        lite_topic_count: found.as_ref().map_or(-1, |found| count(found.count)),
        lite_topic_set: found.map(|found| {
            let names = found.lite_topics.iter();
            names.map(LiteTopicName::to_string).collect()
        }),
    };
    Ok(Reply::body(request, &info))
}

/// Code 200078.
pub(super) async fn group(connection: &Connection, request: &Command) -> Answer {
    let header: GetLiteGroupInfoRequest<'_> = request.header()?;
    let GroupIn { instance, group } = connection.group(header.group)?;
    let topic = bound(&instance, &group)?;
    let shard = connection.shard(instance.id())?;
    let mut info = LiteGroupInfo {
        group: header.group.to_owned(),
        parent_topic: shown(connection, header.group, instance.id(), topic.as_str()),
        lite_topic: header.lite_topic.map(str::to_owned),
        earliest_unconsumed_timestamp: NONE,
        ..LiteGroupInfo::default()
    };
    if let Some(lite_topic) = header.lite_topic.filter(|name| !name.is_empty()) {
        let found = shard.lite_accumulation(&group, &topic, &name(lite_topic)?)?;
        match found.filter(|found| found.range.max.get() > 0) {
            None => info.total_lag_count = NONE,
            Some(found) if !has_begun(&found) => {}
            Some(found) => {
                let lag = lag(&found);
                info.total_lag_count = lag.lag_count;
                info.earliest_unconsumed_timestamp = lag.earliest_unconsumed_timestamp;
                let committed = found.committed.unwrap_or(found.range.min);
                info.lite_topic_offset_wrapper = Some(ConsumeOffset {
                    broker_offset: found.range.max.get().cast_signed(),
                    consumer_offset: committed.get().cast_signed(),
                    last_timestamp: found.consumed.map_or(0, Timestamp::ms),
                    pull_offset: 0,
                });
            }
        }
        return Ok(Reply::body(request, &info));
    }
    let max = usize::try_from(header.top_k).unwrap_or(0);
    let max = max.min(limits::LITE_TOPICS_PER_ANSWER_MAX);
    let (mut most, mut oldest) = (Vec::new(), Vec::new());
    let mut from = None;
    loop {
        let page = shard.lite_accumulations(&group, &topic, from)?;
        let begun = page.lite_topics.iter().filter(|one| has_begun(one));
        let behind = begun.filter(|one| one.behind() > 0);
        for lag in behind.map(lag) {
            info.total_lag_count += lag.lag_count;
            most.push(lag.clone());
            oldest.push(lag);
        }
        most.sort_by_key(|lag| Reverse(lag.lag_count));
        oldest.sort_by_key(|lag| lag.earliest_unconsumed_timestamp);
        if let Some(first) = oldest.first() {
            info.earliest_unconsumed_timestamp = first.earliest_unconsumed_timestamp;
        }
        // The first stays for the next page to be compared with.
        most.truncate(max.max(1));
        oldest.truncate(max.max(1));
        from = page.next;
        if from.is_none() {
            break;
        }
        // There may be a million of them.
        tokio::task::yield_now().await;
    }
    most.truncate(max);
    oldest.truncate(max);
    info.lag_count_top_k = Some(most);
    info.lag_timestamp_top_k = Some(oldest);
    Ok(Reply::body(request, &info))
}

/// Whether the group has received of it, or said where to begin: as in Apache, nobody is behind in
/// what nobody wanted.
fn has_begun(of: &LiteAccumulation) -> bool {
    of.committed.is_some()
}

fn lag(of: &LiteAccumulation) -> LiteLagInfo {
    LiteLagInfo {
        lite_topic: of.name.to_string(),
        lag_count: i64::try_from(of.behind()).unwrap_or(i64::MAX),
        earliest_unconsumed_timestamp: of.oldest.map_or(NONE, Timestamp::ms),
    }
}

/// Code 200079. Nothing is to be done: no event of a LiteTopic is ever dropped here.
pub(super) fn dispatch(connection: &Connection, request: &Command) -> Answer {
    let header: TriggerLiteDispatchRequest<'_> = request.header()?;
    let GroupIn { instance, group } = connection.group(header.group)?;
    bound(&instance, &group)?;
    Ok(Reply::success(request))
}
