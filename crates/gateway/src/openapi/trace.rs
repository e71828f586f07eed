//! ListTraces and GetTrace: the way of a message, as clients and this server have told it.
//!
//! Clients tell it to any node of an instance, so that what is [`Traced`] is the sum of what each
//! node has.

use std::collections::BTreeMap;

use base::{Timestamp, limits};
use serde::{Deserialize, Serialize};
use serde_json::{Map, Value, json};
use wire::{
    message::{StoredMessage, TraceKind, properties},
    openapi::date_time,
};

use super::{
    call::Call,
    message,
    message_query::{find, in_path},
    status::{Code, Refusal},
};
use crate::message_trace::{Step, sort, steps};

#[derive(Clone, Copy)]
enum QueryType {
    Id,
    Key,
    Topic,
}

/// ListTraces: the messages that may have one.
pub(super) async fn list(call: &Call) -> Result<Value, Refusal> {
    let words = [
        ("MESSAGE_ID", QueryType::Id),
        ("MESSAGE_KEY", QueryType::Key),
        ("TOPIC", QueryType::Topic),
    ];
    match call.word("queryType", &words)? {
        Some(QueryType::Id) => _ = call.required("messageId")?,
        Some(QueryType::Key) => _ = call.required("messageKey")?,
        Some(QueryType::Topic) | None => {}
    }
    let instance = call.instance()?;
    let found = find(call).await?;
    Ok(found.answer(call, |found| {
        let whole = message::shown(call, instance.id().as_str(), found);
        let fields = [
            "bornTime",
            "instanceId",
            "messageId",
            "messageKeys",
            "messageTag",
            "regionId",
            "topicName",
        ];
        let fields = fields.map(|name| (name.to_owned(), whole[name].clone()));
        Value::Object(Map::from_iter(fields))
    }))
}

/// What is known of the way of one message.
#[derive(Default, Serialize, Deserialize)]
pub(super) struct Traced {
    /// The message, where it is.
    pub(super) message: Option<TracedMessage>,
    steps: Vec<Step>,
}

/// The message that a trace is about.
#[derive(Serialize, Deserialize)]
pub(super) struct TracedMessage {
    /// The id that its sender gave it, empty if none.
    pub(super) id: String,
    stored_ms: i64,
    /// When it was to be delivered, of a timed one.
    due_ms: Option<i64>,
    info: Value,
}

impl TracedMessage {
    fn of(call: &Call, message: &StoredMessage) -> Result<Self, Refusal> {
        let property = |name: &str| message.property(name).unwrap_or_default();
        let due = message.property(properties::TIMER_OUT_MS);
        let due = due.or_else(|| message.property(properties::TIMER_DELIVER_MS));
        let instance = call.instance()?;
        let mut info = message::shown(call, instance.id().as_str(), message);
        if let Some(fields) = info.as_object_mut() {
            fields.remove("bodySize");
            fields.remove("messageType");
        }
        info["transactionId"] = json!(property(properties::TRANSACTION_ID));
        Ok(Self {
            id: property(properties::UNIQUE_KEY).to_owned(),
            stored_ms: message.store_timestamp(),
            due_ms: due.and_then(|text| text.parse().ok()),
            info,
        })
    }
}

impl Traced {
    /// What this process has. Asked for a whole, it tells steps of a message that is not here too.
    async fn here(call: &Call) -> Result<Self, Refusal> {
        let whole = call.note.trace.as_ref();
        let found = match in_path(call).await {
            Err(refusal) if whole.is_some() && refusal.code() == Code::MessageNotFound => None,
            found => Some(found?),
        };
        let message = found
            .map(|found| TracedMessage::of(call, &found))
            .transpose()?;
        let found = message.as_ref().map(|message| message.id.as_str());
        let known = whole.and_then(|whole| whole.id.as_deref());
        let id = known.or(found).unwrap_or(call.required("messageId")?);
        let steps = match id {
            "" => Vec::new(),
            id => {
                let from = Timestamp::from_ms(i64::MIN);
                steps(&*call.shard()?, call.region(), id, from).await?
            }
        };
        Ok(Self { message, steps })
    }

    /// Adds what another node has, as far as there is room. Of several messages with one id the
    /// newest counts.
    pub(super) fn add(&mut self, other: Self) {
        let stored = |traced: &Self| traced.message.as_ref().map(|message| message.stored_ms);
        if stored(&other) > stored(self) {
            self.message = other.message;
        }
        let bytes: usize = self.steps.iter().map(Step::bytes).sum();
        let mut room = limits::TRACE_STEPS_BYTES_MAX.saturating_sub(bytes);
        let fitting = other.steps.into_iter().take_while(|step| {
            let left = room.checked_sub(step.bytes());
            room = left.unwrap_or(0);
            left.is_some()
        });
        self.steps.extend(fitting);
        sort(&mut self.steps);
    }

