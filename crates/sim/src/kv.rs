//! A state KV in memory that loses what was not flushed, newest batch first.

use std::{collections::BTreeMap, sync::Arc};

use base::LogPosition;
use bytes::Bytes;
use parking_lot::Mutex;
use store::kv::{Batch, KvError, StateKv};

use crate::{
    machine::{Crash, Fate, Machine},
    world::World,
};

type Pairs = BTreeMap<Vec<u8>, Bytes>;

#[derive(Default)]
struct State {
    pairs: Pairs,
    position: LogPosition,
    durable: Pairs,
    durable_position: LogPosition,
    unflushed: Vec<(Batch, LogPosition)>,
}

/// The KV itself, which outlives the node.
pub struct SimKv {
    world: Arc<World>,
    machine: Arc<Machine>,
    /// Planted bug: flush returns a position that it has not made durable.
    flush_lies: bool,
    state: Mutex<State>,
}

fn put(pairs: &mut Pairs, batch: &Batch) {
    for (key, value) in batch.iter() {
        match value {
            Some(value) => pairs.insert(key.to_vec(), value.clone()),
            None => pairs.remove(key),
        };
    }
}

fn failed(operation: &'static str, reason: impl ToString) -> KvError {
    KvError::Engine {
        operation,
        reason: reason.to_string(),
    }
}

impl State {
    /// Makes the oldest `count` unflushed batches durable.
    fn persist(&mut self, count: usize) {
        for (batch, position) in self.unflushed.drain(..count) {
            put(&mut self.durable, &batch);
            self.durable_position = position;
        }
    }
}

impl SimKv {
    /// An empty KV.
    pub fn new(world: &Arc<World>, machine: &Arc<Machine>, flush_lies: bool) -> Arc<Self> {
        Arc::new(Self {
            world: Arc::clone(world),
            machine: Arc::clone(machine),
            flush_lies,
            state: Mutex::default(),
        })
    }

    /// The KV as the node sees it in `life`.
    pub fn open(self: &Arc<Self>, life: u64) -> Arc<dyn StateKv> {
        Arc::new(Opened {
            kv: Arc::clone(self),
            life,
        })
    }

    /// What is left after a crash.
    pub fn crash(&self, crash: Crash) {
        if crash == Crash::Kill {
            return;
        }
        let mut state = self.state.lock();
        let kept = self.world.between(0, state.unflushed.len() as u64) as usize;
        state.persist(kept);
        state.unflushed.clear();
        state.pairs = state.durable.clone();
        state.position = state.durable_position;
        self.world
            .note(format_args!("state KV is back at {}", state.position));
    }
}

struct Opened {
    kv: Arc<SimKv>,
    life: u64,
}

impl Opened {
    fn operate<T>(
        &self,
        operation: &'static str,
        action: impl FnOnce(&mut State) -> T,
    ) -> Result<T, KvError> {
        let machine = &self.kv.machine;
        let fate = machine
            .operate(self.life)
            .map_err(|error| failed(operation, error))?;
        if fate == Fate::StopsBefore {
            return Err(failed(operation, "the machine has stopped"));
        }
        let done = action(&mut self.kv.state.lock());
        match fate {
            Fate::StopsAfter => Err(failed(operation, "the machine has stopped")),
            _ => Ok(done),
        }
    }

    /// A read at which the machine stops is as good as one just before: what the node makes of it
    /// has no effect any more. An error would be taken for one of the KV's own, which ends the
    /// process by a panic where a durable record cannot be applied.
    fn read<T>(&self, action: impl FnOnce(&State) -> T) -> Result<T, KvError> {
        let _: Result<Fate, _> = self.kv.machine.operate(self.life);
        Ok(action(&self.kv.state.lock()))
    }

    fn strikes(&self) -> bool {
        self.kv.machine.strikes(self.kv.machine.faults().kv)
    }
}

impl StateKv for Opened {
    fn get(&self, key: &[u8]) -> Result<Option<Bytes>, KvError> {
        self.read(|state| state.pairs.get(key).cloned())
    }

    fn range(
        &self,
        from: &[u8],
        to: &[u8],
        reverse: bool,
        limit: usize,
    ) -> Result<Vec<(Bytes, Bytes)>, KvError> {
        self.read(|state| {
            if from >= to {
                return Vec::new();
            }
            let pairs = state.pairs.range(from.to_vec()..to.to_vec());
            let pair = |(key, value): (&Vec<u8>, &Bytes)| (key.clone().into(), value.clone());
            match reverse {
                true => pairs.rev().take(limit).map(pair).collect(),
                false => pairs.take(limit).map(pair).collect(),
            }
        })
    }

    fn apply(&self, batch: &Batch, position: LogPosition) -> Result<(), KvError> {
        let world = &self.kv.world;
        world.note(format_args!(
            "kv apply {} to {position}",
            batch.iter().count()
        ));
        if self.strikes() {
            return Err(failed("apply to", "input/output error"));
        }
        self.operate("apply to", |state| {
            let before = state.position;
            assert!(position >= before, "KV at {before} cannot go to {position}");
            put(&mut state.pairs, batch);
            state.position = position;
            state.unflushed.push((batch.clone(), position));
        })
    }

    fn flush(&self) -> Result<LogPosition, KvError> {
        let fails = self.strikes();
        let world = &self.kv.world;
        let position = self.operate("flush", |state| {
            let all = state.unflushed.len();
            match (self.kv.flush_lies, fails) {
                (true, _) => {}
                (false, true) => state.persist(world.between(0, all as u64) as usize),
                (false, false) => state.persist(all),
            }
            state.position
        })?;
        world.note(format_args!("kv flush to {position}, fails {fails}"));
        match fails {
            true => Err(failed("flush", "input/output error")),
            false => Ok(position),
        }
    }

    fn position(&self) -> Result<LogPosition, KvError> {
        Ok(self.kv.state.lock().position)
    }
}
