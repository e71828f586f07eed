//! A machine with nodes in memory, and the record of one instance.

use std::collections::BTreeMap;

use base::InstanceId;
use futures::{FutureExt as _, TryFutureExt as _, future::BoxFuture};
use parking_lot::Mutex;

use crate::{
    Node, NodeError, NodeName, Nodes, Order, OrderKind, Version,
    provision::Grounds,
    provision::Orders,
    test_world::{Failed, Faults, instance},
};

/// What the record of the instance says.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(super) enum Status {
    Creating,
    Changing,
    Running,
    Released,
}

#[derive(Default)]
struct State {
    running: Option<Version>,
    drained: bool,
    full: bool,
    looks: u32,
}

#[derive(Default)]
struct Inner {
    record: Option<(Status, u16)>,
    nodes: BTreeMap<NodeName, State>,
    never_healthy: bool,
}

#[derive(Default)]
pub(super) struct Machine {
    inner: Mutex<Inner>,
    pub(super) faults: Faults,
}

impl Machine {
    pub(super) fn order(&self, status: Status, nodes: u16) {
        self.inner.lock().record = Some((status, nodes));
    }

    pub(super) fn is_settled(&self) -> bool {
        let record = self.inner.lock().record;
        record.is_none_or(|(status, _)| status == Status::Running)
    }

    pub(super) fn never_healthy(&self, never: bool) {
        self.inner.lock().never_healthy = never;
    }

    pub(super) fn fill(&self, node: &str, full: bool) {
        let mut inner = self.inner.lock();
        inner.nodes.get_mut(&NodeName::new(node)).unwrap().full = full;
    }

    pub(super) fn has(&self, node: &str) -> bool {
        self.inner.lock().nodes.contains_key(&NodeName::new(node))
    }

    pub(super) fn run_all(&self, version: Version) {
        for node in self.inner.lock().nodes.values_mut() {
            node.running = Some(version);
        }
    }

    #[track_caller]
    pub(super) fn assert_serving(&self, names: &[&str], version: Version) {
        let inner = self.inner.lock();
        let found: Vec<&str> = inner.nodes.keys().map(NodeName::as_str).collect();
        assert_eq!(found, names);
        for (name, node) in &inner.nodes {
            assert_eq!(node.running, Some(version), "{name}");
            assert!(!node.drained, "{name}");
        }
        assert_eq!(inner.record, Some((Status::Running, names.len() as u16)));
    }

    #[track_caller]
    pub(super) fn assert_nothing(&self) {
        let inner = self.inner.lock();
        assert!(inner.nodes.is_empty() && inner.record.is_none());
    }

    fn call<'a, T: 'a>(
        &'a self,
        act: impl FnOnce(&mut Inner) -> Result<T, String> + 'a,
    ) -> impl Future<Output = Result<T, Failed>> {
        self.faults.call(move || act(&mut self.inner.lock()))
    }

    fn of<'a, T: Send + 'a>(
        &'a self,
        node: &'a NodeName,
        act: impl FnOnce(&mut State) -> Result<T, String> + Send + 'a,
    ) -> BoxFuture<'a, Result<T, NodeError>> {
        self.named(node, |inner| {
            let state = inner.nodes.get_mut(node);
            act(state.ok_or("is not on record")?)
        })
    }

    fn named<'a, T: Send + 'a>(
        &'a self,
        node: &'a NodeName,
        act: impl FnOnce(&mut Inner) -> Result<T, String> + Send + 'a,
    ) -> BoxFuture<'a, Result<T, NodeError>> {
        self.call(act).map_err(|failed| failed.of(node)).boxed()
    }
}

impl Nodes for Machine {
    fn list<'a>(&'a self, _: &'a InstanceId) -> BoxFuture<'a, Result<Vec<NodeName>, NodeError>> {
        let names = self.inner.lock().nodes.keys().cloned().collect();
        async move { Ok(names) }.boxed()
    }

    fn precheck<'a>(&'a self, _: &'a NodeName, _: Version) -> BoxFuture<'a, Result<(), NodeError>> {
        unreachable!("no update is carried out here")
    }

