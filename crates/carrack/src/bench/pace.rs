//! When something is due.
//!
//! At a fixed rate, event `n` is due at the start plus `n` intervals, whatever the server does. A
//! thread of its own lets go of events as they fall due, since an asynchronous timer is exact to
//! the ms only; it is late by about as long as the kernel takes to wake it.

use std::{
    sync::{
        Arc,
        atomic::{AtomicBool, AtomicU64, Ordering},
    },
    time::Duration,
};

use tokio::{sync::Semaphore, time::Instant};

use super::Span;

/// Shortest sleep of the thread: at high rates several events are let go at once.
const SLEEP_MIN: Duration = Duration::from_micros(100);

/// Pause between two looks at whether all events are taken.
const LOOK_PAUSE: Duration = Duration::from_millis(5);

/// How long the thread may take to wake at the end.
const STUCK_AFTER: Duration = Duration::from_secs(10);

/// Events between the start and the end of a run.
pub(super) struct Pace {
    span: Span,
    /// `None` at the maximum rate.
    fixed: Option<Arc<Shared>>,
}

struct Shared {
    interval: Duration,
    /// One permit per event that is due and not taken.
    due: Semaphore,
    taken: AtomicU64,
    released: AtomicU64,
    /// Everything that falls due before the end has been let go.
    is_complete: AtomicBool,
    stop: AtomicBool,
}

impl Pace {
    /// Events at `rate` per second, or whenever somebody asks.
    pub(super) fn start(span: Span, rate: Option<f64>) -> std::io::Result<Self> {
        let Some(rate) = rate else {
            return Ok(Self { span, fixed: None });
        };
        let shared = Arc::new(Shared {
            interval: Duration::from_secs_f64(1.0 / rate),
            due: Semaphore::new(0),
            taken: AtomicU64::new(0),
            released: AtomicU64::new(0),
            is_complete: AtomicBool::new(false),
            stop: AtomicBool::new(false),
        });
        // It sleeps no longer than the run, so nobody needs to wait for it.
        std::thread::Builder::new().name("pace".to_owned()).spawn({
            let shared = Arc::clone(&shared);
            move || shared.release(span)
        })?;
        Ok(Self {
            span,
            fixed: Some(shared),
        })
    }

    /// Waits for the next event and says when it was due; `None` when the run is over.
    pub(super) async fn next(&self) -> Option<Instant> {
        let Some(shared) = &self.fixed else {
            let now = Instant::now();
            return (now < self.span.end).then_some(now);
        };
        // Closed at the end of the run, once the last event is taken or given up.
        shared.due.acquire().await.ok()?.forget();
        let number = shared.taken.fetch_add(1, Ordering::Relaxed);
        Some(shared.due_at(self.span, number))
    }

    /// Ends the run: waits up to `patience` until events that were due are taken, and says how many
    /// were not.
    pub(super) async fn finish(&self, patience: Duration) -> u64 {
        let Some(shared) = &self.fixed else {
            return 0;
        };
        // The thread lets go of the last events right after the end, unless the machine is stuck.
        let stuck = self.span.end + STUCK_AFTER;
        while !shared.is_complete.load(Ordering::Acquire) && Instant::now() < stuck {
            super::wait_until(Instant::now() + LOOK_PAUSE).await;
        }
        // Not by the permits: one is away already when its event is still to be taken.
        let left = || {
            let released = shared.released.load(Ordering::Relaxed);
            released.saturating_sub(shared.taken.load(Ordering::Relaxed))
        };
        let deadline = self.span.end + patience;
        while left() > 0 && Instant::now() < deadline {
            super::wait_until(Instant::now() + LOOK_PAUSE).await;
        }
        shared.stop.store(true, Ordering::Relaxed);
        shared.due.close();
        left()
    }
}

impl Shared {
    fn due_at(&self, span: Span, number: u64) -> Instant {
        let nanos = self.interval.as_nanos().saturating_mul(u128::from(number));
        span.start + Duration::from_nanos(u64::try_from(nanos).unwrap_or(u64::MAX))
    }

    #[expect(
        clippy::disallowed_methods,
        reason = "a load generator paces real time, finer than asynchronous timers can"
    )]
    fn release(&self, span: Span) {
        let mut released = 0_u64;
        while !self.stop.load(Ordering::Relaxed) {
            let now = Instant::now().min(span.end);
            let (elapsed, interval) = ((now - span.start).as_nanos(), self.interval.as_nanos());
            // Event 0 is due at the start; one that is due at the end is not of this run.
            let due = if now < span.end {
                elapsed / interval.max(1) + 1
            } else {
                elapsed.div_ceil(interval.max(1))
            };
            let due = u64::try_from(due).unwrap_or(u64::MAX);
            if due > released {
                self.released.store(due, Ordering::Relaxed);
                self.due
                    .add_permits(usize::try_from(due - released).unwrap_or(usize::MAX >> 4));
                released = due;
            }
            if now >= span.end {
                self.is_complete.store(true, Ordering::Release);
                return;
            }
            let next = self.due_at(span, released).min(span.end);
            std::thread::sleep(
                next.saturating_duration_since(Instant::now())
                    .max(SLEEP_MIN),
            );
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn span(ms: u64) -> Span {
        let start = Instant::now();
        Span {
            start,
            measured: start,
            end: start + Duration::from_millis(ms),
        }
    }

    #[tokio::test]
    async fn events_are_due_at_equal_distances_however_late_they_are_taken() {
        let span = span(50);
        let pace = Pace::start(span, Some(1_000.0)).unwrap();
        let first = pace.next().await.unwrap();
        assert_eq!(first, span.start);
        super::super::wait_until(span.end).await;
        let second = pace.next().await.unwrap();
        assert_eq!(second, span.start + Duration::from_millis(1));
        // 50 events fall due in 50 ms; two were taken.
        assert_eq!(pace.finish(Duration::ZERO).await, 48);
    }

    #[tokio::test]
    async fn without_a_rate_events_are_due_when_asked_for() {
        let span = span(5);
        let pace = Pace::start(span, None).unwrap();
        assert!(pace.next().await.unwrap() >= span.start);
        super::super::wait_until(span.end).await;
        assert_eq!(pace.next().await, None);
        assert_eq!(pace.finish(Duration::ZERO).await, 0);
    }
}
