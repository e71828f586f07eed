//! The server restarts cleanly while a producer and a consumer are connected: both find it again by themselves, nothing
//! acknowledged comes again, nothing sent is missing.

use anyhow::{Context as _, Result, bail};

use super::Round;
use crate::conformance::ledger::Ledger;

/// Messages before and after the restart.
const MESSAGES: u32 = 200;

/// How often the first message after the restart is tried; each try takes as long as the library's own retries.
const PROBES_MAX: u32 = 30;

pub(super) fn run(round: &mut Round<'_>) -> Result<()> {
    let mut ledger = Ledger::default();
    let mut driver = round.start_driver()?;
    driver.start_producer(&round.topic)?;
    round.start_consumer(&mut driver, None)?;
    ledger.sent(driver.send_many(&round.topic, "before-", MESSAGES)?.all()?)?;
    ledger.settle(&mut driver).context("before the restart")?;

    round.target.restart()?;

    // The library may report failures until it has found the server again. A failed probe may be stored nevertheless,
    // so it gets a key of its own and is expected only if it was taken.
    let mut probe = 0;
    loop {
        let report = driver.send_many(&round.topic, &format!("probe-{probe}-"), 1)?;
        ledger.maybe_sent(report.failed.iter().map(|(key, _)| key.clone()));
        match report.all() {
            Ok(keys) => break ledger.sent(keys)?,
            Err(reason) if probe >= PROBES_MAX => {
                bail!("the producer did not find the server again: {reason}")
            }
            Err(_) => probe += 1,
        }
    }
    ledger.sent(driver.send_many(&round.topic, "after-", MESSAGES)?.all()?)?;
    ledger.settle(&mut driver).context("after the restart")?;
    driver.stop_consumer()?;
    driver.stop_producer()?;
    driver.exit()
}
