//! Apply: what a durable record means. The only place that turns records into state; it runs when
//! the log reports them durable, and again, on the same records, after a restart.

use base::{GroupId, LogPosition, PhysicalOffset, StreamKey, stdx::java_string_hash};
use bytes::Bytes;
use store::{
    kv::KvError,
    log::{DurableObserver, Record, RecordKind},
};
use wire::message::{IndexedProperties, MessageError, MessageView};

use crate::{
    Shard,
    held::{Held, HeldPlace},
    index::IndexEntry,
    key_index::{self, KeyEntry},
    keys,
    message_group::MessageGroupHash,
    records::{self, HeldHead, MalformedRecord, Offset, Receipts, Settled},
    state::State,
};

/// Why a record could not be applied.
#[derive(Debug, thiserror::Error)]
pub enum ApplyError {
    /// Its payload has not the form of its kind.
    #[error(transparent)]
    Malformed(#[from] MalformedRecord),
    /// Its payload should be a message and is none.
    #[error("record holds no message")]
    Message(#[from] MessageError),
    /// A release that knows more wrote it.
    #[error("record of unknown kind {kind}: the log was written by a newer release")]
    UnknownKind {
        /// The kind.
        kind: u16,
    },
    /// A message does not follow the one before it in its queue.
    #[error("message has queue offset {found}, the queue is at {expected}")]
    OutOfOrder {
        /// Offset in the message.
        found: u64,
        /// Offset that had to come.
        expected: u64,
    },
    /// The KV failed.
    #[error(transparent)]
    State(#[from] KvError),
}

impl State {
    /// Makes the effects of a durable record visible and notes them for the next checkpoint.
    pub(crate) fn apply(&mut self, record: &Record) -> Result<(), ApplyError> {
        match record.kind {
            records::MESSAGE => self.apply_message(record)?,
            records::RELEASED_MESSAGE => {
                let message = MessageView::parse(&record.payload)?;
                let id = PhysicalOffset::from_wire(message.prepared_transaction_offset());
                self.remove_held(id.position())?;
                self.apply_message(record)?;
            }
            records::HELD_MESSAGE => self.apply_held(record)?,
            records::HELD_CHANGED => {
                let mut rest = &record.payload[..];
                let head = HeldHead::decode(&mut rest).ok_or_else(|| malformed(record))?;
                let id = head.id.ok_or_else(|| malformed(record))?;
                self.change_held(id, head)?;
            }
            records::HELD_DROPPED => {
                let id = records::take_u64(&mut &record.payload[..]);
                let id = id.ok_or_else(|| malformed(record))?;
                self.remove_held(LogPosition::new(id))?;
            }
            records::KEPT_MESSAGE => self.apply_kept_message(record)?,
            records::OFFSET => {
                let offset = Offset::decode(&record.payload).ok_or_else(|| malformed(record))?;
                self.note_next(record.stream, offset.group, offset.next)?;
                self.note_jump(record.stream, offset.group);
                if offset.clears {
                    self.forget_receipts(record.stream, offset.group)?;
                }
            }
            records::RECEIPTS => {
                let receipts =
                    Receipts::decode(&record.payload).ok_or_else(|| malformed(record))?;
                self.note_hand_out(record.stream, receipts.group)?;
                self.note_next(record.stream, receipts.group, receipts.next)?;
                for (offset, state) in receipts.receipts {
                    let mut value = Vec::with_capacity(records::ReceiptState::BYTES);
                    state.encode(&mut value);
                    let key = keys::receipt(record.stream, receipts.group, offset);
                    self.pending.insert(key, Some(value.into()));
                }
            }
            records::SETTLED => {
                let settled = Settled::decode(&record.payload).ok_or_else(|| malformed(record))?;
                let new_from = self.new_receipts.from(record.stream, settled.group);
                for offset in settled.offsets {
                    let key = keys::receipt(record.stream, settled.group, offset);
                    if new_from.is_some_and(|from| offset >= from) {
                        self.pending.remove(&key);
                    } else {
                        self.pending.insert(key, None);
                    }
                }
            }
            records::LITE_TOPIC => self.apply_lite_topic(record)?,
            records::LITE_TOPIC_DROPPED => self.apply_lite_topic_dropped(record)?,
            other => return Err(ApplyError::UnknownKind { kind: other.get() }),
        }
        self.applied = record.position.plus(record.len as u64);
        Ok(())
    }

    fn apply_message(&mut self, record: &Record) -> Result<(), ApplyError> {
        let message = MessageView::parse(&record.payload)?;
        let found = message.queue_offset().cast_unsigned();
        let (topic, _) = record.stream.queue();
        let indexed = message.indexed();
        let entry = entry_of(record, &message, &indexed);
        let stored = entry.stored;
        let queue = self.queue(record.stream)?;
        let expected = queue.tail.end();
        if found != expected {
            return Err(ApplyError::OutOfOrder { found, expected });
        }
        queue.tail.push(entry);
        queue.next = queue.next.max(found + 1);
        queue.arrivals.notify_waiters();
        self.tail_entries += 1;
        self.dirty.insert(record.stream);
        let position = record.position;
        for key in indexed.keys().chain(indexed.unique_key) {
            self.key_entries
                .push(KeyEntry::new(key_index::hash(topic, key), position));
        }
        self.count_in_trend((topic, None), stored, 1);
        self.lag_of_message(record.stream)?;
        self.wake_receivers(record.stream);
        Ok(())
    }

    fn apply_held(&mut self, record: &Record) -> Result<(), ApplyError> {
        let mut message = &record.payload[..];
        let head = HeldHead::decode(&mut message).ok_or_else(|| malformed(record))?;
        MessageView::parse(message)?;
        let place = HeldPlace {
            stream: record.stream,
            position: record.position,
            len: record.len as u32,
        };
        match head.id {
            None => self.put_held(record.position, Held::new(place, head))?,
            Some(id) => self.move_held(id, place)?,
        }
        Ok(())
    }

    fn apply_kept_message(&mut self, record: &Record) -> Result<(), ApplyError> {
        let message = MessageView::parse(&record.payload)?;
        let offset = message.queue_offset().cast_unsigned();
        let mut value = Vec::with_capacity(IndexEntry::BYTES);
        entry_of(record, &message, &message.indexed()).encode(&mut value);
        self.pending
            .insert(keys::kept(record.stream, offset), Some(value.into()));
        Ok(())
    }

    fn note_next(&mut self, stream: StreamKey, group: GroupId, next: u64) -> Result<(), KvError> {
        self.lag_of_next(stream, group, next)?;
        let value = Bytes::copy_from_slice(&next.to_le_bytes());
        self.pending
            .insert(keys::consumption(stream, group), Some(value));
        if let Some(consumption) = self.consumptions.get_mut(&(stream, group)) {
            consumption.recorded = Some(next);
        }
        Ok(())
    }

    fn forget_receipts(&mut self, stream: StreamKey, group: GroupId) -> Result<(), KvError> {
        let from = keys::receipt(stream, group, 0);
        let to = crate::state::next_key(&keys::receipt(stream, group, u64::MAX));
        for (key, _) in self.range(&from, &to, usize::MAX)? {
            self.pending.insert(key, None);
        }
        Ok(())
    }
}

fn entry_of(
    record: &Record,
    message: &MessageView<'_>,
    indexed: &IndexedProperties<'_>,
) -> IndexEntry {
    IndexEntry {
        position: record.position,
        len: record.len as u32,
        tag_hash: indexed.tags.map_or(0, java_string_hash),
        stored: base::Timestamp::from_ms(message.store_timestamp()),
        message_group: MessageGroupHash::of(indexed.message_group),
    }
}

pub(crate) fn malformed(record: &Record) -> MalformedRecord {
    MalformedRecord {
        kind: RecordKind::get(record.kind),
        len: record.payload.len(),
    }
}

impl DurableObserver for Shard {
    fn on_durable(&self, records: &[Record], end: LogPosition) {
        let mut state = self.state.lock();
        for record in records {
            if let Err(error) = state.apply(record) {
                // This process wrote the record a moment ago; going on would serve a state that no
                // restart could rebuild.
                panic!(
                    "shard {} cannot apply its own record at log position {}: {error}",
                    self.id, record.position
                );
            }
        }
        state.applied = end;
    }
}
