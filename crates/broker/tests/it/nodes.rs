//! Several nodes over one metadata store: what one changes is at the others, and who is there.

use std::{pin::Pin, sync::Arc, time::Duration};

use base::{InstanceId, Random, SeededRandom, ShardId, Timestamp, limits};
use broker::{
    GroupSpec, Instance, InstanceChange, InstanceSpec, Instances, InstancesParts, JoinError,
    NodeIdentity, Nodes, NodesParts, OpenInstancesError, Router, Series, Serves, TopicSpec,
    access::{Secret, UserChange},
    plan::{Edition, Plan, SubSeries},
};
use futures::{FutureExt as _, executor::block_on};
use store::{
    fs::FolderDisk,
    meta::{EmbeddedMetadata, Expected, MetadataStore},
};
use tempfile::TempDir;

use crate::{
    instances::Host,
    support::{TestClock, group, topic},
};

/// What nodes share.
pub(crate) struct Shared {
    pub(crate) metadata: Arc<dyn MetadataStore>,
    pub(crate) clock: Arc<TestClock>,
    _folder: TempDir,
}

impl Shared {
    pub(crate) fn new() -> Self {
        let (folder, clock) = (
            tempfile::tempdir().expect("the test allows no failure here"),
            TestClock::new(),
        );
        let disk = FolderDisk::open(folder.path()).expect("the test allows no failure here");
        let metadata =
            EmbeddedMetadata::open(disk, clock.clone()).expect("the test allows no failure here");
        Self {
            metadata,
            clock,
            _folder: folder,
        }
    }

    pub(crate) fn node(&self, number: u16) -> Node {
        self.node_with(number, Vec::new())
    }

    /// A node that stores these instances from before.
    pub(crate) fn node_with(&self, number: u16, strangers: Vec<InstanceId>) -> Node {
        let opened = self.open(Some(number), strangers, Serves::Shared);
        opened.expect("the test allows no failure here")
    }

    /// A server that opens these instances; without a number one that is no node.
    pub(crate) fn open(
        &self,
        number: Option<u16>,
        strangers: Vec<InstanceId>,
        serves: Serves,
    ) -> Result<Node, OpenInstancesError> {
        let host = Host::new(self.metadata.clone(), self.clock.clone(), strangers);
        let random: Arc<dyn Random> = Arc::new(SeededRandom::new(number.map_or(99, u64::from)));
        let router = Arc::new(Router::default());
        let instances = block_on(Instances::open(InstancesParts {
            metadata: self.metadata.clone(),
            router: router.clone(),
            host: host.clone(),
            clock: self.clock.clone(),
            random,
            default_series: Series::Any,
            series_4_created: true,
            node: number.map(ShardId::new),
            serves,
        }));
        let instances = instances?;
        Ok(Node {
            follow: Box::pin(instances.clone().follow()),
            instances,
            router,
            host,
        })
    }

    pub(crate) fn nodes(&self) -> NodesParts {
        NodesParts {
            metadata: self.metadata.clone(),
            clock: self.clock.clone(),
            lease: LEASE,
        }
    }
}

pub(crate) struct Node {
    pub(crate) instances: Arc<Instances>,
    pub(crate) router: Arc<Router>,
    pub(crate) host: Arc<Host>,
    follow: Pin<Box<dyn Future<Output = ()>>>,
}

impl Node {
    /// Takes in all that has been told by now.
    pub(crate) fn catch_up(&mut self) {
        assert!((&mut self.follow).now_or_never().is_none());
    }

    fn default(&self) -> Arc<Instance> {
        let default = InstanceId::default_instance();
        self.router
            .instance(&default)
            .expect("the test allows no failure here")
    }

    fn create_topic(&self, name: &str, queues: u32) -> u32 {
        let spec = TopicSpec::new(topic(name), queues);
        let topic =
            block_on(self.default().create_topic(spec)).expect("the test allows no failure here");
        topic.id.get()
    }
}

