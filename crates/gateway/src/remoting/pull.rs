//! Pull (codes 11, 361): read a queue from an offset, waiting for messages if the client allows.

use std::time::Duration;

use base::{QueueId, QueueOffset, limits};
use broker::{Filter, FilterError, PullOutcome, PullRequest, Pulled, ShardHandle, Subscription};
use wire::remoting::{
    Command, ResponseCode,
    header::{PullMessageRequest, PullMessageResponse, pull_sys_flag},
};

use super::{
    connection::{Connection, TopicAndGroup},
    reply::{Answer, Refusal, Reply, Shown, push_message},
};
use crate::front::DrainPhase;

/// The type of expressions over properties.
const SQL: &str = "SQL92";

pub(super) async fn handle(connection: &Connection, request: &Command, may_wait: bool) -> Answer {
    let header: PullMessageRequest<'_> = request.header()?;
    let names = connection.topic_and_group(header.topic, header.consumer_group)?;
    require_group(&names).await?;
    let queue = queue_id(header.queue_id)?;
    let shard = connection.shard(names.instance.id())?;
    let filter = match filter(connection, &header, &names) {
        Ok(filter) => filter,
        Err(refusal) => {
            // As on Apache, that the queue is not there is said first: a client may yet make it.
            shard.queue_range(&names.topic, queue)?;
            return Err(refusal);
        }
    };
    let has = |flag: i32| header.sys_flag & flag != 0;

    // A client that was told by the command pushed to it goes on there already.
    let reset = shard
        .take_reset(&names.group, &names.topic, queue)
        .filter(|reset| reset.get().cast_signed() != header.queue_offset);
    if let Ok(offset) = u64::try_from(header.commit_offset)
        && has(pull_sys_flag::COMMIT_OFFSET)
    {
        let TopicAndGroup { topic, group, .. } = &names;
        if let Err(error) = shard
            .commit_offset(group, topic, queue, QueueOffset::new(offset))
            .await
        {
            // The pull itself is not worse for it, and the client commits again later.
            tracing::debug!(%group, %topic, %queue, %error, "offset sent with a pull not committed");
        }
    }

    let moved_to = |next: Option<QueueOffset>| {
        let range = shard.queue_range(&names.topic, queue)?;
        let moved = Pulled {
            outcome: PullOutcome::OffsetMoved,
            messages: Vec::new(),
            next: next.unwrap_or(range.min),
            min: range.min,
            max: range.max,
        };
        answer(request, &header, &names, &moved)
    };
    if reset.is_some() {
        return moved_to(reset);
    }
    let Ok(offset) = u64::try_from(header.queue_offset) else {
        return moved_to(None);
    };
    let wait = if may_wait && has(pull_sys_flag::SUSPEND) {
        let wait_ms = u64::try_from(header.suspend_timeout_ms).unwrap_or(0);
        Duration::from_millis(wait_ms.min(limits::LONG_POLL_MS_MAX))
    } else {
        Duration::ZERO
    };
    let count = |asked: i32, max: usize| usize::try_from(asked).unwrap_or(0).clamp(1, max);
    let pull = PullRequest {
        group: Some(names.group.clone()),
        topic: names.topic.clone(),
        queue,
        offset: QueueOffset::new(offset),
        max_messages: count(header.max_message_count, limits::PULL_MESSAGES_MAX),
        max_bytes: header
            .max_message_bytes
            .map_or(limits::PULL_BYTES_MAX, |bytes| {
                count(bytes, limits::PULL_BYTES_MAX)
            }),
        filter,
        wait,
    };
    let pulled = pull_or_drain(connection, &shard, pull).await?;
    answer(request, &header, &names, &pulled)
}

/// Makes the group where that is allowed; else it must be there.
pub(super) async fn require_group(names: &TopicAndGroup) -> Result<(), Refusal> {
    let group = names.instance.group_or_create(&names.group).await?;
    group.map(drop).ok_or_else(|| names.no_group())
}

/// A long poll that ends at once, and empty, when the process is to stop.
async fn pull_or_drain(
    connection: &Connection,
    shard: &ShardHandle,
    mut pull: PullRequest,
) -> Result<Pulled, Refusal> {
    if pull.wait.is_zero() || connection.front.drain.is_draining() {
        pull.wait = Duration::ZERO;
        return Ok(shard.pull(pull).await?);
    }
    let at_once = PullRequest {
        wait: Duration::ZERO,
        ..pull.clone()
    };
    tokio::select! {
        biased;
        pulled = shard.pull(pull) => return Ok(pulled?),
        () = connection.front.drain.reached(DrainPhase::Draining) => {}
    }
    Ok(shard.pull(at_once).await?)
}

