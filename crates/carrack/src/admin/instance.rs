//! `carrack instance`.

use std::collections::BTreeMap;

use clap::{Args, Subcommand, ValueEnum};
use client::ClientError;
use serde::Serialize;
use wire::remoting::{
    ResponseCode,
    body::{InstanceInfo, PlanInfo},
};

use super::{
    plan::{self, PeriodOptions, PlanOptions, SizeOptions},
    servers::Servers,
    show::{self, Rows},
    time,
};
use crate::{cli::ServerOptions, exit::Failure};

/// What to do with instances.
#[derive(Debug, Subcommand)]
pub(crate) enum InstanceCommand {
    /// Create an instance; the server gives it an id
    Create {
        /// Which clients it takes
        #[arg(long, value_enum, default_value_t = SeriesChoice::V5)]
        series: SeriesChoice,
        #[command(flatten)]
        texts: Texts,
        #[command(flatten)]
        plan: PlanOptions,
        #[command(flatten)]
        server: ServerOptions,
    },
    /// List all instances
    List {
        #[command(flatten)]
        server: ServerOptions,
    },
    /// Show one instance
    Describe {
        /// Id of the instance
        id: String,
        #[command(flatten)]
        server: ServerOptions,
    },
    /// Change what is noted of an instance
    Update {
        /// Id of the instance
        id: String,
        #[command(flatten)]
        texts: Texts,
        #[command(flatten)]
        server: ServerOptions,
    },
    /// Change what an instance with a plan was ordered as
    ChangeSpec {
        /// Id of the instance
        id: String,
        #[command(flatten)]
        size: SizeOptions,
        #[command(flatten)]
        server: ServerOptions,
    },
    /// Prolong the subscription of an instance; one that has stopped is in service again
    Renew {
        /// Id of the instance
        id: String,
        #[command(flatten)]
        period: PeriodOptions,
        #[command(flatten)]
        server: ServerOptions,
    },
    /// End the subscription of an instance: it stops, keeps all that it has, and can be released
    Unsubscribe {
        /// Id of the instance
        id: String,
        #[command(flatten)]
        server: ServerOptions,
    },
    /// Delete an instance that has no topics and groups any more, and to which nobody is subscribed
    Release {
        /// Id of the instance
        id: String,
        #[command(flatten)]
        server: ServerOptions,
    },
    /// Delete an instance that has no topics and groups any more
    Delete {
        /// Id of the instance
        id: String,
        #[command(flatten)]
        server: ServerOptions,
    },
}

/// What people note of an instance.
#[derive(Debug, Args)]
pub(crate) struct Texts {
    /// Name of the instance for people
    #[arg(long, value_name = "TEXT")]
    name: Option<String>,
    /// Remark on the instance
    #[arg(long, value_name = "TEXT")]
    remark: Option<String>,
    /// A tag; may be given several times, all tags are set at once
    #[arg(long = "tag", value_name = "KEY=VALUE", value_parser = tag)]
    tags: Vec<(String, String)>,
}

/// The series that an instance can be created with.
#[derive(Clone, Copy, Debug, PartialEq, Eq, ValueEnum)]
pub(crate) enum SeriesChoice {
    /// Remoting and ONS SDKs; no types of messages are checked
    #[value(name = "4.x")]
    V4,
    /// Remoting and gRPC SDKs of 5.x
    #[value(name = "5.x")]
    V5,
}

impl SeriesChoice {
    fn name(self) -> &'static str {
        match self {
            Self::V4 => "4.x",
            Self::V5 => "5.x",
        }
    }
}

fn tag(text: &str) -> Result<(String, String), String> {
    match text.split_once('=') {
        Some((key, value)) if !key.is_empty() => Ok((key.to_owned(), value.to_owned())),
        _ => Err("expected KEY=VALUE".to_owned()),
    }
}

impl Texts {
    fn info(self) -> InstanceInfo {
        let tags: BTreeMap<String, String> = self.tags.into_iter().collect();
        InstanceInfo {
            display_name: self.name,
            remark: self.remark,
            tags: (!tags.is_empty()).then_some(tags),
            ..InstanceInfo::default()
        }
    }
}

#[derive(Serialize)]
struct Shown {
    instance: String,
    series: String,
    name: String,
    remark: String,
    tags: BTreeMap<String, String>,
    /// Ms since 1970.
    created_at_ms: i64,
    topics: u64,
    groups: u64,
    status: String,
    /// `null` where it was created without an edition.
    plan: Option<PlanInfo>,
}

impl From<InstanceInfo> for Shown {
    fn from(info: InstanceInfo) -> Self {
        Self {
            instance: info.instance_id.unwrap_or_default(),
            series: info.series.unwrap_or_default(),
            name: info.display_name.unwrap_or_default(),
            remark: info.remark.unwrap_or_default(),
            tags: info.tags.unwrap_or_default(),
            created_at_ms: info.created_at_ms.unwrap_or_default(),
            topics: info.topic_count.unwrap_or_default(),
            groups: info.group_count.unwrap_or_default(),
            status: info.status.unwrap_or_default(),
            plan: info.plan,
        }
    }
}

