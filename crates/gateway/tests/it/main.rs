//! The front ends over real sockets, against a real broker on a real disk.

#![expect(clippy::unwrap_used, reason = "helpers of tests are tests too")]

mod access;
mod calendar;
mod control;
mod door;
mod drain;
mod grpc_v1;
mod grpc_v2;
mod host;
mod http;
mod http2;
mod instances;
mod limits;
mod ons_http;
mod ons_openapi;
mod openapi;
mod quota;
mod remoting;
mod series;
mod series_limits;
mod support;