const LEASE: Duration = Duration::from_secs(6);

#[test]
fn what_one_node_changes_is_at_the_others() {
    let shared = Shared::new();
    let (mut a, mut b) = (shared.node(0), shared.node(1));
    let id = a.create_topic("orders", 2);
    block_on(a.default().create_group(GroupSpec::new(group("billing")))).unwrap();
    let user = UserChange {
        secret: Some(Secret::new("12345678")),
        ..UserChange::default()
    };
    block_on(a.default().access().create_user("ann", user)).unwrap();
    let policy =
        r#"{"Version":"1","Statement":[{"Effect":"Allow","Action":"mq:PUB","Resource":"*"}]}"#;
    block_on(a.default().access().create_ram_policy("senders", policy)).unwrap();
    block_on(a.default().access().attach("senders", "ann")).unwrap();
    assert!(b.default().topic(&topic("orders")).is_none());
    b.catch_up();
    let seen = b.default().topic(&topic("orders")).unwrap();
    assert_eq!((seen.id.get(), seen.spec.queues), (id, 2));
    assert!(b.default().group(&group("billing")).is_some());
    assert_eq!(b.default().access().users_with("senders").len(), 1);

    // The other way, and on top of what came from there.
    assert_eq!(b.create_topic("orders", 4), id);
    block_on(b.default().delete_group(&group("billing"))).unwrap();
    block_on(b.default().access().detach("senders", "ann")).unwrap();
    a.catch_up();
    let seen = a.default().topic(&topic("orders")).unwrap();
    assert_eq!((seen.id.get(), seen.spec.queues), (id, 4));
    assert!(a.default().group(&group("billing")).is_none());
    assert!(a.default().access().users_with("senders").is_empty());
}

#[test]
fn usage_is_the_sum_of_what_the_nodes_counted() {
    let shared = Shared::new();
    let (mut a, mut b) = (shared.node(0), shared.node(1));
    let spec = InstanceSpec {
        series: Series::V5,
        plan: Some(Plan::new(
            Edition::Standard,
            SubSeries::SingleNode,
            Some("rmq.s1.micro".to_owned()),
        )),
        ..InstanceSpec::default()
    };
    let id = block_on(a.instances.create(spec)).unwrap().id.clone();
    b.catch_up();
    // Each has an entry of its own for the day that runs.
    let written = || {
        let (entries, _) = block_on(shared.metadata.range("usage/")).unwrap();
        entries.len()
    };
    block_on(a.instances.keep_usage());
    assert_eq!(written(), 1);
    block_on(b.instances.keep_usage());
    assert_eq!(written(), 2);
    for (node, units, elastic, unused) in [(0, 3, [0, 500, 200], 0), (1, 4, [0, 100, 0], 300)] {
        let hours = [2, 3, 4].into_iter().zip(elastic).map(|(hour, elastic)| {
            let unused = if elastic == 0 { unused } else { 0 };
            format!(
                r#"{{"hour_ms":{hour}600000,"send_units":{units},"receive_units":{units},
                    "storage_bytes":1,"elastic_tps":{elastic},"unused_tps":{unused}}}"#
            )
        });
        let value = format!("[{}]", hours.collect::<Vec<_>>().join(","));
        let key = format!("usage/{id}/{node}/000000");
        let put = shared
            .metadata
            .compare_and_set(&key, Expected::Absent, Some(value.into()), None);
        block_on(put).unwrap();
    }
    let (from, to) = (Timestamp::default(), Timestamp::from_ms(86_400_000));
    let usage = block_on(a.instances.usage(Some(&id), from, to)).unwrap();
    let told: Vec<_> = usage
        .iter()
        .map(|(_, record)| {
            (
                record.send_units,
                record.receive_units,
                record.storage_bytes,
                record.elastic_tps,
            )
        })
        .collect();
    // What one was above its share is charged for as far as the other has not left it unused.
    assert_eq!(told, [(7, 7, 2, 0), (7, 7, 2, 600), (7, 7, 2, 0)]);
    a.catch_up();
}

