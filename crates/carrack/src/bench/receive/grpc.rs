//! Receiving over gRPC: receive, then ack what came.

use std::{sync::Arc, time::Duration};

use bytes::Bytes;
use client::{
    ClientError, GrpcClient,
    grpc::{TelemetrySession, resource},
};
use tokio::time::Instant;
use wire::grpc_v2::{
    AckMessageEntry, AckMessageRequest, ClientType, FilterExpression, FilterType, Language,
    Message, MessageQueue, ReceiveMessageRequest, Settings, Subscription, SubscriptionEntry, Ua,
    settings::PubSub,
};

use super::{INVISIBLE, LONG_POLL, PAUSE_AFTER_FAILURE, poll};
use crate::bench::{
    meter::Lane,
    options::BenchOptions,
    target::{address_of, grpc_options},
    wait_until,
};

/// One receiver: one request under way.
pub(in crate::bench) struct Receive {
    client: GrpcClient,
    options: BenchOptions,
    queue: MessageQueue,
    /// The server counts the client as present while this lives.
    _session: Arc<TelemetrySession>,
}

/// Receivers of all connections.
pub(super) async fn connect(
    options: &BenchOptions,
    queues: &[MessageQueue],
) -> Result<Vec<Receive>, ClientError> {
    let mut receives = Vec::new();
    for connection in 0..options.connections {
        let queue = &queues[connection % queues.len()];
        // Senders of the same run have the ids before these.
        let client_options = grpc_options(options, options.connections + connection);
        let client = GrpcClient::connect(&address_of(queue, options), client_options).await?;
        let session = Arc::new(client.telemetry(settings(options)).await?);
        for _ in 0..options.in_flight {
            receives.push(Receive {
                client: client.clone(),
                options: options.clone(),
                queue: queue.clone(),
                _session: Arc::clone(&session),
            });
        }
    }
    Ok(receives)
}

impl Receive {
    pub(super) async fn run(
        self,
        mut lane: Lane,
        mut ack_lane: Lane,
        arrived: impl Fn(&[Bytes], Instant, &mut Lane),
    ) {
        loop {
            let began = Instant::now();
            match self.client.receive(self.request()).await {
                Ok(messages) if messages.is_empty() => {
                    if self.options.until_end {
                        return;
                    }
                }
                Ok(messages) => {
                    let bodies: Vec<Bytes> = messages
                        .iter()
                        .map(|message| message.body.clone())
                        .collect();
                    arrived(&bodies, began, &mut lane);
                    self.ack(messages, &mut ack_lane).await;
                }
                Err(error) => {
                    lane.failed(&error, 0);
                    wait_until(Instant::now() + PAUSE_AFTER_FAILURE).await;
                }
            }
        }
    }

    async fn ack(&self, messages: Vec<Message>, lane: &mut Lane) {
        let entries: Vec<AckMessageEntry> = messages
            .into_iter()
            .filter_map(|message| message.system_properties)
            .map(|properties| AckMessageEntry {
                message_id: properties.message_id,
                receipt_handle: properties.receipt_handle.unwrap_or_default(),
                lite_topic: None,
            })
            .collect();
        let (count, began) = (entries.len() as u64, Instant::now());
        let request = AckMessageRequest {
            group: Some(resource(&self.options.group)),
            topic: Some(resource(&self.options.topic)),
            entries,
        };
        match self.client.ack(request).await {
            Ok(_) => lane.done(began, count, 0),
            Err(error) => lane.failed(&error, count),
        }
    }

    fn request(&self) -> ReceiveMessageRequest {
        ReceiveMessageRequest {
            group: Some(resource(&self.options.group)),
            message_queue: Some(self.queue.clone()),
            filter_expression: Some(all_messages()),
            batch_size: self.options.receive_batch.cast_signed(),
            invisible_duration: Some(seconds(INVISIBLE)),
            auto_renew: false,
            long_polling_timeout: Some(seconds(poll(&self.options))),
            attempt_id: None,
        }
    }
}

fn seconds(duration: Duration) -> prost_types::Duration {
    prost_types::Duration {
        seconds: duration.as_secs().cast_signed(),
        nanos: 0,
    }
}

fn all_messages() -> FilterExpression {
    FilterExpression {
        r#type: FilterType::Tag.into(),
        expression: "*".to_owned(),
    }
}

fn settings(options: &BenchOptions) -> Settings {
    Settings {
        client_type: Some(ClientType::SimpleConsumer.into()),
        access_point: None,
        backoff_policy: None,
        request_timeout: Some(seconds(Duration::from_secs(5))),
        pub_sub: Some(PubSub::Subscription(Subscription {
            group: Some(resource(&options.group)),
            subscriptions: vec![SubscriptionEntry {
                topic: Some(resource(&options.topic)),
                expression: Some(all_messages()),
            }],
            fifo: Some(false),
            receive_batch_size: Some(options.receive_batch.cast_signed()),
            long_polling_timeout: Some(seconds(LONG_POLL)),
            ..Subscription::default()
        })),
        user_agent: Some(Ua {
            language: Language::Rust.into(),
            version: env!("CARGO_PKG_VERSION").to_owned(),
            platform: String::new(),
            hostname: String::new(),
        }),
        metric: None,
        client_properties: Default::default(),
    }
}
