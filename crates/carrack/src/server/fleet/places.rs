//! Places of nodes on this machine: a folder, a settings file and a port for each.
//!
//! ```text
//! nodes/<name>/node.toml     its settings: the fleet's own, and what is the node's alone
//! nodes/<name>/data/         its data folder
//! nodes/<name>/log           what it writes
//! ```

use std::{collections::BTreeSet, fs, io, net::TcpListener, path::PathBuf, sync::Arc};

use base::InstanceId;
use control::{Grounds, NodeError, NodeName, NodeRecord, Supervisor};
use futures::future::{BoxFuture, FutureExt as _};
use gateway::ListenAddress;
use store::fs::{remove_folder, replace_file};

use super::{cluster::ClusterNodes, flags::Ports};
use crate::config::Settings;

/// The file with a node's settings.
const FILE: &str = "node.toml";

/// Settings of a fleet that are not those of its nodes.
const FLEET_ALONE: [&str; 9] = [
    "data",
    "listen",
    "admin_listen",
    "trusted_listen",
    "admin_access_key",
    "admin_secret_key",
    "advertise",
    "node_name",
    "node_instance",
];

/// Where nodes are put.
pub(super) struct Places {
    supervisor: Arc<Supervisor>,
    cluster: ClusterNodes,
    folder: PathBuf,
    ports: Ports,
    /// On which nodes listen.
    host: String,
    /// Where clients find the machine, where they are told another address.
    advertise: Option<String>,
    settings: toml::Table,
    /// One node is put at a time: the next one must see which ports are taken.
    placing: tokio::sync::Mutex<()>,
}

/// What places are made from.
pub(super) struct PlacesParts<'a> {
    pub(super) supervisor: Arc<Supervisor>,
    pub(super) cluster: ClusterNodes,
    /// Where the folders of nodes are.
    pub(super) folder: PathBuf,
    pub(super) ports: Ports,
    pub(super) host: String,
    pub(super) advertise: Option<String>,
    pub(super) settings: &'a Settings,
    /// Where nodes find the metadata that all share.
    pub(super) etcd: &'a str,
}

impl Places {
    pub(super) fn new(parts: PlacesParts<'_>) -> Self {
        let mut settings = parts.settings.table();
        for name in FLEET_ALONE {
            settings.remove(name);
        }
        settings.insert("etcd".to_owned(), parts.etcd.into());
        Self {
            supervisor: parts.supervisor,
            cluster: parts.cluster,
            folder: parts.folder,
            ports: parts.ports,
            host: parts.host,
            advertise: parts.advertise,
            settings,
            placing: tokio::sync::Mutex::default(),
        }
    }

    /// Writes the settings of all nodes anew: they go by them from their next start on.
    pub(super) fn write_settings(&self) -> io::Result<()> {
        let nodes = self.supervisor.nodes();
        nodes.iter().try_for_each(|node| self.write(node))
    }

    /// Takes a node on record that has a place of its own then; one that is there stays.
    pub(super) async fn put(
        &self,
        name: &NodeName,
        instance: Option<&InstanceId>,
    ) -> Result<(), NodeError> {
        let _one = self.placing.lock().await;
        if self.supervisor.node(name).is_some() {
            return Ok(());
        }
        let failed = |reason: String| failure(name, reason);
        let port = self.free_port().ok_or_else(|| {
            let Ports { from, to } = self.ports;
            failed(format!("no two free ports between {from} and {to} for it"))
        })?;
        let folder = self.folder.join(name.as_str());
        let file = folder.join(FILE);
        let record = NodeRecord {
            name: name.clone(),
            instance: instance.cloned(),
            folder: folder.join("data"),
            port,
            arguments: ["server", "--config", &file.display().to_string()]
                .map(str::to_owned)
                .to_vec(),
            output: folder.join("log"),
            wanted: None,
        };
        let made = fs::create_dir_all(&record.folder).and_then(|()| self.write(&record));
        made.map_err(|error| failed(format!("make its folder `{}`: {error}", folder.display())))?;
        let added = self.supervisor.add(record).await;
        added.map_err(|error| failed(format!("take it on record: {error}")))
    }

    fn write(&self, node: &NodeRecord) -> io::Result<()> {
        let mut table = self.settings.clone();
        let mut set = |name: &str, value: toml::Value| table.insert(name.to_owned(), value);
        set("data", node.folder.display().to_string().into());
        let listen = ListenAddress {
            host: self.host.clone(),
            port: node.port,
            admin: false,
            trusted: false,
        };
        set("listen", vec![listen.to_string()].into());
        set("node_name", node.name.as_str().into());
        if let Some(instance) = &node.instance {
            set("node_instance", instance.as_str().into());
        }
        if let Some(advertise) = &self.advertise {
            set("advertise", advertise.as_str().into());
        }
        let file = self.folder.join(node.name.as_str()).join(FILE);
        replace_file(&file, table.to_string().as_bytes())
    }

    /// A port that no node has, that nobody else listens on now, and of which the same is true two
    /// below it.
    fn free_port(&self) -> Option<u16> {
        let nodes = self.supervisor.nodes();
        let taken: BTreeSet<u16> = nodes
            .iter()
            .flat_map(|node| [node.port, node.port.saturating_sub(2)])
            .collect();
        let is_free = |port: u16| {
            let bound = TcpListener::bind((self.host.as_str(), port));
            !taken.contains(&port) && bound.is_ok()
        };
        let first = self.ports.from.saturating_add(2);
        (first..=self.ports.to).find(|port| is_free(*port) && is_free(port - 2))
    }
}

fn failure(node: &NodeName, reason: String) -> NodeError {
    NodeError {
        node: node.clone(),
        reason,
        again: true,
    }
}

impl Grounds for Places {
    fn make<'a>(
        &'a self,
        node: &'a NodeName,
        instance: &'a InstanceId,
    ) -> BoxFuture<'a, Result<(), NodeError>> {
        self.put(node, Some(instance)).boxed()
    }

    fn is_empty<'a>(&'a self, node: &'a NodeName) -> BoxFuture<'a, Result<bool, NodeError>> {
        async move {
            // Nobody can say it of one that does not run.
            match self.supervisor.node(node) {
                Some(_) => Ok(self.cluster.is_empty(node)),
                None => Ok(true),
            }
        }
        .boxed()
    }

    fn discard<'a>(&'a self, node: &'a NodeName) -> BoxFuture<'a, Result<(), NodeError>> {
        async move {
            let failed = |reason: String| failure(node, reason);
            self.cluster.forget(node).await.map_err(failed)?;
            let removed = remove_folder(&self.folder.join(node.as_str()));
            removed.map_err(|error| failed(format!("remove its folder: {error}")))?;
            self.supervisor.remove(node).await
        }
        .boxed()
    }
}
