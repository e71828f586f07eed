//! New receipts: those that no checkpoint has written. Most are settled before the next one begins,
//! and then the KV need not hear of them: neither that they were there nor that they are gone.
//!
//! All receipts of a group on a queue lie before the offset that it is handed next. So what lies
//! behind that offset as of the first hand-out after a checkpoint has begun is in no checkpoint.

use base::{GroupId, StreamKey};
use store::kv::KvError;

use crate::{
    lite_topic::is_lite,
    state::{IdMap, State},
};

/// Where the new receipts begin.
#[derive(Debug, Default)]
pub(crate) struct NewReceipts {
    /// By queue and group, from the first hand-out on; `None` if nobody can tell, because the
    /// group was sent elsewhere.
    from: IdMap<(StreamKey, GroupId), Option<u64>>,
    /// Whether what a failed checkpoint was to write is among what the next one is to write.
    is_mixed: bool,
}

impl NewReceipts {
    /// The first offset whose receipts are new.
    pub(crate) fn from(&self, stream: StreamKey, group: GroupId) -> Option<u64> {
        let from = self.from.get(&(stream, group)).copied().flatten();
        from.filter(|_| !self.is_mixed)
    }

    /// A checkpoint has taken all that there were.
    pub(crate) fn checkpoint_begins(&mut self) {
        *self = Self::default();
    }

    /// The changes that a checkpoint has taken are among those to come again, so that a receipt
    /// that is changed now may be one that was removed before, and that the KV still has.
    pub(crate) fn checkpoint_failed(&mut self) {
        self.is_mixed = true;
    }
}

impl State {
    /// Receipts of a group are applied; called before its next offset counts.
    pub(crate) fn note_hand_out(
        &mut self,
        stream: StreamKey,
        group: GroupId,
    ) -> Result<(), KvError> {
        // The receipts of a LiteTopic that has ended go with a sweep, whatever its offset was.
        if !is_lite(stream) && !self.new_receipts.from.contains_key(&(stream, group)) {
            let next = self.recorded_next(stream, group)?.unwrap_or(0);
            self.new_receipts.from.insert((stream, group), Some(next));
        }
        Ok(())
    }

    /// It is applied that a group was sent to an offset: maybe back, to where the KV still has
    /// receipts that are to be removed.
    pub(crate) fn note_jump(&mut self, stream: StreamKey, group: GroupId) {
        if !is_lite(stream) {
            self.new_receipts.from.insert((stream, group), None);
        }
    }
}
