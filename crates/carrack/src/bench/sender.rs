//! One send, in either protocol.

use std::{
    sync::atomic::{AtomicU64, Ordering},
    time::{SystemTime, UNIX_EPOCH},
};

use bytes::Bytes;
use client::{
    ClientError, GrpcClient, RemotingClient,
    grpc::resource,
    remoting::{OutgoingMessage, batch_body},
};
use wire::{
    grpc_v2::{Encoding, Message, MessageQueue, MessageType, SendMessageRequest, SystemProperties},
    message::sys_flag,
};

use super::{
    options::{BenchOptions, MessageKind},
    target::{Broker, address_of, grpc_options, remoting_options},
};

/// Group that messages are sent in.
const PRODUCER_GROUP: &str = "carrack-bench";

/// Message groups of FIFO messages.
const MESSAGE_GROUPS: u64 = 64;

/// A connection that messages are sent on.
pub(super) struct Sender {
    /// Requests go to them in turn.
    topics: Vec<String>,
    batch: usize,
    kind: MessageKind,
    /// Makes ids of messages unique between runs and connections.
    run: u64,
    sent: AtomicU64,
    link: Link,
}

enum Link {
    Remoting {
        client: RemotingClient,
        queues: u32,
    },
    Grpc {
        client: Box<GrpcClient>,
        queues: Vec<MessageQueue>,
    },
}

impl Sender {
    /// Connects to a broker over Remoting.
    pub(super) async fn remoting(
        options: &BenchOptions,
        broker: &Broker,
    ) -> Result<Self, ClientError> {
        let client = RemotingClient::connect(&broker.address, remoting_options(options)).await?;
        Ok(Self::over(
            options,
            Link::Remoting {
                client,
                queues: broker.queues,
            },
        ))
    }

    /// Connects over gRPC; connection `index` goes to the broker of one of the queues.
    pub(super) async fn grpc(
        options: &BenchOptions,
        queues: &[MessageQueue],
        index: usize,
    ) -> Result<Self, ClientError> {
        let address = address_of(&queues[index % queues.len()], options);
        let queues: Vec<MessageQueue> = queues
            .iter()
            .filter(|queue| address_of(queue, options) == address)
            .cloned()
            .collect();
        let client = Box::new(GrpcClient::connect(&address, grpc_options(options, index)).await?);
        Ok(Self::over(options, Link::Grpc { client, queues }))
    }

    fn over(options: &BenchOptions, link: Link) -> Self {
        Self {
            topics: options.topic_names(),
            batch: options.batch,
            kind: options.message_type,
            run: run_number(),
            sent: AtomicU64::new(0),
            link,
        }
    }

    /// Sends a batch of messages with this body, and waits until the server has confirmed it.
    pub(super) async fn send(&self, body: &Bytes) -> Result<(), ClientError> {
        let first = self.sent.fetch_add(self.batch as u64, Ordering::Relaxed);
        // All messages of a request are of one message group, and each of these has its queue.
        let request = first / self.batch as u64;
        let turn = request % MESSAGE_GROUPS.max(self.queues());
        let topic = &self.topics[(request % self.topics.len() as u64) as usize];
        match &self.link {
            Link::Remoting { client, queues } => {
                let queue = (turn % u64::from(*queues)) as u32;
                self.send_remoting(client, (topic, queue), (first, turn), body)
                    .await
            }
            Link::Grpc { client, queues } => {
                let queue = (turn % queues.len() as u64) as usize;
                let queue = queues[queue].id;
                self.send_grpc(client, (topic, queue), (first, turn), body)
                    .await
            }
        }
    }

    fn queues(&self) -> u64 {
        match &self.link {
            Link::Remoting { queues, .. } => (*queues).into(),
            Link::Grpc { queues, .. } => queues.len() as u64,
        }
    }

    async fn send_remoting(
        &self,
        client: &RemotingClient,
        (topic, queue): (&str, u32),
        (first, group): (u64, u64),
        body: &Bytes,
    ) -> Result<(), ClientError> {
        // What every SDK sends: an id, and that it waits until the message is stored.
        let of_kind = match self.kind {
            MessageKind::Normal => String::new(),
            MessageKind::Fifo => format!("__SHARDINGKEY\u{1}{group}\u{2}"),
            MessageKind::Transaction => {
                format!("TRAN_MSG\u{1}true\u{2}PGROUP\u{1}{PRODUCER_GROUP}\u{2}")
            }
        };
        let properties = |number: u64| {
            format!(
                "{of_kind}UNIQ_KEY\u{1}{:016X}{number:016X}\u{2}WAIT\u{1}true\u{2}",
                self.run
            )
        };
        let mut message = OutgoingMessage {
            producer_group: PRODUCER_GROUP,
            topic,
            queue: Some(queue),
            automatic_queues: 4,
            flag: 0,
            sys_flag: 0,
            born_timestamp: now().as_millis() as i64,
            properties: "",
            body: body.clone(),
        };
        if self.batch == 1 {
            let properties = properties(first);
            message.properties = &properties;
            if self.kind == MessageKind::Transaction {
                message.sys_flag = sys_flag::TRANSACTION_PREPARED;
                let half = client.send(message).await?;
                return client
                    .commit_transaction(PRODUCER_GROUP, topic, &half)
                    .await;
            }
            client.send(message).await?;
            return Ok(());
        }
        let all: Vec<String> = (first..first + self.batch as u64).map(properties).collect();
        let messages = all
            .iter()
            .map(|properties| (properties.as_str(), &body[..]));
        message.body = batch_body(messages).map_err(|error| ClientError::Answer {
            address: client.address().to_owned(),
            request: "send",
            reason: error.to_string(),
        })?;
        client.send_batch(message).await?;
        Ok(())
    }

    async fn send_grpc(
        &self,
        client: &GrpcClient,
        (topic, queue_id): (&str, i32),
        (first, group): (u64, u64),
        body: &Bytes,
    ) -> Result<(), ClientError> {
        let now = now();
        let born = prost_types::Timestamp {
            seconds: now.as_secs() as i64,
            nanos: now.subsec_nanos() as i32,
        };
        let message = |number: u64| Message {
            topic: Some(resource(topic)),
            user_properties: Default::default(),
            system_properties: Some(SystemProperties {
                message_id: format!("01{:016X}{number:016X}", self.run),
                message_type: match self.kind {
                    MessageKind::Fifo => MessageType::Fifo.into(),
                    MessageKind::Normal | MessageKind::Transaction => MessageType::Normal.into(),
                },
                message_group: (self.kind == MessageKind::Fifo).then(|| group.to_string()),
                body_encoding: Encoding::Identity.into(),
                born_timestamp: Some(born),
                born_host: "carrack-bench".to_owned(),
                queue_id,
                ..SystemProperties::default()
            }),
            body: body.clone(),
        };
        let messages = (first..first + self.batch as u64).map(message).collect();
        client.send(SendMessageRequest { messages }).await?;
        Ok(())
    }
}

/// A number that no two calls share, in this process or others.
pub(super) fn run_number() -> u64 {
    static CALLS: AtomicU64 = AtomicU64::new(0);
    let call = CALLS.fetch_add(1, Ordering::Relaxed);
    (u64::from(std::process::id()) << 44) ^ (call << 52) ^ now().as_micros() as u64
}

#[expect(
    clippy::disallowed_methods,
    reason = "messages of a load generator carry the real time they were made at"
)]
fn now() -> std::time::Duration {
    SystemTime::now()
        .duration_since(UNIX_EPOCH)
        .unwrap_or_default()
}
