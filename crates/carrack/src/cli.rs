//! The command line: what can be asked, and the help that people read.

use std::fmt;

use clap::{Args, Parser, Subcommand, ValueEnum};

use crate::{admin, bench, config::ServerFlags, server::fleet::FleetFlags};

/// The whole command line.
#[derive(Debug, Parser)]
#[command(
    name = "carrack",
    version = crate::version::VERSION,
    about = "A RocketMQ platform in one binary: server, administration and load generator",
    propagate_version = true,
    max_term_width = 100
)]
pub(crate) struct Cli {
    #[command(subcommand)]
    pub(crate) command: Command,
}

/// The commands.
#[derive(Debug, Subcommand)]
pub(crate) enum Command {
    /// Run the server
    #[command(after_long_help = crate::config::server_help())]
    Server(ServerFlags),
    /// Run a fleet: nodes, the control API of all of them, and an etcd where none is named
    Fleet(Box<FleetFlags>),
    /// Create, list, describe, change and delete instances
    #[command(subcommand)]
    Instance(admin::InstanceCommand),
    /// List, drain, admit and take out the nodes of a cluster
    #[command(subcommand)]
    Node(admin::NodeCommand),
    /// Publish releases at a fleet, and list them
    #[command(subcommand)]
    Release(admin::ReleaseCommand),
    /// List, describe and reschedule updates of instances with nodes of their own
    #[command(subcommand)]
    Update(admin::UpdateCommand),
    /// Show and change when updates of an instance may begin
    #[command(subcommand)]
    UpdateWindow(admin::UpdateWindowCommand),
    /// Show what instances with an edition used, by the hour, as CSV
    Usage(admin::UsageOptions),
    /// Create, list, describe and delete topics
    #[command(subcommand)]
    Topic(admin::TopicCommand),
    /// Create, list, describe and delete consumer groups
    #[command(subcommand)]
    Group(admin::GroupCommand),
    /// Send messages, and find them again
    #[command(subcommand)]
    Message(admin::MessageCommand),
    /// Create, list, change and delete users
    #[command(subcommand)]
    User(admin::UserCommand),
    /// Say what users may do, and list it
    #[command(subcommand)]
    Acl(admin::AclCommand),
    /// Create RAM-style policies, and attach them to users
    #[command(subcommand)]
    Policy(admin::PolicyCommand),
    /// Measure a server: throughput and latency under load
    #[command(subcommand)]
    Bench(bench::BenchCommand),
    /// Show what the server can be set to
    #[command(subcommand)]
    Config(ConfigCommand),
    /// Print a completion script for a shell
    Completion {
        /// The shell
        #[arg(value_enum)]
        shell: CompletionShell,
    },
}

/// What there is to know about settings.
#[derive(Clone, Copy, Debug, Subcommand)]
pub(crate) enum ConfigCommand {
    /// Print a settings file that explains itself, to start from
    Sample,
    /// Print the reference page of all settings, in Markdown
    Reference,
    /// Print the OpenAPI document of the control API, in JSON
    Api,
}

/// Shells with completion.
#[derive(Clone, Copy, Debug, PartialEq, Eq, ValueEnum)]
pub(crate) enum CompletionShell {
    /// GNU Bash
    Bash,
    /// Z shell
    Zsh,
    /// Fish
    Fish,
}

impl From<CompletionShell> for clap_complete::Shell {
    fn from(shell: CompletionShell) -> Self {
        match shell {
            CompletionShell::Bash => Self::Bash,
            CompletionShell::Zsh => Self::Zsh,
            CompletionShell::Fish => Self::Fish,
        }
    }
}

/// Which server an administration command talks to, as whom, and how it answers.
#[derive(Clone, Debug, Args)]
#[command(next_help_heading = "Server and output")]
pub(crate) struct ServerOptions {
    /// Server to talk to; an Apache name server works too
    #[arg(long, value_name = "HOST:PORT", default_value = "127.0.0.1:8081")]
    pub(crate) server: String,
    /// How to print the answer
    #[arg(long, value_enum, default_value_t = Output::Table)]
    pub(crate) output: Output,
    /// Instance of the topics and groups [default: the server's default instance]
    #[arg(long, value_name = "ID")]
    pub(crate) instance: Option<String>,
    #[command(flatten)]
    pub(crate) keys: Keys,
}

/// Which fleet a command on releases and updates talks to, as whom, and how it answers.
#[derive(Clone, Debug, Args)]
#[command(next_help_heading = "Server and output")]
pub(crate) struct FleetOptions {
    /// Fleet to talk to
    #[arg(long, value_name = "HOST:PORT", default_value = "127.0.0.1:8081")]
    pub(crate) server: String,
    /// How to print the answer
    #[arg(long, value_enum, default_value_t = Output::Table)]
    pub(crate) output: Output,
    #[command(flatten)]
    pub(crate) keys: Keys,
}

/// As whom to ask.
#[derive(Clone, Args)]
pub(crate) struct Keys {
    /// Access key to sign requests with
    #[arg(
        long,
        value_name = "KEY",
        env = "CARRACK_ACCESS_KEY",
        hide_env_values = true,
        requires = "secret_key"
    )]
    access_key: Option<String>,
    /// Secret key to sign requests with; better given in the environment
    #[arg(
        long,
        value_name = "KEY",
        env = "CARRACK_SECRET_KEY",
        hide_env_values = true,
        requires = "access_key"
    )]
    secret_key: Option<String>,
}

impl Keys {
    /// Both keys, if they were given.
    pub(crate) fn credentials(&self) -> Option<client::Credentials> {
        Some(client::Credentials {
            access_key: self.access_key.clone()?,
            secret_key: self.secret_key.clone()?,
        })
    }
}

impl fmt::Debug for Keys {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_struct("Keys")
            .field("access_key", &self.access_key)
            .finish_non_exhaustive()
    }
}

/// How to print answers.
#[derive(Clone, Copy, Debug, PartialEq, Eq, ValueEnum)]
pub(crate) enum Output {
    /// For people
    Table,
    /// For scripts: one JSON value, whose fields stay
    Json,
}

#[cfg(test)]
mod tests {
    use clap::CommandFactory as _;

    use super::*;

    #[test]
    fn no_command_contradicts_itself() {
        Cli::command().debug_assert();
    }
}
