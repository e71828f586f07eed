//! Nodes as processes of this machine, which outlive the control process.
//!
//! | key | value |
//! | --- | --- |
//! | `control/nodes/<node>` | JSON of [`NodeRecord`] |
//!
//! An etcd that the control process runs for itself is such a process too (`etcd.rs`).
//!
//! Nothing else is written down about processes: a node's process says in its environment which
//! node it is and of which version, so whoever comes next finds it, whether it was started a day or
//! a moment ago (`process.rs`). That there is never more than one that works on a node's data is
//! ensured by the lock of its data folder, which the node itself takes.

mod etcd;
mod process;
#[cfg(test)]
mod tests;

use std::{
    collections::BTreeMap,
    path::{Path, PathBuf},
    sync::Arc,
};

use base::{Clock, InstanceId, stdx::with_causes};
use futures::future::{BoxFuture, FutureExt as _, join_all};
use parking_lot::RwLock;
use serde::{Deserialize, Serialize};
use store::meta::{Expected, MetadataError, MetadataStore, overwrite};

pub use self::etcd::{OwnEtcd, OwnEtcdError};
use self::process::{Launch, Process};
use crate::{
    Catalogue, Node, NodeError, NodeName, Nodes, Version,
    data_version::{check_data_version, raise_data_version, read_data_version},
    stored,
};

const PREFIX: &str = "control/nodes/";

/// A node that is run here.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
pub struct NodeRecord {
    /// Its name.
    pub name: NodeName,
    /// The instance that it serves; `None` if it serves all that have no nodes of their own.
    #[serde(with = "stored::instance_or_none")]
    pub instance: Option<InstanceId>,
    /// Its data folder.
    pub folder: PathBuf,
    /// The port that it listens on. The one two below it is its own as well.
    pub port: u16,
    /// What its binary is started with.
    pub arguments: Vec<String>,
    /// The file to which its output is added.
    pub output: PathBuf,
    /// What it should run; `None` while it should not run at all.
    pub wanted: Option<Version>,
}

/// What is asked of a running node in its own protocol.
pub trait NodeCalls: Send + Sync {
    /// Whether it serves.
    fn is_healthy<'a>(&'a self, node: &'a NodeRecord) -> BoxFuture<'a, Result<bool, String>>;

    /// See [`Nodes::drain`]; the node runs.
    fn drain<'a>(&'a self, node: &'a NodeRecord) -> BoxFuture<'a, Result<(), String>>;

    /// See [`Nodes::admit`]; the node runs.
    fn admit<'a>(&'a self, node: &'a NodeRecord) -> BoxFuture<'a, Result<(), String>>;

    /// See [`Nodes::lock`]. The node may not run; then it must find this when it starts.
    fn lock<'a>(&'a self, node: &'a NodeRecord, locked: bool) -> BoxFuture<'a, Result<(), String>>;
}

/// Runs nodes. One control process at a time does.
pub struct Supervisor {
    metadata: Arc<dyn MetadataStore>,
    clock: Arc<dyn Clock>,
    catalogue: Arc<Catalogue>,
    calls: Arc<dyn NodeCalls>,
    nodes: RwLock<BTreeMap<NodeName, Arc<Held>>>,
}

struct Held {
    record: RwLock<NodeRecord>,
    /// One start or stop at a time.
    acting: tokio::sync::Mutex<()>,
}

impl Supervisor {
    /// Reads which nodes there are. Their processes go on as they are.
    pub async fn open(
        metadata: Arc<dyn MetadataStore>,
        clock: Arc<dyn Clock>,
        catalogue: Arc<Catalogue>,
        calls: Arc<dyn NodeCalls>,
    ) -> Result<Self, MetadataError> {
        let mut nodes = BTreeMap::new();
        for entry in metadata.range(PREFIX).await?.0 {
            let record: NodeRecord = stored::read(&entry)?;
            nodes.insert(record.name.clone(), Held::new(record));
        }
        Ok(Self {
            metadata,
            clock,
            catalogue,
            calls,
            nodes: RwLock::new(nodes),
        })
    }

    /// Takes a node on record. It is not started.
    pub async fn add(&self, record: NodeRecord) -> Result<(), MetadataError> {
        let value = stored::write(&record)?;
        self.metadata
            .compare_and_set(&key(&record.name), Expected::Absent, Some(value), None)
            .await?;
        self.nodes
            .write()
            .insert(record.name.clone(), Held::new(record));
        Ok(())
    }

    /// Forgets a node, which does not run; one that is not on record is a success.
    pub async fn remove(&self, name: &NodeName) -> Result<(), NodeError> {
        let Ok(held) = self.held(name) else {
            return Ok(());
        };
        let _acting = held.acting.lock().await;
        let record = held.record.read().clone();
        if self.find(&record)?.is_some() {
            return Err(again(name, "still runs, expected to be stopped first"));
        }
        let removed = overwrite(&*self.metadata, &key(name), None).await;
        removed.map_err(|error| again(name, &with_causes(&error)))?;
        self.nodes.write().remove(name);
        Ok(())
    }

