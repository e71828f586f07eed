//! GetConsumerGroupLag, GetConsumeTimespan and ResetConsumeOffset: how far a group has come, and
//! where it goes on.

use base::{LiteTopicName, Timestamp, TopicName, limits};
use broker::{ResetTo, TimeSpan};
use serde_json::{Map, Value, json};

use super::{
    call::{Call, TOPIC},
    status::{Code, Refusal},
};
use broker::group_lag::{self, Lag};

const LITE_TOPIC: &str = "liteTopicName";

fn shown(call: &Call, lag: &Lag) -> Value {
    let waited = lag.oldest.map(|stored| call.now().since(stored).as_secs());
    json!({
        "deliveryDuration": waited.unwrap_or(0),
        "inflightCount": lag.in_flight,
        "lastConsumeTimestamp": lag.last_finished.map_or(0, Timestamp::ms),
        "readyCount": lag.ready,
    })
}

/// GetConsumerGroupLag.
pub(super) async fn get(call: &Call) -> Result<Value, Refusal> {
    let (group, instance) = (call.group()?, call.instance()?);
    let shard = call.shard()?;
    let topics = match call.text(TOPIC) {
        Some(_) => [call.topic()?.name().clone()].into(),
        None => group_lag::topics(&instance, &shard, &group)?,
    };
    let lite_topic = match call.text(LITE_TOPIC) {
        Some(_) => Some(call.name(LITE_TOPIC, LiteTopicName::new)?),
        None => None,
    };
    let in_flight = group_lag::in_flight(&instance, group.name());
    let (mut whole, mut by_topic, mut by_lite_topic) = (Lag::default(), Map::new(), Map::new());
    for topic in topics {
        let is_lite = instance
            .topic(&topic)
            .is_some_and(|topic| topic.spec.is_lite());
        let lag = match (is_lite, &lite_topic) {
            (false, Some(_)) => {
                let reason = format!("topic `{topic}` has no LiteTopics");
                return Err(Refusal::field(LITE_TOPIC, reason));
            }
            (true, Some(name)) => {
                let found = shard.lite_accumulation(group.name(), &topic, name)?;
                let found = found.ok_or_else(|| {
                    let text = format!("LiteTopic `{name}` not found in topic `{topic}`");
                    Refusal::new(Code::LiteTopicNotFound, text)
                })?;
                let lag = Lag::of_lite_topic(&found);
                by_lite_topic.insert(name.to_string(), shown(call, &lag));
                lag
            }
            (true, None) => of_lite_topics(call, &topic, &mut by_lite_topic).await?,
            (false, None) => {
                let in_flight = in_flight.get(&topic).copied().unwrap_or(0);
                group_lag::of_topic(&shard, group.name(), &topic, in_flight)?
            }
        };
        by_topic.insert(topic.to_string(), shown(call, &lag));
        whole = whole.and(lag);
    }
    Ok(json!({
        "consumerGroupId": group.name().as_str(),
        "instanceId": instance.id().as_str(),
        "liteTopicLagMap": by_lite_topic,
        "regionId": call.region(),
        "topicLagMap": by_topic,
        "topicName": call.text(TOPIC).unwrap_or_default(),
        "totalLag": shown(call, &whole),
    }))
}

/// How far the group is behind in all LiteTopics of a topic; those with messages are told, as many
/// as one answer may name.
async fn of_lite_topics(
    call: &Call,
    topic: &TopicName,
    told: &mut Map<String, Value>,
) -> Result<Lag, Refusal> {
    let (group, shard) = (call.group()?, call.shard()?);
    let (mut whole, mut from) = (Lag::default(), None);
    loop {
        let page = shard.lite_accumulations(group.name(), topic, from)?;
        for lite_topic in &page.lite_topics {
            let lag = Lag::of_lite_topic(lite_topic);
            whole = whole.and(lag);
            if lite_topic.behind() > 0 && told.len() < limits::LITE_TOPICS_PER_ANSWER_MAX {
                told.insert(lite_topic.name.to_string(), shown(call, &lag));
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

/// GetConsumeTimespan.
pub(super) async fn time_span(call: &Call) -> Result<Value, Refusal> {
    let (group, topic) = (call.group()?, call.topic()?);
    let spans = call.shard()?.time_spans(group.name(), topic.name())?;
    let times = |time: fn(&TimeSpan) -> Option<Timestamp>| spans.iter().filter_map(time);
    let ms = |time: Option<Timestamp>| time.map_or(0, Timestamp::ms);
    let first = times(|span| span.first).min();
    Ok(json!({
        "consumeTimestamp": ms(times(|span| span.consumed).max().or(first)),
        "consumerGroupId": group.name().as_str(),
        "instanceId": call.instance()?.id().as_str(),
        "maxTimestamp": ms(times(|span| span.last).max()),
        "minTimestamp": ms(first),
        "topicName": topic.name().as_str(),
    }))
}

#[derive(Clone, Copy, PartialEq, Eq)]
enum Reset {
    Latest,
    Time,
}

/// ResetConsumeOffset.
pub(super) async fn reset(call: &Call) -> Result<Value, Refusal> {
    let (group, topic) = (call.group()?, call.topic()?);
    let words = [
        ("LATEST_OFFSET", Reset::Latest),
        ("SPECIFIED_TIME", Reset::Time),
    ];
    let kind = call.word("resetType", &words)?;
    let to = match kind.ok_or_else(|| Refusal::missing("resetType"))? {
        Reset::Latest => ResetTo::End,
        Reset::Time => {
            let time = call.time("resetTime")?;
            ResetTo::Time(time.ok_or_else(|| Refusal::missing("resetTime"))?)
        }
    };
    let (group, topic) = (group.name(), topic.name());
    let offsets = call.shard()?.reset_offset(group, topic, None, to).await?;
    call.instance()?.tell_offsets_reset(group, topic, &offsets);
    Ok(Value::Null)
}
