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

/// Digits by hand: every message that is received carries a handle, and the usual formatting would
/// be a tenth of what it costs to hand it out.
impl fmt::Display for ReceiptHandle {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        let numbers = [
            u64::from(self.shard.get()),
            self.topic.get().into(),
            self.group.get().into(),
            self.queue.get().into(),
            self.offset.get(),
            self.attempt.into(),
            self.nonce.into(),
        ];
        // Form, and for each number a point and up to 16 digits; written from the end.
        let mut text = [0; 1 + 7 * 17];
        let mut start = text.len();
        for number in numbers.into_iter().rev() {
            let mut left = number;
            loop {
                start -= 1;
                text[start] = b"0123456789abcdef"[(left & 0xf) as usize];
                left >>= 4;
                if left == 0 {
                    break;
                }
            }
            start -= 1;
            text[start] = b'.';
        }
        start -= 1;
        text[start] = b'1';
        f.write_str(str::from_utf8(&text[start..]).map_err(|_| fmt::Error)?)
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
        let text = "1.1.ffffffff.3.4.ffffffffffffffff.6.7";
        assert_eq!(handle.to_string(), text);
        assert_eq!(text.parse(), Ok(handle));
        let most = ReceiptHandle {
            shard: ShardId::new(u16::MAX),
            group: GroupId::new(u32::MAX),
            queue: QueueId::new(u32::MAX),
            attempt: u32::MAX,
            nonce: 0,
            ..handle
        };
        assert_eq!(most.to_string().parse(), Ok(most));
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
