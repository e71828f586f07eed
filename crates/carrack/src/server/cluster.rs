//! A server as a node of a cluster: who it is, what it shares with the others, and the tasks that
//! keep it in touch with them.

use std::{sync::Arc, time::Duration};

use anyhow::{Context, ensure};
use base::{Clock, InstanceId, ShardId};
use broker::{NodeIdentity, Nodes, NodesParts, Router, Serves};
use gateway::{AdvertisedAddress, ListenAddress};
use serde::{Deserialize, Serialize};
use store::meta::{EtcdMetadata, EtcdOptions, EtcdTls, MetadataStore};

use super::{addresses::Addresses, data::DataFolder};
use crate::{admin, config::Settings, version};

/// How long a request to etcd may take. Clients that wait for a topic have about as much patience.
const REQUEST_TIME_MAX: Duration = Duration::from_secs(2);

/// Letters of a data folder that make up the name of a node that was given none.
const NAME_LETTERS: usize = 8;

/// The file in the data folder.
#[derive(Serialize, Deserialize)]
struct Stored {
    name: String,
    folder: String,
    number: Option<u16>,
}

/// What a node shares with the others of its cluster.
pub(super) struct Cluster {
    pub(super) metadata: Arc<dyn MetadataStore>,
    pub(super) nodes: Arc<Nodes>,
}

impl Cluster {
    /// Joins the cluster of the settings; `None` where they name none.
    pub(super) async fn join(
        settings: &Settings,
        data: &DataFolder,
        clock: &Arc<dyn Clock>,
    ) -> anyhow::Result<Option<Self>> {
        let instance = own_instance(settings)?;
        let Some(etcd) = &settings.etcd else {
            ensure!(
                instance.is_none(),
                "setting `node_instance` is for nodes of a cluster, expected `etcd` with it"
            );
            let is_node = data.node().context("read which node this is")?.is_some();
            ensure!(
                !is_node,
                "data folder belongs to a node of a cluster: set `etcd` to that of its cluster"
            );
            return Ok(None);
        };
        ensure!(
            !data.has_metadata(),
            "data folder has metadata of its own, as a server without `etcd` keeps it: a node begins \
             with an empty folder"
        );
        let metadata = shared_metadata(settings, etcd, clock)?;
        let mut stored = identity(settings, data)?;
        let identity = NodeIdentity {
            name: stored.name.clone(),
            folder: stored.folder.clone(),
            number: stored.number.map(ShardId::new),
            instance,
        };
        let parts = NodesParts {
            metadata: Arc::clone(&metadata),
            clock: Arc::clone(clock),
            lease: Duration::from_secs(settings.node_lease_seconds),
        };
        let joined = Nodes::join(parts, &identity, version::VERSION);
        let nodes = joined.await.context("join cluster")?;
        let own = nodes.own().context("a node that joins has a number")?;
        if stored.number.is_none() {
            stored.number = Some(own.number.get());
            keep(data, &stored)?;
        }
        tracing::info!(node = own.name, number = %own.number, epoch = own.epoch, "joined cluster");
        Ok(Some(Self { metadata, nodes }))
    }

    /// Lets the others see this node, and keeps in touch with them from now on.
    pub(super) async fn serve(
        nodes: &Arc<Nodes>,
        addresses: Vec<String>,
        router: Arc<Router>,
    ) -> anyhow::Result<()> {
        let announced = nodes.announce(addresses).await;
        announced.context("announce this node to its cluster")?;
        let staying = Arc::clone(nodes);
        tokio::spawn(async move { staying.stay().await });
        follow(nodes, router);
        Ok(())
    }
}

/// Takes in what nodes say of themselves, does as is wished of them, and tells clients whose queues
/// come and go with them, from now on.
pub(super) fn follow(nodes: &Arc<Nodes>, router: Arc<Router>) {
    let following = Arc::clone(nodes);
    tokio::spawn(async move { following.follow().await });
    let acting = (Arc::clone(nodes), Arc::clone(&router));
    tokio::spawn(async move { acting.0.act(&acting.1).await });
    let mut changes = nodes.changes();
    tokio::spawn(async move {
        while changes.changed().await.is_ok() {
            for instance in router.instances() {
                instance.tell_queues_changed();
            }
        }
    });
}

/// Completes when this node is taken out of its cluster for good; never where it is in none.
pub(super) async fn taken_out(nodes: Option<&Nodes>) {
    match nodes {
        Some(nodes) => nodes.taken_out().await,
        None => std::future::pending().await,
    }
}

