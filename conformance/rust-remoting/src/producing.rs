//! The producer.

use std::sync::Arc;
use std::sync::atomic::{AtomicU32, Ordering};

use base64::Engine as _;
use base64::engine::general_purpose::STANDARD;
use rocketmq_client_rust::{DefaultMQProducer, SendResult, SendStatus};
use rocketmq_model::common::message::message_single::Message;
use serde_json::json;

use crate::Failure;
use crate::connection::{Connection, signer};
use crate::protocol::{Outgoing, ProducerOptions, write};

/// Runtimes that start side by side on two cores take longer than the default of 3 s.
const SEND_TIMEOUT_MS: u32 = 10_000;

pub struct Producer(Arc<DefaultMQProducer>);

impl Producer {
    pub async fn start(connection: &Connection, options: ProducerOptions) -> Result<Self, Failure> {
        let mut builder = DefaultMQProducer::builder(connection.runtime.clone())
            .client_config(connection.config("producer", &options.connection))
            .producer_group(options.group)
            .send_msg_timeout(SEND_TIMEOUT_MS);
        if let Some(signer) = signer(&options.connection) {
            builder = builder.rpc_hook(signer);
        }
        let mut producer = builder.build();
        producer.start().await?;
        Ok(Self(Arc::new(producer)))
    }

    pub async fn stop(self) -> Result<(), Failure> {
        Arc::into_inner(self.0)
            .ok_or("a send is still under way")?
            .shutdown()
            .await;
        Ok(())
    }

    pub async fn send(&self, outgoing: Outgoing) {
        send(&self.0, outgoing).await;
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
            let producer = Arc::clone(&self.0);
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
}

async fn send(producer: &DefaultMQProducer, outgoing: Outgoing) {
    let key = outgoing.keys[0].clone();
    match try_send(producer, outgoing).await {
        Ok(result) => write(
            "sent",
            json!({ "key": key, "id": result.msg_id.as_deref() }),
        ),
        Err(reason) => write(
            "send_failed",
            json!({ "key": key, "error": reason.to_string() }),
        ),
    }
}

async fn try_send(producer: &DefaultMQProducer, outgoing: Outgoing) -> Result<SendResult, Failure> {
    let result = producer
        .send(message(outgoing)?)
        .await?
        .ok_or("no result of a send")?;
    if result.send_status != SendStatus::SendOk {
        return Err(format!("send status {:?}", result.send_status).into());
    }
    Ok(result)
}

fn message(outgoing: Outgoing) -> Result<Message, Failure> {
    let mut builder = Message::builder()
        .topic(outgoing.topic)
        .body(STANDARD.decode(outgoing.body_base64)?)
        .keys(outgoing.keys);
    if let Some(tag) = outgoing.tag {
        builder = builder.tags(tag);
    }
    for (name, value) in outgoing.properties {
        builder = builder.raw_property(name, value)?;
    }
    Ok(builder.build()?)
}
