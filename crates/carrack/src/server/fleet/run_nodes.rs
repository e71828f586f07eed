//! Releases, updates and nodes, and the tasks that see to them.

use std::{fs, sync::Arc, time::Duration};

use anyhow::Context as _;
use base::{Clock, stdx::with_causes};
use broker::Instances;
use control::{
    Catalogue, NodeName, Nodes as _, OwnEtcd, Provision, Provisioner, Rollout, Scheduler,
    Supervisor, TrustedKeys, Updates, Version,
};

use super::{
    Fleet,
    calls::Wishes,
    cluster::ClusterKeys,
    core::Core,
    orders::OwnNodes,
    places::{Places, PlacesParts},
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
    places: Arc<Places>,
    provision: Arc<Provision>,
    clock: Arc<dyn Clock>,
    shared_nodes: u16,
    version: Version,
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
        let keys = ClusterKeys {
            metadata: Arc::clone(metadata),
            nodes: Arc::clone(&core.nodes),
            clock: Arc::clone(clock),
        };
        let calls = Wishes {
            keys: keys.clone(),
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
            keys,
            folder,
            ports: options.node_ports,
            host: fleet.node_host().to_owned(),
            advertise: advertise.map(|advertise| advertise.host.clone()),
            settings: &fleet.settings,
            etcd,
        }));
        places.write_settings().context("write settings of nodes")?;
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
        });
        Ok(Self {
            catalogue,
            rollout,
            supervisor,
            places,
            provision,
            clock: Arc::clone(clock),
            shared_nodes: options.shared_nodes,
            version,
        })
    }

    /// Sees to nodes, updates and orders for as long as it is polled.
    pub(super) fn keep(
        &self,
        etcd: Option<OwnEtcd>,
        instances: Arc<Instances>,
    ) -> impl Future<Output = ()> + Send + 'static {
        let (supervisor, clock) = (Arc::clone(&self.supervisor), Arc::clone(&self.clock));
        let (places, catalogue) = (Arc::clone(&self.places), Arc::clone(&self.catalogue));
        let (rollout, provision) = (Arc::clone(&self.rollout), Arc::clone(&self.provision));
        let (shared_nodes, own) = (self.shared_nodes, self.version);
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
                    let newest = catalogue.newest().map_or(own, |release| release.version);
                    keep_shared(&supervisor, &places, shared_nodes, newest).await;
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
                subscriptions,
                Scheduler::new(&rollout).run(),
                Provisioner::new(&provision).run(),
            );
        }
    }
}

/// Makes and starts those of the shared nodes that are not there.
async fn keep_shared(supervisor: &Supervisor, places: &Places, count: u16, version: Version) {
    for number in 1..=count {
        let name = NodeName::new(format!("shared-{number}"));
        if supervisor
            .node(&name)
            .is_some_and(|node| node.wanted.is_some())
        {
            continue;
        }
        let started = async {
            places.put(&name, None).await?;
            supervisor.start(&name, version).await
        };
        if let Err(error) = started.await {
            tracing::error!(error = with_causes(&error), "shared node does not start");
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
