//! Send (codes 10, 310, 320): one message, or a batch for one queue.

use std::fmt::Write as _;

use base::{QueueId, Timestamp, limits};
use broker::{Message, QueueChoice, SendRequest, Sent};
use bytes::Bytes;
use wire::{
    message::{self, MessageId, properties},
    remoting::{
        Command, RequestCode, ResponseCode,
        header::{SendMessageRequest, SendMessageRequestV2, SendMessageResponse},
    },
};

use super::{
    connection::{Connection, TopicIn},
    reply::{Answer, Refusal, Reply},
    route::{ADMINISTRATION_QUEUES, TEMPLATE_TOPIC, is_broker},
};
use crate::{
    front::{CLUSTER_NAME, DEFAULT_REGION, broker_name},
    recall_handle::RecallHandle,
};

/// Longest message id, and the comma between two.
const MESSAGE_ID_BYTES: usize = 57;

pub(super) async fn handle(connection: &Connection, request: &Command) -> Answer {
    let code = request.request_code();
    let header: SendMessageRequest<'_> = if code == Some(RequestCode::SendMessage) {
        request.header()?
    } else {
        request.header::<SendMessageRequestV2<'_>>()?.into()
    };
    let is_batch = code == Some(RequestCode::SendBatchMessage) || header.batch == Some(true);
    let TopicIn { instance, topic } = connection.topic_of(header.topic, header.producer_group)?;
    if instance.topic(&topic).is_none() {
        if topic.as_str() == TEMPLATE_TOPIC {
            let remark = format!("topic `{topic}` is a template and takes no messages");
            return Err(Refusal::new(ResponseCode::NoPermission, remark));
        }
        let wanted = if is_broker(&instance, topic.as_str()) {
            // There is a route of that name before there is a topic.
            ADMINISTRATION_QUEUES
        } else {
            // The client has told its queues from the template and the number that it wants itself.
            u32::try_from(header.default_topic_queue_count).unwrap_or(0)
        };
        let queues = wanted.clamp(1, instance.settings().automatic_queues.max(1));
        instance.topic_or_create(&topic, Some(queues)).await?;
    }
    let messages = if is_batch {
        batch(connection, request, &header)?
    } else {
        vec![Message {
            flag: header.flag,
            sys_flag: header.sys_flag,
            born_timestamp: Timestamp::from_ms(header.born_timestamp),
            born_host: connection.info.peer,
            reconsume_times: header.reconsume_times.unwrap_or(0),
            body: request.body.clone(),
            properties: stored_properties(connection, &header),
        }]
    };
    let metrics = &connection.front.metrics;
    let sizes = messages
        .iter()
        .map(|message| message.body.len() + message.properties.len());
    let sizes: Sizes = sizes.collect();
    let shard = connection.shard(instance.id())?;
    // All that is needed of the header once the messages are stored.
    let (told_topic, properties) = (header.topic, header.properties);
    let sent = shard
        .send(SendRequest {
            topic,
            queue: match u32::try_from(header.queue_id) {
                Ok(queue) => QueueChoice::Queue(QueueId::new(queue)),
                Err(_) => QueueChoice::Any,
            },
            messages,
            store_host: connection.store_host(),
            retries_max: header.max_reconsume_times,
        })
        .await?;
    sizes.each(|size| metrics.message_stored(size));
    let handle = match &sent[..] {
        [one] if one.due.is_some() => {
            let handle = RecallHandle {
                topic: told_topic,
                broker: &broker_name(instance.id(), one.physical_offset.shard()),
                due: one.due,
                message: one.physical_offset,
            };
            Some(handle.to_string())
        }
        _ => None,
    };
    let region = &connection.front.settings.region;
    // Clients show the id that they gave the message themselves, which Apache sends back as that of
    // the transaction.
    let unique_key = properties
        .filter(|_| !is_batch)
        .and_then(|properties| properties::get(properties, properties::UNIQUE_KEY));
    answer(
        request,
        unique_key,
        &sent,
        (connection.store_host(), region),
        handle,
    )
}

