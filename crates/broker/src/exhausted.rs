//! Exhausted: messages without an attempt left, which a receive takes to the dead letters.

use std::collections::VecDeque;

use base::StreamKey;

use crate::{Group, ReceiveError, Shard, Topic, records::ReceiptState};

/// Messages on their way to the dead letters. They are held meanwhile, so that nobody else takes
/// them. Those that were not tried when this is dropped, because another failed or because the
/// client went away, are due again at once: else what they hold back would wait as long as they.
pub(crate) struct Exhausted<'a> {
    shard: &'a Shard,
    group: &'a Group,
    stream: StreamKey,
    /// Offsets, with the nonces by which they are held.
    left: VecDeque<(u64, u32)>,
}

impl<'a> Exhausted<'a> {
    pub(crate) fn new(shard: &'a Shard, group: &'a Group, stream: StreamKey) -> Self {
        Self {
            shard,
            group,
            stream,
            left: VecDeque::new(),
        }
    }

    pub(crate) fn push(&mut self, offset: u64, nonce: u32) {
        self.left.push_back((offset, nonce));
    }

    pub(crate) fn is_empty(&self) -> bool {
        self.left.is_empty()
    }

    /// Buries one after the other. One that cannot be buried stays held: it is tried again, but
    /// not at once.
    pub(crate) async fn bury_all(mut self, topic: &Topic) -> Result<(), ReceiveError> {
        while let Some(exhausted) = self.left.front().copied() {
            let buried = self
                .shard
                .bury(topic, self.group, self.stream, exhausted)
                .await;
            self.left.pop_front();
            buried?;
        }
        Ok(())
    }
}

impl Drop for Exhausted<'_> {
    fn drop(&mut self) {
        if self.left.is_empty() {
            return;
        }
        let until = self.shard.clock.now();
        let mut state = self.shard.state.lock();
        let Ok(consumption) = state.consumption(self.stream, self.group.id) else {
            return;
        };
        for (offset, nonce) in self.left.drain(..) {
            // Unless it was settled, or somebody else has it.
            let held = consumption.get(offset).map(|held| held.state);
            if let Some(held) = held.filter(|held| held.nonce == nonce) {
                consumption.put(offset, ReceiptState { until, ..held }.into());
            }
        }
        state.wake_group(self.stream, self.group.id);
    }
}
