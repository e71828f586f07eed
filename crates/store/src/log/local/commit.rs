//! Making records durable, in phases that a simulator can take one at a time and crash between.
//!
//! One commit is under way at a time, and one commit stays within one segment. So when a record of
//! a commit exists on disk, everything before that commit is durable, which is what recovery builds
//! on.

use std::sync::{Arc, atomic::Ordering};

use base::LogPosition;
use bytes::Bytes;
use futures::{FutureExt as _, future::BoxFuture};
use tokio::sync::oneshot;

use super::{
    LocalLog,
    append::{Chunk, DurableWait, Poison},
    recent::records_in,
};
use crate::log::{AppendError, Record, Urgency};

/// A chunk of records on its way to disk. Its phases are to be called in order: [`Commit::write`],
/// [`Commit::sync`], [`Commit::finish`]. One that is dropped before its end poisons the log, as
/// nobody knows what the disk has of it.
pub struct Commit {
    log: Arc<LocalLog>,
    chunk: Option<Chunk>,
    phase: Phase,
}

#[derive(Clone, Copy, Debug, PartialEq, Eq)]
enum Phase {
    Begun,
    Written,
    Synced,
    /// Finished, or failed and told.
    Over,
}

/// Those who wait for what has become durable. They are told when this is dropped.
pub struct Told {
    durable_waits: Vec<DurableWait>,
    writable_waits: Vec<oneshot::Sender<()>>,
}

impl Told {
    /// Whether nobody waits.
    pub(super) fn is_empty(&self) -> bool {
        self.durable_waits.is_empty() && self.writable_waits.is_empty()
    }
}

impl Drop for Told {
    fn drop(&mut self) {
        for wait in self.durable_waits.drain(..) {
            // Who stopped waiting needs no answer; so below.
            let _ = wait.tell.send(Ok(()));
        }
        for tell in self.writable_waits.drain(..) {
            let _ = tell.send(());
        }
    }
}

impl LocalLog {
    /// Takes the oldest chunk of records that wait for the disk. `None` if there is none, if
    /// another commit is under way, or if the log is poisoned.
    pub fn begin_commit(self: &Arc<Self>) -> Option<Commit> {
        let mut state = self.state.lock();
        if state.committing || state.poison.is_some() {
            return None;
        }
        let chunk = state.pending.pop_front()?;
        state.committing = true;
        state.chunk_capacity = Self::chunk_capacity_after(chunk.bytes.len());
        Some(Commit {
            log: Arc::clone(self),
            chunk: Some(chunk),
            phase: Phase::Begun,
        })
    }

    /// How many chunks wait for a commit. More than one if a segment ended among them or very much
    /// waits.
    pub fn pending_chunks(&self) -> usize {
        self.state.lock().pending.len()
    }

    pub(super) fn wait_durable(
        &self,
        end: LogPosition,
    ) -> BoxFuture<'static, Result<(), AppendError>> {
        let end = end.get();
        if self.observed_end.load(Ordering::Acquire) >= end {
            return futures::future::ready(Ok(())).boxed();
        }
        let mut state = self.state.lock();
        if let Some(poison) = &state.poison {
            return futures::future::ready(Err(self.poisoned(poison))).boxed();
        }
        // Again, now that no commit can end in between.
        if self.observed_end.load(Ordering::Acquire) >= end {
            return futures::future::ready(Ok(())).boxed();
        }
        // What somebody waits for is urgent, even if it was not when it was appended.
        let mut riding = false;
        for chunk in state.pending.iter_mut().filter(|chunk| chunk.start < end) {
            riding |= !chunk.urgent;
            chunk.urgent = true;
        }
        if riding {
            self.ring(&state, Urgency::Now);
        }
        let (tell, told) = oneshot::channel();
        // Waits arrive nearly in order, so the place is nearly always the last.
        let waits = &mut state.durable_waits;
        let later = waits.iter().rev().take_while(|wait| wait.end > end).count();
        let at = waits.len() - later;
        waits.insert(at, DurableWait { end, tell });
        drop(state);
        let shard = self.shard.get();
        told.map(move |told| {
            told.unwrap_or_else(|_| {
                Err(AppendError::Poisoned {
                    shard,
                    operation: "commit",
                    reason: "the log was closed before the records were durable".to_owned(),
                })
            })
        })
        .boxed()
    }

    /// Gives the log up after a failed `operation`: everybody who waits hears of it, and nothing is
    /// appended until a restart finds out what the disk holds.
    pub(super) fn poison(&self, operation: &'static str, reason: String) -> AppendError {
        let poison = Poison { operation, reason };
        let error = self.poisoned(&poison);
        let mut state = self.state.lock();
        tracing::error!(
            shard = %self.shard, operation, reason = poison.reason,
            "log is given up until the next start"
        );
        state.poison = Some(poison);
        state.committing = false;
        state.pending.clear();
        let durable_waits = std::mem::take(&mut state.durable_waits);
        let writable_waits = std::mem::take(&mut state.writable_waits);
        drop(state);
        for wait in durable_waits {
            // Who stopped waiting needs no answer; so below.
            let _ = wait.tell.send(Err(error.clone()));
        }
        for tell in writable_waits {
            let _ = tell.send(());
        }
        error
    }
}

