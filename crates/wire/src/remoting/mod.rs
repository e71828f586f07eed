//! The Remoting protocol: frames, headers, codes and JSON bodies.
//!
//! A frame is: length u32 (of all that follows), one byte of [`SerializeType`], header length u24,
//! header, body. Requests and answers share one form, [`Command`]; an answer repeats the request's
//! `opaque` number and serialize type. Source: `RemotingCommand`, `RocketMQSerializable` and the
//! header classes of RocketMQ 5.5.0; fields and codes of older clients are a subset.

pub mod body;
mod command;
mod ext_fields;
pub mod frame;
pub mod header;
mod header_binary;
mod header_json;
mod language;
pub mod pop_receipt;
mod request_code;
mod response_code;

pub use command::{Command, SERVER_VERSION, SerializeType};
pub use ext_fields::ExtFields;
pub use frame::{Encoded, FrameError};
pub use header::{Header, HeaderError};
pub use language::LanguageCode;
pub use request_code::RequestCode;
pub use response_code::ResponseCode;
