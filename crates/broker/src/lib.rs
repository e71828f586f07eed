//! Messaging semantics, once for every protocol: send, pull, receive, ack, offsets.
