//! The front ends over real sockets, against a real broker on a real disk.

mod door;
mod drain;
mod grpc_v2;
mod http;
mod limits;
mod remoting;
mod support;
