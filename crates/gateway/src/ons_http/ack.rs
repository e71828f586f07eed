//! Ack: messages are done for their group. Handles that are not good are told one by one.

use broker::ReceiptHandle;
use wire::ons_http::{HandleError, parse_receipt_handles};

use super::{
    Answer,
    call::Call,
    names,
    status::{Code, Refusal},
};

pub(super) async fn ack(call: &Call<'_>, body: &[u8]) -> Result<Answer, Refusal> {
    let mut errors = Vec::new();
    for handle in handles(body)? {
        if let Err(refusal) = ack_one(call, &handle).await {
            errors.push(handle_error(refusal, handle)?);
        }
    }
    Ok(all_done_or(errors))
}

async fn ack_one(call: &Call<'_>, handle: &str) -> Result<(), Refusal> {
    let handle: ReceiptHandle = handle.parse()?;
    let shard = names::shard(call, handle.shard)
        .map_err(|refusal| Refusal::new(Code::ReceiptHandleError, refusal.text()))?;
    Ok(shard.ack(call.group(), &call.topic, &handle).await?)
}

/// The handles in a body.
pub(super) fn handles(body: &[u8]) -> Result<Vec<String>, Refusal> {
    parse_receipt_handles(body).map_err(Refusal::of_handles)
}

/// What is said of one handle; what is wrong with the whole request stays an error of its own.
pub(super) fn handle_error(refusal: Refusal, handle: String) -> Result<HandleError, Refusal> {
    match refusal.code() {
        Code::ReceiptHandleError => Ok(HandleError {
            code: Code::ReceiptHandleError.name(),
            message: refusal.text().to_owned(),
            receipt_handle: handle,
        }),
        _ => Err(refusal),
    }
}

/// The answer for handles of which these were not good.
pub(super) fn all_done_or(errors: Vec<HandleError>) -> Answer {
    match errors.is_empty() {
        true => Answer::Done,
        false => Answer::HandleErrors(errors),
    }
}
