//! Drives the Rust client (gRPC, plain text). The line protocol is in `../README.md`.
//!
//! The client has a producer and a simple consumer; it has no push consumer.

use std::collections::HashMap;
use std::sync::Arc;
use std::sync::atomic::{AtomicBool, AtomicU32, Ordering};
use std::time::Duration;

use base64::Engine as _;
use base64::engine::general_purpose::STANDARD;
use rocketmq::conf::{ClientOption, ProducerOption, SimpleConsumerOption};
use rocketmq::model::common::{FilterExpression, FilterType};
use rocketmq::model::message::{MessageBuilder, MessageView};
use rocketmq::{Producer, SimpleConsumer};
use serde::Deserialize;
use serde_json::{Value, json};
use tokio::io::{AsyncBufReadExt, BufReader};
use tokio::task::JoinHandle;

/// Runtimes that start side by side on two cores take longer than the default of 3 s.
const REQUEST_TIMEOUT: Duration = Duration::from_secs(10);
/// The client gives this to the server as the time to wait and to itself as the deadline of the
/// whole call.
const AWAIT: Duration = Duration::from_secs(10);
/// Between a receive that failed and the next one.
const PAUSE: Duration = Duration::from_millis(100);
const INVISIBLE: Duration = Duration::from_secs(10);
const BATCH: i32 = 32;

type Failure = Box<dyn std::error::Error + Send + Sync>;

#[derive(Deserialize)]
struct Envelope {
    command: u32,
    #[serde(flatten)]
    operation: Operation,
}

#[derive(Deserialize)]
#[serde(tag = "op")]
enum Operation {
    #[serde(rename = "producer.start")]
    StartProducer { topics: Vec<String> },
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
    StartConsumer {
        kind: String,
        topic: String,
        group: String,
        tags: String,
        hold: Option<String>,
    },
    #[serde(rename = "consumer.stop")]
    StopConsumer,
    #[serde(rename = "exit")]
    Exit,
}

#[derive(Deserialize)]
struct Outgoing {
    topic: String,
    keys: Vec<String>,
    tag: Option<String>,
    #[serde(default)]
    properties: HashMap<String, String>,
    body_base64: String,
}

/// The receive loop: told to stop by the flag, it ends after the receive under way.
struct Consumer {
    receiving: Arc<AtomicBool>,
    receive_loop: JoinHandle<SimpleConsumer>,
}

struct Driver {
    endpoint: String,
    producer: Option<Arc<Producer>>,
    consumer: Option<Consumer>,
}

impl Driver {
    async fn carry_out(&mut self, operation: Operation) -> Result<(), Failure> {
        match operation {
            Operation::StartProducer { topics } => {
                let mut option = ProducerOption::default();
                option.set_topics(topics);
                let mut producer = Producer::new(option, self.client_option())?;
                producer.start().await?;
                self.producer = Some(Arc::new(producer));
            }
            Operation::StopProducer => {
                let producer = self.producer.take().ok_or("no producer is running")?;
                let producer = Arc::into_inner(producer).ok_or("a send is still under way")?;
                producer.shutdown().await?;
            }
            Operation::Send(outgoing) => send(self.producer()?, outgoing).await,
            Operation::SendMany {
                topic,
                prefix,
                count,
                concurrency,
            } => {
                self.send_many(&topic, &prefix, count, concurrency).await?;
            }
            Operation::StartConsumer {
                kind,
                topic,
                group,
                tags,
                hold,
            } => {
                if kind != "simple" {
                    return Err(format!("unknown consumer kind {kind}").into());
                }
                self.start_consumer(topic, group, tags, hold).await?;
            }
            Operation::StopConsumer => {
                let consumer = self.consumer.take().ok_or("no consumer is running")?;
                consumer.receiving.store(false, Ordering::SeqCst);
                consumer.receive_loop.await?.shutdown().await?;
            }
            Operation::Exit => {}
        }
        Ok(())
    }

    fn client_option(&self) -> ClientOption {
        let mut option = ClientOption::default();
        option.set_access_url(self.endpoint.clone());
        option.set_enable_tls(false);
        option.set_timeout(REQUEST_TIMEOUT);
        option.set_long_polling_timeout(AWAIT);
        option
    }

    fn producer(&self) -> Result<&Producer, Failure> {
        Ok(self.producer.as_deref().ok_or("no producer is running")?)
    }

    async fn send_many(
        &self,
        topic: &str,
        prefix: &str,
        count: u32,
        concurrency: u32,
    ) -> Result<(), Failure> {
        let next = Arc::new(AtomicU32::new(0));
        let mut senders = Vec::new();
        for _ in 0..concurrency {
            let producer = Arc::clone(self.producer.as_ref().ok_or("no producer is running")?);
            let (next, topic, prefix) = (Arc::clone(&next), topic.to_owned(), prefix.to_owned());
            senders.push(tokio::spawn(async move {
                loop {
                    let index = next.fetch_add(1, Ordering::SeqCst);
                    if index >= count {
                        return;
                    }
                    let key = format!("{prefix}{index}");
                    let outgoing = Outgoing {
                        topic: topic.clone(),
                        body_base64: STANDARD.encode(&key),
                        keys: vec![key],
                        tag: None,
                        properties: HashMap::new(),
                    };
                    send(&producer, outgoing).await;
                }
            }));
        }
        for sender in senders {
            sender.await?;
        }
        Ok(())
    }

