//! Instances, topics, groups and users, without messages.

use std::{sync::Arc, time::Duration};

use anyhow::Context as _;
use base::{Clock, Random};
use broker::{InstanceHost, Instances, InstancesParts, Nodes, NodesParts, Router, Serves};
use store::meta::MetadataStore;
use tokio::runtime::Handle;

use super::{Fleet, host::MetadataHost};
use crate::server::{cluster as shared, node::instance_settings, random, series};

/// What front ends of a fleet ask.
pub(super) struct Core {
    pub(super) metadata: Arc<dyn MetadataStore>,
    pub(super) clock: Arc<dyn Clock>,
    pub(super) router: Arc<Router>,
    pub(super) instances: Arc<Instances>,
    pub(super) nodes: Arc<Nodes>,
}

impl Core {
    pub(super) async fn open(
        fleet: &Fleet,
        metadata: Arc<dyn MetadataStore>,
        clock: Arc<dyn Clock>,
    ) -> anyhow::Result<Self> {
        let settings = &fleet.settings;
        let nodes = Nodes::look_on(NodesParts {
            metadata: Arc::clone(&metadata),
            clock: Arc::clone(&clock),
            lease: Duration::from_secs(settings.node_lease_seconds),
        });
        let nodes = nodes.await.context("read which nodes there are")?;
        let random: Arc<dyn Random> = Arc::new(random::from_system().context("read random seed")?);
        let router = Arc::new(Router::default());
        let host = MetadataHost {
            metadata: Arc::clone(&metadata),
            clock: Arc::clone(&clock),
            settings: instance_settings(settings, fleet.addresses.are_all_loopback())?,
            runtime: Handle::current(),
        };
        let instances = Instances::open(InstancesParts {
            metadata: Arc::clone(&metadata),
            router: Arc::clone(&router),
            host: Arc::new(host) as Arc<dyn InstanceHost>,
            clock: Arc::clone(&clock),
            random,
            default_series: series(settings.series),
            series_4_created: settings.series_4_created,
            node: None,
            serves: Serves::Metadata {
                own_nodes: fleet.flags.options.platinum_nodes,
            },
        });
        Ok(Self {
            metadata,
            clock,
            router,
            instances: instances.await?,
            nodes,
        })
    }

    /// Takes in what others change from now on.
    pub(super) fn follow(&self) {
        // Before anybody can ask for anything that is not to be done.
        self.nodes.apply(&self.router);
        tokio::spawn(Arc::clone(&self.instances).follow());
        shared::follow(&self.nodes, Arc::clone(&self.router));
    }
}
