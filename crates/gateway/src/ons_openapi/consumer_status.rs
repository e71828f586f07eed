//! OnsConsumerStatus and OnsConsumerGetConnection: who consumes, and how it goes.

use std::time::Duration;

use base::{GroupName, limits};
use broker::{ClientAnswer, ClientQuestion, ConsumeMode, MessageModel, RegisteredClient};
use futures::future::join_all;
use serde_json::{Value, json};
use wire::remoting::body::{Body, ConsumerRunningInfo};

use super::{Fields, call::Call, consumer_offset::Accumulation, message, status::Refusal};
use crate::client_answer::threads;

/// How long a client may take to say how it runs.
const PATIENCE: Duration = Duration::from_secs(10);

/// OnsConsumerGetConnection.
pub(super) async fn connections(call: &Call) -> Result<Fields, Refusal> {
    let group = call.group()?;
    let members = call.instance().consumers(group.name());
    let connections: Vec<Value> = members.iter().map(connection).collect();
    Ok(message::data(json!({
        "MessageModel": model(members.first()),
        "ConnectionList": { "ConnectionDo": connections },
    })))
}

fn connection(member: &RegisteredClient) -> Value {
    json!({
        "ClientId": member.client.id,
        "ClientAddr": member.client.address.to_string(),
        "Language": member.client.language,
        "Version": member.client.version,
    })
}

/// That of the first member: it should be the same for all.
fn model(member: Option<&RegisteredClient>) -> &'static str {
    let consumer = member.and_then(|member| member.consumer.as_ref());
    match consumer.map(|consumer| consumer.model) {
        Some(MessageModel::Broadcasting) => "BROADCASTING",
        Some(MessageModel::Clustering) | None => "CLUSTERING",
    }
}

/// OnsConsumerStatus. Clients are asked only for details.
pub(super) async fn status(call: &Call) -> Result<Fields, Refusal> {
    let group = call.group()?;
    let members = call.instance().consumers(group.name());
    let accumulation = Accumulation::of(call, group.name())?;
    let mut fields = accumulation.fields(call, !members.is_empty())?;
    let with_stacks = call.boolean("NeedJstack")?.unwrap_or(false);
    let mut put = |name: &str, value: Value| fields.insert(name.to_owned(), value);
    if with_stacks || call.boolean("Detail")?.unwrap_or(false) {
        let asked = members.iter().take(limits::STATUS_CLIENTS_MAX);
        let answers = asked.map(|member| running(call, group.name(), member, with_stacks));
        let answers: Vec<Value> = join_all(answers).await;
        let list = json!({ "ConsumerConnectionInfoDo": answers });
        put("ConsumerConnectionInfoList", list);
    }
    let connections = members.iter().map(|member| {
        let mut shown = connection(member);
        shown["RemoteIP"] = member.client.address.ip().to_string().into();
        // How far each is behind is not known: what it holds is the group's.
        shown["Diff"] = 0.into();
        shown
    });
    let connections: Vec<Value> = connections.collect();
    put("ConnectionSet", json!({ "ConnectionDo": connections }));
    put("ConsumeModel", model(members.first()).into());
    put("InstanceId", call.instance().id().as_str().into());
    put("SubscriptionSame", subscribe_the_same(&members).into());
    // Queues are shared out by the members themselves, or need not be.
    put("RebalanceOK", true.into());
    Ok(message::data(fields))
}

/// Whether all members want the same of the same topics.
fn subscribe_the_same(members: &[RegisteredClient]) -> bool {
    let subscriptions = |member: &RegisteredClient| {
        let consumer = member.consumer.as_ref();
        let subscriptions = consumer.map(|consumer| consumer.subscriptions.iter());
        let mut named: Vec<(String, String)> = subscriptions
            .into_iter()
            .flatten()
            .map(|it| (it.topic.to_string(), it.filter.expression()))
            .collect();
        named.sort();
        named
    };
    members
        .windows(2)
        .all(|pair| subscriptions(&pair[0]) == subscriptions(&pair[1]))
}

/// What a member is known to be, and what it says if it says something.
async fn running(
    call: &Call,
    group: &GroupName,
    member: &RegisteredClient,
    with_stacks: bool,
) -> Value {
    let question = ClientQuestion::RunningInfo {
        group: group.clone(),
        with_stacks,
    };
    let client = &member.client;
    let answer = call.instance().ask(&client.id, question, PATIENCE).await;
    let info = match answer {
        Ok(ClientAnswer::Done(answer)) => ConsumerRunningInfo::decode(&answer).ok(),
        Ok(ClientAnswer::Refused(_)) | Err(_) => None,
    };
    let info = info.unwrap_or_default();
    let property = |name: &str| {
        let value = info.properties.get(name);
        value.map(|value| match value {
            Value::String(text) => text.clone(),
            other => other.to_string(),
        })
    };
    let number = |name: &str| property(name).and_then(|text| text.parse::<i64>().ok());
    let plain = |name: &str| call.front.plain_name(name).plain.into_owned();
    let consumer = member.consumer.as_ref();
    let subscriptions = consumer.map(|consumer| consumer.subscriptions.iter());
    let subscriptions = subscriptions.into_iter().flatten().map(|it| {
        let tags: Vec<String> = match &it.filter {
            broker::Filter::Tags(tags) => tags.iter().cloned().collect(),
            broker::Filter::All | broker::Filter::Sql(_) => Vec::new(),
        };
        json!({
            "Topic": it.topic.as_str(),
            "SubString": it.filter.expression(),
            "SubVersion": it.version,
            "TagsSet": { "Tag": tags },
        })
    });
    let data = info.statuses.iter().map(|(topic, status)| {
        json!({
            "Topic": plain(topic),
            "Rt": status.consume_rt,
            "OkTps": status.consume_ok_tps,
            "FailedTps": status.consume_failed_tps,
            "FailedCountPerHour": status.consume_failed_msgs,
        })
    });
    let stacks = threads(&info.stacks).into_iter();
    let stacks =
        stacks.map(|(name, track)| json!({ "Thread": name, "TrackList": { "Track": track } }));
    let stacks: Vec<Value> = stacks.collect();
    json!({
        "ClientId": client.id,
        "Connection": client.address.to_string(),
        "ConsumeModel": model(Some(member)),
        "ConsumeType": match consumer.map(|consumer| consumer.mode) {
            Some(ConsumeMode::Pull) => "CONSUME_ACTIVELY",
            Some(ConsumeMode::Push) | None => "CONSUME_PASSIVELY",
        },
        "Language": client.language,
        "Version": client.version,
        "LastTimeStamp": member.last_seen.ms(),
        "StartTimeStamp": number("PROP_CONSUMER_START_TIMESTAMP").unwrap_or(0),
        "ThreadCount": number("PROP_THREADPOOL_CORE_SIZE").unwrap_or(0),
        "SubscriptionSet": { "SubscriptionData": subscriptions.collect::<Vec<Value>>() },
        "RunningDataList": { "ConsumerRunningDataDo": data.collect::<Vec<Value>>() },
        "Jstack": { "ThreadTrackDo": stacks },
    })
}
