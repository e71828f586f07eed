//! The producers.

use std::sync::Arc;
use std::sync::atomic::{AtomicU32, Ordering};

use base64::Engine as _;
use base64::engine::general_purpose::STANDARD;
use rocketmq_client_rust::{
    DefaultMQProducer, MessageQueueSelector as _, SelectMessageQueueByHash, SendResult, SendStatus,
    TransactionMQProducer,
};
use rocketmq_model::common::message::message_single::Message;
use serde_json::{Value, json};

use crate::Failure;
use crate::connection::{Connection, signer};
use crate::protocol::{Outgoing, ProducerOptions, describe, write};
use crate::transactions::Listener;

/// Runtimes that start side by side on two cores take longer than the default of 3 s.
const SEND_TIMEOUT_MS: u32 = 10_000;
/// How long one request waits: the library wakes only who waits already, so that a reply that comes
/// while it still looks at the answer to its request is kept and never shown.
const REQUEST_ATTEMPT_MS: u64 = 4_000;
/// The library's own limit, where the server's is asked for.
const BODY_BYTES_MAX: u32 = 16 << 20;

pub enum Producer {
    Normal(Arc<DefaultMQProducer>),
    Transaction(Box<TransactionMQProducer>),
}

impl Producer {
    pub async fn start(connection: &Connection, options: ProducerOptions) -> Result<Self, Failure> {
        if options.kind.as_deref() == Some("transaction") {
            start_transactional(connection, options).await
        } else {
            start_normal(connection, options).await
        }
    }

    pub async fn stop(self) -> Result<(), Failure> {
        match self {
            Self::Normal(producer) => {
                Arc::into_inner(producer)
                    .ok_or("a send is still under way")?
                    .shutdown()
                    .await;
            }
            Self::Transaction(mut producer) => producer.shutdown().await,
        }
        Ok(())
    }

    /// The producer of ordinary messages.
    pub fn normal(&self) -> Result<&Arc<DefaultMQProducer>, Failure> {
        match self {
            Self::Normal(producer) => Ok(producer),
            Self::Transaction(_) => Err("this producer sends half messages".into()),
        }
    }

    pub async fn send(&self, outgoing: Outgoing) -> Result<(), Failure> {
        send(self.normal()?, outgoing).await;
        Ok(())
    }

    pub async fn send_many(
        &self,
        topic: &str,
        prefix: &str,
        count: u32,
        concurrency: u32,
    ) -> Result<(), Failure> {
        let next = Arc::new(AtomicU32::new(0));
        let mut senders = Vec::new();
        for _ in 0..concurrency {
            let producer = Arc::clone(self.normal()?);
            let (next, topic, prefix) = (Arc::clone(&next), topic.to_owned(), prefix.to_owned());
            senders.push(tokio::spawn(async move {
                loop {
                    let index = next.fetch_add(1, Ordering::SeqCst);
                    if index >= count {
                        return;
                    }
                    send(
                        &producer,
                        Outgoing::plain(&topic, format!("{prefix}{index}")),
                    )
                    .await;
                }
            }));
        }
        for sender in senders {
            sender.await?;
        }
        Ok(())
    }

    pub async fn send_batch(&self, topic: &str, keys: Vec<String>) -> Result<(), Failure> {
        let messages: Result<Vec<Message>, Failure> = keys
            .iter()
            .map(|key| message(Outgoing::plain(topic, key.clone())))
            .collect();
        let result = self.normal()?.send_batch(messages?).await;
        let result = result.map_err(Failure::from).and_then(stored);
        for key in &keys {
            report(key, &result);
        }
        Ok(())
    }

    pub async fn send_transaction(&self, outgoing: Outgoing, local: &str) -> Result<(), Failure> {
        let Self::Transaction(producer) = self else {
            return Err("this producer sends ordinary messages".into());
        };
        let key = outgoing.keys[0].clone();
        let result = producer
            .send_message_in_transaction(message(outgoing)?, Some(local.to_owned()))
            .await;
        let result = result
            .map_err(Failure::from)
            .and_then(|result| stored(result.send_result.ok_or(NO_RESULT)?));
        report(&key, &result);
        Ok(())
    }

