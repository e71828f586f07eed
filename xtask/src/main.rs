//! Developer commands: `cargo xtask COMMAND`. One file per command; this one only dispatches.
#![expect(
    clippy::print_stdout,
    reason = "commands talk to the developer on standard output"
)]

mod conformance;
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
}

fn main() -> Result<()> {
    match Arguments::parse().command {
        Command::Conformance(arguments) => conformance::run(&arguments),
    }
}
