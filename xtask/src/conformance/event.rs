//! The line protocol between the scenarios and a driver, as `conformance/README.md` describes it.

use std::collections::BTreeMap;

use anyhow::{Context as _, Result};
use base64::Engine as _;
use base64::engine::general_purpose::STANDARD;
use serde::{Deserialize, Serialize};

use super::clients::ConsumerKind;
use super::process::Line;

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
    /// The server took a message; of a timed one, what takes it back.
    Sent {
        key: String,
        recall_handle: Option<String>,
        /// When the driver said so, in milliseconds since 1970.
        #[serde(skip)]
        at_ms: u64,
    },
    /// The client gave up on a message.
    SendFailed { key: String, error: String },
    /// A request was answered.
    Replied { key: String, body_base64: String },
    /// The checker of transactions was asked about a message, and answers.
    TransactionChecked { key: String },
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
    /// The LiteTopic inside the topic, if it is of one.
    pub(crate) lite_topic: Option<String>,
    /// When the driver said so, in milliseconds since 1970.
    #[serde(skip)]
    pub(crate) at_ms: u64,
}

impl Received {
    /// The key of a message that was sent with one.
    pub(crate) fn key(&self) -> &str {
        self.keys.first().map_or("", String::as_str)
    }
}

/// What a driver is told, one JSON object a line.
#[derive(Serialize)]
#[serde(tag = "op")]
pub(crate) enum Operation<'a> {
    /// Start the producer.
    #[serde(rename = "producer.start")]
    StartProducer(&'a ProducerStart<'a>),
    /// Stop the producer.
    #[serde(rename = "producer.stop")]
    StopProducer,
    /// Send one message with all that it carries.
    #[serde(rename = "send")]
    Send(&'a Outgoing),
    /// Send one message for each key in a single request; the body is the key.
    #[serde(rename = "send_batch")]
    SendBatch { topic: &'a str, keys: &'a [String] },
    /// Send a half message and end its transaction as `local` says.
    #[serde(rename = "send_transaction")]
    SendTransaction {
        #[serde(flatten)]
        outgoing: &'a Outgoing,
        local: &'a str,
    },
    /// Send a message and wait for its reply.
    #[serde(rename = "request")]
    Request {
        #[serde(flatten)]
        outgoing: &'a Outgoing,
        timeout_ms: u64,
    },
    /// Take back a timed message.
    #[serde(rename = "recall")]
    Recall {
        topic: &'a str,
        recall_handle: &'a str,
    },
    /// Send `count` messages with the keys `prefix` + 0, 1, ...; the body is the key.
    #[serde(rename = "send_many")]
    SendMany {
        topic: &'a str,
        prefix: &'a str,
        count: u32,
        concurrency: u32,
        #[serde(skip_serializing_if = "Option::is_none")]
        sharding_key: Option<&'a str>,
    },
    /// Send until told to stop.
    #[serde(rename = "stream.start")]
    StartStream(&'a StreamStart<'a>),
    /// Stop that, and wait for what is under way.
    #[serde(rename = "stream.stop")]
    StopStream,
    /// Start the consumer.
    #[serde(rename = "consumer.start")]
    StartConsumer(&'a ConsumerStart<'a>),
    /// Set the position of a consumer that polls.
    #[serde(rename = "consumer.seek")]
    Seek {
        to: &'a str,
        #[serde(skip_serializing_if = "Option::is_none")]
        timestamp_ms: Option<u64>,
    },
    /// Have a lite consumer get the messages of a LiteTopic too.
    #[serde(rename = "consumer.subscribe_lite")]
    SubscribeLite { lite_topic: &'a str },
    /// Have it get them no longer.
    #[serde(rename = "consumer.unsubscribe_lite")]
    UnsubscribeLite { lite_topic: &'a str },
    /// Stop the consumer.
    #[serde(rename = "consumer.stop")]
    StopConsumer,
    /// End the process.
    #[serde(rename = "exit")]
    Exit,
}

/// Who a client says it is, and whether it traces.
#[derive(Clone, Debug, Default, Serialize)]
pub(crate) struct Session {
    /// The client's namespace.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub(crate) namespace: Option<String>,
    /// Signs the requests, together with the secret key.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub(crate) access_key: Option<String>,
    /// Its secret.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub(crate) secret_key: Option<String>,
    /// Whether the library traces messages.
    #[serde(skip_serializing_if = "is_false")]
    pub(crate) trace: bool,
    /// Whether its timeouts and pauses are the library's own.
    #[serde(skip_serializing_if = "is_false")]
    pub(crate) own_times: bool,
}

/// How to start a producer.
#[derive(Clone, Debug, Serialize)]
pub(crate) struct ProducerStart<'a> {
    /// The producer group.
    pub(crate) group: &'a str,
    /// The topics that it will send to.
    pub(crate) topics: [&'a str; 1],
    /// `normal` or `transaction`.
    pub(crate) kind: &'a str,
    /// Whether bodies travel as they are, however large.
    #[serde(skip_serializing_if = "is_false")]
    pub(crate) uncompressed: bool,
    /// Who it is.
    #[serde(flatten)]
    pub(crate) session: Session,
}

impl<'a> ProducerStart<'a> {
    /// The producer group of every driver unless the scenario says otherwise.
    const GROUP: &'static str = "conformance-producer";

    /// An ordinary producer.
    pub(crate) fn of(topic: &'a str) -> Self {
        Self {
            group: Self::GROUP,
            topics: [topic],
            kind: "normal",
            uncompressed: false,
            session: Session::default(),
        }
    }

    /// A producer of half messages.
    pub(crate) fn of_transactions(topic: &'a str, group: &'a str) -> Self {
        Self {
            group,
            kind: "transaction",
            ..Self::of(topic)
        }
    }
}

/// Lanes that send keys `prefix` + lane + `-` + 0, 1, ... each, one after the other.
#[derive(Clone, Debug, Serialize)]
pub(crate) struct StreamStart<'a> {
    /// The topic.
    pub(crate) topic: &'a str,
    /// What all keys begin with.
    pub(crate) prefix: &'a str,
    /// How many lanes.
    pub(crate) lanes: u32,
    /// Between two messages of a lane, in milliseconds.
    pub(crate) interval_ms: u64,
    /// Whether a lane is a message group: then a message that failed is sent until it is stored.
    #[serde(skip_serializing_if = "is_false")]
    pub(crate) ordered: bool,
    /// A property that carries the message group too.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub(crate) group_property: Option<&'a str>,
}

/// How to start a consumer.
#[derive(Clone, Debug, Serialize)]
pub(crate) struct ConsumerStart<'a> {
    /// The name of its kind.
    pub(crate) kind: &'a str,
    /// The topic.
    pub(crate) topic: &'a str,
    /// The consumer group.
    pub(crate) group: &'a str,
    /// The tag expression.
    pub(crate) tags: &'a str,
    /// An SQL92 filter in place of the tags.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub(crate) sql: Option<&'a str>,
    /// Whether every consumer of the group gets every message.
    #[serde(rename = "model", skip_serializing_if = "is_false")]
    #[serde(serialize_with = "broadcasting")]
    pub(crate) broadcasting: bool,
    /// Whether the listener is the ordered one; over gRPC, where the group says that, whether it
    /// is called for several message groups at a time.
    #[serde(skip_serializing_if = "is_false")]
    pub(crate) ordered: bool,
    /// Messages whose key starts with it are not acknowledged at their first delivery.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub(crate) hold: Option<&'a str>,
    /// Messages whose key starts with it are never acknowledged.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub(crate) fail: Option<&'a str>,
    /// The library's limit of deliveries, the first included.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub(crate) max_attempts: Option<u32>,
    /// The delay level that the listener asks for when it fails.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub(crate) retry_level: Option<u32>,
    /// Whether it is the library's consumer that chooses LiteTopics of the topic.
    #[serde(skip_serializing_if = "is_false")]
    pub(crate) lite: bool,
    /// Whether it answers requests.
    #[serde(skip_serializing_if = "is_false")]
    pub(crate) replies: bool,
    /// Invisible durations that a simple consumer gives to messages, by the start of their keys.
    #[serde(skip_serializing_if = "BTreeMap::is_empty")]
    pub(crate) invisible_ms: BTreeMap<&'a str, u64>,
    /// Who it is.
    #[serde(flatten)]
    pub(crate) session: Session,
}

