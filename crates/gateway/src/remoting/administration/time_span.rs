//! From when to when messages are, and how far a group has come in them (code 303).

use base::Timestamp;
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
    let none = -1;
    let spans = queue_names(&instance, &topic, header.topic)
        .into_iter()
        .zip(shard.time_spans(&names.group, &name)?)
        .map(|(message_queue, span)| {
            let min_timestamp = span.first.map_or(none, Timestamp::ms);
            QueueTimeSpan {
                consume_timestamp: span.consumed.map_or(min_timestamp, Timestamp::ms),
                delay_ms: span.next.map_or(0, |stored| {
                    i64::try_from(now.since(stored).as_millis()).unwrap_or(i64::MAX)
                }),
                max_timestamp: span.last.map_or(none, Timestamp::ms),
                message_queue,
                min_timestamp,
            }
        });
    let spans = spans.collect();
    Ok(Reply::body(request, &ConsumeTimeSpans { spans }))
}
