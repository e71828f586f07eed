//! Drives the Rust client (gRPC, plain text). The line protocol is in `../README.md`.
//!
//! The client has a producer and a simple consumer; it has no push consumer.

use std::collections::{HashMap, VecDeque};
use std::sync::Arc;
use std::sync::atomic::{AtomicBool, Ordering};
use std::time::{Duration, SystemTime, UNIX_EPOCH};

use base64::Engine as _;
use base64::engine::general_purpose::STANDARD;
use rocketmq::conf::{ClientOption, ProducerOption, SimpleConsumerOption};
use rocketmq::model::common::{FilterExpression, FilterType};
use rocketmq::model::message::{MessageBuilder, MessageView};
use rocketmq::model::transaction::{Transaction as _, TransactionResolution};
use rocketmq::{Producer, SimpleConsumer};
use serde::Deserialize;
use serde_json::{Value, json};
use tokio::io::{AsyncBufReadExt, BufReader};
use tokio::sync::Mutex;
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
    StartProducer {
        topics: Vec<String>,
        #[serde(default)]
        kind: String,
        #[serde(flatten)]
        session: Session,
    },
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
    #[serde(rename = "send_many")]
    SendMany {
        topic: String,
        prefix: String,
        count: u32,
        concurrency: u32,
        sharding_key: Option<String>,
    },
    #[serde(rename = "consumer.start")]
    StartConsumer(Subscription),
    #[serde(rename = "consumer.stop")]
    StopConsumer,
    #[serde(rename = "exit")]
    Exit,
    #[serde(other)]
    Other,
}

#[derive(Deserialize)]
struct Session {
    namespace: Option<String>,
    access_key: Option<String>,
    secret_key: Option<String>,
    #[serde(default)]
    trace: bool,
}

#[derive(Deserialize)]
struct Subscription {
    kind: String,
    topic: String,
    group: String,
    tags: String,
    sql: Option<String>,
    model: Option<String>,
    hold: Option<String>,
    fail: Option<String>,
    #[serde(default)]
    replies: bool,
    #[serde(default)]
    invisible_ms: HashMap<String, u64>,
    #[serde(flatten)]
    session: Session,
}

impl Subscription {
    /// Whether this delivery must not be acknowledged: the first of a held message, each of a
    /// failing one.
    fn fails(&self, message: &MessageView) -> bool {
        let starts_with = |prefix: &Option<String>| {
            prefix
                .as_ref()
                .is_some_and(|prefix| message.keys().iter().any(|key| key.starts_with(prefix)))
        };
        (message.delivery_attempt() <= 1 && starts_with(&self.hold)) || starts_with(&self.fail)
    }
}

#[derive(Deserialize)]
struct Outgoing {
    topic: String,
    keys: Vec<String>,
    tag: Option<String>,
    #[serde(default)]
    properties: HashMap<String, String>,
    body_base64: String,
    sharding_key: Option<String>,
    delay_level: Option<u32>,
    delay_ms: Option<u64>,
    deliver_at_ms: Option<u64>,
    priority: Option<u32>,
    lite_topic: Option<String>,
}

impl Outgoing {
    /// A message whose body is its key.
    fn keyed(topic: &str, key: String) -> Self {
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
            priority: None,
            lite_topic: None,
        }
    }

    /// When it is due, in full seconds: the client knows nothing finer.
    fn deliver_at_seconds(&self) -> Result<Option<i64>, Failure> {
        let now = SystemTime::now().duration_since(UNIX_EPOCH)?;
        let at = match (self.delay_ms, self.deliver_at_ms) {
            (Some(delay_ms), _) => now + Duration::from_millis(delay_ms),
            (None, Some(at_ms)) => Duration::from_millis(at_ms),
            (None, None) => return Ok(None),
        };
        let up = u64::from(at.subsec_nanos() > 0);
        Ok(Some(i64::try_from(at.as_secs() + up)?))
    }

    fn builder(self) -> Result<MessageBuilder, Failure> {
        unsupported_if(self.delay_level.is_some(), "delay levels")?;
        unsupported_if(self.priority.is_some(), "priority")?;
        unsupported_if(self.lite_topic.is_some(), "LiteTopics")?;
        let deliver_at = self.deliver_at_seconds()?;
        let mut builder = MessageBuilder::builder()
            .set_topic(self.topic)
            .set_keys(self.keys)
            .set_properties(self.properties)
            .set_body(STANDARD.decode(self.body_base64)?);
        if let Some(tag) = self.tag {
            builder = builder.set_tag(tag);
        }
        if let Some(group) = self.sharding_key {
            builder = builder.set_message_group(group);
        }
        if let Some(seconds) = deliver_at {
            builder = builder.set_delivery_timestamp(seconds);
        }
        Ok(builder)
    }
}

