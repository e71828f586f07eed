//! A hundred message groups, of which one fails for ever and has a long backlog: nothing of it
//! passes the message that fails, and nobody else notices.

use std::time::Duration;

use anyhow::{Context as _, Result, bail};

use super::Round;
use crate::conformance::deadline::Stopwatch;
use crate::conformance::driver::Driver;
use crate::conformance::event::ConsumerStart;
use crate::conformance::inbox::Inbox;

/// Message groups that are fine.
const GROUPS: u32 = 99;

/// Messages of each.
const MESSAGES: u32 = 10;

/// Starts the keys of the message group that is not.
const POISON: &str = "poison-";

/// Beside the poisoned group the others take at most so many times as long as without it, ...
const TIMES_MAX: u32 = 2;

/// ... and this, which is less than any wait for the message that fails.
const SLACK: Duration = Duration::from_secs(5);

pub(super) fn run(round: &mut Round<'_>) -> Result<()> {
    let alone = consume(round, "alone", 0).context("without the poisoned message group")?;
    let beside = consume(round, "beside", round.backlog).context("beside the poisoned group")?;
    let limit = alone * TIMES_MAX + SLACK;
    let measured = format!(
        "{} messages of {GROUPS} message groups took {:.1} s beside {} of a stuck one, {:.1} s \
         without it",
        GROUPS * MESSAGES,
        beside.as_secs_f64(),
        round.backlog,
        alone.as_secs_f64(),
    );
    if beside > limit {
        bail!("{measured}, expected at most {:.1} s", limit.as_secs_f64());
    }
    round.note = Some(measured);
    Ok(())
}

/// Sends everything, then starts the consumer; returns how long the fine message groups took.
fn consume(round: &Round<'_>, name: &str, backlog: u32) -> Result<Duration> {
    let topic = format!("{}-{name}", round.topic);
    let group = format!("{}-{name}", round.group);
    round.target.create_topic(&topic, "fifo")?;
    round.target.create_fifo_group(&group)?;
    let mut driver = round.start_driver()?;
    driver.start_producer(&topic)?;
    // In its queue the backlog comes first.
    driver
        .send_in_order(&topic, POISON, backlog, "poisoned")?
        .all()?;
    for number in 0..GROUPS {
        let (prefix, shard) = (prefix(number), format!("shard-{number}"));
        driver
            .send_in_order(&topic, &prefix, MESSAGES, &shard)?
            .all()?;
    }
    driver.start_consumer(&ConsumerStart {
        topic: &topic,
        group: &group,
        ordered: true,
        fail: Some(POISON),
        ..round.consumer()
    })?;
    let took = receive(&mut driver, backlog > 0)?;
    round.finish(driver)?;
    Ok(took)
}

/// The time starts with the first delivery, so that connecting is not in it.
fn receive(driver: &mut Driver, poisoned: bool) -> Result<Duration> {
    let fine = usize::try_from(GROUPS * MESSAGES)?;
    let mut inbox = Inbox::default();
    inbox.wait(driver, "the first message", |inbox| {
        !inbox.received.is_empty()
    })?;
    let watch = Stopwatch::start();
    inbox.wait(driver, "every message of the others", |inbox| {
        inbox.acked.len() >= fine
    })?;
    let took = watch.elapsed();
    if poisoned {
        inbox.wait(driver, "the message that fails", |inbox| {
            inbox
                .received
                .iter()
                .any(|one| one.key().starts_with(POISON))
        })?;
    }
    for number in 0..GROUPS {
        check(&inbox, number)?;
    }
    let first = format!("{POISON}0");
    let passed = |key: &str| key.starts_with(POISON) && key != first;
    if let Some(one) = inbox.received.iter().find(|one| passed(one.key())) {
        bail!(
            "`{}` was delivered, though `{first}` before it failed",
            one.key()
        );
    }
    Ok(took)
}

/// Every message of the group once and in order.
fn check(inbox: &Inbox, number: u32) -> Result<()> {
    let prefix = prefix(number);
    let expected: Vec<String> = (0..MESSAGES)
        .map(|index| format!("{prefix}{index}"))
        .collect();
    let keys = inbox.received.iter().map(|one| one.key());
    let received: Vec<&str> = keys.filter(|key| key.starts_with(&prefix)).collect();
    if received != expected {
        bail!("a message group of {expected:?} was received as {received:?}");
    }
    Ok(())
}

fn prefix(number: u32) -> String {
    format!("fine-{number}-")
}
