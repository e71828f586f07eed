//! The machine that a node runs on: it can lose power, or have the node killed, at any operation.

use std::{io, sync::Arc};

use parking_lot::Mutex;

use crate::world::World;

/// How a life of the node ends when it does not end cleanly.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Crash {
    /// The process is killed: what it gave to the operating system stays.
    Kill,
    /// The machine loses power: what was not synced may be gone, in part, in any order.
    PowerLoss,
}

/// Which operations may fail though the machine goes on, in how many of a thousand cases.
#[derive(Clone, Copy, Debug, Default)]
pub struct Faults {
    /// Reads of the disk.
    pub read: u64,
    /// Writes to the disk.
    pub write: u64,
    /// Syncs of the disk.
    pub sync: u64,
    /// Creations of a file, for want of space.
    pub create: u64,
    /// Operations of the state KV.
    pub kv: u64,
}

/// What happens to an operation.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) enum Fate {
    /// It works.
    Fine,
    /// The machine stops before it.
    StopsBefore,
    /// The machine stops after it.
    StopsAfter,
}

struct State {
    life: u64,
    stopped: bool,
    operations: u64,
    stop_at: Option<u64>,
    faults: Faults,
}

/// Counts operations, and stops at the one that was chosen.
pub struct Machine {
    world: Arc<World>,
    state: Mutex<State>,
}

impl Machine {
    /// A machine that works.
    pub fn new(world: &Arc<World>) -> Arc<Self> {
        Arc::new(Self {
            world: Arc::clone(world),
            state: Mutex::new(State {
                life: 0,
                stopped: false,
                operations: 0,
                stop_at: None,
                faults: Faults::default(),
            }),
        })
    }

    /// Starts the next life, which stops after `operations` operations if given. What is left of
    /// earlier lives can do nothing any more.
    pub fn start(&self, operations: Option<u64>, faults: Faults) -> u64 {
        let mut state = self.state.lock();
        state.life += 1;
        state.stopped = false;
        state.stop_at = operations.map(|operations| state.operations + operations);
        state.faults = faults;
        state.life
    }

    /// Stops now.
    pub fn stop(&self) {
        self.state.lock().stopped = true;
    }

    /// Whether it has stopped.
    pub fn is_stopped(&self) -> bool {
        self.state.lock().stopped
    }

    /// From now on nothing fails.
    pub fn heal(&self) {
        let mut state = self.state.lock();
        state.faults = Faults::default();
        state.stop_at = None;
    }

    /// The faults in force.
    pub(crate) fn faults(&self) -> Faults {
        self.state.lock().faults
    }

    /// True in `per_mille` of a thousand cases.
    pub(crate) fn strikes(&self, per_mille: u64) -> bool {
        let strikes = per_mille > 0 && self.world.below(1_000) < per_mille;
        if strikes {
            self.world.note_trouble();
        }
        strikes
    }

    /// Counts an operation of `life` and says what happens to it.
    pub(crate) fn operate(&self, life: u64) -> io::Result<Fate> {
        let mut state = self.state.lock();
        if state.stopped || state.life != life {
            return Err(stopped());
        }
        state.operations += 1;
        if state.stop_at == Some(state.operations) {
            state.stopped = true;
            return Ok(match self.world.chance(50) {
                true => Fate::StopsBefore,
                false => Fate::StopsAfter,
            });
        }
        Ok(Fate::Fine)
    }
}

pub(crate) fn stopped() -> io::Error {
    io::Error::other("the machine has stopped")
}
