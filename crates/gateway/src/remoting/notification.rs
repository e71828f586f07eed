//! Notification (code 200054) and polling info (200055): whether a pop would find a message, and
//! how many pops wait for one.

use broker::{Receiver, Start};
use wire::remoting::{
    Command,
    header::{NotificationRequest, NotificationResponse, PollingInfoRequest, PollingInfoResponse},
};

use super::{
    connection::Connection,
    pop::{any_queue_id, wait},
    pull::require_group,
    reply::{Answer, Reply},
};
use crate::front::DrainPhase;

/// Code 200054. Compat: the filter is left aside, as on Apache.
pub(super) async fn handle(connection: &Connection, request: &Command, may_wait: bool) -> Answer {
    let header: NotificationRequest<'_> = request.header()?;
    let names = connection.topic_and_group(header.topic, header.consumer_group)?;
    require_group(&names).await?;
    let shard = connection.shard(names.instance.id())?;
    let receiver = Receiver {
        group: names.group,
        topic: names.topic,
        queue: any_queue_id(header.queue_id)?,
        start: Start::Oldest,
    };
    let waiting = shard.wait_for_message(&receiver, wait(header.poll_ms, may_wait));
    let has_message = tokio::select! {
        biased;
        found = waiting => found?,
        () = connection.front.drain.reached(DrainPhase::Draining) => false,
    };
    Ok(Reply::header(
        request,
        &NotificationResponse {
            has_message,
            polling_full: !has_message && !may_wait,
        },
    ))
}

/// Code 200055.
pub(super) async fn polling_info(connection: &Connection, request: &Command) -> Answer {
    let header: PollingInfoRequest<'_> = request.header()?;
    let names = connection.topic_and_group(header.topic, header.consumer_group)?;
    require_group(&names).await?;
    let shard = connection.shard(names.instance.id())?;
    let count = shard.receives_under_way(&Receiver {
        group: names.group,
        topic: names.topic,
        queue: any_queue_id(header.queue_id)?,
        start: Start::Oldest,
    })?;
    Ok(Reply::header(
        request,
        &PollingInfoResponse {
            polling_count: i32::try_from(count).unwrap_or(i32::MAX),
        },
    ))
}
