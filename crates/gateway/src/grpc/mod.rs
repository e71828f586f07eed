//! What the gRPC front ends share: who calls, names, statuses, access control, the stored form of
//! messages, and what clients have said of themselves.
//!
//! Everything here is of the headers and ideas that both protocols have in common, or of the core;
//! the messages of a protocol stay in its own folder.

pub(crate) mod access;
pub(crate) mod call;
pub(crate) mod clients;
pub(crate) mod compression;
pub(crate) mod digest;
pub(crate) mod inbox;
pub(crate) mod long_poll;
pub(crate) mod message;
pub(crate) mod names;
pub(crate) mod offset;
pub(crate) mod shards;
pub(crate) mod status;
pub(crate) mod time;
pub(crate) mod traced;
pub(crate) mod transaction_id;
pub(crate) mod unread;
