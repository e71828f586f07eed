//! Inspections: their configurations, their runs, and what a crash leaves of both.

#![expect(clippy::unwrap_used, reason = "helpers of tests are tests too")]

use std::{
    collections::BTreeMap,
    sync::{
        Arc,
        atomic::{AtomicBool, Ordering},
    },
    time::{Duration, Instant},
};

use base::{InstanceId, limits};
use broker::{
    ClientIdentity, ConsumeFrom, ConsumeMode, ConsumerSubscription, Filter, GroupSpec, Heartbeat,
    InspectionError, Instances, MessageModel, Nodes, Series, Subscription, TopicSpec,
    inspection::{
        InspectionChange, InspectionItem, InspectionRun, InspectionRunStatus, InspectionSchedule,
        InspectionSpec, InspectionTrigger,
    },
};
use bytes::Bytes;
use futures::{FutureExt as _, executor::block_on, future::BoxFuture};
use store::meta::{Entry, Expected, LeaseId, MetadataError, MetadataStore, Revision, Watch};
use tokio::sync::mpsc;

use crate::{
    instances::Bench,
    nodes::{Node, Shared, identity},
    support::{group, topic},
};

const DAY: Duration = Duration::from_secs(24 * 60 * 60);
const PATIENCE: Duration = Duration::from_secs(20);

fn item(template: &str, parameters: &[(&str, i64)]) -> InspectionItem {
    let parameters = parameters.iter();
    InspectionItem {
        template: template.to_owned(),
        parameters: parameters
            .map(|(key, value)| ((*key).to_owned(), *value))
            .collect(),
    }
}

fn spec(cron: Option<&str>) -> InspectionSpec {
    InspectionSpec {
        items: vec![item("SubscriptionEnd", &[]), item("IdleTopic", &[])],
        schedule: InspectionSchedule {
            enabled: cron.is_some(),
            cron: cron.map(str::to_owned),
        },
        ..InspectionSpec::default()
    }
}

impl Bench {
    fn inspect(&self, id: &InstanceId, token: &str) -> Result<String, InspectionError> {
        block_on(self.instances.run_inspection(id, token, &[]))
    }

    /// The run, once it is over.
    fn done(&self, id: &InstanceId, run: &str) -> InspectionRun {
        done(&self.instances, id, run, || {})
    }
}

/// The run, once it is over, with something that is done meanwhile.
#[expect(
    clippy::disallowed_methods,
    reason = "the machine's time bounds how long a thread is waited for"
)]
fn done(
    instances: &Instances,
    id: &InstanceId,
    run: &str,
    mut meanwhile: impl FnMut(),
) -> InspectionRun {
    let begun = Instant::now();
    loop {
        meanwhile();
        let found = block_on(instances.inspection_run(id, run)).unwrap();
        let inspection = block_on(instances.inspection(id)).unwrap().unwrap();
        // Over, and noted as such: the next one may begin.
        if found.status.is_over() && inspection.open_run.is_none() {
            return found;
        }
        assert!(begun.elapsed() < PATIENCE, "{found:?}");
        std::thread::yield_now();
    }
}

/// Two nodes that are there, over one store.
struct Pair {
    shared: Shared,
    a: Node,
    b: Node,
    nodes: [Arc<Nodes>; 2],
}

impl Pair {
    fn new() -> Self {
        let shared = Shared::new();
        let nodes = ["a", "b"].map(|name| {
            let identity = identity(name, name, None);
            block_on(Nodes::join(shared.nodes(), &identity, "1")).unwrap()
        });
        let [a, b] = [&nodes[0], &nodes[1]].map(|node| shared.node(node.number().unwrap().get()));
        let pair = Self {
            shared,
            a,
            b,
            nodes,
        };
        pair.announce();
        pair
    }

    /// Both are there from now on, for as long as a lease lasts.
    fn announce(&self) {
        for nodes in &self.nodes {
            block_on(nodes.announce(vec!["127.0.0.1:1".to_owned()])).unwrap();
        }
    }

    /// Somebody connects to a node and consumes, by a tag.
    fn consume(
        node: &Node,
        client: &str,
        version: &str,
        tag: &str,
    ) -> mpsc::Receiver<Box<broker::ClientCommand>> {
        let (commands, told) = mpsc::channel(8);
        let instance = node.router.instance(&InstanceId::default_instance());
        let heartbeat = Heartbeat {
            client: ClientIdentity {
                id: client.to_owned(),
                connection: 1,
                address: "127.0.0.1:1".parse().unwrap(),
                language: "Rust".to_owned(),
                version: version.to_owned(),
            },
            commands,
            producer_groups: Vec::new(),
            consumers: vec![ConsumerSubscription {
                group: group("billing"),
                model: MessageModel::Clustering,
                mode: ConsumeMode::Push,
                from: ConsumeFrom::LastOffset,
                subscriptions: vec![Subscription {
                    topic: topic("orders"),
                    filter: Filter::tags(tag).unwrap(),
                    version: 1,
                }],
            }],
        };
        instance.unwrap().heartbeat(heartbeat).unwrap();
        told
    }

