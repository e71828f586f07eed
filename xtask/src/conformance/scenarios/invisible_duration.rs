//! A simple consumer changes the invisible duration of what it received: shorter gives a message
//! back early, longer keeps it, and what is kept can still be acknowledged.

use std::collections::BTreeMap;

use anyhow::{Context as _, Result, bail};

use super::Round;
use crate::conformance::event::{ConsumerStart, Outgoing};
use crate::conformance::inbox::Inbox;

/// For how long a message is invisible unless its consumer changes that; every driver's own value.
const INVISIBLE_MS: u64 = 10_000;

const SHORT_MS: u64 = 1_000;

const LONG_MS: u64 = 14_000;

/// How much later than the server the runner may see a delivery, on a busy machine.
const SEEN_LATE_MS_MAX: u64 = 500;

/// A message that a receive under way holds up comes no later than this after its time.
const LATE_MS_MAX: u64 = 6_000;

/// Not acknowledged at their first delivery.
const HELD_PREFIX: &str = "held-";

const EARLY: &str = "held-short";

const UNCHANGED: &str = "held-unchanged";

const LATE: &str = "held-long";

const KEPT: &str = "kept";

pub(super) fn run(round: &mut Round<'_>) -> Result<()> {
    let mut driver = round.start_driver()?;
    driver.start_producer(&round.topic)?;
    driver.start_consumer(&ConsumerStart {
        hold: Some(HELD_PREFIX),
        invisible_ms: BTreeMap::from([(EARLY, SHORT_MS), (LATE, LONG_MS), (KEPT, LONG_MS)]),
        ..round.consumer()
    })?;
    // What is kept would come again before what comes last.
    for key in [KEPT, EARLY, UNCHANGED, LATE] {
        driver.send(&Outgoing::keyed(&round.topic, key))?.all()?;
    }
    let mut inbox = Inbox::default();
    inbox.settle(&mut driver, [KEPT, EARLY, UNCHANGED, LATE])?;
    for (key, after_ms) in [
        (EARLY, SHORT_MS),
        (UNCHANGED, INVISIBLE_MS),
        (LATE, LONG_MS),
    ] {
        check(&inbox, key, after_ms)?;
    }
    inbox.expect_exactly([KEPT, EARLY, EARLY, UNCHANGED, UNCHANGED, LATE, LATE])?;
    round.finish(driver)
}

/// The second delivery comes when the invisible duration is over.
fn check(inbox: &Inbox, key: &str, after_ms: u64) -> Result<()> {
    let mut deliveries = inbox.of(key);
    let first = deliveries.next().context("a first delivery")?;
    let second = deliveries.next().context("a second delivery")?;
    if (first.attempt, second.attempt) != (1, 2) {
        let attempts = (first.attempt, second.attempt);
        bail!("the deliveries of `{key}` say attempts {attempts:?}");
    }
    let took_ms = second.at_ms.saturating_sub(first.at_ms);
    if !(after_ms.saturating_sub(SEEN_LATE_MS_MAX)..after_ms + LATE_MS_MAX).contains(&took_ms) {
        bail!("`{key}` came again after {took_ms} ms, expected {after_ms} ms");
    }
    Ok(())
}
