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

/// Starts the key of its first message.
const FIRST: &str = "poison-first-";

/// Starts the keys of the others.
const LATER: &str = "poison-later-";

/// Messages in one answer to a simple consumer, which sees to their order itself.
const ANSWER_MAX: usize = 32;

/// Beside the poisoned group the others take at most so many times as long as without it, ...
const TIMES_MAX: u32 = 2;

/// ... and this for a busy machine, which is less than any wait for the message that fails.
const SLACK: Duration = Duration::from_secs(8);

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
    for (prefix, count) in [(FIRST, backlog.min(1)), (LATER, backlog.saturating_sub(1))] {
        let report = driver.send_many_sharded(&topic, prefix, count, "poisoned")?;
        report.all()?;
    }
    // All of a round are taken before the next begins, which is the order of each message group.
    for number in 0..MESSAGES {
        let prefix = format!("fine-{number}-");
        let report = driver.send_many_sharded(&topic, &prefix, GROUPS, "shard-#")?;
        report.all()?;
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
    if poisoned {
        check_poisoned(&inbox)?;
    }
    Ok(took)
}

/// Every message of the group once and in order.
fn check(inbox: &Inbox, group: u32) -> Result<()> {
    let expected: Vec<String> = (0..MESSAGES)
        .map(|number| format!("fine-{number}-{group}"))
        .collect();
    let suffix = format!("-{group}");
    let of_group = |key: &&str| key.starts_with("fine-") && key.ends_with(&suffix);
    let received: Vec<&str> = inbox.keys().into_iter().filter(of_group).collect();
    if received != expected {
        bail!("a message group of {expected:?} was received as {received:?}");
    }
    Ok(())
}

/// Each time the message that fails comes first; no more follow it than come in one answer.
fn check_poisoned(inbox: &Inbox) -> Result<()> {
    let first = format!("{FIRST}0");
    let keys = inbox.keys();
    let received: Vec<&str> = keys
        .into_iter()
        .filter(|key| key.starts_with(POISON))
        .collect();
    if received.first() != Some(&first.as_str()) {
        bail!("the poisoned group begins with {:?}", received.first());
    }
    for answer in received.split(|key| *key == first) {
        if answer.len() >= ANSWER_MAX {
            bail!(
                "{} messages passed the one that fails: {answer:?}",
                answer.len()
            );
        }
    }
    Ok(())
}
