//! Unread: messages that are on their way to a client that may not be reading.
//!
//! A connection has thousands of streams, and each may carry an answer of several MiB that waits
//! for its reader. Who has much to read already is given nothing more until it has read.

use std::sync::{
    Arc,
    atomic::{AtomicUsize, Ordering},
};

use base::limits;
use http_body_util::BodyExt;
use tonic::body::Body;
use wire::grpc_v2::Code;

use super::status::Refusal;

/// Bytes of messages in the answers of one connection that its client has not read to their ends.
#[derive(Debug, Default)]
pub(crate) struct Unread {
    bytes: AtomicUsize,
}

impl Unread {
    /// Whether more may be given.
    pub(crate) fn admit(&self) -> Result<(), Refusal> {
        let (bytes, max) = (
            self.bytes.load(Ordering::Relaxed),
            limits::GRPC_UNREAD_BYTES_MAX,
        );
        if bytes >= max {
            return Err(Refusal::new(
                Code::TooManyRequests,
                format!("connection has {bytes} bytes of messages to read first, limit {max}"),
            ));
        }
        Ok(())
    }

    /// Counts an answer for as long as the guard lives. Many that waited together may come to more
    /// than the limit; at twice the limit no more is counted, and the answer must not be given.
    pub(crate) fn count(self: &Arc<Self>, bytes: usize) -> Result<Arc<Counted>, Refusal> {
        let counted = Arc::new(Counted {
            unread: Arc::clone(self),
            bytes,
        });
        let before = self.bytes.fetch_add(bytes, Ordering::Relaxed);
        if before >= 2 * limits::GRPC_UNREAD_BYTES_MAX {
            self.admit()?;
        }
        Ok(counted)
    }
}

/// Keeps the guard that is in the extensions of an answer for as long as its body lives. The stream
/// of messages itself does not: its last message is taken from it before the first is written.
pub(crate) fn keep(mut response: http::Response<Body>) -> http::Response<Body> {
    match response.extensions_mut().remove::<Arc<Counted>>() {
        Some(counted) => response.map(|body| {
            Body::new(body.map_err(move |error| {
                let _counted = &counted;
                error
            }))
        }),
        None => response,
    }
}

/// An answer that is not read to its end.
#[derive(Debug)]
pub(crate) struct Counted {
    unread: Arc<Unread>,
    bytes: usize,
}

impl Drop for Counted {
    fn drop(&mut self) {
        self.unread.bytes.fetch_sub(self.bytes, Ordering::Relaxed);
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn what_is_read_makes_room() {
        let unread = Arc::new(Unread::default());
        let max = limits::GRPC_UNREAD_BYTES_MAX;
        let first = unread.count(max).unwrap();
        assert_eq!(unread.admit().unwrap_err().code(), Code::TooManyRequests);
        // One that waited meanwhile.
        let second = unread.count(max).unwrap();
        assert!(unread.count(1).is_err());
        drop(second);
        assert!(unread.admit().is_err());
        drop(first);
        assert!(unread.admit().is_ok());
        assert_eq!(unread.bytes.load(Ordering::Relaxed), 0);
    }
}
