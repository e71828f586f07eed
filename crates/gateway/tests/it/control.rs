//! Releases and updates of a test server, which has no nodes to carry them out on.

use std::{num::NonZeroUsize, path::Path, sync::Arc};

use base::{Clock, InstanceId};
use control::{
    Catalogue, Control, Node, NodeError, NodeName, Nodes, Rollout, TrustedKeys, Updates, Version,
};
use futures::future::{BoxFuture, FutureExt as _};
use store::{fs::FolderDisk, meta::EmbeddedMetadata};

/// Releases and updates in that folder.
pub(crate) async fn open(folder: &Path, clock: Arc<dyn Clock>) -> Arc<Control> {
    let disk = FolderDisk::open(&folder.join("control")).unwrap();
    let metadata = EmbeddedMetadata::open(disk, clock.clone()).unwrap();
    let releases = folder.join("releases");
    let keys = TrustedKeys::default();
    let catalogue = Catalogue::open(metadata.clone(), clock.clone(), &releases, keys).await;
    let updates = Updates::open(metadata.clone(), clock.clone(), None).await;
    let rollout = Rollout {
        metadata,
        clock,
        updates: Arc::new(updates.unwrap()),
        nodes: Arc::new(NoNodes),
        batch_size: NonZeroUsize::MIN,
    };
    Arc::new(Control {
        catalogue: Arc::new(catalogue.unwrap()),
        rollout: Arc::new(rollout),
        version: "5.0-rmq-20230101".parse().unwrap(),
    })
}

struct NoNodes;

fn none<'a, T: Send + 'a>(node: &NodeName) -> BoxFuture<'a, Result<T, NodeError>> {
    let error = NodeError {
        node: node.clone(),
        reason: "not there".to_owned(),
        again: false,
    };
    async move { Err(error) }.boxed()
}

impl Nodes for NoNodes {
    fn list<'a>(&'a self, _: &'a InstanceId) -> BoxFuture<'a, Result<Vec<NodeName>, NodeError>> {
        async { Ok(Vec::new()) }.boxed()
    }

    fn precheck<'a>(
        &'a self,
        node: &'a NodeName,
        _: Version,
    ) -> BoxFuture<'a, Result<(), NodeError>> {
        none(node)
    }

    fn lock<'a>(&'a self, node: &'a NodeName, _: bool) -> BoxFuture<'a, Result<(), NodeError>> {
        none(node)
    }

    fn drain<'a>(&'a self, node: &'a NodeName) -> BoxFuture<'a, Result<(), NodeError>> {
        none(node)
    }

    fn admit<'a>(&'a self, node: &'a NodeName) -> BoxFuture<'a, Result<(), NodeError>> {
        none(node)
    }

    fn stop<'a>(&'a self, node: &'a NodeName) -> BoxFuture<'a, Result<(), NodeError>> {
        none(node)
    }

    fn start<'a>(&'a self, node: &'a NodeName, _: Version) -> BoxFuture<'a, Result<(), NodeError>> {
        none(node)
    }

    fn look<'a>(&'a self, node: &'a NodeName) -> BoxFuture<'a, Result<Node, NodeError>> {
        none(node)
    }

    fn finalise<'a>(
        &'a self,
        node: &'a NodeName,
        _: Version,
    ) -> BoxFuture<'a, Result<(), NodeError>> {
        none(node)
    }
}
