//! End transaction: a producer says how the transactions of half messages ended.

use broker::{HalfHandle, Resolution};

use super::{
    Answer,
    ack::{all_done_or, handle_error, handles},
    call::Call,
    names,
    status::{Code, Refusal},
};

pub(super) async fn end_transaction(
    call: &Call<'_>,
    body: &[u8],
    resolution: Resolution,
) -> Result<Answer, Refusal> {
    let mut errors = Vec::new();
    for handle in handles(body)? {
        if let Err(refusal) = end_one(call, &handle, resolution).await {
            errors.push(handle_error(refusal, handle)?);
        }
    }
    Ok(all_done_or(errors))
}

async fn end_one(call: &Call<'_>, handle: &str, resolution: Resolution) -> Result<(), Refusal> {
    let handle: HalfHandle = handle.parse()?;
    let shard = names::shard(call, handle.half.shard())
        .map_err(|refusal| Refusal::new(Code::ReceiptHandleError, refusal.text()))?;
    Ok(shard.end_half(&call.topic, handle, resolution).await?)
}