impl<'a> ConsumerStart<'a> {
    /// A consumer of all messages.
    pub(crate) fn of(kind: ConsumerKind, topic: &'a str, group: &'a str) -> Self {
        Self {
            kind: kind.name(),
            topic,
            group,
            tags: "*",
            sql: None,
            broadcasting: false,
            ordered: false,
            hold: None,
            fail: None,
            max_attempts: None,
            retry_level: None,
            lite: false,
            replies: false,
            invisible_ms: BTreeMap::new(),
            session: Session::default(),
        }
    }
}

#[expect(
    clippy::trivially_copy_pass_by_ref,
    reason = "the signature that serde calls"
)]
fn is_false(value: &bool) -> bool {
    !value
}

#[expect(
    clippy::trivially_copy_pass_by_ref,
    reason = "the signature that serde calls"
)]
fn broadcasting<S: serde::Serializer>(_: &bool, serializer: S) -> Result<S::Ok, S::Error> {
    serializer.serialize_str("broadcasting")
}

/// A message to send.
#[derive(Clone, Debug, Default, Serialize)]
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
    /// Messages with the same one are in one queue.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub(crate) sharding_key: Option<String>,
    /// How long to hold it back, as one of the 18 levels.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub(crate) delay_level: Option<u32>,
    /// How long to hold it back, in milliseconds.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub(crate) delay_ms: Option<u64>,
    /// Until when to hold it back, in milliseconds since 1970.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub(crate) deliver_at_ms: Option<u64>,
    /// How urgent it is; higher is more.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub(crate) priority: Option<u32>,
    /// The LiteTopic inside the topic.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub(crate) lite_topic: Option<String>,
}

