//! `carrack topic`.

use clap::{Subcommand, ValueEnum};
use client::{ClientError, remoting::NewTopic};
use futures::{StreamExt, TryStreamExt, stream};
use serde::Serialize;
use wire::remoting::{
    ResponseCode,
    body::{TopicConfig, TopicStatsTable},
    header::permission,
};

use super::{
    servers::Servers,
    show::{self, Rows},
    time,
};
use crate::{cli::ServerOptions, exit::Failure};

/// Topics whose settings are asked for at a time.
const ASKED_AT_ONCE: usize = 64;

/// Topic attribute that holds the type.
const TYPE_ATTRIBUTE: &str = "message.type";

/// Topics that groups have for themselves.
const GROUP_PREFIXES: [&str; 2] = ["%RETRY%", "%DLQ%"];

/// What to do with topics.
#[derive(Debug, Subcommand)]
pub(crate) enum TopicCommand {
    /// Create a topic; the same again succeeds
    Create {
        /// Name of the topic
        name: String,
        /// Messages that it takes
        #[arg(long = "type", value_enum, default_value_t = TypeName::Normal)]
        message_type: TypeName,
        /// Queues per broker
        #[arg(long, value_name = "N", default_value_t = 8, value_parser = clap::value_parser!(u32).range(1..=1024))]
        queues: u32,
        /// Minutes after its last message at which a LiteTopic ends with all its messages; never if
        /// not given
        #[arg(long, value_name = "MINUTES", value_parser = clap::value_parser!(u32).range(1..))]
        expiration: Option<u32>,
        #[command(flatten)]
        server: ServerOptions,
    },
    /// List all topics
    List {
        /// Also list the retry and dead-letter topics of groups
        #[arg(long)]
        all: bool,
        #[command(flatten)]
        server: ServerOptions,
    },
    /// Show one topic and its queues
    Describe {
        /// Name of the topic
        name: String,
        #[command(flatten)]
        server: ServerOptions,
    },
    /// Delete a topic and its messages
    Delete {
        /// Name of the topic
        name: String,
        #[command(flatten)]
        server: ServerOptions,
    },
}

/// The types of topics.
#[derive(Clone, Copy, Debug, PartialEq, Eq, ValueEnum)]
pub(crate) enum TypeName {
    /// Messages without an order
    Normal,
    /// Messages with a message group, delivered in order
    Fifo,
    /// Messages with a delivery time
    Delay,
    /// Half messages that a transaction commits
    Transaction,
    /// Messages of LiteTopics
    Lite,
    /// Messages with a priority
    Priority,
    /// Messages of every type
    Mixed,
}

impl TypeName {
    fn attribute(self) -> &'static str {
        match self {
            Self::Normal => "NORMAL",
            Self::Fifo => "FIFO",
            Self::Delay => "DELAY",
            Self::Transaction => "TRANSACTION",
            Self::Lite => "LITE",
            Self::Priority => "PRIORITY",
            Self::Mixed => "MIXED",
        }
    }
}

#[derive(Debug, Serialize)]
struct TopicSummary {
    topic: String,
    /// `None` where the topic declares no type.
    #[serde(rename = "type")]
    message_type: Option<String>,
    queues: i32,
    permission: &'static str,
}

#[derive(Debug, Serialize)]
struct TopicDescription {
    #[serde(flatten)]
    summary: TopicSummary,
    messages: i64,
    /// Of a topic of type LITE.
    #[serde(skip_serializing_if = "Option::is_none")]
    lite_topics: Option<i64>,
    queue_list: Vec<QueueDescription>,
}

#[derive(Debug, Serialize)]
struct QueueDescription {
    broker: String,
    queue: i32,
    min_offset: i64,
    max_offset: i64,
    messages: i64,
    /// Ms since 1970; 0 if never.
    last_written_ms: i64,
}

