//! The Remoting front end: the name-server role and the broker role for clients of 3.x, 4.x and
//! 5.x.
//!
//! A connection is one task (`connection.rs`). It reads frames, keeps many requests under way at
//! once, and writes answers as they are done, in any order: `opaque` joins them to their requests.
//! `dispatch.rs` names the file of each request.

mod access;
mod ack;
mod acl;
mod administration;
mod assignment;
mod change_invisible_duration;
mod connection;
mod dispatch;
mod end_transaction;
mod exchange;
mod group;
mod heartbeat;
mod instance;
mod latencies;
mod lock;
mod node;
mod notification;
mod offset;
mod output;
mod peek;
mod plan;
mod pop;
mod pull;
mod push;
mod query;
mod ram_policy;
mod recall;
mod reply;
mod route;
mod send;
mod send_back;
mod send_reply;
mod status;
mod system_topic;
mod topic;
mod user;

pub(crate) use connection::serve;
