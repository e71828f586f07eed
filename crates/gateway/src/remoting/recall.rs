//! Recall (code 370): a producer takes a timed message back.

use wire::{
    message::properties,
    remoting::{
        Command, ResponseCode,
        header::{RecallMessageRequest, RecallMessageResponse},
    },
};

use super::{
    connection::Connection,
    reply::{Answer, Refusal, Reply},
};
use crate::recall_handle::RecallHandle;

pub(super) async fn handle(connection: &Connection, request: &Command) -> Answer {
    let header: RecallMessageRequest<'_> = request.header()?;
    let named = connection.topic(header.topic)?;
    let illegal = |remark: String| Refusal::new(ResponseCode::IllegalOperation, remark);
    let message = RecallHandle::message(header.recall_handle, header.topic)
        .map_err(|error| illegal(error.to_string()))?;
    let shard = connection
        .front
        .router
        .shard_of(named.instance.id(), message)
        .map_err(|error| illegal(error.to_string()))?;
    let recalled = shard.recall(&named.topic, message).await?;
    let message_id = recalled.property(properties::UNIQUE_KEY);
    Ok(Reply::header(
        request,
        &RecallMessageResponse {
            message_id: message_id.unwrap_or(header.recall_handle),
        },
    ))
}
