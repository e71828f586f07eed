//! A topic takes messages of its own type and refuses those of each other type, with a reason.

use anyhow::{Result, bail};

use super::Round;
use crate::conformance::event::{Outgoing, ProducerStart};
use crate::conformance::features::Feature;

/// What a refusal must not look like: then the application would try again.
const NOT_REASONS: [&str; 4] = ["timeout", "timed out", "closed", "connect"];

/// Types of topics and messages, and what a library must have to send such a message.
const TYPES: [(&str, Option<Feature>); 4] = [
    ("normal", None),
    ("fifo", Some(Feature::Ordered)),
    ("delay", Some(Feature::DeliveryTime)),
    ("transaction", Some(Feature::Transactions)),
];

pub(super) fn run(round: &mut Round<'_>) -> Result<()> {
    let mut driver = round.start_driver()?;
    // It sends the other types, too.
    let group = format!("{}-producers", round.topic);
    let start = ProducerStart::of_transactions(&round.topic, &group);
    driver.start_producer_as(&start)?;
    for (of_topic, _) in TYPES {
        let topic = format!("{}-{of_topic}", round.topic);
        round.target.create_topic(&topic, of_topic)?;
        for (of_message, needs) in TYPES {
            if needs.is_some_and(|feature| round.lacks(feature)) {
                continue;
            }
            let message = message(&topic, of_message);
            let report = match of_message {
                "transaction" => driver.send_transaction(&message, "commit")?,
                _ => driver.send(&message)?,
            };
            match (report.failed.first(), of_topic == of_message) {
                (None, true) => {}
                (Some((_, error)), true) => {
                    bail!("a {of_topic} topic refused a {of_message} message: {error}")
                }
                (None, false) => bail!("a {of_topic} topic took a {of_message} message"),
                (Some((_, error)), false) => {
                    let lower = error.to_lowercase();
                    if NOT_REASONS.iter().any(|text| lower.contains(text)) {
                        bail!("a {of_topic} topic refused a {of_message} message so: {error}");
                    }
                }
            }
        }
    }
    driver.stop_producer()?;
    driver.exit()
}

fn message(topic: &str, message_type: &str) -> Outgoing {
    Outgoing {
        sharding_key: (message_type == "fifo").then(|| "shard".to_owned()),
        delay_ms: (message_type == "delay").then_some(1),
        ..Outgoing::keyed(topic, message_type)
    }
}
