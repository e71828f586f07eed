//! The thread that makes the logs of one disk durable.
//!
//! Everything that arrives while a commit is under way goes into the next one. An append that
//! somebody waits for wakes the thread; one that nobody waits for goes along with the next that
//! does, or after the log's ride delay.
//!
//! On a runtime, both wake-ups are few. A task that appends mostly has more to append before it
//! rests, so the thread is woken when it does, or when much has gathered: one commit then has all
//! of it. And who waits is told by a task, not by the thread: the runtime is woken once for all of
//! them, so that a connection finds all of its answers at once and writes them with one call.

use std::{
    collections::HashMap,
    io,
    sync::{Arc, atomic::Ordering},
    thread::JoinHandle,
    time::Duration,
};

use base::{Clock, limits};
use parking_lot::{Condvar, Mutex};
use tokio::runtime::Handle;

use super::{Commit, LocalLog, Told, append::State};
use crate::log::{AppendError, Urgency};

/// Values of [`LocalLog`]'s `wanted`, in rising order.
const WANT_NOTHING: u8 = 0;
const WANT_RIDE: u8 = 1;
const WANT_NOW: u8 = 2;

/// Makes the logs of one disk durable, with one thread for all of them.
pub struct Committer {
    shared: Arc<Shared>,
    thread: Mutex<Option<JoinHandle<()>>>,
}

struct Shared {
    queue: Mutex<Queue>,
    /// Rung when the queue has work.
    work: Condvar,
    /// Rung when a log has left.
    left: Condvar,
    /// Where appends are made and waited for.
    runtime: Option<Handle>,
}

#[derive(Default)]
struct Queue {
    logs: HashMap<u64, Arc<LocalLog>>,
    next_id: u64,
    /// Logs whose wish rose since the thread last looked.
    woken: Vec<u64>,
    leaving: Vec<u64>,
    stopping: bool,
}

/// How a log wakes the committer that serves it.
pub(super) struct Bell {
    shared: Arc<Shared>,
    id: u64,
}

impl Bell {
    fn ring(&self) -> Ring {
        let shared = Arc::clone(&self.shared);
        Ring {
            shared,
            id: self.id,
        }
    }
}

/// Wakes the committer when it is dropped, as a runtime that ends does with a task.
struct Ring {
    shared: Arc<Shared>,
    id: u64,
}

impl Drop for Ring {
    fn drop(&mut self) {
        self.shared.queue.lock().woken.push(self.id);
        self.shared.work.notify_one();
    }
}

impl LocalLog {
    /// Tells the committer, if there is one, what has been appended. Most appends under load find
    /// that it knows already.
    pub(super) fn ring(&self, state: &State, urgency: Urgency) {
        let Some(bell) = &state.bell else { return };
        if self.raises_wish(urgency) {
            drop(bell.ring());
        }
    }

    /// [`LocalLog::ring`] for an append of `bytes` that its task may follow with others.
    pub(super) fn ring_after(&self, state: &State, urgency: Urgency, bytes: u64) {
        let Some(bell) = &state.bell else { return };
        let gathered = limits::LOG_GATHER_BYTES as u64;
        let is_much = state.pending_bytes >= gathered;
        // Who appended before has left the call to a task that may have to wait for this one.
        let is_newly_much = is_much && state.pending_bytes - bytes < gathered;
        if self.raises_wish(urgency) || is_newly_much {
            let ring = bell.ring();
            match &bell.shared.runtime {
                Some(runtime) if !is_much => {
                    runtime.spawn(async move { drop(ring) });
                }
                _ => drop(ring),
            }
        }
    }

    fn raises_wish(&self, urgency: Urgency) -> bool {
        let wish = match urgency {
            Urgency::Ride => WANT_RIDE,
            Urgency::Now => WANT_NOW,
        };
        self.wanted.fetch_max(wish, Ordering::AcqRel) < wish
    }
}

impl Committer {
    /// Starts the thread. `name` tells it from others; the kernel shows 15 bytes of it. `runtime`
    /// is that of the tasks which append and wait, if there is one.
    pub fn start(name: &str, clock: Arc<dyn Clock>, runtime: Option<Handle>) -> io::Result<Self> {
        let shared = Arc::new(Shared {
            queue: Mutex::default(),
            work: Condvar::new(),
            left: Condvar::new(),
            runtime,
        });
        let thread = std::thread::Builder::new().name(name.to_owned()).spawn({
            let shared = Arc::clone(&shared);
            move || Worker::new(shared, clock).run()
        })?;
        Ok(Self {
            shared,
            thread: Mutex::new(Some(thread)),
        })
    }

    /// Serves `log` from now on. A log has one committer at most.
    pub fn register(&self, log: &Arc<LocalLog>) {
        let mut state = log.state.lock();
        assert!(state.bell.is_none(), "a log has one committer at most");
        let mut queue = self.shared.queue.lock();
        assert!(!queue.stopping, "a log cannot join a committer that stops");
        let id = queue.next_id;
        queue.next_id += 1;
        queue.logs.insert(id, Arc::clone(log));
        drop(queue);
        state.bell = Some(Bell {
            shared: Arc::clone(&self.shared),
            id,
        });
        // Whatever came before the committer is on its list now.
        log.wanted.store(WANT_NOTHING, Ordering::Release);
        log.ring(&state, Urgency::Now);
    }

