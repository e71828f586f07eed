//! OnsTraceQueryByMsgId, OnsTraceQueryByMsgKey and OnsTraceGetResult: the way of a message, as the
//! clients told it.
//!
//! A query is remembered, and its result looked up when it is fetched, so that one that is fetched
//! again tells what has happened since.

use std::collections::{BTreeMap, VecDeque};

use base::{InstanceId, Timestamp, TopicName, limits};
use parking_lot::Mutex;
use serde_json::{Map, Value, json};
use wire::message::TraceKind;

use super::{
    Fields,
    call::Call,
    message_pages::times,
    status::{Code, Refusal},
};
use crate::message_trace::{Step, steps};

/// Queries that were asked, the newest last.
#[derive(Default)]
pub(crate) struct TraceQueries(Mutex<VecDeque<(String, TraceQuery)>>);

/// One of them.
#[derive(Clone)]
struct TraceQuery {
    /// Who asked, and alone may fetch the result.
    user: Option<String>,
    instance: InstanceId,
    topic: TopicName,
    sought: Sought,
    from: i64,
    to: i64,
    asked_at: i64,
}

#[derive(Clone)]
enum Sought {
    Id(String),
    Key(String),
}

impl TraceQueries {
    fn push(&self, id: String, query: TraceQuery) {
        let mut queries = self.0.lock();
        if queries.len() >= limits::OPENAPI_TRACE_QUERIES_MAX {
            queries.pop_front();
        }
        queries.push_back((id, query));
    }

    fn get(&self, id: &str) -> Option<TraceQuery> {
        let queries = self.0.lock();
        let found = queries.iter().find(|(known, _)| known == id);
        found.map(|(_, query)| query.clone())
    }
}

/// OnsTraceQueryByMsgId.
pub(super) async fn by_id(call: &Call) -> Result<Fields, Refusal> {
    ask(call, Sought::Id(call.required("MsgId")?.to_owned()))
}

/// OnsTraceQueryByMsgKey.
pub(super) async fn by_key(call: &Call) -> Result<Fields, Refusal> {
    ask(call, Sought::Key(call.required("MsgKey")?.to_owned()))
}

fn user_of(call: &Call) -> Option<String> {
    call.user.as_ref().map(|user| user.name().to_owned())
}

fn ask(call: &Call, sought: Sought) -> Result<Fields, Refusal> {
    let (Sought::Id(text) | Sought::Key(text)) = &sought;
    let (length, max) = (text.len(), limits::OPENAPI_NONCE_BYTES_MAX);
    if length > max {
        let text = format!("id or key has {length} bytes, expected at most {max}");
        return Err(Refusal::new(Code::BizFieldCheckInvalid, text));
    }
    let (from, to) = times(call)?;
    let asked_at = call.now().ms();
    let query = TraceQuery {
        user: user_of(call),
        instance: call.instance().id().clone(),
        topic: call.topic()?.name().clone(),
        sought,
        from,
        to,
        asked_at,
    };
    let id = format!("{asked_at:016X}{:016X}", call.front.next_serial());
    call.front.openapi_trace_queries.push(id.clone(), query);
    Ok(Fields::from_iter([("QueryId".to_owned(), id.into())]))
}

/// OnsTraceGetResult. A query that nobody knows any more has the status `removed`.
pub(super) async fn result(call: &Call) -> Result<Fields, Refusal> {
    let id = call.required("QueryId")?;
    let topic = call.text("Topic");
    let query = call.front.openapi_trace_queries.get(id).filter(|query| {
        query.user == user_of(call)
            && query.instance == *call.instance().id()
            && topic.is_none_or(|topic| topic == query.topic.as_str())
    });
    let Some(query) = query else {
        let data = json!({ "QueryId": id, "Status": "removed", "TraceList": { "TraceMapDo": [] } });
        return Ok(Fields::from_iter([("TraceData".to_owned(), data)]));
    };
    let (message_id, key) = match &query.sought {
        Sought::Id(id) => (id.as_str(), ""),
        Sought::Key(key) => ("", key.as_str()),
    };
    let sought = if key.is_empty() { message_id } else { key };
    let region = &call.front.settings.region;
    let shard = call.shard()?;
    // What belongs to a message of that time is told a little later, never before.
    let told = steps(&shard, region, sought, Timestamp::from_ms(query.from)).await?;
    let mut by_message: BTreeMap<&str, Vec<&Step>> = BTreeMap::new();
    for step in told.iter().filter(|step| match &query.sought {
        Sought::Id(id) => step.message_id == *id,
        Sought::Key(key) => step.keys.split(' ').any(|known| known == key),
    }) {
        by_message.entry(&step.message_id).or_default().push(step);
    }
    let ways = by_message
        .values()
        .filter_map(|steps| way(call, &query, steps));
    let ways: Vec<Value> = ways.collect();
    let data = json!({
        "QueryId": id,
        "InstanceId": query.instance.as_str(),
        "UserId": query.user.unwrap_or_default(),
        "Topic": query.topic.as_str(),
        "MsgId": message_id,
        "MsgKey": key,
        "Status": "finish",
        "CreateTime": query.asked_at,
        "UpdateTime": call.now().ms(),
        "TraceList": { "TraceMapDo": ways },
    });
    Ok(Fields::from_iter([("TraceData".to_owned(), data)]))
}

