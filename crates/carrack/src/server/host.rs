//! The parts of instances that are files and tasks: the log of a shard, its place in the state, who
//! commits it, and the task that releases its held messages.

use std::{collections::BTreeMap, fs, sync::Arc, time::Duration};

use anyhow::Context;
use base::{Clock, InstanceId, Random, ShardId};
use broker::{
    HostError, Instance, InstanceHost, InstancePart, InstanceSettings, InstanceToOpen, Shard,
    ShardParts, ShardState,
};
use futures::future::BoxFuture;
use parking_lot::Mutex;
use store::{
    fs::{FolderDisk, remove_folder},
    kv::{FjallDatabase, FjallKv, StateKv},
    log::local::{Committer, LocalLog, LocalLogOptions},
    meta::MetadataStore,
};
use tokio::runtime::Handle;

use super::{data::DataFolder, upkeep::AbortOnPanic};
use crate::config::Settings;

/// Longest time that an append nobody waits for stays in memory.
const RIDE_DELAY: Duration = Duration::from_millis(20);

/// What the parts of all instances are made from.
pub(super) struct HostParts {
    pub(super) data: Arc<DataFolder>,
    /// The one shard that an instance has at this node.
    pub(super) shard: ShardId,
    pub(super) metadata: Arc<dyn MetadataStore>,
    pub(super) state: Arc<FjallDatabase>,
    pub(super) committer: Committer,
    pub(super) clock: Arc<dyn Clock>,
    pub(super) random: Arc<dyn Random>,
    /// Settings of every instance; the series of each is its own.
    pub(super) settings: InstanceSettings,
    pub(super) log: LocalLogOptions,
}

/// The instances that are open.
pub(super) struct Host {
    inner: Arc<Inner>,
    /// Where the tasks run.
    runtime: Handle,
}

struct Inner {
    parts: HostParts,
    /// `None` once the server has closed.
    open: Mutex<Option<BTreeMap<InstanceId, Open>>>,
}

struct Open {
    shard: Arc<Shard>,
    log: Arc<LocalLog>,
    kv: Arc<FjallKv>,
}

/// How a log uses memory and disk.
pub(super) fn log_options(settings: &Settings) -> LocalLogOptions {
    LocalLogOptions {
        segment_bytes_min: settings.segment_bytes_min,
        segment_bytes_max: settings.segment_bytes_max,
        pending_bytes_max: settings.pending_bytes_max,
        recent_bytes_max: settings.recent_bytes_max,
        ride_delay: RIDE_DELAY,
    }
}

impl Host {
    /// A host of no instances. To be called within the runtime, which its tasks run in.
    pub(super) fn new(parts: HostParts) -> Self {
        Self {
            inner: Arc::new(Inner {
                parts,
                open: Mutex::new(Some(BTreeMap::new())),
            }),
            runtime: Handle::current(),
        }
    }

    /// Makes everything durable and writes last checkpoints, so that the next start replays
    /// nothing. No instance is opened any more.
    pub(super) fn close(&self) {
        let open = self.inner.open.lock().take();
        self.inner.parts.committer.stop();
        for (instance, Open { shard, .. }) in open.into_iter().flatten() {
            let id = shard.id();
            match shard.checkpoint() {
                Ok(position) => {
                    tracing::info!(%instance, shard = %id, %position, "last checkpoint written");
                }
                // The log has everything: the next start replays it.
                Err(error) => {
                    tracing::error!(
                        %instance, shard = %id, error = ?error, "write last checkpoint"
                    );
                }
            }
        }
    }

    /// Does what waits for the disk in a thread for that.
    async fn blocking<T: Send + 'static>(
        runtime: Handle,
        work: impl FnOnce() -> anyhow::Result<T> + Send + 'static,
    ) -> Result<T, HostError> {
        let done = runtime.spawn_blocking(work).await;
        done.map_err(HostError::from)?.map_err(HostError::from)
    }
}