/// The library has no such thing; `clients.rs` says for what each one lacks.
fn unsupported_if(asked: bool, what: &str) -> Result<(), Failure> {
    if asked {
        return Err(format!("unsupported: {what}").into());
    }
    Ok(())
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
            Operation::StartProducer {
                topics,
                kind,
                session,
            } => self.start_producer(topics, &kind, &session).await?,
            Operation::StopProducer => {
                let producer = self.producer.take().ok_or("no producer is running")?;
                let producer = Arc::into_inner(producer).ok_or("a send is still under way")?;
                producer.shutdown().await?;
            }
            Operation::Send(outgoing) => send(self.producer()?, outgoing).await?,
            Operation::SendBatch { topic, keys } => {
                send_batch(self.producer()?, &topic, keys).await?;
            }
            Operation::SendTransaction { outgoing, local } => {
                let key = outgoing.keys[0].clone();
                let sent = send_transaction(self.producer()?, outgoing, &local).await;
                report_send(&key, sent)?;
            }
            Operation::SendMany {
                topic,
                prefix,
                count,
                concurrency,
                sharding_key,
            } => {
                let message = |index: u32| Outgoing {
                    sharding_key: sharding_key
                        .as_ref()
                        .map(|shard| shard.replace('#', &index.to_string())),
                    ..Outgoing::keyed(&topic, format!("{prefix}{index}"))
                };
                let messages = (0..count).map(message).collect();
                self.send_many(messages, concurrency).await?;
            }
            Operation::StartConsumer(subscription) => self.start_consumer(subscription).await?,
            Operation::StopConsumer => {
                let consumer = self.consumer.take().ok_or("no consumer is running")?;
                consumer.receiving.store(false, Ordering::SeqCst);
                consumer.receive_loop.await?.shutdown().await?;
            }
            Operation::Exit => {}
            Operation::Other => return unsupported_if(true, "this operation"),
        }
        Ok(())
    }

    async fn start_producer(
        &mut self,
        topics: Vec<String>,
        kind: &str,
        session: &Session,
    ) -> Result<(), Failure> {
        let mut option = ProducerOption::default();
        option.set_topics(topics);
        let client_option = self.client_option(session)?;
        let mut producer = if kind == "transaction" {
            Producer::new_transaction_producer(option, client_option, Box::new(check))?
        } else {
            Producer::new(option, client_option)?
        };
        producer.start().await?;
        self.producer = Some(Arc::new(producer));
        Ok(())
    }

    fn client_option(&self, session: &Session) -> Result<ClientOption, Failure> {
        unsupported_if(session.namespace.is_some(), "namespace")?;
        unsupported_if(session.trace, "trace")?;
        let mut option = ClientOption::default();
        option.set_access_url(self.endpoint.clone());
        option.set_enable_tls(false);
        option.set_timeout(REQUEST_TIMEOUT);
        option.set_long_polling_timeout(AWAIT);
        if let (Some(access_key), Some(secret_key)) = (&session.access_key, &session.secret_key) {
            option.set_access_key(access_key);
            option.set_secret_key(secret_key);
        }
        Ok(option)
    }

    fn producer(&self) -> Result<&Producer, Failure> {
        Ok(self.producer.as_deref().ok_or("no producer is running")?)
    }

    async fn send_many(
        &self,
        messages: VecDeque<Outgoing>,
        concurrency: u32,
    ) -> Result<(), Failure> {
        let waiting = Arc::new(Mutex::new(messages));
        let mut senders = Vec::new();
        for _ in 0..concurrency {
            let producer = Arc::clone(self.producer.as_ref().ok_or("no producer is running")?);
            let waiting = Arc::clone(&waiting);
            senders.push(tokio::spawn(async move {
                loop {
                    let next = waiting.lock().await.pop_front();
                    let Some(outgoing) = next else { return };
                    // A message of these parts is one that the library has.
                    let _ = send(&producer, outgoing).await;
                }
            }));
        }
        for sender in senders {
            sender.await?;
        }
        Ok(())
    }

    async fn start_consumer(&mut self, subscription: Subscription) -> Result<(), Failure> {
        let Subscription { kind, model, .. } = &subscription;
        unsupported_if(kind != "simple", &format!("consumer kind {kind}"))?;
        unsupported_if(model.as_deref() == Some("broadcasting"), "broadcasting")?;
        unsupported_if(subscription.replies, "request-reply")?;
        unsupported_if(!subscription.invisible_ms.is_empty(), "invisible durations")?;
        let mut option = SimpleConsumerOption::default();
        option.set_consumer_group(&subscription.group);
        option.set_topics(vec![subscription.topic.clone()]);
        let client_option = self.client_option(&subscription.session)?;
        let mut consumer = SimpleConsumer::new(option, client_option)?;
        consumer.start().await?;
        let receiving = Arc::new(AtomicBool::new(true));
        let receive_loop = tokio::spawn(receive(consumer, subscription, Arc::clone(&receiving)));
        self.consumer = Some(Consumer {
            receiving,
            receive_loop,
        });
        Ok(())
    }
}

