//! The index of a queue, entry by entry (code 321).

use base::QueueOffset;
use wire::remoting::{
    Command, ResponseCode,
    body::{ConsumeQueueEntries, ConsumeQueueEntry},
    header::QueryConsumeQueueRequest,
};

use crate::{
    client_answer::subscription_data,
    remoting::{
        connection::Connection,
        pull::queue_id,
        reply::{Answer, Refusal, Reply},
    },
};

/// Code 321.
pub(super) fn query(connection: &Connection, request: &Command) -> Answer {
    let header: QueryConsumeQueueRequest<'_> = request.header()?;
    let named = match header.consumer_group {
        Some(group) => connection.topic_of(header.topic, group)?,
        None => connection.topic(header.topic)?,
    };
    let queue = queue_id(header.queue_id)?;
    let invalid = |field: &str, value: i64| {
        let remark = format!("field `{field}` is {value}, expected 0 or more");
        Refusal::new(ResponseCode::InvalidParameter, remark)
    };
    let index = u64::try_from(header.index).map_err(|_| invalid("index", header.index))?;
    let count = usize::try_from(header.count).map_err(|_| invalid("count", header.count.into()))?;
    let shard = connection.shard(named.instance.id())?;
    let range = shard.queue_range(&named.topic, queue)?;
    let mut answer = ConsumeQueueEntries {
        min_queue_index: range.min.get().cast_signed(),
        max_queue_index: range.max.get().cast_signed(),
        ..ConsumeQueueEntries::default()
    };
    if let Some(name) = header.consumer_group.filter(|name| !name.is_empty()) {
        let group = connection.group(name)?.group;
        let members = named.instance.consumers(&group);
        let subscription = members
            .into_iter()
            .filter_map(|member| member.consumer)
            .flat_map(|consumer| consumer.subscriptions)
            .find(|subscription| subscription.topic == named.topic);
        match subscription {
            Some(subscription) => {
                let data = subscription_data(&subscription, header.topic.to_owned());
                answer.subscription_data = Some(data);
                answer.filter_data = Some("null".to_owned());
            }
            None => {
                let said = format!("{name}@{} is not online!", header.topic);
                answer.filter_data = Some(said);
            }
        }
    }
    let entries = shard.queue_entries(&named.topic, queue, QueueOffset::new(index), count)?;
    answer.queue_data = entries.map(|entries| {
        let entry = |entry: broker::QueueEntry| ConsumeQueueEntry {
            eval: false,
            physical_offset: entry.physical_offset.wire(),
            bytes: i32::try_from(entry.bytes).unwrap_or(i32::MAX),
            tags_code: entry.tag_hash.into(),
        };
        entries.into_iter().map(entry).collect()
    });
    Ok(Reply::body(request, &answer))
}
