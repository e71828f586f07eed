//! Send back (code 36): a consumer gives a message back, to get it again later.

use base::PhysicalOffset;
use broker::SendBackRequest;
use wire::remoting::{Command, ResponseCode, header::ConsumerSendMessageBackRequest};

use super::{
    connection::Connection,
    reply::{Answer, Refusal, Reply},
};

pub(super) async fn handle(connection: &Connection, request: &Command) -> Answer {
    let header: ConsumerSendMessageBackRequest<'_> = request.header()?;
    let named = connection.group(header.group)?;
    let message = PhysicalOffset::from_wire(header.offset);
    let shard = connection
        .front
        .router
        .shard_of(named.instance.id(), message)
        .map_err(|error| Refusal::of(ResponseCode::SystemError, &error))?;
    shard
        .send_back(SendBackRequest {
            group: named.group,
            message,
            delay_level: header.delay_level,
            retries_max: header.max_reconsume_times,
        })
        .await?;
    Ok(Reply::success(request))
}