    /// What is known of a node.
    pub fn node(&self, name: &NodeName) -> Option<NodeRecord> {
        self.record(name).ok()
    }

    /// What is known of all nodes, by name.
    pub fn nodes(&self) -> Vec<NodeRecord> {
        let nodes = self.nodes.read();
        nodes
            .values()
            .map(|held| held.record.read().clone())
            .collect()
    }

    /// Starts every node that should run and does not: those that crashed, and all of them after
    /// the machine was started again. To be called from time to time. Returns those it started.
    pub async fn keep_running(&self) -> Vec<NodeName> {
        let mut started = Vec::new();
        for record in self.nodes() {
            match self.keep_one_running(&record.name).await {
                Ok(true) => started.push(record.name),
                Ok(false) => {}
                Err(error) => tracing::error!(error = with_causes(&error), "node does not start"),
            }
        }
        started
    }

    async fn keep_one_running(&self, name: &NodeName) -> Result<bool, NodeError> {
        let held = self.held(name)?;
        let _acting = held.acting.lock().await;
        let record = held.record.read().clone();
        let Some(version) = record.wanted else {
            return Ok(false);
        };
        if self.find(&record)?.is_some() {
            return Ok(false);
        }
        tracing::warn!(node = %name, %version, "starting a node that should be running");
        self.launch(&record, version).await?;
        Ok(true)
    }

    fn held(&self, name: &NodeName) -> Result<Arc<Held>, NodeError> {
        let held = self.nodes.read().get(name).cloned();
        held.ok_or_else(|| never(name, "is not on record"))
    }

    fn record(&self, name: &NodeName) -> Result<NodeRecord, NodeError> {
        Ok(self.held(name)?.record.read().clone())
    }

    fn find(&self, record: &NodeRecord) -> Result<Option<Process>, NodeError> {
        let found = Process::find(&record.name, &record.folder);
        found.map_err(|error| again(&record.name, &format!("look for its process: {error}")))
    }

    /// Writes down what should run before anything is done about it.
    async fn want(&self, held: &Held, wanted: Option<Version>) -> Result<(), NodeError> {
        let mut record = held.record.read().clone();
        if record.wanted == wanted {
            return Ok(());
        }
        record.wanted = wanted;
        let written = async {
            let value = stored::write(&record)?;
            overwrite(&*self.metadata, &key(&record.name), Some(value)).await
        };
        written
            .await
            .map_err(|error| again(&record.name, &with_causes(&error)))?;
        *held.record.write() = record;
        Ok(())
    }

    async fn launch(&self, record: &NodeRecord, version: Version) -> Result<(), NodeError> {
        let binary = self.binary(&record.name, version).await?;
        let launch = Launch {
            name: &record.name,
            folder: &record.folder,
            output: &record.output,
            arguments: &record.arguments,
            binary: &binary,
            version,
        };
        let started = Process::start(launch, &*self.clock).await;
        started.map_err(|error| again(&record.name, &format!("start it: {error}")))
    }

    async fn binary(&self, name: &NodeName, version: Version) -> Result<PathBuf, NodeError> {
        let binary = self.catalogue.binary(version).await;
        binary.map_err(|error| never(name, &with_causes(&error)))
    }

    fn check_data(&self, record: &NodeRecord, version: Version) -> Result<(), NodeError> {
        let checked = check_data_version(&record.folder, version);
        checked.map_err(|error| never(&record.name, &with_causes(&error)))
    }

    async fn start_node(&self, name: &NodeName, version: Version) -> Result<(), NodeError> {
        let held = self.held(name)?;
        let _acting = held.acting.lock().await;
        let record = held.record.read().clone();
        self.check_data(&record, version)?;
        if let Some(process) = self.find(&record)?
            && process.version() != version
        {
            let reason = format!("runs `{}`, expected `{version}`", process.version());
            return Err(never(name, &reason));
        }
        self.want(&held, Some(version)).await?;
        if self.find(&record)?.is_some() {
            return Ok(());
        }
        self.launch(&record, version).await
    }

    async fn stop_node(&self, name: &NodeName) -> Result<(), NodeError> {
        let held = self.held(name)?;
        let _acting = held.acting.lock().await;
        self.want(&held, None).await?;
        let record = held.record.read().clone();
        // Usually one; two if a control process died while it started the first.
        while let Some(process) = self.find(&record)? {
            let stopped = process.stop(&*self.clock).await;
            stopped.map_err(|error| again(name, &format!("stop it: {error}")))?;
        }
        Ok(())
    }

    async fn look_at(&self, name: &NodeName) -> Result<Node, NodeError> {
        let record = self.record(name)?;
        let process = self.find(&record)?;
        let process = process.ok_or_else(|| again(name, "does not run"))?;
        let format = read_data_version(&record.folder);
        let format = format.map_err(|error| never(name, &with_causes(&error)))?;
        let healthy = self.calls.is_healthy(&record).await;
        Ok(Node {
            version: process.version(),
            format,
            healthy: healthy.map_err(|reason| again(name, &reason))?,
        })
    }
}

