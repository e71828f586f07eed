//! The line protocol between the scenarios and a driver, as `conformance/README.md` describes it.

use std::collections::BTreeMap;

use anyhow::{Context as _, Result};
use serde::{Deserialize, Serialize};

/// What a driver says, one JSON object a line.
#[derive(Debug, Deserialize)]
#[serde(tag = "event", rename_all = "snake_case")]
pub(crate) enum Event {
    /// The driver runs and takes commands.
    Ready,
    /// A command is done.
    Done { command: u32 },
    /// A command could not be carried out.
    Failed { command: u32, error: String },
    /// The server took a message.
    Sent { key: String },
    /// The client gave up on a message.
    SendFailed { key: String, error: String },
    /// The consumer got a message.
    Received(Received),
    /// The consumer acknowledged the message with these keys.
    Acked { keys: Vec<String> },
    /// The client could not acknowledge the message with these keys.
    AckFailed { keys: Vec<String>, error: String },
    /// The client reported something outside of any command.
    Warning { error: String },
}

/// A message as the client library shows it to an application.
#[derive(Debug, Deserialize)]
pub(crate) struct Received {
    /// The topic that the client names.
    pub(crate) topic: String,
    /// All keys, in any order.
    pub(crate) keys: Vec<String>,
    /// The tag, if there is one.
    pub(crate) tag: Option<String>,
    /// Properties; the Remoting clients mix the protocol's own with the user's.
    #[serde(default)]
    pub(crate) properties: BTreeMap<String, String>,
    /// The body.
    pub(crate) body_base64: String,
    /// Counts from 1.
    pub(crate) attempt: u32,
}

/// What a driver is told, one JSON object a line.
#[derive(Serialize)]
#[serde(tag = "op")]
pub(crate) enum Operation<'a> {
    /// Start the producer.
    #[serde(rename = "producer.start")]
    StartProducer {
        group: &'a str,
        topics: [&'a str; 1],
    },
    /// Stop the producer.
    #[serde(rename = "producer.stop")]
    StopProducer,
    /// Send one message with all that it carries.
    #[serde(rename = "send")]
    Send(&'a Outgoing),
    /// Send `count` messages with the keys `prefix` + 0, 1, ...; the body is the key.
    #[serde(rename = "send_many")]
    SendMany {
        topic: &'a str,
        prefix: &'a str,
        count: u32,
        concurrency: u32,
    },
    /// Start the consumer. Messages whose first key starts with `hold` are not acknowledged at
    /// their first delivery.
    #[serde(rename = "consumer.start")]
    StartConsumer {
        kind: &'a str,
        topic: &'a str,
        group: &'a str,
        tags: &'a str,
        #[serde(skip_serializing_if = "Option::is_none")]
        hold: Option<&'a str>,
    },
    /// Stop the consumer.
    #[serde(rename = "consumer.stop")]
    StopConsumer,
    /// End the process.
    #[serde(rename = "exit")]
    Exit,
}

/// A message to send.
#[derive(Clone, Debug, Serialize)]
pub(crate) struct Outgoing {
    /// The topic.
    pub(crate) topic: String,
    /// At least one; the first names the message in events.
    pub(crate) keys: Vec<String>,
    /// The tag, if any.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub(crate) tag: Option<String>,
    /// The user's properties.
    pub(crate) properties: BTreeMap<String, String>,
    /// The body.
    pub(crate) body_base64: String,
}

#[derive(Serialize)]
struct Command<'a> {
    command: u32,
    #[serde(flatten)]
    operation: &'a Operation<'a>,
}

/// A command as the line that a driver reads, with its line feed.
pub(crate) fn encode(command: u32, operation: &Operation<'_>) -> Result<String> {
    let mut line =
        serde_json::to_string(&Command { command, operation }).context("encode command")?;
    line.push('\n');
    Ok(line)
}

/// An event from the line that a driver wrote.
pub(crate) fn decode(line: &str) -> Result<Event> {
    serde_json::from_str(line).with_context(|| format!("decode event `{line}`"))
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn commands_are_one_line_with_their_number() {
        let line = encode(7, &Operation::StopConsumer).expect("encode");
        assert_eq!(line, "{\"command\":7,\"op\":\"consumer.stop\"}\n");
    }

    #[test]
    fn a_received_message_keeps_every_part() {
        let line = r#"{"event":"received","topic":"t","id":"x","keys":["k"],"tag":"g","properties":{"p":"v"},"body_base64":"aGk=","attempt":2}"#;
        let Ok(Event::Received(received)) = decode(line) else {
            panic!("not received")
        };
        assert_eq!((received.topic.as_str(), received.attempt), ("t", 2));
        assert_eq!(received.properties.get("p").map(String::as_str), Some("v"));
        assert_eq!(received.tag.as_deref(), Some("g"));
    }

    #[test]
    fn unknown_events_are_refused() {
        assert!(decode(r#"{"event":"surprise"}"#).is_err());
    }
}
