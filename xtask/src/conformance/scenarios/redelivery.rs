//! A message that the application does not acknowledge, or fails to consume, comes back as the
//! second attempt; the messages around it do not.

use anyhow::Result;

use super::Round;
use crate::conformance::ledger::Ledger;

const HELD_PREFIX: &str = "held-";

/// Messages of each sort.
const MESSAGES: u32 = 20;

pub(super) fn run(round: &mut Round<'_>) -> Result<()> {
    let mut ledger = Ledger::holding(HELD_PREFIX);
    let mut driver = round.start_driver()?;
    driver.start_producer(&round.topic)?;
    round.start_consumer(&mut driver, Some(HELD_PREFIX))?;
    ledger.sent(
        driver
            .send_many(&round.topic, HELD_PREFIX, MESSAGES)?
            .all()?,
    )?;
    ledger.sent(driver.send_many(&round.topic, "fine-", MESSAGES)?.all()?)?;
    ledger.settle(&mut driver)?;
    round.finish(driver)
}
