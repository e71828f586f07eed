//! The one binary: server, administration commands and load generator.
//!
//! Exit codes: 0 done, 1 refused or failed, 2 wrong usage or settings, 3 server unreachable.
//!
//! The allocator is the system's. mimalloc takes at most 6 % less processor time per message, and
//! much more memory (`docs/internals/cost-of-a-message.md`).

mod admin;
mod bench;
mod cli;
mod config;
mod exit;
mod server;
mod version;

use std::process::ExitCode;

use clap::{CommandFactory, Parser};

use crate::{
    admin::AdminCommand,
    cli::{Cli, Command, ConfigCommand},
    exit::Failure,
};

fn main() -> ExitCode {
    match run(Cli::parse()) {
        Ok(()) => ExitCode::SUCCESS,
        Err(failure) => failure.report(),
    }
}

fn run(cli: Cli) -> Result<(), Failure> {
    match cli.command {
        Command::Server(flags) => server::run(&flags),
        Command::Fleet(flags) => server::fleet::run(&flags),
        Command::Instance(command) => administer(AdminCommand::Instance(command)),
        Command::Node(command) => administer(AdminCommand::Node(command)),
        Command::Release(command) => administer(AdminCommand::Release(command)),
        Command::Update(command) => administer(AdminCommand::Update(command)),
        Command::UpdateWindow(command) => administer(AdminCommand::UpdateWindow(command)),
        Command::Usage(options) => administer(AdminCommand::Usage(options)),
        Command::Topic(command) => administer(AdminCommand::Topic(command)),
        Command::Group(command) => administer(AdminCommand::Group(command)),
        Command::Message(command) => administer(AdminCommand::Message(command)),
        Command::User(command) => administer(AdminCommand::User(command)),
        Command::Acl(command) => administer(AdminCommand::Acl(command)),
        Command::Policy(command) => administer(AdminCommand::Policy(command)),
        Command::Bench(command) => bench::run(command),
        Command::Config(ConfigCommand::Sample) => Ok(admin::print(&config::sample())?),
        Command::Config(ConfigCommand::Reference) => Ok(admin::print(&config::reference())?),
        Command::Config(ConfigCommand::Api) => Ok(admin::print(&gateway::openapi_document())?),
        Command::Completion { shell } => {
            let mut script = Vec::new();
            let shell = clap_complete::Shell::from(shell);
            clap_complete::generate(shell, &mut Cli::command(), "carrack", &mut script);
            Ok(admin::print(&String::from_utf8_lossy(&script))?)
        }
    }
}

fn administer(command: AdminCommand) -> Result<(), Failure> {
    let runtime = tokio::runtime::Builder::new_current_thread()
        .enable_all()
        .build()?;
    runtime.block_on(admin::run(command))
}
