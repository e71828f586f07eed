//! Query (codes 12, 33): find messages by key, by the client's id, or by where they are stored.

use base::{InstanceId, PhysicalOffset, Timestamp, TopicName};
use broker::{
    QueryRequest,
    access::{Action, ActionSet},
};
use wire::remoting::{
    Command, ResponseCode,
    header::{QueryMessageRequest, QueryMessageResponse, ViewMessageRequest},
};

use super::{
    access,
    connection::Connection,
    reply::{Answer, Refusal, Reply, Shown, push_message},
};
use crate::instance::InstanceError;

/// Code 12. Keys and the ids that clients give share one index, so that `indexType` decides
/// nothing.
pub(super) async fn by_key(connection: &Connection, request: &Command) -> Answer {
    let header: QueryMessageRequest<'_> = request.header()?;
    let named = connection.topic(header.topic)?;
    let shard = connection.shard(named.instance.id())?;
    let found = shard
        .query(QueryRequest {
            topic: named.topic.clone(),
            key: header.key.to_owned(),
            max_messages: usize::try_from(header.max_count).unwrap_or(0),
            from: Timestamp::from_ms(header.begin_timestamp),
            to: Timestamp::from_ms(header.end_timestamp),
        })
        .await?;
    if found.is_empty() {
        let remark = format!(
            "no message with key `{}` in topic `{}`",
            header.key, named.topic
        );
        return Err(Refusal::new(ResponseCode::QueryNotFound, remark));
    }
    let shown = Shown {
        instance: named.instance.id(),
        topic: (header.topic != named.topic.as_str()).then_some(header.topic),
    };
    let mut messages = Vec::with_capacity(found.len());
    for message in &found {
        push_message(&mut messages, message, &shown)?;
    }
    let newest = found.first();
    let response = QueryMessageResponse {
        index_last_update_timestamp: newest.map_or(0, |message| message.store_timestamp()),
        index_last_update_offset: newest.map_or(0, |message| message.physical_offset()),
    };
    let command = request
        .response(ResponseCode::Success)
        .with_header(&response);
    Ok(Reply { command, messages })
}

/// Code 33. The offset names the shard; only 5.x clients say the topic, which may name an instance.
pub(super) async fn by_id(connection: &Connection, request: &Command) -> Answer {
    let header: ViewMessageRequest<'_> = request.header()?;
    let front = &connection.front;
    let topic = header.topic.filter(|topic| !topic.is_empty());
    let instance = match topic {
        Some(topic) => connection.topic(topic)?.instance.id().clone(),
        None => front.settings.default_instance.clone(),
    };
    let offset = PhysicalOffset::from_wire(header.offset);
    let shard = front
        .router
        .shard_of(&instance, offset)
        .map_err(|error| Refusal::of(ResponseCode::QueryNotFound, &error))?;
    let message = shard.message_at(offset.position()).await?;
    let may = ActionSet::of(&[Action::Get]);
    let found_in = front
        .router
        .instance(&instance)
        .map_err(InstanceError::from)?;
    access::check_found(connection, &found_in, request, message.topic(), may)?;
    let shown_topic = topic.filter(|topic| is_prefixed(topic, &instance, message.topic()));
    let mut messages = Vec::with_capacity(1);
    push_message(
        &mut messages,
        &message,
        &Shown {
            instance: &instance,
            topic: shown_topic,
        },
    )?;
    Ok(Reply {
        command: request.response(ResponseCode::Success),
        messages,
    })
}

/// Whether a client calls the stored topic so: the id may belong to a message of another topic.
fn is_prefixed(name: &str, instance: &InstanceId, stored: &str) -> bool {
    name != stored
        && TopicName::new(stored)
            .is_ok_and(|stored| name == crate::instance::prefixed(instance, stored.as_str()))
}
