//! Questions that are passed on to a client (codes 223, 307, 309).

use std::time::Duration;

use base::{PhysicalOffset, limits};
use broker::{ClientAnswer, ClientQuestion, Instance};
use bytes::Bytes;
use wire::{
    message::MessageId,
    remoting::{
        Command, ResponseCode,
        body::{Body, ClientStatus, ConsumerStatuses},
        header::{
            ConsumeMessageDirectlyRequest, GetConsumerRunningInfoRequest, GetConsumerStatusRequest,
        },
    },
};

use crate::remoting::{
    connection::{Connection, GroupIn},
    reply::{Answer, Refusal, Reply},
};

/// How long a client may take to answer; Apache's broker waits as long.
const PATIENCE: Duration = Duration::from_secs(10);

/// Code 307.
pub(super) async fn running_info(connection: &Connection, request: &Command) -> Answer {
    let header: GetConsumerRunningInfoRequest<'_> = request.header()?;
    let GroupIn { instance, group } = connection.group(header.consumer_group)?;
    let question = ClientQuestion::RunningInfo {
        group,
        with_stacks: header.with_stack,
    };
    let body = ask(&instance, header.client_id, question).await?;
    Ok(request
        .response(ResponseCode::Success)
        .with_body(body)
        .into())
}

/// Code 309. The message is one of this server, named by the id that the server gave it.
pub(super) async fn consume_directly(connection: &Connection, request: &Command) -> Answer {
    let header: ConsumeMessageDirectlyRequest<'_> = request.header()?;
    let GroupIn { instance, group } = connection.group(header.consumer_group)?;
    let invalid = |remark: String| Refusal::new(ResponseCode::InvalidParameter, remark);
    let Some(id) = header
        .message_id
        .and_then(|id| id.parse::<MessageId>().ok())
    else {
        let id: String = header
            .message_id
            .unwrap_or_default()
            .chars()
            .take(64)
            .collect();
        let remark = format!("field `msgId` is `{id}`, expected the id that the server gave");
        return Err(invalid(remark));
    };
    let offset = PhysicalOffset::from_wire(id.physical_offset);
    let shard = connection
        .front
        .router
        .shard_of(instance.id(), offset)
        .map_err(|error| Refusal::of(ResponseCode::QueryNotFound, &error))?;
    let message = shard.message_at(offset.position()).await?;
    let topic = match header.topic.filter(|topic| !topic.is_empty()) {
        Some(topic) => connection.topic_of(topic, header.consumer_group)?.topic,
        None => base::TopicName::new(message.topic())
            .map_err(|error| Refusal::of(ResponseCode::SystemError, &error))?,
    };
    let members = instance.consumers(&group);
    let client = match header.client_id.filter(|id| !id.is_empty()) {
        Some(client) => client.to_owned(),
        None => match members.first() {
            Some(member) => member.client.id.clone(),
            None => {
                let remark = format!("group `{group}` has no consumers");
                return Err(Refusal::new(ResponseCode::ConsumerNotOnline, remark));
            }
        },
    };
    let question = ClientQuestion::ConsumeDirectly {
        group,
        topic,
        message,
    };
    let body = ask(&instance, &client, question).await?;
    Ok(request
        .response(ResponseCode::Success)
        .with_body(body)
        .into())
}

/// Code 223: of one client, or of all of the group.
pub(super) async fn status(connection: &Connection, request: &Command) -> Answer {
    let header: GetConsumerStatusRequest<'_> = request.header()?;
    let names = connection.topic_and_group(header.topic, header.group)?;
    let members = names.instance.consumers(&names.group);
    let asked = header.client_id.filter(|id| !id.is_empty());
    let clients = members
        .into_iter()
        .map(|member| member.client.id)
        .filter(|id| asked.is_none_or(|asked| asked == id));
    let mut statuses = ConsumerStatuses::default();
    for client in clients.take(limits::STATUS_CLIENTS_MAX) {
        let question = ClientQuestion::ConsumerStatus {
            group: names.group.clone(),
            topic: names.topic.clone(),
        };
        let body = ask(&names.instance, &client, question).await?;
        let status = ClientStatus::decode(&body)
            .map_err(|error| Refusal::of(ResponseCode::SystemError, &error))?;
        statuses.0.insert(client, status.queues);
    }
    if statuses.0.is_empty() {
        let remark = format!("group `{}` has no such consumer", names.group);
        return Err(Refusal::new(ResponseCode::SystemError, remark));
    }
    Ok(Reply::body(request, &statuses))
}

async fn ask(
    instance: &Instance,
    client: &str,
    question: ClientQuestion,
) -> Result<Bytes, Refusal> {
    match instance.ask(client, question, PATIENCE).await? {
        ClientAnswer::Done(body) => Ok(body),
        ClientAnswer::Refused(remark) => Err(Refusal::new(ResponseCode::SystemError, remark)),
    }
}
