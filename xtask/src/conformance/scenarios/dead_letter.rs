//! A message that fails comes back as often as the group allows, then is a dead letter, and nothing
//! else is.

use std::time::Duration;

use anyhow::{Result, bail};

use super::Round;
use crate::conformance::clients::Protocol;
use crate::conformance::deadline::{DELIVERY, Deadline};
use crate::conformance::driver::Driver;
use crate::conformance::event::{ConsumerStart, Outgoing};
use crate::conformance::inbox::Inbox;

/// The shortest delay that a library can ask for.
const RETRY_LEVEL: u32 = 1;

const FAILING: &str = "fail-always";

/// Between two tries to consume dead letters: some libraries refuse a topic that is not there yet.
const PROBE_INTERVAL: Duration = Duration::from_millis(500);

pub(super) fn run(round: &mut Round<'_>) -> Result<()> {
    let attempts = attempts(round);
    let group = format!("{}-strict", round.group);
    round.target.create_group_with_attempts(&group, attempts)?;
    let mut driver = round.start_driver()?;
    driver.start_producer(&round.topic)?;
    driver.start_consumer(&ConsumerStart {
        group: &group,
        fail: Some(FAILING),
        max_attempts: Some(attempts),
        retry_level: Some(RETRY_LEVEL),
        ..round.consumer()
    })?;
    for key in [FAILING, "fine"] {
        driver.send(&Outgoing::keyed(&round.topic, key))?.all()?;
    }
    let mut inbox = Inbox::default();
    inbox.settle(&mut driver, ["fine"])?;
    inbox.wait(&mut driver, "the last delivery", |inbox| {
        inbox.of(FAILING).any(|one| one.attempt == attempts)
    })?;
    let received: Vec<u32> = inbox.of(FAILING).map(|one| one.attempt).collect();
    if received != (1..=attempts).collect::<Vec<u32>>() {
        bail!("the deliveries say attempts {received:?}");
    }
    if matches!(round.client.protocol, Protocol::Grpc | Protocol::GrpcV1) {
        // Over gRPC v2, it is a dead letter when it is due once more and the group looks for
        // messages.
        let mut other = round.start_driver()?;
        read_dead_letters(round, &mut other, &group)?;
        other.exit()?;
        inbox.expect_exactly(["fine"].into_iter().chain(received.iter().map(|_| FAILING)))?;
    } else {
        // It stops after the listener's answer went to the server: now the dead letter is there.
        driver.stop_consumer()?;
        read_dead_letters(round, &mut driver, &group)?;
        driver.stop_consumer()?;
    }
    driver.stop_producer()?;
    driver.exit()
}

/// Deliveries, the first included. Over gRPC only the group says when the next one is: after 10 s,
/// then after 30 s.
fn attempts(round: &Round<'_>) -> u32 {
    match round.client.protocol {
        Protocol::Remoting => 3,
        Protocol::Grpc | Protocol::GrpcV1 | Protocol::OnsHttp => 2,
    }
}

fn read_dead_letters(round: &Round<'_>, driver: &mut Driver, group: &str) -> Result<()> {
    let topic = format!("%DLQ%{group}");
    let mut inbox = Inbox::default();
    let start = ConsumerStart::of(round.kind, &topic, &round.group);
    let deadline = Deadline::after(DELIVERY);
    while let Err(error) = driver.try_start_consumer(&start)? {
        if deadline.remaining().is_zero() {
            bail!("dead letters cannot be consumed: {error}");
        }
        inbox.observe(driver, Deadline::after(PROBE_INTERVAL), |_| false)?;
    }
    inbox.settle(driver, [FAILING])?;
    inbox.expect_exactly([FAILING])?;
    let sent = Outgoing::keyed(&topic, FAILING);
    if inbox
        .of(FAILING)
        .any(|one| one.body_base64 != sent.body_base64)
    {
        bail!("the dead letter has another body than the message");
    }
    Ok(())
}
