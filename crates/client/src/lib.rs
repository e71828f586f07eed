//! Small client for Remoting, gRPC and the OpenAPI, used by the CLI, the load generator and tests,
//! and between nodes.
//!
//! It speaks to any RocketMQ-compatible server. It does what it is told and nothing behind one's
//! back: no retries, no reconnects, no route cache, so that what a call reports is what the server
//! did. Every wait has a limit. Time is tokio's, which a simulation can pause.

mod credentials;
mod error;
pub mod grpc;
pub mod http;
pub mod openapi;
pub mod remoting;
mod tls;

pub use credentials::Credentials;
pub use error::ClientError;
pub use grpc::{GrpcClient, GrpcOptions};
pub use openapi::{OpenApiCall, OpenApiClient};
pub use remoting::{RemotingClient, RemotingOptions};
