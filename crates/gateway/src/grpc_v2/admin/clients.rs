//! ListConsumerConnection, PrintThreadStackTrace and GetConsumerRunningInfo: who is connected, and
//! what clients say when they are asked.

use std::time::Duration;

use base::GroupName;
use broker::{ClientAnswer, ClientQuestion, Instance, MessageModel, RegisteredClient};
use bytes::Bytes;
use wire::{
    grpc_v2::{self as v2, Code, FilterType},
    remoting::body::{self, Body},
};

use super::{
    super::{names, shards},
    Call, Refusal, lite_topics,
};

/// How long a client may take to answer; Apache's broker waits as long.
const PATIENCE: Duration = Duration::from_secs(10);

pub(super) async fn list_consumer_connection(
    call: Call,
    request: v2::ListConsumerConnectionRequest,
) -> Result<v2::ListConsumerConnectionResponse, Refusal> {
    let lite_topic = lite_topics::name(request.lite_topic.as_deref())?;
    let (instance, topic, group) = match &request.topic {
        Some(topic) => {
            let names = names::topic_and_group(&call, Some(topic), request.group.as_ref())?;
            (names.0, Some(names.1), names.2)
        }
        None => {
            let (instance, group) = names::group(&call, request.group.as_ref())?;
            (instance, None, group)
        }
    };
    names::existing_group(&instance, &group)?;
    let members = instance.consumers(&group);
    if let Some(lite_topic) = lite_topic {
        let topic = lite_topics::parent(&instance, &group, topic.as_ref())?;
        let shard = shards::any_shard(&call, &instance)?;
        let mut subscribers = shard.lite_subscribers(&topic, &lite_topic)?;
        subscribers.retain(|subscriber| subscriber.group == group);
        let subscribes = |member: &&RegisteredClient| {
            let id = member.client.id.as_str();
            let mut clients = subscribers.iter().map(|it| it.client.as_deref());
            clients.any(|client| client.is_none_or(|client| client == id))
        };
        let members = members.iter().filter(subscribes);
        return Ok(v2::ListConsumerConnectionResponse {
            status: None,
            client_info: members.map(client_info).collect(),
        });
    }
    let is_asked = |member: &&RegisteredClient| {
        let consumer = member.consumer.as_ref();
        let mut subscriptions = consumer.into_iter().flat_map(|it| &it.subscriptions);
        topic
            .as_ref()
            .is_none_or(|topic| subscriptions.any(|it| it.topic == *topic))
    };
    Ok(v2::ListConsumerConnectionResponse {
        status: None,
        client_info: members.iter().filter(is_asked).map(client_info).collect(),
    })
}

/// A client as tools see it.
pub(super) fn client_info(member: &RegisteredClient) -> v2::ClientInfo {
    let model = member.consumer.as_ref().map(|consumer| consumer.model);
    v2::ClientInfo {
        client_id: member.client.id.clone(),
        version: member.client.version.clone(),
        language: member.client.language.clone(),
        // Clients tell it in their ids, each in its own way.
        hostname: String::new(),
        egress_ip: member.client.address.ip().to_canonical().to_string(),
        message_model: model
            .map_or(v2::MessageModel::Unspecified, message_model)
            .into(),
    }
}

pub(super) fn message_model(model: MessageModel) -> v2::MessageModel {
    match model {
        MessageModel::Clustering => v2::MessageModel::Clustering,
        MessageModel::Broadcasting => v2::MessageModel::Broadcasting,
    }
}

/// Asks a consumer of a group, who must be one: rights are on the group.
pub(super) async fn ask(
    instance: &Instance,
    group: &GroupName,
    client: &str,
    question: ClientQuestion,
) -> Result<Bytes, Refusal> {
    let members = instance.consumers(group);
    if !members.iter().any(|member| member.client.id == client) {
        let start: String = client.chars().take(64).collect();
        let text = format!("client {start:?} is no live consumer of group `{group}`");
        return Err(Refusal::new(Code::NotFound, text));
    }
    match instance.ask(client, question, PATIENCE).await? {
        ClientAnswer::Done(body) => Ok(body),
        ClientAnswer::Refused(remark) => {
            let text = format!("client `{client}` refused: {remark}");
            Err(Refusal::new(Code::PreconditionFailed, text))
        }
    }
}

