//! Nodes in memory that watch over what is done to them.

use base::InstanceId;
use futures::{FutureExt as _, TryFutureExt as _, future::BoxFuture};
use parking_lot::Mutex;

use crate::{Node, NodeError, NodeName, Nodes, Version, test_world::Faults};

struct State {
    running: Option<Version>,
    format: Version,
    admitted: bool,
    locked: bool,
    /// Looks until it is healthy.
    recovering: u32,
    never_healthy_on: Option<Version>,
}

pub(super) struct SimulatedNodes {
    away_max: usize,
    nodes: Mutex<Vec<State>>,
    pub(super) faults: Faults,
}

impl SimulatedNodes {
    pub(super) fn new(count: usize, away_max: usize, version: Version) -> Self {
        let node = || State {
            running: Some(version),
            format: version,
            admitted: true,
            locked: false,
            recovering: 0,
            never_healthy_on: None,
        };
        Self {
            away_max,
            nodes: Mutex::new((0..count).map(|_| node()).collect()),
            faults: Faults::default(),
        }
    }

    pub(super) fn never_healthy_on(&self, node: usize, version: Version) {
        self.nodes.lock()[node].never_healthy_on = Some(version);
    }

    /// All nodes serve as they should, and nothing is locked.
    pub(super) fn assert_all(&self, version: Version, format: Version) {
        for (number, node) in self.nodes.lock().iter().enumerate() {
            assert_eq!(
                (node.running, node.format),
                (Some(version), format),
                "node {number}"
            );
            assert!(node.admitted && !node.locked, "node {number}");
        }
    }

    /// How many of them refuse changes of topics and groups.
    pub(super) fn locked(&self) -> usize {
        let nodes = self.nodes.lock();
        nodes.iter().filter(|node| node.locked).count()
    }

    fn call<'a, T: Send + 'a>(
        &'a self,
        node: &'a NodeName,
        act: impl FnOnce(&mut State) -> Result<T, String> + Send + 'a,
    ) -> BoxFuture<'a, Result<T, NodeError>> {
        let call = self.faults.call(move || {
            let mut nodes = self.nodes.lock();
            let index: usize = node.as_str()[1..].parse().unwrap();
            let done = act(&mut nodes[index]);
            let away = nodes
                .iter()
                .filter(|node| !node.admitted || node.running.is_none());
            let away = away.count();
            assert!(away <= self.away_max, "{away} nodes are away");
            done
        });
        call.map_err(|failed| failed.of(node)).boxed()
    }
}

impl Nodes for SimulatedNodes {
    fn list<'a>(&'a self, _: &'a InstanceId) -> BoxFuture<'a, Result<Vec<NodeName>, NodeError>> {
        let count = self.nodes.lock().len();
        let names = (0..count).map(|number| NodeName::new(format!("n{number}")));
        let names = names.collect();
        async move { Ok(names) }.boxed()
    }

    fn precheck<'a>(
        &'a self,
        node: &'a NodeName,
        _: Version,
    ) -> BoxFuture<'a, Result<(), NodeError>> {
        self.call(node, |_| Ok(()))
    }

    fn lock<'a>(
        &'a self,
        node: &'a NodeName,
        locked: bool,
    ) -> BoxFuture<'a, Result<(), NodeError>> {
        self.call(node, move |node| {
            node.locked = locked;
            Ok(())
        })
    }

    fn drain<'a>(&'a self, node: &'a NodeName) -> BoxFuture<'a, Result<(), NodeError>> {
        self.call(node, |node| {
            node.admitted = false;
            Ok(())
        })
    }

    fn admit<'a>(&'a self, node: &'a NodeName) -> BoxFuture<'a, Result<(), NodeError>> {
        self.call(node, |node| {
            let running = node.running.expect("it was admitted without running");
            assert_ne!(
                node.never_healthy_on,
                Some(running),
                "it was admitted unhealthy"
            );
            assert_eq!(node.recovering, 0, "it was admitted before it was healthy");
            node.admitted = true;
            Ok(())
        })
    }

    fn stop<'a>(&'a self, node: &'a NodeName) -> BoxFuture<'a, Result<(), NodeError>> {
        self.call(node, |node| {
            assert!(!node.admitted, "it was stopped before it was drained");
            node.running = None;
            Ok(())
        })
    }

    fn start<'a>(
        &'a self,
        node: &'a NodeName,
        version: Version,
    ) -> BoxFuture<'a, Result<(), NodeError>> {
        self.call(node, move |node| {
            assert!(version >= node.format, "an older binary on a newer format");
            assert!(node.locked, "resources were not locked");
            match node.running {
                Some(running) => assert_eq!(running, version, "it runs another binary"),
                None => {
                    node.running = Some(version);
                    node.recovering = 3;
                }
            }
            Ok(())
        })
    }

    fn look<'a>(&'a self, node: &'a NodeName) -> BoxFuture<'a, Result<Node, NodeError>> {
        self.call(node, |node| {
            let version = node.running.ok_or("it does not run")?;
            node.recovering = node.recovering.saturating_sub(1);
            Ok(Node {
                version,
                format: Some(node.format),
                healthy: node.recovering == 0 && node.never_healthy_on != Some(version),
            })
        })
    }

    fn finalise<'a>(
        &'a self,
        node: &'a NodeName,
        version: Version,
    ) -> BoxFuture<'a, Result<(), NodeError>> {
        self.call(node, move |node| {
            assert_eq!(node.running, Some(version));
            node.format = version;
            Ok(())
        })
    }
}
