//! What the broker writes into the log: one record kind for each thing that must survive.
//!
//! Numbers are little endian. The stream of every record is the queue it is about
//! ([`base::StreamKey::of_queue`]).
//!
//! | kind | payload |
//! | --- | --- |
//! | 16 message | RocketMQ's stored message, its queue offset and physical offset set |
//! | 17 offset | group u32, next u64, clears u8: the group wants the message `next` next; 1 = drop what is in flight |
//! | 18 receipts | group u32, next u64, count u32, then per receipt: offset u64, and 16 bytes: until 48 bits ms, message group 16 bits, attempt u16, message group u16, nonce u32 |
//! | 19 settled | group u32, count u32, then offsets u64: done for the group |
//! | 20 kept message | as 16: a message still owed, appended again before its segment goes |
//! | 21 held message | id u64, due i64 ms, checks u32, kind u8, then as 16 without a queue offset: it waits outside its queue; id 0 = its own position, another = a copy of that one, as 20 |
//! | 22 held changed | id u64, due i64 ms, checks u32, kind u8: when a held message is looked at next |
//! | 23 released message | as 16; its prepared-transaction offset is the id of the held message whose place it takes |
//! | 24 held dropped | id u64: a held message will never be seen |
//! | 25 LiteTopic | created i64 ms, name: the queue is that of a new LiteTopic |
//! | 26 LiteTopic dropped | nothing: the LiteTopic of the queue is no more, nor are its messages |

use base::{GroupId, LogPosition, Timestamp};
use store::log::RecordKind;

use crate::message_group::MessageGroupHash;

pub(crate) const MESSAGE: RecordKind = RecordKind::new(16);
pub(crate) const OFFSET: RecordKind = RecordKind::new(17);
pub(crate) const RECEIPTS: RecordKind = RecordKind::new(18);
pub(crate) const SETTLED: RecordKind = RecordKind::new(19);
pub(crate) const KEPT_MESSAGE: RecordKind = RecordKind::new(20);
pub(crate) const HELD_MESSAGE: RecordKind = RecordKind::new(21);
pub(crate) const HELD_CHANGED: RecordKind = RecordKind::new(22);
pub(crate) const RELEASED_MESSAGE: RecordKind = RecordKind::new(23);
pub(crate) const HELD_DROPPED: RecordKind = RecordKind::new(24);
pub(crate) const LITE_TOPIC: RecordKind = RecordKind::new(25);
pub(crate) const LITE_TOPIC_DROPPED: RecordKind = RecordKind::new(26);

/// A payload does not have the form that its kind says. The checksum was right, so a release wrote
/// it that this one cannot read, or the disk lies.
#[derive(Clone, Debug, PartialEq, Eq, thiserror::Error)]
#[error("record of kind {kind} has a malformed payload of {len} bytes")]
pub struct MalformedRecord {
    /// The kind.
    pub kind: u16,
    /// Size of the payload.
    pub len: usize,
}

/// State of one delivery, as record and KV hold it.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) struct ReceiptState {
    pub(crate) until: Timestamp,
    /// 0 for a message that was passed over, or taken and not handed out: nobody has seen it.
    pub(crate) attempt: u32,
    pub(crate) nonce: u32,
    pub(crate) message_group: MessageGroupHash,
}

impl ReceiptState {
    pub(crate) const BYTES: usize = 16;

    /// A message that has to wait for earlier ones of its message group.
    pub(crate) const fn parked(message_group: MessageGroupHash) -> Self {
        Self {
            until: Timestamp::from_ms(0),
            attempt: 0,
            nonce: 0,
            message_group,
        }
    }

    pub(crate) fn encode(self, out: &mut Vec<u8>) {
        let [low, high] = self.message_group.halves();
        // More attempts than any group allows.
        let attempt = u16::try_from(self.attempt).unwrap_or(u16::MAX);
        out.extend_from_slice(&pack_48(unsigned_ms(self.until), low).to_le_bytes());
        out.extend_from_slice(&attempt.to_le_bytes());
        out.extend_from_slice(&high.to_le_bytes());
        out.extend_from_slice(&self.nonce.to_le_bytes());
    }

    pub(crate) fn decode(mut bytes: &[u8]) -> Option<Self> {
        let (until, low) = unpack_48(take_u64(&mut bytes)?);
        let attempt = take(&mut bytes).map(u16::from_le_bytes)?;
        let high = take(&mut bytes).map(u16::from_le_bytes)?;
        let nonce = take_u32(&mut bytes)?;
        bytes.is_empty().then_some(Self {
            until: Timestamp::from_ms(until.cast_signed()),
            attempt: attempt.into(),
            nonce,
            message_group: MessageGroupHash::from_halves([low, high]),
        })
    }
}

