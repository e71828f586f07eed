//! `carrack release`.

use std::{
    fs,
    path::{Path, PathBuf},
};

use anyhow::Context as _;
use clap::{Args, Subcommand};
use client::{OpenApiCall, openapi::Method};
use serde_json::{Value, json};

use super::{
    fleet::{Fleet, text},
    show::{self, Rows},
};
use crate::{cli::FleetOptions, exit::Failure};

/// What to do with releases.
#[derive(Debug, Subcommand)]
pub(crate) enum ReleaseCommand {
    /// Publish a signed binary: instances with nodes of their own that are behind get update tasks
    // Its `--version` is that of the release.
    #[command(disable_version_flag = true)]
    Publish(Publish),
    /// List all releases, the newest first
    List {
        #[command(flatten)]
        fleet: FleetOptions,
    },
}

/// What is published.
#[derive(Debug, Args)]
pub(crate) struct Publish {
    /// Version of the release, which the binary must say of itself
    #[arg(long, value_name = "VERSION")]
    version: String,
    /// The binary, a file on the fleet's machine
    #[arg(long, value_name = "FILE")]
    binary: PathBuf,
    /// Its minisign signature [default: the binary's name with `.minisig`]
    #[arg(long, value_name = "FILE")]
    signature: Option<PathBuf>,
    /// Public key to be trusted from now on, if the fleet trusts none yet
    #[arg(long, value_name = "FILE")]
    key: Option<PathBuf>,
    /// What changed, for people
    #[arg(long, value_name = "TEXT")]
    notes: Option<String>,
    /// Day from which support counts, as 2026-03-11 [default: today]
    #[arg(long, value_name = "DAY")]
    released_on: Option<String>,
    #[command(flatten)]
    fleet: FleetOptions,
}

pub(super) async fn run(command: ReleaseCommand) -> Result<(), Failure> {
    match command {
        ReleaseCommand::Publish(publish) => self::publish(publish).await,
        ReleaseCommand::List { fleet } => list(&fleet).await,
    }
}

fn read(file: &Path, what: &str) -> Result<String, Failure> {
    let text = fs::read_to_string(file);
    Ok(text.with_context(|| format!("read {what} {}", file.display()))?)
}

async fn publish(options: Publish) -> Result<(), Failure> {
    let binary = std::path::absolute(&options.binary)?;
    let signature = options.signature.unwrap_or_else(|| {
        let mut name = options.binary.clone().into_os_string();
        name.push(".minisig");
        name.into()
    });
    let mut body = json!({
        "version": options.version,
        "binary": binary.to_string_lossy(),
        "signature": read(&signature, "signature")?,
    });
    if let Some(key) = &options.key {
        body["key"] = read(key, "public key")?.into();
    }
    if let Some(notes) = options.notes {
        body["notes"] = notes.into();
    }
    if let Some(day) = options.released_on {
        body["releasedOn"] = day.into();
    }
    let mut call = OpenApiCall::new("PublishRelease", Method::POST, &["releases"]);
    call.body = Some(body);
    let published = Fleet::of(&options.fleet).ask(&call).await?;
    show::answer(options.fleet.output, &published, || {
        let instances = published["updatedInstanceIds"].as_array();
        let instances = instances.into_iter().flatten().filter_map(Value::as_str);
        let instances: Vec<&str> = instances.collect();
        let tasks = match instances.as_slice() {
            [] => "none".to_owned(),
            some => some.join(", "),
        };
        show::facts(&[
            ("version", text(&published, "version")),
            ("released", text(&published, "releasedOn")),
            ("supported until", text(&published, "supportedUntil")),
            ("digest", text(&published, "digest")),
            ("size", text(&published, "size")),
            ("update tasks", tasks),
        ])
    })
}

async fn list(options: &FleetOptions) -> Result<(), Failure> {
    let call = OpenApiCall::new("ListReleases", Method::GET, &["releases"]);
    let releases = Fleet::of(options).list(&call).await?;
    show::answer(options.output, &releases, || {
        if releases.is_empty() {
            return "no releases\n".to_owned();
        }
        let columns = [
            "VERSION",
            "RELEASED",
            "SUPPORTED UNTIL",
            "SUPPORTED",
            "SIZE>",
            "NOTES",
        ];
        let mut rows = Rows::new(&columns);
        for release in &releases {
            rows.push([
                text(release, "version"),
                text(release, "releasedOn"),
                text(release, "supportedUntil"),
                text(release, "supported"),
                text(release, "size"),
                text(release, "notes")
                    .lines()
                    .next()
                    .unwrap_or("-")
                    .to_owned(),
            ]);
        }
        rows.text()
    })
}