/// The metadata that servers with those etcd addresses share.
pub(super) fn shared_metadata(
    settings: &Settings,
    etcd: &str,
    clock: &Arc<dyn Clock>,
) -> anyhow::Result<Arc<dyn MetadataStore>> {
    let options = EtcdOptions {
        endpoints: etcd.split(',').map(|it| it.trim().to_owned()).collect(),
        tls: tls(settings)?,
        prefix: settings.etcd_prefix.clone(),
        request_time_max: REQUEST_TIME_MAX,
    };
    let metadata = EtcdMetadata::open(options, Arc::clone(clock)).context("setting `etcd`")?;
    Ok(metadata)
}

/// What TLS to etcd needs; `None` where the settings have none.
fn tls(settings: &Settings) -> anyhow::Result<Option<EtcdTls>> {
    let files = (&settings.etcd_certificate_file, &settings.etcd_key_file);
    let own = match files {
        (Some(certificate), Some(key)) => Some((certificate.clone(), key.clone())),
        (None, None) => None,
        _ => anyhow::bail!("settings `etcd_certificate_file` and `etcd_key_file` go together"),
    };
    match &settings.etcd_ca_file {
        Some(authorities) => Ok(Some(EtcdTls {
            authorities: authorities.clone(),
            own,
        })),
        None if own.is_some() => {
            anyhow::bail!("setting `etcd_certificate_file` needs `etcd_ca_file` with it")
        }
        None => Ok(None),
    }
}

/// The one instance that this server is a node of; `None` where it is one of those that others
/// share.
pub(super) fn own_instance(settings: &Settings) -> anyhow::Result<Option<InstanceId>> {
    let id = settings.node_instance.as_deref().map(InstanceId::new);
    id.transpose().context("setting `node_instance`")
}

/// Which instances a node opens.
pub(super) fn serves(settings: &Settings) -> anyhow::Result<Serves> {
    Ok(own_instance(settings)?.map_or(Serves::Shared, Serves::One))
}

/// Where clients are told to find this node, the port being that of the first listener.
pub(super) fn told(addresses: &Addresses, bound: &[std::net::SocketAddr]) -> Vec<String> {
    let is_for_clients = |listen: &ListenAddress| !listen.admin && !listen.trusted;
    let listeners = addresses.listen.iter().zip(bound);
    let bound = listeners.filter(|(listen, _)| is_for_clients(listen));
    let told = bound.map(|(_, address)| match &addresses.advertise {
        Some(advertise) => {
            let host = advertise.host.clone();
            let port = advertise.port.unwrap_or(address.port());
            AdvertisedAddress { host, port }.to_string()
        }
        None => address.to_string(),
    });
    told.collect()
}

/// Whether clients can be told where this node is.
pub(super) fn check(settings: &Settings, addresses: &Addresses) -> anyhow::Result<()> {
    let listens_anywhere = addresses.listen.iter().any(|listen| {
        let ip = listen.host.parse::<std::net::IpAddr>();
        ip.is_ok_and(|ip| ip.is_unspecified())
    });
    ensure!(
        settings.etcd.is_none() || addresses.advertise.is_some() || !listens_anywhere,
        "a node of a cluster that listens on all addresses needs the setting `advertise`"
    );
    Ok(())
}

fn identity(settings: &Settings, data: &DataFolder) -> anyhow::Result<Stored> {
    let kept = data.node().context("read which node this is")?;
    if let Some(bytes) = kept {
        let stored: Stored = serde_json::from_slice(&bytes).context("read which node this is")?;
        let asked = settings.node_name.as_ref();
        ensure!(
            asked.is_none_or(|asked| *asked == stored.name),
            "data folder belongs to node `{}`, setting `node_name` says otherwise",
            stored.name
        );
        return Ok(stored);
    }
    let folder = admin::make_up().context("read random letters")?;
    let made_up = || format!("node-{}", folder[..NAME_LETTERS].to_ascii_lowercase());
    let name = settings.node_name.clone().unwrap_or_else(made_up);
    let stored = Stored {
        name,
        folder,
        number: None,
    };
    // Before the cluster knows it, so that a crash leaves nobody else with the name.
    keep(data, &stored)?;
    Ok(stored)
}

fn keep(data: &DataFolder, stored: &Stored) -> anyhow::Result<()> {
    let bytes = serde_json::to_vec(stored)?;
    data.set_node(&bytes).context("keep which node this is")
}
