//! Send: one message, normal, timed, ordered by sharding key, or half.

use base::stdx::java_string_hash;
use broker::{QueueChoice, SendRequest};
use wire::ons_http::{parse_message, sent_document};

use super::{
    Answer,
    call::Call,
    message::{Incoming, incoming, md5_text},
    names,
    status::{Code, Refusal},
};

pub(super) async fn send(call: &Call<'_>, body: &[u8]) -> Result<Answer, Refusal> {
    let Incoming {
        message,
        id,
        sharding_key,
        is_half,
    } = incoming(call, parse_message(body)?)?;
    let shard = names::any_shard(call)?;
    let size = message.body.len() + message.properties.len();
    let digest = md5_text(&message.body);
    let properties = message.properties.clone();
    // The hash is that of the other families, so that a sharding key has one queue in all of them.
    let queue = sharding_key.map_or(QueueChoice::Any, |key| {
        QueueChoice::ByHash(java_string_hash(&key).unsigned_abs().into())
    });
    let sent = shard
        .send(SendRequest {
            topic: call.topic.clone(),
            queue,
            messages: vec![message],
            store_host: call.front.store_host(call.connection),
            retries_max: None,
        })
        .await?;
    call.front.metrics.message_stored(size);
    let Some(sent) = sent.first() else {
        let text = "a message was sent and none was stored";
        return Err(Refusal::new(Code::InternalError, text));
    };
    let handle = is_half.then(|| {
        let raw = str::from_utf8(&properties).unwrap_or_default();
        let handle = shard.half_handle(sent.physical_offset, sent.store_timestamp, raw);
        handle.to_string()
    });
    Ok(Answer::Sent(sent_document(&id, &digest, handle.as_deref())))
}
