//! Clocks for unit tests.

use std::{
    future::{self, poll_fn},
    sync::{
        Arc,
        atomic::{AtomicU64, Ordering},
    },
    task::Poll,
    time::Duration,
};

use base::{Clock, Sleep, Timestamp};

/// Time that stands still: nothing that waits for it goes on.
pub(crate) struct StoppedClock;

impl Clock for StoppedClock {
    fn now(&self) -> Timestamp {
        Timestamp::from_ms(0)
    }

    fn elapsed(&self) -> Duration {
        Duration::ZERO
    }

    fn sleep(&self, _: Duration) -> Sleep {
        Box::pin(future::pending())
    }
}

/// Time that a test moves by hand. It wakes nobody: the test polls what waits.
#[derive(Default)]
pub(crate) struct HandClock(Arc<AtomicU64>);

impl HandClock {
    pub(crate) fn advance(&self, duration: Duration) {
        self.0
            .fetch_add(duration.as_millis() as u64, Ordering::Relaxed);
    }
}

impl Clock for HandClock {
    fn now(&self) -> Timestamp {
        Timestamp::from_ms(0).after(self.elapsed())
    }

    fn elapsed(&self) -> Duration {
        Duration::from_millis(self.0.load(Ordering::Relaxed))
    }

    fn sleep(&self, duration: Duration) -> Sleep {
        let time = Arc::clone(&self.0);
        let until = (self.elapsed() + duration).as_millis() as u64;
        Box::pin(poll_fn(move |_| {
            if time.load(Ordering::Relaxed) >= until {
                Poll::Ready(())
            } else {
                Poll::Pending
            }
        }))
    }
}
