//! Of the messages that wait, those of a higher priority come first.

use anyhow::{Result, bail};

use super::Round;
use crate::conformance::event::Outgoing;
use crate::conformance::inbox::Inbox;

/// From 1 to this; a topic has one queue more, and a server may know no more than queues.
const PRIORITY_MAX: u32 = 7;

/// Messages of each priority; all together they fit into one answer.
const MESSAGES: u32 = 3;

pub(super) fn run(round: &mut Round<'_>) -> Result<()> {
    let mut driver = round.start_driver()?;
    driver.start_producer(&round.topic)?;
    let mut expected = Vec::new();
    for number in 0..MESSAGES {
        // Neither up nor down, so that no order of sending or storing does.
        for priority in (0..PRIORITY_MAX).map(|step| (step * 5 + 3) % PRIORITY_MAX + 1) {
            let key = format!("priority-{priority}-{number}");
            let message = Outgoing {
                priority: Some(priority),
                ..Outgoing::keyed(&round.topic, &key)
            };
            driver.send(&message)?.all()?;
            expected.push((priority, key));
        }
    }
    // They wait until now.
    driver.start_consumer(&round.consumer())?;
    let mut inbox = Inbox::default();
    inbox.settle(&mut driver, expected.iter().map(|(_, key)| key.as_str()))?;
    expected.sort_by_key(|(priority, _)| std::cmp::Reverse(*priority));
    let expected: Vec<&str> = expected.iter().map(|(_, key)| key.as_str()).collect();
    if inbox.keys() != expected {
        bail!("expected {expected:?}, received {:?}", inbox.keys());
    }
    round.finish(driver)
}