pub(super) async fn run(command: InstanceCommand) -> Result<(), Failure> {
    match command {
        InstanceCommand::Create {
            series,
            texts,
            plan,
            server,
        } => {
            let spec = InstanceInfo {
                series: Some(series.name().to_owned()),
                plan: plan.info(),
                ..texts.info()
            };
            let servers = Servers::connect(&server).await?;
            let created = servers.entry().create_instance(&spec).await?;
            describe(created.into(), &server)
        }
        InstanceCommand::List { server } => list(&server).await,
        InstanceCommand::Describe { id, server } => {
            let servers = Servers::connect(&server).await?;
            let found = servers.entry().instance(&id).await;
            describe(
                found.map_err(|error| not_found(&id, error))?.into(),
                &server,
            )
        }
        InstanceCommand::Update { id, texts, server } => {
            let servers = Servers::connect(&server).await?;
            let changed = servers.entry().update_instance(&id, &texts.info()).await;
            let changed = changed.map_err(|error| not_found(&id, error))?;
            describe(changed.into(), &server)
        }
        InstanceCommand::ChangeSpec { id, size, server } => {
            let servers = Servers::connect(&server).await?;
            let change = InstanceInfo {
                plan: Some(size.info()),
                ..InstanceInfo::default()
            };
            let changed = servers.entry().update_instance(&id, &change).await;
            let changed = changed.map_err(|error| not_found(&id, error))?;
            describe(changed.into(), &server)
        }
        InstanceCommand::Renew { id, period, server } => {
            let servers = Servers::connect(&server).await?;
            let mut info = PlanInfo::default();
            period.write(&mut info);
            let renewed = servers.entry().renew_instance(&id, &info).await;
            let renewed = renewed.map_err(|error| not_found(&id, error))?;
            describe(renewed.into(), &server)
        }
        InstanceCommand::Unsubscribe { id, server } => {
            let servers = Servers::connect(&server).await?;
            let ended = servers.entry().unsubscribe_instance(&id).await;
            let ended = ended.map_err(|error| not_found(&id, error))?;
            describe(ended.into(), &server)
        }
        InstanceCommand::Release { id, server } => {
            let servers = Servers::connect(&server).await?;
            let released = servers.entry().release_instance(&id).await;
            released.map_err(|error| not_found(&id, error))?;
            let json = serde_json::json!({ "instance": id, "released": true });
            show::answer(server.output, &json, || format!("instance {id} released\n"))
        }
        InstanceCommand::Delete { id, server } => {
            let servers = Servers::connect(&server).await?;
            let deleted = servers.entry().delete_instance(&id).await;
            deleted.map_err(|error| not_found(&id, error))?;
            let json = serde_json::json!({ "instance": id, "deleted": true });
            show::answer(server.output, &json, || format!("instance {id} deleted\n"))
        }
    }
}

async fn list(options: &ServerOptions) -> Result<(), Failure> {
    let servers = Servers::connect(options).await?;
    let instances = servers.entry().instances().await?;
    let instances: Vec<Shown> = instances.into_iter().map(Into::into).collect();
    show::answer(options.output, &instances, || {
        let columns = [
            "INSTANCE", "SERIES", "EDITION", "STATUS", "NAME", "TOPICS>", "GROUPS>", "CREATED",
        ];
        let mut rows = Rows::new(&columns);
        for instance in &instances {
            rows.push([
                instance.instance.clone(),
                instance.series.clone(),
                plan::edition(instance.plan.as_ref()),
                instance.status.clone(),
                instance.name.clone(),
                instance.topics.to_string(),
                instance.groups.to_string(),
                time::shown(instance.created_at_ms),
            ]);
        }
        rows.text()
    })
}

fn describe(shown: Shown, options: &ServerOptions) -> Result<(), Failure> {
    show::answer(options.output, &shown, || {
        let tags = shown
            .tags
            .iter()
            .map(|(key, value)| format!("{key}={value}"));
        let tags: Vec<String> = tags.collect();
        let mut facts = vec![
            ("instance", shown.instance.clone()),
            ("series", shown.series.clone()),
            ("name", shown.name.clone()),
            ("remark", shown.remark.clone()),
            ("tags", tags.join(", ")),
            ("created", time::shown(shown.created_at_ms)),
            ("topics", shown.topics.to_string()),
            ("groups", shown.groups.to_string()),
            ("status", shown.status.clone()),
        ];
        facts.extend(shown.plan.iter().flat_map(plan::facts));
        show::facts(&facts)
    })
}

fn not_found(id: &str, error: ClientError) -> Failure {
    match error.refusal() {
        Some(ResponseCode::QueryNotFound) => {
            Failure::Refused(anyhow::anyhow!("instance `{id}` not found"))
        }
        _ => error.into(),
    }
}
