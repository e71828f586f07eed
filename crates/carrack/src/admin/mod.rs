//! The administration commands: topics, groups and messages of a running server.
//!
//! They speak Remoting's administration codes, so they work against Apache RocketMQ as well.

mod group;
mod message;
mod servers;
mod show;
mod time;
mod topic;

pub(crate) use group::GroupCommand;
pub(crate) use message::MessageCommand;
pub(crate) use show::{facts, json, print};
pub(crate) use topic::TopicCommand;

use crate::exit::Failure;

/// An administration command.
pub(crate) enum AdminCommand {
    /// On topics.
    Topic(TopicCommand),
    /// On groups.
    Group(GroupCommand),
    /// On messages.
    Message(MessageCommand),
}

/// Carries out one command.
pub(crate) async fn run(command: AdminCommand) -> Result<(), Failure> {
    match command {
        AdminCommand::Topic(command) => topic::run(command).await,
        AdminCommand::Group(command) => group::run(command).await,
        AdminCommand::Message(command) => message::run(command).await,
    }
}
