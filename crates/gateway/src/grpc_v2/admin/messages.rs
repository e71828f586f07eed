//! QueryMessage, VerifyMessage and AdminSendMessage.

use std::{
    sync::atomic::{AtomicU64, Ordering},
    time::Duration,
};

use base::{QueueId, QueueOffset, Timestamp, TopicName, limits};
use broker::{ClientQuestion, Filter, PullRequest, QueryRequest, ShardHandle, TimeBoundary};
use wire::{
    grpc_v2::{self as v2, Code, list_message_request::SearchKey},
    message::StoredMessage,
    remoting::body::{Body, ConsumeDirectlyResult},
};

use super::{
    super::{message::shown, names, send, shards, time::to_timestamp},
    Call, Refusal,
    clients::ask,
    lite_topics,
};

/// Messages of one answer where a request names no number.
const MESSAGES_DEFAULT: i32 = 32;

/// When a message was stored.
struct Span {
    from: Timestamp,
    to: Timestamp,
}

pub(super) async fn query_message(
    call: Call,
    request: v2::ListMessageRequest,
) -> Result<v2::ListMessageResponse, Refusal> {
    let (instance, topic) = names::topic(&call, request.topic.as_ref())?;
    names::existing_topic(&instance, &topic)?;
    let shard = shards::any_shard(&call, &instance)?;
    let span = Span {
        from: time(request.begin_timestamp, i64::MIN)?,
        to: time(request.end_timestamp, i64::MAX)?,
    };
    let max = messages_max(&request)?;
    let (messages, scroll_id) = match &request.search_key {
        Some(SearchKey::MessageId(id)) => {
            let found = shard.find(&topic, id).await?;
            let stored = Timestamp::from_ms(found.store_timestamp());
            let is_asked = (span.from..=span.to).contains(&stored);
            (Vec::from_iter(is_asked.then_some(found)), String::new())
        }
        Some(SearchKey::MessageKey(key)) => (by_key(&shard, &topic, key, max, &span).await?, {
            String::new()
        }),
        Some(SearchKey::Subscription(_)) => {
            let text = "search by subscription is not supported by this release";
            return Err(Refusal::new(Code::Unsupported, text));
        }
        Some(SearchKey::LiteTopic(name)) => {
            let name = lite_topics::name(Some(name))?;
            let queue = name.map(|name| lite_topics::queue(&shard, &topic, &name));
            let queues = queue.transpose()?.into_iter();
            scan(&shard, &topic, queues, &request, max, &span).await?
        }
        None => {
            let queues = names::existing_topic(&instance, &topic)?.queues();
            scan(&shard, &topic, queues, &request, max, &span).await?
        }
    };
    let told = request.topic.unwrap_or_default();
    let messages = messages.iter();
    Ok(v2::ListMessageResponse {
        status: None,
        messages: messages
            .map(|message| shown(message, &told, call.digest_form()))
            .collect(),
        scroll_id,
    })
}

fn time(asked: Option<prost_types::Timestamp>, default: i64) -> Result<Timestamp, Refusal> {
    let Some(asked) = asked else {
        return Ok(Timestamp::from_ms(default));
    };
    to_timestamp(&asked).ok_or_else(|| {
        let text = format!("time of {} s is out of range", asked.seconds);
        Refusal::new(Code::BadRequest, text)
    })
}

fn messages_max(request: &v2::ListMessageRequest) -> Result<usize, Refusal> {
    if request.page_num.is_some_and(|page| page > 1) {
        let text = "pages are not numbered here: go on with `scroll_id`";
        return Err(Refusal::new(Code::Unsupported, text));
    }
    let asked = match (request.max_message_nums, request.page_size) {
        (0, None | Some(0)) => MESSAGES_DEFAULT,
        (0, Some(asked)) | (asked, _) => asked,
    };
    let max = limits::QUERY_MESSAGES_MAX;
    let count = usize::try_from(asked).ok();
    let count = count.filter(|count| (1..=max).contains(count));
    count.ok_or_else(|| {
        let text = format!("{asked} messages are asked for, expected 1 to {max}");
        Refusal::new(Code::BadRequest, text)
    })
}

async fn by_key(
    shard: &ShardHandle,
    topic: &TopicName,
    key: &str,
    max_messages: usize,
    span: &Span,
) -> Result<Vec<StoredMessage>, Refusal> {
    let request = QueryRequest {
        topic: topic.clone(),
        key: key.to_owned(),
        max_messages,
        from: span.from,
        to: span.to,
    };
    Ok(shard.query(request).await?)
}

