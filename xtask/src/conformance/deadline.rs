//! A point in time by which something must have happened. Waits take one, and never sleep.

use std::time::{Duration, Instant, SystemTime, UNIX_EPOCH};

/// For a driver or a server to say that it is ready; a JVM on a busy machine is the slowest.
pub(crate) const START: Duration = Duration::from_secs(60);

/// For one command of a driver: the Java push consumer alone takes 20 s to close.
pub(crate) const COMMAND: Duration = Duration::from_secs(120);

/// For all messages of a scenario's step to arrive.
pub(crate) const DELIVERY: Duration = Duration::from_secs(120);

/// For a client library to find a server again that was away for a moment.
pub(crate) const RECONNECT: Duration = Duration::from_secs(60);

/// For a server to stop cleanly: it answers the long polls under way and flushes.
pub(crate) const STOP: Duration = Duration::from_secs(40);

/// A moment to be done by.
#[derive(Clone, Copy)]
pub(crate) struct Deadline(Instant);

impl Deadline {
    /// The moment `wait` from now.
    pub(crate) fn after(wait: Duration) -> Self {
        Self(now() + wait)
    }

    /// What is left; zero when it has passed.
    pub(crate) fn remaining(self) -> Duration {
        self.0.saturating_duration_since(now())
    }
}

/// Measures how long something took.
pub(crate) struct Stopwatch(Instant);

impl Stopwatch {
    /// Starts to measure.
    pub(crate) fn start() -> Self {
        Self(now())
    }

    /// The time since the start.
    pub(crate) fn elapsed(&self) -> Duration {
        now().duration_since(self.0)
    }
}

/// The time that servers and clients see, in milliseconds since 1970.
#[expect(
    clippy::disallowed_methods,
    reason = "timed messages of real processes are due by the real clock"
)]
pub(crate) fn unix_ms() -> u64 {
    SystemTime::now()
        .duration_since(UNIX_EPOCH)
        .map_or(0, |time| {
            u64::try_from(time.as_millis()).unwrap_or(u64::MAX)
        })
}

#[expect(
    clippy::disallowed_methods,
    reason = "real processes are waited for, which no simulated clock can do"
)]
fn now() -> Instant {
    Instant::now()
}
