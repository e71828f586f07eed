//! `carrack user`.

use std::{fmt, fs::File, io, io::Read};

use anyhow::Context;
use clap::{Subcommand, ValueEnum};
use serde::Serialize;
use wire::remoting::body::UserInfo;

use super::{
    servers::Servers,
    show::{self, Rows},
};
use crate::{cli::ServerOptions, exit::Failure};

/// Letters of made-up secrets; 32, so that five random bits choose one evenly.
const LETTERS: &[u8; 32] = b"abcdefghijkmnpqrstuvwxyz23456789";

/// Letters of a made-up secret: 200 random bits.
const SECRET_LETTERS: usize = 40;

/// What to do with users.
#[derive(Subcommand)]
pub(crate) enum UserCommand {
    /// Create a user
    Create {
        /// Name of the user: the access key of its requests
        name: String,
        /// What the user may do without a policy
        #[arg(long = "type", value_enum, default_value_t = UserTypeName::Normal)]
        user_type: UserTypeName,
        /// Secret key of the user, better given in the environment [default: one is made up and
        /// printed]
        #[arg(
            long,
            value_name = "KEY",
            env = "CARRACK_USER_SECRET_KEY",
            hide_env_values = true
        )]
        user_secret_key: Option<String>,
        #[command(flatten)]
        server: ServerOptions,
    },
    /// List all users, without their secret keys
    List {
        #[command(flatten)]
        server: ServerOptions,
    },
    /// Change a user
    Update {
        /// Name of the user
        name: String,
        /// What the user may do without a policy
        #[arg(long = "type", value_enum)]
        user_type: Option<UserTypeName>,
        /// Whether the user may ask at all
        #[arg(long, value_enum)]
        status: Option<StatusName>,
        /// New secret key of the user, better given in the environment
        #[arg(
            long,
            value_name = "KEY",
            env = "CARRACK_USER_SECRET_KEY",
            hide_env_values = true
        )]
        user_secret_key: Option<String>,
        #[command(flatten)]
        server: ServerOptions,
    },
    /// Delete a user and its policies
    Delete {
        /// Name of the user
        name: String,
        #[command(flatten)]
        server: ServerOptions,
    },
}

impl fmt::Debug for UserCommand {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        // It may hold a secret.
        f.write_str("UserCommand(..)")
    }
}

/// What a user may do without a policy.
#[derive(Clone, Copy, Debug, PartialEq, Eq, ValueEnum)]
pub(crate) enum UserTypeName {
    /// Nothing
    Normal,
    /// Everything
    Super,
}

impl UserTypeName {
    fn name(self) -> String {
        match self {
            Self::Normal => "Normal",
            Self::Super => "Super",
        }
        .to_owned()
    }
}

/// Whether a user may ask at all.
#[derive(Clone, Copy, Debug, PartialEq, Eq, ValueEnum)]
pub(crate) enum StatusName {
    /// It may
    Enable,
    /// Every request is refused
    Disable,
}

impl StatusName {
    fn name(self) -> String {
        match self {
            Self::Enable => "enable",
            Self::Disable => "disable",
        }
        .to_owned()
    }
}

#[derive(Serialize)]
struct CreatedUser<'a> {
    user: &'a str,
    #[serde(rename = "type")]
    user_type: String,
    /// Only where it was made up.
    #[serde(skip_serializing_if = "Option::is_none")]
    secret_key: Option<&'a str>,
}

#[derive(Serialize)]
struct ListedUser {
    user: String,
    #[serde(rename = "type")]
    user_type: String,
    status: String,
}

pub(super) async fn run(command: UserCommand) -> Result<(), Failure> {
    match command {
        UserCommand::Create {
            name,
            user_type,
            user_secret_key,
            server,
        } => create(&name, user_type, user_secret_key, &server).await,
        UserCommand::List { server } => list(&server).await,
        UserCommand::Update {
            name,
            user_type,
            status,
            user_secret_key,
            server,
        } => {
            let change = UserInfo {
                password: user_secret_key,
                user_type: user_type.map(UserTypeName::name),
                user_status: status.map(StatusName::name),
                username: None,
            };
            update(&name, &change, &server).await
        }
        UserCommand::Delete { name, server } => delete(&name, &server).await,
    }
}

async fn create(
    name: &str,
    user_type: UserTypeName,
    secret: Option<String>,
    options: &ServerOptions,
) -> Result<(), Failure> {
    let made_up = match &secret {
        Some(_) => None,
        None => Some(make_up().context("read a random secret key")?),
    };
    let user = UserInfo {
        password: secret.or_else(|| made_up.clone()),
        user_type: Some(user_type.name()),
        ..UserInfo::default()
    };
    let servers = Servers::connect(options).await?;
    servers
        .on_brokers(async |broker| broker.create_user(name, &user).await)
        .await?;
    let created = CreatedUser {
        user: name,
        user_type: user_type.name(),
        secret_key: made_up.as_deref(),
    };
    show::answer(options.output, &created, || match &made_up {
        Some(secret) => format!(
            "user {name}: type {}\nsecret key  {secret}\n",
            created.user_type
        ),
        None => format!("user {name}: type {}\n", created.user_type),
    })
}

async fn list(options: &ServerOptions) -> Result<(), Failure> {
    let servers = Servers::connect(options).await?;
    let answers = servers
        .on_brokers(async |broker| broker.users().await)
        .await?;
    let mut users: Vec<ListedUser> = answers
        .into_iter()
        .flatten()
        .map(|user| ListedUser {
            user: user.username.unwrap_or_default(),
            user_type: user.user_type.unwrap_or_default(),
            status: user.user_status.unwrap_or_default(),
        })
        .collect();
    users.sort_by(|a, b| a.user.cmp(&b.user));
    users.dedup_by(|a, b| a.user == b.user);
    show::answer(options.output, &users, || {
        if users.is_empty() {
            return "no users\n".to_owned();
        }
        let mut rows = Rows::new(&["USER", "TYPE", "STATUS"]);
        for user in &users {
            rows.push([&user.user, &user.user_type, &user.status]);
        }
        rows.text()
    })
}

async fn update(name: &str, change: &UserInfo, options: &ServerOptions) -> Result<(), Failure> {
    let servers = Servers::connect(options).await?;
    servers
        .on_brokers(async |broker| broker.update_user(name, change).await)
        .await?;
    let json = serde_json::json!({ "user": name, "updated": true });
    show::answer(options.output, &json, || format!("user {name} updated\n"))
}

async fn delete(name: &str, options: &ServerOptions) -> Result<(), Failure> {
    let servers = Servers::connect(options).await?;
    servers
        .on_brokers(async |broker| broker.delete_user(name).await)
        .await?;
    let json = serde_json::json!({ "user": name, "deleted": true });
    show::answer(options.output, &json, || format!("user {name} deleted\n"))
}

/// A secret key that nobody knows yet.
pub(crate) fn make_up() -> io::Result<String> {
    let mut random = [0; SECRET_LETTERS];
    File::open("/dev/urandom")?.read_exact(&mut random)?;
    let letters = random.map(|byte| char::from(LETTERS[usize::from(byte % 32)]));
    Ok(letters.iter().collect())
}