    /// Makes what waits in `log` durable and serves it no more. Returns when that is done.
    pub fn unregister(&self, log: &Arc<LocalLog>) {
        let id = match &log.state.lock().bell {
            Some(bell) if Arc::ptr_eq(&bell.shared, &self.shared) => bell.id,
            _ => return,
        };
        let mut queue = self.shared.queue.lock();
        queue.leaving.push(id);
        self.shared.work.notify_one();
        while queue.logs.contains_key(&id) {
            self.shared.left.wait(&mut queue);
        }
        drop(queue);
        log.state.lock().bell = None;
    }

    /// Makes everything that waits durable and ends the thread. Returns when that is done; later
    /// calls do nothing.
    pub fn stop(&self) {
        let Some(thread) = self.thread.lock().take() else {
            return;
        };
        self.shared.queue.lock().stopping = true;
        self.shared.work.notify_one();
        if thread.join().is_err() {
            tracing::error!("the committer's thread panicked");
        }
    }
}

impl Drop for Committer {
    fn drop(&mut self) {
        self.stop();
    }
}

/// The thread's own state.
struct Worker {
    shared: Arc<Shared>,
    clock: Arc<dyn Clock>,
    /// When to look at a log again though nothing wakes it: a ride is due, or a segment can be
    /// tried.
    due: HashMap<u64, Duration>,
}

impl Drop for Worker {
    fn drop(&mut self) {
        if std::thread::panicking() {
            // Nobody will make these logs durable any more: say so rather than let senders wait.
            for log in self.shared.queue.lock().logs.values() {
                log.poison("commit", "the committer's thread panicked".to_owned());
            }
        }
    }
}

/// What the thread was woken for.
struct Work {
    now: Vec<(u64, Arc<LocalLog>)>,
    leaving: Vec<u64>,
    stopping: bool,
}

impl Worker {
    fn new(shared: Arc<Shared>, clock: Arc<dyn Clock>) -> Self {
        Self {
            shared,
            clock,
            due: HashMap::new(),
        }
    }

    fn run(mut self) {
        loop {
            let work = self.wait();
            self.commit_all(&work.now);
            for (id, log) in &work.now {
                if let Some(retry_at) = log.prepare() {
                    self.due.insert(*id, retry_at);
                }
            }
            if !work.leaving.is_empty() {
                let mut queue = self.shared.queue.lock();
                for id in &work.leaving {
                    queue.logs.remove(id);
                    self.due.remove(id);
                }
                self.shared.left.notify_all();
            }
            if work.stopping {
                // A log that lives on must not ring a bell that nobody hears.
                let logs = std::mem::take(&mut self.shared.queue.lock().logs);
                self.shared.left.notify_all();
                for log in logs.into_values() {
                    log.state.lock().bell = None;
                }
                return;
            }
        }
    }

    /// Parks until there is something to do, and says what.
    fn wait(&mut self) -> Work {
        let mut queue = self.shared.queue.lock();
        loop {
            let elapsed = self.clock.elapsed();
            let woken = std::mem::take(&mut queue.woken);
            let leaving = std::mem::take(&mut queue.leaving);
            let mut ids = Vec::new();
            for id in woken {
                let Some(log) = queue.logs.get(&id) else {
                    continue;
                };
                if log.wanted.load(Ordering::Acquire) == WANT_RIDE {
                    let due = elapsed + log.options.ride_delay;
                    self.due.entry(id).or_insert(due);
                } else {
                    ids.push(id);
                }
            }
            if queue.stopping {
                ids = queue.logs.keys().copied().collect();
            }
            ids.extend(&leaving);
            ids.extend(
                self.due
                    .iter()
                    .filter(|(_, due)| **due <= elapsed)
                    .map(|(id, _)| *id),
            );
            ids.sort_unstable();
            ids.dedup();
            if !ids.is_empty() || queue.stopping {
                let mut now = Vec::new();
                for id in ids {
                    self.due.remove(&id);
                    if let Some(log) = queue.logs.get(&id) {
                        now.push((id, Arc::clone(log)));
                    }
                }
                return Work {
                    now,
                    leaving,
                    stopping: queue.stopping,
                };
            }
            match self.due.values().min() {
                Some(due) => {
                    let timeout = due.saturating_sub(elapsed);
                    self.shared.work.wait_for(&mut queue, timeout);
                }
                None => self.shared.work.wait(&mut queue),
            }
        }
    }

    /// Completes waits, each of which wakes somebody.
    fn tell(&self, told: Told) {
        match &self.shared.runtime {
            Some(runtime) if !told.is_empty() => {
                runtime.spawn(async move { drop(told) });
            }
            _ => drop(told),
        }
    }

    /// Commits what waits in each of the logs now; what arrives meanwhile wakes the thread again.
    fn commit_all(&self, logs: &[(u64, Arc<LocalLog>)]) {
        let mut left: Vec<(&Arc<LocalLog>, usize)> = Vec::new();
        for (_, log) in logs {
            log.wanted.store(WANT_NOTHING, Ordering::Release);
            left.push((log, log.pending_chunks()));
        }
        loop {
            // All logs write before the first one syncs: the device works on all of them meanwhile.
            left.retain_mut(|(_, chunks)| {
                let more = *chunks > 0;
                *chunks = chunks.saturating_sub(1);
                more
            });
            if left.is_empty() {
                return;
            }
            let begun = left.iter().filter_map(|(log, _)| log.begin_commit());
            let written = begun.filter_map(|mut commit| kept(commit.write(), commit));
            let written: Vec<Commit> = written.collect();
            for mut commit in written {
                if commit.sync().is_ok() {
                    self.tell(commit.finish());
                }
            }
        }
    }
}

/// The commit, unless a phase of it failed: then the log has told everybody already.
fn kept(result: Result<(), AppendError>, commit: Commit) -> Option<Commit> {
    result.is_ok().then_some(commit)
}
