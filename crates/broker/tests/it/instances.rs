//! The registry of instances, over a host that only remembers what it was asked for.

use std::{
    collections::{BTreeMap, BTreeSet},
    sync::Arc,
};

use base::{InstanceId, Random, SeededRandom};
use broker::{
    CreateInstanceError, DeleteInstanceError, GroupSpec, HostError, Instance, InstanceChange,
    InstanceHost, InstanceSettings, InstanceSpec, InstanceToOpen, Instances, InstancesParts,
    Router, Series, Serves, TopicSpec, UpdateInstanceError,
};
use futures::{executor::block_on, future::BoxFuture};
use parking_lot::Mutex;
use store::{
    fs::FolderDisk,
    meta::{EmbeddedMetadata, MetadataStore},
};
use tempfile::TempDir;

use crate::support::{TestClock, group, topic};

pub(crate) struct Host {
    metadata: Arc<dyn MetadataStore>,
    clock: Arc<TestClock>,
    pub(crate) seen: Mutex<Seen>,
}

#[derive(Default)]
pub(crate) struct Seen {
    open: BTreeSet<InstanceId>,
    pub(crate) removed: Vec<InstanceId>,
    /// What is stored beside what is open.
    pub(crate) strangers: Vec<InstanceId>,
    refuses: bool,
    /// How many tasks are still carried out; others are lost, as in a crash.
    pub(crate) tasks_left: Option<usize>,
}

impl InstanceHost for Host {
    fn open(
        &self,
        opening: InstanceToOpen,
    ) -> BoxFuture<'static, Result<Arc<Instance>, HostError>> {
        let (metadata, clock) = (self.metadata.clone(), self.clock.clone());
        let refused = std::mem::take(&mut self.seen.lock().refuses);
        if !refused {
            self.seen.lock().open.insert(opening.id.clone());
        }
        Box::pin(async move {
            if refused {
                return Err("no room".into());
            }
            let settings = InstanceSettings {
                series: opening.series,
                has_own_nodes: opening.has_own_nodes,
                ..InstanceSettings::default()
            };
            Ok(Instance::open(opening.id, settings, metadata, clock).await?)
        })
    }

    fn remove(&self, id: InstanceId) -> BoxFuture<'static, Result<(), HostError>> {
        let mut seen = self.seen.lock();
        if std::mem::take(&mut seen.refuses) {
            return Box::pin(async { Err("the disk is gone".into()) });
        }
        seen.open.remove(&id);
        seen.removed.push(id);
        Box::pin(async { Ok(()) })
    }

    fn stored(&self) -> Result<Vec<InstanceId>, HostError> {
        Ok(self.seen.lock().strangers.clone())
    }

    fn spawn(&self, work: BoxFuture<'static, ()>) {
        if let Some(left) = &mut self.seen.lock().tasks_left {
            if *left == 0 {
                return;
            }
            *left -= 1;
        }
        std::thread::spawn(|| block_on(work));
    }
}

impl Host {
    /// A host that stores these instances from before.
    pub(crate) fn new(
        metadata: Arc<dyn MetadataStore>,
        clock: Arc<TestClock>,
        strangers: Vec<InstanceId>,
    ) -> Arc<Self> {
        let seen = Seen {
            strangers,
            ..Seen::default()
        };
        Arc::new(Self {
            metadata,
            clock,
            seen: Mutex::new(seen),
        })
    }
}

pub(crate) struct Bench {
    pub(crate) clock: Arc<TestClock>,
    pub(crate) instances: Arc<Instances>,
    router: Arc<Router>,
    pub(crate) host: Arc<Host>,
    folder: TempDir,
}

impl Bench {
    pub(crate) fn new() -> Self {
        Self::open(tempfile::tempdir().expect("the test allows no failure here"))
    }

    fn open(folder: TempDir) -> Self {
        let clock = TestClock::new();
        let disk = FolderDisk::open(folder.path()).expect("the test allows no failure here");
        let metadata =
            EmbeddedMetadata::open(disk, clock.clone()).expect("the test allows no failure here");
        let host = Host::new(metadata.clone(), clock.clone(), Vec::new());
        let random: Arc<dyn Random> = Arc::new(SeededRandom::new(5));
        let router = Arc::new(Router::default());
        let parts = InstancesParts {
            metadata,
            router: router.clone(),
            host: host.clone(),
            clock: clock.clone(),
            random,
            default_series: Series::Any,
            series_4_created: true,
            node: None,
            serves: Serves::default(),
        };
        Self {
            clock,
            instances: block_on(Instances::open(parts)).expect("the test allows no failure here"),
            router,
            host,
            folder,
        }
    }

    /// As after a crash.
    pub(crate) fn reopen(self) -> Self {
        let folder = self.folder;
        drop((self.instances, self.router, self.host));
        Self::open(folder)
    }

    pub(crate) fn create(&self, series: Series) -> InstanceId {
        let spec = InstanceSpec {
            series,
            display_name: "orders of Europe".to_owned(),
            ..InstanceSpec::default()
        };
        block_on(self.instances.create(spec))
            .expect("the test allows no failure here")
            .id
            .clone()
    }

    pub(crate) fn keys(&self, of: &InstanceId) -> usize {
        let all = block_on(self.host.metadata.range(""))
            .expect("the test allows no failure here")
            .0;
        let of_it = all.iter().filter(|entry| entry.key.contains(of.as_str()));
        of_it.count()
    }

    fn ids(&self) -> Vec<InstanceId> {
        let list = self.instances.list();
        list.iter().map(|record| record.id.clone()).collect()
    }
}

