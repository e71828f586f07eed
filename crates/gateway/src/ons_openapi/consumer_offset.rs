//! OnsConsumerAccumulate, OnsConsumerTimeSpan and OnsConsumerResetOffset: how far a group has come,
//! and where it goes on.

use std::collections::BTreeSet;

use base::{GroupName, Timestamp, TopicName};
use broker::{Backlog, Counter, ProgressOf, ResetTo, TimeSpan, Window};
use serde_json::{Map, Value, json};

use super::{Fields, call::Call, message, status::Refusal};

/// How far a group is behind, altogether and by topic.
pub(super) struct Accumulation {
    topics: Vec<Backlog>,
    tps: f64,
    now: Timestamp,
}

impl Accumulation {
    /// Of the topics in which the group has come somewhere.
    pub(super) fn of(call: &Call, group: &GroupName) -> Result<Self, Refusal> {
        let (instance, shard) = (call.instance(), call.shard()?);
        let progress = shard.progress(ProgressOf::Group(group))?;
        let topics: BTreeSet<TopicName> = progress.into_iter().map(|it| it.topic).collect();
        let out = |topic: &TopicName| Counter::MessagesOut(topic.clone(), group.clone());
        let rates = topics
            .iter()
            .map(|topic| instance.rate(&out(topic), Window::Minute));
        let tps = rates.map(|rate| rate.per_second).sum();
        let mut backlogs = Vec::with_capacity(topics.len());
        for topic in &topics {
            backlogs.push(shard.backlog(group, topic)?);
        }
        Ok(Self {
            topics: backlogs,
            tps,
            now: call.now(),
        })
    }

    /// The fields that both operations have; by topic only if that is asked for.
    pub(super) fn fields(
        &self,
        call: &Call,
        is_online: bool,
    ) -> Result<Map<String, Value>, Refusal> {
        let of_all = self.topics.iter();
        let total: u64 = of_all.clone().map(|topic| topic.messages).sum();
        let delay_ms = of_all.clone().map(|topic| self.delay_ms(topic)).max();
        let last = of_all.filter_map(|topic| topic.last_finished).max();
        let mut fields = Map::new();
        let mut put = |name: &str, value: Value| fields.insert(name.to_owned(), value);
        put("ConsumeTps", self.tps.into());
        put("DelayTime", delay_ms.unwrap_or(0).into());
        put("LastTimestamp", last.map_or(0, Timestamp::ms).into());
        put("Online", is_online.into());
        put("TotalDiff", total.into());
        if call.boolean("Detail")?.unwrap_or(false) {
            let details = self.topics.iter().map(|topic| {
                json!({
                    "Topic": topic.topic.as_str(),
                    "TotalDiff": topic.messages,
                    "DelayTime": self.delay_ms(topic),
                    "LastTimestamp": topic.last_finished.map_or(0, Timestamp::ms),
                })
            });
            let details: Vec<Value> = details.collect();
            put("DetailInTopicList", json!({ "DetailInTopicDo": details }));
        }
        Ok(fields)
    }

    /// How long the first unfinished message has waited.
    fn delay_ms(&self, backlog: &Backlog) -> i64 {
        let waited = backlog
            .oldest
            .map(|stored| self.now.since(stored).as_millis());
        waited.map_or(0, |ms| i64::try_from(ms).unwrap_or(i64::MAX))
    }
}

/// OnsConsumerAccumulate.
pub(super) async fn accumulate(call: &Call) -> Result<Fields, Refusal> {
    let group = call.group()?;
    let is_online = !call.instance().consumers(group.name()).is_empty();
    let accumulation = Accumulation::of(call, group.name())?;
    Ok(message::data(accumulation.fields(call, is_online)?))
}

/// OnsConsumerTimeSpan.
pub(super) async fn time_span(call: &Call) -> Result<Fields, Refusal> {
    let (group, topic) = (call.group()?, call.topic()?);
    let spans = call.shard()?.time_spans(group.name(), topic.name())?;
    let times = |time: fn(&TimeSpan) -> Option<Timestamp>| spans.iter().filter_map(time);
    let ms = |time: Option<Timestamp>| time.map_or(0, Timestamp::ms);
    let first = times(|span| span.first).min();
    Ok(message::data(json!({
        "InstanceId": call.instance().id().as_str(),
        "Topic": topic.name().as_str(),
        "MinTimeStamp": ms(first),
        "MaxTimeStamp": ms(times(|span| span.last).max()),
        "ConsumeTimeStamp": ms(times(|span| span.consumed).max().or(first)),
    })))
}

/// OnsConsumerResetOffset.
pub(super) async fn reset(call: &Call) -> Result<Fields, Refusal> {
    let (group, topic) = (call.group()?, call.topic()?);
    let to = match call.required_integer("Type")? {
        0 => ResetTo::End,
        1 => match call.integer("ResetTimestamp")? {
            None => return Err(Refusal::missing("ResetTimestamp")),
            Some(ms) if ms >= 0 => ResetTo::Time(Timestamp::from_ms(ms)),
            Some(ms) => {
                let reason = format!("{ms}, expected ms since 1970");
                return Err(Refusal::field("ResetTimestamp", reason));
            }
        },
        other => {
            let reason = format!("{other}, expected 0 for the end or 1 for a time");
            return Err(Refusal::field("Type", reason));
        }
    };
    let (group, topic) = (group.name(), topic.name());
    let offsets = call.shard()?.reset_offset(group, topic, None, to).await?;
    call.instance().tell_offsets_reset(group, topic, &offsets);
    Ok(Fields::new())
}
