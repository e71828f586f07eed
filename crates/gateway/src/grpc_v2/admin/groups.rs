//! DescribeGroupAccumulation, QueryTimeSpan and ResetGroupOffset: how far a group is behind, and
//! where it goes on.

use std::{
    collections::{BTreeMap, BTreeSet, HashMap},
    sync::Arc,
};

use base::{GroupName, QueueOffset, Timestamp, TopicName};
use broker::{Instance, ResetTo, ShardHandle};
use wire::grpc_v2::{
    self as v2, Code, describe_group_accumulation_response::GroupAccumulation,
    query_time_span_response::QueueTimeSpan,
};

use super::{
    super::{
        names, route, shards,
        time::{from_duration, to_timestamp},
    },
    Call, Refusal, lite_topics,
};
use broker::group_lag;

/// A group and the topics that a request asks about.
struct Asked {
    instance: Arc<Instance>,
    shard: ShardHandle,
    group: GroupName,
    topics: BTreeSet<TopicName>,
}

impl Asked {
    /// Without topics, all that the group consumes.
    fn of(
        call: &Call,
        group: Option<&v2::Resource>,
        topics: &[v2::Resource],
    ) -> Result<Self, Refusal> {
        let (instance, group) = names::group(call, group)?;
        let bound = names::existing_group(&instance, &group)?;
        let shard = shards::any_shard(call, &instance)?;
        let mut named = BTreeSet::new();
        for topic in topics {
            let (of_topic, topic) = names::topic(call, Some(topic))?;
            if of_topic.id() != instance.id() {
                let text = format!("topic `{topic}` is not in instance `{}`", instance.id());
                return Err(Refusal::new(Code::BadRequest, text));
            }
            names::existing_topic(&instance, &topic)?;
            named.insert(topic);
        }
        if topics.is_empty() {
            named = group_lag::topics(&instance, &shard, &bound)?;
        }
        Ok(Self {
            instance,
            shard,
            group,
            topics: named,
        })
    }
}

pub(super) async fn describe_group_accumulation(
    call: Call,
    request: v2::DescribeGroupAccumulationRequest,
) -> Result<v2::DescribeGroupAccumulationResponse, Refusal> {
    let lite_topic = lite_topics::name(request.lite_topic.as_deref())?;
    let asked = Asked::of(&call, request.group.as_ref(), &request.topics)?;
    let now = call.now();
    if let Some(lite_topic) = lite_topic {
        let Asked { shard, group, .. } = &asked;
        let named = asked.topics.first().filter(|_| asked.topics.len() == 1);
        let topic = lite_topics::parent(&asked.instance, group, named)?;
        let one = lite_topics::of_one(shard, group, &topic, &lite_topic, now)?;
        return Ok(v2::DescribeGroupAccumulationResponse {
            status: None,
            accumulation: Some(one),
            topic_accumulation: HashMap::new(),
            lite_topic_accumulation: [(lite_topic.to_string(), one)].into(),
        });
    }
    let in_flight = group_lag::in_flight(&asked.instance, &asked.group);
    let mut whole = GroupAccumulation::default();
    let mut by_topic = BTreeMap::new();
    let mut by_lite_topic = HashMap::new();
    for topic in &asked.topics {
        let one = if names::existing_topic(&asked.instance, topic)?
            .spec
            .is_lite()
        {
            let (shard, group) = (&asked.shard, &asked.group);
            lite_topics::of_all(shard, group, topic, now, &mut by_lite_topic, add).await?
        } else {
            let in_flight = in_flight.get(topic).copied().unwrap_or(0);
            accumulation(&asked, topic, in_flight, now)?
        };
        add(&mut whole, &one);
        let name = names::told::<v2::Resource>(&call, &asked.instance, topic.as_str()).name;
        by_topic.insert(name, one);
    }
    Ok(v2::DescribeGroupAccumulationResponse {
        status: None,
        accumulation: Some(whole),
        topic_accumulation: by_topic.into_iter().collect(),
        lite_topic_accumulation: by_lite_topic,
    })
}

