//! End transaction (code 37): a producer commits or rolls back a half message.

use base::PhysicalOffset;
use broker::{EndTransactionRequest, Resolution};
use wire::{
    message::sys_flag,
    remoting::{Command, ResponseCode, header},
};

use super::{
    connection::Connection,
    reply::{Answer, Refusal, Reply},
};

pub(super) async fn handle(connection: &Connection, request: &Command) -> Answer {
    let header: header::EndTransactionRequest<'_> = request.header()?;
    let resolution = match header.commit_or_rollback {
        sys_flag::TRANSACTION_NONE => Resolution::Unknown,
        sys_flag::TRANSACTION_COMMIT => Resolution::Commit,
        sys_flag::TRANSACTION_ROLLBACK => Resolution::Rollback,
        other => {
            return Err(Refusal::new(
                ResponseCode::InvalidParameter,
                format!(
                    "`commitOrRollback` is {other}, expected 0 (unknown), 8 (commit) or 12 (rollback)"
                ),
            ));
        }
    };
    let named = connection.group(header.producer_group)?;
    let half = PhysicalOffset::from_wire(header.physical_offset);
    let shard = connection
        .front
        .router
        .shard_of(named.instance.id(), half)
        .map_err(|error| Refusal::of(ResponseCode::SystemError, &error))?;
    shard
        .end_transaction(EndTransactionRequest {
            topic: None,
            group: Some(named.group),
            half,
            resolution,
            from_check: header.from_transaction_check,
        })
        .await?;
    Ok(Reply::success(request))
}
