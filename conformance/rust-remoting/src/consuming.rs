//! The consumers.

use std::sync::Arc;
use std::sync::atomic::{AtomicBool, Ordering};

use rocketmq_client_rust::{
    ConsumeConcurrentlyContext, ConsumeConcurrentlyStatus, DefaultLitePullConsumer,
    DefaultMQPushConsumer, MQPushConsumer as _,
};
use rocketmq_model::common::consumer::consume_from_where::ConsumeFromWhere;
use rocketmq_model::common::message::message_ext::MessageExt;
use tokio::task::JoinHandle;

use crate::Failure;
use crate::connection::{Connection, signer};
use crate::protocol::{Subscription, acked, received};

/// By default the client stops without waiting for listeners, and forgets what they have just done.
const LISTENERS_END_MS: u64 = 10_000;
const POLL_MS: u64 = 500;

pub enum Consumer {
    Push(Box<DefaultMQPushConsumer>),
    /// The poll loop: told to stop by the flag, it ends after the poll under way.
    LitePull {
        polling: Arc<AtomicBool>,
        poll_loop: JoinHandle<()>,
        consumer: Arc<DefaultLitePullConsumer>,
    },
}

impl Consumer {
    pub async fn start(
        connection: &Connection,
        subscription: Subscription,
    ) -> Result<Self, Failure> {
        match subscription.kind.as_str() {
            "push" => start_push(connection, subscription).await,
            "lite-pull" => start_lite_pull(connection, subscription).await,
            kind => Err(format!("unknown consumer kind {kind}").into()),
        }
    }

    pub async fn stop(self) -> Result<(), Failure> {
        match self {
            Self::Push(mut consumer) => consumer.shutdown().await,
            Self::LitePull {
                polling,
                poll_loop,
                consumer,
            } => {
                polling.store(false, Ordering::SeqCst);
                poll_loop.await?;
                consumer.shutdown().await;
            }
        }
        Ok(())
    }
}

async fn start_push(
    connection: &Connection,
    subscription: Subscription,
) -> Result<Consumer, Failure> {
    let mut builder = DefaultMQPushConsumer::builder(connection.runtime.clone())
        .client_config(connection.config("consumer", &subscription.connection))
        .consumer_group(subscription.group.as_str())
        .consume_from_where(ConsumeFromWhere::ConsumeFromFirstOffset)
        .await_termination_millis_when_shutdown(LISTENERS_END_MS);
    if let Some(signer) = signer(&subscription.connection) {
        builder = builder.rpc_hook(Some(signer));
    }
    let mut consumer = builder.build();
    consumer
        .subscribe(subscription.topic.as_str(), subscription.tags.as_str())
        .await?;
    consumer.register_message_listener_concurrently(
        move |messages: &[&MessageExt], _context: &ConsumeConcurrentlyContext| {
            // A batch holds one message unless the application asks for more.
            let message = messages[0];
            received(message);
            if subscription.holds(message) {
                return Ok(ConsumeConcurrentlyStatus::ReconsumeLater);
            }
            acked(message);
            Ok(ConsumeConcurrentlyStatus::ConsumeSuccess)
        },
    );
    consumer.start().await?;
    Ok(Consumer::Push(Box::new(consumer)))
}

async fn start_lite_pull(
    connection: &Connection,
    subscription: Subscription,
) -> Result<Consumer, Failure> {
    let mut builder = DefaultLitePullConsumer::builder(connection.runtime.clone())
        .client_options(
            connection
                .config("consumer", &subscription.connection)
                .into(),
        )
        .consumer_group(subscription.group.as_str())
        .consume_from_where(ConsumeFromWhere::ConsumeFromFirstOffset)
        .auto_commit(false);
    if let Some(signer) = signer(&subscription.connection) {
        builder = builder.rpc_hook(signer);
    }
    let consumer = Arc::new(builder.build()?);
    consumer
        .subscribe_with_expression(&subscription.topic, &subscription.tags)
        .await?;
    consumer.start().await?;
    let polling = Arc::new(AtomicBool::new(true));
    let (going_on, polled) = (Arc::clone(&polling), Arc::clone(&consumer));
    let poll_loop = tokio::spawn(async move {
        while going_on.load(Ordering::SeqCst) {
            let messages = polled.poll_with_timeout(POLL_MS).await;
            if messages.is_empty() {
                continue;
            }
            messages.iter().for_each(received);
            polled.commit_sync().await;
            messages.iter().for_each(acked);
        }
    });
    Ok(Consumer::LitePull {
        polling,
        poll_loop,
        consumer,
    })
}