/// Times before 1970 become 1970.
pub(crate) fn unsigned_ms(time: Timestamp) -> u64 {
    u64::try_from(time.ms()).unwrap_or(0)
}

const LOW_48: u64 = (1 << 48) - 1;

/// A number of 48 bits, below another of 16. Numbers beyond become the largest.
pub(crate) fn pack_48(low: u64, high: u16) -> u64 {
    low.min(LOW_48) | u64::from(high) << 48
}

/// The two numbers of [`pack_48`].
pub(crate) fn unpack_48(packed: u64) -> (u64, u16) {
    (packed & LOW_48, (packed >> 48) as u16)
}

fn take<const N: usize>(bytes: &mut &[u8]) -> Option<[u8; N]> {
    let (head, rest) = bytes.split_first_chunk::<N>()?;
    *bytes = rest;
    Some(*head)
}

pub(crate) fn take_u32(bytes: &mut &[u8]) -> Option<u32> {
    take(bytes).map(u32::from_le_bytes)
}

pub(crate) fn take_u64(bytes: &mut &[u8]) -> Option<u64> {
    take(bytes).map(u64::from_le_bytes)
}

/// Record 17.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) struct Offset {
    pub(crate) group: GroupId,
    pub(crate) next: u64,
    pub(crate) clears: bool,
}

impl Offset {
    pub(crate) const BYTES: usize = 13;

    pub(crate) fn encode(self, out: &mut Vec<u8>) {
        out.extend_from_slice(&self.group.get().to_le_bytes());
        out.extend_from_slice(&self.next.to_le_bytes());
        out.push(u8::from(self.clears));
    }

    pub(crate) fn decode(mut bytes: &[u8]) -> Option<Self> {
        let group = GroupId::new(take_u32(&mut bytes)?);
        let next = take_u64(&mut bytes)?;
        match bytes {
            [clears @ (0 | 1)] => Some(Self {
                group,
                next,
                clears: *clears == 1,
            }),
            _ => None,
        }
    }
}

/// Record 18.
#[derive(Clone, Debug, PartialEq, Eq)]
pub(crate) struct Receipts {
    pub(crate) group: GroupId,
    pub(crate) next: u64,
    pub(crate) receipts: Vec<(u64, ReceiptState)>,
}

impl Receipts {
    pub(crate) fn encoded_len(&self) -> usize {
        16 + self.receipts.len() * (8 + ReceiptState::BYTES)
    }

    pub(crate) fn encode(&self, out: &mut Vec<u8>) {
        out.extend_from_slice(&self.group.get().to_le_bytes());
        out.extend_from_slice(&self.next.to_le_bytes());
        out.extend_from_slice(&(self.receipts.len() as u32).to_le_bytes());
        for (offset, state) in &self.receipts {
            out.extend_from_slice(&offset.to_le_bytes());
            state.encode(out);
        }
    }

    pub(crate) fn decode(mut bytes: &[u8]) -> Option<Self> {
        let group = GroupId::new(take_u32(&mut bytes)?);
        let next = take_u64(&mut bytes)?;
        let count = take_u32(&mut bytes)? as usize;
        if bytes.len() != count.checked_mul(8 + ReceiptState::BYTES)? {
            return None;
        }
        let receipts = bytes
            .chunks_exact(8 + ReceiptState::BYTES)
            .map(|mut chunk| Some((take_u64(&mut chunk)?, ReceiptState::decode(chunk)?)))
            .collect::<Option<_>>()?;
        Some(Self {
            group,
            next,
            receipts,
        })
    }
}

/// Record 19.
#[derive(Clone, Debug, PartialEq, Eq)]
pub(crate) struct Settled {
    pub(crate) group: GroupId,
    pub(crate) offsets: Vec<u64>,
}

impl Settled {
    pub(crate) fn encoded_len(&self) -> usize {
        8 + self.offsets.len() * 8
    }

    pub(crate) fn encode(&self, out: &mut Vec<u8>) {
        out.extend_from_slice(&self.group.get().to_le_bytes());
        out.extend_from_slice(&(self.offsets.len() as u32).to_le_bytes());
        for offset in &self.offsets {
            out.extend_from_slice(&offset.to_le_bytes());
        }
    }

