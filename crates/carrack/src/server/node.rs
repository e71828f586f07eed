//! The core of the server, opened from the data folder: metadata, state, logs, instance, shards.

use std::{fs, sync::Arc, time::Duration};

use anyhow::Context;
use base::{Clock, InstanceId, Random, ShardId};
use broker::{Instance, InstanceSettings, Router, Shard, ShardParts, ShardState};
use store::{
    fs::FolderDisk,
    kv::{FjallDatabase, StateKv},
    log::local::{Committer, LocalLog, LocalLogOptions},
    meta::{EmbeddedMetadata, MetadataStore},
};

use super::{data::DataFolder, random, series};
use crate::config::Settings;

/// Longest time that an append nobody waits for stays in memory.
const RIDE_DELAY: Duration = Duration::from_millis(20);

/// The one shard that an instance has on a single machine.
const SHARD: ShardId = ShardId::new(0);

/// Everything below the front ends.
pub(super) struct Node {
    router: Arc<Router>,
    shards: Vec<Arc<Shard>>,
    committer: Committer,
}

impl Node {
    /// Opens what the data folder holds, or begins anew in an empty one.
    pub(super) async fn open(
        settings: &Settings,
        data: &DataFolder,
        clock: Arc<dyn Clock>,
        is_loopback_only: bool,
    ) -> anyhow::Result<Self> {
        let metadata_disk = FolderDisk::open(&data.metadata())?;
        let metadata: Arc<dyn MetadataStore> =
            EmbeddedMetadata::open(metadata_disk, Arc::clone(&clock)).context("open metadata")?;
        let state = FjallDatabase::open(&data.state()).context("open state")?;
        let committer =
            Committer::start("committer", Arc::clone(&clock)).context("start thread")?;

        let instance_settings = InstanceSettings {
            create_automatically: settings.create_automatically.unwrap_or(is_loopback_only),
            automatic_queues: u32::try_from(settings.automatic_queues)
                .context("setting `automatic_queues`")?,
            delay_ms_max: settings.delay_hours_max * 3_600 * 1_000,
            transaction_timeout_ms: settings.transaction_timeout_ms,
            transaction_check_interval_ms: settings.transaction_check_interval_ms,
            transaction_checks_max: u32::try_from(settings.transaction_check_max)
                .context("setting `transaction_check_max`")?,
            access_control: settings.access_control,
            series: series(settings.series),
            ..InstanceSettings::default()
        };
        let id = InstanceId::default_instance();
        let instance = Instance::open(id, instance_settings, metadata, Arc::clone(&clock))
            .await
            .context("read topics and groups")?;
        let random: Arc<dyn Random> = Arc::new(random::from_system().context("read random seed")?);
        let kv: Arc<dyn StateKv> = Arc::new(state.shard(SHARD).context("open state")?);
        let shard = open_shard(settings, data, &instance, kv, &committer, clock, random)?;

        let router = Arc::new(Router::default());
        router.add(instance);
        Ok(Self {
            router,
            shards: vec![shard],
            committer,
        })
    }

    /// The way into the core for front ends.
    pub(super) fn router(&self) -> Arc<Router> {
        Arc::clone(&self.router)
    }

    /// The shards that run here.
    pub(super) fn shards(&self) -> &[Arc<Shard>] {
        &self.shards
    }

    /// Hands out nothing more; what clients have begun may be finished.
    pub(super) fn drain(&self) {
        for shard in &self.shards {
            shard.drain();
        }
    }

    /// Makes everything durable and writes a last checkpoint, so that the next start replays
    /// nothing.
    pub(super) fn close(self) {
        self.committer.stop();
        for shard in &self.shards {
            match shard.checkpoint() {
                Ok(position) => {
                    tracing::info!(shard = %shard.id(), %position, "last checkpoint written");
                }
                // The log has everything: the next start replays it.
                Err(error) => {
                    tracing::error!(shard = %shard.id(), error = ?error, "write last checkpoint");
                }
            }
        }
    }
}

fn open_shard(
    settings: &Settings,
    data: &DataFolder,
    instance: &Instance,
    kv: Arc<dyn StateKv>,
    committer: &Committer,
    clock: Arc<dyn Clock>,
    random: Arc<dyn Random>,
) -> anyhow::Result<Arc<Shard>> {
    let folder = data.log(instance.id(), SHARD);
    if let Some(parent) = folder.parent() {
        fs::create_dir_all(parent)
            .with_context(|| format!("create folder `{}`", parent.display()))?;
    }
    let disk = FolderDisk::open(&folder)?;
    let options = LocalLogOptions {
        segment_bytes_min: settings.segment_bytes_min,
        segment_bytes_max: settings.segment_bytes_max,
        pending_bytes_max: settings.pending_bytes_max,
        recent_bytes_max: settings.recent_bytes_max,
        ride_delay: RIDE_DELAY,
    };
    let opening = || format!("open log in `{}`", folder.display());
    let mut state = ShardState::open(kv).context("read state")?;
    let from = state.replay_from();
    let (log, recovery) = LocalLog::open(
        disk,
        SHARD,
        options,
        Arc::clone(&clock),
        from,
        &mut |record| state.replay(&record),
    )
    .with_context(opening)?;
    tracing::info!(
        shard = %SHARD,
        start = %recovery.start,
        end = %recovery.end,
        checkpoint = %from,
        replayed = state.replayed(),
        epoch = recovery.epoch,
        cut_bytes = recovery.cut_bytes,
        "log opened"
    );
    let parts = ShardParts {
        id: SHARD,
        log: Arc::clone(&log) as _,
        state,
        clock,
        random,
    };
    let shard = instance.add_shard(parts).with_context(opening)?;
    log.observe(Arc::downgrade(&shard.observer()));
    committer.register(&log);
    Ok(shard)
}
