//! OnsDLQMessageGetById, OnsDLQMessagePageQueryByGroupId and OnsDLQMessageResendById: the dead
//! letters of a group, which are shown for three days.

use base::TopicName;
use serde_json::json;

use super::{Fields, call::Call, message, message_pages::Pages, status::Refusal};

/// OnsDLQMessageGetById.
pub(super) async fn by_id(call: &Call) -> Result<Fields, Refusal> {
    let group = call.group()?;
    let id = call.required("MsgId")?;
    let found = call.shard()?.dead_letter(group.name(), id).await?;
    Ok(message::data(message::described(call, &found)))
}

/// OnsDLQMessagePageQueryByGroupId.
pub(super) async fn page(call: &Call) -> Result<Fields, Refusal> {
    let group = call.group()?;
    let pages = Pages::of(call)?;
    let request = pages.request(TopicName::dead_letter_of(group.name()));
    let browsed = call.shard()?.dead_letters(group.name(), request).await?;
    Ok(pages.answer(call, &browsed))
}

/// OnsDLQMessageResendById.
pub(super) async fn resend(call: &Call) -> Result<Fields, Refusal> {
    let group = call.group()?;
    let id = call.required("MsgId")?;
    let id = call.shard()?.resend(group.name(), id).await?;
    Ok(message::data(json!({ "MsgId": [id] })))
}
