//! One thread that runs all tasks of a run, one poll at a time, in an order that the seed decides.

use std::{
    collections::{BTreeMap, BTreeSet},
    pin::Pin,
    sync::Arc,
    task::{Context, Poll, Wake, Waker},
};

use futures::future::LocalBoxFuture;
use parking_lot::Mutex;

use crate::world::World;

/// Polls without time moving after which a run counts as going in circles.
const POLLS_PER_INSTANT_MAX: u64 = 200_000;

/// What a step of the scheduler did.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Step {
    /// A task was polled.
    Polled,
    /// Nothing was ready, so time moved to the next timer.
    Waited,
    /// Nothing is ready and nobody waits for time: nothing will ever happen again.
    Stuck,
    /// Tasks wake one another for ever while time stands still.
    Circling,
}

/// Tasks that want to be polled. A set, not a list: the order in which they were woken must not
/// matter, as some primitives shuffle it by a chance that no seed controls.
#[derive(Default)]
struct Ready(Mutex<BTreeSet<u64>>);

struct TaskWaker {
    task: u64,
    ready: Arc<Ready>,
}

impl Wake for TaskWaker {
    fn wake(self: Arc<Self>) {
        self.wake_by_ref();
    }

    fn wake_by_ref(self: &Arc<Self>) {
        self.ready.0.lock().insert(self.task);
    }
}

struct Task {
    name: String,
    future: LocalBoxFuture<'static, ()>,
    waker: Waker,
}

/// The tasks of one life of a node.
pub struct Scheduler {
    world: Arc<World>,
    ready: Arc<Ready>,
    tasks: BTreeMap<u64, Task>,
    next_task: u64,
    polls_now: u64,
}

impl Scheduler {
    /// No tasks yet.
    pub fn new(world: &Arc<World>) -> Self {
        Self {
            world: Arc::clone(world),
            ready: Arc::default(),
            tasks: BTreeMap::new(),
            next_task: 0,
            polls_now: 0,
        }
    }

    /// Adds a task.
    pub fn spawn(&mut self, name: String, future: impl Future<Output = ()> + 'static) {
        let task = self.next_task;
        self.next_task += 1;
        let waker = Waker::from(Arc::new(TaskWaker {
            task,
            ready: Arc::clone(&self.ready),
        }));
        waker.wake_by_ref();
        let future = Box::pin(future);
        self.tasks.insert(
            task,
            Task {
                name,
                future,
                waker,
            },
        );
    }

    /// Polls one task that is ready, chosen by chance, or moves time if none is.
    pub fn step(&mut self) -> Step {
        let chosen = {
            let mut ready = self.ready.0.lock();
            let count = ready.len() as u64;
            let chosen = match count {
                0 => None,
                _ => ready.iter().nth(self.world.below(count) as usize).copied(),
            };
            if let Some(chosen) = chosen {
                ready.remove(&chosen);
            }
            chosen
        };
        let Some(chosen) = chosen else {
            self.polls_now = 0;
            return match self.world.advance() {
                true => Step::Waited,
                false => Step::Stuck,
            };
        };
        self.polls_now += 1;
        if self.polls_now > POLLS_PER_INSTANT_MAX {
            return Step::Circling;
        }
        // A task that has ended may still be woken.
        if let Some(task) = self.tasks.get_mut(&chosen) {
            self.world.note(format_args!("poll {}", task.name));
            let waker = task.waker.clone();
            if task
                .future
                .as_mut()
                .poll(&mut Context::from_waker(&waker))
                .is_ready()
            {
                self.tasks.remove(&chosen);
            }
        }
        Step::Polled
    }

    /// Runs until `done` says so; what ended it otherwise.
    pub fn run_until(&mut self, mut done: impl FnMut() -> bool) -> Step {
        while !done() {
            let step = self.step();
            if matches!(step, Step::Stuck | Step::Circling) {
                return step;
            }
        }
        Step::Polled
    }

    /// Tasks that have not ended.
    pub fn task_count(&self) -> usize {
        self.tasks.len()
    }

    /// Ends all tasks where they stand, in an order that the seed decides.
    pub fn cancel_all(&mut self) {
        while !self.tasks.is_empty() {
            let nth = self.world.below(self.tasks.len() as u64) as usize;
            let task = *self.tasks.keys().nth(nth).expect("nth is below the count");
            self.tasks.remove(&task);
        }
        self.ready.0.lock().clear();
    }
}

/// Lets other tasks go first.
pub fn yield_now() -> impl Future<Output = ()> {
    let mut yielded = false;
    std::future::poll_fn(move |context| {
        if yielded {
            return Poll::Ready(());
        }
        yielded = true;
        context.waker().wake_by_ref();
        Poll::Pending
    })
}

/// Polls `future` at most `polls` times, then drops it: what a client does that goes away. `None`
/// if it was dropped.
pub async fn give_up_after<F: Future>(future: F, polls: u64) -> Option<F::Output> {
    let mut future = Box::pin(future);
    let mut left = polls;
    std::future::poll_fn(move |context| {
        if left == 0 {
            return Poll::Ready(None);
        }
        left -= 1;
        match Pin::new(&mut future).poll(context) {
            Poll::Ready(output) => Poll::Ready(Some(output)),
            Poll::Pending if left == 0 => Poll::Ready(None),
            Poll::Pending => Poll::Pending,
        }
    })
    .await
}
