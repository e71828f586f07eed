//! Releases, updates and nodes, and the tasks that see to them.

use std::{fs, sync::Arc, time::Duration};

use anyhow::Context as _;
use base::{Clock, stdx::with_causes};
use broker::Instances;
use control::{
    Catalogue, OwnEtcd, Provision, Provisioner, Rollout, Scheduler, Supervisor, TrustedKeys,
    Updates, Version,
};

use super::{
    Fleet,
    calls::Wishes,
    cluster::ClusterNodes,
    core::Core,
    orders::OwnNodes,
    places::{Places, PlacesParts},
    shared_nodes::SharedNodes,
};

/// Between two looks at whether all runs that should.
const LOOK_PAUSE: Duration = Duration::from_secs(1);

/// Between two looks at subscriptions.
const SUBSCRIPTIONS_PAUSE: Duration = Duration::from_secs(60);

/// All that is needed to run nodes.
pub(super) struct RunNodes {
    pub(super) catalogue: Arc<Catalogue>,
    pub(super) rollout: Arc<Rollout>,
    supervisor: Arc<Supervisor>,
    shared: Arc<SharedNodes>,
    provision: Arc<Provision>,
    clock: Arc<dyn Clock>,
}

impl RunNodes {
    pub(super) async fn open(
        fleet: &Fleet,
        core: &Core,
        version: Version,
        etcd: &str,
    ) -> anyhow::Result<Self> {
        let options = &fleet.flags.options;
        let Core {
            metadata, clock, ..
        } = core;
        let releases = fleet.data("releases");
        let catalogue = Catalogue::open(
            Arc::clone(metadata),
            Arc::clone(clock),
            &releases,
            trusted_keys(&options.release_keys)?,
        );
        let catalogue = Arc::new(catalogue.await?);
        let own = std::env::current_exe().context("find the binary of this process")?;
        let kept = catalogue.keep_own(version, &own).await;
        kept.context("keep the binary of this process")?;
        let newest = catalogue.newest();
        let updates = Updates::open(Arc::clone(metadata), Arc::clone(clock), newest.as_deref());
        let updates = Arc::new(updates.await.context("read updates")?);
        let cluster = ClusterNodes {
            nodes: Arc::clone(&core.nodes),
            clock: Arc::clone(clock),
        };
        let calls = Wishes {
            cluster: cluster.clone(),
            updates: Arc::clone(&updates),
            drain: Duration::from_secs(options.node_drain_seconds_max),
            host: fleet.node_host().to_owned(),
        };
        let supervisor = Supervisor::open(
            Arc::clone(metadata),
            Arc::clone(clock),
            Arc::clone(&catalogue),
            Arc::new(calls),
        );
        let supervisor = Arc::new(supervisor.await.context("read which nodes are run here")?);
        let folder = fleet.data("nodes");
        fs::create_dir_all(&folder).context("make folder of nodes")?;
        let advertise = fleet.addresses.advertise.as_ref();
        let places = Arc::new(Places::new(PlacesParts {
            supervisor: Arc::clone(&supervisor),
            cluster,
            folder,
            ports: options.node_ports,
            host: fleet.node_host().to_owned(),
            advertise: advertise.map(|advertise| advertise.host.clone()),
            settings: &fleet.settings,
            etcd,
        }));
        places.write_settings().context("write settings of nodes")?;
        let shared = Arc::new(SharedNodes::new(
            Arc::clone(&supervisor),
            Arc::clone(&places),
            options.shared_nodes,
            version,
        ));
        let rollout = Arc::new(Rollout {
            metadata: Arc::clone(metadata),
            clock: Arc::clone(clock),
            updates: Arc::clone(&updates),
            nodes: Arc::clone(&supervisor) as Arc<dyn control::Nodes>,
            batch_size: options.nodes_updated_at_once,
        });
        let published = Arc::clone(&catalogue);
        let provision = Arc::new(Provision {
            metadata: Arc::clone(metadata),
            clock: Arc::clone(clock),
            updates,
            nodes: Arc::clone(&supervisor) as Arc<dyn control::Nodes>,
            grounds: Arc::clone(&places) as Arc<dyn control::Grounds>,
            orders: Arc::new(OwnNodes(Arc::clone(&core.instances))),
            version: Box::new(move || published.newest().map_or(version, |it| it.version)),
            zone: fleet.zone.clone(),
            routes_kept: Duration::from_secs(options.node_drain_seconds_max),
        });
        Ok(Self {
            catalogue,
            rollout,
            supervisor,
            shared,
            provision,
            clock: Arc::clone(clock),
        })
    }

    /// Sees to nodes, updates and orders for as long as it is polled.
    pub(super) fn keep(
        &self,
        etcd: Option<OwnEtcd>,
        instances: Arc<Instances>,
    ) -> impl Future<Output = ()> + Send + 'static {
        let (supervisor, clock) = (Arc::clone(&self.supervisor), Arc::clone(&self.clock));
        let (rollout, provision) = (Arc::clone(&self.rollout), Arc::clone(&self.provision));
        let shared = Arc::clone(&self.shared);
        let running = {
            let clock = Arc::clone(&clock);
            async move {
                loop {
                    if let Some(Err(error)) = match &etcd {
                        Some(etcd) => Some(etcd.keep_running(&*clock).await),
                        None => None,
                    } {
                        tracing::error!(error = with_causes(&error), "etcd does not run");
                    }
                    supervisor.keep_running().await;
                    clock.sleep(LOOK_PAUSE).await;
                }
            }
        };
        // On its own: that a node is drained takes a while.
        let sharing = {
            let clock = Arc::clone(&clock);
            async move {
                loop {
                    shared.keep().await;
                    clock.sleep(LOOK_PAUSE).await;
                }
            }
        };
        let subscriptions = async move {
            loop {
                instances.keep_subscriptions().await;
                clock.sleep(SUBSCRIPTIONS_PAUSE).await;
            }
        };
        async move {
            tokio::join!(
                running,
                sharing,
                subscriptions,
                Scheduler::new(&rollout).run(),
                Provisioner::new(&provision).run(),
            );
        }
    }
}

fn trusted_keys(files: &[std::path::PathBuf]) -> anyhow::Result<TrustedKeys> {
    if files.is_empty() {
        return Ok(TrustedKeys::default());
    }
    let mut text = String::new();
    for file in files {
        let read = fs::read_to_string(file);
        text += &read.with_context(|| format!("read public key file `{}`", file.display()))?;
        text.push('\n');
    }
    TrustedKeys::parse(&text).context("read public keys of releases")
}
