//! `carrack message`.

use std::{
    io::{IsTerminal, Read},
    time::{SystemTime, UNIX_EPOCH},
};

use base::limits;
use base64::{Engine, engine::general_purpose::STANDARD};
use clap::Subcommand;
use client::remoting::{OutgoingMessage, QueryMessages};
use serde::Serialize;
use wire::message::{
    MessageId, StoredMessage,
    properties::{self, PropertyError},
    sys_flag,
};

use super::{
    servers::{Servers, is_elsewhere},
    show::{self, Rows},
    time, trace,
};
use crate::{cli::ServerOptions, exit::Failure};

/// Producer group that messages of the command line come from.
const PRODUCER_GROUP: &str = "CARRACK_CLI";

/// Letters of a body that a table shows.
const BODY_LETTERS_MAX: usize = 40;

/// What to do with messages.
#[derive(Debug, Subcommand)]
pub(crate) enum MessageCommand {
    /// Show one message by its id
    Get {
        /// Topic of the message
        topic: String,
        /// Id that the sender or the server gave it
        id: String,
        #[command(flatten)]
        server: ServerOptions,
    },
    /// Find messages by a key
    Query {
        /// Topic of the messages
        topic: String,
        /// The key
        #[arg(long)]
        key: String,
        /// Most messages to show
        #[arg(long, value_name = "N", default_value_t = 32, value_parser = clap::value_parser!(u32).range(1..=64))]
        limit: u32,
        #[command(flatten)]
        server: ServerOptions,
    },
    /// Show what SDKs told of a message's way: who sent it, who consumed it, and when
    Trace {
        /// Id that the sender gave the message, or one of its keys
        id: String,
        /// Topic that the SDKs send their traces to
        #[arg(long, value_name = "TOPIC", default_value = "RMQ_SYS_TRACE_TOPIC")]
        topic: String,
        #[command(flatten)]
        server: ServerOptions,
    },
    /// Send one message
    Send {
        /// Topic to send to
        topic: String,
        /// Content; without it, what comes from standard input
        #[arg(long, value_name = "TEXT")]
        body: Option<String>,
        /// Tag that consumers can filter by
        #[arg(long)]
        tag: Option<String>,
        /// Key to find the message by; may be given more than once
        #[arg(long = "key", value_name = "KEY")]
        keys: Vec<String>,
        /// Property of the application; may be given more than once
        #[arg(long = "property", value_name = "NAME=VALUE")]
        properties: Vec<String>,
        /// Queue to send to [default: the server chooses]
        #[arg(long, value_name = "N")]
        queue: Option<u32>,
        #[command(flatten)]
        server: ServerOptions,
    },
}

#[derive(Debug, Serialize)]
struct SentSummary {
    topic: String,
    message_id: String,
    queue: u32,
    queue_offset: i64,
}

#[derive(Debug, Serialize)]
struct MessageDescription {
    topic: String,
    queue: u32,
    queue_offset: i64,
    /// Id that the sender gave, or else the server's.
    message_id: String,
    /// Id that the server gave.
    offset_message_id: String,
    tag: Option<String>,
    keys: Vec<String>,
    /// Ms since 1970.
    born_ms: i64,
    born_host: String,
    /// Ms since 1970.
    stored_ms: i64,
    store_host: String,
    reconsume_times: i32,
    properties: Vec<(String, String)>,
    compressed: bool,
    body_bytes: usize,
    /// The content, if it is text.
    body: Option<String>,
    /// The content, if it is no text.
    body_base64: Option<String>,
}

pub(super) async fn run(command: MessageCommand) -> Result<(), Failure> {
    match command {
        MessageCommand::Trace { id, topic, server } => trace::run(&id, &topic, &server).await,
        MessageCommand::Get { topic, id, server } => get(&topic, &id, &server).await,
        MessageCommand::Query {
            topic,
            key,
            limit,
            server,
        } => query(&topic, &key, limit, &server).await,
        MessageCommand::Send {
            topic,
            body,
            tag,
            keys,
            properties,
            queue,
            server,
        } => {
            let body = body_of(body)?;
            let properties = encode(tag.as_deref(), &keys, &properties)?;
            send(&topic, body, &properties, queue, &server).await
        }
    }
}

