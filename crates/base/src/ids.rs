//! Numbers that must not be swapped for one another, each in a type of its own.

use std::fmt;

use crate::limits;

macro_rules! id {
    ($(#[$meta:meta])* $name:ident($inner:ty)) => {
        $(#[$meta])*
        #[derive(Clone, Copy, Debug, Default, PartialEq, Eq, PartialOrd, Ord, Hash)]
        pub struct $name($inner);

        impl $name {
            /// Wraps the number.
            pub const fn new(value: $inner) -> Self {
                Self(value)
            }

            /// The number itself.
            pub const fn get(self) -> $inner {
                self.0
            }
        }

        impl fmt::Display for $name {
            fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
                self.0.fmt(f)
            }
        }
    };
}

id! {
    /// Number of a queue within its topic and shard, from 0.
    QueueId(u32)
}
id! {
    /// Number of a message within its queue, from 0 and without gaps.
    QueueOffset(u64)
}
id! {
    /// A shard: the unit of order, ownership and recovery. Clients see it as a broker name.
    ShardId(u16)
}
id! {
    /// One life of a topic: a topic deleted and created again has a new id. Never reused.
    TopicId(u32)
}
id! {
    /// One life of a group: a group deleted and created again has a new id. Never reused.
    GroupId(u32)
}
id! {
    /// What the log may cluster records by, and never interprets.
    StreamKey(u64)
}
id! {
    /// Byte position in the log of one shard. Below 2^48, see [`PhysicalOffset`].
    LogPosition(u64)
}

impl QueueOffset {
    /// The offset `count` messages further on.
    pub const fn plus(self, count: u64) -> Self {
        Self(self.0.saturating_add(count))
    }
}

impl LogPosition {
    /// The position `bytes` further on.
    pub const fn plus(self, bytes: u64) -> Self {
        Self(self.0 + bytes)
    }
}

impl StreamKey {
    /// The stream of one queue of one topic.
    pub const fn of_queue(topic: TopicId, queue: QueueId) -> Self {
        Self(((topic.get() as u64) << 32) | queue.get() as u64)
    }

    /// The queue whose stream this is; the inverse of [`StreamKey::of_queue`].
    pub const fn queue(self) -> (TopicId, QueueId) {
        (
            TopicId::new((self.0 >> 32) as u32),
            QueueId::new(self.0 as u32),
        )
    }
}

/// The 64-bit offset that RocketMQ messages and message ids carry: the shard in the high 16 bits,
/// the log position in the low 48, so that any node finds the shard of an id.
#[derive(Clone, Copy, Debug, PartialEq, Eq, PartialOrd, Ord, Hash)]
pub struct PhysicalOffset(u64);

impl PhysicalOffset {
    /// Joins shard and position. The position must be below 2^48, which the log ensures.
    pub fn new(shard: ShardId, position: LogPosition) -> Self {
        assert!(
            position.get() <= limits::LOG_POSITION_MAX,
            "log position {position} exceeds 48 bits"
        );
        Self((u64::from(shard.get()) << 48) | position.get())
    }

    /// Reads the 64 bits as RocketMQ's wire carries them.
    pub const fn from_wire(bits: i64) -> Self {
        Self(bits.cast_unsigned())
    }

    /// The 64 bits as RocketMQ's wire carries them.
    pub const fn wire(self) -> i64 {
        self.0.cast_signed()
    }

    /// The shard that holds the record.
    pub const fn shard(self) -> ShardId {
        ShardId::new((self.0 >> 48) as u16)
    }

    /// Where in that shard's log the record is.
    pub const fn position(self) -> LogPosition {
        LogPosition::new(self.0 & limits::LOG_POSITION_MAX)
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_physical_offset_splits_into_its_parts() {
        let offset = PhysicalOffset::new(ShardId::new(0xfffe), LogPosition::new(0x1234_5678_9abc));
        let offset = PhysicalOffset::from_wire(offset.wire());
        assert_eq!(offset.shard(), ShardId::new(0xfffe));
        assert_eq!(offset.position(), LogPosition::new(0x1234_5678_9abc));
    }

    #[test]
    fn a_stream_key_names_its_queue() {
        let key = StreamKey::of_queue(TopicId::new(7), QueueId::new(u32::MAX));
        assert_eq!(key.queue(), (TopicId::new(7), QueueId::new(u32::MAX)));
    }
}