/// All messages of the time in some queues, queue by queue, and where to go on: `queue:offset`,
/// empty at the end.
async fn scan(
    shard: &ShardHandle,
    topic: &TopicName,
    queues: impl Iterator<Item = QueueId>,
    request: &v2::ListMessageRequest,
    max: usize,
    span: &Span,
) -> Result<(Vec<StoredMessage>, String), Refusal> {
    let scroll = request.scroll_id.as_deref().filter(|id| !id.is_empty());
    let mut going_on = scroll.map(scrolled).transpose()?;
    let only = request.queue_id.map(u32::try_from).transpose();
    let only = only.map_err(|_| Refusal::new(Code::BadRequest, "queue is negative"))?;
    let queues = queues.filter(|queue| only.is_none_or(|only| only == queue.get()));
    let begun = going_on.map(|(queue, _)| queue);
    let mut found = Vec::new();
    for queue in queues.filter(|queue| begun.is_none_or(|begun| *queue >= begun)) {
        let mut offset = match going_on.take() {
            Some((begun, offset)) if begun == queue => offset,
            _ => shard.offset_by_time(topic, queue, span.from, TimeBoundary::Lower)?,
        };
        loop {
            if found.len() >= max {
                return Ok((found, format!("{queue}:{offset}")));
            }
            let pulled = shard
                .pull(PullRequest {
                    group: None,
                    topic: topic.clone(),
                    queue,
                    offset,
                    max_messages: max - found.len(),
                    max_bytes: usize::MAX,
                    filter: Filter::All,
                    wait: Duration::ZERO,
                })
                .await?;
            let is_asked =
                |message: &StoredMessage| Timestamp::from_ms(message.store_timestamp()) <= span.to;
            let count = pulled.messages.len();
            found.extend(pulled.messages.into_iter().take_while(is_asked));
            if count == 0 || pulled.next >= pulled.max {
                break;
            }
            offset = pulled.next;
        }
    }
    Ok((found, String::new()))
}

fn scrolled(id: &str) -> Result<(QueueId, QueueOffset), Refusal> {
    let parts = id.split_once(':');
    let read = |(queue, offset): (&str, &str)| {
        let queue = QueueId::new(queue.parse().ok()?);
        Some((queue, QueueOffset::new(offset.parse().ok()?)))
    };
    parts.and_then(read).ok_or_else(|| {
        let start: String = id.chars().take(64).collect();
        let text = format!("scroll id {start:?} is malformed, expected one of an answer");
        Refusal::new(Code::BadRequest, text)
    })
}

pub(super) async fn verify_message(
    call: Call,
    request: v2::VerifyMessageRequest,
) -> Result<v2::VerifyMessageResponse, Refusal> {
    let (instance, topic, group) =
        names::topic_and_group(&call, request.topic.as_ref(), request.group.as_ref())?;
    names::existing_topic(&instance, &topic)?;
    names::existing_group(&instance, &group)?;
    let shard = shards::any_shard(&call, &instance)?;
    let message = shard.find(&topic, &request.message_id).await?;
    let question = ClientQuestion::ConsumeDirectly {
        group: group.clone(),
        topic,
        message,
    };
    let answer = ask(&instance, &group, &request.client_id, question).await?;
    let result = ConsumeDirectlyResult::decode(&answer).map_err(|error| {
        let text = format!("answer of client `{}`: {error}", request.client_id);
        Refusal::new(Code::InternalServerError, text)
    })?;
    if result.consume_result != "CR_SUCCESS" {
        let text = format!("{}: {}", result.consume_result, result.remark);
        return Err(Refusal::new(Code::FailedToConsumeMessage, text));
    }
    Ok(v2::VerifyMessageResponse { status: None })
}

pub(super) async fn admin_send_message(
    call: Call,
    request: v2::AdminSendMessageRequest,
) -> Result<v2::AdminSendMessageResponse, Refusal> {
    let mut system = request.system_properties.unwrap_or_default();
    if request.tag.is_some() {
        system.tag = request.tag;
    }
    system.keys.extend(request.key);
    if system.message_id.trim().is_empty() {
        system.message_id = message_id(call.now());
    }
    let message = v2::Message {
        topic: request.topic,
        user_properties: request.user_properties,
        system_properties: Some(system),
        body: request.body,
    };
    let messages = vec![message];
    let sent = send::send(&call, v2::SendMessageRequest { messages }).await?;
    let entry = sent.entries.into_iter().next();
    Ok(v2::AdminSendMessageResponse {
        status: None,
        message_id: entry.map(|entry| entry.message_id).unwrap_or_default(),
    })
}

/// An id that no other message has.
fn message_id(now: Timestamp) -> String {
    static NEXT: AtomicU64 = AtomicU64::new(0);
    let number = NEXT.fetch_add(1, Ordering::Relaxed);
    format!("{:016X}{number:016X}", now.ms())
}