fn answer(
    request: &Command,
    header: &PullMessageRequest<'_>,
    names: &TopicAndGroup,
    pulled: &Pulled,
) -> Answer {
    let code = match pulled.outcome {
        PullOutcome::Found => ResponseCode::Success,
        PullOutcome::NoNewMessage => ResponseCode::PullNotFound,
        PullOutcome::NoMatch => ResponseCode::PullRetryImmediately,
        PullOutcome::OffsetMoved => ResponseCode::PullOffsetMoved,
    };
    let response = PullMessageResponse {
        suggested_broker_id: 0,
        next_begin_offset: pulled.next.get().cast_signed(),
        min_offset: pulled.min.get().cast_signed(),
        max_offset: pulled.max.get().cast_signed(),
        offset_delta: None,
        topic_sys_flag: Some(0),
        group_sys_flag: Some(0),
        forbidden_type: None,
    };
    let shown = Shown {
        instance: names.instance.id(),
        topic: (header.topic != names.topic.as_str()).then_some(header.topic),
    };
    let mut messages = Vec::with_capacity(pulled.messages.len());
    for message in &pulled.messages {
        push_message(&mut messages, message, &shown)?;
    }
    Ok(Reply {
        command: request.response(code).with_header(&response),
        messages,
    })
}

/// The filter of a pull: the one it carries, else the newest that the group's heartbeats told, as
/// on Apache whoever told it.
fn filter(
    connection: &Connection,
    header: &PullMessageRequest<'_>,
    names: &TopicAndGroup,
) -> Result<Filter, Refusal> {
    let TopicAndGroup { topic, group, .. } = names;
    if header.sys_flag & pull_sys_flag::SUBSCRIPTION != 0 {
        let expression = header.subscription.unwrap_or("*");
        let parsed = parse_again(connection, names, expression, header.expression_type);
        return parsed.map_err(|error| Refusal::of(ResponseCode::SubscriptionParseFailed, &error));
    }
    let told = names.instance.subscription(group, topic);
    match told {
        None if let Some(error) = connection.told_refused(group, topic) => Err(Refusal::new(
            ResponseCode::FilterDataNotExist,
            format!("filter that group `{group}` has told for topic `{topic}`: {error}"),
        )),
        None => Err(Refusal::new(
            ResponseCode::SubscriptionNotExist,
            format!("group `{group}` has told no subscription to topic `{topic}`"),
        )),
        Some(Subscription { version, .. }) if version < header.subscription_version => {
            Err(Refusal::new(
                ResponseCode::SubscriptionNotLatest,
                format!(
                    "group `{group}` has told subscription {version} to topic `{topic}`, the pull \
                 expects {}",
                    header.subscription_version
                ),
            ))
        }
        Some(Subscription { filter, .. }) => Ok(filter),
    }
}

/// Reads a filter, unless it is the expression that the last heartbeat said, which has been read.
pub(super) fn parse_again(
    connection: &Connection,
    names: &TopicAndGroup,
    expression: &str,
    kind: Option<&str>,
) -> Result<Filter, FilterError> {
    if kind == Some(SQL)
        && let Some(Filter::Sql(sql)) = connection.told_filter(&names.group, &names.topic)
        && sql.expression() == expression
    {
        return Ok(Filter::Sql(sql));
    }
    parse(expression, kind)
}

/// Reads a filter as a client writes it; without a type it is by tags.
pub(super) fn parse(expression: &str, kind: Option<&str>) -> Result<Filter, FilterError> {
    match kind {
        None | Some("" | "TAG") => Filter::tags(expression),
        Some(SQL) => Filter::sql(expression),
        Some(kind) => Err(FilterError::Unsupported {
            kind: kind.chars().take(64).collect(),
        }),
    }
}

/// A queue number off the wire.
pub(super) fn queue_id(queue: i32) -> Result<QueueId, Refusal> {
    u32::try_from(queue).map(QueueId::new).map_err(|_| {
        let remark = format!("queue is {queue}, expected 0 or more");
        Refusal::new(ResponseCode::InvalidParameter, remark)
    })
}