async fn get(topic: &str, id: &str, options: &ServerOptions) -> Result<(), Failure> {
    let servers = Servers::connect(options).await?;
    let full = servers.name(topic);
    let found = servers
        .on_brokers(async |broker| {
            let by_sender = broker
                .query(QueryMessages {
                    topic: &full,
                    key: id,
                    is_unique_key: true,
                    max_messages: 1,
                    from: 0,
                    to: i64::MAX,
                })
                .await?;
            if let Some(message) = by_sender.into_iter().next() {
                return Ok(Some(message));
            }
            // Ids of senders and of servers can look alike, so only the store can tell them apart.
            let Ok(id) = id.parse::<MessageId>() else {
                return Ok(None);
            };
            let message = broker.message_at(Some(&full), id.physical_offset).await?;
            Ok(message.filter(|message| servers.plain(message.topic()) == topic))
        })
        .await?;
    let Some(message) = found.into_iter().flatten().next() else {
        return Err(Failure::Refused(anyhow::anyhow!(
            "message `{id}` not found in topic `{topic}`"
        )));
    };
    let message = described(&servers, &message);
    show::answer(options.output, &message, || page(&message))
}

/// Messages of a topic with a key, or the id that their client gave them, from all brokers.
pub(super) async fn by_key(
    servers: &Servers,
    topic: &str,
    key: &str,
    max_messages: u32,
) -> Result<Vec<StoredMessage>, Failure> {
    let full = servers.name(topic);
    let found = servers
        .on_brokers(async |broker| {
            let query = QueryMessages {
                topic: &full,
                key,
                is_unique_key: false,
                max_messages,
                from: 0,
                to: i64::MAX,
            };
            broker.query(query).await
        })
        .await?;
    Ok(found.into_iter().flatten().collect())
}

async fn query(topic: &str, key: &str, limit: u32, options: &ServerOptions) -> Result<(), Failure> {
    let servers = Servers::connect(options).await?;
    let found = by_key(&servers, topic, key, limit).await?;
    let mut messages: Vec<MessageDescription> = found
        .iter()
        .map(|message| described(&servers, message))
        .collect();
    messages.sort_by_key(|message| std::cmp::Reverse(message.stored_ms));
    messages.truncate(limit as usize);
    show::answer(options.output, &messages, || listed(&messages))
}

fn listed(messages: &[MessageDescription]) -> String {
    if messages.is_empty() {
        return "no messages\n".to_owned();
    }
    let mut rows = Rows::new(&["MESSAGE ID", "QUEUE>", "OFFSET>", "STORED", "TAG", "BODY"]);
    for message in messages {
        rows.push([
            message.message_id.clone(),
            message.queue.to_string(),
            message.queue_offset.to_string(),
            time::shown(message.stored_ms),
            message.tag.clone().unwrap_or_else(|| "-".to_owned()),
            start_of_body(message),
        ]);
    }
    rows.text()
}

async fn send(
    topic: &str,
    body: Vec<u8>,
    properties: &str,
    queue: Option<u32>,
    options: &ServerOptions,
) -> Result<(), Failure> {
    let servers = Servers::connect(options).await?;
    let full = servers.name(topic);
    let broker = servers.broker_of(&full).await?;
    let body = bytes::Bytes::from(body);
    let message = || OutgoingMessage {
        producer_group: PRODUCER_GROUP,
        topic: &full,
        queue,
        automatic_queues: 8,
        flag: 0,
        sys_flag: 0,
        born_timestamp: now_ms(),
        properties,
        body: body.clone(),
    };
    let sent = match broker.send(message()).await {
        Err(error) if is_elsewhere(&error) => {
            let broker = servers.routed_broker_of(&full).await?;
            broker.send(message()).await?
        }
        sent => sent?,
    };
    let summary = SentSummary {
        topic: topic.to_owned(),
        message_id: sent.message_id,
        queue: sent.queue,
        queue_offset: sent.queue_offset,
    };
    show::answer(options.output, &summary, || {
        format!(
            "sent {} to queue {} of topic {topic}, offset {}\n",
            summary.message_id, summary.queue, summary.queue_offset
        )
    })
}

/// The content given on the command line, else what standard input has.
fn body_of(argument: Option<String>) -> Result<Vec<u8>, Failure> {
    if let Some(body) = argument {
        return Ok(body.into_bytes());
    }
    let input = std::io::stdin().lock();
    if input.is_terminal() {
        return Err(Failure::Usage(anyhow::anyhow!(
            "no message content, expected --body TEXT or the content on standard input"
        )));
    }
    let mut body = Vec::new();
    // One byte more than allowed tells a body that is too large.
    input
        .take(limits::MESSAGE_BODY_BYTES_MAX as u64 + 1)
        .read_to_end(&mut body)?;
    if body.len() > limits::MESSAGE_BODY_BYTES_MAX {
        return Err(Failure::Usage(anyhow::anyhow!(
            "message content has more than {} bytes",
            limits::MESSAGE_BODY_BYTES_MAX
        )));
    }
    Ok(body)
}

