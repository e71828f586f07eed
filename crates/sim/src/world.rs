//! What a run of the simulator has instead of a machine: virtual time, seeded chance, and a trace
//! of everything that happened.

use std::{
    collections::{BTreeMap, VecDeque},
    fmt,
    pin::Pin,
    sync::Arc,
    task::{Context, Poll, Waker},
    time::Duration,
};

use base::{Clock, Random, SeededRandom, Sleep, Timestamp};
use parking_lot::Mutex;

use crate::planted::Planted;

/// Wall-clock time at which every run begins.
const BEGINNING: Timestamp = Timestamp::from_ms(1_700_000_000_000);

/// Lines of the trace that are kept to be shown with a failure.
const LINES_SHOWN: usize = 60;

/// Time, chance and trace of one run.
pub struct World {
    random: SeededRandom,
    time: Mutex<Time>,
    trace: Mutex<Trace>,
    /// When something failed or was refused, each instant once.
    troubles: Mutex<Vec<Duration>>,
}

#[derive(Default)]
struct Time {
    elapsed: Duration,
    timers: BTreeMap<(Duration, u64), Waker>,
    next_timer: u64,
}

struct Trace {
    hash: u64,
    count: u64,
    keep_all: bool,
    lines: VecDeque<String>,
}

impl World {
    /// The world of `seed`. With `keep_all` every line of the trace is kept, else only the last
    /// ones.
    pub fn new(seed: u64, keep_all: bool) -> Arc<Self> {
        Arc::new(Self {
            random: SeededRandom::new(seed),
            time: Mutex::default(),
            troubles: Mutex::default(),
            trace: Mutex::new(Trace {
                hash: 0xcbf2_9ce4_8422_2325,
                count: 0,
                keep_all,
                lines: VecDeque::new(),
            }),
        })
    }

    /// A number in `0..bound`.
    pub fn below(&self, bound: u64) -> u64 {
        self.random.below(bound)
    }

    /// A number in `low..=high`.
    pub fn between(&self, low: u64, high: u64) -> u64 {
        low + self.random.below(high - low + 1)
    }

    /// True in `percent` of a hundred cases.
    pub fn chance(&self, percent: u64) -> bool {
        self.random.below(100) < percent
    }

    /// Virtual time since the run began; whole milliseconds.
    pub fn elapsed(&self) -> Duration {
        self.time.lock().elapsed
    }

    /// Virtual wall-clock time.
    pub fn now(&self) -> Timestamp {
        BEGINNING.after(self.elapsed())
    }

    /// Moves time to the next timer and wakes all that are due. `false` if nobody waits for time.
    pub fn advance(&self) -> bool {
        let mut time = self.time.lock();
        let Some(((until, _), _)) = time.timers.first_key_value() else {
            return false;
        };
        time.elapsed = time.elapsed.max(*until);
        let now = time.elapsed;
        let later = time.timers.split_off(&(now, u64::MAX));
        let due = std::mem::replace(&mut time.timers, later);
        drop(time);
        due.into_values().for_each(Waker::wake);
        true
    }

    /// Time passes while nobody is there to see it.
    pub fn pass(&self, duration: Duration) {
        self.time.lock().elapsed += duration;
    }

    /// Something failed, or was refused for want of room, so that things may take longer.
    pub fn note_trouble(&self) {
        let now = self.elapsed();
        let mut troubles = self.troubles.lock();
        if troubles.last() != Some(&now) {
            troubles.push(now);
        }
    }

    /// The last trouble that there was up to `at`.
    pub fn last_trouble(&self, at: Duration) -> Option<Duration> {
        let troubles = self.troubles.lock();
        let after = troubles.partition_point(|trouble| *trouble <= at);
        troubles[..after].last().copied()
    }

    /// Adds a line to the trace.
    pub fn note(&self, line: fmt::Arguments<'_>) {
        let elapsed = self.elapsed();
        let mut trace = self.trace.lock();
        let line = format!("{:>9} {line}", elapsed.as_millis());
        for byte in line.bytes().chain([b'\n']) {
            trace.hash = (trace.hash ^ u64::from(byte)).wrapping_mul(0x0100_0000_01b3);
        }
        trace.count += 1;
        if !trace.keep_all && trace.lines.len() == LINES_SHOWN {
            trace.lines.pop_front();
        }
        trace.lines.push_back(line);
    }

    /// Hash of the whole trace, and how many lines it has.
    pub fn trace_hash(&self) -> (u64, u64) {
        let trace = self.trace.lock();
        (trace.hash, trace.count)
    }

    /// The lines of the trace that were kept.
    pub fn trace_lines(&self) -> Vec<String> {
        self.trace.lock().lines.iter().cloned().collect()
    }
}

/// Time of the world, as the product asks for it.
pub struct SimClock {
    world: Arc<World>,
    /// What is wrong with it.
    planted: Planted,
}

impl SimClock {
    /// The world's true time.
    pub fn new(world: &Arc<World>) -> Arc<Self> {
        Self::planted(world, Planted::Nothing)
    }

    /// Perhaps with a wall clock that goes wrong.
    pub fn planted(world: &Arc<World>, planted: Planted) -> Arc<Self> {
        Arc::new(Self {
            world: Arc::clone(world),
            planted,
        })
    }
}

impl Clock for SimClock {
    fn now(&self) -> Timestamp {
        let now = self.world.now();
        match self.planted {
            Planted::HastyClock => now.after(self.world.elapsed()),
            Planted::CoarseClock => Timestamp::from_ms(now.ms() - now.ms() % 16),
            _ => now,
        }
    }

    fn elapsed(&self) -> Duration {
        self.world.elapsed()
    }

    fn sleep(&self, duration: Duration) -> Sleep {
        // Whole milliseconds, rounded up: a timer never fires before its time.
        let ms = duration.as_nanos().div_ceil(1_000_000);
        let duration = Duration::from_millis(u64::try_from(ms).unwrap_or(u64::MAX));
        Box::pin(SimSleep {
            until: self.world.elapsed().saturating_add(duration),
            world: Arc::clone(&self.world),
            timer: None,
        })
    }
}

struct SimSleep {
    world: Arc<World>,
    until: Duration,
    timer: Option<u64>,
}

impl Future for SimSleep {
    type Output = ();

    fn poll(mut self: Pin<&mut Self>, context: &mut Context<'_>) -> Poll<()> {
        let this = &mut *self;
        let mut time = this.world.time.lock();
        if time.elapsed >= this.until {
            return Poll::Ready(());
        }
        let timer = *this.timer.get_or_insert_with(|| {
            time.next_timer += 1;
            time.next_timer
        });
        time.timers
            .insert((this.until, timer), context.waker().clone());
        Poll::Pending
    }
}

impl Drop for SimSleep {
    fn drop(&mut self) {
        if let Some(timer) = self.timer {
            self.world.time.lock().timers.remove(&(self.until, timer));
        }
    }
}

/// Chance of the world, as the product asks for it.
pub struct SimRandom(pub Arc<World>);

impl Random for SimRandom {
    fn next(&self) -> u64 {
        self.0.random.next()
    }
}
