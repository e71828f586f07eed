//! What tests run on: clocks, and metadata in memory that can be interrupted at every step.

use std::{
    collections::BTreeMap,
    future::Future,
    sync::{
        Arc,
        atomic::{AtomicBool, AtomicI64, Ordering},
    },
    task::{Context, Poll, Waker},
    time::Duration,
};

use base::{Clock, InstanceId, Sleep, Timestamp};
use bytes::Bytes;
use futures::{FutureExt as _, StreamExt as _, future::BoxFuture, stream};
use parking_lot::Mutex;
use store::meta::{Entry, Expected, LeaseId, MetadataError, MetadataStore, Revision, Watch};

use crate::{NodeError, NodeName, Release, Version, Zone};

/// The instant at which clocks of `zone` show `local`, e.g. `2026-03-11T00:10`.
pub(crate) fn at(zone: &Zone, local: &str) -> Timestamp {
    zone.first_at(local.parse().unwrap())
}

/// Two versions, the older one first.
pub(crate) const OLD: &str = "5.0-rmq-20230329";
pub(crate) const NEW: &str = "5.0-rmq-20230411";

pub(crate) fn version(text: &str) -> Version {
    text.parse().unwrap()
}

pub(crate) fn instance() -> InstanceId {
    InstanceId::new("rmq-cn-1").unwrap()
}

pub(crate) fn release(text: &str, announced_at: Timestamp) -> Release {
    Release {
        version: version(text),
        released_on: "2026-03-11".parse().unwrap(),
        announced_at,
        notes: String::new(),
        digest: String::new(),
        size: 0,
        signature: String::new(),
    }
}

/// Time that a test sets. Who sleeps moves it to when it would wake up: nobody else is awake.
#[derive(Default)]
pub(crate) struct TestClock(Arc<AtomicI64>);

impl TestClock {
    pub(crate) fn set(&self, at: Timestamp) {
        self.0.store(at.ms(), Ordering::Relaxed);
    }
}

impl Clock for TestClock {
    fn now(&self) -> Timestamp {
        Timestamp::from_ms(self.0.load(Ordering::Relaxed))
    }

    fn elapsed(&self) -> Duration {
        self.now().since(Timestamp::default())
    }

    fn sleep(&self, duration: Duration) -> Sleep {
        let (time, until) = (Arc::clone(&self.0), self.now().after(duration));
        Box::pin(async move {
            once_pending().await;
            time.fetch_max(until.ms(), Ordering::Relaxed);
        })
    }
}

/// The machine's: programs take the time they take.
pub(crate) struct RealClock;

impl Clock for RealClock {
    fn now(&self) -> Timestamp {
        Timestamp::from_ms(1_773_187_200_000)
    }

    fn elapsed(&self) -> Duration {
        Duration::ZERO
    }

    #[expect(clippy::disallowed_methods, reason = "this is a clock")]
    fn sleep(&self, duration: Duration) -> Sleep {
        Box::pin(tokio::time::sleep(duration))
    }
}

/// Gives way once, so that a test may drop whoever waits.
pub(crate) async fn once_pending() {
    let mut given_way = false;
    std::future::poll_fn(|context| {
        if std::mem::replace(&mut given_way, true) {
            return Poll::Ready(());
        }
        context.waker().wake_by_ref();
        Poll::Pending
    })
    .await;
}

/// More than anything here takes, so what does not end is seen.
pub(crate) const POLLS_MAX: usize = 200_000;

/// Polls a future so many times; `None` if it has not ended by then.
pub(crate) fn poll<F: Future>(future: F, polls: usize) -> Option<F::Output> {
    let mut future = Box::pin(future);
    let mut context = Context::from_waker(Waker::noop());
    for _ in 0..polls {
        if let Poll::Ready(output) = future.as_mut().poll(&mut context) {
            return Some(output);
        }
    }
    None
}

/// How often a future is polled until it ends.
pub(crate) fn polls_of<F: Future>(future: F) -> usize {
    let mut future = Box::pin(future);
    let mut context = Context::from_waker(Waker::noop());
    let mut polls = 1;
    while future.as_mut().poll(&mut context).is_pending() {
        polls += 1;
        assert!(polls < POLLS_MAX, "it hangs");
    }
    polls
}

/// A call that fails, before it has done what it should or after that.
#[derive(Clone, Copy, Debug)]
pub(crate) struct Fault {
    pub(crate) again: bool,
    pub(crate) after: bool,
}

/// Why a simulated call failed.
#[derive(Debug)]
pub(crate) struct Failed {
    pub(crate) reason: String,
    pub(crate) again: bool,
}

