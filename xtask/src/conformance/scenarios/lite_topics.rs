//! LiteTopics: who gets the messages of which ones, and in what order.

use std::time::Duration;

use anyhow::{Result, bail};

use super::Round;
use crate::conformance::deadline::{DELIVERY, Deadline};
use crate::conformance::driver::Driver;
use crate::conformance::event::{ConsumerStart, Outgoing};
use crate::conformance::features::Feature;
use crate::conformance::inbox::Inbox;

/// Messages that wait in each LiteTopic.
const WAITING: u32 = 10;

/// LiteTopics that one client of the exclusive group may choose.
const QUOTA: u32 = 2;

/// LiteTopics of the exclusive group. Each letter of a longer name counts for the Python client,
/// until it says again what it has.
const SHARED: &str = "s";
const OWN: &str = "o";
const MORE: &str = "m";

/// Between two tries of a client that has not been told yet.
const PAUSE: Duration = Duration::from_millis(100);

/// A lite consumer and the LiteTopics that it chooses.
pub(super) fn chosen(round: &mut Round<'_>) -> Result<()> {
    let group = format!("{}-lite", round.group);
    round.target.create_lite_group(&group, &round.topic)?;
    let mut driver = round.start_driver()?;
    driver.start_producer(&round.topic)?;
    for number in 0..WAITING {
        for lite_topic in ["first", "second", "later", "never"] {
            send(round, &mut driver, lite_topic, number)?;
        }
    }
    driver.start_consumer(&lite_consumer(round, &group))?;
    let mut inbox = Inbox::default();
    driver.subscribe_lite("first")?;
    driver.subscribe_lite("second")?;
    settle(&mut inbox, &mut driver, "first", 0..WAITING)?;
    settle(&mut inbox, &mut driver, "second", 0..WAITING)?;
    driver.subscribe_lite("later")?;
    settle(&mut inbox, &mut driver, "later", 0..WAITING)?;

    driver.unsubscribe_lite("first")?;
    for lite_topic in ["never", "first", "second", "later"] {
        send(round, &mut driver, lite_topic, WAITING)?;
    }
    settle(&mut inbox, &mut driver, "second", WAITING..WAITING + 1)?;
    settle(&mut inbox, &mut driver, "later", WAITING..WAITING + 1)?;
    // What waited behind the end of the subscription is there when it begins again.
    expect_in_order(
        &inbox,
        &[
            ("first", WAITING),
            ("second", WAITING + 1),
            ("later", WAITING + 1),
        ],
    )?;
    driver.subscribe_lite("first")?;
    settle(&mut inbox, &mut driver, "first", WAITING..WAITING + 1)?;
    expect_in_order(
        &inbox,
        &[
            ("first", WAITING + 1),
            ("second", WAITING + 1),
            ("later", WAITING + 1),
        ],
    )?;
    round.finish(driver)
}

/// Two lite consumers of a group in which a LiteTopic has one consumer at a time.
pub(super) fn exclusive(round: &mut Round<'_>) -> Result<()> {
    let group = format!("{}-lite", round.group);
    round
        .target
        .create_exclusive_lite_group(&group, &round.topic, QUOTA)?;
    let mut first = round.start_driver()?;
    first.start_producer(&round.topic)?;
    first.start_consumer(&lite_consumer(round, &group))?;
    first.subscribe_lite(SHARED)?;
    first.subscribe_lite(OWN)?;
    let Err(refusal) = first.try_subscribe_lite(MORE)? else {
        bail!("a client that may choose {QUOTA} LiteTopics chose one more");
    };
    if !refusal.to_lowercase().contains("quota") {
        bail!("a LiteTopic beyond the quota was refused so: {refusal}");
    }
    let mut of_first = Inbox::default();
    send(round, &mut first, SHARED, 0)?;
    settle(&mut of_first, &mut first, SHARED, 0..1)?;

    let mut second = round.start_driver()?;
    second.start_consumer(&lite_consumer(round, &group))?;
    second.subscribe_lite(SHARED)?;
    send(round, &mut first, SHARED, 1)?;
    send(round, &mut first, OWN, 0)?;
    let mut of_second = Inbox::default();
    settle(&mut of_second, &mut second, SHARED, 1..2)?;
    settle(&mut of_first, &mut first, OWN, 0..1)?;
    if !round.lacks(Feature::LiteTold) {
        // There is room for one more as soon as the client knows.
        let deadline = Deadline::after(DELIVERY);
        while let Err(refusal) = first.try_subscribe_lite(MORE)? {
            if deadline.remaining().is_zero() {
                bail!("the client was not told that it lost a LiteTopic: {refusal}");
            }
            of_first.observe(&mut first, Deadline::after(PAUSE), |_| false)?;
        }
        send(round, &mut first, MORE, 0)?;
        settle(&mut of_first, &mut first, MORE, 0..1)?;
        expect_in_order(&of_first, &[(SHARED, 1), (OWN, 1), (MORE, 1)])?;
    }
    of_second.expect_exactly([key(SHARED, 1).as_str()])?;
    // It has no producer, and its consumer would wait for a long poll.
    second.exit()?;
    round.finish(first)
}

