//! Several messages in one request arrive one by one.

use anyhow::Result;

use super::Round;
use crate::conformance::inbox::Inbox;

const MESSAGES: u32 = 10;

pub(super) fn run(round: &mut Round<'_>) -> Result<()> {
    let mut driver = round.start_driver()?;
    driver.start_producer(&round.topic)?;
    driver.start_consumer(&round.consumer())?;
    let keys: Vec<String> = (0..MESSAGES).map(|n| format!("batch-{n}")).collect();
    let sent = driver.send_batch(&round.topic, &keys)?.all()?;
    let mut inbox = Inbox::default();
    inbox.settle(&mut driver, sent.iter().map(String::as_str))?;
    inbox.expect_exactly(keys.iter().map(String::as_str))?;
    round.finish(driver)
}