fn encode(tag: Option<&str>, keys: &[String], own: &[String]) -> Result<String, Failure> {
    let usage = |error: PropertyError| Failure::Usage(error.into());
    let mut raw = String::new();
    if let Some(tag) = tag {
        properties::push(&mut raw, properties::TAGS, tag).map_err(usage)?;
    }
    if !keys.is_empty() {
        let keys = keys.join(&properties::KEY_SEPARATOR.to_string());
        properties::push(&mut raw, properties::KEYS, &keys).map_err(usage)?;
    }
    for property in own {
        let Some((name, value)) = property.split_once('=') else {
            return Err(Failure::Usage(anyhow::anyhow!(
                "property `{property}` has no `=`, expected NAME=VALUE"
            )));
        };
        if properties::WELL_KNOWN.contains(&name) {
            return Err(Failure::Usage(anyhow::anyhow!(
                "property `{name}` is RocketMQ's own, expected a name of the application"
            )));
        }
        properties::push(&mut raw, name, value).map_err(usage)?;
    }
    Ok(raw)
}

fn described(servers: &Servers, message: &StoredMessage) -> MessageDescription {
    let id = MessageId {
        store_host: message.store_host(),
        physical_offset: message.physical_offset(),
    };
    let body = message.body();
    let compressed = message.sys_flag() & sys_flag::COMPRESSED != 0;
    let text = std::str::from_utf8(&body)
        .ok()
        .filter(|_| !compressed)
        .map(str::to_owned);
    let own = message.properties().filter(|(name, _)| {
        !matches!(
            *name,
            properties::TAGS | properties::KEYS | properties::UNIQUE_KEY
        )
    });
    MessageDescription {
        topic: servers.plain(message.topic()).to_owned(),
        queue: message.queue_id(),
        queue_offset: message.queue_offset(),
        message_id: message
            .property(properties::UNIQUE_KEY)
            .map_or_else(|| id.to_string(), str::to_owned),
        offset_message_id: id.to_string(),
        tag: message.property(properties::TAGS).map(str::to_owned),
        keys: message
            .property(properties::KEYS)
            .map(|keys| properties::keys(keys).map(str::to_owned).collect())
            .unwrap_or_default(),
        born_ms: message.born_timestamp(),
        born_host: message.born_host().to_string(),
        stored_ms: message.store_timestamp(),
        store_host: message.store_host().to_string(),
        reconsume_times: message.reconsume_times(),
        properties: own
            .map(|(name, value)| (name.to_owned(), value.to_owned()))
            .collect(),
        compressed,
        body_bytes: body.len(),
        body_base64: text.is_none().then(|| STANDARD.encode(&body)),
        body: text,
    }
}

fn page(message: &MessageDescription) -> String {
    let mut facts = vec![
        ("topic", message.topic.clone()),
        ("queue", message.queue.to_string()),
        ("offset", message.queue_offset.to_string()),
        ("message id", message.message_id.clone()),
        ("server's id", message.offset_message_id.clone()),
        ("tag", message.tag.clone().unwrap_or_else(|| "-".to_owned())),
        (
            "keys",
            if message.keys.is_empty() {
                "-".into()
            } else {
                message.keys.join(" ")
            },
        ),
        (
            "born",
            format!("{} by {}", time::shown(message.born_ms), message.born_host),
        ),
        (
            "stored",
            format!(
                "{} by {}",
                time::shown(message.stored_ms),
                message.store_host
            ),
        ),
        ("retries", message.reconsume_times.to_string()),
    ];
    for (name, value) in &message.properties {
        facts.push(("property", format!("{name} = {}", printable(value))));
    }
    facts.push(("size", format!("{} bytes", message.body_bytes)));
    let mut text = show::facts(&facts);
    text.push('\n');
    match (&message.body, &message.body_base64) {
        (Some(body), _) => text.push_str(&printable(body)),
        (None, Some(encoded)) => text.push_str(encoded),
        (None, None) => {}
    }
    text.push('\n');
    text
}

/// Text whose control characters cannot play tricks on a terminal; line breaks and tabs stay.
fn printable(text: &str) -> String {
    let safe = |c: char| !c.is_control() || matches!(c, '\n' | '\t');
    text.chars()
        .map(|c| if safe(c) { c } else { '\u{fffd}' })
        .collect()
}

fn start_of_body(message: &MessageDescription) -> String {
    let Some(body) = &message.body else {
        return format!("({} bytes)", message.body_bytes);
    };
    let mut start: String = body
        .chars()
        .take(BODY_LETTERS_MAX)
        .map(|c| if c.is_control() { ' ' } else { c })
        .collect();
    if body.chars().nth(BODY_LETTERS_MAX).is_some() {
        start.push('…');
    }
    start
}

#[expect(
    clippy::disallowed_methods,
    reason = "a command of a person runs in real time; only the server's time is injected"
)]
fn now_ms() -> i64 {
    let since = SystemTime::now()
        .duration_since(UNIX_EPOCH)
        .unwrap_or_default();
    i64::try_from(since.as_millis()).unwrap_or(i64::MAX)
}
