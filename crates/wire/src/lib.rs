//! The codecs of Carrack as pure functions: bytes in, values out, and back.
//!
//! Opens no socket, starts no task and reads no clock. Every decoder takes bytes that an enemy may
//! have written: it returns an error that names the field, never panics, and holds no more memory
//! than a small multiple of its input.

pub mod grpc_v1;
pub mod grpc_v2;
pub mod message;
pub mod ons_http;
pub mod openapi;
pub mod otlp;
mod percent;
pub mod remoting;
