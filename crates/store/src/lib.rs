//! Where bytes last: the log, the state KV derived from it, and the metadata store.
//!
//! Everything here is opaque to the store: records have a kind and a stream key, KV pairs are
//! bytes, metadata is keys and values. The store knows no topic, no group and no message. Each of
//! the three is a trait, so that object storage, another KV engine or etcd can stand behind the
//! same broker.

pub mod disk;
pub mod fs;
pub mod kv;
pub mod log;
pub mod meta;