#[test]
fn instances_are_there_after_a_restart_as_they_were_changed() {
    let bench = Bench::new();
    let (four, five) = (bench.create(Series::V4), bench.create(Series::V5));
    let change = InstanceChange {
        remark: Some("for the shop".to_owned()),
        tags: Some(BTreeMap::from([("team".to_owned(), "shop".to_owned())])),
        ..InstanceChange::default()
    };
    block_on(bench.instances.update(&four, change)).unwrap();
    let (ids, account) = (bench.ids(), bench.instances.account());
    assert_eq!(ids.len(), 3);

    let bench = bench.reopen();
    assert_eq!(bench.ids(), ids);
    assert_eq!(bench.instances.account(), account);
    let record = bench.instances.get(&four).unwrap();
    assert_eq!(record.display_name, "orders of Europe");
    assert_eq!(record.remark, "for the shop");
    assert_eq!(record.tags["team"], "shop");
    for (id, series) in [(&four, Series::V4), (&five, Series::V5)] {
        let instance = bench.router.instance(id).unwrap();
        assert_eq!(instance.settings().series, series);
    }
}

#[test]
fn what_an_instance_holds_must_be_deleted_first() {
    let bench = Bench::new();
    let id = bench.create(Series::V4);
    let instance = bench.router.instance(&id).unwrap();
    block_on(instance.create_topic(TopicSpec::new(topic("orders"), 1))).unwrap();
    block_on(instance.create_group(GroupSpec::new(group("billing")))).unwrap();
    block_on(instance.retry_topic(&group("billing"))).unwrap();
    let refused = block_on(bench.instances.delete(&id));
    assert!(
        matches!(
            refused,
            Err(DeleteInstanceError::NotEmpty {
                topics: 1,
                groups: 1,
                ..
            })
        ),
        "{refused:?}"
    );
    // A refusal changes nothing.
    block_on(instance.create_topic(TopicSpec::new(topic("more"), 1))).unwrap();
    for name in ["orders", "more"] {
        block_on(instance.delete_topic(&topic(name))).unwrap();
    }
    block_on(instance.delete_group(&group("billing"))).unwrap();
    block_on(bench.instances.delete(&id)).unwrap();

    assert!(bench.router.instance(&id).is_err());
    assert!(bench.instances.get(&id).is_err());
    assert_eq!(bench.host.seen.lock().removed, std::slice::from_ref(&id));
    assert_eq!(bench.keys(&id), 0);
    // Who still holds it cannot bring anything of it back.
    let late = block_on(instance.create_topic(TopicSpec::new(topic("late"), 1)));
    assert!(late.is_err());
    assert_eq!(bench.keys(&id), 0);
    let again = block_on(bench.instances.delete(&id));
    assert!(matches!(again, Err(DeleteInstanceError::NotFound(_))));
}

#[test]
fn the_default_instance_stays_and_only_the_series_are_created() {
    let bench = Bench::new();
    let default = InstanceId::default_instance();
    let refused = block_on(bench.instances.delete(&default));
    assert!(matches!(refused, Err(DeleteInstanceError::Default { .. })));
    let refused = block_on(bench.instances.create(InstanceSpec::default()));
    assert!(matches!(refused, Err(CreateInstanceError::NoSeries)));
    let change = InstanceChange {
        remark: Some("x".repeat(129)),
        ..InstanceChange::default()
    };
    let refused = block_on(bench.instances.update(&default, change));
    assert!(matches!(refused, Err(UpdateInstanceError::Text(_))));
    assert_eq!(bench.ids(), [default]);
}

#[test]
fn an_instance_that_cannot_be_made_leaves_nothing() {
    let bench = Bench::new();
    bench.host.seen.lock().refuses = true;
    let spec = InstanceSpec {
        series: Series::V5,
        ..InstanceSpec::default()
    };
    let refused = block_on(bench.instances.create(spec));
    let Err(CreateInstanceError::Host { instance, .. }) = refused else {
        panic!("made without room: {refused:?}");
    };
    assert_eq!(
        bench.host.seen.lock().removed,
        std::slice::from_ref(&instance)
    );
    assert_eq!(bench.keys(&instance), 0);
    assert_eq!(bench.ids().len(), 1);
}

#[test]
fn a_removal_that_was_cut_short_is_finished_by_the_next_start() {
    let bench = Bench::new();
    let (cut, kept) = (bench.create(Series::V4), bench.create(Series::V4));
    bench.host.seen.lock().refuses = true;
    let failed = block_on(bench.instances.delete(&cut));
    assert!(matches!(failed, Err(DeleteInstanceError::Host { .. })));
    assert!(bench.router.instance(&cut).is_err());
    assert_ne!(bench.keys(&cut), 0);
    // It is gone for everybody, and is not brought back by a change.
    let change = InstanceChange::default();
    let changed = block_on(bench.instances.update(&cut, change));
    assert!(matches!(changed, Err(UpdateInstanceError::NotFound(_))));
    assert!(!bench.ids().contains(&cut));

    let bench = bench.reopen();
    assert_eq!(bench.host.seen.lock().removed, std::slice::from_ref(&cut));
    assert!(!bench.host.seen.lock().open.contains(&cut));
    assert_eq!(bench.keys(&cut), 0);
    assert!(bench.router.instance(&kept).is_ok());

    // One whose disk comes back is removed by asking again.
    bench.host.seen.lock().refuses = true;
    assert!(block_on(bench.instances.delete(&kept)).is_err());
    block_on(bench.instances.delete(&kept)).unwrap();
    assert_eq!(bench.keys(&kept), 0);
}
