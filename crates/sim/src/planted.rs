//! Bugs put in on purpose, to see that the checkers find them.

use base::StreamKey;
use store::log::{NewRecord, RecordKind};

use crate::disk::DiskLies;

/// A bug put in on purpose, to see that the checkers find it. Each is put around the product, by a
/// wrapper, not into it.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub enum Planted {
    /// None.
    #[default]
    Nothing,
    /// The disk confirms syncs that it does not make.
    LyingSync,
    /// The state KV says that it is durable when it is not, so the log is trimmed past what
    /// survives.
    TrimBeforeCheckpoint,
    /// Acks are accepted and forgotten.
    ForgottenAcks,
    /// Receipts are handed out and forgotten.
    ForgottenReceipts,
    /// The broker's clock runs twice as fast as the clients': invisible times end early.
    HastyClock,
    /// The disk now and then loses a write in the middle.
    LostWrites,
    /// The due times of held messages are written half a second too early.
    EarlyTimers,
    /// Recalls and rollbacks are confirmed and forgotten.
    ForgottenDrops,
    /// Questions to producers, and commits of timed messages, are forgotten.
    ForgottenChanges,
    /// What is released is thought to be held still.
    ForgottenReleases,
    /// The due times of held messages are written half a second too late.
    LateTimers,
    /// Offsets are committed one too far.
    HastyOffsets,
    /// The broker's clock moves only every 16 ms: receipts are good for longer than was said.
    CoarseClock,
    /// Locks are granted, and now and then forgotten.
    LeakyLocks,
    /// Messages are handed out in any order.
    Disorder,
    /// Queues of all priorities take turns.
    FlatPriorities,
    /// LiteTopics are remembered under the names of others.
    SwappedLiteTopics,
    /// LiteTopics end before their time.
    HastyEnds,
    /// Of the LiteTopics that a client subscribes to, one is forgotten.
    ForgottenSubscriptions,
    /// LiteTopics that one member is to have alone go to others, too.
    SharedLiteTopics,
}

impl Planted {
    /// All that can be planted.
    pub const ALL: [Self; 20] = [
        Self::LyingSync,
        Self::TrimBeforeCheckpoint,
        Self::ForgottenAcks,
        Self::ForgottenReceipts,
        Self::HastyClock,
        Self::LostWrites,
        Self::EarlyTimers,
        Self::ForgottenDrops,
        Self::ForgottenChanges,
        Self::ForgottenReleases,
        Self::LateTimers,
        Self::HastyOffsets,
        Self::CoarseClock,
        Self::LeakyLocks,
        Self::Disorder,
        Self::FlatPriorities,
        Self::SwappedLiteTopics,
        Self::HastyEnds,
        Self::ForgottenSubscriptions,
        Self::SharedLiteTopics,
    ];

    /// Its name on the command line.
    pub fn name(self) -> &'static str {
        match self {
            Self::Nothing => "nothing",
            Self::LyingSync => "lying-sync",
            Self::TrimBeforeCheckpoint => "trim-before-checkpoint",
            Self::ForgottenAcks => "forgotten-acks",
            Self::ForgottenReceipts => "forgotten-receipts",
            Self::HastyClock => "hasty-clock",
            Self::LostWrites => "lost-writes",
            Self::EarlyTimers => "early-timers",
            Self::ForgottenDrops => "forgotten-drops",
            Self::ForgottenChanges => "forgotten-changes",
            Self::ForgottenReleases => "forgotten-releases",
            Self::LateTimers => "late-timers",
            Self::HastyOffsets => "hasty-offsets",
            Self::CoarseClock => "coarse-clock",
            Self::LeakyLocks => "leaky-locks",
            Self::Disorder => "disorder",
            Self::FlatPriorities => "flat-priorities",
            Self::SwappedLiteTopics => "swapped-lite-topics",
            Self::HastyEnds => "hasty-ends",
            Self::ForgottenSubscriptions => "forgotten-subscriptions",
            Self::SharedLiteTopics => "shared-lite-topics",
        }
    }

    /// What the disk lies about.
    pub fn disk_lies(self) -> DiskLies {
        DiskLies {
            sync: self == Self::LyingSync,
            write: self == Self::LostWrites,
        }
    }

    /// The record that is appended in place of `record`.
    pub fn forge(self, record: &NewRecord) -> NewRecord {
        let nowhere = StreamKey::new(u64::MAX);
        let mut forged = *record;
        match (self, record.kind.get()) {
            (Self::ForgottenReceipts, RECEIPTS) | (Self::ForgottenAcks, SETTLED) => {
                forged.stream = nowhere;
            }
            (Self::ForgottenReleases, RELEASED_MESSAGE) => forged.kind = RecordKind::new(MESSAGE),
            _ => {}
        }
        forged
    }

    /// Changes what was written into a record of that kind.
    pub fn falsify(self, kind: RecordKind, payload: &mut [u8]) {
        match (self, kind.get()) {
            // The id of a held message that does not exist.
            (Self::ForgottenDrops, HELD_DROPPED) | (Self::ForgottenChanges, HELD_CHANGED) => {
                payload[..8].fill(u8::MAX);
            }
            (Self::EarlyTimers, HELD_MESSAGE) => add(&mut payload[8..16], -500),
            (Self::LateTimers, HELD_MESSAGE) => add(&mut payload[8..16], 500),
            (Self::HastyOffsets, OFFSET) => add(&mut payload[4..12], 1),
            // The last letter of its name, a digit.
            (Self::SwappedLiteTopics, LITE_TOPIC) => {
                if let Some(last) = payload.last_mut() {
                    *last ^= 1;
                }
            }
            _ => {}
        }
    }
}

/// Adds to a number of eight bytes.
fn add(bytes: &mut [u8], change: i64) {
    let before = i64::from_le_bytes((&*bytes).try_into().expect("eight bytes"));
    bytes.copy_from_slice(&(before + change).to_le_bytes());
}

/// Kinds of the broker's records (`crates/broker/src/records.rs`).
const MESSAGE: u16 = 16;
const OFFSET: u16 = 17;
const RECEIPTS: u16 = 18;
const SETTLED: u16 = 19;
const HELD_MESSAGE: u16 = 21;
const HELD_CHANGED: u16 = 22;
const RELEASED_MESSAGE: u16 = 23;
const HELD_DROPPED: u16 = 24;
const LITE_TOPIC: u16 = 25;
