//! The administration commands: instances, topics, groups, messages, users and policies of a
//! running server.
//!
//! They speak Remoting's administration codes, so they work against Apache RocketMQ as well, except
//! for what that does not have. Releases and updates are asked for over the OpenAPI.

mod acl;
mod fleet;
mod group;
mod instance;
mod message;
mod node;
mod plan;
mod policy;
mod release;
mod reset_offset;
mod servers;
mod show;
mod time;
mod topic;
mod trace;
mod update;
mod update_window;
mod usage;
mod user;

pub(crate) use acl::AclCommand;
pub(crate) use group::GroupCommand;
pub(crate) use instance::InstanceCommand;
pub(crate) use message::MessageCommand;
pub(crate) use node::NodeCommand;
pub(crate) use policy::PolicyCommand;
pub(crate) use release::ReleaseCommand;
pub(crate) use show::{facts, json, print};
pub(crate) use topic::TopicCommand;
pub(crate) use update::UpdateCommand;
pub(crate) use update_window::UpdateWindowCommand;
pub(crate) use usage::UsageOptions;
pub(crate) use user::{UserCommand, make_up};

use crate::exit::Failure;

/// An administration command.
pub(crate) enum AdminCommand {
    /// On topics.
    Topic(TopicCommand),
    /// On groups.
    Group(GroupCommand),
    /// On instances.
    Instance(InstanceCommand),
    /// On nodes.
    Node(NodeCommand),
    /// On releases.
    Release(ReleaseCommand),
    /// On updates.
    Update(UpdateCommand),
    /// On maintenance windows.
    UpdateWindow(UpdateWindowCommand),
    /// On what instances used.
    Usage(UsageOptions),
    /// On messages.
    Message(MessageCommand),
    /// On users.
    User(UserCommand),
    /// On entries of policies.
    Acl(AclCommand),
    /// On RAM-style policies.
    Policy(PolicyCommand),
}

/// Carries out one command.
pub(crate) async fn run(command: AdminCommand) -> Result<(), Failure> {
    match command {
        AdminCommand::Topic(command) => topic::run(command).await,
        AdminCommand::Group(command) => group::run(command).await,
        AdminCommand::Instance(command) => instance::run(command).await,
        AdminCommand::Node(command) => node::run(command).await,
        AdminCommand::Release(command) => release::run(command).await,
        AdminCommand::Update(command) => update::run(command).await,
        AdminCommand::UpdateWindow(command) => update_window::run(command).await,
        AdminCommand::Usage(options) => usage::run(options).await,
        AdminCommand::Message(command) => message::run(command).await,
        AdminCommand::User(command) => user::run(command).await,
        AdminCommand::Acl(command) => acl::run(command).await,
        AdminCommand::Policy(command) => policy::run(command).await,
    }
}