/// The properties as they are stored: those of the client, the producer group of a half message
/// without its prefix, for a request the cluster, by which consumers find where replies go, and the
/// region where it is not the default one. Apache stores that too; it would be in every message and
/// tell nobody anything.
fn stored_properties(connection: &Connection, header: &SendMessageRequest<'_>) -> Bytes {
    let raw = header.properties.unwrap_or_default();
    let (mut group, mut wants_cluster) = (None, false);
    for (name, value) in properties::iterate(raw) {
        match name {
            properties::PRODUCER_GROUP => group = Some(value),
            properties::REPLY_TO_CLIENT => wants_cluster = true,
            _ => {}
        }
    }
    let group = group.and_then(|group| {
        let plain = connection.front.plain_name(group).plain;
        (plain != group).then(|| plain.into_owned())
    });
    let region = &connection.front.settings.region;
    let has_region = region != DEFAULT_REGION;
    if group.is_none() && !wants_cluster && !has_region {
        return Bytes::copy_from_slice(raw.as_bytes());
    }
    let mut raw = raw.to_owned();
    // Neither is empty, nor can a name hold a separator that came out of a property.
    if let Some(group) = group {
        let _ = properties::set(&mut raw, properties::PRODUCER_GROUP, &group);
    }
    if wants_cluster {
        let _ = properties::set(&mut raw, properties::CLUSTER, CLUSTER_NAME);
    }
    if has_region {
        let _ = properties::set(&mut raw, properties::MSG_REGION, region);
        let _ = properties::set(&mut raw, properties::TRACE_ON, "true");
    }
    raw.into()
}

/// Sizes of the messages of a send, without a list for the usual one.
enum Sizes {
    One(usize),
    Many(Vec<usize>),
}

impl FromIterator<usize> for Sizes {
    fn from_iter<I: IntoIterator<Item = usize>>(sizes: I) -> Self {
        let mut sizes = sizes.into_iter();
        match (sizes.next(), sizes.next()) {
            (Some(first), Some(second)) => {
                Self::Many([first, second].into_iter().chain(sizes).collect())
            }
            (first, _) => Self::One(first.unwrap_or(0)),
        }
    }
}

impl Sizes {
    fn each(&self, mut count: impl FnMut(usize)) {
        match self {
            Self::One(size) => count(*size),
            Self::Many(sizes) => sizes.iter().copied().for_each(count),
        }
    }
}

fn batch(
    connection: &Connection,
    request: &Command,
    header: &SendMessageRequest<'_>,
) -> Result<Vec<Message>, Refusal> {
    let batch = message::batch::decode(request.body.clone(), limits::SEND_BATCH_MESSAGES_MAX)
        .map_err(|error| Refusal::of(ResponseCode::MessageIllegal, &error))?;
    let message = |one: message::batch::BatchMessage| Message {
        flag: one.flag,
        sys_flag: header.sys_flag,
        born_timestamp: Timestamp::from_ms(header.born_timestamp),
        born_host: connection.info.peer,
        reconsume_times: header.reconsume_times.unwrap_or(0),
        properties: Bytes::copy_from_slice(one.properties().as_bytes()),
        body: one.body,
    };
    Ok(batch.into_iter().map(message).collect())
}

fn answer(
    request: &Command,
    unique_key: Option<&str>,
    sent: &[Sent],
    (store_host, region): (std::net::SocketAddr, &str),
    recall_handle: Option<String>,
) -> Answer {
    let Some(first) = sent.first() else {
        return Err(Refusal::new(
            ResponseCode::SystemError,
            "send stored no message",
        ));
    };
    let mut message_id = String::with_capacity(sent.len() * MESSAGE_ID_BYTES);
    for (index, sent) in sent.iter().enumerate() {
        let separator = if index > 0 { "," } else { "" };
        let id = MessageId {
            store_host,
            physical_offset: sent.physical_offset.wire(),
        };
        write!(message_id, "{separator}{id}").expect("writing to a string cannot fail");
    }
    Ok(Reply::header(
        request,
        &SendMessageResponse {
            message_id: &message_id,
            queue_id: first.queue.get().cast_signed(),
            queue_offset: first.queue_offset.get().cast_signed(),
            transaction_id: unique_key,
            batch_unique_id: None,
            recall_handle: recall_handle.as_deref(),
            region: Some(region),
            trace_on: Some(true),
        },
    ))
}
