//! Drives the Remoting client for Rust; the endpoint is the name server address. The line protocol
//! is in `../README.md`.

// The futures of the client are nested deeper than the compiler follows by default.
#![recursion_limit = "512"]

mod connection;
mod consuming;
mod producing;
mod protocol;
mod transactions;

use rocketmq_runtime::{RuntimeConfig, RuntimeOwner};
use serde_json::json;
use tokio::io::{AsyncBufReadExt, BufReader};
use tracing_subscriber::EnvFilter;

use self::connection::Connection;
use self::consuming::Consumer;
use self::producing::Producer;
use self::protocol::{Envelope, Operation, describe, write};

pub type Failure = Box<dyn std::error::Error + Send + Sync>;

struct Driver {
    connection: Connection,
    producer: Option<Producer>,
    consumer: Option<Consumer>,
}

impl Driver {
    async fn carry_out(&mut self, operation: Operation) -> Result<(), Failure> {
        match operation {
            Operation::StartProducer(options) => {
                self.producer = Some(Producer::start(&self.connection, options).await?);
            }
            Operation::StopProducer => {
                let producer = self.producer.take().ok_or(NO_PRODUCER)?;
                producer.stop().await?;
            }
            Operation::Send(outgoing) => self.producer()?.send(outgoing).await?,
            Operation::SendBatch { topic, keys } => {
                self.producer()?.send_batch(&topic, keys).await?;
            }
            Operation::SendTransaction { outgoing, local } => {
                self.producer()?.send_transaction(outgoing, &local).await?;
            }
            Operation::Request {
                outgoing,
                timeout_ms,
            } => self.producer()?.request(outgoing, timeout_ms).await?,
            Operation::Recall {
                topic,
                recall_handle,
            } => self.producer()?.recall(topic, recall_handle).await?,
            Operation::SendMany {
                topic,
                prefix,
                count,
                concurrency,
            } => {
                self.producer()?
                    .send_many(&topic, &prefix, count, concurrency)
                    .await?;
            }
            Operation::StartConsumer(subscription) => {
                let consumer =
                    Consumer::start(&self.connection, subscription, self.producer.as_ref());
                self.consumer = Some(consumer.await?);
            }
            Operation::Seek { to, timestamp_ms } => {
                let consumer = self.consumer.as_ref().ok_or(NO_CONSUMER)?;
                consumer.seek(&to, timestamp_ms).await?;
            }
            Operation::StopConsumer => {
                let consumer = self.consumer.take().ok_or(NO_CONSUMER)?;
                consumer.stop().await?;
            }
            Operation::Exit => {}
        }
        Ok(())
    }

    fn producer(&self) -> Result<&Producer, Failure> {
        Ok(self.producer.as_ref().ok_or(NO_PRODUCER)?)
    }
}

const LISTENER_CALLS_WAITING_MAX: usize = 4096;

const NO_PRODUCER: &str = "no producer is running";
const NO_CONSUMER: &str = "no consumer is running";

fn main() -> Result<(), Failure> {
    let arguments: Vec<String> = std::env::args().skip(1).collect();
    let [flag, endpoint] = arguments.as_slice() else {
        return Err("usage: driver --endpoint HOST:PORT".into());
    };
    if flag != "--endpoint" {
        return Err(format!("unknown argument {flag}").into());
    }
    // RUST_LOG=rocketmq_client_rust=info shows what the client does.
    tracing_subscriber::fmt()
        .with_env_filter(EnvFilter::from_default_env())
        .with_writer(std::io::stderr)
        .with_ansi(false)
        .init();
    // By default a listener's calls beyond 20 at once fail before they reach the application.
    let mut config = RuntimeConfig::default();
    config.blocking_lane_policies.metadata_io.max_queue_depth = LISTENER_CALLS_WAITING_MAX;
    let owner = RuntimeOwner::plan(config)?.build()?;
    let driver = Driver {
        connection: Connection::new(&owner, endpoint.clone())?,
        producer: None,
        consumer: None,
    };
    owner.block_on(obey(driver))?;
    // The client leaves tasks behind that would keep the runtime alive.
    std::process::exit(0);
}

async fn obey(mut driver: Driver) -> Result<(), Failure> {
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
                    json!({ "command": envelope.command, "error": describe(reason.as_ref()) }),
                );
            }
        }
        if exits {
            break;
        }
    }
    Ok(())
}
