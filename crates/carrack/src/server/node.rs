//! The core of the server, opened from the data folder: metadata, state, and all instances.

use std::sync::Arc;

use anyhow::Context;
use base::{Clock, Random, ShardId};
use broker::{InstanceHost, InstanceSettings, Instances, InstancesParts, Nodes, Router};
use store::{
    fs::FolderDisk,
    kv::FjallDatabase,
    log::local::Committer,
    meta::{EmbeddedMetadata, MetadataStore},
};

use super::{
    cluster::{self, Cluster},
    data::DataFolder,
    host::{Host, HostParts, log_options},
    random, series,
};
use crate::config::Settings;

/// Everything below the front ends.
pub(super) struct Node {
    router: Arc<Router>,
    instances: Arc<Instances>,
    host: Arc<Host>,
    nodes: Option<Arc<Nodes>>,
}

impl Node {
    /// Opens what the data folder holds, or begins anew in an empty one.
    pub(super) async fn open(
        settings: &Settings,
        data: DataFolder,
        clock: Arc<dyn Clock>,
        is_loopback_only: bool,
    ) -> anyhow::Result<Self> {
        let cluster = Cluster::join(settings, &data, &clock).await?;
        let (metadata, nodes) = match cluster {
            Some(Cluster { metadata, nodes }) => (metadata, Some(nodes)),
            None => (embedded(&data, &clock)?, None),
        };
        let number = nodes.as_ref().and_then(|nodes| nodes.number());
        let state = FjallDatabase::open(&data.state()).context("open state")?;
        let runtime = Some(tokio::runtime::Handle::current());
        let committer = Committer::start("committer", Arc::clone(&clock), runtime);
        let committer = committer.context("start thread")?;
        let random: Arc<dyn Random> = Arc::new(random::from_system().context("read random seed")?);
        let router = Arc::new(Router::default());
        let host = Arc::new(Host::new(HostParts {
            data: Arc::new(data),
            shard: number.unwrap_or(ShardId::new(0)),
            metadata: Arc::clone(&metadata),
            state,
            committer,
            clock: Arc::clone(&clock),
            random: Arc::clone(&random),
            settings: instance_settings(settings, is_loopback_only)?,
            log: log_options(settings),
        }));
        let instances = Instances::open(InstancesParts {
            metadata,
            router: Arc::clone(&router),
            host: Arc::clone(&host) as Arc<dyn InstanceHost>,
            clock,
            random,
            default_series: series(settings.series),
            series_4_created: settings.series_4_created,
            node: number,
            serves: cluster::serves(settings)?,
        })
        .await?;
        if let Some(nodes) = &nodes {
            // Before anybody can ask for anything that is not to be done.
            nodes.apply(&router);
            tokio::spawn(Arc::clone(&instances).follow());
        }
        Ok(Self {
            router,
            instances,
            host,
            nodes,
        })
    }

    /// The nodes of its cluster, if it is in one.
    pub(super) fn nodes(&self) -> Option<Arc<Nodes>> {
        self.nodes.clone()
    }

    /// The way into the core for front ends.
    pub(super) fn router(&self) -> Arc<Router> {
        Arc::clone(&self.router)
    }

    /// Which instances there are, and their life.
    pub(super) fn instances(&self) -> Arc<Instances> {
        Arc::clone(&self.instances)
    }

    /// Hands out nothing more; what clients have begun may be finished.
    pub(super) fn drain(&self) {
        for instance in self.router.instances() {
            for shard in instance.shards() {
                shard.drain();
            }
        }
    }

    /// Makes everything durable and writes last checkpoints, so that the next start replays
    /// nothing.
    pub(super) fn close(self) {
        self.host.close();
    }
}

/// The metadata of a server on its own.
fn embedded(data: &DataFolder, clock: &Arc<dyn Clock>) -> anyhow::Result<Arc<dyn MetadataStore>> {
    let disk = FolderDisk::open(&data.metadata())?;
    let opened = EmbeddedMetadata::open(disk, Arc::clone(clock));
    Ok(opened.context("open metadata")?)
}

/// What every instance is set to; its series is its own.
pub(super) fn instance_settings(
    settings: &Settings,
    is_loopback_only: bool,
) -> anyhow::Result<InstanceSettings> {
    Ok(InstanceSettings {
        create_automatically: settings.create_automatically.unwrap_or(is_loopback_only),
        unit_bytes: settings.unit_bytes,
        automatic_queues: u32::try_from(settings.automatic_queues)
            .context("setting `automatic_queues`")?,
        delay_ms_max: settings.delay_hours_max * 3_600 * 1_000,
        transaction_timeout_ms: settings.transaction_timeout_ms,
        transaction_check_interval_ms: settings.transaction_check_interval_ms,
        transaction_checks_max: u32::try_from(settings.transaction_check_max)
            .context("setting `transaction_check_max`")?,
        access_control: settings.access_control,
        ..InstanceSettings::default()
    })
}