/// An ordinary consumer of a topic that has LiteTopics.
pub(super) fn clustering(round: &mut Round<'_>) -> Result<()> {
    const LITE_TOPICS: [&str; 5] = ["first", "second", "third", "fourth", "new"];
    let mut driver = round.start_driver()?;
    driver.start_producer(&round.topic)?;
    for number in 0..WAITING {
        for lite_topic in &LITE_TOPICS[..4] {
            send(round, &mut driver, lite_topic, number)?;
        }
    }
    driver.start_consumer(&round.consumer())?;
    let mut inbox = Inbox::default();
    for lite_topic in &LITE_TOPICS[..4] {
        settle(&mut inbox, &mut driver, lite_topic, 0..WAITING)?;
    }
    for number in 0..WAITING {
        send(round, &mut driver, "new", number)?;
    }
    settle(&mut inbox, &mut driver, "new", 0..WAITING)?;
    let expected = LITE_TOPICS.map(|name| (0..WAITING).map(move |number| key(name, number)));
    let expected: Vec<String> = expected.into_iter().flatten().collect();
    inbox.expect_exactly(expected.iter().map(String::as_str))?;
    round.finish(driver)
}

fn lite_consumer<'a>(round: &'a Round<'_>, group: &'a str) -> ConsumerStart<'a> {
    ConsumerStart {
        group,
        lite: true,
        ..round.consumer()
    }
}

fn key(lite_topic: &str, number: u32) -> String {
    format!("{lite_topic}-{number}")
}

fn send(round: &Round<'_>, driver: &mut Driver, lite_topic: &str, number: u32) -> Result<()> {
    let message = Outgoing {
        lite_topic: Some(lite_topic.to_owned()),
        ..Outgoing::keyed(&round.topic, &key(lite_topic, number))
    };
    driver.send(&message)?.all()?;
    Ok(())
}

/// Waits until these messages of the LiteTopic are consumed.
fn settle(
    inbox: &mut Inbox,
    driver: &mut Driver,
    lite_topic: &str,
    numbers: std::ops::Range<u32>,
) -> Result<()> {
    let keys: Vec<String> = numbers.map(|number| key(lite_topic, number)).collect();
    inbox.settle(driver, keys.iter().map(String::as_str))
}

/// Fails unless exactly so many messages of these LiteTopics were received, each of them once and
/// each LiteTopic from its first one on.
fn expect_in_order(inbox: &Inbox, lite_topics: &[(&str, u32)]) -> Result<()> {
    let expected = lite_topics.iter().map(|(name, count)| {
        let keys = (0..*count).map(|number| key(name, number));
        (*name, keys.collect::<Vec<_>>())
    });
    let mut total = 0;
    for (name, expected) in expected {
        total += expected.len();
        let of_it = inbox.received.iter();
        let of_it = of_it.filter(|one| one.lite_topic.as_deref() == Some(name));
        let received: Vec<&str> = of_it.map(|one| one.key()).collect();
        if received != expected {
            bail!("of LiteTopic `{name}`, expected {expected:?}, received {received:?}");
        }
    }
    if total != inbox.received.len() {
        bail!(
            "expected messages of {lite_topics:?} only, received {:?}",
            inbox.keys()
        );
    }
    Ok(())
}
