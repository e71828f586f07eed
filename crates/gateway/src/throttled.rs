//! Answers to who asks for more than its quota: they come late.
//!
//! A client that is refused at once and asks again at once takes the server's time from those who
//! stay within their quotas. Held back for a moment, its refusals cost it a request under way each,
//! of which a connection has only so many; and those of a moment go out together. The service does
//! the same: it holds excess requests over HTTP for about 10 ms.

use std::time::Duration;

use base::limits;

use crate::front::{DrainPhase, Front};

/// How long the answer to a throttled request is held back.
pub(crate) const HELD: Duration = Duration::from_millis(limits::THROTTLED_ANSWER_HELD_MS);

impl Front {
    /// Waits before a throttled request is answered; not when the server stops.
    pub(crate) async fn hold_throttled(&self) {
        let stops = self.drain.reached(DrainPhase::Draining);
        tokio::select! {
            () = self.clock.sleep(HELD) => {}
            () = stops => {}
        }
    }
}