#[test]
fn nodes_that_make_the_same_at_once_make_it_once() {
    let shared = Shared::new();
    let (mut a, mut b) = (shared.node(0), shared.node(1));
    // Neither has heard of the other's change when it makes its own.
    let id = a.create_topic("orders", 2);
    assert_eq!(b.create_topic("orders", 2), id);
    assert_eq!(b.create_topic("orders", 8), id);
    assert_eq!(a.create_topic("orders", 9), id);
    let made = block_on(b.default().create_group(GroupSpec::new(group("billing")))).unwrap();
    let again = block_on(a.default().create_group(GroupSpec::new(group("billing")))).unwrap();
    assert_eq!(made.id, again.id);
    for node in [&mut a, &mut b] {
        node.catch_up();
        let seen = node.default().topic(&topic("orders")).unwrap();
        assert_eq!((seen.id.get(), seen.spec.queues), (id, 9));
    }
}

#[test]
fn what_is_told_late_does_not_bring_back_what_is_gone() {
    let shared = Shared::new();
    let mut a = shared.node(0);
    a.create_topic("orders", 2);
    block_on(a.default().delete_topic(&topic("orders"))).unwrap();
    // Its own two changes are told now.
    a.catch_up();
    assert!(a.default().topic(&topic("orders")).is_none());
    let id = a.create_topic("orders", 2);
    a.catch_up();
    assert_eq!(a.default().topic(&topic("orders")).unwrap().id.get(), id);
}

#[test]
fn instances_come_and_go_at_all_nodes() {
    let shared = Shared::new();
    let (mut a, mut b) = (shared.node(0), shared.node(1));
    let spec = InstanceSpec {
        series: Series::V5,
        ..InstanceSpec::default()
    };
    let id = block_on(a.instances.create(spec)).unwrap().id.clone();
    assert!(b.router.instance(&id).is_err());
    b.catch_up();
    let orders = TopicSpec::new(topic("orders"), 1);
    let there = b.router.instance(&id).unwrap();
    block_on(there.create_topic(orders)).unwrap();
    let change = InstanceChange {
        remark: Some("for the shop".to_owned()),
        ..InstanceChange::default()
    };
    block_on(b.instances.update(&id, change)).unwrap();
    a.catch_up();
    assert_eq!(a.instances.get(&id).unwrap().remark, "for the shop");
    // What another node put into it keeps it.
    assert!(block_on(a.instances.delete(&id)).is_err());
    block_on(there.delete_topic(&topic("orders"))).unwrap();
    a.catch_up();
    block_on(a.instances.delete(&id)).unwrap();
    b.catch_up();
    assert!(b.router.instance(&id).is_err());
    assert_eq!(b.host.seen.lock().removed, std::slice::from_ref(&id));

    // Deleted while a node was away.
    let c = shared.node_with(2, vec![id.clone(), InstanceId::default_instance()]);
    assert_eq!(c.host.seen.lock().removed, [id]);
}

#[test]
fn a_node_that_was_told_too_little_reads_everything_again() {
    let shared = Shared::new();
    let (a, mut b) = (shared.node(0), shared.node(1));
    a.create_topic("gone", 1);
    b.catch_up();
    let mut expected = Expected::Absent;
    for _ in 0..limits::METADATA_WATCH_CHANGES_MAX + 10 {
        let value = Some(Vec::new().into());
        let set = shared
            .metadata
            .compare_and_set("noise", expected, value, None);
        expected = Expected::At(block_on(set).unwrap());
    }
    block_on(a.default().delete_topic(&topic("gone"))).unwrap();
    a.create_topic("new", 1);
    let spec = InstanceSpec {
        series: Series::V4,
        ..InstanceSpec::default()
    };
    let id = block_on(a.instances.create(spec)).unwrap().id.clone();
    b.catch_up();
    shared.clock.advance(Duration::from_secs(2));
    b.catch_up();
    assert!(b.default().topic(&topic("gone")).is_none());
    assert!(b.default().topic(&topic("new")).is_some());
    assert!(b.router.instance(&id).is_ok());
    // And goes on following.
    a.create_topic("newer", 1);
    b.catch_up();
    assert!(b.default().topic(&topic("newer")).is_some());
}

