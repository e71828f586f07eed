//! Peek (code 200052): read what a pop would give, and leave it there.

use std::time::Duration;

use base::{QueueId, limits};
use broker::{Filter, PullRequest, Receiver, Start};
use wire::remoting::{
    Command, ResponseCode,
    header::{PeekMessageRequest, PopMessageResponse},
};

use super::{
    connection::Connection,
    pop::{any_queue_id, message_count},
    pull::require_group,
    reply::{Answer, Reply, Shown, push_message},
};

pub(super) async fn handle(connection: &Connection, request: &Command) -> Answer {
    let header: PeekMessageRequest<'_> = request.header()?;
    let names = connection.topic_and_group(header.topic, header.consumer_group)?;
    require_group(&names).await?;
    let max_messages = message_count(header.max_message_count)?;
    let shard = connection.shard(names.instance.id())?;
    let receiver = Receiver {
        group: names.group.clone(),
        topic: names.topic.clone(),
        queue: any_queue_id(header.queue_id)?,
        start: Start::Oldest,
    };
    let rest_count = shard.unseen_count(&receiver)?.cast_signed();
    let shown = Shown {
        instance: names.instance.id(),
        topic: (header.topic != names.topic.as_str()).then_some(header.topic),
    };
    let count = names.instance.topic(&names.topic);
    let queues = match receiver.queue {
        Some(queue) => queue.get()..queue.get().saturating_add(1),
        None => 0..count.map_or(0, |topic| topic.spec.queues),
    };
    let (mut messages, mut found, mut bytes) = (Vec::new(), 0, 0);
    for queue in queues.map(QueueId::new) {
        if found >= max_messages || bytes >= limits::PULL_BYTES_MAX {
            break;
        }
        let pulled = shard
            .pull(PullRequest {
                group: None,
                topic: names.topic.clone(),
                queue,
                offset: shard.next_unseen(&receiver, queue)?,
                max_messages: max_messages - found,
                max_bytes: limits::PULL_BYTES_MAX - bytes,
                filter: Filter::All,
                wait: Duration::ZERO,
            })
            .await?;
        for message in &pulled.messages {
            push_message(&mut messages, message, &shown)?;
            bytes += message.bytes().len();
            found += 1;
        }
    }
    let code = if found == 0 {
        ResponseCode::PullNotFound
    } else {
        ResponseCode::Success
    };
    let response = PopMessageResponse {
        pop_timestamp: connection.front.clock.now().ms(),
        invisible_ms: 0,
        revive_queue_id: 0,
        rest_count,
        start_offset_info: None,
        message_offset_info: None,
        order_count_info: None,
    };
    Ok(Reply {
        command: request.response(code).with_header(&response),
        messages,
    })
}
