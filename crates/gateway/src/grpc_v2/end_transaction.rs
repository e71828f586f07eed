//! EndTransaction: a producer commits or rolls back a half message, or says that it does not know.

use broker::{EndTransactionRequest, Resolution};
use wire::grpc_v2::{self as v2, TransactionResolution, TransactionSource};

use super::{
    call::Call,
    names, shards,
    status::{self, Refusal},
    transaction_id::half_message,
};
use crate::grpc::traced;

pub(super) async fn end_transaction(
    call: &Call,
    request: v2::EndTransactionRequest,
) -> Result<v2::EndTransactionResponse, Refusal> {
    let (instance, topic) = names::topic(call, request.topic.as_ref())?;
    let half = half_message(&request.transaction_id)?;
    let shard = shards::shard_of_half(call, &instance, half)?;
    let ended = EndTransactionRequest {
        group: None,
        topic: Some(topic),
        half,
        resolution: match request.resolution() {
            TransactionResolution::Commit => Resolution::Commit,
            TransactionResolution::Rollback => Resolution::Rollback,
            // As with Apache's proxy: the producer is asked again later.
            TransactionResolution::Unspecified => Resolution::Unknown,
        },
        from_check: request.source() == TransactionSource::SourceServerCheck,
    };
    let message = shard.end_transaction(ended.clone()).await?;
    traced::transaction_ended(call, &instance, &message, &ended);
    Ok(v2::EndTransactionResponse {
        status: Some(status::ok()),
    })
}
