//! Pop (code 200050): take messages of a group for a time.
//!
//! The answer names one number for all its messages, `reviveQid`, that goes into their receipts and
//! that only the server reads: here the nonce that the core draws for each receive. With topic,
//! group, queue and offset it names the delivery, so nothing is written into the messages. Failed
//! ones come again where they are (ADR 6): no retry topic has a part in this.

use std::{collections::BTreeMap, time::Duration};

use base::{QueueId, limits};
use broker::{Filter, ReceiveRequest, Received, Receiver, Start};
use wire::remoting::{
    Command, ResponseCode,
    header::{PopMessageRequest, PopMessageResponse},
    pop_receipt,
};

use super::{
    connection::{Connection, TopicAndGroup},
    pull::{self, queue_id},
    reply::{Answer, Refusal, Reply, Shown, push_delivery},
};
use crate::front::DrainPhase;

/// Most messages of one pop: Apache refuses more as well.
const MESSAGES_MAX: i32 = 32;

pub(super) async fn handle(connection: &Connection, request: &Command, may_wait: bool) -> Answer {
    let header: PopMessageRequest<'_> = request.header()?;
    let names = connection.topic_and_group(header.topic, header.consumer_group)?;
    let (start, queue) = (start(header.init_mode)?, any_queue_id(header.queue_id)?);
    let invisible = duration_ms("invisible duration", header.invisible_ms)?;
    let max_messages = message_count(header.max_message_count)?;
    let shard = connection.shard(names.instance.id())?;
    let filter = match filter(connection, &header, &names) {
        Ok(filter) => filter,
        Err(refusal) => {
            // As on Apache, that the topic is not there is said first.
            shard.queue_range(&names.topic, queue.unwrap_or(QueueId::new(0)))?;
            return Err(refusal);
        }
    };
    let received = shard.receive(ReceiveRequest {
        group: names.group.clone(),
        topic: names.topic.clone(),
        queue,
        max_messages,
        invisible,
        filter,
        start,
        in_order: header.order,
        wait: wait(header.poll_ms, may_wait),
        renew_while_alive: None,
    });
    let received = tokio::select! {
        biased;
        received = received => received?,
        () = connection.front.drain.reached(DrainPhase::Draining) => Vec::new(),
    };
    let left = if received.is_empty() {
        0
    } else {
        shard.unseen_count(&Receiver {
            group: names.group.clone(),
            topic: names.topic.clone(),
            queue,
            start,
        })?
    };
    answer(connection, request, &header, &names, &received, left)
}

fn answer(
    connection: &Connection,
    request: &Command,
    header: &PopMessageRequest<'_>,
    names: &TopicAndGroup,
    received: &[Received],
    left: u64,
) -> Answer {
    let mut messages = Vec::with_capacity(received.len());
    let mut offsets: BTreeMap<u32, Vec<i64>> = BTreeMap::new();
    let shown = Shown {
        instance: names.instance.id(),
        topic: (header.topic != names.topic.as_str()).then_some(header.topic),
    };
    for received in received {
        push_delivery(&mut messages, &received.message, received.attempt, &shown)?;
        let offset = received.message.queue_offset();
        let queue = offsets.entry(received.message.queue_id()).or_default();
        queue.push(offset);
    }
    let (starts, all) = pop_receipt::offset_info(header.topic, &offsets);
    let (nonce, pop_timestamp) = match received.first() {
        Some(first) => (
            first.handle.nonce,
            first.invisible_until.ms() - header.invisible_ms,
        ),
        None => (0, connection.front.clock.now().ms()),
    };
    let response = PopMessageResponse {
        pop_timestamp,
        invisible_ms: header.invisible_ms,
        revive_queue_id: nonce.cast_signed(),
        rest_count: left.cast_signed(),
        start_offset_info: (!starts.is_empty()).then_some(&starts),
        message_offset_info: (!all.is_empty()).then_some(&all),
        // The messages themselves say how often they have failed.
        order_count_info: None,
    };
    let code = if received.is_empty() {
        ResponseCode::PollingTimeout
    } else {
        ResponseCode::Success
    };
    Ok(Reply {
        command: request.response(code).with_header(&response),
        messages,
    })
}

fn filter(
    connection: &Connection,
    header: &PopMessageRequest<'_>,
    names: &TopicAndGroup,
) -> Result<Filter, Refusal> {
    let expression = header.expression.unwrap_or_default();
    if expression.is_empty() {
        return Ok(Filter::All);
    }
    pull::parse_again(connection, names, expression, header.expression_type)
        .map_err(|error| Refusal::of(ResponseCode::SubscriptionParseFailed, &error))
}

/// Source: `ConsumeInitMode` of RocketMQ 5.5.0.
fn start(init_mode: i32) -> Result<Start, Refusal> {
    match init_mode {
        0 => Ok(Start::Oldest),
        1 => Ok(Start::Newest),
        _ => Err(invalid("init mode", init_mode, "0 (oldest) or 1 (newest)")),
    }
}

/// One queue, or any for -1.
pub(super) fn any_queue_id(queue: i32) -> Result<Option<QueueId>, Refusal> {
    match queue {
        -1 => Ok(None),
        _ => queue_id(queue).map(Some),
    }
}

pub(super) fn message_count(asked: i32) -> Result<usize, Refusal> {
    usize::try_from(asked)
        .ok()
        .filter(|_| (1..=MESSAGES_MAX).contains(&asked))
        .ok_or_else(|| invalid("number of messages", asked, "1 to 32"))
}

/// How long to wait: not at all where too many wait already.
pub(super) fn wait(poll_ms: i64, may_wait: bool) -> Duration {
    let asked_ms = u64::try_from(poll_ms).unwrap_or(0);
    let max_ms = if may_wait {
        limits::LONG_POLL_MS_MAX
    } else {
        0
    };
    Duration::from_millis(asked_ms.min(max_ms))
}

pub(super) fn duration_ms(what: &str, ms: i64) -> Result<Duration, Refusal> {
    let ms = u64::try_from(ms).map_err(|_| invalid(what, ms, "0 ms or more"))?;
    Ok(Duration::from_millis(ms))
}

pub(super) fn invalid(what: &str, found: impl std::fmt::Display, expected: &str) -> Refusal {
    let remark = format!("{what} is {found}, expected {expected}");
    Refusal::new(ResponseCode::InvalidParameter, remark)
}
