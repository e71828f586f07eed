//! A consumer that polls goes to the beginning, to a point in time, and to the end.

use anyhow::Result;

use super::Round;
use crate::conformance::deadline::unix_ms;
use crate::conformance::driver::Driver;
use crate::conformance::event::Outgoing;
use crate::conformance::features::Feature;
use crate::conformance::inbox::Inbox;

/// Sent one after the other, they reach every queue.
const MESSAGES: u32 = 16;

pub(super) fn run(round: &mut Round<'_>) -> Result<()> {
    let mut driver = round.start_driver()?;
    driver.start_producer(&round.topic)?;
    let mut inbox = Inbox::default();
    let old = send(round, &mut driver, "old")?;
    // What is sent next is stored later: the consumer starts in between.
    let between_ms = unix_ms() + 1;
    driver.start_consumer(&round.consumer())?;
    deliver_once_more(&mut driver, &mut inbox, &old)?;
    let new = send(round, &mut driver, "new")?;
    deliver_once_more(&mut driver, &mut inbox, &new)?;
    let mut expected = [old.clone(), new.clone()].concat();

    driver.seek_to_begin()?;
    let all = [old.clone(), new.clone()].concat();
    deliver_once_more(&mut driver, &mut inbox, &all)?;
    expected.extend(all);

    if !round.lacks(Feature::SeekToTime) {
        driver.seek_to_time(between_ms)?;
        deliver_once_more(&mut driver, &mut inbox, &new)?;
        expected.extend(new);
    }

    driver.seek_to_end()?;
    let last = send(round, &mut driver, "last")?;
    deliver_once_more(&mut driver, &mut inbox, &last)?;
    expected.extend(last);
    inbox.expect_exactly(expected.iter().map(String::as_str))?;
    round.finish(driver)
}

fn send(round: &Round<'_>, driver: &mut Driver, prefix: &str) -> Result<Vec<String>> {
    let mut keys = Vec::new();
    for number in 0..MESSAGES {
        let key = format!("{prefix}-{number}");
        driver.send(&Outgoing::keyed(&round.topic, &key))?.all()?;
        keys.push(key);
    }
    Ok(keys)
}

/// Waits until each of these was delivered once more than now.
fn deliver_once_more(driver: &mut Driver, inbox: &mut Inbox, keys: &[String]) -> Result<()> {
    let wanted: Vec<(&String, usize)> = keys
        .iter()
        .map(|key| (key, inbox.of(key).count() + 1))
        .collect();
    for (key, count) in wanted {
        inbox.wait(driver, &format!("delivery {count} of `{key}`"), |inbox| {
            inbox.of(key).count() >= count
        })?;
    }
    Ok(())
}
