//! Work on instances that is under way: one piece per instance at a time, and what could not be
//! finished rests before it is begun again.

use std::{
    collections::{BTreeMap, BTreeSet},
    time::Duration,
};

use base::{Clock, InstanceId};
use futures::{
    StreamExt as _,
    future::{BoxFuture, Either, FutureExt as _, select},
    stream::FuturesUnordered,
};

/// Work that ends with `T`, of several kinds `K`. Dropping it drops all that is under way.
pub(crate) struct UnderWay<'a, K, T> {
    clock: &'a dyn Clock,
    running: FuturesUnordered<BoxFuture<'a, (InstanceId, K, T)>>,
    busy: BTreeSet<InstanceId>,
    /// Until when what is stuck or interrupted is left alone, on the monotonic clock.
    resting: BTreeMap<(InstanceId, K), Duration>,
}

impl<'a, K: Copy + Ord + Send + 'a, T: Send + 'a> UnderWay<'a, K, T> {
    /// Nothing is under way.
    pub(crate) fn new(clock: &'a dyn Clock) -> Self {
        Self {
            clock,
            running: FuturesUnordered::new(),
            busy: BTreeSet::new(),
            resting: BTreeMap::new(),
        }
    }

    /// How much is under way.
    pub(crate) fn count(&self) -> usize {
        self.running.len()
    }

    /// Begins `work`, unless something is done for the instance already, or this kind of work rests
    /// there: what rests does not keep work of another kind from being begun.
    pub(crate) fn begin(
        &mut self,
        instance: InstanceId,
        kind: K,
        work: impl Future<Output = T> + Send + 'a,
    ) {
        let key = (instance, kind);
        if self.busy.contains(&key.0) || self.resting.contains_key(&key) {
            return;
        }
        self.busy.insert(key.0.clone());
        let ended = work.map(move |outcome| (key.0, key.1, outcome));
        self.running.push(ended.boxed());
    }

    /// Leaves work of that kind alone for a while.
    pub(crate) fn rest(&mut self, instance: InstanceId, kind: K, pause: Duration) {
        let until = self.clock.elapsed() + pause;
        self.resting.insert((instance, kind), until);
    }

    /// Goes on until something ends, and says what; `None` if nothing does within `pause`.
    pub(crate) async fn ended(&mut self, pause: Duration) -> Option<(InstanceId, K, T)> {
        let pause = self.clock.sleep(pause);
        let ended = if self.running.is_empty() {
            pause.await;
            None
        } else {
            match select(self.running.next(), pause).await {
                Either::Left((ended, _)) => ended,
                Either::Right(_) => None,
            }
        };
        if let Some((instance, ..)) = &ended {
            self.busy.remove(instance);
        }
        let now = self.clock.elapsed();
        self.resting.retain(|_, until| *until > now);
        ended
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::test_world::{POLLS_MAX, TestClock, instance, poll};

    const PAUSE: Duration = Duration::from_secs(1);

    #[test]
    fn one_thing_is_done_at_a_time_and_what_rests_keeps_its_own_kind_alone() {
        type Texts<'a> = UnderWay<'a, u8, &'static str>;
        let clock = TestClock::default();
        let mut work = Texts::new(&clock);
        let ended = |work: &mut Texts<'_>| {
            let ended = poll(work.ended(PAUSE), POLLS_MAX).unwrap();
            ended.map(|(_, kind, text)| (kind, text))
        };
        work.begin(instance(), 1, async { "first" });
        work.begin(instance(), 2, async { "while it is busy" });
        assert_eq!(ended(&mut work), Some((1, "first")));
        work.rest(instance(), 1, 3 * PAUSE);
        work.begin(instance(), 1, async { "while it rests" });
        assert_eq!(work.count(), 0);
        work.begin(instance(), 2, async { "second" });
        assert_eq!(ended(&mut work), Some((2, "second")));
        // Each look at nothing takes its pause.
        for _ in 0..3 {
            work.begin(instance(), 1, async { "while it rests" });
            assert_eq!(ended(&mut work), None);
        }
        work.begin(instance(), 1, async { "again" });
        assert_eq!(ended(&mut work), Some((1, "again")));
    }
}
