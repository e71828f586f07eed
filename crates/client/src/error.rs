//! What can go wrong between a client and a server.

use std::{io, time::Duration};

use wire::remoting::{FrameError, ResponseCode};

/// Why a call did not do what was asked. Every variant names the server.
#[derive(Debug, thiserror::Error)]
pub enum ClientError {
    /// No connection came about.
    #[error("connect to {address}")]
    Connect {
        /// The server.
        address: String,
        /// What the network or TLS said.
        #[source]
        source: io::Error,
    },
    /// No connection came about in time.
    #[error("connect to {address}: no answer within {} ms", after.as_millis())]
    ConnectTimeout {
        /// The server.
        address: String,
        /// How long was waited.
        after: Duration,
    },
    /// The server did not answer in time. Whether it did what was asked is unknown.
    #[error("{request} to {address}: no answer within {} ms", after.as_millis())]
    Timeout {
        /// The server.
        address: String,
        /// What was asked.
        request: &'static str,
        /// How long was waited.
        after: Duration,
    },
    /// The connection ended. Whether the server did what was asked is unknown.
    #[error("connection to {address} ended: {reason}")]
    Closed {
        /// The server.
        address: String,
        /// Who ended it and why.
        reason: String,
    },
    /// The server said no.
    #[error("{address} refused {request} with {} ({code}): {remark}", code_name(*code))]
    Refused {
        /// The server.
        address: String,
        /// What was asked.
        request: &'static str,
        /// The protocol's number for the reason.
        code: i32,
        /// The server's words.
        remark: String,
    },
    /// The server said no over gRPC.
    #[error("{address} refused {request} with {code}: {remark}")]
    RefusedGrpc {
        /// The server.
        address: String,
        /// What was asked.
        request: &'static str,
        /// The protocol's name for the reason.
        code: String,
        /// The server's words.
        remark: String,
    },
    /// The server said no over the OpenAPI.
    #[error("{address} refused {request} with {code} ({status}): {remark}")]
    RefusedOpenApi {
        /// The server.
        address: String,
        /// What was asked.
        request: &'static str,
        /// The status of the answer.
        status: u16,
        /// The API's name for the reason.
        code: String,
        /// The server's words.
        remark: String,
    },
    /// The server answered with something that the protocol does not provide for.
    #[error("{address} answered {request} with {reason}")]
    Answer {
        /// The server.
        address: String,
        /// What was asked.
        request: &'static str,
        /// What is wrong with it.
        reason: String,
    },
    /// The request cannot be written.
    #[error("write request to {address}")]
    Request {
        /// The server.
        address: String,
        /// What is wrong with it.
        #[source]
        source: FrameError,
    },
}

impl ClientError {
    /// Whether the server could not be reached or went away, rather than said no.
    pub fn is_unreachable(&self) -> bool {
        match self {
            Self::Connect { .. }
            | Self::ConnectTimeout { .. }
            | Self::Timeout { .. }
            | Self::Closed { .. } => true,
            Self::Refused { .. }
            | Self::RefusedGrpc { .. }
            | Self::RefusedOpenApi { .. }
            | Self::Answer { .. }
            | Self::Request { .. } => false,
        }
    }

    /// The Remoting answer code, if the server refused a Remoting request with a known one.
    pub fn refusal(&self) -> Option<ResponseCode> {
        match self {
            Self::Refused { code, .. } => ResponseCode::from_i32(*code),
            _ => None,
        }
    }
}

fn code_name(code: i32) -> &'static str {
    ResponseCode::from_i32(code).map_or("unknown code", ResponseCode::name)
}
