//! `carrack group`.

use std::collections::BTreeMap;

use clap::{Args, Subcommand};
use client::ClientError;
use serde::Serialize;
use wire::remoting::{
    ResponseCode,
    body::{ConsumeStats, GroupConfig},
};

use super::{
    reset_offset,
    servers::Servers,
    show::{self, Rows},
    time::{self, Point},
};
use crate::{cli::ServerOptions, exit::Failure};

/// Group attribute that names the topic whose LiteTopics the group consumes.
const LITE_TOPIC_ATTRIBUTE: &str = "lite.bind.topic";

/// Group attribute that says whether a LiteTopic has one consumer at a time.
const LITE_MODEL_ATTRIBUTE: &str = "lite.sub.model";

/// Group attribute that says whether the group consumes every LiteTopic.
const LITE_WILDCARD_ATTRIBUTE: &str = "lite.sub.wildcard";

/// Group attribute that says how many LiteTopics one client may choose.
const LITE_QUOTA_ATTRIBUTE: &str = "lite.sub.client.quota";

/// What to do with consumer groups.
#[derive(Debug, Subcommand)]
pub(crate) enum GroupCommand {
    /// Create a group; the same again succeeds
    Create(GroupCreate),
    /// List all groups
    List {
        #[command(flatten)]
        server: ServerOptions,
    },
    /// Show one group, how far it has come and who consumes
    Describe {
        /// Name of the group
        name: String,
        #[command(flatten)]
        server: ServerOptions,
    },
    /// Set how far a group has come in a topic; its consumers go on from there
    Reset {
        /// Name of the group
        name: String,
        /// The topic
        #[arg(long)]
        topic: String,
        /// Where to go on: `earliest`, `latest`, a time like 2026-11-22T03:20:00Z (with the first
        /// message stored then or later), or milliseconds since 1970
        #[arg(long, value_name = "WHERE")]
        to: Point,
        #[command(flatten)]
        server: ServerOptions,
    },
    /// Delete a group and its offsets
    Delete {
        /// Name of the group
        name: String,
        #[command(flatten)]
        server: ServerOptions,
    },
}

/// A group to create.
#[derive(Debug, Args)]
pub(crate) struct GroupCreate {
    /// Name of the group
    name: String,
    /// Deliver messages of one message group one after the other
    #[arg(long)]
    fifo: bool,
    /// Deliveries of a message, the first included, before it is a dead letter
    #[arg(long, value_name = "N", default_value_t = 17, value_parser = clap::value_parser!(u32).range(1..=1000))]
    max_attempts: u32,
    /// Consume the LiteTopics of this topic, of which each client chooses its own
    #[arg(long, value_name = "TOPIC")]
    lite_topic: Option<String>,
    /// Have each LiteTopic consumed by one client at a time: the last one to choose it
    #[arg(long, requires = "lite_topic")]
    exclusive: bool,
    /// Spread the messages of every LiteTopic over the clients; none chooses
    #[arg(long, requires = "lite_topic", conflicts_with = "exclusive")]
    every_lite_topic: bool,
    /// LiteTopics that one client may choose, 2000 if not given
    #[arg(long, value_name = "N", requires = "lite_topic", value_parser = clap::value_parser!(u32).range(1..=100_000))]
    lite_topics_per_client: Option<u32>,
    #[command(flatten)]
    server: ServerOptions,
}

impl GroupCreate {
    /// The changes of attributes that make it a group of LiteTopics.
    fn lite_attributes(&self, servers: &Servers) -> BTreeMap<String, String> {
        let Some(topic) = &self.lite_topic else {
            return BTreeMap::new();
        };
        let model = if self.exclusive {
            "Exclusive"
        } else {
            "Shared"
        };
        let mut attributes = BTreeMap::from([
            (LITE_TOPIC_ATTRIBUTE, servers.name(topic)),
            (LITE_MODEL_ATTRIBUTE, model.to_owned()),
            (LITE_WILDCARD_ATTRIBUTE, self.every_lite_topic.to_string()),
        ]);
        if let Some(quota) = self.lite_topics_per_client {
            attributes.insert(LITE_QUOTA_ATTRIBUTE, quota.to_string());
        }
        let changes = attributes.into_iter();
        changes
            .map(|(name, value)| (format!("+{name}"), value))
            .collect()
    }
}

