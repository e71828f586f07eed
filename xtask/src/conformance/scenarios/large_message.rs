//! A body at the limit is taken, one byte more is refused with a reason, and the producer goes on.

use anyhow::{Result, bail};
use base64::Engine as _;
use base64::engine::general_purpose::STANDARD;

use super::Round;
use crate::conformance::event::{Outgoing, ProducerStart};
use crate::conformance::features::Feature;
use crate::conformance::inbox::Inbox;

/// The largest body that a server takes by default.
const BODY_BYTES_MAX: usize = 4 << 20;

/// What a refusal must not look like: then the application would try again.
const NOT_REASONS: [&str; 4] = ["timeout", "timed out", "closed", "connect"];

pub(super) fn run(round: &mut Round<'_>) -> Result<()> {
    let message = |topic: &str, key: &str, bytes: usize| Outgoing {
        body_base64: STANDARD.encode(vec![b'x'; bytes]),
        ..Outgoing::keyed(topic, key)
    };
    // A consumer that cannot receive it would see nothing of its queue any more.
    let receives = !round.lacks(Feature::LargestReceived);
    let beside = format!("{}-beside", round.topic);
    round.target.create_topic(&beside, "normal")?;
    let mut driver = round.start_driver()?;
    driver.start_producer_as(&ProducerStart {
        uncompressed: true,
        ..ProducerStart::of(&round.topic)
    })?;
    driver.start_consumer(&round.consumer())?;
    let topic = if receives { &round.topic } else { &beside };
    let largest = message(topic, "largest", BODY_BYTES_MAX);
    driver.send(&largest)?.all()?;
    let report = driver.send(&message(topic, "too-large", BODY_BYTES_MAX + 1))?;
    match report.failed.first() {
        None => bail!("a body of one byte over the limit was taken"),
        Some((_, error)) => {
            let lower = error.to_lowercase();
            if NOT_REASONS.iter().any(|text| lower.contains(text)) {
                bail!("a body of one byte over the limit fails without a reason: {error}");
            }
        }
    }
    driver.send(&message(&round.topic, "after", 1))?.all()?;
    let mut inbox = Inbox::default();
    let expected = ["after"].into_iter().chain(receives.then_some("largest"));
    inbox.settle(&mut driver, expected.clone())?;
    inbox.expect_exactly(expected)?;
    if inbox
        .of("largest")
        .any(|one| one.body_base64 != largest.body_base64)
    {
        bail!("the largest body did not arrive as it was sent");
    }
    round.finish(driver)
}