    pub(crate) fn decode(mut bytes: &[u8]) -> Option<Self> {
        let group = GroupId::new(take_u32(&mut bytes)?);
        let count = take_u32(&mut bytes)? as usize;
        if bytes.len() != count.checked_mul(8)? {
            return None;
        }
        let offsets = bytes
            .chunks_exact(8)
            .map(|mut chunk| take_u64(&mut chunk))
            .collect::<Option<_>>()?;
        Some(Self { group, offsets })
    }
}

/// What a held message waits for.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) enum HeldKind {
    /// Its due time.
    Timed,
    /// The end of its transaction; the due time is that of the next check.
    Half,
}

/// Head of record 21, and record 22.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) struct HeldHead {
    /// Where the message was first stored; `None` if that is here.
    pub(crate) id: Option<LogPosition>,
    pub(crate) due: Timestamp,
    /// Transaction checks so far.
    pub(crate) checks: u32,
    pub(crate) kind: HeldKind,
}

impl HeldHead {
    pub(crate) const BYTES: usize = 21;

    /// Of a new timed message.
    pub(crate) const fn timed(due: Timestamp) -> Self {
        Self {
            id: None,
            due,
            checks: 0,
            kind: HeldKind::Timed,
        }
    }

    /// Of a new half message that is asked about at `due`.
    pub(crate) const fn half(due: Timestamp) -> Self {
        Self {
            kind: HeldKind::Half,
            ..Self::timed(due)
        }
    }

    pub(crate) fn encode(self, out: &mut Vec<u8>) {
        let id = self.id.unwrap_or_default().get();
        out.extend_from_slice(&id.to_le_bytes());
        out.extend_from_slice(&self.due.ms().to_le_bytes());
        out.extend_from_slice(&self.checks.to_le_bytes());
        out.push(self.kind.code());
    }

    /// The head, leaving what follows it in `bytes`.
    pub(crate) fn decode(bytes: &mut &[u8]) -> Option<Self> {
        let id = take_u64(bytes)?;
        let due = Timestamp::from_ms(take_u64(bytes)?.cast_signed());
        let checks = take_u32(bytes)?;
        let [kind] = take(bytes)?;
        Some(Self {
            id: (id != 0).then_some(LogPosition::new(id)),
            due,
            checks,
            kind: HeldKind::from_code(kind)?,
        })
    }
}

impl HeldKind {
    pub(crate) const fn code(self) -> u8 {
        match self {
            Self::Timed => 1,
            Self::Half => 2,
        }
    }

    pub(crate) const fn from_code(code: u8) -> Option<Self> {
        match code {
            1 => Some(Self::Timed),
            2 => Some(Self::Half),
            _ => None,
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn records_read_back_and_garbage_is_refused() {
        let state = ReceiptState {
            until: Timestamp::from_ms(1_800_000_000_123),
            attempt: 2,
            nonce: 3,
            message_group: MessageGroupHash::of(Some("orders")),
        };
        let receipts = Receipts {
            group: GroupId::new(1),
            next: 9,
            receipts: vec![(7, state), (8, state)],
        };
        let settled = Settled {
            group: GroupId::new(1),
            offsets: vec![7, u64::MAX],
        };
        let offset = Offset {
            group: GroupId::new(4),
            next: 5,
            clears: true,
        };
        let mut bytes = Vec::new();
        receipts.encode(&mut bytes);
        assert_eq!(bytes.len(), receipts.encoded_len());
        assert_eq!(Receipts::decode(&bytes), Some(receipts));
        assert_eq!(Receipts::decode(&bytes[..bytes.len() - 1]), None);
        bytes.clear();
        settled.encode(&mut bytes);
        assert_eq!(bytes.len(), settled.encoded_len());
        assert_eq!(Settled::decode(&bytes), Some(settled));
        assert_eq!(Settled::decode(&[0xff; 8]), None);
        bytes.clear();
        offset.encode(&mut bytes);
        assert_eq!(bytes.len(), Offset::BYTES);
        assert_eq!(Offset::decode(&bytes), Some(offset));
        assert_eq!(Offset::decode(&bytes[1..]), None);
        let head = HeldHead {
            id: None,
            due: Timestamp::from_ms(12),
            checks: 3,
            kind: HeldKind::Half,
        };
        bytes.clear();
        head.encode(&mut bytes);
        assert_eq!(bytes.len(), HeldHead::BYTES);
        assert_eq!(HeldHead::decode(&mut &bytes[..]), Some(head));
        assert_eq!(HeldHead::decode(&mut &[0xff; 21][..]), None);
    }
}