#[derive(Debug, Serialize)]
struct GroupSummary {
    group: String,
    fifo: bool,
    max_attempts: i32,
    lite_topic: Option<String>,
}

#[derive(Debug, Serialize)]
struct GroupDescription {
    #[serde(flatten)]
    summary: GroupSummary,
    lag: i64,
    consumers: Vec<Consumer>,
    queue_list: Vec<QueueProgress>,
}

#[derive(Clone, Debug, PartialEq, Eq, PartialOrd, Ord, Serialize)]
struct Consumer {
    client: String,
    address: String,
    language: String,
}

#[derive(Debug, Serialize)]
struct QueueProgress {
    topic: String,
    broker: String,
    queue: i32,
    max_offset: i64,
    committed_offset: i64,
    lag: i64,
    /// Store time of the last consumed message, ms since 1970; 0 if there is none.
    last_consumed_ms: i64,
}

pub(super) async fn run(command: GroupCommand) -> Result<(), Failure> {
    match command {
        GroupCommand::Create(group) => create(&group).await,
        GroupCommand::List { server } => list(&server).await,
        GroupCommand::Describe { name, server } => describe(&name, &server).await,
        GroupCommand::Reset {
            name,
            topic,
            to,
            server,
        } => reset_offset::run(&name, &topic, to, &server).await,
        GroupCommand::Delete { name, server } => delete(&name, &server).await,
    }
}

async fn create(group: &GroupCreate) -> Result<(), Failure> {
    let (name, options) = (group.name.as_str(), &group.server);
    let (fifo, max_attempts) = (group.fifo, group.max_attempts);
    let servers = Servers::connect(options).await?;
    let config = GroupConfig {
        group_name: servers.name(name),
        consume_message_orderly: fifo,
        // RocketMQ counts the retries after the first delivery.
        retry_times_max: max_attempts.cast_signed() - 1,
        attributes: group.lite_attributes(&servers),
        ..GroupConfig::default()
    };
    servers
        .on_brokers(async |broker| broker.create_group(&config).await)
        .await?;
    let summary = GroupSummary {
        group: name.to_owned(),
        fifo,
        max_attempts: max_attempts.cast_signed(),
        lite_topic: group.lite_topic.clone(),
    };
    show::answer(options.output, &summary, || {
        format!(
            "group {name}: {}, {max_attempts} {}\n",
            shown_order(fifo),
            if max_attempts == 1 {
                "attempt"
            } else {
                "attempts"
            }
        )
    })
}

async fn list(options: &ServerOptions) -> Result<(), Failure> {
    let servers = Servers::connect(options).await?;
    let answers = servers
        .on_brokers(async |broker| broker.groups().await)
        .await?;
    let by_name: BTreeMap<String, GroupSummary> = answers
        .iter()
        .flatten()
        .map(|config| summary(&servers, config))
        .map(|summary| (summary.group.clone(), summary))
        .collect();
    let summaries: Vec<&GroupSummary> = by_name.values().collect();
    show::answer(options.output, &summaries, || listed(&summaries))
}

fn listed(summaries: &[&GroupSummary]) -> String {
    if summaries.is_empty() {
        return "no groups\n".to_owned();
    }
    let mut rows = Rows::new(&["GROUP", "DELIVERY", "ATTEMPTS>", "LITE TOPIC"]);
    for group in summaries {
        rows.push([
            group.group.clone(),
            shown_order(group.fifo).to_owned(),
            group.max_attempts.to_string(),
            group.lite_topic.clone().unwrap_or_else(|| "-".to_owned()),
        ]);
    }
    rows.text()
}

