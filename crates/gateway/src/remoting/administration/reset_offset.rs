//! Reset of offsets (code 222).

use base::{QueueOffset, Timestamp};
use broker::ResetTo;
use wire::remoting::{
    Command, ResponseCode,
    body::{QueueTable, ResetOffsetBody},
    header::ResetOffsetRequest,
};

use crate::remoting::{
    connection::Connection,
    pull::queue_id,
    reply::{Answer, Refusal, Reply},
    route::queue_names,
};

/// Code 222. A negative queue is all queues, a negative time the end.
pub(super) async fn reset(connection: &Connection, request: &Command) -> Answer {
    let header: ResetOffsetRequest<'_> = request.header()?;
    let names = connection.topic_and_group(header.topic, header.group)?;
    let queue = match header.queue_id.filter(|queue| *queue >= 0) {
        Some(queue) => Some(queue_id(queue)?),
        None => None,
    };
    let to = match header.offset.filter(|_| queue.is_some()) {
        None | Some(-1) if header.timestamp < 0 => ResetTo::End,
        None | Some(-1) => ResetTo::Time(Timestamp::from_ms(header.timestamp)),
        Some(offset) => match u64::try_from(offset) {
            Ok(offset) => ResetTo::Offset(QueueOffset::new(offset)),
            Err(_) => {
                let remark = format!("field `offset` is {offset}, expected 0 or more, or -1");
                return Err(Refusal::new(ResponseCode::InvalidParameter, remark));
            }
        },
    };
    let instance = &names.instance;
    // As on Apache: the topic is looked for first, and a reset makes no group.
    if instance.topic(&names.topic).is_some() && instance.group(&names.group).is_none() {
        let remark = format!("group `{}` not found in `{}`", names.group, instance.id());
        return Err(Refusal::new(ResponseCode::GroupNotExist, remark));
    }
    let shard = connection.shard(instance.id())?;
    let offsets = shard
        .reset_offset(&names.group, &names.topic, queue, to)
        .await?;
    instance.tell_offsets_reset(&names.group, &names.topic, &offsets);
    let Some(topic) = instance.topic(&names.topic) else {
        return Ok(Reply::success(request));
    };
    let table = queue_names(instance, &topic, header.topic)
        .into_iter()
        .filter_map(|name| {
            let is_it = |queue: base::QueueId| queue.get().cast_signed() == name.queue_id;
            let (_, offset) = offsets.iter().find(|(queue, _)| is_it(*queue))?;
            Some((name, offset.get().cast_signed()))
        });
    let offset_table = QueueTable(table.collect());
    Ok(Reply::body(request, &ResetOffsetBody { offset_table }))
}
