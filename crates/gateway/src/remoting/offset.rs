//! Offsets (codes 14, 15, 29 to 32): how far a group has come, where a queue starts and ends.

use base::{QueueOffset, Timestamp};
use broker::{OffsetError, QueueRange, TimeBoundary};
use wire::remoting::{
    Command, ResponseCode,
    header::{
        GetMaxOffsetRequest, OffsetResponse, QueryConsumerOffsetRequest, QueueRequest,
        SearchOffsetRequest, TimestampResponse, UpdateConsumerOffsetRequest,
    },
};

use super::{
    connection::Connection,
    pull::queue_id,
    reply::{Answer, Refusal, Reply},
};

/// Code 14. A group that never committed starts at 0 as long as the queue has lost nothing:
/// otherwise clients would start at its end and skip what was sent before they came. (Apache says
/// so only while the first message is in its page cache; here the age of a message is no reason to
/// skip it.)
///
/// In a queue that never had a message nothing is found, as on Apache: clients then begin where
/// they are set to. One that is set to begin at the end asks for it with its next request (30), and
/// what is sent between the two is before its beginning, on Apache as well.
pub(super) fn query(connection: &Connection, request: &Command) -> Answer {
    let header: QueryConsumerOffsetRequest<'_> = request.header()?;
    let names = connection.topic_and_group(header.topic, header.consumer_group)?;
    let queue = queue_id(header.queue_id)?;
    let shard = connection.shard(names.instance.id())?;
    match shard.committed_offset(&names.group, &names.topic, queue) {
        Ok(Some(offset)) => return Ok(offset_answer(request, offset)),
        // As in Apache, a queue that is not there is one where nothing was committed.
        Ok(None) | Err(OffsetError::TopicNotFound(_) | OffsetError::QueueNotFound(_)) => {}
        Err(error) => return Err(error.into()),
    }
    let zero_allowed = header.set_zero_if_not_found != Some(false);
    match shard.queue_range(&names.topic, queue) {
        Ok(QueueRange { min, max }) if zero_allowed && min.get() == 0 && max > min => {
            Ok(offset_answer(request, QueueOffset::new(0)))
        }
        _ => Err(Refusal::new(
            ResponseCode::QueryNotFound,
            format!(
                "group `{}` has committed no offset in queue {queue} of topic `{}`",
                names.group, names.topic
            ),
        )),
    }
}

/// Code 15. As on Apache, of a group that is there: heartbeats and pulls make it, commits do not.
pub(super) async fn commit(connection: &Connection, request: &Command) -> Answer {
    let header: UpdateConsumerOffsetRequest<'_> = request.header()?;
    let names = connection.topic_and_group(header.topic, header.consumer_group)?;
    names.require_group()?;
    let queue = queue_id(header.queue_id)?;
    let Ok(offset) = u64::try_from(header.commit_offset) else {
        let remark = format!("offset is {}, expected 0 or more", header.commit_offset);
        return Err(Refusal::new(ResponseCode::InvalidParameter, remark));
    };
    let shard = connection.shard(names.instance.id())?;
    if shard.has_reset(&names.group, &names.topic, queue) {
        // The client has yet to learn of the reset, by its next pull: this is of what was before.
        return Ok(Reply::success(request));
    }
    shard
        .commit_offset(&names.group, &names.topic, queue, QueueOffset::new(offset))
        .await?;
    Ok(Reply::success(request))
}

/// Code 29.
pub(super) fn by_time(connection: &Connection, request: &Command) -> Answer {
    let header: SearchOffsetRequest<'_> = request.header()?;
    let named = connection.topic(header.topic)?;
    let queue = queue_id(header.queue_id)?;
    let boundary = match header.boundary {
        Some(text) if text.eq_ignore_ascii_case("upper") => TimeBoundary::Upper,
        _ => TimeBoundary::Lower,
    };
    let time = Timestamp::from_ms(header.timestamp);
    let shard = connection.shard(named.instance.id())?;
    let offset = shard.offset_by_time(&named.topic, queue, time, boundary)?;
    Ok(offset_answer(request, offset))
}

/// Code 30.
pub(super) fn max(connection: &Connection, request: &Command) -> Answer {
    let header: GetMaxOffsetRequest<'_> = request.header()?;
    let range = range(connection, header.topic, header.queue_id)?;
    Ok(offset_answer(request, range.max))
}

/// Code 31.
pub(super) fn min(connection: &Connection, request: &Command) -> Answer {
    let header: QueueRequest<'_> = request.header()?;
    let range = range(connection, header.topic, header.queue_id)?;
    Ok(offset_answer(request, range.min))
}

/// Code 32. A queue without messages has -1, as in Apache.
pub(super) fn earliest_store_time(connection: &Connection, request: &Command) -> Answer {
    let header: QueueRequest<'_> = request.header()?;
    let named = connection.topic(header.topic)?;
    let queue = queue_id(header.queue_id)?;
    let shard = connection.shard(named.instance.id())?;
    let time = shard.earliest_store_time(&named.topic, queue)?;
    let timestamp = time.map_or(-1, Timestamp::ms);
    Ok(Reply::header(request, &TimestampResponse { timestamp }))
}

fn range(connection: &Connection, topic: &str, queue: i32) -> Result<QueueRange, Refusal> {
    let named = connection.topic(topic)?;
    let queue = queue_id(queue)?;
    Ok(connection
        .shard(named.instance.id())?
        .queue_range(&named.topic, queue)?)
}

fn offset_answer(request: &Command, offset: QueueOffset) -> Reply {
    Reply::header(
        request,
        &OffsetResponse {
            offset: offset.get().cast_signed(),
        },
    )
}