async fn describe(name: &str, options: &ServerOptions) -> Result<(), Failure> {
    let servers = Servers::connect(options).await?;
    let full = servers.name(name);
    let answers = servers
        .on_brokers(async |broker| {
            let config = broker.group_config(&full).await?;
            let stats = broker.consume_stats(&full).await?;
            let consumers = match broker.consumer_connections(&full).await {
                Ok(consumers) => consumers.connections,
                // Apache refuses where nobody consumes.
                Err(ClientError::Refused { .. }) => Vec::new(),
                Err(error) => return Err(error),
            };
            Ok((config, stats, consumers))
        })
        .await
        .map_err(|error| not_found(name, error))?;
    let Some((config, ..)) = answers.first() else {
        return Err(Failure::Refused(anyhow::anyhow!(
            "group `{name}` not found: no broker"
        )));
    };
    let group = summary(&servers, config);
    let mut consumers: Vec<Consumer> = answers
        .iter()
        .flat_map(|(_, _, consumers)| consumers)
        .map(|connection| Consumer {
            client: connection.client_id.clone(),
            address: connection.client_address.clone(),
            language: connection.language.clone(),
        })
        .collect();
    consumers.sort();
    consumers.dedup();
    let mut queue_list: Vec<QueueProgress> = answers
        .iter()
        .flat_map(|(_, stats, _)| progress(&servers, stats))
        .collect();
    queue_list.sort_by(|a, b| (&a.topic, &a.broker, a.queue).cmp(&(&b.topic, &b.broker, b.queue)));
    let description = GroupDescription {
        summary: group,
        lag: queue_list.iter().map(|queue| queue.lag).sum(),
        consumers,
        queue_list,
    };
    show::answer(options.output, &description, || described(&description))
}

fn described(group: &GroupDescription) -> String {
    let mut text = show::facts(&[
        ("group", group.summary.group.clone()),
        ("delivery", shown_order(group.summary.fifo).to_owned()),
        ("attempts", group.summary.max_attempts.to_string()),
        (
            "lite topic",
            group
                .summary
                .lite_topic
                .clone()
                .unwrap_or_else(|| "-".to_owned()),
        ),
        ("lag", group.lag.to_string()),
        ("consumers", group.consumers.len().to_string()),
    ]);
    if !group.consumers.is_empty() {
        let mut rows = Rows::new(&["CLIENT", "ADDRESS", "LANGUAGE"]);
        for consumer in &group.consumers {
            rows.push([&consumer.client, &consumer.address, &consumer.language]);
        }
        text.push('\n');
        text.push_str(&rows.text());
    }
    if group.queue_list.is_empty() {
        return text;
    }
    let mut rows = Rows::new(&[
        "TOPIC",
        "BROKER",
        "QUEUE>",
        "END>",
        "COMMITTED>",
        "LAG>",
        "LAST CONSUMED",
    ]);
    for queue in &group.queue_list {
        rows.push([
            queue.topic.clone(),
            queue.broker.clone(),
            queue.queue.to_string(),
            queue.max_offset.to_string(),
            queue.committed_offset.to_string(),
            queue.lag.to_string(),
            time::shown(queue.last_consumed_ms),
        ]);
    }
    text.push('\n');
    text.push_str(&rows.text());
    text
}

async fn delete(name: &str, options: &ServerOptions) -> Result<(), Failure> {
    let servers = Servers::connect(options).await?;
    let full = servers.name(name);
    servers
        .on_brokers(async |broker| broker.delete_group(&full).await)
        .await
        .map_err(|error| not_found(name, error))?;
    show::answer(
        options.output,
        &serde_json::json!({ "group": name, "deleted": true }),
        || format!("group {name} deleted\n"),
    )
}

fn summary(servers: &Servers, config: &GroupConfig) -> GroupSummary {
    let lite_topic = config.attributes.get(LITE_TOPIC_ATTRIBUTE);
    GroupSummary {
        group: servers.plain(&config.group_name).to_owned(),
        fifo: config.consume_message_orderly,
        max_attempts: config.retry_times_max.saturating_add(1),
        lite_topic: lite_topic.map(|topic| servers.plain(topic).to_owned()),
    }
}

fn progress(servers: &Servers, stats: &ConsumeStats) -> Vec<QueueProgress> {
    let progress = stats
        .offset_table
        .0
        .iter()
        .map(|(queue, offsets)| QueueProgress {
            topic: servers.plain(&queue.topic).to_owned(),
            broker: queue.broker_name.clone(),
            queue: queue.queue_id,
            max_offset: offsets.broker_offset,
            committed_offset: offsets.consumer_offset,
            lag: offsets
                .broker_offset
                .saturating_sub(offsets.consumer_offset)
                .max(0),
            last_consumed_ms: offsets.last_timestamp,
        });
    progress.collect()
}

fn shown_order(fifo: bool) -> &'static str {
    if fifo { "fifo" } else { "concurrent" }
}

fn not_found(name: &str, error: ClientError) -> Failure {
    match error.refusal() {
        Some(ResponseCode::GroupNotExist) => {
            Failure::Refused(anyhow::anyhow!("group `{name}` not found"))
        }
        _ => error.into(),
    }
}
