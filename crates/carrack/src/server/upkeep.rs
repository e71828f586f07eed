//! What keeps the shards going beside requests: a thread for checkpoints and retention, and a task
//! per shard that releases held messages when they are due.

use std::{
    io,
    sync::{
        Arc,
        mpsc::{self, RecvTimeoutError, Sender},
    },
    thread::JoinHandle,
    time::Duration,
};

use base::Clock;
use broker::{Retention, Shard};
use tokio::runtime::Handle;

use super::node::Node;
use crate::config::Settings;

/// How often it is looked whether so much has gathered that a checkpoint should not wait.
const LOOK_INTERVAL: Duration = Duration::from_millis(250);

/// How often messages past their retention are given back.
const RETENTION_INTERVAL: Duration = Duration::from_secs(60);

/// The running thread.
pub(super) struct Upkeep {
    stop: Sender<()>,
    thread: JoinHandle<()>,
}

impl Upkeep {
    /// Starts the thread. To be called within the runtime, which retention waits in.
    pub(super) fn start(
        node: &Node,
        settings: &Settings,
        clock: Arc<dyn Clock>,
    ) -> io::Result<Self> {
        let worker = Worker {
            shards: node.shards().to_vec(),
            runtime: Handle::current(),
            clock,
            checkpoint_interval: Duration::from_millis(settings.checkpoint_interval_ms),
            retention: Retention {
                time: Duration::from_secs(settings.retention_hours * 3_600),
                bytes: settings.retention_bytes_max,
            },
        };
        for shard in &worker.shards {
            let shard = Arc::clone(shard);
            // It ends when the shard drains.
            tokio::spawn(async move {
                let _guard = AbortOnPanic;
                shard.release_held().await;
            });
        }
        let (stop, stopped) = mpsc::channel();
        let thread = std::thread::Builder::new()
            .name("upkeep".to_owned())
            .spawn(move || {
                let _guard = AbortOnPanic;
                worker.run(&stopped);
            })?;
        Ok(Self { stop, thread })
    }

    /// Ends the thread after what it is doing.
    pub(super) fn stop(self) {
        drop(self.stop);
        self.thread
            .join()
            .expect("a panic there has ended the process");
    }
}

/// Ends the process when such a thread or task panics: without checkpoints the log and the state in
/// memory would grow for ever, and without releases timed messages would never come, unnoticed. The
/// next start replays the log.
struct AbortOnPanic;

impl Drop for AbortOnPanic {
    fn drop(&mut self) {
        if std::thread::panicking() {
            tracing::error!("upkeep panicked, ending the process");
            std::process::abort();
        }
    }
}

struct Worker {
    shards: Vec<Arc<Shard>>,
    runtime: Handle,
    clock: Arc<dyn Clock>,
    checkpoint_interval: Duration,
    retention: Retention,
}

impl Worker {
    fn run(self, stopped: &mpsc::Receiver<()>) {
        let look_interval = LOOK_INTERVAL.min(self.checkpoint_interval);
        let (mut checkpoint_at, mut retain_at) = (
            self.clock.elapsed() + self.checkpoint_interval,
            self.clock.elapsed(),
        );
        while stopped.recv_timeout(look_interval) == Err(RecvTimeoutError::Timeout) {
            let now = self.clock.elapsed();
            let is_turn = now >= checkpoint_at;
            for shard in &self.shards {
                if is_turn || shard.checkpoint_is_due() {
                    checkpoint(shard);
                }
            }
            if is_turn {
                checkpoint_at = now + self.checkpoint_interval;
            }
            if now >= retain_at {
                retain_at = now + RETENTION_INTERVAL;
                for shard in &self.shards {
                    self.retain(shard);
                }
            }
        }
    }

    fn retain(&self, shard: &Shard) {
        match self.runtime.block_on(shard.retain(self.retention)) {
            Ok(trimmed) if trimmed.bytes > 0 => tracing::info!(
                shard = %shard.id(),
                start = %trimmed.start,
                bytes = trimmed.bytes,
                "old messages removed"
            ),
            Ok(_) => {}
            Err(error) => {
                tracing::error!(shard = %shard.id(), error = ?error, "remove old messages")
            }
        }
    }
}

fn checkpoint(shard: &Shard) {
    match shard.checkpoint() {
        Ok(position) => tracing::debug!(shard = %shard.id(), %position, "checkpoint written"),
        // Nothing is lost: the log has it still, and the next turn tries again.
        Err(error) => tracing::error!(shard = %shard.id(), error = ?error, "write checkpoint"),
    }
}