/// The way of one message; `None` if it is of another topic or time.
fn way(call: &Call, query: &TraceQuery, steps: &[&Step]) -> Option<Value> {
    let plain = |name: &str| call.front.plain_name(name).plain.into_owned();
    let sent = steps.iter().find(|step| step.kind == TraceKind::Send);
    let of_topic = steps.iter().find_map(|step| step.topic.as_deref());
    if of_topic.is_some_and(|topic| plain(topic) != query.topic.as_str()) {
        return None;
    }
    let begun = sent.or(steps.first()).and_then(|step| step.at_ms);
    if begun.is_some_and(|at| !(query.from..=query.to).contains(&at)) {
        return None;
    }
    let ended = steps
        .iter()
        .find(|step| step.kind == TraceKind::EndTransaction);
    let ended = ended.and_then(|step| step.detail.as_deref());
    let status = match (sent.and_then(|step| step.success), ended) {
        (_, Some("ROLLBACK_MESSAGE")) => "SEND_ROLLBACK",
        (Some(true), _) => "SEND_SUCCESS",
        (Some(false), _) => "SEND_FAILED",
        (None, _) => "SEND_UNKNOWN",
    };
    let known = sent.or(steps.first())?;
    Some(json!({
        "MsgId": known.message_id,
        "MsgKey": known.keys,
        "Tag": known.tag,
        "Topic": query.topic.as_str(),
        "BornHost": sent.map(|step| step.host.as_str()).unwrap_or_default(),
        "PubGroupName": sent.and_then(|step| step.group.as_deref()).map(plain),
        "PubTime": sent.and_then(|step| step.at_ms),
        "CostTime": sent.and_then(|step| step.took_ms),
        "Status": status,
        "SubList": { "SubMapDo": groups(call, steps) },
    }))
}

/// One delivery: its receipt, and its end.
#[derive(Default)]
struct Delivery<'a> {
    received: Option<&'a Step>,
    ended: Option<&'a Step>,
}

fn groups(call: &Call, steps: &[&Step]) -> Vec<Value> {
    // In the order in which they began.
    let mut order: Vec<&str> = Vec::new();
    let mut deliveries: BTreeMap<&str, Delivery<'_>> = BTreeMap::new();
    for step in steps {
        let request = step.request_id.as_deref().unwrap_or_default();
        let of = |delivery: &mut Delivery<'_>| match step.kind {
            TraceKind::Receive => delivery.received.is_none(),
            _ => delivery.ended.is_none(),
        };
        if !matches!(step.kind, TraceKind::Receive | TraceKind::Consume) {
            continue;
        }
        let delivery = deliveries.entry(request).or_insert_with(|| {
            order.push(request);
            Delivery::default()
        });
        if of(delivery) {
            match step.kind {
                TraceKind::Receive => delivery.received = Some(step),
                _ => delivery.ended = Some(step),
            }
        }
    }
    let mut groups: BTreeMap<String, Vec<&Delivery<'_>>> = BTreeMap::new();
    for request in order {
        let Some(delivery) = deliveries.get(request) else {
            continue;
        };
        let both = [delivery.received, delivery.ended];
        let group = both
            .into_iter()
            .flatten()
            .find_map(|step| step.group.as_deref());
        let group = call
            .front
            .plain_name(group.unwrap_or_default())
            .plain
            .into_owned();
        groups.entry(group).or_default().push(delivery);
    }
    let shown = groups.into_iter().map(|(group, deliveries)| {
        let count = |wanted: bool| {
            let ends = deliveries.iter().filter_map(|delivery| delivery.ended);
            ends.filter(|end| end.success == Some(wanted)).count()
        };
        let clients = deliveries.iter().map(|delivery| client(&group, delivery));
        json!({
            "SubGroupName": group,
            "SuccessCount": count(true),
            "FailCount": count(false),
            "ClientList": { "SubClientInfoDo": clients.collect::<Vec<Value>>() },
        })
    });
    shown.collect()
}

fn client(group: &str, delivery: &Delivery<'_>) -> Value {
    let (received, ended) = (delivery.received, delivery.ended);
    let repeated = received.and_then(|step| step.detail.as_deref()?.parse::<i64>().ok());
    let fields = json!({
        "SubGroupName": group,
        "ClientHost": received.or(ended).map(|step| step.host.as_str()),
        "SubTime": received.or(ended).and_then(|step| step.at_ms),
        "CostTime": ended.and_then(|step| step.took_ms),
        "ReconsumeTimes": repeated,
        "Status": match ended.and_then(|step| step.success) {
            Some(true) => "CONSUME_SUCCESS",
            Some(false) => "CONSUME_FAILED",
            None => "CONSUME_NOT_RETURN",
        },
    });
    // What is not known is not told.
    let known = fields.as_object().into_iter().flatten();
    let known = known.filter(|(_, value)| !value.is_null());
    Value::Object(Map::from_iter(
        known.map(|(name, value)| (name.clone(), value.clone())),
    ))
}