pub(super) async fn run(command: TopicCommand) -> Result<(), Failure> {
    match command {
        TopicCommand::Create {
            name,
            message_type,
            queues,
            expiration,
            server,
        } => create(&name, message_type, queues, expiration, &server).await,
        TopicCommand::List { all, server } => list(all, &server).await,
        TopicCommand::Describe { name, server } => describe(&name, &server).await,
        TopicCommand::Delete { name, server } => delete(&name, &server).await,
    }
}

async fn create(
    name: &str,
    message_type: TypeName,
    queues: u32,
    expiration_minutes: Option<u32>,
    options: &ServerOptions,
) -> Result<(), Failure> {
    if expiration_minutes.is_some() && !matches!(message_type, TypeName::Lite) {
        return Err(Failure::Usage(anyhow::anyhow!(
            "`--expiration` is for topics of type lite, `{name}` is of type {}",
            message_type.attribute().to_ascii_lowercase()
        )));
    }
    let servers = Servers::connect(options).await?;
    let full = servers.name(name);
    servers
        .on_brokers(async |broker| {
            let message_type = Some(message_type.attribute());
            broker
                .create_topic(NewTopic {
                    name: &full,
                    queues,
                    message_type,
                    lite_topic_expiration_minutes: expiration_minutes,
                })
                .await
        })
        .await?;
    let summary = TopicSummary {
        topic: name.to_owned(),
        message_type: Some(message_type.attribute().to_ascii_lowercase()),
        queues: queues.cast_signed(),
        permission: "RW",
    };
    show::answer(options.output, &summary, || {
        format!(
            "topic {name}: type {}, {queues} {}\n",
            shown_type(&summary),
            if queues == 1 { "queue" } else { "queues" }
        )
    })
}

async fn list(all: bool, options: &ServerOptions) -> Result<(), Failure> {
    let servers = Servers::connect(options).await?;
    let mut names = servers.entry().topic_names().await?;
    if !all {
        names.retain(|name| {
            let plain = servers.plain(name);
            !GROUP_PREFIXES
                .iter()
                .any(|prefix| plain.starts_with(prefix))
        });
    }
    names.sort();
    let summaries: Vec<TopicSummary> = stream::iter(names)
        .map(|name| {
            let servers = &servers;
            async move {
                match servers
                    .on_brokers(async |broker| broker.topic_config(&name).await)
                    .await
                {
                    Ok(configs) => Ok(summary(servers, &name, configs.first())),
                    // Deleted since, or known to the name server alone.
                    Err(error) if error.refusal() == Some(ResponseCode::TopicNotExist) => {
                        Ok(summary(servers, &name, None))
                    }
                    Err(error) => Err(error),
                }
            }
        })
        .buffered(ASKED_AT_ONCE)
        .try_collect()
        .await?;
    show::answer(options.output, &summaries, || listed(&summaries))
}

fn listed(summaries: &[TopicSummary]) -> String {
    if summaries.is_empty() {
        return "no topics\n".to_owned();
    }
    let mut rows = Rows::new(&["TOPIC", "TYPE", "QUEUES>", "PERMISSION"]);
    for topic in summaries {
        rows.push([
            topic.topic.clone(),
            shown_type(topic),
            topic.queues.to_string(),
            topic.permission.to_owned(),
        ]);
    }
    rows.text()
}

