//! Receiving over Remoting as 5.x clients may: pop from any queue, then ack each message.

use std::time::{Duration, SystemTime, UNIX_EPOCH};

use bytes::Bytes;
use client::{
    ClientError, RemotingClient,
    remoting::{PopQueue, PoppedMessage},
};
use futures::future::join_all;
use tokio::time::Instant;

use super::{INVISIBLE, PAUSE_AFTER_FAILURE, poll};
use crate::bench::{
    meter::Lane,
    options::BenchOptions,
    target::{Target, remoting_options},
    wait_until,
};

/// One receiver: one pop under way, or the acks of what it brought.
pub(in crate::bench) struct Pop {
    client: RemotingClient,
    broker_name: String,
    topic: String,
    group: String,
    max_messages: u32,
    wait: Duration,
    until_end: bool,
}

/// Receivers of all connections.
pub(super) async fn connect(
    options: &BenchOptions,
    target: &Target,
) -> Result<Vec<Pop>, ClientError> {
    let mut pops = Vec::new();
    for connection in 0..options.connections {
        let broker = &target.brokers[connection % target.brokers.len()];
        let client = RemotingClient::connect(&broker.address, remoting_options(options)).await?;
        for _ in 0..options.in_flight {
            pops.push(Pop {
                client: client.clone(),
                broker_name: broker.name.clone(),
                topic: options.topic.clone(),
                group: options.group.clone(),
                max_messages: options.receive_batch,
                wait: poll(options),
                until_end: options.until_end,
            });
        }
    }
    Ok(pops)
}

impl Pop {
    pub(super) async fn run(
        self,
        mut lane: Lane,
        mut ack_lane: Lane,
        arrived: impl Fn(&[Bytes], Instant, &mut Lane),
    ) {
        loop {
            let began = Instant::now();
            let popped = self.client.pop(PopQueue {
                group: &self.group,
                topic: &self.topic,
                queue: None,
                max_messages: self.max_messages,
                invisible: INVISIBLE,
                wait: self.wait,
                born_timestamp: now_ms(),
                broker_name: &self.broker_name,
            });
            match popped.await {
                Ok(messages) if messages.is_empty() => {
                    if self.until_end {
                        return;
                    }
                }
                Ok(messages) => {
                    let bodies: Vec<Bytes> = messages
                        .iter()
                        .map(|popped| popped.message.body())
                        .collect();
                    arrived(&bodies, began, &mut lane);
                    self.ack(&messages, &mut ack_lane).await;
                }
                Err(error) => {
                    lane.failed(&error, 0);
                    wait_until(Instant::now() + PAUSE_AFTER_FAILURE).await;
                }
            }
        }
    }

    /// As clients do: one request per message, all at once.
    async fn ack(&self, messages: &[PoppedMessage], lane: &mut Lane) {
        let began = Instant::now();
        let acks = messages
            .iter()
            .map(|popped| self.client.ack(&self.group, &self.topic, popped));
        for acked in join_all(acks).await {
            match acked {
                Ok(()) => lane.done(began, 1, 0),
                Err(error) => lane.failed(&error, 1),
            }
        }
    }
}

#[expect(
    clippy::disallowed_methods,
    reason = "servers compare it with the real time: a pop that was under way too long is refused"
)]
fn now_ms() -> i64 {
    let since = SystemTime::now().duration_since(UNIX_EPOCH);
    since.map_or(0, |since| {
        i64::try_from(since.as_millis()).unwrap_or(i64::MAX)
    })
}