pub(crate) fn identity(name: &str, folder: &str, number: Option<u16>) -> NodeIdentity {
    NodeIdentity {
        name: name.to_owned(),
        folder: folder.to_owned(),
        number: number.map(ShardId::new),
        instance: None,
    }
}

fn listed(nodes: &Nodes, with_away: bool) -> Vec<(String, bool)> {
    let peers = nodes.peers(None, with_away).into_iter();
    let peers = peers.map(|peer| (peer.record.addresses.join(","), peer.is_live));
    peers.collect()
}

#[test]
fn nodes_are_seen_while_they_keep_their_lease() {
    let shared = Shared::new();
    let join = |name: &str, folder: &str, number| {
        let identity = identity(name, folder, number);
        block_on(Nodes::join(shared.nodes(), &identity, "1.0.0"))
    };
    let a = join("a", "folder-a", None).unwrap();
    let b = join("b", "folder-b", None).unwrap();
    let number = |nodes: &Nodes| nodes.number().map(ShardId::get);
    assert_eq!((number(&a), number(&b)), (Some(0), Some(1)));
    let mut follow = Box::pin(a.follow());
    let mut catch_up = || assert!((&mut follow).now_or_never().is_none());
    catch_up();
    assert!(listed(&a, false).is_empty());
    let mut changes = a.changes();
    changes.mark_unchanged();

    block_on(b.announce(vec!["127.0.0.1:1".to_owned()])).unwrap();
    catch_up();
    let b_is = |is_live| vec![("127.0.0.1:1".to_owned(), is_live)];
    assert_eq!(listed(&a, false), b_is(true));
    assert!(changes.has_changed().unwrap());

    // It keeps its place while it stays, and loses it when it says nothing.
    let mut stay = Box::pin(b.stay());
    for _ in 0..9 {
        assert!((&mut stay).now_or_never().is_none());
        shared.clock.advance(LEASE / 3);
        assert!((&mut stay).now_or_never().is_none());
        catch_up();
        assert_eq!(listed(&a, false), b_is(true));
    }
    shared.clock.advance(LEASE);
    catch_up();
    assert!(listed(&a, false).is_empty());
    // Awaited for a while, where its place is to be kept.
    assert_eq!(listed(&a, true), b_is(false));
    // It comes back by itself.
    assert!((&mut stay).now_or_never().is_none());
    catch_up();
    assert_eq!(listed(&a, false), b_is(true));
    block_on(b.leave()).unwrap();
    catch_up();
    assert!(listed(&a, false).is_empty());
    shared
        .clock
        .advance(Duration::from_millis(limits::NODE_AWAY_MS_MAX + 1));
    assert!(listed(&a, true).is_empty());

    // With its folder it is who it was.
    let again = join("b", "folder-b", Some(1)).unwrap();
    let own = again.own().unwrap();
    assert_eq!((own.number.get(), own.epoch), (1, 2));
    let taken = join("b", "folder-c", None);
    assert!(matches!(taken, Err(JoinError::NameTaken { .. })));
    let stranger = join("d", "folder-d", Some(4));
    assert!(matches!(stranger, Err(JoinError::Unknown { .. })));
    assert!(matches!(
        join("a b", "x", None),
        Err(JoinError::Name { .. })
    ));
    assert_eq!(number(&join("c", "folder-c", None).unwrap()), Some(2));
}
