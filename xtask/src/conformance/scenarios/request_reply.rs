//! A request is answered by a consumer; one that nobody answers fails in time.

use anyhow::{Result, bail};

use super::Round;
use crate::conformance::event::{ConsumerStart, Outgoing};
use crate::conformance::inbox::Inbox;

/// Enough for a consumer that has just started.
const REPLY_TIMEOUT_MS: u64 = 20_000;

/// Nobody answers: how long the caller waits.
const SILENCE_TIMEOUT_MS: u64 = 2_000;

const REQUESTS: u32 = 3;

pub(super) fn run(round: &mut Round<'_>) -> Result<()> {
    let silent = format!("{}-silent", round.topic);
    round.target.create_topic(&silent, "normal")?;
    // They are two processes: a reply finds its way by the server alone.
    let mut answering = round.start_driver()?;
    answering.start_producer(&round.topic)?;
    answering.start_consumer(&ConsumerStart {
        replies: true,
        ..round.consumer()
    })?;
    let mut asking = round.start_driver()?;
    asking.start_producer(&round.topic)?;
    let mut inbox = Inbox::default();
    for number in 0..REQUESTS {
        let message = Outgoing::keyed(&round.topic, &format!("request-{number}"));
        asking.request(&message, REPLY_TIMEOUT_MS)?.all()?;
        let key = message.key();
        inbox.wait(&mut asking, "the reply", |inbox| {
            inbox.replies.iter().any(|(replied, _)| replied == key)
        })?;
        let body = inbox.replies.pop().map(|(_, body)| body);
        if body.as_ref() != Some(&message.body_base64) {
            bail!("the reply to `{key}` has body {body:?}");
        }
    }
    let message = Outgoing::keyed(&silent, "unanswered");
    if asking
        .request(&message, SILENCE_TIMEOUT_MS)?
        .failed
        .is_empty()
    {
        bail!("a request that nobody answers succeeded");
    }
    answering.stop_consumer()?;
    answering.exit()?;
    asking.stop_producer()?;
    asking.exit()
}
