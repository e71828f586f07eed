//! Clients that send as fast as they are answered, while others consume, until the server is gone.

use std::sync::Arc;
use std::sync::atomic::{AtomicBool, AtomicU64, Ordering};
use std::time::Duration;

use anyhow::{Context as _, Result};
use bytes::Bytes;
use parking_lot::Mutex;
use tokio::task::JoinSet;

use super::ledger::Ledger;
use super::message::body_of;
use super::outlet::{self, Outlet, Protocol};
use super::reader;

/// Connections of each protocol.
const CONNECTIONS: u32 = 2;

/// Messages that one connection has under way.
const IN_FLIGHT: u32 = 8;

/// Every so many sends over Remoting, several messages go in one.
const BATCH_EVERY: u64 = 16;

/// Messages of a batch.
const BATCH_MESSAGES: u64 = 3;

/// Longest that a consumer asks the server to wait.
const CONSUMER_WAIT: Duration = Duration::from_secs(1);

/// Load that is under way.
pub(super) struct Load {
    tasks: JoinSet<()>,
    shared: Arc<Shared>,
}

struct Shared {
    topic: String,
    /// Begins every key, so that rounds differ.
    prefix: String,
    next: AtomicU64,
    stopped: AtomicBool,
    ledger: Arc<Mutex<Ledger>>,
}

impl Load {
    /// Connects everybody and begins. The tasks run on the runtime of the caller.
    pub(super) async fn start(
        address: &str,
        topic: &str,
        queues: u32,
        prefix: &str,
        ledger: &Arc<Mutex<Ledger>>,
    ) -> Result<Self> {
        let shared = Arc::new(Shared {
            topic: topic.to_owned(),
            prefix: prefix.to_owned(),
            next: AtomicU64::new(0),
            stopped: AtomicBool::new(false),
            ledger: Arc::clone(ledger),
        });
        let mut tasks = JoinSet::new();
        for queue in 0..queues {
            let client = outlet::remoting(address)
                .await
                .context("connect a consumer")?;
            let start = client
                .max_offset(topic, queue)
                .await
                .context("find the queue's end")?;
            tasks.spawn(consume(client, queue, start, Arc::clone(&shared)));
        }
        for protocol in Protocol::ALL {
            for _ in 0..CONNECTIONS {
                let outlet = Outlet::connect(protocol, address)
                    .await
                    .with_context(|| format!("connect a producer over {protocol:?}"))?;
                for _ in 0..IN_FLIGHT {
                    tasks.spawn(produce(outlet.clone(), Arc::clone(&shared)));
                }
            }
        }
        Ok(Self { tasks, shared })
    }

    /// Waits until everybody has noticed that the server is gone.
    pub(super) async fn end(mut self) -> Result<()> {
        self.shared.stopped.store(true, Ordering::Relaxed);
        while let Some(ended) = self.tasks.join_next().await {
            ended.context("a client of the load broke")?;
        }
        Ok(())
    }
}

impl Shared {
    fn next_message(&self) -> (String, Bytes) {
        let number = self.next.fetch_add(1, Ordering::Relaxed);
        let key = format!("{}-{number}", self.prefix);
        let body = body_of(&key);
        self.ledger.lock().attempt(&key);
        (key, body)
    }

    fn stopped(&self) -> bool {
        self.stopped.load(Ordering::Relaxed)
    }
}

async fn produce(outlet: Outlet, shared: Arc<Shared>) {
    let mut sends = 0_u64;
    while !shared.stopped() {
        sends += 1;
        let batch = matches!(outlet, Outlet::Remoting(_)) && sends.is_multiple_of(BATCH_EVERY);
        let count = if batch { BATCH_MESSAGES } else { 1 };
        let messages: Vec<(String, Bytes)> = (0..count).map(|_| shared.next_message()).collect();
        let sent = if batch {
            outlet.send_batch(&shared.topic, &messages).await
        } else {
            let (key, body) = &messages[0];
            outlet
                .send(&shared.topic, key, body.clone())
                .await
                .map(|place| vec![place])
        };
        match sent {
            Ok(places) => {
                let mut ledger = shared.ledger.lock();
                for ((key, _), place) in messages.iter().zip(places) {
                    ledger.acknowledge(key, place);
                }
            }
            // The server is gone: whether it has the message is unknown.
            Err(error) if error.is_unreachable() => return,
            Err(error) => {
                shared
                    .ledger
                    .lock()
                    .problem(format!("send {}: {error}", messages[0].0));
                return;
            }
        }
    }
}

async fn consume(client: client::RemotingClient, queue: u32, start: i64, shared: Arc<Shared>) {
    let mut offset = start;
    while !shared.stopped() {
        let pulled = reader::pull_once(&client, &shared.topic, queue, offset, CONSUMER_WAIT).await;
        match pulled {
            Ok((messages, next)) => {
                let mut ledger = shared.ledger.lock();
                for message in &messages {
                    ledger.see(message, &body_of(&message.key));
                }
                offset = next;
            }
            Err(error) => {
                let gone = error
                    .downcast_ref::<client::ClientError>()
                    .is_some_and(client::ClientError::is_unreachable);
                if !gone {
                    shared
                        .ledger
                        .lock()
                        .problem(format!("pull queue {queue}: {error:#}"));
                }
                return;
            }
        }
    }
}
