//! The real binary, run as people run it.

mod admin;
mod bench;
mod config;
mod server;
mod support;
mod usage;
