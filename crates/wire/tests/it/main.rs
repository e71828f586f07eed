//! The codecs against golden bytes of Apache's own classes, and against themselves.
//!
//! The modules are marked as tests so that clippy lets their helper functions unwrap.

#[cfg(test)]
mod batch;
#[cfg(test)]
mod body;
#[cfg(test)]
mod captures;
#[cfg(test)]
mod frame;
#[cfg(test)]
mod golden;
#[cfg(test)]
mod grpc;
#[cfg(test)]
mod header;
#[cfg(test)]
mod message;
#[cfg(test)]
mod properties;
#[cfg(test)]
mod rewrite;
