//! From when to when messages are, and how far a group has come in them (code 303).

use base::{QueueOffset, Timestamp};
use wire::remoting::{
    Command,
    body::{ConsumeTimeSpans, QueueTimeSpan},
    header::QueryConsumeTimeSpanRequest,
};

use crate::remoting::{
    connection::{Connection, TopicIn},
    reply::{Answer, Reply},
    route::queue_names,
    topic::not_found,
};

/// Code 303.
pub(super) fn query(connection: &Connection, request: &Command) -> Answer {
    let header: QueryConsumeTimeSpanRequest<'_> = request.header()?;
    let names = connection.topic_and_group(header.topic, header.group)?;
    let (instance, name) = (names.instance, names.topic);
    let Some(topic) = instance.topic(&name) else {
        return Err(not_found(&TopicIn {
            instance,
            topic: name,
        }));
    };
    let shard = connection.shard(instance.id())?;
    let now = connection.front.clock.now();
    let mut spans = Vec::new();
    for (message_queue, queue) in queue_names(&instance, &topic, header.topic)
        .into_iter()
        .zip(topic.queues())
    {
        let range = shard.queue_range(&name, queue)?;
        let at = |offset: u64| shard.store_time(&name, queue, QueueOffset::new(offset));
        let before = |offset: u64| offset.checked_sub(1).map_or(Ok(None), at);
        let committed = shard.committed_offset(&names.group, &name, queue)?;
        let committed = committed.map_or(0, QueueOffset::get);
        let none = -1;
        let min_timestamp = at(range.min.get())?.map_or(none, Timestamp::ms);
        let next = at(committed)?;
        spans.push(QueueTimeSpan {
            consume_timestamp: before(committed)?.map_or(min_timestamp, Timestamp::ms),
            delay_ms: next.map_or(0, |stored| {
                i64::try_from(now.since(stored).as_millis()).unwrap_or(i64::MAX)
            }),
            max_timestamp: before(range.max.get())?.map_or(none, Timestamp::ms),
            message_queue,
            min_timestamp,
        });
    }
    Ok(Reply::body(request, &ConsumeTimeSpans { spans }))
}
