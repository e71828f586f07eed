//! Events as messages of the trace topic, as SDKs of Remoting write them.
//!
//! A message holds events of one client host, since tools show the host that the message came from.
//! Its keys are the ids and keys of all messages that it is about: by them it is found.

use std::{collections::HashMap, net::SocketAddr, sync::Arc};

use base::{InstanceId, TopicName, limits};
use broker::{
    Instance, Message, MessageType, Place, QueueChoice, Resolution, SendRequest, TopicSpec,
};
use wire::message::{
    ConsumeTrace, EndTransactionTrace, RecallTrace, ReceiveTrace, SendTrace, properties,
};

use super::{Event, Outcome, What, recorder::Happened};
use crate::front::Front;

/// Where SDKs send what they did with each message, unless they are told another topic.
pub(crate) const TRACE_TOPIC: &str = "RMQ_SYS_TRACE_TOPIC";

/// Queues of the trace topic, as Apache creates it.
const TRACE_QUEUES: u32 = 1;

/// Writes events to the trace topics of their instances.
pub(super) async fn write(front: &Front, events: Vec<Happened>) {
    let mut by_instance: HashMap<InstanceId, (Arc<Instance>, Vec<Happened>)> = HashMap::new();
    for happened in events {
        let instance = &happened.event.instance;
        by_instance
            .entry(instance.id().clone())
            .or_insert_with(|| (Arc::clone(instance), Vec::new()))
            .1
            .push(happened);
    }
    for (instance, events) in by_instance.into_values() {
        let count = events.len();
        match append(front, &instance, &events).await {
            Ok(()) => front.message_traces.wrote(count),
            Err(error) => {
                front.message_traces.lose(count);
                let instance = instance.id();
                tracing::debug!(%instance, count, %error, "traces of messages not written");
            }
        }
    }
}

/// Why events were not written, for a line in the log.
type Reason = Box<dyn std::error::Error + Send + Sync>;

async fn append(front: &Front, instance: &Instance, events: &[Happened]) -> Result<(), Reason> {
    let topic = TopicName::new(TRACE_TOPIC)?;
    if instance.topic(&topic).is_none() {
        let spec = TopicSpec::new(topic.clone(), TRACE_QUEUES);
        instance.create_topic(spec).await?;
    }
    let shards = instance.shards();
    let shard = shards.first().ok_or("instance has no shard here")?.id();
    let shard = front.router.shard(&Place {
        instance: instance.id().clone(),
        shard,
    })?;
    let Some(server) = events.first().map(|happened| happened.event.server) else {
        return Ok(());
    };
    let region = &front.settings.region;
    let mut by_host: HashMap<SocketAddr, Vec<&Happened>> = HashMap::new();
    for happened in events {
        by_host
            .entry(happened.event.host)
            .or_default()
            .push(happened);
    }
    let mut messages = Vec::new();
    for (host, events) in by_host {
        for events in events.chunks(limits::TRACE_EVENTS_PER_MESSAGE_MAX) {
            messages.push(message(region, host, events, front)?);
        }
    }
    shard
        .send(SendRequest {
            topic,
            queue: QueueChoice::Any,
            messages,
            store_host: server,
            retries_max: None,
        })
        .await?;
    Ok(())
}

fn message(
    region: &str,
    host: SocketAddr,
    events: &[&Happened],
    front: &Front,
) -> Result<Message, Reason> {
    let mut body = String::with_capacity(256 * events.len());
    let mut keys: Vec<&str> = Vec::with_capacity(2 * events.len());
    for happened in events {
        record(region, happened, &mut body);
        let message = &happened.event.message;
        let names = [&message.id, &message.keys];
        for key in names.into_iter().flat_map(|text| properties::keys(text)) {
            if !keys.contains(&key) {
                keys.push(key);
            }
        }
    }
    let mut raw = String::with_capacity(1_024);
    let keys = keys.join(&properties::KEY_SEPARATOR.to_string());
    if !keys.is_empty() {
        properties::push(&mut raw, properties::KEYS, &keys)?;
    }
    Ok(Message {
        flag: 0,
        sys_flag: 0,
        born_timestamp: front.clock.now(),
        born_host: host,
        reconsume_times: 0,
        body: body.into(),
        properties: raw.into(),
    })
}

/// Appends the record of an event.
fn record(region: &str, happened: &Happened, body: &mut String) {
    let Event {
        topic,
        message,
        client,
        server,
        at,
        what,
        ..
    } = &happened.event;
    match what {
        What::Sent { took, kind, stored } => SendTrace {
            at_ms: at.ms(),
            region,
            // Producers have none here: the topic, by which tools list them too.
            group: topic.as_str(),
            topic: topic.as_str(),
            message_id: &message.id,
            tag: &message.tag,
            keys: &message.keys,
            store_host: &server.to_string(),
            body_bytes: message.body_bytes,
            took_ms: u64::try_from(took.as_millis()).unwrap_or(u64::MAX),
            kind: match kind {
                MessageType::Transaction => 1,
                MessageType::Delay => 3,
                MessageType::Normal
                | MessageType::Fifo
                | MessageType::Lite
                | MessageType::Priority => 0,
            },
            offset_message_id: stored.as_deref().unwrap_or_default(),
            success: stored.is_some(),
            client,
        }
        .write(body),
        What::Received { group, delivery } => ReceiveTrace {
            at_ms: at.ms(),
            region,
            group: group.as_str(),
            request_id: &delivery.id(),
            message_id: &message.id,
            retries: delivery.retries(),
            keys: &message.keys,
        }
        .write(body),
        What::Settled {
            group,
            delivery,
            outcome,
        } => {
            let took = happened.begun_at.map(|begun| at.since(begun));
            let took = took.unwrap_or_default();
            ConsumeTrace {
                request_id: &delivery.id(),
                message_id: &message.id,
                took_ms: u64::try_from(took.as_millis()).unwrap_or(u64::MAX),
                success: *outcome == Outcome::Acked,
                keys: &message.keys,
                at_ms: at.ms(),
                group: group.as_str(),
            }
            .write(body);
        }
        What::TransactionEnded {
            group,
            transaction,
            resolution,
            from_check,
        } => EndTransactionTrace {
            at_ms: at.ms(),
            region,
            group: group
                .as_ref()
                .map_or(topic.as_str(), |group| group.as_str()),
            topic: topic.as_str(),
            message_id: &message.id,
            store_host: &server.to_string(),
            transaction_id: transaction,
            state: match resolution {
                Resolution::Commit => "COMMIT_MESSAGE",
                Resolution::Rollback => "ROLLBACK_MESSAGE",
                Resolution::Unknown => "UNKNOW",
            },
            from_check: *from_check,
        }
        .write(body),
        What::Recalled => RecallTrace {
            at_ms: at.ms(),
            region,
            group: topic.as_str(),
            topic: topic.as_str(),
            message_id: &message.id,
            success: true,
        }
        .write(body),
    }
}