async fn running_info(
    call: &Call,
    group: Option<&v2::Resource>,
    client: &str,
    with_stacks: bool,
) -> Result<body::ConsumerRunningInfo, Refusal> {
    let (instance, group) = names::group(call, group)?;
    names::existing_group(&instance, &group)?;
    let question = ClientQuestion::RunningInfo {
        group: group.clone(),
        with_stacks,
    };
    let answer = ask(&instance, &group, client, question).await?;
    body::ConsumerRunningInfo::decode(&answer).map_err(|error| {
        let text = format!("answer of client `{client}`: {error}");
        Refusal::new(Code::InternalServerError, text)
    })
}

pub(super) async fn print_thread_stack_trace(
    call: Call,
    request: v2::PrintThreadStackTraceRequest,
) -> Result<v2::PrintThreadStackTraceResponse, Refusal> {
    let group = request.group.as_ref();
    let info = running_info(&call, group, &request.client_id, true).await?;
    Ok(v2::PrintThreadStackTraceResponse {
        status: None,
        thread_stack_trace: Some(info.stacks),
    })
}

pub(super) async fn get_consumer_running_info(
    call: Call,
    request: v2::GetConsumerRunningInfoRequest,
) -> Result<v2::GetConsumerRunningInfoResponse, Refusal> {
    let group = request.group.as_ref();
    let info = running_info(&call, group, &request.client_id, false).await?;
    Ok(v2::GetConsumerRunningInfoResponse {
        status: None,
        consumer_running_info: Some(shown(info)),
    })
}

fn shown(info: body::ConsumerRunningInfo) -> v2::ConsumerRunningInfo {
    let text = |value: serde_json::Value| match value {
        serde_json::Value::String(text) => text,
        other => other.to_string(),
    };
    let properties = info.properties.into_iter();
    let subscriptions = info.subscriptions.into_iter().map(|subscription| {
        let kind = if subscription.expression_type.eq_ignore_ascii_case("SQL92") {
            FilterType::Sql
        } else {
            FilterType::Tag
        };
        let expression = v2::FilterExpression {
            r#type: kind.into(),
            expression: subscription.expression,
        };
        (subscription.topic, expression)
    });
    let queues = info.queues.0.into_iter();
    let statuses = info.statuses.into_iter();
    v2::ConsumerRunningInfo {
        properties: properties
            .map(|(name, value)| (name, text(value)))
            .collect(),
        subscriptions: subscriptions.collect(),
        message_queue_table: queues
            .map(|(queue, info)| queue_item(queue, info))
            .collect(),
        consume_status_table: statuses
            .map(|(topic, status)| {
                let status = v2::ConsumeStatus {
                    receive_rt: status.pull_rt,
                    receive_tps: status.pull_tps,
                    consume_rt: status.consume_rt,
                    consume_ok_tps: status.consume_ok_tps,
                    consume_failed_tps: status.consume_failed_tps,
                    consume_failed_msgs: status.consume_failed_msgs,
                };
                (topic, status)
            })
            .collect(),
    }
}

fn queue_item(queue: body::MessageQueue, info: body::ProcessQueueInfo) -> v2::MessageQueueItem {
    v2::MessageQueueItem {
        message_queue: Some(v2::MessageQueue {
            topic: Some(v2::Resource {
                resource_namespace: String::new(),
                name: queue.topic,
            }),
            id: queue.queue_id,
            broker: Some(v2::Broker {
                name: queue.broker_name,
                ..Default::default()
            }),
            ..Default::default()
        }),
        process_queue_info: Some(v2::ProcessQueueInfo {
            commit_offset: info.commit_offset,
            cached_msg_min_offset: info.cached_msg_min_offset,
            cached_msg_max_offset: info.cached_msg_max_offset,
            cached_msg_count: info.cached_msg_count,
            cached_msg_size_in_mib: info.cached_msg_size_in_mib,
            transaction_msg_min_offset: info.transaction_msg_min_offset,
            transaction_msg_max_offset: info.transaction_msg_max_offset,
            transaction_msg_count: info.transaction_msg_count,
            locked: info.locked,
            try_unlock_times: info.try_unlock_times,
            last_lock_timestamp: info.last_lock_timestamp,
            dropped: info.dropped,
            last_pull_timestamp: info.last_pull_timestamp,
            last_consume_timestamp: info.last_consume_timestamp,
        }),
    }
}