/// How far the group is behind in one topic.
fn accumulation(
    asked: &Asked,
    topic: &TopicName,
    in_flight: u64,
    now: Timestamp,
) -> Result<GroupAccumulation, Refusal> {
    let Asked { shard, group, .. } = asked;
    names::existing_topic(&asked.instance, topic)?;
    let lag = group_lag::of_topic(shard, group, topic, in_flight)?;
    let number = |count: u64| i64::try_from(count).unwrap_or(i64::MAX);
    Ok(GroupAccumulation {
        inflight_messages: number(lag.in_flight),
        ready_messages: number(lag.ready),
        accumulation: number(lag.in_flight + lag.ready),
        deliver_delay_time: lag.oldest.map(|stored| from_duration(now.since(stored))),
        last_consume_timestamp: lag.last_finished.map_or(0, Timestamp::ms),
    })
}

fn add(whole: &mut GroupAccumulation, one: &GroupAccumulation) {
    whole.inflight_messages += one.inflight_messages;
    whole.ready_messages += one.ready_messages;
    whole.accumulation += one.accumulation;
    whole.last_consume_timestamp = whole.last_consume_timestamp.max(one.last_consume_timestamp);
    let length = |time: &prost_types::Duration| (time.seconds, time.nanos);
    let times = [whole.deliver_delay_time, one.deliver_delay_time];
    whole.deliver_delay_time = times.into_iter().flatten().max_by_key(length);
}

pub(super) async fn query_time_span(
    call: Call,
    request: v2::QueryTimeSpanRequest,
) -> Result<v2::QueryTimeSpanResponse, Refusal> {
    let asked = Asked::of(&call, request.group.as_ref(), &request.topics)?;
    let now = call.now();
    let mut queue_time_span_list = Vec::new();
    for topic in &asked.topics {
        let told: v2::Resource = names::told(&call, &asked.instance, topic.as_str());
        for span in asked.shard.time_spans(&asked.group, topic)? {
            let ms = |time: Option<Timestamp>| time.map_or(-1, Timestamp::ms);
            let waited = span.next.map(|stored| now.since(stored).as_millis());
            queue_time_span_list.push(QueueTimeSpan {
                message_queue: Some(v2::MessageQueue {
                    topic: Some(told.clone()),
                    id: span.queue.get().cast_signed(),
                    broker: Some(route::broker(&call, &asked.instance, asked.shard.id())),
                    ..Default::default()
                }),
                min_timestamp: ms(span.first),
                max_timestamp: ms(span.last),
                consume_timestamp: ms(span.consumed.or(span.first)),
                delay_time_ms: waited.map_or(0, |ms| i64::try_from(ms).unwrap_or(i64::MAX)),
            });
        }
    }
    Ok(v2::QueryTimeSpanResponse {
        status: None,
        queue_time_span_list,
    })
}

pub(super) async fn reset_group_offset(
    call: Call,
    request: v2::ResetGroupOffsetRequest,
) -> Result<v2::ResetGroupOffsetResponse, Refusal> {
    let (instance, topic, group) =
        names::topic_and_group(&call, request.topic.as_ref(), request.group.as_ref())?;
    names::existing_topic(&instance, &topic)?;
    names::existing_group(&instance, &group)?;
    let time = request.reset_timestamp.as_ref().and_then(to_timestamp);
    let time = time.ok_or_else(|| {
        let text = "reset timestamp is missing or out of range";
        Refusal::new(Code::BadRequest, text)
    })?;
    let shard = shards::any_shard(&call, &instance)?;
    let offsets: Vec<(base::QueueId, QueueOffset)> = shard
        .reset_offset(&group, &topic, None, ResetTo::Time(time))
        .await?;
    instance.tell_offsets_reset(&group, &topic, &offsets);
    Ok(v2::ResetGroupOffsetResponse { status: None })
}
