//! `carrack acl`.

use clap::{Args, Subcommand, ValueEnum};
use serde::Serialize;
use wire::remoting::body::{AclInfo, PolicyEntryInfo, PolicyInfo};

use super::{
    servers::Servers,
    show::{self, Rows},
};
use crate::{cli::ServerOptions, exit::Failure};

/// What to do with policies.
#[derive(Debug, Subcommand)]
pub(crate) enum AclCommand {
    /// Say what a user may do; what is said of a resource replaces what was said of it
    Create(Said),
    /// The same as create
    Update(Said),
    /// List what users may do
    List {
        /// One user only
        user: Option<String>,
        #[command(flatten)]
        server: ServerOptions,
    },
    /// Take back what is said of a user
    Delete {
        /// The user
        user: String,
        /// One resource only [default: all policies of the user]
        #[arg(long, value_name = "RESOURCE")]
        resource: Option<String>,
        /// Of the policy that is asked second
        #[arg(long, requires = "resource")]
        default_policy: bool,
        #[command(flatten)]
        server: ServerOptions,
    },
}

/// An entry for one user.
#[derive(Debug, Args)]
pub(crate) struct Said {
    /// The user
    user: String,
    /// What it is about: Topic:NAME, Group:NAME or Cluster:NAME, where NAME may end in *, or *
    #[arg(
        long = "resource",
        value_name = "RESOURCE",
        required = true,
        value_delimiter = ','
    )]
    resources: Vec<String>,
    /// What may be done: All, Pub, Sub, Create, Update, Delete, Get, List
    #[arg(
        long = "action",
        value_name = "ACTION",
        required = true,
        value_delimiter = ','
    )]
    actions: Vec<String>,
    /// From which addresses, such as 10.0.0.7 or 10.0.0.0/8 [default: from everywhere]
    #[arg(long = "source", value_name = "ADDRESS", value_delimiter = ',')]
    sources: Vec<String>,
    /// Whether it may or may not be done
    #[arg(long, value_enum, default_value_t = DecisionName::Allow)]
    decision: DecisionName,
    /// Put it into the policy that is asked second, where the other says nothing
    #[arg(long)]
    default_policy: bool,
    #[command(flatten)]
    server: ServerOptions,
}

/// What an entry says.
#[derive(Clone, Copy, Debug, PartialEq, Eq, ValueEnum)]
pub(crate) enum DecisionName {
    /// It may be done
    Allow,
    /// It may not
    Deny,
}

#[derive(Serialize)]
struct ListedEntry {
    user: String,
    policy: String,
    resource: String,
    actions: Vec<String>,
    sources: Vec<String>,
    decision: String,
}

pub(super) async fn run(command: AclCommand) -> Result<(), Failure> {
    match command {
        AclCommand::Create(said) | AclCommand::Update(said) => put(said).await,
        AclCommand::List { user, server } => list(user.as_deref(), &server).await,
        AclCommand::Delete {
            user,
            resource,
            default_policy,
            server,
        } => delete(&user, resource.as_deref(), default_policy, &server).await,
    }
}

fn policy_name(default_policy: bool) -> &'static str {
    if default_policy { "Default" } else { "Custom" }
}

async fn put(said: Said) -> Result<(), Failure> {
    let decision = match said.decision {
        DecisionName::Allow => "Allow",
        DecisionName::Deny => "Deny",
    };
    let entries = said.resources.iter().map(|resource| PolicyEntryInfo {
        actions: said.actions.clone(),
        decision: decision.to_owned(),
        resource: resource.clone(),
        source_ips: (!said.sources.is_empty()).then(|| said.sources.clone()),
    });
    let acl = AclInfo {
        policies: Some(vec![PolicyInfo {
            entries: entries.collect(),
            policy_type: Some(policy_name(said.default_policy).to_owned()),
        }]),
        subject: Some(format!("User:{}", said.user)),
    };
    let servers = Servers::connect(&said.server).await?;
    servers
        .on_brokers(async |broker| broker.put_acl(&acl).await)
        .await?;
    let json = serde_json::json!({ "user": said.user, "updated": true });
    show::answer(said.server.output, &json, || {
        let (actions, resources) = (said.actions.join(","), said.resources.join(","));
        format!("user {}: {decision} {actions} on {resources}\n", said.user)
    })
}

async fn list(user: Option<&str>, options: &ServerOptions) -> Result<(), Failure> {
    let servers = Servers::connect(options).await?;
    let answers = servers
        .on_brokers(async |broker| broker.acls(user).await)
        .await?;
    let mut entries = Vec::new();
    // Servers behind one name server have the same users.
    for acl in answers.into_iter().next().unwrap_or_default() {
        let subject = acl.subject.unwrap_or_default();
        let name = subject.strip_prefix("User:").unwrap_or(&subject);
        if user.is_some_and(|asked| asked != name) {
            continue;
        }
        for policy in acl.policies.unwrap_or_default() {
            for entry in policy.entries {
                entries.push(ListedEntry {
                    user: name.to_owned(),
                    policy: policy.policy_type.clone().unwrap_or_default(),
                    resource: entry.resource,
                    actions: entry.actions,
                    sources: entry.source_ips.unwrap_or_default(),
                    decision: entry.decision,
                });
            }
        }
    }
    show::answer(options.output, &entries, || listed(&entries))
}

fn listed(entries: &[ListedEntry]) -> String {
    if entries.is_empty() {
        return "no policies\n".to_owned();
    }
    let mut rows = Rows::new(&[
        "USER", "POLICY", "RESOURCE", "ACTIONS", "SOURCES", "DECISION",
    ]);
    for entry in entries {
        rows.push([
            entry.user.clone(),
            entry.policy.clone(),
            entry.resource.clone(),
            entry.actions.join(","),
            if entry.sources.is_empty() {
                "-".to_owned()
            } else {
                entry.sources.join(",")
            },
            entry.decision.clone(),
        ]);
    }
    rows.text()
}

async fn delete(
    user: &str,
    resource: Option<&str>,
    default_policy: bool,
    options: &ServerOptions,
) -> Result<(), Failure> {
    let subject = format!("User:{user}");
    let policy = Some(policy_name(default_policy));
    let servers = Servers::connect(options).await?;
    servers
        .on_brokers(async |broker| broker.delete_acl(&subject, policy, resource).await)
        .await?;
    let json = serde_json::json!({ "user": user, "resource": resource, "deleted": true });
    show::answer(options.output, &json, || match resource {
        Some(resource) => format!("user {user}: nothing is said of {resource} any more\n"),
        None => format!("user {user}: all policies deleted\n"),
    })
}
