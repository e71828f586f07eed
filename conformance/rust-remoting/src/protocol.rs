//! The commands and events of the line protocol.

use std::collections::HashMap;
use std::error::Error;

use rocketmq_client_rust::ClientError;
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
    #[serde(rename = "send_batch")]
    SendBatch { topic: String, keys: Vec<String> },
    #[serde(rename = "send_transaction")]
    SendTransaction {
        #[serde(flatten)]
        outgoing: Outgoing,
        local: String,
    },
    #[serde(rename = "request")]
    Request {
        #[serde(flatten)]
        outgoing: Outgoing,
        timeout_ms: u64,
    },
    #[serde(rename = "recall")]
    Recall {
        topic: String,
        recall_handle: String,
    },
    #[serde(rename = "send_many")]
    SendMany {
        topic: String,
        prefix: String,
        count: u32,
        concurrency: u32,
    },
    #[serde(rename = "consumer.start")]
    StartConsumer(Subscription),
    #[serde(rename = "consumer.seek")]
    Seek {
        to: String,
        timestamp_ms: Option<u64>,
    },
    #[serde(rename = "consumer.stop")]
    StopConsumer,
    #[serde(rename = "exit")]
    Exit,
}

/// What producers and consumers have in common.
#[derive(Clone, Deserialize)]
pub struct Session {
    pub namespace: Option<String>,
    pub access_key: Option<String>,
    pub secret_key: Option<String>,
    #[serde(default)]
    pub trace: bool,
}

#[derive(Deserialize)]
pub struct ProducerOptions {
    pub group: String,
    pub kind: Option<String>,
    #[serde(default)]
    pub uncompressed: bool,
    #[serde(flatten)]
    pub session: Session,
}

#[derive(Deserialize)]
pub struct Subscription {
    pub kind: String,
    pub topic: String,
    pub group: String,
    pub tags: String,
    pub sql: Option<String>,
    pub model: Option<String>,
    #[serde(default)]
    pub ordered: bool,
    pub hold: Option<String>,
    pub fail: Option<String>,
    pub max_attempts: Option<i32>,
    #[serde(default)]
    pub replies: bool,
    #[serde(flatten)]
    pub session: Session,
}

#[derive(Deserialize)]
pub struct Outgoing {
    pub topic: String,
    pub keys: Vec<String>,
    pub tag: Option<String>,
    #[serde(default)]
    pub properties: HashMap<String, String>,
    pub body_base64: String,
    pub sharding_key: Option<String>,
    pub delay_level: Option<i32>,
    pub delay_ms: Option<u64>,
    pub deliver_at_ms: Option<u64>,
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
            sharding_key: None,
            delay_level: None,
            delay_ms: None,
            deliver_at_ms: None,
        }
    }
}

impl Subscription {
    /// Whether this delivery must not be acknowledged.
    pub fn fails(&self, message: &MessageExt) -> bool {
        let keys = keys(message);
        let named = |prefix: &Option<String>| {
            prefix
                .as_ref()
                .is_some_and(|prefix| keys.iter().any(|key| key.starts_with(prefix)))
        };
        named(&self.fail) || attempt(message) == 1 && named(&self.hold)
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

/// An error with its causes, and the code of the server's answer: the client drops the reason that
/// the server gives.
pub fn describe(reason: &(dyn Error + 'static)) -> String {
    let mut text = reason.to_string();
    let code = reason
        .downcast_ref::<ClientError>()
        .and_then(ClientError::broker_response_code);
    if let Some(code) = code {
        text = format!("{text}, code {code}");
    }
    let mut cause = reason.source();
    while let Some(reason) = cause {
        text = format!("{text}: {reason}");
        cause = reason.source();
    }
    text
}
