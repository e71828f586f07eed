//! Timed messages: by delay level, at an exact time, taken back before it.

use anyhow::{Context as _, Result, bail};

use super::Round;
use crate::conformance::deadline::unix_ms;
use crate::conformance::driver::Driver;
use crate::conformance::event::Outgoing;
use crate::conformance::features::Feature;
use crate::conformance::inbox::Inbox;

/// The least late of several timed messages is not later than this.
const LATE_MS_MAX: u64 = 1_000;

/// No message is later than this, on a machine as busy as one that runs conformance is.
const LATE_MS_MAX_OF_ANY: u64 = 10_000;

/// The first delay levels, in milliseconds.
const LEVELS_MS: [(u32, u64); 2] = [(1, 1_000), (2, 5_000)];

/// When a message is due: it must not come before the first, and need not come before the second.
struct Due {
    key: String,
    earliest_ms: u64,
    latest_ms: u64,
}

pub(super) fn by_level(round: &mut Round<'_>) -> Result<()> {
    let (level, _) = LEVELS_MS[0];
    let first = Outgoing {
        delay_level: Some(level),
        ..first(round)
    };
    let mut driver = start(round, &first)?;
    let mut due = Vec::new();
    for (level, delay_ms) in LEVELS_MS {
        let key = format!("level-{level}");
        let message = Outgoing {
            delay_level: Some(level),
            ..Outgoing::keyed(&round.topic, &key)
        };
        due.push(send_delayed(&mut driver, &message, delay_ms)?);
    }
    expect_in_time(&mut driver, &due)?;
    round.finish(driver)
}

pub(super) fn at_time(round: &mut Round<'_>) -> Result<()> {
    /// After now; not in the order of sending, and not at full seconds.
    const AFTER_MS: [u64; 4] = [3_300, 2_100, 2_777, 4_050];
    const DELAY_MS: u64 = 2_345;
    let mut driver = start(round, &soon(round))?;
    let mut due = Vec::new();
    let now_ms = unix_ms();
    for after_ms in AFTER_MS {
        let key = format!("after-{after_ms}");
        let mut deliver_at_ms = now_ms + after_ms;
        if round.lacks(Feature::Milliseconds) {
            deliver_at_ms = deliver_at_ms.next_multiple_of(1_000);
        }
        let message = Outgoing {
            deliver_at_ms: Some(deliver_at_ms),
            ..Outgoing::keyed(&round.topic, &key)
        };
        driver.send(&message)?.all()?;
        due.push(Due {
            key,
            earliest_ms: deliver_at_ms,
            // A send that took long makes it late through no fault of the server.
            latest_ms: deliver_at_ms.max(unix_ms()),
        });
    }
    if !round.lacks(Feature::Milliseconds) {
        let message = Outgoing {
            delay_ms: Some(DELAY_MS),
            ..Outgoing::keyed(&round.topic, "delay")
        };
        due.push(send_delayed(&mut driver, &message, DELAY_MS)?);
    }
    expect_in_time(&mut driver, &due)?;
    round.finish(driver)
}

pub(super) fn recall(round: &mut Round<'_>) -> Result<()> {
    const RECALLED_AFTER_MS: u64 = 4_000;
    const LAST_AFTER_MS: u64 = 5_500;
    let mut driver = start(round, &soon(round))?;
    let now_ms = unix_ms();
    let message = |key: &str, after_ms: u64| Outgoing {
        deliver_at_ms: Some(now_ms + after_ms),
        ..Outgoing::keyed(&round.topic, key)
    };
    let report = driver.send(&message("recalled", RECALLED_AFTER_MS))?;
    let handle = report.recall_handle.clone();
    report.all()?;
    driver.send(&message("last", LAST_AFTER_MS))?.all()?;
    driver.recall(&round.topic, &handle.context("no recall handle")?)?;
    let mut inbox = Inbox::default();
    inbox.settle(&mut driver, ["last"])?;
    inbox.expect_exactly(["last"])?;
    round.finish(driver)
}

fn first(round: &Round<'_>) -> Outgoing {
    Outgoing::keyed(&round.topic, "first")
}

/// The first message, due as soon as a library that knows times can say.
fn soon(round: &Round<'_>) -> Outgoing {
    Outgoing {
        delay_ms: Some(1),
        ..first(round)
    }
}

/// The topic takes timed messages only, so `first` must be one.
fn start(round: &Round<'_>, first: &Outgoing) -> Result<Driver> {
    let mut driver = round.start_driver()?;
    driver.start_producer(&round.topic)?;
    driver.start_consumer(&round.consumer())?;
    // The consumer runs before anything is due.
    driver.send(first)?.all()?;
    Inbox::default().settle(&mut driver, ["first"])?;
    Ok(driver)
}

fn send_delayed(driver: &mut Driver, message: &Outgoing, delay_ms: u64) -> Result<Due> {
    let earliest_ms = unix_ms() + delay_ms;
    driver.send(message)?.all()?;
    Ok(Due {
        key: message.key().to_owned(),
        earliest_ms,
        latest_ms: unix_ms() + delay_ms,
    })
}

/// Waits for all, each exactly once, none early.
fn expect_in_time(driver: &mut Driver, due: &[Due]) -> Result<()> {
    let mut inbox = Inbox::default();
    inbox.settle(driver, due.iter().map(|due| due.key.as_str()))?;
    inbox.expect_exactly(due.iter().map(|due| due.key.as_str()))?;
    let mut late = Vec::new();
    for Due {
        key,
        earliest_ms,
        latest_ms,
    } in due
    {
        let at_ms = inbox.of(key).next().map_or(0, |received| received.at_ms);
        if at_ms < *earliest_ms {
            bail!("`{key}` came {} ms early", earliest_ms - at_ms);
        }
        late.push(at_ms.saturating_sub(*latest_ms));
    }
    let least = late.iter().min().copied().unwrap_or(u64::MAX);
    let most = late.iter().max().copied().unwrap_or(u64::MAX);
    if least > LATE_MS_MAX || most > LATE_MS_MAX_OF_ANY {
        bail!("timed messages came late, by milliseconds: {late:?}");
    }
    Ok(())
}
