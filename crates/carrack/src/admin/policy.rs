//! `carrack policy`.

use std::{fs, io, io::Read, path::Path};

use anyhow::Context;
use base::limits;
use clap::Subcommand;
use serde::Serialize;
use wire::remoting::body::RamPolicyInfo;

use super::{
    servers::Servers,
    show::{self, Rows},
};
use crate::{cli::ServerOptions, exit::Failure};

/// What to do with RAM-style policies.
#[derive(Debug, Subcommand)]
pub(crate) enum PolicyCommand {
    /// Create a policy
    Create {
        /// Name of the policy
        name: String,
        /// File with the policy document, - for standard input
        #[arg(long, value_name = "FILE")]
        document: String,
        #[command(flatten)]
        server: ServerOptions,
    },
    /// Change what a policy says, for all users who have it
    Update {
        /// Name of the policy
        name: String,
        /// File with the policy document, - for standard input
        #[arg(long, value_name = "FILE")]
        document: String,
        #[command(flatten)]
        server: ServerOptions,
    },
    /// List all policies, and who has them
    List {
        #[command(flatten)]
        server: ServerOptions,
    },
    /// Show one policy with its document
    Describe {
        /// Name of the policy
        name: String,
        #[command(flatten)]
        server: ServerOptions,
    },
    /// Delete a policy that nobody has
    Delete {
        /// Name of the policy
        name: String,
        #[command(flatten)]
        server: ServerOptions,
    },
    /// Give a policy to a user
    Attach {
        /// Name of the policy
        name: String,
        /// Name of the user
        user: String,
        #[command(flatten)]
        server: ServerOptions,
    },
    /// Take a policy from a user
    Detach {
        /// Name of the policy
        name: String,
        /// Name of the user
        user: String,
        #[command(flatten)]
        server: ServerOptions,
    },
}

#[derive(Serialize)]
struct ListedPolicy {
    policy: String,
    #[serde(rename = "type")]
    policy_type: &'static str,
    users: Vec<String>,
}

#[derive(Serialize)]
struct DescribedPolicy {
    #[serde(flatten)]
    policy: ListedPolicy,
    document: String,
}

impl From<RamPolicyInfo> for ListedPolicy {
    fn from(info: RamPolicyInfo) -> Self {
        Self {
            policy: info.policy_name,
            policy_type: if info.is_system { "System" } else { "Custom" },
            users: info.users,
        }
    }
}

pub(super) async fn run(command: PolicyCommand) -> Result<(), Failure> {
    match command {
        PolicyCommand::Create {
            name,
            document,
            server,
        } => {
            let document = read(&document)?;
            let servers = Servers::connect(&server).await?;
            let entry = servers.entry();
            entry.create_ram_policy(&name, &document).await?;
            done(&server, &name, None, "created")
        }
        PolicyCommand::Update {
            name,
            document,
            server,
        } => {
            let document = read(&document)?;
            let servers = Servers::connect(&server).await?;
            let entry = servers.entry();
            entry.update_ram_policy(&name, &document).await?;
            done(&server, &name, None, "updated")
        }
        PolicyCommand::List { server } => list(&server).await,
        PolicyCommand::Describe { name, server } => describe(&name, &server).await,
        PolicyCommand::Delete { name, server } => {
            let servers = Servers::connect(&server).await?;
            servers.entry().delete_ram_policy(&name).await?;
            done(&server, &name, None, "deleted")
        }
        PolicyCommand::Attach { name, user, server } => {
            let servers = Servers::connect(&server).await?;
            servers.entry().attach_ram_policy(&name, &user).await?;
            done(&server, &name, Some(("to", &user)), "attached")
        }
        PolicyCommand::Detach { name, user, server } => {
            let servers = Servers::connect(&server).await?;
            servers.entry().detach_ram_policy(&name, &user).await?;
            done(&server, &name, Some(("from", &user)), "detached")
        }
    }
}

/// The document of a file. One that is too long is not read to its end.
fn read(path: &str) -> Result<String, Failure> {
    let mut text = String::new();
    let most = limits::RAM_POLICY_BYTES_MAX as u64 + 1;
    let read = match path {
        "-" => io::stdin().take(most).read_to_string(&mut text),
        path => fs::File::open(Path::new(path))
            .and_then(|file| file.take(most).read_to_string(&mut text)),
    };
    read.with_context(|| format!("read policy document {path}"))?;
    Ok(text)
}

fn done(
    options: &ServerOptions,
    policy: &str,
    user: Option<(&str, &str)>,
    what: &str,
) -> Result<(), Failure> {
    let mut json = serde_json::json!({ "policy": policy, what: true });
    if let Some((_, user)) = user {
        json["user"] = user.into();
    }
    show::answer(options.output, &json, || match user {
        Some((word, user)) => format!("policy {policy} {what} {word} user {user}\n"),
        None => format!("policy {policy} {what}\n"),
    })
}

async fn list(options: &ServerOptions) -> Result<(), Failure> {
    let servers = Servers::connect(options).await?;
    let policies = servers.entry().ram_policies().await?;
    let policies: Vec<ListedPolicy> = policies.into_iter().map(Into::into).collect();
    show::answer(options.output, &policies, || {
        let mut rows = Rows::new(&["POLICY", "TYPE", "USERS"]);
        for policy in &policies {
            let users = match policy.users.is_empty() {
                true => "-".to_owned(),
                false => policy.users.join(","),
            };
            rows.push([&policy.policy, policy.policy_type, &users]);
        }
        rows.text()
    })
}

async fn describe(name: &str, options: &ServerOptions) -> Result<(), Failure> {
    let servers = Servers::connect(options).await?;
    let mut info = servers.entry().ram_policy(name).await?;
    let document = info.document.take().unwrap_or_default();
    let described = DescribedPolicy {
        policy: info.into(),
        document,
    };
    show::answer(options.output, &described, || {
        let policy = &described.policy;
        let facts = [
            ("policy", policy.policy.clone()),
            ("type", policy.policy_type.to_owned()),
            ("users", policy.users.join(",")),
        ];
        let document = described.document.trim_end();
        format!("{}{document}\n", show::facts(&facts))
    })
}