    /// Waits for a node that was asked and is not awaited.
    #[expect(
        clippy::disallowed_methods,
        reason = "the machine's time bounds how long a thread is waited for"
    )]
    fn until_nothing_is_left(&self) {
        let begun = Instant::now();
        while self.left() > 0 {
            assert!(begun.elapsed() < PATIENCE);
            std::thread::yield_now();
        }
    }

    /// Keys of what nodes ask and answer.
    fn left(&self) -> usize {
        let of = |prefix| {
            block_on(self.shared.metadata.range(prefix))
                .unwrap()
                .0
                .len()
        };
        of("inspections/asked/") + of("inspections/seen/")
    }
}

#[test]
fn a_run_judges_by_what_all_nodes_see() {
    let mut pair = Pair::new();
    let id = InstanceId::default_instance();
    let instance = pair.a.router.instance(&id).unwrap();
    block_on(instance.create_topic(TopicSpec::new(topic("orders"), 1))).unwrap();
    block_on(instance.create_group(GroupSpec::new(group("billing")))).unwrap();
    pair.b.catch_up();
    let mut told = vec![
        Pair::consume(&pair.b, "both", "1.0", "x"),
        Pair::consume(&pair.b, "other", "1.1", "y"),
    ];
    let codes = [
        "ClientVersions",
        "SubscriptionConsistency",
        "ConsumerOffline",
    ];
    let spec = InspectionSpec {
        items: codes.map(|code| item(code, &[])).into(),
        ..InspectionSpec::default()
    };
    let said = |run: &InspectionRun| {
        assert_eq!(run.status, InspectionRunStatus::Succeeded);
        let outcomes = run.outcomes.iter().map(|outcome| {
            let words = outcome.resources.iter().map(|it| it.summary.clone());
            (words.collect::<Vec<_>>(), outcome.error.clone())
        });
        outcomes.collect::<Vec<_>>()
    };

    // A node that says nothing is named, and what it may see is not said to be missing.
    let instances = pair.a.instances.clone();
    block_on(instances.create_inspection(&id, "c", spec)).unwrap();
    let run = block_on(instances.run_inspection(&id, "silent", &[])).unwrap();
    let mut wait = Duration::from_millis(limits::INSPECTION_NODES_MS_MAX);
    let found = done(&instances, &id, &run, || {
        if pair.left() > 0 {
            pair.shared.clock.advance(std::mem::take(&mut wait));
        }
    });
    let silent = (
        Vec::new(),
        Some("node `b` does not say what it sees".to_owned()),
    );
    assert_eq!(said(&found), [silent.clone(), silent.clone(), silent]);
    assert_eq!(pair.left(), 0);

    // One of them is known at both nodes; only together do they differ.
    pair.announce();
    told.push(Pair::consume(&pair.a, "both", "1.0", "x"));
    let run = block_on(instances.run_inspection(&id, "all", &[])).unwrap();
    let found = done(&instances, &id, &run, || pair.b.catch_up());
    let words = |text: &str| vec![text.to_owned()];
    let differ = "2 members differ in 1 topics, such as `orders`";
    assert_eq!(
        said(&found),
        [
            (words("2 releases: Rust 1.0, Rust 1.1"), None),
            (words(differ), None),
            (Vec::new(), None),
        ]
    );
    // What was asked before came too late, and has left nothing.
    pair.until_nothing_is_left();
}

