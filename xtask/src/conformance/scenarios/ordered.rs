//! Messages of one sharding key arrive in the order in which they were sent; one that fails holds
//! up those behind it until it succeeds.

use anyhow::{Result, bail};

use super::Round;
use crate::conformance::clients::ConsumerKind;
use crate::conformance::event::{ConsumerStart, Outgoing};
use crate::conformance::features::Feature;
use crate::conformance::inbox::Inbox;

/// Fewer than queues, and more than one.
const SHARDS: u32 = 4;

/// Messages of each sharding key.
const MESSAGES: u32 = 6;

/// The message of each sharding key that fails at first.
const HELD: u32 = 2;

const HELD_PREFIX: &str = "held-";

pub(super) fn run(round: &mut Round<'_>) -> Result<()> {
    // Over gRPC the order is the business of the group, over Remoting of the listener.
    let group = format!("{}-fifo", round.group);
    round.target.create_fifo_group(&group)?;
    let mut driver = round.start_driver()?;
    driver.start_producer(&round.topic)?;
    driver.start_consumer(&ConsumerStart {
        group: &group,
        ordered: true,
        hold: Some(HELD_PREFIX),
        ..round.consumer()
    })?;
    let mut keys = Vec::new();
    let mut inbox = Inbox::default();
    for number in 0..MESSAGES {
        if number == HELD + 1 {
            // In one answer with those behind it, it would be for the consumer to hold them up.
            inbox.wait(&mut driver, "the messages that fail", |inbox| {
                (0..SHARDS).all(|shard| inbox.of(&key(shard, HELD)).next().is_some())
            })?;
        }
        for shard in 0..SHARDS {
            let key = key(shard, number);
            let message = Outgoing {
                sharding_key: Some(format!("shard-{shard}")),
                ..Outgoing::keyed(&round.topic, &key)
            };
            driver.send(&message)?.all()?;
            keys.push(key);
        }
    }
    inbox.settle(&mut driver, keys.iter().map(String::as_str))?;
    let attempts_count = round.kind != ConsumerKind::Push || !round.lacks(Feature::OrderedAttempts);
    for shard in 0..SHARDS {
        check(&inbox, shard, attempts_count)?;
    }
    round.finish(driver)
}

fn key(shard: u32, number: u32) -> String {
    let prefix = if number == HELD { HELD_PREFIX } else { "" };
    format!("{prefix}{shard}-{number}")
}

/// Every message of the shard once and in order, the held one twice in its place, which it says if
/// `attempts_count`.
fn check(inbox: &Inbox, shard: u32, attempts_count: bool) -> Result<()> {
    let expected: Vec<(String, u32)> = (0..MESSAGES)
        .flat_map(|number| {
            let attempts = if number == HELD { 2 } else { 1 };
            (1..=attempts)
                .map(move |attempt| (key(shard, number), if attempts_count { attempt } else { 1 }))
        })
        .collect();
    let received: Vec<(String, u32)> = inbox
        .received
        .iter()
        .filter(|one| expected.iter().any(|(key, _)| key == one.key()))
        .map(|one| (one.key().to_owned(), one.attempt))
        .collect();
    if received != expected {
        bail!("deliveries of a sharding key, expected {expected:?}, received {received:?}");
    }
    Ok(())
}
