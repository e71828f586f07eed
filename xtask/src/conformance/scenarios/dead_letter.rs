//! A message that fails comes back as often as the group allows, then is a dead letter, and nothing
//! else is.

use anyhow::{Result, bail};

use super::Round;
use crate::conformance::clients::ConsumerKind;
use crate::conformance::driver::Driver;
use crate::conformance::event::{ConsumerStart, Outgoing};
use crate::conformance::inbox::Inbox;

/// Deliveries, the first included.
const ATTEMPTS: u32 = 3;

/// The shortest delay that a library can ask for.
const RETRY_LEVEL: u32 = 1;

const FAILING: &str = "fail-always";

pub(super) fn run(round: &mut Round<'_>) -> Result<()> {
    let group = format!("{}-strict", round.group);
    round.target.create_group_with_attempts(&group, ATTEMPTS)?;
    let mut driver = round.start_driver()?;
    driver.start_producer(&round.topic)?;
    driver.start_consumer(&ConsumerStart {
        group: &group,
        fail: Some(FAILING),
        max_attempts: Some(ATTEMPTS),
        retry_level: Some(RETRY_LEVEL),
        ..round.consumer()
    })?;
    for key in [FAILING, "fine"] {
        driver.send(&Outgoing::keyed(&round.topic, key))?.all()?;
    }
    let mut inbox = Inbox::default();
    inbox.settle(&mut driver, ["fine"])?;
    inbox.wait(&mut driver, "the last delivery", |inbox| {
        inbox.of(FAILING).any(|one| one.attempt == ATTEMPTS)
    })?;
    let attempts: Vec<u32> = inbox.of(FAILING).map(|one| one.attempt).collect();
    if attempts != [1, 2, 3] {
        bail!("the deliveries say attempts {attempts:?}");
    }
    // It stops after the listener's answer went to the server: now the dead letter is there.
    driver.stop_consumer()?;
    read_dead_letters(round, &mut driver, &group)?;
    driver.stop_producer()?;
    driver.exit()
}

fn read_dead_letters(round: &Round<'_>, driver: &mut Driver, group: &str) -> Result<()> {
    let topic = format!("%DLQ%{group}");
    driver.start_consumer(&ConsumerStart::of(ConsumerKind::Push, &topic, &round.group))?;
    let mut inbox = Inbox::default();
    inbox.settle(driver, [FAILING])?;
    inbox.expect_exactly([FAILING])?;
    let sent = Outgoing::keyed(&topic, FAILING);
    if inbox
        .of(FAILING)
        .any(|one| one.body_base64 != sent.body_base64)
    {
        bail!("the dead letter has another body than the message");
    }
    driver.stop_consumer()
}
