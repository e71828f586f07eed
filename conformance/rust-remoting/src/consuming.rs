//! The consumers.

use std::sync::Arc;
use std::sync::atomic::{AtomicBool, Ordering};

use rocketmq_client_rust::{
    ConsumeConcurrentlyContext, ConsumeConcurrentlyStatus, ConsumeOrderlyContext,
    ConsumeOrderlyStatus, DefaultLitePullConsumer, DefaultMQProducer, DefaultMQPushConsumer,
    MQPushConsumer as _, MessageListenerOrderly, MessageSelector, MessageUtil,
};
use rocketmq_model::common::consumer::consume_from_where::ConsumeFromWhere;
use rocketmq_model::common::message::message_ext::MessageExt;
use rocketmq_protocol::protocol::heartbeat::message_model::MessageModel;
use serde_json::json;
use tokio::runtime::Handle;
use tokio::sync::Mutex;
use tokio::task::JoinHandle;

use crate::Failure;
use crate::connection::{Connection, signer};
use crate::producing::Producer;
use crate::protocol::{Subscription, acked, describe, keys, received, write};

/// By default the client stops without waiting for listeners, and forgets what they have just done.
const LISTENERS_END_MS: u64 = 10_000;
const POLL_MS: u64 = 500;
/// Stopping a lite pull consumer waits for its long polls, of 20 s by default.
const LONG_POLL_MS: u64 = 3_000;

pub enum Consumer {
    Push(Box<DefaultMQPushConsumer>),
    LitePull(LitePull),
}

/// A poll loop: told to stop by the flag, it ends after the poll under way.
pub struct LitePull {
    polling: Arc<AtomicBool>,
    poll_loop: JoinHandle<()>,
    /// Held while messages are polled and reported.
    consumer: Arc<Mutex<DefaultLitePullConsumer>>,
}

impl Consumer {
    /// A consumer that answers requests does so through `producer`.
    pub async fn start(
        connection: &Connection,
        subscription: Subscription,
        producer: Option<&Producer>,
    ) -> Result<Self, Failure> {
        match subscription.kind.as_str() {
            "push" => {
                let replies = match producer {
                    Some(producer) if subscription.replies => Some(Arc::clone(producer.normal()?)),
                    _ => None,
                };
                start_push(connection, subscription, replies).await
            }
            "lite-pull" => start_lite_pull(connection, subscription).await,
            kind => Err(format!("unknown consumer kind {kind}").into()),
        }
    }

    pub async fn seek(&self, to: &str, timestamp_ms: Option<u64>) -> Result<(), Failure> {
        let Self::LitePull(LitePull { consumer, .. }) = self else {
            return Err("unsupported: a push consumer cannot seek".into());
        };
        let consumer = consumer.lock().await;
        for queue in consumer.assignment().await? {
            match (to, timestamp_ms) {
                ("begin", _) => consumer.seek_to_begin(&queue).await?,
                ("end", _) => consumer.seek_to_end(&queue).await?,
                ("timestamp", Some(timestamp_ms)) => {
                    let offset = consumer.offset_for_timestamp(&queue, timestamp_ms).await?;
                    consumer.seek(&queue, offset).await?;
                }
                _ => return Err(format!("unknown position {to}").into()),
            }
        }
        Ok(())
    }

    pub async fn stop(self) -> Result<(), Failure> {
        match self {
            Self::Push(mut consumer) => consumer.shutdown().await,
            Self::LitePull(LitePull {
                polling,
                poll_loop,
                consumer,
            }) => {
                polling.store(false, Ordering::SeqCst);
                poll_loop.await?;
                consumer.lock().await.shutdown().await;
            }
        }
        Ok(())
    }
}

async fn start_push(
    connection: &Connection,
    subscription: Subscription,
    replies: Option<Arc<DefaultMQProducer>>,
) -> Result<Consumer, Failure> {
    let mut builder = DefaultMQPushConsumer::builder(connection.runtime.clone())
        .client_config(connection.config("consumer", &subscription.session))
        .consumer_group(subscription.group.as_str())
        .consume_from_where(ConsumeFromWhere::ConsumeFromFirstOffset)
        .await_termination_millis_when_shutdown(LISTENERS_END_MS);
    if subscription.model.as_deref() == Some("broadcasting") {
        builder = builder.message_model(MessageModel::Broadcasting);
    }
    if let Some(attempts) = subscription.max_attempts {
        builder = builder.max_reconsume_times(attempts - 1);
    }
    if let Some(signer) = signer(&subscription.session) {
        builder = builder.rpc_hook(Some(signer));
    }
    let mut consumer = builder.build();
    consumer
        .subscribe_with_selector(&subscription.topic, Some(selector(&subscription)))
        .await?;
    if subscription.ordered {
        consumer.register_message_listener_orderly(OrderedListener(subscription));
    } else {
        register_concurrent(&mut consumer, subscription, replies);
    }
    consumer.start().await?;
    Ok(Consumer::Push(Box::new(consumer)))
}

