//! `carrack server`: puts clock, disk, store, broker and front ends together, and takes them apart
//! in order when told to stop.

mod addresses;
mod administrator;
mod clock;
mod cluster;
mod data;
pub(crate) mod fleet;
mod host;
mod log;
mod node;
mod random;
mod signals;
mod spans;
mod upkeep;

use std::{num::NonZero, sync::Arc, time::Duration};

use anyhow::Context;
use base::{Clock, InstanceId};
use gateway::{DiskSpace, Front, FrontSettings, Series, Surroundings, TlsSetup};
use rustix::process::{Resource, Rlimit, getrlimit, setrlimit};
use tracing::level_filters::LevelFilter;

pub(crate) use self::clock::SystemClock;
use self::{
    addresses::Addresses, cluster::Cluster, data::DataFolder, node::Node, spans::Endpoint,
    upkeep::Upkeep,
};
use crate::{
    admin,
    config::{self, SeriesName, ServerFlags, Settings},
    exit::Failure,
    version,
};

/// How long the last spans may take to reach their collector.
const LAST_SPANS: Duration = Duration::from_secs(2);

/// Runs the server until it is told to stop.
pub(crate) fn run(flags: &ServerFlags) -> Result<(), Failure> {
    let environment = |name: &str| std::env::var(name).ok();
    let settings =
        config::load(flags, environment).map_err(|error| Failure::Usage(error.into()))?;
    let addresses = Addresses::of(&settings).map_err(Failure::Usage)?;
    cluster::check(&settings, &addresses).map_err(Failure::Usage)?;
    let spans = settings.spans_endpoint.as_deref().map(Endpoint::read);
    let spans = spans.transpose().map_err(Failure::Usage)?;
    let change_log_level = log::start(settings.log_level, settings.log_format);
    raise_open_files_limit();

    let runtime = runtime(&settings)?;
    let served = runtime.block_on(serve(&settings, addresses, spans, change_log_level));
    // Reads of the disk that are still under way serve nobody any more.
    runtime.shutdown_background();
    served
}

/// The threads that serve requests.
fn runtime(settings: &Settings) -> anyhow::Result<tokio::runtime::Runtime> {
    let mut runtime = tokio::runtime::Builder::new_multi_thread();
    if let Some(threads) = settings.worker_threads {
        runtime.worker_threads(usize::try_from(threads).unwrap_or(1));
    }
    let runtime = runtime.enable_all().thread_name("worker").build();
    runtime.context("start threads")
}

/// Raises the number of open files to what the system allows this process: each connection is one,
/// and many systems begin with 1,024.
fn raise_open_files_limit() {
    let limit = getrlimit(Resource::Nofile);
    if limit.current == limit.maximum {
        return;
    }
    let raised = Rlimit {
        current: limit.maximum,
        maximum: limit.maximum,
    };
    if let Err(error) = setrlimit(Resource::Nofile, raised) {
        tracing::warn!(limit = ?limit.current, %error, "number of open files not raised");
    }
}