    fn lock<'a>(&'a self, _: &'a NodeName, _: bool) -> BoxFuture<'a, Result<(), NodeError>> {
        unreachable!("no update is carried out here")
    }

    fn drain<'a>(&'a self, node: &'a NodeName) -> BoxFuture<'a, Result<(), NodeError>> {
        self.of(node, |node| {
            node.drained = true;
            Ok(())
        })
    }

    fn admit<'a>(&'a self, _: &'a NodeName) -> BoxFuture<'a, Result<(), NodeError>> {
        unreachable!("no update is carried out here")
    }

    fn stop<'a>(&'a self, node: &'a NodeName) -> BoxFuture<'a, Result<(), NodeError>> {
        self.named(node, |inner| {
            let released = matches!(inner.record, Some((Status::Released, _)) | None);
            if let Some(node) = inner.nodes.get_mut(node) {
                assert!(
                    released || (node.drained && !node.full),
                    "it is stopped too early"
                );
                node.running = None;
            }
            Ok(())
        })
    }

    fn start<'a>(
        &'a self,
        node: &'a NodeName,
        version: Version,
    ) -> BoxFuture<'a, Result<(), NodeError>> {
        self.of(node, move |node| {
            match node.running {
                Some(running) => assert_eq!(running, version, "it runs another binary"),
                None => (node.running, node.looks) = (Some(version), 3),
            }
            Ok(())
        })
    }

    fn look<'a>(&'a self, node: &'a NodeName) -> BoxFuture<'a, Result<Node, NodeError>> {
        self.named(node, |inner| {
            let never = inner.never_healthy;
            let node = inner.nodes.get_mut(node).ok_or("is not on record")?;
            node.looks = node.looks.saturating_sub(1);
            Ok(Node {
                version: node.running.ok_or("does not run")?,
                format: None,
                healthy: node.looks == 0 && !never,
            })
        })
    }

    fn finalise<'a>(&'a self, _: &'a NodeName, _: Version) -> BoxFuture<'a, Result<(), NodeError>> {
        unreachable!("no update is carried out here")
    }
}

impl Grounds for Machine {
    fn make<'a>(
        &'a self,
        node: &'a NodeName,
        _: &'a InstanceId,
    ) -> BoxFuture<'a, Result<(), NodeError>> {
        self.named(node, |inner| {
            inner.nodes.entry(node.clone()).or_default();
            Ok(())
        })
    }

    fn is_empty<'a>(&'a self, node: &'a NodeName) -> BoxFuture<'a, Result<bool, NodeError>> {
        self.of(node, |node| Ok(!node.full))
    }

    fn discard<'a>(&'a self, node: &'a NodeName) -> BoxFuture<'a, Result<(), NodeError>> {
        self.named(node, |inner| {
            let removed = inner.nodes.remove(node);
            assert!(removed.is_none_or(|node| node.running.is_none()), "it runs");
            Ok(())
        })
    }
}

impl Orders for Machine {
    fn due(&self) -> Vec<Order> {
        let record = self.inner.lock().record;
        let order = record.and_then(|(status, nodes)| {
            let kind = match status {
                Status::Creating => OrderKind::Create,
                Status::Changing => OrderKind::Change,
                Status::Released => OrderKind::Release,
                Status::Running => return None,
            };
            Some(Order {
                instance: instance(),
                kind,
                nodes,
            })
        });
        order.into_iter().collect()
    }

    fn settle<'a>(&'a self, _: &'a InstanceId, count: u16) -> BoxFuture<'a, Result<(), String>> {
        let settle = self.call(move |inner| {
            if let Some((status, nodes)) = &mut inner.record
                && *nodes == count
                && *status != Status::Released
            {
                *status = Status::Running;
            }
            Ok(())
        });
        settle.map_err(|failed| failed.reason).boxed()
    }

    fn remove<'a>(&'a self, _: &'a InstanceId) -> BoxFuture<'a, Result<(), String>> {
        let remove = self.call(|inner| {
            assert!(inner.nodes.is_empty(), "its nodes are there");
            inner.record = None;
            Ok(())
        });
        remove.map_err(|failed| failed.reason).boxed()
    }
}
