//! Giving old segments back to the disk.
//!
//! They go oldest first, and each removal is durable before the next one: whatever a crash leaves
//! is a log without a gap that starts a little earlier.

use std::{io, sync::atomic::Ordering};

use base::LogPosition;

use super::{LocalLog, segment};
use crate::log::Log as _;

impl LocalLog {
    pub(super) fn trim_segments(&self, position: LogPosition) -> io::Result<LogPosition> {
        let _one_at_a_time = self.trimming.lock();
        while let Some(oldest) = self.removable(position) {
            let removed = self.disk.remove(&segment::name_of(oldest.start));
            match removed {
                // Already gone if an earlier removal could not be made durable.
                Err(error) if error.kind() != io::ErrorKind::NotFound => return Err(error),
                _ => self.disk.sync_names()?,
            }
            let mut segments = self.segments.write();
            segments.pop_oldest();
            self.start.store(oldest.next(), Ordering::Release);
        }
        Ok(self.start())
    }

    /// The oldest segment if it ends at or before `position`. The one that holds the newest durable
    /// record always stays: it tells the next start the epoch.
    fn removable(&self, position: LogPosition) -> Option<segment::Segment> {
        let segments = self.segments.read();
        let oldest = *segments.list.front()?;
        let end = oldest.next();
        let superseded = self.observed_end.load(Ordering::Acquire) > end;
        (segments.list.len() > 1 && end <= position.get() && superseded).then_some(oldest)
    }
}