    async fn start_consumer(
        &mut self,
        topic: String,
        group: String,
        tags: String,
        hold: Option<String>,
    ) -> Result<(), Failure> {
        let mut option = SimpleConsumerOption::default();
        option.set_consumer_group(group);
        option.set_topics(vec![topic.clone()]);
        let mut consumer = SimpleConsumer::new(option, self.client_option())?;
        consumer.start().await?;
        let receiving = Arc::new(AtomicBool::new(true));
        let going_on = Arc::clone(&receiving);
        let receive_loop = tokio::spawn(async move {
            let filter = FilterExpression::new(FilterType::Tag, tags);
            while going_on.load(Ordering::SeqCst) {
                match consumer
                    .receive_with(&topic, &filter, BATCH, INVISIBLE)
                    .await
                {
                    Ok(messages) => {
                        for message in messages {
                            report(&message);
                            if !holds(hold.as_deref(), &message) {
                                acknowledge(&consumer, &message).await;
                            }
                        }
                    }
                    Err(reason) => {
                        write("warning", json!({ "error": reason.to_string() }));
                        tokio::time::sleep(PAUSE).await;
                    }
                }
            }
            consumer
        });
        self.consumer = Some(Consumer {
            receiving,
            receive_loop,
        });
        Ok(())
    }
}

async fn send(producer: &Producer, outgoing: Outgoing) {
    let key = outgoing.keys[0].clone();
    match try_send(producer, outgoing).await {
        Ok(id) => write("sent", json!({ "key": key, "id": id })),
        Err(reason) => write(
            "send_failed",
            json!({ "key": key, "error": reason.to_string() }),
        ),
    }
}

async fn try_send(producer: &Producer, outgoing: Outgoing) -> Result<String, Failure> {
    let mut builder = MessageBuilder::builder()
        .set_topic(outgoing.topic)
        .set_keys(outgoing.keys)
        .set_properties(outgoing.properties)
        .set_body(STANDARD.decode(outgoing.body_base64)?);
    if let Some(tag) = outgoing.tag {
        builder = builder.set_tag(tag);
    }
    Ok(producer
        .send(builder.build()?)
        .await?
        .message_id()
        .to_owned())
}

/// Whether this delivery must not be acknowledged: the first one of a message with a held key.
fn holds(hold: Option<&str>, message: &MessageView) -> bool {
    hold.is_some_and(|prefix| {
        message.delivery_attempt() <= 1 && message.keys().iter().any(|key| key.starts_with(prefix))
    })
}

async fn acknowledge(consumer: &SimpleConsumer, message: &MessageView) {
    match consumer.ack(message).await {
        Ok(()) => write("acked", json!({ "keys": message.keys() })),
        Err(reason) => {
            write(
                "ack_failed",
                json!({ "keys": message.keys(), "error": reason.to_string() }),
            );
        }
    }
}

fn report(message: &MessageView) {
    let mut fields = json!({
        "topic": message.topic(),
        "id": message.message_id(),
        "keys": message.keys(),
        "properties": message.properties(),
        "body_base64": STANDARD.encode(message.body()),
        "attempt": message.delivery_attempt(),
    });
    if let Some(tag) = message.tag() {
        fields["tag"] = json!(tag);
    }
    write("received", fields);
}

/// Writes one event as a line; `println!` locks the output, so lines never mix.
fn write(event: &str, mut fields: Value) {
    fields["event"] = json!(event);
    println!("{fields}");
}

#[tokio::main]
async fn main() -> Result<(), Failure> {
    let arguments: Vec<String> = std::env::args().skip(1).collect();
    let [flag, endpoint] = arguments.as_slice() else {
        return Err("usage: driver --endpoint HOST:PORT".into());
    };
    if flag != "--endpoint" {
        return Err(format!("unknown argument {flag}").into());
    }
    let mut driver = Driver {
        endpoint: endpoint.clone(),
        producer: None,
        consumer: None,
    };
    write("ready", json!({}));
    let mut lines = BufReader::new(tokio::io::stdin()).lines();
    while let Some(line) = lines.next_line().await? {
        let envelope: Envelope = serde_json::from_str(&line)?;
        let exits = matches!(envelope.operation, Operation::Exit);
        match driver.carry_out(envelope.operation).await {
            Ok(()) => write("done", json!({ "command": envelope.command })),
            Err(reason) => {
                write(
                    "failed",
                    json!({ "command": envelope.command, "error": reason.to_string() }),
                );
            }
        }
        if exits {
            // The client leaves tasks behind that would keep the runtime alive.
            std::process::exit(0);
        }
    }
    Ok(())
}