impl Outgoing {
    /// A message whose body is its key.
    pub(crate) fn keyed(topic: &str, key: &str) -> Self {
        Self {
            topic: topic.to_owned(),
            keys: vec![key.to_owned()],
            body_base64: STANDARD.encode(key),
            ..Self::default()
        }
    }

    /// The key that names it in events.
    pub(crate) fn key(&self) -> &str {
        self.keys.first().map_or("", String::as_str)
    }

    /// The same with a tag.
    pub(crate) fn tag(mut self, tag: &str) -> Self {
        self.tag = Some(tag.to_owned());
        self
    }

    /// The same with a property.
    pub(crate) fn property(mut self, name: &str, value: &str) -> Self {
        self.properties.insert(name.to_owned(), value.to_owned());
        self
    }
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
pub(crate) fn decode(line: &Line) -> Result<Event> {
    let text = &line.text;
    let mut event = serde_json::from_str(text).with_context(|| format!("decode event `{text}`"))?;
    match &mut event {
        Event::Received(received) => received.at_ms = line.at_ms,
        Event::Sent { at_ms, .. } => *at_ms = line.at_ms,
        _ => {}
    }
    Ok(event)
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
        let Ok(Event::Received(received)) = decode(&Line::of(line)) else {
            panic!("not received")
        };
        assert_eq!((received.topic.as_str(), received.attempt), ("t", 2));
        assert_eq!(received.properties.get("p").map(String::as_str), Some("v"));
        assert_eq!(received.tag.as_deref(), Some("g"));
    }

    #[test]
    fn what_is_not_asked_for_is_not_said() {
        let start = ConsumerStart::of(ConsumerKind::Push, "t", "g");
        let plain = encode(1, &Operation::StartConsumer(&start)).expect("encode");
        assert_eq!(
            plain,
            "{\"command\":1,\"op\":\"consumer.start\",\"kind\":\"push\",\"topic\":\"t\",\
             \"group\":\"g\",\"tags\":\"*\"}\n"
        );
        let start = ConsumerStart {
            broadcasting: true,
            ..start
        };
        let line = encode(1, &Operation::StartConsumer(&start)).expect("encode");
        assert!(line.contains("\"model\":\"broadcasting\""), "{line}");
    }

    #[test]
    fn unknown_events_are_refused() {
        assert!(decode(&Line::of(r#"{"event":"surprise"}"#)).is_err());
    }
}
