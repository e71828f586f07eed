//! Receipt handles: what a client shows to settle a message that it received.

use std::{fmt, str::FromStr};

use base::{GroupId, QueueId, QueueOffset, ShardId, TopicId};

/// Names one delivery of one message to one group. Opaque text to clients.
///
/// The text is `1.` (form) and seven lower-case hexadecimal numbers joined by `.`: shard, topic id,
/// group id, queue, offset, attempt, nonce.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Hash)]
pub struct ReceiptHandle {
    /// Shard that holds the message.
    pub shard: ShardId,
    /// Topic, in this life.
    pub topic: TopicId,
    /// Group, in this life.
    pub group: GroupId,
    /// Queue.
    pub queue: QueueId,
    /// Message.
    pub offset: QueueOffset,
    /// Delivery attempt, from 1.
    pub attempt: u32,
    /// Tells this delivery from any other of the message.
    pub nonce: u32,
}

/// A text is no receipt handle.
#[derive(Clone, Debug, PartialEq, Eq, thiserror::Error)]
#[error("receipt handle `{start}` is malformed, expected one that a receive returned")]
pub struct ReceiptHandleError {
    /// First characters of the text.
    pub start: String,
}

impl fmt::Display for ReceiptHandle {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(
            f,
            "1.{:x}.{:x}.{:x}.{:x}.{:x}.{:x}.{:x}",
            self.shard.get(),
            self.topic.get(),
            self.group.get(),
            self.queue.get(),
            self.offset.get(),
            self.attempt,
            self.nonce
        )
    }
}

impl FromStr for ReceiptHandle {
    type Err = ReceiptHandleError;

    fn from_str(text: &str) -> Result<Self, ReceiptHandleError> {
        let parse = || -> Option<Self> {
            let mut parts = text.strip_prefix("1.")?.split('.');
            let mut next = || u64::from_str_radix(parts.next()?, 16).ok();
            let handle = Self {
                shard: ShardId::new(next()?.try_into().ok()?),
                topic: TopicId::new(next()?.try_into().ok()?),
                group: GroupId::new(next()?.try_into().ok()?),
                queue: QueueId::new(next()?.try_into().ok()?),
                offset: QueueOffset::new(next()?),
                attempt: next()?.try_into().ok()?,
                nonce: next()?.try_into().ok()?,
            };
            parts.next().is_none().then_some(handle)
        };
        parse().ok_or_else(|| ReceiptHandleError {
            start: text.chars().take(64).collect(),
        })
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_handle_reads_back_and_garbage_is_refused() {
        let handle = ReceiptHandle {
            shard: ShardId::new(1),
            topic: TopicId::new(u32::MAX),
            group: GroupId::new(3),
            queue: QueueId::new(4),
            offset: QueueOffset::new(u64::MAX),
            attempt: 6,
            nonce: 7,
        };
        assert_eq!(handle.to_string().parse(), Ok(handle));
        for bad in [
            "",
            "1.",
            "2.1.1.1.1.1.1.1",
            "1.1.1.1.1.1.1.1.1",
            "1.x.1.1.1.1.1.1",
            "\u{1F600}",
        ] {
            assert!(bad.parse::<ReceiptHandle>().is_err(), "{bad}");
        }
    }
}
