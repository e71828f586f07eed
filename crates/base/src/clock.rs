//! Time as the product sees it: one trait, so that the simulator can own the clock.

use std::{fmt, future::Future, pin::Pin, sync::Arc, time::Duration};

/// Milliseconds since the Unix epoch, as RocketMQ stores them in messages.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq, PartialOrd, Ord, Hash)]
pub struct Timestamp(i64);

impl Timestamp {
    /// The time that is `ms` milliseconds after the Unix epoch.
    pub const fn from_ms(ms: i64) -> Self {
        Self(ms)
    }

    /// Milliseconds since the Unix epoch.
    pub const fn ms(self) -> i64 {
        self.0
    }

    /// This time plus `duration`, saturating at the end of time.
    pub fn after(self, duration: Duration) -> Self {
        let ms = i64::try_from(duration.as_millis()).unwrap_or(i64::MAX);
        Self(self.0.saturating_add(ms))
    }

    /// How long it takes from `earlier` to this time; zero if `earlier` is later.
    pub fn since(self, earlier: Self) -> Duration {
        let ms = self.0.saturating_sub(earlier.0);
        Duration::from_millis(u64::try_from(ms).unwrap_or(0))
    }
}

impl fmt::Display for Timestamp {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        self.0.fmt(f)
    }
}

/// What [`Clock::sleep`] returns: completes once the time has come. Dropping it cancels the wait.
pub type Sleep = Pin<Box<dyn Future<Output = ()> + Send>>;

/// Where time comes from: the machine's clock in the server, a virtual one in the simulator.
pub trait Clock: Send + Sync + 'static {
    /// Wall-clock time. It may jump; use it for times that are stored or shown.
    fn now(&self) -> Timestamp;

    /// Time since an arbitrary start that never goes back. Use it to measure and to wait.
    fn elapsed(&self) -> Duration;

    /// Waits until at least `duration` has passed on the monotonic clock.
    fn sleep(&self, duration: Duration) -> Sleep;
}

impl<C: Clock + ?Sized> Clock for Arc<C> {
    fn now(&self) -> Timestamp {
        (**self).now()
    }

    fn elapsed(&self) -> Duration {
        (**self).elapsed()
    }

    fn sleep(&self, duration: Duration) -> Sleep {
        (**self).sleep(duration)
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn timestamps_saturate_instead_of_wrapping() {
        assert_eq!(Timestamp::from_ms(5).after(Duration::MAX).ms(), i64::MAX);
        assert_eq!(
            Timestamp::from_ms(5).since(Timestamp::from_ms(9)),
            Duration::ZERO
        );
        assert_eq!(
            Timestamp::from_ms(9).since(Timestamp::from_ms(5)),
            Duration::from_millis(4)
        );
    }
}
