//! Claims: messages that a receive has taken out of their queues and has yet to hand out.

use std::collections::{BTreeMap, VecDeque};

use base::{QueueOffset, StreamKey, limits};
use store::log::AppendError;
use wire::message::StoredMessage;

use crate::{
    Filter, Group, ReceiptHandle, ReceiveError, Received, Shard, Topic,
    index::IndexEntry,
    records::{ReceiptState, Receipts},
};

/// A message taken out of its queue for this receive.
pub(crate) struct Claim {
    pub(crate) stream: StreamKey,
    pub(crate) offset: u64,
    pub(crate) entry: IndexEntry,
    pub(crate) claim: ReceiptState,
    /// The delivery before this one, if it is not the first.
    pub(crate) before: Option<ReceiptState>,
}

/// Claimed messages on their way out. Unless they are handed out, they go back when this is
/// dropped: because a read failed, or because the client went away while its answer was being made.
pub(crate) struct Claims<'a> {
    shard: &'a Shard,
    topic: &'a Topic,
    pub(crate) group: &'a Group,
    /// That of every delivery made here. One for all: some protocols name it once per answer.
    pub(crate) nonce: u32,
    pub(crate) unread: VecDeque<Claim>,
    read: Vec<(Claim, StoredMessage)>,
    /// Retention came before the read: the next look finds the copy it kept, or that there is none.
    trimmed: Vec<Claim>,
    bytes: usize,
}

impl<'a> Claims<'a> {
    pub(crate) fn new(shard: &'a Shard, topic: &'a Topic, group: &'a Group) -> Self {
        Self {
            shard,
            topic,
            group,
            nonce: shard.nonce(),
            unread: VecDeque::new(),
            read: Vec::new(),
            trimmed: Vec::new(),
            bytes: 0,
        }
    }

    pub(crate) fn count(&self) -> usize {
        self.unread.len() + self.read.len()
    }

    /// Reads what is claimed and drops what the filter does not want after all. Says whether the
    /// answer has room for more.
    pub(crate) async fn read(&mut self, filter: &Filter) -> Result<bool, ReceiveError> {
        while let Some(first) = self.unread.front() {
            let stream = first.stream;
            let page = self.next_page(stream);
            if page.is_empty() {
                return Ok(false);
            }
            let name = self.topic.name();
            let (messages, trimmed) = self.shard.read_messages(name, stream, &page).await?;
            let mut unwanted = Vec::new();
            for message in messages {
                let claim = self
                    .unread
                    .pop_front()
                    .expect("the page is of those at the front");
                if filter.matches(message.properties_raw()) {
                    self.bytes += claim.entry.len as usize;
                    self.read.push((claim, message));
                } else {
                    unwanted.push(claim.offset);
                }
            }
            if !unwanted.is_empty() {
                let mut state = self.shard.state.lock();
                self.shard
                    .settle(&mut state, stream, self.group.id, unwanted);
            }
            if trimmed.is_some() {
                self.trimmed.extend(self.unread.pop_front());
            }
        }
        Ok(true)
    }

    /// Claims of one queue at the front of those unread, as far as the answer has room.
    fn next_page(&self, stream: StreamKey) -> Vec<(u64, IndexEntry)> {
        let mut bytes = self.bytes;
        let of_queue = self
            .unread
            .iter()
            .take_while(|claim| claim.stream == stream);
        let with_room = of_queue.take_while(|claim| {
            let size = claim.entry.len as usize;
            let has_room = bytes == 0 || bytes + size <= limits::PULL_BYTES_MAX;
            bytes += size;
            has_room
        });
        with_room.map(|claim| (claim.offset, claim.entry)).collect()
    }

    /// What was read becomes the client's; what was not goes back.
    pub(crate) fn hand_out(mut self) -> Vec<Received> {
        let received = |(claim, message): (Claim, StoredMessage)| {
            let (topic, queue) = claim.stream.queue();
            let handle = ReceiptHandle {
                shard: self.shard.id,
                topic,
                group: self.group.id,
                queue,
                offset: QueueOffset::new(claim.offset),
                attempt: claim.claim.attempt,
                nonce: claim.claim.nonce,
            };
            let ReceiptState { attempt, until, .. } = claim.claim;
            Received {
                message,
                handle,
                attempt,
                invisible_until: until,
            }
        };
        std::mem::take(&mut self.read)
            .into_iter()
            .map(received)
            .collect()
    }
}

impl Drop for Claims<'_> {
    fn drop(&mut self) {
        let read = self.read.drain(..).map(|(claim, _)| claim);
        let mut back: BTreeMap<StreamKey, Vec<Claim>> = BTreeMap::new();
        let unread = self.unread.drain(..).chain(self.trimmed.drain(..));
        for claim in read.chain(unread) {
            back.entry(claim.stream).or_default().push(claim);
        }
        if back.is_empty() {
            return;
        }
        let until = self.shard.clock.now();
        let mut state = self.shard.state.lock();
        for (stream, claims) in back {
            let Ok(consumption) = state.consumption(stream, self.group.id) else {
                continue;
            };
            let mut receipts = Vec::new();
            for Claim {
                offset,
                claim,
                before,
                ..
            } in claims
            {
                // Unless it was reset, or its time ended and somebody else has it.
                if consumption
                    .get(offset)
                    .is_some_and(|held| held.state.nonce == claim.nonce)
                {
                    // The delivery did not happen, so its attempt does not count.
                    let attempt = before.map_or(0, |before| before.attempt);
                    let receipt = ReceiptState {
                        until,
                        attempt,
                        ..claim
                    };
                    consumption.put(offset, receipt.into());
                    receipts.push((offset, receipt));
                }
            }
            let Some(next) = consumption.next() else {
                continue;
            };
            let record = Receipts {
                group: self.group.id,
                next,
                receipts,
            };
            // Without the record, a crash makes them wait out their invisible time: no harm.
            let _: Result<(), AppendError> = self.shard.append_receipts(stream, &record);
            state.wake_group(stream, self.group.id);
        }
    }
}
