//! The stored-message layout of RocketMQ: what a log record holds and what a pull answer carries.
//!
//! All numbers are big-endian. `i` is a signed number of that many bits.
//!
//! | field | bytes | note |
//! | --- | --- | --- |
//! | total size | i32 | of everything, itself included |
//! | magic | i32 | [`MAGIC_V1`]: topic length is 1 byte; [`MAGIC_V2`]: 2 bytes |
//! | body CRC | i32 | CRC-32 (zlib) without its top bit |
//! | queue id | i32 | |
//! | flag | i32 | the application's, never interpreted |
//! | queue offset | i64 | |
//! | physical offset | i64 | shard and log position |
//! | system flag | i32 | [`sys_flag`] |
//! | born timestamp | i64 | ms since 1970, set by the client |
//! | born host | 8 or 20 | 4 or 16 address bytes, port as i32 |
//! | store timestamp | i64 | ms since 1970, set by the server |
//! | store host | 8 or 20 | as born host |
//! | reconsume times | i32 | failed deliveries so far |
//! | prepared transaction offset | i64 | |
//! | body | i32 + n | |
//! | topic | 1 or 2 + n | UTF-8 |
//! | properties | i16 + n | [`properties`] |
//!
//! Source: `MessageDecoder` and `MessageVersion` of RocketMQ 5.5.0. Older clients read version 1
//! only, which is why version 2 is written for long topics alone.

pub mod batch;
mod content;
mod encode;
mod error;
pub mod id;
mod layout;
pub mod properties;
mod rewrite;
mod stored;
pub mod sys_flag;
mod tags;
mod trace;
mod trace_write;
mod view;

pub use encode::{NewMessage, Placement};
pub use error::MessageError;
pub use id::MessageId;
pub use layout::{MAGIC_V1, MAGIC_V2};
pub use properties::Properties;
pub use rewrite::{Rewrite, RewriteError, Rewritten};
pub use stored::{Split, StoredMessage, split};
pub use tags::tags_code;
pub use trace::{TraceKind, TraceRecord, trace_records};
pub use trace_write::{ConsumeTrace, EndTransactionTrace, RecallTrace, ReceiveTrace, SendTrace};
pub use view::{IndexedProperties, MessageView};
