//! EndTransaction: a producer commits or rolls back a half message.

use broker::{EndTransactionRequest, Resolution};
use wire::grpc_v1::{
    self as v1,
    end_transaction_request::{Source, TransactionResolution},
};

use super::ok;
use crate::grpc::{
    call::Call, names, shards, status::Refusal, traced, transaction_id::half_message,
};

pub(super) async fn end_transaction(
    call: &Call,
    request: v1::EndTransactionRequest,
) -> Result<v1::EndTransactionResponse, Refusal> {
    let (instance, group) = names::group(call, request.group.as_ref())?;
    let half = half_message(&request.transaction_id)?;
    let shard = shards::shard_of_half(call, &instance, half)?;
    let ended = EndTransactionRequest {
        group: Some(group),
        topic: None,
        half,
        resolution: match request.resolution() {
            TransactionResolution::Commit => Resolution::Commit,
            TransactionResolution::Rollback => Resolution::Rollback,
        },
        from_check: request.source() == Source::ServerCheck,
    };
    let message = shard.end_transaction(ended.clone()).await?;
    traced::transaction_ended(call, &instance, &message, &ended);
    Ok(v1::EndTransactionResponse { common: ok() })
}