#[test]
fn an_inspection_is_set_up_once_and_changed_from_what_it_is() {
    let bench = Bench::new();
    let (id, instances) = (bench.create(Series::V5), &bench.instances);
    assert!(block_on(instances.inspection(&id)).unwrap().is_none());
    let made = block_on(instances.create_inspection(&id, "a", spec(None))).unwrap();
    assert_eq!(
        (made.revision, &made.spec, made.next_run_at),
        (1, &spec(None), None)
    );
    // The same request again is that one; another one is refused.
    let again = block_on(instances.create_inspection(&id, "a", spec(None))).unwrap();
    assert_eq!(again, made);
    let other = block_on(instances.create_inspection(&id, "a", spec(Some("0 1 * * *"))));
    assert!(
        matches!(other, Err(InspectionError::TokenUsed { .. })),
        "{other:?}"
    );
    let other = block_on(instances.create_inspection(&id, "b", spec(None)));
    assert!(
        matches!(other, Err(InspectionError::Configured { .. })),
        "{other:?}"
    );

    let change = InspectionChange {
        items: Some(vec![item("QuotaUse", &[("percent", 50)])]),
        ..InspectionChange::default()
    };
    let changed = block_on(instances.update_inspection(&id, "c", 1, change.clone())).unwrap();
    assert_eq!((changed.revision, changed.spec.items.len()), (2, 1));
    let again = block_on(instances.update_inspection(&id, "c", 1, change.clone())).unwrap();
    assert_eq!(again.revision, 2);
    let late = block_on(instances.update_inspection(&id, "d", 1, change.clone()));
    let Err(InspectionError::Revision {
        have: 2, asked: 1, ..
    }) = late
    else {
        panic!("{late:?}");
    };
    // A day later a token is as good as new.
    bench.clock.advance(DAY + DAY);
    let late = block_on(instances.update_inspection(&id, "c", 1, change));
    assert!(
        matches!(late, Err(InspectionError::Revision { .. })),
        "{late:?}"
    );

    let bench = bench.reopen();
    let kept = block_on(bench.instances.inspection(&id)).unwrap().unwrap();
    assert_eq!(kept, changed);
    block_on(bench.instances.delete_inspection(&id)).unwrap();
    let gone = block_on(bench.instances.delete_inspection(&id));
    assert!(
        matches!(gone, Err(InspectionError::NotConfigured { .. })),
        "{gone:?}"
    );
}

#[test]
fn a_run_is_one_for_its_token_and_the_newest_are_kept() {
    let bench = Bench::new();
    let (id, instances) = (bench.create(Series::V5), &bench.instances);
    let early = bench.inspect(&id, "t");
    assert!(
        matches!(early, Err(InspectionError::NotConfigured { .. })),
        "{early:?}"
    );
    block_on(instances.create_inspection(&id, "a", spec(None))).unwrap();
    let first = bench.inspect(&id, "t").unwrap();
    let run = bench.done(&id, &first);
    assert_eq!(bench.inspect(&id, "t").unwrap(), first);
    assert_eq!(
        (run.status, run.trigger, run.attempts, run.outcomes.len()),
        (
            InspectionRunStatus::Succeeded,
            InspectionTrigger::Manual,
            1,
            2
        )
    );
    assert_eq!(run.outcomes[0].looked_at, 1);
    let wrong = [item("QuotaUse", &[])];
    let wrong = block_on(instances.run_inspection(&id, "w", &wrong));
    assert!(matches!(wrong, Err(InspectionError::Value(_))), "{wrong:?}");
    for number in 0..limits::INSPECTION_RUNS_MAX {
        bench.clock.advance(Duration::from_secs(1));
        let run = bench.inspect(&id, &format!("t{number}")).unwrap();
        bench.done(&id, &run);
    }
    // The oldest goes when the last has been noted.
    bench.clock.advance(Duration::from_secs(1));
    let newest = bench.inspect(&id, "last").unwrap();
    bench.done(&id, &newest);
    let gone = block_on(instances.inspection_run(&id, &first));
    assert!(
        matches!(gone, Err(InspectionError::RunNotFound { .. })),
        "{gone:?}"
    );
    let runs = block_on(instances.inspection_runs(&id)).unwrap();
    assert_eq!(runs[0].id, newest);
    assert!(
        runs.len() <= limits::INSPECTION_RUNS_MAX + 1,
        "{}",
        runs.len()
    );
    // Nothing is left of it with its instance.
    assert!(bench.keys(&id) > limits::INSPECTION_RUNS_MAX);
    block_on(instances.delete(&id)).unwrap();
    assert_eq!(bench.keys(&id), 0);
}

/// A store in which another node writes a run just before it is removed, once.
struct Meddling {
    store: Arc<dyn MetadataStore>,
    is_next: AtomicBool,
}

impl MetadataStore for Meddling {
    fn get(&self, key: &str) -> BoxFuture<'_, Result<Option<Entry>, MetadataError>> {
        self.store.get(key)
    }

    fn range(&self, prefix: &str) -> BoxFuture<'_, Result<(Vec<Entry>, Revision), MetadataError>> {
        self.store.range(prefix)
    }

    fn compare_and_set(
        &self,
        key: &str,
        expected: Expected,
        value: Option<Bytes>,
        lease: Option<LeaseId>,
    ) -> BoxFuture<'_, Result<Revision, MetadataError>> {
        let is_removal = key.starts_with("inspections/runs/") && value.is_none();
        let is_now = is_removal && self.is_next.swap(false, Ordering::Relaxed);
        let key = key.to_owned();
        async move {
            if is_now {
                let run = self.store.get(&key).await?.unwrap();
                let found = Expected::At(run.revision);
                let written = self
                    .store
                    .compare_and_set(&key, found, Some(run.value), None);
                written.await?;
            }
            self.store
                .compare_and_set(&key, expected, value, lease)
                .await
        }
        .boxed()
    }

    fn watch(&self, prefix: &str, revision: Revision) -> Watch {
        self.store.watch(prefix, revision)
    }

    fn grant_lease(&self, ttl: Duration) -> BoxFuture<'_, Result<LeaseId, MetadataError>> {
        self.store.grant_lease(ttl)
    }

    fn keep_alive(&self, lease: LeaseId) -> BoxFuture<'_, Result<(), MetadataError>> {
        self.store.keep_alive(lease)
    }

    fn revoke_lease(&self, lease: LeaseId) -> BoxFuture<'_, Result<(), MetadataError>> {
        self.store.revoke_lease(lease)
    }
}

