//! Limits of what several nodes share.

/// Removed metadata entries that a node remembers, so that a watch that tells late of what they
/// were does not bring them back. A watch is milliseconds behind, and removals are rare.
pub const METADATA_REMOVALS_KEPT_MAX: usize = 1_024;

/// Attempts at a change of metadata that another node's change of the same entry may get in the way
/// of; that it does so twice is hardly ever so.
pub const METADATA_CHANGE_ATTEMPTS_MAX: usize = 8;

/// Numbers for nodes that may be given out: a number is the shard's, the upper 16 bits of physical
/// offsets, which clients read as a signed number. A node that comes back keeps its own.
pub const NODE_NUMBERS_MAX: u16 = 0x7fff;

/// Nodes of a cluster: routes list all of them for each topic.
pub const NODES_MAX: usize = 64;

/// Fewest nodes of an instance that has its own: messages go on while one of them restarts.
pub const INSTANCE_NODES_MIN: u16 = 2;

/// Most nodes of an instance that has its own: a few such instances fit into a cluster.
pub const INSTANCE_NODES_MAX: u16 = 16;

/// Bytes of a node's name.
pub const NODE_NAME_BYTES_MAX: usize = 64;

/// How long routes of FIFO topics keep the queues of a node that is away, in milliseconds: senders
/// choose the queue of a message group by the number of queues, which must not change while a node
/// restarts.
pub const NODE_AWAY_MS_MAX: u64 = 10 * 60 * 1_000;

/// How long a fleet waits for the nodes that it asks on behalf of a client, all together, in
/// milliseconds: as long as nodes wait for consumers that they ask, and some more. SDKs wait ten
/// seconds.
pub const FORWARD_MS_MAX: u64 = 9_000;

/// How long a node waits for what a fleet knew when it sent a request on, in milliseconds: changes
/// of metadata come to nodes within some ten milliseconds.
pub const FORWARDED_WAIT_MS_MAX: u64 = 2_000;

/// Bytes of what a fleet says beside a request that it sends on: some fields and the id of a
/// message.
pub const FORWARDED_BYTES_MAX: usize = 4 * 1024;

/// Longest id of a message that a fleet tells nodes; SDKs make them of 32 characters. In JSON and
/// base64 it has at most eight times as many bytes.
pub const FORWARDED_ID_BYTES_MAX: usize = 256;