    pub async fn request(&self, outgoing: Outgoing, timeout_ms: u64) -> Result<(), Failure> {
        let key = outgoing.keys[0].clone();
        let outgoing = message(outgoing)?;
        let mut left_ms = timeout_ms;
        let replied = loop {
            let attempt_ms = left_ms.min(REQUEST_ATTEMPT_MS);
            let replied = self.normal()?.request(outgoing.clone(), attempt_ms).await;
            left_ms -= attempt_ms;
            if replied.is_ok() || left_ms == 0 {
                break replied;
            }
        };
        match replied {
            Ok(reply) => {
                let body = reply.get_body().map(|body| STANDARD.encode(body));
                write("replied", json!({ "key": key, "body_base64": body }));
            }
            Err(reason) => send_failed(&key, &reason.into()),
        }
        Ok(())
    }

    pub async fn recall(&self, topic: String, recall_handle: String) -> Result<(), Failure> {
        self.normal()?.recall_message(topic, recall_handle).await?;
        Ok(())
    }
}

const NO_RESULT: &str = "no result of a send";

async fn start_normal(
    connection: &Connection,
    options: ProducerOptions,
) -> Result<Producer, Failure> {
    let mut builder = DefaultMQProducer::builder(connection.runtime.clone())
        .client_config(connection.config("producer", &options.session))
        .producer_group(options.group)
        .send_msg_timeout(SEND_TIMEOUT_MS);
    if options.uncompressed {
        builder = builder
            .compress_msg_body_over_howmuch(u32::MAX)
            .max_message_size(BODY_BYTES_MAX);
    }
    if let Some(signer) = signer(&options.session) {
        builder = builder.rpc_hook(signer);
    }
    let mut producer = builder.build();
    producer.start().await?;
    Ok(Producer::Normal(Arc::new(producer)))
}

async fn start_transactional(
    connection: &Connection,
    options: ProducerOptions,
) -> Result<Producer, Failure> {
    let mut builder = TransactionMQProducer::builder(connection.runtime.clone())
        .client_config(connection.config("producer", &options.session))
        .producer_group(options.group)
        .send_msg_timeout(SEND_TIMEOUT_MS)
        .transaction_listener(Listener);
    if let Some(signer) = signer(&options.session) {
        builder = builder.rpc_hook(signer);
    }
    let mut producer = builder.build();
    producer.start().await?;
    Ok(Producer::Transaction(Box::new(producer)))
}

async fn send(producer: &DefaultMQProducer, outgoing: Outgoing) {
    let key = outgoing.keys[0].clone();
    report(&key, &try_send(producer, outgoing).await);
}

async fn try_send(producer: &DefaultMQProducer, outgoing: Outgoing) -> Result<SendResult, Failure> {
    let sharding_key = outgoing.sharding_key.clone();
    let message = message(outgoing)?;
    let result = match sharding_key {
        None => producer.send(message).await?,
        Some(sharding_key) => {
            let select = |queues: &[_], message: &Message, argument: &String| {
                SelectMessageQueueByHash.select(queues, message, argument)
            };
            producer
                .send_with_selector(message, select, sharding_key)
                .await?
        }
    };
    stored(result.ok_or(NO_RESULT)?)
}

/// The result, if it says that the message is stored.
fn stored(result: SendResult) -> Result<SendResult, Failure> {
    match result.send_status {
        SendStatus::SendOk => Ok(result),
        status => Err(format!("send status {status:?}").into()),
    }
}

fn report(key: &str, result: &Result<SendResult, Failure>) {
    match result {
        Ok(result) => {
            let mut fields = json!({ "key": key, "id": result.msg_id.as_deref() });
            if let Some(handle) = result.recall_handle() {
                fields["recall_handle"] = Value::from(handle);
            }
            write("sent", fields);
        }
        Err(reason) => send_failed(key, reason),
    }
}

fn send_failed(key: &str, reason: &Failure) {
    let fields = json!({ "key": key, "error": describe(reason.as_ref()) });
    write("send_failed", fields);
}

fn message(outgoing: Outgoing) -> Result<Message, Failure> {
    let mut builder = Message::builder()
        .topic(outgoing.topic)
        .body(STANDARD.decode(outgoing.body_base64)?)
        .keys(outgoing.keys);
    if let Some(tag) = outgoing.tag {
        builder = builder.tags(tag);
    }
    if let Some(sharding_key) = outgoing.sharding_key {
        builder = builder.sharding_key(sharding_key);
    }
    if let Some(level) = outgoing.delay_level {
        builder = builder.delay_level(level);
    }
    if let Some(delay_ms) = outgoing.delay_ms {
        builder = builder.delay_millis(delay_ms);
    }
    if let Some(deliver_at_ms) = outgoing.deliver_at_ms {
        builder = builder.deliver_time_ms(deliver_at_ms);
    }
    for (name, value) in outgoing.properties {
        builder = builder.raw_property(name, value)?;
    }
    Ok(builder.build()?)
}