async fn describe(name: &str, options: &ServerOptions) -> Result<(), Failure> {
    let servers = Servers::connect(options).await?;
    let full = servers.name(name);
    let answers = servers
        .on_brokers(async |broker| {
            let config = broker.topic_config(&full).await?;
            let message_type = config.attributes.get(TYPE_ATTRIBUTE);
            let is_lite = message_type.is_some_and(|name| name.eq_ignore_ascii_case("LITE"));
            let lite_topics = if is_lite {
                let info = broker.parent_topic_info(&full).await?;
                Some(i64::from(info.lite_topic_count))
            } else {
                None
            };
            Ok(((config, lite_topics), broker.topic_stats(&full).await?))
        })
        .await
        .map_err(|error| not_found(name, error))?;
    let (configs, stats): (Vec<(TopicConfig, Option<i64>)>, Vec<TopicStatsTable>) =
        answers.into_iter().unzip();
    let mut queue_list: Vec<QueueDescription> = stats
        .into_iter()
        .flat_map(|stats| stats.offset_table.0)
        .map(|(queue, offsets)| QueueDescription {
            broker: queue.broker_name,
            queue: queue.queue_id,
            min_offset: offsets.min_offset,
            max_offset: offsets.max_offset,
            messages: offsets.max_offset.saturating_sub(offsets.min_offset),
            last_written_ms: offsets.last_update_timestamp,
        })
        .collect();
    queue_list.sort_by(|a, b| (&a.broker, a.queue).cmp(&(&b.broker, b.queue)));
    let description = TopicDescription {
        summary: summary(&servers, &full, configs.first().map(|(config, _)| config)),
        lite_topics: configs
            .iter()
            .filter_map(|(_, count)| *count)
            .reduce(i64::saturating_add),
        messages: queue_list.iter().map(|queue| queue.messages).sum(),
        queue_list,
    };
    show::answer(options.output, &description, || described(&description))
}

fn described(description: &TopicDescription) -> String {
    let lite_topics = description.lite_topics;
    let mut text = show::facts(&[
        ("topic", description.summary.topic.clone()),
        ("type", shown_type(&description.summary)),
        ("queues", description.summary.queues.to_string()),
        ("permission", description.summary.permission.to_owned()),
        ("messages", description.messages.to_string()),
        (
            "LiteTopics",
            lite_topics.map_or_else(|| "-".to_owned(), |count| count.to_string()),
        ),
    ]);
    let mut rows = Rows::new(&[
        "BROKER",
        "QUEUE>",
        "FIRST>",
        "END>",
        "MESSAGES>",
        "LAST WRITTEN",
    ]);
    for queue in &description.queue_list {
        rows.push([
            queue.broker.clone(),
            queue.queue.to_string(),
            queue.min_offset.to_string(),
            queue.max_offset.to_string(),
            queue.messages.to_string(),
            time::shown(queue.last_written_ms),
        ]);
    }
    text.push('\n');
    text.push_str(&rows.text());
    text
}

async fn delete(name: &str, options: &ServerOptions) -> Result<(), Failure> {
    let servers = Servers::connect(options).await?;
    let full = servers.name(name);
    let brokers = servers
        .on_brokers(async |broker| broker.delete_topic(&full).await)
        .await
        .map_err(|error| not_found(name, error))?;
    if brokers.len() != 1 {
        servers.entry().delete_topic_in_name_server(&full).await?;
    }
    show::answer(
        options.output,
        &serde_json::json!({ "topic": name, "deleted": true }),
        || format!("topic {name} deleted\n"),
    )
}

fn summary(servers: &Servers, name: &str, config: Option<&TopicConfig>) -> TopicSummary {
    let attribute = config.and_then(|config| {
        // Apache before 5.1 keeps the sign of the change.
        let signed = || config.attributes.get("+message.type");
        config.attributes.get(TYPE_ATTRIBUTE).or_else(signed)
    });
    let bits = config.map_or(0, |config| config.permission);
    TopicSummary {
        topic: servers.plain(name).to_owned(),
        message_type: attribute
            .filter(|name| !name.eq_ignore_ascii_case("UNSPECIFIED"))
            .map(|name| name.to_ascii_lowercase()),
        queues: config.map_or(0, |config| config.write_queue_count),
        permission: match (bits & permission::READ != 0, bits & permission::WRITE != 0) {
            (true, true) => "RW",
            (true, false) => "R",
            (false, true) => "W",
            (false, false) => "-",
        },
    }
}

/// The type of a topic for people; one that declares none takes them all.
fn shown_type(topic: &TopicSummary) -> String {
    topic
        .message_type
        .clone()
        .unwrap_or_else(|| "any".to_owned())
}

fn not_found(name: &str, error: ClientError) -> Failure {
    match error.refusal() {
        Some(ResponseCode::TopicNotExist) => {
            Failure::Refused(anyhow::anyhow!("topic `{name}` not found"))
        }
        _ => error.into(),
    }
}
