//! Receive half: a producer asks for half messages whose transactions are open.

use std::time::Duration;

use broker::ReceiveHalfRequest;
use tokio::select;
use wire::ons_http::messages_document;

use super::{
    Answer,
    call::Call,
    message::{Handout, outgoing, plain_body},
    names,
    receive::{batch_size, nothing, wait},
    status::Refusal,
};
use crate::DrainPhase;

pub(super) async fn receive_half(call: &Call<'_>) -> Result<Answer, Refusal> {
    let request = ReceiveHalfRequest {
        topic: call.topic.clone(),
        max_messages: batch_size(call)?,
        wait: wait(call)?,
    };
    let shard = names::any_shard(call)?;
    let halves = select! {
        biased;
        halves = shard.receive_half(&request) => halves?,
        () = call.front.drain.reached(DrainPhase::Draining) => Vec::new(),
    };
    if halves.is_empty() {
        return Err(nothing());
    }
    let interval = call.instance.settings().transaction_check_interval_ms;
    let deliveries = halves.iter().map(|half| {
        let handout = Handout {
            receipt_handle: half.handle.to_string(),
            attempt: half.handle.check,
            next: half.handle.until,
            interval: Duration::from_millis(interval),
        };
        outgoing(&half.message, &plain_body(&half.message), handout)
    });
    let deliveries: Vec<_> = deliveries.collect();
    Ok(Answer::Messages(messages_document(&deliveries)))
}
