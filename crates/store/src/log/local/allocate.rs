//! Making the next segment ahead of need, so that an accepted append never meets a full disk.
//!
//! The space of a segment is reserved when its file is made, and one is made once the active
//! segment is half full. If that fails, sends are refused from then on; acks and offsets go on in
//! what is left of the active segment. Making it is tried again at intervals, and appends work
//! again once it exists.

use std::{io, time::Duration};

use super::{
    LocalLog, OpenError,
    append::State,
    segment::{self, OpenSegment, Segment},
};
use crate::log::Log as _;

/// How long to wait before a segment that could not be made is tried again.
const RETRY_INTERVAL: Duration = Duration::from_secs(1);

/// How the next segment fares.
#[derive(Default)]
pub(super) struct Allocation {
    /// Room that a refused append needs; zero if none was refused for want of a segment.
    wanted_bytes: u64,
    /// Why there is no next segment, since an attempt to make one failed.
    pub(super) failure: Option<Failure>,
    under_way: bool,
}

/// An attempt to make a segment that failed.
pub(super) struct Failure {
    pub(super) segment_bytes: u64,
    pub(super) reason: String,
    /// When to try again, on the monotonic clock.
    retry_at: Duration,
}

impl Allocation {
    /// An append of `bytes` was refused because no segment has room for it.
    pub(super) fn want(&mut self, bytes: u64) {
        self.wanted_bytes = self.wanted_bytes.max(bytes);
    }

    /// Whether somebody waits for a segment that is not known to be impossible.
    pub(super) fn is_wanted(&self) -> bool {
        self.wanted_bytes > 0 && self.failure.is_none()
    }
}

/// What there is to do for the next segment.
enum Plan {
    Nothing,
    RetryAt(Duration),
    /// Make the segment; first remove the file of the one that has its place but is too small.
    Make(Segment, Option<OpenSegment>),
}

impl LocalLog {
    /// Makes the next segment if it is time for it. Whoever drives the log calls this after
    /// commits, when an append was refused as busy, and, if it returns one, at that time on the
    /// monotonic clock.
    pub fn prepare(&self) -> Option<Duration> {
        let plan = self.plan(&mut self.state.lock());
        let (segment, too_small) = match plan {
            Plan::Nothing => return None,
            Plan::RetryAt(time) => return Some(time),
            Plan::Make(segment, too_small) => (segment, too_small),
        };
        let made = self.make(segment, too_small);
        let mut state = self.state.lock();
        state.allocation.under_way = false;
        state.allocation.wanted_bytes = 0;
        let retry_at = match made {
            Ok(opened) => {
                if state.allocation.failure.take().is_some() {
                    tracing::info!(shard = %self.shard, "log has space again");
                }
                state.spare = Some(opened);
                None
            }
            Err(error) => Some(self.failed(&mut state, segment, &error)),
        };
        let waits = self.take_writable_waits(&mut state);
        drop(state);
        for tell in waits {
            // Who stopped waiting needs no answer.
            let _ = tell.send(());
        }
        retry_at
    }

    fn plan(&self, state: &mut State) -> Plan {
        if state.poison.is_some() || state.allocation.under_way {
            return Plan::Nothing;
        }
        let active = state.active.segment;
        let wanted = state.allocation.wanted_bytes;
        let half_used = (state.tail - active.start) * 2 >= active.capacity;
        let needed = match &state.spare {
            Some(spare) => spare.segment.capacity < wanted,
            None => wanted > 0 || half_used || state.allocation.failure.is_some(),
        };
        if !needed {
            state.allocation.wanted_bytes = 0;
            return Plan::Nothing;
        }
        if let Some(failure) = &state.allocation.failure
            && self.clock.elapsed() < failure.retry_at
        {
            return Plan::RetryAt(failure.retry_at);
        }
        state.allocation.under_way = true;
        let segment = self.options.segment_after(active, wanted);
        Plan::Make(segment, state.spare.take())
    }

    /// Makes the next segment at once, while the log is being opened.
    pub(super) fn next_segment(&self, state: &State) -> Result<OpenSegment, OpenError> {
        let segment = self.options.segment_after(state.active.segment, 0);
        self.make(segment, None).map_err(|source| OpenError::Disk {
            operation: "allocation",
            file: segment::name_of(segment.start),
            source,
        })
    }

    fn make(&self, segment: Segment, too_small: Option<OpenSegment>) -> io::Result<OpenSegment> {
        if let Some(spare) = too_small {
            self.disk.remove(&segment::name_of(spare.segment.start))?;
        }
        segment::create(&*self.disk, self.shard, segment)
    }

    fn failed(&self, state: &mut State, segment: Segment, error: &io::Error) -> Duration {
        let retry_at = self.clock.elapsed() + RETRY_INTERVAL;
        if state.allocation.failure.is_none() {
            tracing::warn!(
                shard = %self.shard, segment_bytes = segment.disk_bytes(), %error,
                tail = %self.tail(), "log cannot make its next segment and refuses sends"
            );
        }
        state.allocation.failure = Some(Failure {
            segment_bytes: segment.disk_bytes(),
            reason: error.to_string(),
            retry_at,
        });
        retry_at
    }
}
