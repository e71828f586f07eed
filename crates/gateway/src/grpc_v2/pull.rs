//! PullMessage: read a queue from an offset that the client keeps, as a stream of status, messages
//! and the offset at which to go on.

use std::{pin::Pin, sync::Arc};

use base::QueueOffset;
use broker::{PullOutcome, PullRequest};
use futures::{Stream, stream};
use tokio::select;
use tonic::Status;
use wire::grpc_v2::{self as v2, Code, pull_message_response::Content};

use super::{
    call::Call,
    message::shown,
    offset,
    settings::filter,
    status::{self, Refusal},
    unread::{Counted, Unread},
};
use crate::{
    DrainPhase,
    grpc::{
        long_poll::{batch_size, draining, wait},
        offset::{asked, outside},
    },
};

/// What the client reads.
pub(crate) type Pulled =
    Pin<Box<dyn Stream<Item = Result<v2::PullMessageResponse, Status>> + Send>>;

pub(super) async fn pull(
    call: &Call,
    unread: &Arc<Unread>,
    request: v2::PullMessageRequest,
) -> Result<(Pulled, Arc<Counted>), Refusal> {
    let queue = request.message_queue.unwrap_or_default();
    let place = offset::place_of_group(call, &queue, request.group.as_ref()).await?;
    let from = asked(request.offset)?;
    let max_messages = batch_size(request.batch_size)?;
    let wait = wait(request.long_polling_timeout.as_ref(), call.timeout())?;
    let filter = filter(request.filter_expression.as_ref())?;
    if call.front.drain.is_draining() {
        return Err(draining());
    }
    unread.admit()?;
    let pulling = place.shard.pull(PullRequest {
        group: Some(place.group),
        topic: place.topic,
        queue: place.queue,
        offset: QueueOffset::new(from),
        max_messages,
        max_bytes: usize::MAX,
        filter,
        wait,
    });
    let pulled = select! {
        biased;
        pulled = pulling => pulled?,
        () = call.front.drain.reached(DrainPhase::Draining) => return Err(draining()),
    };
    let status = match pulled.outcome {
        PullOutcome::Found => status::ok(),
        PullOutcome::NoNewMessage | PullOutcome::NoMatch => {
            Refusal::new(Code::MessageNotFound, "no new message").status()
        }
        PullOutcome::OffsetMoved => outside(from, pulled.min, pulled.max).status(),
    };
    let next = i64::try_from(pulled.next.get()).unwrap_or(i64::MAX);
    let (topic, digest) = (queue.topic.unwrap_or_default(), call.digest_form());
    let bytes = pulled.messages.iter().map(|it| it.bytes().len()).sum();
    let counted = unread.count(bytes)?;
    let messages = pulled.messages.into_iter();
    let messages = messages.map(move |message| Content::Message(shown(&message, &topic, digest)));
    let contents = [Content::Status(status)].into_iter().chain(messages);
    Ok((answer(contents.chain([Content::NextOffset(next)])), counted))
}

/// An answer without messages.
pub(super) fn refused(refusal: &Refusal) -> Pulled {
    answer([Content::Status(refusal.status())].into_iter())
}

fn answer(contents: impl Iterator<Item = Content> + Send + 'static) -> Pulled {
    let responses = contents.map(|content| {
        Ok(v2::PullMessageResponse {
            content: Some(content),
        })
    });
    Box::pin(stream::iter(responses))
}
