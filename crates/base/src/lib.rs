//! The words that every other crate speaks: names and ids, limits, error kinds, time and chance.
//!
//! Holds no input or output, no tasks, and nothing that only one or two crates need.

mod clock;
mod error_kind;
mod ids;
pub mod limits;
mod names;
mod random;
pub mod stdx;

pub use clock::{Clock, Sleep, Timestamp};
pub use error_kind::ErrorKind;
pub use ids::{
    GroupId, LogPosition, PhysicalOffset, QueueId, QueueOffset, ShardId, StreamKey, TopicId,
};
pub use names::{GroupName, InstanceId, LiteTopicName, NameError, TopicName};
pub use random::{Random, SeededRandom};
