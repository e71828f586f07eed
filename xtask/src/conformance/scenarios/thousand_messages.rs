//! The main promise: a client sends 1,000 messages and receives every one exactly once; nothing
//! comes again after its ack, neither when the client restarts nor when the server does.

use anyhow::{Context as _, Result};

use super::Round;
use crate::conformance::ledger::Ledger;

/// Sent while no consumer runs, and again while one waits for them.
const HALF: u32 = 500;

/// Sent before each restart and received after it. Every queue gets some, so what wrongly comes
/// again in front of them is seen.
const WAITING: u32 = 200;

/// Messages that are not acknowledged at first; their return proves that earlier invisible times
/// are over.
const HELD: u32 = 8;

const HELD_PREFIX: &str = "held-";

pub(super) fn run(round: &mut Round<'_>) -> Result<()> {
    let mut ledger = Ledger::holding(HELD_PREFIX);
    send_and_receive(round, &mut ledger).context("first run")?;
    restart_client(round, &mut ledger).context("after the client's restart")?;
    if round.target.can_restart() {
        restart_server(round, &mut ledger).context("after the server's restart")?;
    }
    if round.kind.retries() {
        outlive_invisible_time(round, &mut ledger).context("after the invisible time")?;
    }
    Ok(())
}

fn send_and_receive(round: &Round<'_>, ledger: &mut Ledger) -> Result<()> {
    let mut driver = round.start_driver()?;
    driver.start_producer(&round.topic)?;
    ledger.sent(driver.send_many(&round.topic, "before-", HALF)?.all()?)?;
    round.start_consumer(&mut driver, None)?;
    ledger.sent(driver.send_many(&round.topic, "during-", HALF)?.all()?)?;
    ledger.settle(&mut driver)?;
    driver.stop_consumer()?;
    driver.stop_producer()?;
    driver.exit()
}

fn restart_client(round: &Round<'_>, ledger: &mut Ledger) -> Result<()> {
    let mut driver = round.start_driver()?;
    driver.start_producer(&round.topic)?;
    ledger.sent(
        driver
            .send_many(&round.topic, "client-restart-", WAITING)?
            .all()?,
    )?;
    round.start_consumer(&mut driver, None)?;
    ledger.settle(&mut driver)?;
    driver.stop_consumer()?;
    // These wait for the restart of the server.
    ledger.sent(
        driver
            .send_many(&round.topic, "server-restart-", WAITING)?
            .all()?,
    )?;
    driver.stop_producer()?;
    driver.exit()
}

fn restart_server(round: &mut Round<'_>, ledger: &mut Ledger) -> Result<()> {
    round.target.restart()?;
    let mut driver = round.start_driver()?;
    round.start_consumer(&mut driver, None)?;
    ledger.settle(&mut driver)?;
    driver.stop_consumer()?;
    driver.exit()
}

/// An ack that the server forgot shows only when the message's invisible time ends. A message held
/// back now becomes visible again after all that were received before.
fn outlive_invisible_time(round: &Round<'_>, ledger: &mut Ledger) -> Result<()> {
    let mut driver = round.start_driver()?;
    driver.start_producer(&round.topic)?;
    round.start_consumer(&mut driver, Some(HELD_PREFIX))?;
    ledger.sent(driver.send_many(&round.topic, HELD_PREFIX, HELD)?.all()?)?;
    ledger.settle(&mut driver)?;
    round.finish(driver)
}
