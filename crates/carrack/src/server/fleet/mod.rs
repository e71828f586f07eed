//! `carrack fleet`: a server without messages that runs the nodes which have them, and the etcd
//! that they share.
//!
//! ```text
//! lock, format              as in the data folder of a server
//! fleet                     says that this is one of a fleet
//! etcd/                     the etcd that is run here, unless another one is named
//! nodes/<name>/             a node: its settings, its data folder, what it writes
//! releases/                 binaries
//! tls/                      the certificate made on the first start
//! ```
//!
//! Nodes and etcd are processes that outlive this one: what a start finds running it leaves alone.

mod calls;
mod cluster;
mod core;
mod flags;
mod host;
mod orders;
mod places;
mod run_nodes;
mod shared_nodes;

use std::{fs, path::Path, sync::Arc, time::Duration};

use anyhow::Context as _;
use base::Clock;
use control::{Control, OwnEtcd, Zone};
use gateway::Front;
use store::meta::MetadataStore;

pub(crate) use self::flags::FleetFlags;
use self::{core::Core, run_nodes::RunNodes};
use super::{
    addresses::Addresses, administrator, clock::SystemClock, cluster as shared, data::DataFolder,
    front_settings, log, raise_open_files_limit, runtime, signals, surroundings, tls,
};
use crate::{
    admin,
    config::{self, Settings},
    exit::Failure,
    version,
};

/// How long an etcd that was just started may take to serve.
const ETCD_SECONDS_MAX: u64 = 60;

/// Runs the fleet until it is told to stop.
pub(crate) fn run(flags: &FleetFlags) -> Result<(), Failure> {
    let environment = |name: &str| std::env::var(name).ok();
    let settings = config::load(&flags.server, environment);
    let mut settings = settings.map_err(|error| Failure::Usage(error.into()))?;
    for (name, set) in [
        ("node_name", settings.node_name.is_some()),
        ("node_instance", settings.node_instance.is_some()),
    ] {
        if set {
            let error = anyhow::anyhow!("setting `{name}` is for servers, a fleet is no node");
            return Err(Failure::Usage(error));
        }
    }
    let zone = Zone::new(&flags.options.time_zone).context("flag --time-zone");
    let zone = zone.map_err(Failure::Usage)?;
    let addresses = Addresses::of(&settings).map_err(Failure::Usage)?;
    // Nodes are found by the path of their folders.
    fs::create_dir_all(&settings.data).with_context(|| {
        let data = settings.data.display();
        format!("make data folder `{data}`")
    })?;
    settings.data = fs::canonicalize(&settings.data).context("find data folder")?;
    let change_log_level = log::start(settings.log_level, settings.log_format);
    raise_open_files_limit();
    let runtime = runtime(&settings)?;
    let fleet = Fleet {
        settings,
        addresses,
        flags: flags.clone(),
        zone,
    };
    let served = runtime.block_on(async {
        if flags.options.halt {
            return fleet.halt().await;
        }
        fleet.serve(change_log_level).await
    });
    runtime.shutdown_background();
    served
}

struct Fleet {
    settings: Settings,
    addresses: Addresses,
    flags: FleetFlags,
    zone: Zone,
}

impl Fleet {
    async fn halt(self) -> Result<(), Failure> {
        let clock = SystemClock::start();
        let version = version::own().context("read version of this build")?;
        let _data = DataFolder::open_fleet(&self.settings.data, version)?;
        let stopped = control::halt(&self.settings.data, &clock).await?;
        admin::print(&format!("{stopped} processes stopped\n"))?;
        Ok(())
    }

