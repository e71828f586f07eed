//! The product's clock in the shape that hyper takes its timers in.

use std::{
    future::Future,
    pin::Pin,
    sync::Arc,
    task::{Context, Poll},
    time::{Duration, Instant},
};

use base::Clock;
use hyper::rt::{Sleep, Timer};

/// Timers of hyper on [`Clock`]. hyper counts in [`Instant`]s: those made here are the fixed origin
/// plus the clock's own time, so that a simulated clock stays the only source of time.
#[derive(Clone)]
pub(crate) struct HyperClock {
    clock: Arc<dyn Clock>,
    origin: Instant,
}

impl HyperClock {
    pub(crate) fn new(clock: Arc<dyn Clock>) -> Self {
        #[expect(
            clippy::disallowed_methods,
            reason = "an arbitrary origin: only differences to it are ever used"
        )]
        let origin = Instant::now();
        Self { clock, origin }
    }
}

// hyper asks its timers to be `Sync`; `base::Sleep` is only `Send`. Nothing is shared: the future
// is polled through `&mut` alone, so a lock that is never waited for stands in.
struct Exclusive(parking_lot::Mutex<base::Sleep>);

impl Future for Exclusive {
    type Output = ();

    fn poll(self: Pin<&mut Self>, cx: &mut Context<'_>) -> Poll<()> {
        self.get_mut().0.get_mut().as_mut().poll(cx)
    }
}

impl Sleep for Exclusive {}

impl Timer for HyperClock {
    fn sleep(&self, duration: Duration) -> Pin<Box<dyn Sleep>> {
        Box::pin(Exclusive(parking_lot::Mutex::new(
            self.clock.sleep(duration),
        )))
    }

    fn sleep_until(&self, deadline: Instant) -> Pin<Box<dyn Sleep>> {
        self.sleep(deadline.saturating_duration_since(self.now()))
    }

    fn now(&self) -> Instant {
        self.origin + self.clock.elapsed()
    }
}