/// Stops all nodes whose data is in `folder`, and then the etcd that is there too. What they should
/// run stays on record, so the next control process starts them again. To be called by who owns
/// the folder. Returns how many processes were stopped.
pub async fn halt(folder: &Path, clock: &dyn Clock) -> std::io::Result<usize> {
    let mut count = 0;
    for is_etcd in [false, true] {
        let found = Process::all_in(folder)?.into_iter();
        let found: Vec<Process> = found
            .filter(|(name, _)| (name.as_str() == etcd::PROGRAM) == is_etcd)
            .map(|(_, process)| process)
            .collect();
        let stopped = join_all(found.iter().map(|process| process.stop(clock))).await;
        count += stopped.len();
        stopped.into_iter().collect::<std::io::Result<()>>()?;
    }
    Ok(count)
}

impl Held {
    fn new(record: NodeRecord) -> Arc<Self> {
        Arc::new(Self {
            record: RwLock::new(record),
            acting: tokio::sync::Mutex::default(),
        })
    }
}

fn key(node: &NodeName) -> String {
    format!("{PREFIX}{node}")
}

fn again(node: &NodeName, reason: &str) -> NodeError {
    NodeError {
        node: node.clone(),
        reason: reason.to_owned(),
        again: true,
    }
}

fn never(node: &NodeName, reason: &str) -> NodeError {
    NodeError {
        again: false,
        ..again(node, reason)
    }
}

/// What cannot be written to or run needs no update.
fn check_folder(folder: &Path) -> Result<(), String> {
    let folder = folder.metadata();
    let folder = folder.map_err(|error| format!("has no data folder: {error}"))?;
    if folder.permissions().readonly() {
        return Err("has a data folder that is read only".to_owned());
    }
    Ok(())
}

impl Nodes for Supervisor {
    fn list<'a>(
        &'a self,
        instance: &'a InstanceId,
    ) -> BoxFuture<'a, Result<Vec<NodeName>, NodeError>> {
        let nodes = self.nodes().into_iter();
        let of_instance = nodes.filter(|node| node.instance.as_ref() == Some(instance));
        let names = of_instance.map(|node| node.name).collect();
        async move { Ok(names) }.boxed()
    }

    fn precheck<'a>(
        &'a self,
        node: &'a NodeName,
        version: Version,
    ) -> BoxFuture<'a, Result<(), NodeError>> {
        async move {
            let record = self.record(node)?;
            self.check_data(&record, version)?;
            check_folder(&record.folder).map_err(|reason| never(node, &reason))?;
            self.binary(node, version).await?;
            Ok(())
        }
        .boxed()
    }

    fn lock<'a>(
        &'a self,
        node: &'a NodeName,
        locked: bool,
    ) -> BoxFuture<'a, Result<(), NodeError>> {
        async move {
            let record = self.record(node)?;
            let done = self.calls.lock(&record, locked).await;
            done.map_err(|reason| again(node, &reason))
        }
        .boxed()
    }

    fn drain<'a>(&'a self, node: &'a NodeName) -> BoxFuture<'a, Result<(), NodeError>> {
        async move {
            let record = self.record(node)?;
            if self.find(&record)?.is_none() {
                return Ok(());
            }
            let drained = self.calls.drain(&record).await;
            // One that has ended meanwhile, or is about to crash, has nothing in hand.
            match drained {
                Err(reason) if self.find(&record)?.is_some() => Err(again(node, &reason)),
                _ => Ok(()),
            }
        }
        .boxed()
    }

    fn admit<'a>(&'a self, node: &'a NodeName) -> BoxFuture<'a, Result<(), NodeError>> {
        async move {
            let record = self.record(node)?;
            let admitted = self.calls.admit(&record).await;
            admitted.map_err(|reason| again(node, &reason))
        }
        .boxed()
    }

    fn stop<'a>(&'a self, node: &'a NodeName) -> BoxFuture<'a, Result<(), NodeError>> {
        self.stop_node(node).boxed()
    }

    fn start<'a>(
        &'a self,
        node: &'a NodeName,
        version: Version,
    ) -> BoxFuture<'a, Result<(), NodeError>> {
        self.start_node(node, version).boxed()
    }

    fn look<'a>(&'a self, node: &'a NodeName) -> BoxFuture<'a, Result<Node, NodeError>> {
        self.look_at(node).boxed()
    }

    fn finalise<'a>(
        &'a self,
        node: &'a NodeName,
        version: Version,
    ) -> BoxFuture<'a, Result<(), NodeError>> {
        async move {
            let record = self.record(node)?;
            let raised = raise_data_version(&record.folder, version);
            raised.map_err(|error| again(node, &with_causes(&error)))
        }
        .boxed()
    }
}