async fn serve(
    settings: &Settings,
    addresses: Addresses,
    spans: Option<Endpoint>,
    change_log_level: impl Fn(LevelFilter) + Send + Sync + 'static,
) -> Result<(), Failure> {
    // Before anything else: a signal must not end a server that holds half-written data.
    let mut stop = signals::StopSignals::listen().context("listen for signals")?;
    let clock: Arc<dyn Clock> = Arc::new(SystemClock::start());
    let began = clock.elapsed();
    let version = version::own().context("read version of this build")?;
    let data = DataFolder::open(&settings.data, version)?;
    let node = Node::open(
        settings,
        data,
        Arc::clone(&clock),
        addresses.are_all_loopback(),
    )
    .await?;
    let made_up = administrator::ensure(settings, &node.router(), settings.access_control).await?;
    let upkeep = Upkeep::start(&node, settings, Arc::clone(&clock))?;

    let front_settings = front_settings(settings, &addresses)?;
    let front = Front::new(node.router(), Arc::clone(&clock), front_settings);
    let front = front.with_instances(node.instances());
    let front = front.with_nodes(node.nodes());
    let front = front.with_version(version::VERSION);
    let mut front = front.with_surroundings(surroundings(settings));
    let mut exporter = None;
    if let Some(endpoint) = spans {
        let (out, task) = endpoint.start();
        front = front.with_spans(settings.spans_sampled_percent, out);
        exporter = Some(task);
    }
    let front = Arc::new(front);
    front.on_log_level(change_log_level);
    let opened = gateway::serve(front, addresses.listen.clone(), tls(settings, &addresses)).await;
    let running = match opened {
        Ok(running) => running,
        Err(error) => {
            upkeep.stop();
            node.close();
            return Err(Failure::Refused(error.into()));
        }
    };
    if let Some(nodes) = node.nodes() {
        let told = cluster::told(&addresses, running.addresses());
        Cluster::serve(&nodes, told, node.router()).await?;
    }
    let after_ms = clock.elapsed().saturating_sub(began).as_millis() as u64;
    tracing::info!(
        data = %settings.data.display(),
        addresses = ?running.addresses(),
        after_ms,
        version = version::VERSION,
        "ready"
    );
    let ready: String = running
        .addresses()
        .iter()
        .map(|address| format!(" {address}"))
        .collect();
    admin::print(&format!("ready{ready}\n"))?;
    if let Some(made_up) = made_up {
        admin::print(&made_up.announcement())?;
    }

    let nodes = node.nodes();
    let signal = tokio::select! {
        signal = stop.first() => signal,
        () = cluster::taken_out(nodes.as_deref()) => "taken out of the cluster",
    };
    tracing::info!(signal, "stopping; a second signal ends the process at once");
    stop.exit_at_the_next();
    if let Some(nodes) = node.nodes() {
        // First of all: clients are to go to the others before anything here is refused.
        if let Err(error) = nodes.leave().await {
            tracing::warn!(%error, "cluster not told that this node leaves");
        }
    }
    node.drain();
    let drained = running
        .drain(Duration::from_secs(settings.drain_seconds_max))
        .await;
    if let Some(exporter) = exporter {
        // It ends with the front; spans that take longer are lost.
        let _ = tokio::time::timeout(LAST_SPANS, exporter).await;
    }
    upkeep.stop();
    node.instances().keep_usage().await;
    node.instances().keep_growth().await;
    node.close();
    tracing::info!(connections_cut = drained.cut, "stopped");
    Ok(())
}

/// What front ends are set to.
fn front_settings(settings: &Settings, addresses: &Addresses) -> anyhow::Result<FrontSettings> {
    Ok(FrontSettings {
        advertise: addresses.advertise.clone(),
        default_instance: cluster::own_instance(settings)?
            .unwrap_or_else(InstanceId::default_instance),
        http_invisible: Duration::from_millis(settings.http_invisible_ms),
        region: settings.region.clone(),
        client_metrics: settings.client_metrics,
        message_trace: settings.message_trace,
    })
}

fn series(name: SeriesName) -> Series {
    match name {
        SeriesName::Any => Series::Any,
        SeriesName::V4 => Series::V4,
        SeriesName::V5 => Series::V5,
    }
}

/// What tools are told of the machine.
fn surroundings(settings: &Settings) -> Surroundings {
    let folder = settings.data.clone();
    Surroundings {
        retention_hours: settings.retention_hours,
        processors: std::thread::available_parallelism().map_or(1, NonZero::get),
        disk_space: Box::new(move || {
            let disk = rustix::fs::statvfs(&folder).ok()?;
            let bytes = |blocks: u64| blocks.saturating_mul(disk.f_frsize);
            Some(DiskSpace {
                total: bytes(disk.f_blocks),
                free: bytes(disk.f_bfree),
                available: bytes(disk.f_bavail),
            })
        }),
    }
}

fn tls(settings: &Settings, addresses: &Addresses) -> TlsSetup {
    match (&settings.tls_certificate_file, &settings.tls_key_file) {
        (Some(certificate), Some(key)) => TlsSetup::Given {
            certificate: certificate.clone(),
            key: key.clone(),
        },
        _ => TlsSetup::Kept {
            folder: settings.data.join("tls"),
            names: addresses
                .advertise
                .iter()
                .map(|advertise| advertise.host.clone())
                .collect(),
        },
    }
}
