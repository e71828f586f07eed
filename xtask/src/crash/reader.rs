//! Reading everything that the server holds, over either protocol.

use std::collections::HashMap;
use std::time::Duration;

use anyhow::{Context as _, Result, bail, ensure};
use bytes::Bytes;
use client::grpc::resource;
use client::remoting::{PullQueue, PullStatus};
use client::{ClientError, GrpcClient, RemotingClient};
use wire::grpc_v2::{
    AckMessageEntry, AckMessageRequest, Broker, Code, FilterExpression, FilterType, MessageQueue,
    ReceiveMessageRequest,
};
use wire::message::properties;

use super::ledger::Stored;
use super::outlet;

/// Group of the readers that commit nothing.
const READERS: &str = "crash-readers";

/// Messages asked for at once.
const PULL_MESSAGES: u32 = 256;

/// Receives without an answer after which a queue counts as empty.
const EMPTY_RECEIVES: u32 = 2;

/// Everything in the queues of `topic`, from offset 0 on; checksums of bodies are compared.
pub(super) async fn pull_all(address: &str, topic: &str, queues: u32) -> Result<Vec<Stored>> {
    let client = outlet::remoting(address).await?;
    let mut all = Vec::new();
    for queue in 0..queues {
        let mut offset = 0;
        loop {
            let (messages, next) = pull_once(&client, topic, queue, offset, Duration::ZERO)
                .await
                .with_context(|| format!("pull queue {queue} at {offset}"))?;
            if messages.is_empty() && next <= offset {
                break;
            }
            all.extend(messages);
            offset = next;
        }
        let end = client.max_offset(topic, queue).await?;
        ensure!(
            end == offset,
            "queue {queue} ends at {end}, but pulls end at {offset}"
        );
    }
    Ok(all)
}

/// Messages of one pull, and where to go on.
pub(super) async fn pull_once(
    client: &RemotingClient,
    topic: &str,
    queue: u32,
    offset: i64,
    wait: Duration,
) -> Result<(Vec<Stored>, i64)> {
    let pulled = client
        .pull(PullQueue {
            group: READERS,
            topic,
            queue,
            offset,
            max_messages: PULL_MESSAGES,
            commit: None,
            expression: "*",
            wait,
        })
        .await?;
    if pulled.status == PullStatus::OffsetMoved && pulled.next != offset {
        bail!(
            "offset {offset} is outside the queue, which goes on at {}",
            pulled.next
        );
    }
    let mut messages = Vec::new();
    for message in pulled.messages {
        message
            .verify_body_crc()
            .context("compare the checksum of a body")?;
        messages.push(Stored {
            place: (message.queue_id(), message.queue_offset()),
            key: message
                .property(properties::KEYS)
                .unwrap_or_default()
                .to_owned(),
            body: message.body(),
        });
    }
    Ok((messages, pulled.next))
}

/// Receives and acknowledges everything that a new group gets over gRPC: bodies by key.
pub(super) async fn receive_all(
    address: &str,
    topic: &str,
    group: &str,
    queues: u32,
) -> Result<HashMap<String, Bytes>> {
    let client = outlet::grpc(address).await?;
    let route = client.query_route(topic).await?;
    let mut all = HashMap::new();
    ensure!(
        route.message_queues.len() == usize::try_from(queues)?,
        "the route has {} queues, expected {queues}",
        route.message_queues.len()
    );
    for queue in &route.message_queues {
        let mut empty = 0;
        while empty < EMPTY_RECEIVES {
            let received = receive_once(&client, topic, group, queue).await?;
            empty = if received.is_empty() { empty + 1 } else { 0 };
            for (key, body) in received {
                // An acknowledged message does not come again while the server runs.
                if all.insert(key.clone(), body).is_some() {
                    bail!("`{key}` was delivered again after its acknowledgement");
                }
            }
        }
    }
    Ok(all)
}

/// One receive, with everything in it acknowledged.
pub(super) async fn receive_once(
    client: &GrpcClient,
    topic: &str,
    group: &str,
    queue: &MessageQueue,
) -> Result<Vec<(String, Bytes)>, ClientError> {
    let messages = client.receive(receive_request(topic, group, queue)).await?;
    let mut entries = Vec::new();
    let mut received = Vec::new();
    for message in messages {
        let system = message.system_properties.unwrap_or_default();
        entries.push(AckMessageEntry {
            message_id: system.message_id,
            receipt_handle: system.receipt_handle.unwrap_or_default(),
            lite_topic: None,
        });
        let key = system.keys.into_iter().next().unwrap_or_default();
        received.push((key, message.body));
    }
    if !entries.is_empty() {
        let answer = client
            .ack(AckMessageRequest {
                group: Some(resource(group)),
                topic: Some(resource(topic)),
                entries,
            })
            .await?;
        let refused = answer
            .entries
            .iter()
            .filter_map(|entry| entry.status.as_ref());
        if let Some(status) = refused
            .into_iter()
            .find(|status| status.code != i32::from(Code::Ok))
        {
            return Err(ClientError::Answer {
                address: client.address().to_owned(),
                request: "ack message",
                reason: format!("a refused entry: {status:?}"),
            });
        }
    }
    Ok(received)
}

fn receive_request(topic: &str, group: &str, queue: &MessageQueue) -> ReceiveMessageRequest {
    let broker = Broker {
        name: queue.broker.clone().unwrap_or_default().name,
        ..Broker::default()
    };
    ReceiveMessageRequest {
        group: Some(resource(group)),
        message_queue: Some(MessageQueue {
            topic: Some(resource(topic)),
            id: queue.id,
            broker: Some(broker),
            ..MessageQueue::default()
        }),
        filter_expression: Some(FilterExpression {
            r#type: FilterType::Tag.into(),
            expression: "*".to_owned(),
        }),
        batch_size: 32,
        invisible_duration: Duration::from_secs(60).try_into().ok(),
        auto_renew: false,
        long_polling_timeout: Duration::from_millis(100).try_into().ok(),
        attempt_id: None,
    }
}