fn selector(subscription: &Subscription) -> MessageSelector {
    match &subscription.sql {
        Some(sql) => MessageSelector::by_sql(sql.as_str()),
        None => MessageSelector::by_tag(subscription.tags.as_str()),
    }
}

// A batch holds one message unless the application asks for more: so do both listeners.

fn register_concurrent(
    consumer: &mut DefaultMQPushConsumer,
    subscription: Subscription,
    replies: Option<Arc<DefaultMQProducer>>,
) {
    let runtime = Handle::current();
    consumer.register_message_listener_concurrently(
        move |messages: &[&MessageExt], _context: &ConsumeConcurrentlyContext| {
            let message = messages[0];
            received(message);
            if subscription.fails(message) {
                return Ok(ConsumeConcurrentlyStatus::ReconsumeLater);
            }
            if let Some(producer) = &replies {
                runtime.spawn(reply(Arc::clone(producer), message.clone()));
            }
            acked(message);
            Ok(ConsumeConcurrentlyStatus::ConsumeSuccess)
        },
    );
}

struct OrderedListener(Subscription);

impl MessageListenerOrderly for OrderedListener {
    fn consume_message(
        &self,
        messages: &[&MessageExt],
        _context: &mut ConsumeOrderlyContext,
    ) -> rocketmq_client_rust::ClientResult<ConsumeOrderlyStatus> {
        let message = messages[0];
        received(message);
        if self.0.fails(message) {
            return Ok(ConsumeOrderlyStatus::SuspendCurrentQueueAMoment);
        }
        acked(message);
        Ok(ConsumeOrderlyStatus::Success)
    }
}

/// Answers a request with its first key.
async fn reply(producer: Arc<DefaultMQProducer>, request: MessageExt) {
    let body = keys(&request).swap_remove(0);
    let sent = match MessageUtil::create_reply_message(request.message_inner(), body.as_bytes()) {
        Ok(answer) => producer.send(answer).await.map(drop),
        Err(reason) => Err(reason),
    };
    if let Err(reason) = sent {
        write("warning", json!({ "error": describe(&reason) }));
    }
}

async fn start_lite_pull(
    connection: &Connection,
    subscription: Subscription,
) -> Result<Consumer, Failure> {
    let mut builder = DefaultLitePullConsumer::builder(connection.runtime.clone())
        .client_options(connection.config("consumer", &subscription.session).into())
        .consumer_group(subscription.group.as_str())
        .consume_from_where(ConsumeFromWhere::ConsumeFromFirstOffset)
        .broker_suspend_max_time_millis(LONG_POLL_MS)
        .auto_commit(false);
    if let Some(signer) = signer(&subscription.session) {
        builder = builder.rpc_hook(signer);
    }
    let consumer = builder.build()?;
    consumer
        .subscribe_with_selector(&subscription.topic, Some(selector(&subscription)))
        .await?;
    consumer.start().await?;
    let consumer = Arc::new(Mutex::new(consumer));
    let polling = Arc::new(AtomicBool::new(true));
    let poll_loop = tokio::spawn(poll(Arc::clone(&consumer), Arc::clone(&polling)));
    Ok(Consumer::LitePull(LitePull {
        polling,
        poll_loop,
        consumer,
    }))
}

async fn poll(consumer: Arc<Mutex<DefaultLitePullConsumer>>, polling: Arc<AtomicBool>) {
    while polling.load(Ordering::SeqCst) {
        let consumer = consumer.lock().await;
        let messages = consumer.poll_with_timeout(POLL_MS).await;
        if messages.is_empty() {
            continue;
        }
        messages.iter().for_each(received);
        consumer.commit_sync().await;
        messages.iter().for_each(acked);
    }
}
