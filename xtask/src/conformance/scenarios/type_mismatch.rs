//! A topic takes messages of its own type and refuses those of each other type, with a reason.

use anyhow::{Result, bail};

use super::Round;
use crate::conformance::driver::Driver;
use crate::conformance::event::{Outgoing, ProducerStart};
use crate::conformance::features::Feature;

/// What a refusal must not look like: then the application would try again.
const NOT_REASONS: [&str; 4] = ["timeout", "timed out", "closed", "connect"];

/// A type of topics and messages.
struct Type {
    name: &'static str,
    /// What a library must have to send such a message.
    needs: Option<Feature>,
}

impl Type {
    const fn new(name: &'static str, needs: Option<Feature>) -> Self {
        Self { name, needs }
    }
}

const TYPES: [Type; 6] = [
    Type::new("normal", None),
    Type::new("fifo", Some(Feature::Ordered)),
    Type::new("delay", Some(Feature::DeliveryTime)),
    Type::new("transaction", Some(Feature::Transactions)),
    Type::new("priority", Some(Feature::Priority)),
    Type::new("lite", Some(Feature::LiteTopics)),
];

pub(super) fn run(round: &mut Round<'_>) -> Result<()> {
    let mut driver = round.start_driver()?;
    // It sends the other types, too.
    let group = format!("{}-producers", round.topic);
    let start = ProducerStart::of_transactions(&round.topic, &group);
    driver.start_producer_as(&start)?;
    for Type { name: of_topic, .. } in TYPES {
        let topic = format!("{}-{of_topic}", round.topic);
        round.target.create_topic(&topic, of_topic)?;
        for of_message in TYPES {
            let sends = of_message.needs.is_none_or(|need| !round.lacks(need));
            if sends {
                send(&mut driver, &topic, of_topic, of_message.name)?;
            }
        }
    }
    driver.stop_producer()?;
    driver.exit()
}

fn send(driver: &mut Driver, topic: &str, of_topic: &str, of_message: &str) -> Result<()> {
    let message = message(topic, of_message);
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
    Ok(())
}

fn message(topic: &str, message_type: &str) -> Outgoing {
    Outgoing {
        sharding_key: (message_type == "fifo").then(|| "shard".to_owned()),
        delay_ms: (message_type == "delay").then_some(1),
        priority: (message_type == "priority").then_some(1),
        lite_topic: (message_type == "lite").then(|| "lite-1".to_owned()),
        ..Outgoing::keyed(topic, message_type)
    }
}
