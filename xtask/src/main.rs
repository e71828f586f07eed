//! Developer commands: `cargo xtask COMMAND`. One file per command; this one only dispatches.
#![expect(
    clippy::print_stdout,
    reason = "commands talk to the developer on standard output"
)]

mod ci;
mod compare;
mod conformance;
mod crash;
mod differential;
mod instructions;
mod isolation;
mod maven;
mod mqadmin;
mod oracle;
mod rolling_update;
mod setup;
mod steps;
mod tidy;
mod workspace;

use anyhow::Result;
use clap::{Parser, Subcommand};

/// Developer commands of the workspace.
#[derive(Parser)]
struct Arguments {
    #[command(subcommand)]
    command: Command,
}

#[derive(Subcommand)]
enum Command {
    /// Run released clients against a built server.
    Conformance(conformance::Arguments),
    /// Compare Apache's administration tool against Carrack and against Apache RocketMQ.
    Mqadmin(mqadmin::Arguments),
    /// Run everything that CI runs, in the same order.
    Ci,
    /// Run everything that CI runs at full size, and more.
    Verify(ci::VerifyArguments),
    /// Check the rules of the repository that no compiler knows.
    Tidy {
        /// Wrap comments that are too long.
        #[arg(long)]
        fix: bool,
    },
    /// Measure Carrack and Apache RocketMQ side by side.
    Compare(compare::Arguments),
    /// Compare what is to be seen of the same operations on Apache RocketMQ and here.
    Differential(differential::Arguments),
    /// Count the instructions that a message costs the server, by valgrind.
    Instructions(instructions::Arguments),
    /// Update nodes one after the other while released clients send and receive.
    RollingUpdate(rolling_update::Arguments),
    /// Measure what one tenant feels of another that floods the server.
    Isolation(isolation::Arguments),
    /// Kill a server under load, again and again, and look for what it lost.
    Kill {
        #[command(flatten)]
        options: crash::Options,
        /// How often the server is killed under load.
        #[arg(long, default_value_t = 10)]
        rounds: u32,
    },
    /// Fill a small disk: sends are refused, all else goes on, nothing is lost.
    Fulldisk(crash::Options),
    /// Trace a send: `fdatasync` returns before the reply is written.
    Syscalls(crash::Options),
    /// Keep many timers pending, and have many due at once.
    Timers {
        #[command(flatten)]
        options: crash::Options,
        /// Timers that stay pending.
        #[arg(long, default_value_t = 1_000_000)]
        pending: u64,
        /// Timers that are due within one second.
        #[arg(long, default_value_t = 50_000)]
        due: u64,
    },
    /// Create very many LiteTopics, and send to random ones of them.
    LiteTopics {
        #[command(flatten)]
        options: crash::Options,
        #[command(flatten)]
        sizes: crash::LiteTopicSizes,
    },
    /// Attack every port while an ordinary client is served.
    Badclients {
        #[command(flatten)]
        options: crash::Options,
        /// How long.
        #[arg(long, default_value_t = 30)]
        seconds: u32,
    },
}

fn main() -> Result<()> {
    match Arguments::parse().command {
        Command::Conformance(arguments) => conformance::run(&arguments),
        Command::Mqadmin(arguments) => mqadmin::run(&arguments),
        Command::Ci => ci::ci(),
        Command::Verify(arguments) => ci::verify(&arguments),
        Command::Tidy { fix } => tidy::run(fix),
        Command::Compare(arguments) => compare::run(&arguments),
        Command::Differential(arguments) => differential::run(&arguments),
        Command::Instructions(arguments) => instructions::run(&arguments),
        Command::RollingUpdate(arguments) => rolling_update::run(&arguments),
        Command::Isolation(arguments) => isolation::run(&arguments),
        Command::Kill { options, rounds } => crash::kill(&options, rounds),
        Command::Fulldisk(options) => crash::full_disk(&options),
        Command::Syscalls(options) => crash::system_calls(&options),
        Command::Timers {
            options,
            pending,
            due,
        } => crash::timers(&options, pending, due),
        Command::LiteTopics { options, sizes } => crash::lite_topics(&options, sizes),
        Command::Badclients { options, seconds } => crash::bad_clients(&options, seconds),
    }
}
