//! EndTransaction: a producer commits or rolls back a half message, or says that it does not know.

use broker::{EndTransactionRequest, Resolution};
use wire::grpc_v2::{self as v2, Code, TransactionResolution, TransactionSource};

use super::{
    call::Call,
    names,
    status::{self, Refusal},
    transaction_id::half_message,
};

pub(super) async fn end_transaction(
    call: &Call,
    request: v2::EndTransactionRequest,
) -> Result<v2::EndTransactionResponse, Refusal> {
    let (instance, topic) = names::topic(call, request.topic.as_ref())?;
    let half = half_message(&request.transaction_id)?;
    let shard = call
        .front
        .router
        .shard_of(instance.id(), half)
        .map_err(|error| Refusal::new(Code::InvalidTransactionId, error.to_string()))?;
    shard
        .end_transaction(EndTransactionRequest {
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
        })
        .await?;
    Ok(v2::EndTransactionResponse {
        status: Some(status::ok()),
    })
}
