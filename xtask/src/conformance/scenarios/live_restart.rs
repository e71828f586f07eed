//! The server restarts cleanly while a producer and a consumer are connected: both find it again by
//! themselves, nothing acknowledged comes again, nothing sent is missing.

use std::time::Duration;

use anyhow::{Context as _, Result, bail};

use super::Round;
use crate::conformance::deadline::{Deadline, RECONNECT};
use crate::conformance::driver::Driver;
use crate::conformance::features::Feature;
use crate::conformance::ledger::Ledger;

/// Messages before and after the restart.
const MESSAGES: u32 = 200;

/// Between two tries of the first message after the restart: some libraries fail at once while they
/// reconnect.
const PROBE_INTERVAL: Duration = Duration::from_millis(500);

pub(super) fn run(round: &mut Round<'_>) -> Result<()> {
    let mut ledger = Ledger::default();
    let mut driver = round.start_driver()?;
    driver.start_producer(&round.topic)?;
    // Before the consumer starts: one that begins at the end of a queue without messages, as ONS
    // consumers do, misses what comes while it looks for that end.
    ledger.sent(driver.send_many(&round.topic, "before-", MESSAGES)?.all()?)?;
    round.start_consumer(&mut driver, None)?;
    ledger.settle(&mut driver).context("before the restart")?;

    round.target.restart()?;
    if round.lacks(Feature::AcksKept) {
        ledger.allow_returns();
    }

    find_server_again(round, &mut driver, &mut ledger)?;
    ledger.sent(driver.send_many(&round.topic, "after-", MESSAGES)?.all()?)?;
    ledger.settle(&mut driver).context("after the restart")?;
    // No orderly stop: libraries that still renew their sessions hang in it, or report errors.
    driver.exit()
}

/// Sends until a message is taken: the library may report failures until it has found the server
/// again. A failed probe may be stored nevertheless, so it has a key of its own and is expected
/// only if it was taken.
fn find_server_again(round: &Round<'_>, driver: &mut Driver, ledger: &mut Ledger) -> Result<()> {
    let deadline = Deadline::after(RECONNECT);
    for probe in 0.. {
        let report = driver.send_many(&round.topic, &format!("probe-{probe}-"), 1)?;
        ledger.maybe_sent(report.failed.iter().map(|(key, _)| key.clone()));
        match report.all() {
            Ok(keys) => return ledger.sent(keys),
            Err(reason) if deadline.remaining().is_zero() => {
                bail!("the producer did not find the server again: {reason}")
            }
            Err(_) => ledger.observe(driver, Deadline::after(PROBE_INTERVAL))?,
        }
    }
    Ok(())
}