    async fn serve(
        self,
        change_log_level: impl Fn(tracing::level_filters::LevelFilter) + Send + Sync + 'static,
    ) -> Result<(), Failure> {
        let mut stop = signals::StopSignals::listen().context("listen for signals")?;
        let clock: Arc<dyn Clock> = Arc::new(SystemClock::start());
        let began = clock.elapsed();
        let version = version::own().context("read version of this build")?;
        let settings = &self.settings;
        let data = DataFolder::open_fleet(&settings.data, version)?;
        let own_etcd = self.own_etcd(version, &*clock).await?;
        let etcd = own_etcd.as_ref().map(|etcd| etcd.endpoint().to_owned());
        let etcd = etcd.or_else(|| settings.etcd.clone()).unwrap_or_default();
        let metadata = shared::shared_metadata(settings, &etcd, &clock)?;
        answers(&*metadata, &*clock).await?;
        let core = Core::open(&self, Arc::clone(&metadata), Arc::clone(&clock)).await?;
        let made_up = administrator::ensure(settings, &core.router, true).await?;
        let runner = RunNodes::open(&self, &core, version, &etcd).await?;

        let front_settings = front_settings(settings, &self.addresses)?;
        let front = Front::new(Arc::clone(&core.router), Arc::clone(&clock), front_settings);
        let front = front.with_instances(Arc::clone(&core.instances));
        let front = front.with_nodes(Some(Arc::clone(&core.nodes)));
        let front = front.with_version(version::VERSION);
        let front = front.with_surroundings(surroundings(settings));
        let front = front.with_signed_openapi();
        let front = Arc::new(front.with_control(Arc::new(Control {
            catalogue: Arc::clone(&runner.catalogue),
            rollout: Arc::clone(&runner.rollout),
            version,
        })));
        front.on_log_level(change_log_level);
        let listen = self.addresses.listen.clone();
        let opened = gateway::serve(front, listen, tls(settings, &self.addresses)).await;
        let running = opened.map_err(|error| Failure::Refused(error.into()))?;
        core.follow();
        // The nodes are started beside what follows: instances can be ordered meanwhile.
        let upkeep = tokio::spawn(runner.keep(own_etcd, Arc::clone(&core.instances)));
        let after_ms = clock.elapsed().saturating_sub(began).as_millis() as u64;
        tracing::info!(
            data = %settings.data.display(),
            addresses = ?running.addresses(),
            etcd,
            after_ms,
            version = version::VERSION,
            "ready"
        );
        let addresses = running.addresses().iter();
        let ready: String = addresses.map(|address| format!(" {address}")).collect();
        admin::print(&format!("ready{ready}\n"))?;
        if let Some(made_up) = made_up {
            admin::print(&made_up.announcement())?;
        }

        let signal = stop.first().await;
        tracing::info!(
            signal,
            "stopping, nodes go on; a second signal ends the process at once"
        );
        stop.exit_at_the_next();
        upkeep.abort();
        let limit = Duration::from_secs(settings.drain_seconds_max);
        let drained = running.drain(limit).await;
        tracing::info!(connections_cut = drained.cut, "stopped");
        drop(data);
        Ok(())
    }

    /// The etcd of the data folder, unless the settings name another one.
    async fn own_etcd(
        &self,
        version: control::Version,
        clock: &dyn Clock,
    ) -> Result<Option<OwnEtcd>, Failure> {
        if self.settings.etcd.is_some() {
            return Ok(None);
        }
        let folder = self.settings.data.join("etcd");
        let path = std::env::var_os("PATH").unwrap_or_default();
        let etcd = OwnEtcd::open(&path, &folder, &folder.join("log"), version);
        let etcd = etcd.map_err(anyhow::Error::from)?;
        etcd.keep_running(clock)
            .await
            .map_err(anyhow::Error::from)?;
        Ok(Some(etcd))
    }

    /// Where nodes listen: the host of the first address of the fleet's own.
    fn node_host(&self) -> &str {
        let first = self.addresses.listen.first();
        first.map_or("127.0.0.1", |address| address.host.as_str())
    }

    fn data(&self, name: &str) -> std::path::PathBuf {
        Path::new(&self.settings.data).join(name)
    }
}

/// Waits until the metadata can be read, for a bounded time.
async fn answers(metadata: &dyn MetadataStore, clock: &dyn Clock) -> anyhow::Result<()> {
    let limit = Duration::from_secs(ETCD_SECONDS_MAX);
    let began = clock.elapsed();
    loop {
        match metadata.get("account").await {
            Ok(_) => return Ok(()),
            Err(error) if clock.elapsed().saturating_sub(began) >= limit => {
                return Err(error).context("read metadata from etcd");
            }
            Err(_) => clock.sleep(Duration::from_millis(100)).await,
        }
    }
}