impl Commit {
    fn chunk(&self) -> &Chunk {
        self.chunk.as_ref().expect("only finish takes the chunk")
    }

    /// Where the log will be durable up to.
    pub fn end(&self) -> LogPosition {
        LogPosition::new(self.chunk().end)
    }

    /// Hands the records to the disk; they are not durable yet.
    pub fn write(&mut self) -> Result<(), AppendError> {
        assert_eq!(self.phase, Phase::Begun, "a commit is written first");
        let chunk = self.chunk();
        let offset = chunk.segment.file_offset(chunk.start);
        let written = chunk.file.write_at(offset, &chunk.bytes);
        self.advance("write", written, Phase::Written)
    }

    /// Makes the records durable.
    pub fn sync(&mut self) -> Result<(), AppendError> {
        assert_eq!(
            self.phase,
            Phase::Written,
            "a commit is synced after it is written"
        );
        let synced = self.chunk().file.sync();
        self.advance("fdatasync", synced, Phase::Synced)
    }

    /// Shows the records to the observer. Drop what this returns to complete the waits for them.
    pub fn finish(mut self) -> Told {
        assert_eq!(
            self.phase,
            Phase::Synced,
            "a commit is finished after it is synced"
        );
        let chunk = self.chunk.take().expect("only finish takes the chunk");
        let log = Arc::clone(&self.log);
        let (start, end, len) = (chunk.start, chunk.end, chunk.bytes.len() as u64);
        let capacity = chunk.bytes.capacity();
        let bytes = Bytes::from(chunk.bytes);
        log.recent.write().push(start, bytes.clone(), capacity);
        log.readable_end.store(end, Ordering::Release);
        let observer = log.observer.read().as_ref().and_then(|weak| weak.upgrade());
        if let Some(observer) = observer {
            let shown = |record: &Record| !record.kind.is_internal();
            let records: Vec<Record> = records_in(&bytes).filter(shown).collect();
            observer.on_durable(&records, LogPosition::new(end));
        }
        let mut state = log.state.lock();
        state.committing = false;
        state.pending_bytes -= len;
        log.observed_end.store(end, Ordering::Release);
        let done = state
            .durable_waits
            .iter()
            .take_while(|wait| wait.end <= end)
            .count();
        let durable_waits: Vec<DurableWait> = state.durable_waits.drain(..done).collect();
        let writable_waits = log.take_writable_waits(&mut state);
        drop(state);
        self.phase = Phase::Over;
        Told {
            durable_waits,
            writable_waits,
        }
    }

    fn advance(
        &mut self,
        operation: &'static str,
        result: std::io::Result<()>,
        phase: Phase,
    ) -> Result<(), AppendError> {
        match result {
            Ok(()) => {
                self.phase = phase;
                Ok(())
            }
            Err(error) => {
                self.phase = Phase::Over;
                Err(self.log.poison(operation, error.to_string()))
            }
        }
    }
}

impl Drop for Commit {
    fn drop(&mut self) {
        if self.phase != Phase::Over {
            self.log
                .poison("commit", "it was abandoned half-way".to_owned());
        }
    }
}
