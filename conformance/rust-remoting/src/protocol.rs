//! The commands and events of the line protocol.

use std::collections::HashMap;

use rocketmq_model::common::message::MessageTrait;
use rocketmq_model::common::message::message_ext::MessageExt;
use serde::Deserialize;
use serde_json::{Value, json};

use base64::Engine as _;
use base64::engine::general_purpose::STANDARD;

#[derive(Deserialize)]
pub struct Envelope {
    pub command: u32,
    #[serde(flatten)]
    pub operation: Operation,
}

#[derive(Deserialize)]
#[serde(tag = "op")]
pub enum Operation {
    #[serde(rename = "producer.start")]
    StartProducer(ProducerOptions),
    #[serde(rename = "producer.stop")]
    StopProducer,
    #[serde(rename = "send")]
    Send(Outgoing),
    #[serde(rename = "send_many")]
    SendMany {
        topic: String,
        prefix: String,
        count: u32,
        concurrency: u32,
    },
    #[serde(rename = "consumer.start")]
    StartConsumer(Subscription),
    #[serde(rename = "consumer.stop")]
    StopConsumer,
    #[serde(rename = "exit")]
    Exit,
}

/// What producers and consumers have in common.
#[derive(Clone, Deserialize)]
pub struct ConnectionOptions {
    #[serde(default)]
    pub namespace: Option<String>,
    #[serde(default)]
    pub access_key: Option<String>,
    #[serde(default)]
    pub secret_key: Option<String>,
}

#[derive(Deserialize)]
pub struct ProducerOptions {
    pub group: String,
    #[serde(flatten)]
    pub connection: ConnectionOptions,
}

#[derive(Deserialize)]
pub struct Subscription {
    pub kind: String,
    pub topic: String,
    pub group: String,
    pub tags: String,
    pub hold: Option<String>,
    #[serde(flatten)]
    pub connection: ConnectionOptions,
}

#[derive(Deserialize)]
pub struct Outgoing {
    pub topic: String,
    pub keys: Vec<String>,
    pub tag: Option<String>,
    #[serde(default)]
    pub properties: HashMap<String, String>,
    pub body_base64: String,
}

impl Outgoing {
    /// A message whose body is its key.
    pub fn plain(topic: &str, key: String) -> Self {
        Self {
            topic: topic.to_owned(),
            body_base64: STANDARD.encode(&key),
            keys: vec![key],
            tag: None,
            properties: HashMap::new(),
        }
    }
}

impl Subscription {
    /// Whether this delivery must not be acknowledged: the first one of a message with a held key.
    pub fn holds(&self, message: &MessageExt) -> bool {
        self.hold.as_ref().is_some_and(|prefix| {
            attempt(message) == 1 && keys(message).iter().any(|key| key.starts_with(prefix))
        })
    }
}

pub fn keys(message: &MessageExt) -> Vec<String> {
    message
        .get_keys()
        .map(|keys| keys.split_char(' ').map(str::to_owned).collect())
        .unwrap_or_default()
}

fn attempt(message: &MessageExt) -> i32 {
    message.reconsume_times() + 1
}

pub fn received(message: &MessageExt) {
    let properties: HashMap<&str, &str> = message
        .properties()
        .iter()
        .map(|(name, value)| (name.as_str(), value.as_str()))
        .collect();
    let mut fields = json!({
        "topic": message.topic().as_str(),
        "id": message.msg_id().as_str(),
        "keys": keys(message),
        "properties": properties,
        "body_base64": STANDARD.encode(message.body().unwrap_or_default()),
        "attempt": attempt(message),
    });
    if let Some(tag) = message.get_tags() {
        fields["tag"] = json!(tag.as_str());
    }
    write("received", fields);
}

pub fn acked(message: &MessageExt) {
    write("acked", json!({ "keys": keys(message) }));
}

/// Writes one event as a line; `println!` locks the output, so lines never mix.
pub fn write(event: &str, mut fields: Value) {
    fields["event"] = json!(event);
    println!("{fields}");
}
