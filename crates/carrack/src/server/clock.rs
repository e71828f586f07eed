//! The machine's clock: the one place where the server asks what time it is.

use std::time::{Duration, Instant, SystemTime, UNIX_EPOCH};

use base::{Clock, Sleep, Timestamp};

/// Time as the machine has it.
#[derive(Debug)]
pub(crate) struct SystemClock {
    start: Instant,
}

#[expect(
    clippy::disallowed_methods,
    reason = "this is the clock that everything else gets injected"
)]
impl SystemClock {
    /// A clock whose monotonic time begins now.
    pub(crate) fn start() -> Self {
        Self {
            start: Instant::now(),
        }
    }
}

#[expect(
    clippy::disallowed_methods,
    reason = "this is the clock that everything else gets injected"
)]
impl Clock for SystemClock {
    fn now(&self) -> Timestamp {
        // Before 1970 the clock is not set; messages stored then count as old.
        let since = SystemTime::now()
            .duration_since(UNIX_EPOCH)
            .unwrap_or_default();
        Timestamp::from_ms(i64::try_from(since.as_millis()).unwrap_or(i64::MAX))
    }

    fn elapsed(&self) -> Duration {
        self.start.elapsed()
    }

    fn sleep(&self, duration: Duration) -> Sleep {
        Box::pin(tokio::time::sleep(duration))
    }
}
