//! Receiving over Remoting: one pull under way per queue, as every client does.

use bytes::Bytes;
use client::{
    ClientError, RemotingClient,
    remoting::{PullQueue, PullStatus},
};
use tokio::time::Instant;

use super::{LONG_POLL, PAUSE_AFTER_FAILURE, Start};
use crate::bench::{
    meter::Lane,
    options::BenchOptions,
    target::{Target, remoting_options},
    wait_until,
};

/// The receiver of one queue.
pub(in crate::bench) struct Pull {
    client: RemotingClient,
    topic: String,
    group: String,
    queue: u32,
    offset: i64,
    until: Option<i64>,
    max_messages: u32,
}

/// Receivers of all queues, spread over the connections.
pub(super) async fn connect(
    options: &BenchOptions,
    target: &Target,
    start: Start,
) -> Result<Vec<Pull>, ClientError> {
    let mut pulls = Vec::new();
    for broker in &target.brokers {
        let mut clients = Vec::new();
        for _ in 0..options.connections.min(broker.queues as usize) {
            let connected = RemotingClient::connect(&broker.address, remoting_options(options));
            clients.push(connected.await?);
        }
        for queue in (0..broker.queues).filter(|queue| options.queue.is_none_or(|q| q == *queue)) {
            let client = clients[queue as usize % clients.len()].clone();
            let end = client.max_offset(&options.topic, queue).await?;
            let offset = match start {
                Start::First => client.min_offset(&options.topic, queue).await?,
                Start::End => end,
            };
            pulls.push(Pull {
                client,
                topic: options.topic.clone(),
                group: options.group.clone(),
                queue,
                offset,
                until: options.until_end.then_some(end),
                max_messages: options.receive_batch,
            });
        }
    }
    Ok(pulls)
}

impl Pull {
    pub(super) async fn run(
        mut self,
        mut lane: Lane,
        arrived: impl Fn(&[Bytes], Instant, &mut Lane),
    ) {
        let mut commit = None;
        while self.until.is_none_or(|until| self.offset < until) {
            let began = Instant::now();
            let pulled = self.client.pull(PullQueue {
                group: &self.group,
                topic: &self.topic,
                queue: self.queue,
                offset: self.offset,
                max_messages: self.max_messages,
                commit,
                expression: "*",
                wait: LONG_POLL,
            });
            match pulled.await {
                Ok(pulled) => {
                    if pulled.status == PullStatus::Found {
                        let bodies: Vec<Bytes> = pulled
                            .messages
                            .iter()
                            .map(|message| message.body())
                            .collect();
                        arrived(&bodies, began, &mut lane);
                    }
                    self.offset = pulled.next;
                    commit = Some(pulled.next);
                }
                Err(error) => {
                    lane.failed(&error, 0);
                    wait_until(Instant::now() + PAUSE_AFTER_FAILURE).await;
                }
            }
        }
    }
}