#[test]
fn a_deletion_that_was_interrupted_can_be_tried_again() {
    let mut shared = Shared::new();
    let store = Arc::new(Meddling {
        store: shared.metadata.clone(),
        is_next: AtomicBool::new(false),
    });
    shared.metadata = store.clone();
    let instances = shared.node(0).instances;
    let id = InstanceId::default_instance();
    block_on(instances.create_inspection(&id, "a", spec(None))).unwrap();
    let run = block_on(instances.run_inspection(&id, "t", &[])).unwrap();
    done(&instances, &id, &run, || {});
    store.is_next.store(true, Ordering::Relaxed);
    let deleted = block_on(instances.delete_inspection(&id));
    assert!(
        matches!(deleted, Err(InspectionError::Metadata { .. })),
        "{deleted:?}"
    );
    block_on(instances.delete_inspection(&id)).unwrap();
    let left = block_on(store.range("inspections/")).unwrap().0;
    assert_eq!(left, []);
}

#[test]
fn a_run_that_a_crash_cut_short_is_carried_out_again() {
    let bench = Bench::new();
    let id = bench.create(Series::V5);
    block_on(bench.instances.create_inspection(&id, "a", spec(None))).unwrap();
    // What answers the request; the run itself is lost.
    bench.host.seen.lock().tasks_left = Some(1);
    let run = bench.inspect(&id, "t").unwrap();
    let found = block_on(bench.instances.inspection_run(&id, &run)).unwrap();
    assert_eq!(found.status, InspectionRunStatus::Pending);
    bench.host.seen.lock().tasks_left = None;
    let other = bench.inspect(&id, "u");
    assert!(
        matches!(other, Err(InspectionError::Running { .. })),
        "{other:?}"
    );

    let bench = bench.reopen();
    block_on(bench.instances.keep_inspections());
    let found = bench.done(&id, &run);
    assert_eq!(found.status, InspectionRunStatus::Succeeded);
    bench.inspect(&id, "u").unwrap();
}

#[test]
fn a_schedule_is_kept_and_what_was_missed_happens_once() {
    let bench = Bench::new();
    let (id, instances) = (bench.create(Series::V5), &bench.instances);
    let made = block_on(instances.create_inspection(&id, "a", spec(Some("30 4 * * *")))).unwrap();
    let due = made.next_run_at.unwrap();
    block_on(instances.keep_inspections());
    assert!(block_on(instances.inspection_runs(&id)).unwrap().is_empty());
    // Off for some days.
    bench.clock.advance(5 * DAY);
    block_on(instances.keep_inspections());
    let runs = block_on(instances.inspection_runs(&id)).unwrap();
    let [run] = &runs[..] else {
        panic!("{runs:?}");
    };
    assert_eq!(run.trigger, InspectionTrigger::Schedule);
    bench.done(&id, &run.id);
    block_on(instances.keep_inspections());
    assert_eq!(block_on(instances.inspection_runs(&id)).unwrap().len(), 1);
    let next = block_on(instances.inspection(&id)).unwrap().unwrap();
    let next = next.next_run_at.unwrap();
    assert_eq!((next.ms() - due.ms()) % 86_400_000, 0);
    bench.clock.advance(DAY);
    block_on(instances.keep_inspections());
    let runs: BTreeMap<_, _> = block_on(instances.inspection_runs(&id))
        .unwrap()
        .into_iter()
        .map(|run| (run.id.clone(), run))
        .collect();
    assert_eq!(runs.len(), 2);
    // Switched off, it rests.
    for run in runs.keys() {
        bench.done(&id, run);
    }
    let off = InspectionChange {
        schedule: Some(InspectionSchedule::default()),
        ..InspectionChange::default()
    };
    let off = block_on(instances.update_inspection(&id, "b", 1, off)).unwrap();
    assert_eq!(off.next_run_at, None);
    bench.clock.advance(DAY);
    block_on(instances.keep_inspections());
    assert_eq!(block_on(instances.inspection_runs(&id)).unwrap().len(), 2);
}
