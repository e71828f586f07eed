//! LiteTopics in answers to tools: how far a group is behind in one, in each and in all of them.

use std::collections::HashMap;

use base::{GroupName, LiteTopicName, QueueId, Timestamp, TopicName, limits};
use broker::{Instance, LiteAccumulation, ShardHandle};
use wire::grpc_v2::{Code, describe_group_accumulation_response::GroupAccumulation};

use super::{
    super::{names, time::from_duration},
    Refusal,
};
use crate::grpc::status;

/// The name of a LiteTopic, where a request has one.
pub(super) fn name(text: Option<&str>) -> Result<Option<LiteTopicName>, Refusal> {
    let text = text.filter(|text| !text.is_empty());
    let name = text.map(LiteTopicName::new).transpose();
    name.map_err(|error| status::bad_name(Code::IllegalLiteTopic, &error))
}

/// The topic whose LiteTopics a group consumes: the one that a request names, or the one that the
/// group is bound to.
pub(super) fn parent(
    instance: &Instance,
    group: &GroupName,
    named: Option<&TopicName>,
) -> Result<TopicName, Refusal> {
    let bound = names::existing_group(instance, group)?;
    let topic = named.or(bound.spec.lite_topic.as_ref()).ok_or_else(|| {
        let text = format!("group `{group}` is bound to no topic: name the topic of the LiteTopic");
        Refusal::new(Code::BadRequest, text)
    })?;
    if !names::existing_topic(instance, topic)?.spec.is_lite() {
        let text = format!("topic `{topic}` is not of type LITE");
        return Err(Refusal::new(Code::BadRequest, text));
    }
    Ok(topic.clone())
}

/// The queue of a LiteTopic, which must be there.
pub(super) fn queue(
    shard: &ShardHandle,
    topic: &TopicName,
    name: &LiteTopicName,
) -> Result<QueueId, Refusal> {
    let found = shard.lite_topic_queue(topic, name)?;
    found.ok_or_else(|| no_lite_topic(topic, name))
}

fn no_lite_topic(topic: &TopicName, name: &LiteTopicName) -> Refusal {
    let text = format!("LiteTopic `{name}` not found in topic `{topic}`");
    Refusal::new(Code::TopicNotFound, text)
}

/// How far a group is behind in a LiteTopic, which must be there.
pub(super) fn of_one(
    shard: &ShardHandle,
    group: &GroupName,
    topic: &TopicName,
    name: &LiteTopicName,
    now: Timestamp,
) -> Result<GroupAccumulation, Refusal> {
    let found = shard.lite_accumulation(group, topic, name)?;
    let found = found.ok_or_else(|| no_lite_topic(topic, name))?;
    Ok(accumulation(&found, now))
}

/// How far a group is behind in the LiteTopics of a topic, each of which goes through `add`. Those
/// with messages are put into `told`, as many as one answer may name.
pub(super) async fn of_all(
    shard: &ShardHandle,
    group: &GroupName,
    topic: &TopicName,
    now: Timestamp,
    told: &mut HashMap<String, GroupAccumulation>,
    add: impl Fn(&mut GroupAccumulation, &GroupAccumulation),
) -> Result<GroupAccumulation, Refusal> {
    let mut whole = GroupAccumulation::default();
    let mut from = None;
    loop {
        let page = shard.lite_accumulations(group, topic, from)?;
        for lite_topic in &page.lite_topics {
            let one = accumulation(lite_topic, now);
            add(&mut whole, &one);
            if lite_topic.behind() > 0 && told.len() < limits::LITE_TOPICS_PER_ANSWER_MAX {
                told.insert(lite_topic.name.to_string(), one);
            }
        }
        from = page.next;
        if from.is_none() {
            return Ok(whole);
        }
        // There may be a million of them.
        tokio::task::yield_now().await;
    }
}

fn accumulation(lite_topic: &LiteAccumulation, now: Timestamp) -> GroupAccumulation {
    let number = |count: u64| i64::try_from(count).unwrap_or(i64::MAX);
    GroupAccumulation {
        inflight_messages: number(lite_topic.in_flight),
        ready_messages: number(lite_topic.ready),
        accumulation: number(lite_topic.behind()),
        deliver_delay_time: lite_topic
            .oldest
            .map(|stored| from_duration(now.since(stored))),
        last_consume_timestamp: lite_topic.consumed.map_or(0, Timestamp::ms),
    }
}
