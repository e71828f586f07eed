//! Limits of inspections.

/// Templates that an instance may be inspected by: each is there once.
pub const INSPECTION_ITEMS_MAX: usize = 32;

/// Topics and groups that an inspection may name, instead of looking at all.
pub const INSPECTION_NAMES_MAX: usize = 200;

/// Topics and groups that one run of an inspection keeps a word about: some 300 bytes each.
pub const INSPECTION_RESOURCES_MAX: usize = 200;

/// Runs that are kept of one instance, each of up to 100 KiB.
pub const INSPECTION_RUNS_MAX: usize = 20;

/// How often a run is begun before it is given up: a crash may have been its fault.
pub const INSPECTION_ATTEMPTS_MAX: u32 = 3;

/// Age at which a run that another node has left open is taken over, in ms: one takes seconds.
pub const INSPECTION_STALE_MS: i64 = 10 * 60 * 1_000;

/// How long a client token of an inspection stands for its request, in ms: a day, as the service
/// has it.
pub const INSPECTION_TOKEN_MS: i64 = 24 * 60 * 60 * 1_000;

/// Client tokens that are remembered of one instance, each of some 150 bytes; the oldest is
/// forgotten for a new one.
pub const INSPECTION_TOKENS_MAX: usize = 256;

/// Bytes of what one node tells another that it sees for a run: two thousand topics and groups have
/// some 300 KiB. etcd takes 1.5 MiB.
pub const INSPECTION_SEEN_BYTES_MAX: usize = 1024 * 1024;

/// How long a run waits for what other nodes see, in ms: they look as long as it looks itself,
/// which is seconds.
pub const INSPECTION_NODES_MS_MAX: u64 = 20_000;
