//! Change of the invisible duration (code 200053): pop consumers delay what failed with it.

use std::time::Duration;

use base::limits;
use wire::remoting::{
    Command,
    header::{ChangeInvisibleDurationRequest, ChangeInvisibleDurationResponse},
};

use super::{
    ack::{nonce, offset},
    connection::{Connection, TopicAndGroup},
    pop::duration_ms,
    pull::queue_id,
    reply::{Answer, Reply},
};

pub(super) async fn handle(connection: &Connection, request: &Command) -> Answer {
    let header: ChangeInvisibleDurationRequest<'_> = request.header()?;
    let names = connection.topic_and_group(header.topic, header.consumer_group)?;
    let (queue, offset) = (queue_id(header.queue_id)?, offset(header.offset)?);
    let nonce = nonce(header.extra_info)?;
    // Zero gives the message back at once.
    let asked = duration_ms("invisible duration", header.invisible_ms)?;
    let duration = asked.max(Duration::from_millis(limits::INVISIBLE_CHANGE_MS_MIN));
    let shard = connection.shard(names.instance.id())?;
    let TopicAndGroup { topic, group, .. } = &names;
    let handle = shard.receipt_handle(group, topic, queue, offset, nonce)?;
    let (handle, until) = shard
        .change_invisible_duration(group, topic, &handle, duration)
        .await?;
    Ok(Reply::header(
        request,
        &ChangeInvisibleDurationResponse {
            pop_timestamp: until.ms() - header.invisible_ms,
            invisible_ms: header.invisible_ms,
            revive_queue_id: handle.nonce.cast_signed(),
        },
    ))
}
