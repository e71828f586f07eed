//! Tag expressions and SQL92 filters: what matches arrives, what does not never does.

use anyhow::Result;

use super::Round;
use crate::conformance::event::{ConsumerStart, Outgoing};
use crate::conformance::inbox::Inbox;

pub(super) fn by_tag(round: &mut Round<'_>) -> Result<()> {
    let topic = format!("{}-one", round.topic);
    let message = |key: &str| Outgoing::keyed(&topic, key);
    let start = ConsumerStart {
        topic: &topic,
        tags: "apples || pears",
        ..round.consumer()
    };
    let others = [
        message("plums").tag("plums"),
        message("no-tag"),
        message("upper-case").tag("APPLES"),
    ];
    let matching = [
        message("apples").tag("apples"),
        message("pears").tag("pears"),
    ];
    filter(round, &start, &others, &matching)
}

pub(super) fn by_sql(round: &mut Round<'_>) -> Result<()> {
    let topic = format!("{}-one", round.topic);
    let message = |key: &str, amount: &str, region: &str| {
        Outgoing::keyed(&topic, key)
            .property("amount", amount)
            .property("region", region)
    };
    let start = ConsumerStart {
        topic: &topic,
        sql: Some(
            "amount BETWEEN 5 AND 10 AND region IN ('north', 'east') \
             AND discount IS NULL AND (urgent IS NULL OR urgent = TRUE)",
        ),
        ..round.consumer()
    };
    let others = [
        message("too-little", "4", "east"),
        message("elsewhere", "7", "south"),
        message("discounted", "7", "east").property("discount", "1"),
        message("not-urgent", "7", "east").property("urgent", "false"),
        message("not-a-number", "many", "east"),
        Outgoing::keyed(&topic, "nothing-said"),
    ];
    let matching = [
        message("lowest", "5", "north"),
        message("middle", "7", "east"),
        message("urgent", "10", "north").property("urgent", "true"),
    ];
    filter(round, &start, &others, &matching)
}

/// One queue, so that what must not come would come before what is sent last.
fn filter(
    round: &Round<'_>,
    start: &ConsumerStart<'_>,
    others: &[Outgoing],
    matching: &[Outgoing],
) -> Result<()> {
    round.target.create_topic_of_one_queue(start.topic)?;
    let mut driver = round.start_driver()?;
    driver.start_producer(start.topic)?;
    driver.start_consumer(start)?;
    for message in others.iter().chain(matching) {
        driver.send(message)?.all()?;
    }
    let mut inbox = Inbox::default();
    inbox.settle(&mut driver, matching.iter().map(Outgoing::key))?;
    let last = Outgoing {
        keys: vec!["last".to_owned()],
        ..matching[0].clone()
    };
    driver.send(&last)?.all()?;
    inbox.settle(&mut driver, ["last"])?;
    inbox.expect_exactly(matching.iter().map(Outgoing::key).chain(["last"]))?;
    round.finish(driver)
}
