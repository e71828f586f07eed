//! How a log gathers what it writes, and what it reads.

/// Bytes that wait for the disk at which a commit begins at once, instead of when the task that
/// appended them rests. Beyond this one call of the disk costs little more per message.
pub const LOG_GATHER_BYTES: usize = 128 * 1024;

/// Most bytes that are read from a log at once because several records in them are wanted. More
/// saves little: one call for some 60 messages of 1 KiB costs less than copying them.
pub const LOG_STRETCH_BYTES_MAX: usize = 64 * 1024;

/// Bytes between two records up to which they are read together. To copy them costs about two
/// calls; mostly they are messages of the topic's other queues, which are read at the same time,
/// and then from what is kept.
pub const LOG_STRETCH_GAP_BYTES_MAX: usize = 16 * 1024;

/// Stretches that a log keeps for those who read other records in them: 1 MiB.
pub const LOG_STRETCHES_KEPT: usize = 16;
