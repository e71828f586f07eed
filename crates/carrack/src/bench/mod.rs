//! The load generator: `carrack bench send|receive|e2e`, against any RocketMQ-compatible server.
//!
//! ```text
//! options.rs   what can be asked                target.rs   topic, brokers, queue offsets
//! pace.rs      when something is due            meter.rs    latencies and counts
//! send.rs  receive.rs  end_to_end.rs            sender.rs   one send, in either protocol
//! machine.rs   where it ran, and CPU times      report.rs   the result, for people and scripts
//! ```
//!
//! At a fixed rate (open loop) a send is due at a time that does not depend on the server, and its
//! latency counts from then: a server that stalls cannot hide it. At the maximum rate (closed loop)
//! each request under way is followed by the next at once.

mod end_to_end;
mod machine;
mod meter;
mod options;
mod pace;
mod receive;
mod report;
mod send;
mod sender;
mod target;

use std::time::Duration;

use tokio::time::Instant;

pub(crate) use options::BenchCommand;
use options::BenchOptions;

use crate::exit::Failure;

/// Measures, and prints the result.
pub(crate) fn run(command: BenchCommand) -> Result<(), Failure> {
    let options = command.options();
    options.check().map_err(Failure::Usage)?;
    let threads = options.threads;
    let mut runtime = if threads == 1 {
        tokio::runtime::Builder::new_current_thread()
    } else {
        tokio::runtime::Builder::new_multi_thread()
    };
    if threads > 1 {
        runtime.worker_threads(threads);
    }
    let runtime = runtime.enable_all().build()?;
    let result = runtime.block_on(async {
        match command {
            BenchCommand::Send(options) => send::run(options).await,
            BenchCommand::Receive(options) => receive::run(options).await,
            BenchCommand::E2e(options) => end_to_end::run(options).await,
        }
    });
    runtime.shutdown_background();
    result
}

/// The times of a run.
#[derive(Clone, Copy, Debug)]
pub(super) struct Span {
    /// When load begins.
    pub(super) start: Instant,
    /// From when on it is measured.
    pub(super) measured: Instant,
    /// When it ends.
    pub(super) end: Instant,
}

impl Span {
    /// A run that begins now.
    fn from_now(options: &BenchOptions) -> Self {
        let start = Instant::now();
        let measured = start + Duration::from_secs_f64(options.warmup);
        Self {
            start,
            measured,
            end: measured + Duration::from_secs_f64(options.duration),
        }
    }

    /// Seconds that are measured.
    fn seconds(&self) -> f64 {
        (self.end - self.measured).as_secs_f64()
    }
}

/// Waits for a time. To the ms, as tokio's timer has it; where more is needed, see [`pace`].
pub(super) async fn wait_until(time: Instant) {
    tokio::time::sleep_until(time).await;
}