    /// The answer; `None` where the message is nowhere.
    pub(super) fn answer(self, call: &Call) -> Result<Option<Value>, Refusal> {
        let Some(message) = self.message else {
            return Ok(None);
        };
        let told = self.steps.iter();
        let told: Vec<&Step> = told.filter(|step| step.message_id == message.id).collect();
        Ok(Some(json!({
            "brokerInfo": broker_info(&message, &told),
            "consumerInfos": consumers(call, &told),
            "instanceId": call.instance()?.id().as_str(),
            "producerInfo": { "records": producers(&message, &told) },
            "regionId": call.region(),
            "topicName": call.topic()?.name().as_str(),
            "messageInfo": message.info,
        })))
    }
}

/// GetTrace.
pub(super) async fn get(call: &Call) -> Result<Value, Refusal> {
    // Times narrow what is looked through, which the id does better.
    call.time("startTime")?;
    call.time("endTime")?;
    let traced = Traced::here(call).await?;
    if call.note.trace.is_some() {
        return Ok(json!(traced));
    }
    let answer = traced.answer(call)?;
    answer.ok_or_else(|| not_found(call))
}

/// The message in the path is nowhere.
pub(super) fn not_found(call: &Call) -> Refusal {
    let id = call.text("messageId").unwrap_or_default();
    let shown: String = id.chars().take(64).collect();
    let text = format!("no message with id `{shown}`");
    Refusal::new(Code::MessageNotFound, text)
}

fn time(at_ms: Option<i64>) -> String {
    at_ms.map_or(String::new(), date_time)
}

fn producers(message: &TracedMessage, told: &[&Step]) -> Vec<Value> {
    let sent = told.iter().filter(|step| step.kind == TraceKind::Send);
    let records = sent.map(|step| {
        json!({
            "arriveTime": date_time(message.stored_ms),
            "clientHost": step.host,
            "messageSource": "CLIENT",
            "produceDuration": step.took_ms.unwrap_or(0),
            "produceStatus": match step.success {
                Some(true) => "SEND_SUCCESS",
                Some(false) => "SEND_FAILED",
                None => "SEND_UNKNOWN",
            },
            "produceTime": time(step.at_ms),
        })
    });
    records.collect()
}

fn broker_info(message: &TracedMessage, told: &[&Step]) -> Value {
    let operations = told.iter().filter_map(|step| {
        let kind = match step.kind {
            TraceKind::EndTransaction => step.detail.as_deref().unwrap_or("END_TRANSACTION"),
            TraceKind::Recall => "RECALL",
            TraceKind::Send | TraceKind::Receive | TraceKind::Consume => return None,
        };
        Some(json!({ "operateTime": time(step.at_ms), "operateType": kind }))
    });
    json!({
        // A message that is found is in its queue, and so is past its time.
        "delayStatus": if message.due_ms.is_some() { "DELIVERED" } else { "" },
        "operations": operations.collect::<Vec<Value>>(),
        "presetDelayTime": time(message.due_ms),
        "recallResult": "",
    })
}

fn consumers(call: &Call, told: &[&Step]) -> Vec<Value> {
    // A receipt and its end have one request; groups and requests in the order of their names.
    let mut groups: BTreeMap<String, BTreeMap<&str, Vec<&Step>>> = BTreeMap::new();
    for step in told {
        if !matches!(step.kind, TraceKind::Receive | TraceKind::Consume) {
            continue;
        }
        let request = step.request_id.as_deref().unwrap_or_default();
        let group = match &step.group {
            Some(group) => call.front.plain_name(group).plain.into_owned(),
            // Older clients say it of the receipt only.
            None => {
                let known = groups
                    .iter()
                    .find(|(_, requests)| requests.contains_key(request));
                known.map_or(String::new(), |(group, _)| group.clone())
            }
        };
        groups
            .entry(group)
            .or_default()
            .entry(request)
            .or_default()
            .push(step);
    }
    let shown = groups.into_iter().map(|(group, deliveries)| {
        let records: Vec<Value> = deliveries.values().map(|steps| delivery(steps)).collect();
        let succeeded = records
            .iter()
            .any(|it| it["consumeStatus"] == "CONSUME_SUCCESS");
        let ended = records.iter().any(|it| it["consumeStatus"] != "CONSUMING");
        json!({
            "consumeStatus": match (succeeded, ended) {
                (true, _) => "CONSUME_SUCCESS",
                (false, true) => "CONSUME_FAILED",
                (false, false) => "CONSUMING",
            },
            "consumerGroupId": group,
            "deadMessage": false,
            "records": records,
        })
    });
    shown.collect()
}

fn delivery(steps: &[&Step]) -> Value {
    let ended = steps.iter().find(|step| step.kind == TraceKind::Consume);
    let operations = steps.iter().map(|step| {
        json!({
            "deadMessage": false,
            "operateTime": time(step.at_ms),
            "operateType": match (step.kind, step.success) {
                (TraceKind::Consume, Some(false)) => "CONSUME_FAILED",
                (TraceKind::Consume, _) => "ACK",
                _ => "RECEIVE",
            },
        })
    });
    json!({
        "clientHost": steps.first().map(|step| step.host.as_str()).unwrap_or_default(),
        "consumeStatus": match ended.and_then(|step| step.success) {
            Some(true) => "CONSUME_SUCCESS",
            Some(false) => "CONSUME_FAILED",
            None => "CONSUMING",
        },
        "operations": operations.collect::<Vec<Value>>(),
    })
}
