//! Running a target on one input or on many, within its bounds.

use std::collections::HashSet;
use std::fmt;
use std::panic::{AssertUnwindSafe, catch_unwind};
use std::sync::mpsc::{RecvTimeoutError, channel};
use std::sync::{Arc, Mutex, PoisonError};
use std::time::{Duration, Instant};

use anyhow::{Context, Result, bail};
use base::SeededRandom;

use crate::targets::{self, Target};
use crate::{ALLOCATOR, corpus, mutate};

/// Longest time that one input may take. An ordinary one takes well under a millisecond.
const INPUT_SECONDS_MAX: u64 = 10;

/// Memory that a target may hold at a time: this, and this many times its input. JSON costs most:
/// a subscription of 13 characters becomes 160 bytes, in a list that grows by doubling.
const MEMORY_BYTES: usize = 256 * 1024;
const MEMORY_PER_INPUT_BYTE: usize = 48;

/// Inputs that are mutated further, and their bytes altogether.
const POOL_INPUTS_MAX: usize = 4_096;
const POOL_BYTES_MAX: usize = 32 << 20;

/// When a run ends.
#[derive(Clone, Copy)]
pub(crate) enum Budget {
    /// After this many inputs.
    Inputs(u64),
    /// After this time.
    Time(Duration),
}

impl Budget {
    pub(crate) fn millis(millis: u64) -> Self {
        Self::Time(Duration::from_millis(millis))
    }
}

/// How a run went.
pub(crate) struct Report {
    target: &'static str,
    inputs: u64,
    outcomes: usize,
    peak_bytes: usize,
}

impl fmt::Display for Report {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        let (target, peak) = (self.target, self.peak_bytes / 1024);
        let (inputs, outcomes) = (self.inputs, self.outcomes);
        write!(
            f,
            "{target}: {inputs} inputs, {outcomes} outcomes, peak {peak} KiB"
        )
    }
}

/// Runs a target on one input, here and now; returns the peak of its memory.
pub(crate) fn one(target: &Target, input: &[u8]) -> Result<usize> {
    (target.prepare)();
    let length = input.len();
    let allowed = MEMORY_BYTES + MEMORY_PER_INPUT_BYTE * length;
    let mut peak = run(target, input)?;
    if peak > allowed {
        // A table of what earlier inputs left may have grown just now. That is not this one's
        // fault, and does not happen twice.
        peak = run(target, input)?;
    }
    if peak > allowed {
        bail!("held {peak} bytes for an input of {length}, expected at most {allowed}");
    }
    Ok(peak)
}

/// The peak of memory of one run.
fn run(target: &Target, input: &[u8]) -> Result<usize> {
    let mut result = Ok(());
    let peak = ALLOCATOR.peak_of(|| {
        result = catch_unwind(AssertUnwindSafe(|| (target.run)(input)));
    });
    if result.is_err() {
        bail!("panicked, see above");
    }
    Ok(peak)
}

/// Runs a target on its corpus and on mutations of it, while watching that it goes on.
pub(crate) fn many(target: &'static Target, seed: u64, budget: Budget) -> Result<Report> {
    let pool = corpus::load(target.name)?;
    // What is being run, so that a hanging input can be kept.
    let current = Arc::new(Mutex::new((0, Vec::new())));
    let (done, waiting) = channel();
    let worker = {
        let current = Arc::clone(&current);
        std::thread::Builder::new()
            .name(target.name.into())
            .spawn(move || {
                let result = work(target, seed, budget, pool, &current);
                // The receiver is gone only after it has reported a hang.
                let _ = done.send(result);
            })
    };
    worker.context("start a thread")?;

    let mut seen = 0;
    loop {
        match waiting.recv_timeout(Duration::from_secs(INPUT_SECONDS_MAX)) {
            Ok(result) => return result,
            Err(RecvTimeoutError::Disconnected) => bail!("the worker ended without a result"),
            Err(RecvTimeoutError::Timeout) => {
                let current = current.lock().unwrap_or_else(PoisonError::into_inner);
                if current.0 == seen {
                    let path = corpus::keep(target.name, &current.1)?;
                    let input = path.display();
                    bail!("no end after {INPUT_SECONDS_MAX} s of one input, kept as {input}");
                }
                seen = current.0;
            }
        }
    }
}

#[expect(
    clippy::disallowed_methods,
    reason = "a developer command on the real clock; the inputs do not depend on it"
)]
fn work(
    target: &Target,
    seed: u64,
    budget: Budget,
    corpus: Vec<Vec<u8>>,
    current: &Mutex<(u64, Vec<u8>)>,
) -> Result<Report> {
    let start = Instant::now();
    // Each target has a sequence of its own, whatever other targets run before it.
    let random = SeededRandom::new(seed ^ targets::digest(target.name.as_bytes()));
    let mut report = Report {
        target: target.name,
        inputs: 0,
        outcomes: 0,
        peak_bytes: 0,
    };
    let mut outcomes = HashSet::new();
    let mut pool: Vec<Vec<u8>> = Vec::new();
    let mut pool_bytes = 0;
    let mut fresh = corpus.into_iter();
    loop {
        let input = fresh.next().unwrap_or_else(|| mutate::next(&pool, &random));
        {
            let mut current = current.lock().unwrap_or_else(PoisonError::into_inner);
            current.0 += 1;
            current.1.clone_from(&input);
        }
        match one(target, &input) {
            Ok(peak) => report.peak_bytes = report.peak_bytes.max(peak),
            Err(error) => {
                let path = corpus::keep(target.name, &input)?;
                return Err(error.context(format!(
                    "seed {seed}, input {}, kept as {}",
                    report.inputs,
                    path.display()
                )));
            }
        }
        report.inputs += 1;
        if outcomes.insert(targets::take_outcome())
            && pool.len() < POOL_INPUTS_MAX
            && pool_bytes + input.len() <= POOL_BYTES_MAX
        {
            pool_bytes += input.len();
            pool.push(input);
        }
        let is_over = match budget {
            Budget::Inputs(count) => report.inputs >= count,
            Budget::Time(time) => start.elapsed() >= time,
        };
        if is_over && fresh.len() == 0 {
            report.outcomes = outcomes.len();
            return Ok(report);
        }
    }
}