async fn receive(
    consumer: SimpleConsumer,
    subscription: Subscription,
    receiving: Arc<AtomicBool>,
) -> SimpleConsumer {
    let filter = match &subscription.sql {
        Some(sql) => FilterExpression::new(FilterType::Sql, sql),
        None => FilterExpression::new(FilterType::Tag, &subscription.tags),
    };
    while receiving.load(Ordering::SeqCst) {
        match consumer
            .receive_with(&subscription.topic, &filter, BATCH, INVISIBLE)
            .await
        {
            Ok(messages) => {
                for message in messages {
                    report(&message);
                    if !subscription.fails(&message) {
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
}

/// Answers by the message alone.
fn check(_transaction: String, message: MessageView) -> TransactionResolution {
    write("transaction_checked", json!({ "key": message.keys()[0] }));
    match message.properties().get("check").map(String::as_str) {
        Some("commit") => TransactionResolution::COMMIT,
        Some("rollback") => TransactionResolution::ROLLBACK,
        _ => TransactionResolution::UNKNOWN,
    }
}

async fn send(producer: &Producer, outgoing: Outgoing) -> Result<(), Failure> {
    let key = outgoing.keys[0].clone();
    report_send(&key, try_send(producer, outgoing).await)
}

/// A failure of the message is an event; that the library has no such thing is one of the command.
fn report_send(key: &str, sent: Result<String, Failure>) -> Result<(), Failure> {
    match sent {
        Ok(id) => write("sent", json!({ "key": key, "id": id })),
        Err(reason) if reason.to_string().starts_with("unsupported") => return Err(reason),
        Err(reason) => write(
            "send_failed",
            json!({ "key": key, "error": reason.to_string() }),
        ),
    }
    Ok(())
}

async fn try_send(producer: &Producer, outgoing: Outgoing) -> Result<String, Failure> {
    let message = outgoing.builder()?.build()?;
    Ok(producer.send(message).await?.message_id().to_owned())
}

async fn send_batch(producer: &Producer, topic: &str, keys: Vec<String>) -> Result<(), Failure> {
    let mut messages = Vec::new();
    for key in &keys {
        messages.push(Outgoing::keyed(topic, key.clone()).builder()?.build()?);
    }
    match producer.batch_send(messages).await {
        Ok(receipts) => {
            for (key, receipt) in keys.iter().zip(receipts) {
                report_send(key, Ok(receipt.message_id().to_owned()))?;
            }
        }
        Err(reason) => {
            for key in &keys {
                report_send(key, Err(reason.to_string().into()))?;
            }
        }
    }
    Ok(())
}

async fn send_transaction(
    producer: &Producer,
    outgoing: Outgoing,
    local: &str,
) -> Result<String, Failure> {
    let message = outgoing.builder()?.enable_transaction().build()?;
    let transaction = producer.send_transaction_message(message).await?;
    let id = transaction.message_id().to_owned();
    match local {
        "commit" => transaction.commit().await?,
        "rollback" => transaction.rollback().await?,
        _ => {}
    }
    Ok(id)
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
