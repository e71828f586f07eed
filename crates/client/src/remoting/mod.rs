//! The Remoting protocol: a connection, and calls by what they are for, one file each.

mod access;
mod connection;
mod end_transaction;
mod group;
mod heartbeat;
mod instance;
mod node;
mod offset;
mod pop;
mod pull;
mod query;
mod ram_policy;
mod route;
mod send;
mod topic;

pub use connection::{RemotingClient, RemotingOptions};
pub use pop::{PopQueue, PoppedMessage};
pub use pull::{PullQueue, PullStatus, PulledMessages};
pub use query::QueryMessages;
pub use send::{OutgoingMessage, SentMessage, batch_body};
pub use topic::NewTopic;
