//! Protocol front ends: decode, authenticate, resolve the instance, call the core, encode.
//!
//! One folder per protocol, one file per verb with the name that the verb has in the broker. A
//! front end holds no messaging semantics, and one protocol never goes through another. [`serve`]
//! opens the listeners; every one of them takes every protocol, told apart by the first bytes
//! (`sniff.rs`, `door.rs`).

mod access;
mod client_answer;
mod client_metrics;
mod door;
mod front;
mod grpc;
mod grpc_v1;
mod grpc_v2;
mod http;
mod http2_requests;
mod hyper_clock;
mod instance;
mod linger;
mod listen;
mod message_trace;
mod metrics;
mod ons_http;
mod ons_openapi;
mod openapi;
mod openapi_request;
mod places;
mod prefixed;
mod recall_handle;
mod refusal;
mod remoting;
mod request_body;
mod series;
mod sniff;
mod surroundings;
#[cfg(test)]
mod test_clock;
mod throttled;
mod tls;
mod topic_route;

pub use broker::Series;
use broker::system_names;
pub use door::HttpRequests;
pub use front::{
    Advertise, AdvertisedAddress, CLUSTER_NAME, ConnectionInfo, DEFAULT_REGION, Drain, DrainPhase,
    Front, FrontSettings, broker_name,
};
pub use listen::{Drained, ListenAddress, Running, ServeError, serve};
pub use metrics::{FrontMetrics, Histogram, RpcKey};
pub use openapi::openapi_document;
pub use surroundings::{DiskSpace, Surroundings};
pub use tls::{TlsError, TlsSetup};