impl InstanceHost for Host {
    fn open(
        &self,
        opening: InstanceToOpen,
    ) -> BoxFuture<'static, Result<Arc<Instance>, HostError>> {
        let (inner, runtime) = (Arc::clone(&self.inner), self.runtime.clone());
        Box::pin(async move {
            let parts = &inner.parts;
            let part = opening.part;
            let settings = settings_of(&opening, &parts.settings);
            let (metadata, clock) = (Arc::clone(&parts.metadata), Arc::clone(&parts.clock));
            let opened = Instance::open(opening.id, settings, metadata, clock);
            let instance = opened.await.context("read topics and groups")?;
            if part == InstancePart::Metadata {
                return Ok(instance);
            }
            let opening = {
                let instance = Arc::clone(&instance);
                move || inner.open_shard(&instance)
            };
            let shard = Self::blocking(runtime.clone(), opening).await?;
            // It ends when the shard drains.
            runtime.spawn(async move {
                let _guard = AbortOnPanic;
                shard.release_held().await;
            });
            Ok(instance)
        })
    }

    fn remove(&self, id: InstanceId) -> BoxFuture<'static, Result<(), HostError>> {
        let inner = Arc::clone(&self.inner);
        let removing = move || inner.remove(&id);
        Box::pin(Self::blocking(self.runtime.clone(), removing))
    }

    fn stored(&self) -> Result<Vec<InstanceId>, HostError> {
        self.inner.parts.data.stored().map_err(HostError::from)
    }

    fn spawn(&self, work: BoxFuture<'static, ()>) {
        self.runtime.spawn(work);
    }
}

/// The settings of an instance, of which some are its own.
pub(super) fn settings_of(opening: &InstanceToOpen, of_all: &InstanceSettings) -> InstanceSettings {
    InstanceSettings {
        series: opening.series,
        has_own_nodes: opening.has_own_nodes,
        ..of_all.clone()
    }
}

impl Inner {
    fn open_shard(&self, instance: &Instance) -> anyhow::Result<Arc<Shard>> {
        let parts = &self.parts;
        let folder = parts.data.log(instance.id(), parts.shard);
        if let Some(parent) = folder.parent() {
            fs::create_dir_all(parent)
                .with_context(|| format!("create folder `{}`", parent.display()))?;
        }
        let kv = parts.state.shard_of(instance.id(), parts.shard);
        let kv = Arc::new(kv.context("open state")?);
        let disk = FolderDisk::open(&folder)?;
        let opening = || format!("open log in `{}`", folder.display());
        let mut state =
            ShardState::open(Arc::clone(&kv) as Arc<dyn StateKv>).context("read state")?;
        let from = state.replay_from();
        let (log, recovery) = LocalLog::open(
            disk,
            parts.shard,
            parts.log.clone(),
            Arc::clone(&parts.clock),
            from,
            &mut |record| state.replay(&record),
        )
        .with_context(opening)?;
        tracing::info!(
            instance = %instance.id(),
            shard = %parts.shard,
            start = %recovery.start,
            end = %recovery.end,
            checkpoint = %from,
            replayed = state.replayed(),
            epoch = recovery.epoch,
            cut_bytes = recovery.cut_bytes,
            "log opened"
        );
        let shard = instance.add_shard(ShardParts {
            id: parts.shard,
            log: Arc::clone(&log) as _,
            state,
            clock: Arc::clone(&parts.clock),
            random: Arc::clone(&parts.random),
        });
        let shard = shard.with_context(opening)?;
        log.observe(Arc::downgrade(&shard.observer()));
        let mut open = self.open.lock();
        let Some(open) = &mut *open else {
            anyhow::bail!("server is stopping");
        };
        parts.committer.register(&log);
        let own = Arc::clone(&shard);
        open.insert(instance.id().clone(), Open { shard, log, kv });
        Ok(own)
    }

    fn remove(&self, id: &InstanceId) -> anyhow::Result<()> {
        let open = match &mut *self.open.lock() {
            // What is closed is not written any more, and the next start removes it.
            None => anyhow::bail!("server is stopping"),
            Some(open) => open.remove(id),
        };
        let parts = &self.parts;
        match open {
            Some(Open { shard, log, kv }) => {
                shard.drain();
                log.close();
                parts.committer.unregister(&log);
                kv.remove().context("remove state")?;
            }
            None => parts
                .state
                .remove(id, parts.shard)
                .context("remove state")?,
        }
        let folder = parts.data.instance(id);
        remove_folder(&folder).with_context(|| format!("remove folder `{}`", folder.display()))
    }
}
