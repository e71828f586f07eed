//! Limits of releases, update tasks and workflows.

/// Longest text that is read as a version: the longest of the three formats with numbers of
/// 32 bits, and some more.
pub const VERSION_BYTES_MAX: usize = 80;

/// Largest binary of a release: ten times what ours has with all of its symbols.
pub const RELEASE_BINARY_BYTES_MAX: u64 = 2 * 1024 * 1024 * 1024;

/// Longest notes of a release, which every list of releases carries.
pub const RELEASE_NOTES_BYTES_MAX: usize = 16 * 1024;

/// Releases of one catalogue: one a week for eighty years. All of them are in memory.
pub const RELEASES_MAX: usize = 4_096;

/// Longest signature file that is read: minisign's has four lines of about a hundred bytes, and
/// comments.
pub const SIGNATURE_BYTES_MAX: u64 = 16 * 1024;

/// How long a binary may take to say its version, in milliseconds.
pub const BINARY_VERSION_MS_MAX: u64 = 10_000;

/// Most bytes that a binary may say of its version; ours has one line.
pub const BINARY_VERSION_BYTES_MAX: u64 = 4 * 1024;

/// Ended update tasks that are remembered of an instance; with one a week they reach back a year.
pub const UPDATE_TASKS_ENDED_MAX: usize = 52;

/// How long an update may run before it is flagged: updates take less, as the service has it.
pub const UPDATE_MS_NORMAL_MAX: u64 = 30 * 60 * 1_000;

/// How late an update may start and still count as on time, in milliseconds: what a scheduler with
/// much to do, or one that was just replaced, needs.
pub const UPDATE_LATE_MS_MAX: u64 = 5 * 60 * 1_000;

/// Longest reason of a failure that is kept.
pub const FAILURE_REASON_CHARACTERS_MAX: usize = 1_024;

/// How often a change of metadata is decided anew because somebody else changed the key meanwhile.
pub const METADATA_ATTEMPTS_MAX: u32 = 16;

/// How often one step of a workflow may fail before the workflow gives up on it: with pauses that
/// double from a second, two minutes.
pub const STEP_FAILURES_MAX: u32 = 8;

/// Longest pause between two attempts at a step of a workflow, in milliseconds.
pub const STEP_PAUSE_MS_MAX: u64 = 30_000;

/// How long a node may take from its start until it serves, in milliseconds: it replays its log
/// behind the last checkpoint first.
pub const NODE_HEALTHY_MS_MAX: u64 = 5 * 60 * 1_000;

/// Instances that are updated at the same time, so that an announcement that concerns all of them
/// does not restart half of a machine's nodes at once.
pub const UPDATES_AT_ONCE: usize = 4;

/// How long an update that got stuck, and that only time or people can help, waits for its next
/// attempt, in milliseconds.
pub const STUCK_PAUSE_MS: u64 = 10 * 60 * 1_000;

/// How long a node may take to stop in order before it is killed, in milliseconds: the server's own
/// limit for connections to finish, and a last checkpoint.
pub const NODE_STOPPED_MS_MAX: u64 = 2 * 60 * 1_000;

/// How long the system may take until a process that it has started is there, in milliseconds.
pub const NODE_STARTED_MS_MAX: u64 = 10_000;

/// How long an update or an order waits for its next attempt after the metadata did not answer, in
/// milliseconds: nothing is wrong with the nodes, which wait meanwhile.
pub const INTERRUPTED_PAUSE_MS: u64 = 2_000;

/// How long an order for an instance with nodes of its own waits for its next attempt after it got
/// stuck, in milliseconds: somebody waits for the instance.
pub const PROVISION_STUCK_PAUSE_MS: u64 = 60 * 1_000;

/// How often in a row a node must be seen to have nothing that was not consumed.
pub const NODE_EMPTIED_LOOKS: u32 = 4;