impl Failed {
    pub(crate) fn of(self, node: &NodeName) -> NodeError {
        NodeError {
            node: node.clone(),
            reason: self.reason,
            again: self.again,
        }
    }
}

/// Which calls fail, by their number from 1 on, and how many there have been.
#[derive(Default)]
pub(crate) struct Faults(Mutex<(BTreeMap<usize, Fault>, usize)>);

impl Faults {
    pub(crate) fn plan(&self, faults: BTreeMap<usize, Fault>) {
        self.0.lock().0 = faults;
    }

    fn next(&self) -> Option<Fault> {
        let (faults, calls) = &mut *self.0.lock();
        *calls += 1;
        faults.remove(calls)
    }

    /// One call: gives way, does what it should, and gives way again.
    pub(crate) async fn call<T>(
        &self,
        act: impl FnOnce() -> Result<T, String>,
    ) -> Result<T, Failed> {
        once_pending().await;
        let fault = self.next();
        let told = |fault: Fault| Failed {
            reason: "it was told to fail".to_owned(),
            again: fault.again,
        };
        if let Some(fault) = fault.filter(|fault| !fault.after) {
            return Err(told(fault));
        }
        let done = act().map_err(|reason| Failed {
            reason,
            again: true,
        });
        once_pending().await;
        match fault {
            Some(fault) if done.is_ok() => Err(told(fault)),
            _ => done,
        }
    }
}

/// Metadata in memory. Each change gives way before it happens and again after it.
#[derive(Default)]
pub(crate) struct MemoryMetadata(Mutex<(BTreeMap<String, Entry>, Revision)>, AtomicBool);

impl MemoryMetadata {
    /// The next change is made, but whoever makes it hears nothing of it.
    pub(crate) fn interrupt(&self) {
        self.1.store(true, Ordering::Relaxed);
    }

    fn change(
        &self,
        key: &str,
        expected: Expected,
        value: Option<Bytes>,
    ) -> Result<Revision, MetadataError> {
        let mut state = self.0.lock();
        let found = state.0.get(key).map(|entry| entry.revision);
        let fits = match expected {
            Expected::Absent => found.is_none(),
            Expected::At(revision) => found == Some(revision),
        };
        if !fits {
            return Err(MetadataError::Conflict {
                key: key.to_owned(),
                found,
                expected,
            });
        }
        state.1.0 += 1;
        let revision = state.1;
        match value {
            Some(value) => {
                let key = key.to_owned();
                let entry = Entry {
                    key: key.clone(),
                    value,
                    revision,
                };
                state.0.insert(key, entry);
            }
            None => _ = state.0.remove(key),
        }
        Ok(revision)
    }
}

impl MetadataStore for MemoryMetadata {
    fn get(&self, key: &str) -> BoxFuture<'_, Result<Option<Entry>, MetadataError>> {
        let found = self.0.lock().0.get(key).cloned();
        async move { Ok(found) }.boxed()
    }

    fn range(&self, prefix: &str) -> BoxFuture<'_, Result<(Vec<Entry>, Revision), MetadataError>> {
        let state = self.0.lock();
        let entries = state.0.values();
        let found = entries
            .filter(|entry| entry.key.starts_with(prefix))
            .cloned()
            .collect();
        let revision = state.1;
        async move { Ok((found, revision)) }.boxed()
    }

    fn compare_and_set(
        &self,
        key: &str,
        expected: Expected,
        value: Option<Bytes>,
        _: Option<LeaseId>,
    ) -> BoxFuture<'_, Result<Revision, MetadataError>> {
        let key = key.to_owned();
        async move {
            once_pending().await;
            let changed = self.change(&key, expected, value);
            once_pending().await;
            if self.1.swap(false, Ordering::Relaxed) {
                return Err(MetadataError::Unavailable {
                    operation: "write",
                    reason: "no answer".to_owned(),
                });
            }
            changed
        }
        .boxed()
    }

    fn watch(&self, _: &str, _: Revision) -> Watch {
        stream::pending().boxed()
    }

    fn grant_lease(&self, _: Duration) -> BoxFuture<'_, Result<LeaseId, MetadataError>> {
        async { Ok(LeaseId(1)) }.boxed()
    }

    fn keep_alive(&self, lease: LeaseId) -> BoxFuture<'_, Result<(), MetadataError>> {
        async move { Err(MetadataError::LeaseExpired(lease)) }.boxed()
    }

    fn revoke_lease(&self, _: LeaseId) -> BoxFuture<'_, Result<(), MetadataError>> {
        async { Ok(()) }.boxed()
    }
}
