//! ListTraces and GetTrace: the way of a message, as clients and this server have told it.

use std::collections::BTreeMap;

use base::Timestamp;
use serde_json::{Map, Value, json};
use wire::{
    message::{StoredMessage, TraceKind, properties},
    openapi::date_time,
};

use super::{
    call::Call,
    message,
    message_query::{find, in_path},
    status::Refusal,
};
use crate::message_trace::{Step, steps};

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
    let list = found.messages.iter().map(|found| {
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
    });
    Ok(found.page.answer(list.collect(), found.total))
}

/// GetTrace.
pub(super) async fn get(call: &Call) -> Result<Value, Refusal> {
    let instance = call.instance()?;
    // Times narrow what is looked through; the message says when it began.
    call.time("startTime")?;
    call.time("endTime")?;
    let found = in_path(call).await?;
    let id = found.property(properties::UNIQUE_KEY).unwrap_or_default();
    let from = Timestamp::from_ms(found.store_timestamp().min(found.born_timestamp()));
    let told = match id {
        "" => Vec::new(),
        id => steps(&*call.shard()?, call.region(), id, from).await?,
    };
    let told: Vec<&Step> = told.iter().filter(|step| step.message_id == id).collect();
    let mut info = message::shown(call, instance.id().as_str(), &found);
    if let Some(fields) = info.as_object_mut() {
        fields.remove("bodySize");
        fields.remove("messageType");
    }
    info["transactionId"] = json!(
        found
            .property(properties::TRANSACTION_ID)
            .unwrap_or_default()
    );
    Ok(json!({
        "brokerInfo": broker_info(&found, &told),
        "consumerInfos": consumers(call, &told),
        "instanceId": instance.id().as_str(),
        "messageInfo": info,
        "producerInfo": { "records": producers(&found, &told) },
        "regionId": call.region(),
        "topicName": found.topic(),
    }))
}

fn time(at_ms: Option<i64>) -> String {
    at_ms.map_or(String::new(), date_time)
}

fn producers(message: &StoredMessage, told: &[&Step]) -> Vec<Value> {
    let sent = told.iter().filter(|step| step.kind == TraceKind::Send);
    let records = sent.map(|step| {
        json!({
            "arriveTime": date_time(message.store_timestamp()),
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

fn broker_info(message: &StoredMessage, told: &[&Step]) -> Value {
    let due = message.property(properties::TIMER_OUT_MS);
    let due = due.or_else(|| message.property(properties::TIMER_DELIVER_MS));
    let due = due.and_then(|text| text.parse::<i64>().ok());
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
        "delayStatus": if due.is_some() { "DELIVERED" } else { "" },
        "operations": operations.collect::<Vec<Value>>(),
        "presetDelayTime": time(due),
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
