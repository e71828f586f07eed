//! PullMessage: read a partition from an offset that the client keeps (broadcasting).

use std::sync::Arc;

use base::QueueOffset;
use broker::{PullOutcome, PullRequest};
use tokio::select;
use wire::grpc_v1 as v1;

use super::{broker_of, filter, message::shown, ok, refused as refused_status};
use crate::{
    DrainPhase,
    grpc::{
        call::Call,
        long_poll::{self, batch_size},
        names,
        offset::{asked, outside, queue_id, told},
        shards,
        status::Refusal,
        unread::{Counted, Unread},
    },
};

pub(super) async fn pull(
    call: &Call,
    unread: &Arc<Unread>,
    request: v1::PullMessageRequest,
) -> Result<(v1::PullMessageResponse, Option<Arc<Counted>>), Refusal> {
    let partition = request.partition.unwrap_or_default();
    let (instance, topic, group) =
        names::topic_and_group(call, partition.topic.as_ref(), request.group.as_ref())?;
    if instance.group_or_create(&group).await?.is_none() {
        return Err(names::no_group(&instance, &group));
    }
    let shard = shards::named_shard(call, &instance, broker_of(&partition))?;
    let from = asked(request.offset)?;
    let wait = super::receive::wait(call, request.await_time)?;
    let filter = filter(request.filter_expression.as_ref())?;
    if call.front.drain.is_draining() {
        return Err(long_poll::ending());
    }
    unread.admit()?;
    let pulling = shard.pull(PullRequest {
        group: Some(group),
        topic,
        queue: queue_id(partition.id)?,
        offset: QueueOffset::new(from),
        max_messages: batch_size(request.batch_size)?,
        max_bytes: usize::MAX,
        filter,
        wait,
    });
    let pulled = select! {
        biased;
        pulled = pulling => pulled?,
        () = call.front.grpc_clients.gone(&instance, &request.client_id) => {
            return Err(long_poll::ending());
        }
        () = call.front.drain.reached(DrainPhase::Draining) => return Err(long_poll::ending()),
    };
    let common = match pulled.outcome {
        PullOutcome::Found | PullOutcome::NoNewMessage | PullOutcome::NoMatch => ok(),
        PullOutcome::OffsetMoved => refused_status(&outside(from, pulled.min, pulled.max)),
    };
    let (told_topic, digest) = (partition.topic.unwrap_or_default(), call.digest_form());
    let bytes = pulled.messages.iter().map(|it| it.bytes().len()).sum();
    let counted = unread.count(bytes)?;
    let messages = pulled.messages.iter();
    let messages = messages.map(|message| shown(message, &told_topic, digest));
    let answer = v1::PullMessageResponse {
        common,
        min_offset: told(pulled.min),
        next_offset: told(pulled.next),
        max_offset: told(pulled.max),
        messages: messages.collect(),
    };
    Ok((answer, Some(counted)))
}

/// An answer without messages.
///
/// Compat: whatever the status says, the SDK (2.0.5) goes on at `next_offset`: without it, at the
/// start of the partition.
pub(super) fn refused(refusal: &Refusal, from: i64) -> v1::PullMessageResponse {
    v1::PullMessageResponse {
        common: refused_status(refusal),
        next_offset: from,
        ..Default::default()
    }
}
