//! What keeps the shards going beside requests: a thread for checkpoints and retention. It asks for
//! the instances in each turn, as they come and go.

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
use broker::{Instance, Instances, Retention, Router, Shard};
use tokio::runtime::Handle;

use super::node::Node;
use crate::config::Settings;

/// How often it is looked whether so much has gathered that a checkpoint should not wait, or so
/// much lies idle that it should leave.
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
            router: node.router(),
            instances: node.instances(),
            runtime: Handle::current(),
            clock,
            checkpoint_interval: Duration::from_millis(settings.checkpoint_interval_ms),
            retention: Retention {
                time: Duration::from_secs(settings.retention_hours * 3_600),
                bytes: settings.retention_bytes_max,
            },
        };
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
pub(super) struct AbortOnPanic;

impl Drop for AbortOnPanic {
    fn drop(&mut self) {
        if std::thread::panicking() {
            tracing::error!("upkeep panicked, ending the process");
            std::process::abort();
        }
    }
}

struct Worker {
    router: Arc<Router>,
    instances: Arc<Instances>,
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
            self.for_all(|instance, shard| {
                if is_turn || shard.checkpoint_is_due() {
                    self.checkpoint(instance, shard);
                } else {
                    shard.forget_idle_lite_topics();
                }
            });
            for instance in self.router.instances() {
                instance.look_at_storage();
            }
            if is_turn {
                checkpoint_at = now + self.checkpoint_interval;
            }
            if now >= retain_at {
                retain_at = now + RETENTION_INTERVAL;
                self.for_all(|instance, shard| self.retain(instance, shard));
                self.runtime.block_on(self.instances.keep_subscriptions());
                self.runtime.block_on(self.instances.keep_usage());
                self.runtime.block_on(self.instances.keep_growth());
                self.runtime.block_on(self.instances.keep_inspections());
            }
        }
    }

    fn for_all(&self, act: impl Fn(&Instance, &Shard)) {
        for instance in self.router.instances() {
            for shard in instance.shards() {
                act(&instance, &shard);
            }
        }
    }

    /// Whether what fails for an instance is worth a word: not if it has been deleted meanwhile.
    fn is_served(&self, instance: &Instance) -> bool {
        self.router.instance(instance.id()).is_ok()
    }

    fn retain(&self, instance: &Instance, shard: &Shard) {
        let mut retention = self.retention;
        retention.time = instance.planned_retention().unwrap_or(retention.time);
        match self.runtime.block_on(shard.retain(retention)) {
            Ok(trimmed) if trimmed.bytes > 0 => tracing::info!(
                instance = %instance.id(),
                shard = %shard.id(),
                start = %trimmed.start,
                bytes = trimmed.bytes,
                "old messages removed"
            ),
            Ok(_) => {}
            Err(error) if self.is_served(instance) => {
                let (instance, shard) = (instance.id(), shard.id());
                tracing::error!(%instance, %shard, error = ?error, "remove old messages");
            }
            Err(_) => {}
        }
    }

    fn checkpoint(&self, instance: &Instance, shard: &Shard) {
        let (id, written) = (shard.id(), shard.checkpoint());
        let instance_id = instance.id();
        match written {
            Ok(position) => {
                tracing::debug!(instance = %instance_id, shard = %id, %position, "checkpoint");
            }
            // Nothing is lost: the log has it still, and the next turn tries again.
            Err(error) if self.is_served(instance) => {
                let instance = instance_id;
                tracing::error!(%instance, shard = %id, error = ?error, "write checkpoint");
            }
            Err(_) => {}
        }
    }
}
