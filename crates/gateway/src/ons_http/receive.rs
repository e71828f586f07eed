//! Receive: messages of a group, in any order or in that of their queues.

use std::time::Duration;

use base::limits;
use broker::{Filter, ReceiveRequest, Received, ShardHandle, Start};
use tokio::select;
use wire::ons_http::messages_document;

use super::{
    Answer,
    call::Call,
    message::{Handout, outgoing, plain_body},
    names,
    status::{Code, Refusal},
};
use crate::DrainPhase;

/// Invisible duration of a message that is given back at once.
const GIVE_BACK: Duration = Duration::from_millis(limits::INVISIBLE_CHANGE_MS_MIN);

pub(super) async fn receive(call: &Call<'_>, in_order: bool) -> Result<Answer, Refusal> {
    let max_messages = batch_size(call)?;
    let wait = wait(call)?;
    let filter = match call.parameter("tag") {
        Some(tag) => Filter::tags(tag)?,
        None => Filter::All,
    };
    let shard = names::any_shard(call)?;
    let invisible = call.front.settings.http_invisible;
    let taking = shard.receive(ReceiveRequest {
        group: call.group().clone(),
        topic: call.topic.clone(),
        queue: None,
        max_messages,
        invisible,
        filter,
        start: Start::Oldest,
        in_order,
        wait,
        renew_while_alive: None,
    });
    let messages = select! {
        biased;
        messages = taking => messages?,
        () = call.front.drain.reached(DrainPhase::Draining) => Vec::new(),
    };
    if messages.is_empty() {
        return Err(nothing());
    }
    let (mut deliveries, mut given_back) = (Vec::with_capacity(messages.len()), Vec::new());
    let mut bytes = 0;
    for received in messages {
        let body = plain_body(&received.message);
        bytes += body.len() as u64;
        // Small as they are stored, some are large once they are inflated.
        if !given_back.is_empty()
            || (bytes > limits::INFLATED_BODY_BYTES_MAX && bytes > body.len() as u64)
        {
            given_back.push(received);
            continue;
        }
        let handout = Handout {
            receipt_handle: received.handle.to_string(),
            attempt: received.attempt,
            next: received.invisible_until,
            interval: invisible,
        };
        deliveries.push(outgoing(&received.message, &body, handout));
    }
    give_back(call, &shard, given_back).await;
    Ok(Answer::Messages(messages_document(&deliveries)))
}

/// What is said where there is nothing to be handed out.
pub(super) fn nothing() -> Refusal {
    Refusal::new(Code::MessageNotExist, "Message not exist.")
}

/// How many messages are asked for.
pub(super) fn batch_size(call: &Call<'_>) -> Result<usize, Refusal> {
    let asked = call.number("numOfMessages", 1, limits::ONS_HTTP_MESSAGES_MAX as u64)?;
    Ok(asked.unwrap_or(1) as usize)
}

/// How long to wait for a first message.
pub(super) fn wait(call: &Call<'_>) -> Result<Duration, Refusal> {
    let asked = call.number("waitseconds", 0, limits::ONS_HTTP_WAIT_MS_MAX / 1_000)?;
    Ok(Duration::from_secs(asked.unwrap_or(0)))
}

async fn give_back(call: &Call<'_>, shard: &ShardHandle, messages: Vec<Received>) {
    for received in messages {
        // What cannot be given back comes back when its invisible time ends.
        let _ = shard
            .change_invisible_duration(call.group(), &call.topic, &received.handle, GIVE_BACK)
            .await;
    }
}
