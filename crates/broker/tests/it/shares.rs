//! Budgets of an instance that several nodes serve, and limits that have grown.

use std::{sync::Arc, time::Duration};

use base::{InstanceId, ShardId};
use broker::{
    InstanceChange, InstanceSpec, Nodes, QuotaError, Router, SendError, Series, TopicSpec,
    plan::{Capacity, Plan, PlanChange},
};
use futures::{FutureExt as _, executor::block_on, future::BoxFuture};

use crate::{
    nodes::{Node, Shared, identity},
    quota::{flood, micro, press, serverless, with_at_node},
    support::{Bench, request, topic},
};

const SECOND: Duration = Duration::from_secs(1);

/// After so long a node looks at itself again.
const LOOK: Duration = Duration::from_millis(250);

/// What one node has of the default instance.
struct Part {
    nodes: Arc<Nodes>,
    router: Arc<Router>,
    bench: Bench,
}

impl Part {
    fn new(shared: &Shared, name: &str, plan: &Plan) -> Self {
        let identity = identity(name, name, None);
        let nodes = block_on(Nodes::join(shared.nodes(), &identity, "1.0.0"));
        let nodes = nodes.expect("the test allows no failure here");
        let number = nodes.number().expect("who joins has a number");
        let (router, bench) = (Arc::new(Router::default()), with_at_node(number, plan));
        router.add(bench.instance.clone());
        Self {
            nodes,
            router,
            bench,
        }
    }

    fn announce(&self) {
        let announced = self.nodes.announce(vec!["127.0.0.1:1".to_owned()]);
        block_on(announced).expect("the test allows no failure here");
    }
}

/// What the nodes do all the time.
struct Loops<'a>(Vec<BoxFuture<'a, ()>>);

impl<'a> Loops<'a> {
    fn of(parts: &'a [Part]) -> Self {
        let loops = parts.iter().flat_map(|part| {
            let follow = part.nodes.follow().boxed();
            [follow, part.nodes.act(&part.router).boxed()]
        });
        Self(loops.collect())
    }

    /// Has all nodes see what the others say of themselves, act on it, and say how they stand.
    fn go_on(&mut self, shared: &Shared, by: Duration) {
        shared.clock.advance(by);
        for _ in 0..3 {
            for task in &mut self.0 {
                assert!(task.now_or_never().is_none());
            }
        }
    }
}

/// How many of many sends each node takes in a new second.
fn taken(parts: &[Part]) -> Vec<usize> {
    let taken = parts.iter().map(|part| {
        part.bench.clock.advance(SECOND);
        flood(&part.bench, 40)
    });
    taken.collect()
}

#[test]
fn nodes_share_the_budgets_of_an_instance() {
    let shared = Shared::new();
    let parts = ["a", "b", "c"].map(|name| Part::new(&shared, name, &micro(0.05)));
    let mut loops = Loops::of(&parts);
    let mut go_on = |by| loops.go_on(&shared, by);
    let [a, b, c] = &parts;
    a.announce();
    go_on(Duration::ZERO);
    assert_eq!(taken(&parts[..1]), [25]);
    b.announce();
    c.announce();
    go_on(Duration::ZERO);
    assert_eq!(taken(&parts), [9, 8, 8]);
    let refused = a.bench.run(a.bench.shard.send(request(0, &["x"])));
    let refused = refused.unwrap_err();
    assert!(matches!(
        &refused,
        SendError::Quota(QuotaError::Throttled {
            limit: 25,
            share: 9,
            ..
        })
    ));
    assert_eq!(
        refused.to_string(),
        "messages flow control: sends of instance `default` are limited to 25 units a second, 9 of \
         them at this node"
    );

    // One that is drained has its share until nobody sends to it any more.
    block_on(a.nodes.wish("b", |wish| wish.sends = false)).unwrap();
    go_on(LOOK);
    assert_eq!(taken(&parts), [9, 8, 8]);
    go_on(LOOK);
    assert_eq!(taken(&parts), [9, 8, 8]);
    go_on(LOOK);
    go_on(SECOND);
    // What somebody sends to it all the same it takes, and has its share again then.
    assert_eq!(taken(&parts), [13, 8, 12]);
    go_on(LOOK);
    assert_eq!(taken(&parts), [9, 8, 8]);

    block_on(c.nodes.leave()).unwrap();
    go_on(LOOK);
    assert_eq!(taken(&parts[..2]), [13, 12]);
    block_on(b.nodes.leave()).unwrap();
    go_on(LOOK);
    assert_eq!(taken(&parts[..1]), [25]);

    let used = parts.iter().map(|part| part.bench.instance.usage());
    let used: u64 = used.flatten().map(|record| record.send_units).sum();
    assert_eq!(used, 25 * 7 + (13 + 8 + 12));
}

#[test]
fn what_is_paid_for_and_limits_of_topics_are_shared_as_well() {
    let shared = Shared::new();
    let plan = serverless(Capacity::Provisioned { tps: 1_000 }, false);
    let parts = ["a", "b"].map(|name| Part::new(&shared, name, &plan));
    for part in &parts {
        part.announce();
        let mut spec = TopicSpec::new(topic("orders"), 2);
        spec.attributes
            .insert(TopicSpec::MAX_SEND_TPS.into(), "5".into());
        let made = part.bench.instance.create_topic(spec);
        part.bench.run(made).unwrap();
    }
    Loops::of(&parts).go_on(&shared, Duration::ZERO);
    assert_eq!(taken(&parts), [3, 2]);
    // 950 sends a second each, of which 500 are paid for.
    for part in &parts {
        let spec = TopicSpec::new(topic("orders"), 2);
        part.bench
            .run(part.bench.instance.create_topic(spec))
            .unwrap();
        part.bench.clock.advance(SECOND);
        let sends = (0..12).map(|_| {
            part.bench
                .run(part.bench.shard.send(request(0, &["x"; 95])))
        });
        assert_eq!(sends.filter(Result::is_ok).count(), 10);
        let hour = part.bench.instance.usage().pop().unwrap();
        assert_eq!(hour.elastic_tps, 450);
    }
}

#[test]
fn a_limit_that_has_grown_at_one_node_grows_by_its_share() {
    let shared = Shared::new();
    let plan = serverless(Capacity::Provisioned { tps: 1_000 }, true);
    let parts = ["a", "b"].map(|name| Part::new(&shared, name, &plan));
    parts.iter().for_each(Part::announce);
    Loops::of(&parts).go_on(&shared, Duration::ZERO);
    // Each has 950 of 1,900 for sends of 500 units; what is too large for the rest does not fit.
    assert_eq!(press(&parts[0].bench, 3), 1);
    assert_eq!(press(&parts[0].bench, 1), 2);
    assert_eq!(press(&parts[1].bench, 1), 1);
}

/// An instance of a node, with a shard.
fn of_node(shared: &Shared, node: &Node, id: &InstanceId) -> Bench {
    let instance = node.router.instance(id);
    let folder = tempfile::tempdir().expect("the test allows no failure here");
    let instance = instance.expect("the test allows no failure here");
    Bench::on(instance, folder, shared.clock.clone(), ShardId::new(0))
}

#[test]
fn a_limit_that_has_grown_is_as_large_after_a_restart() {
    let shared = Shared::new();
    let node = shared.node(0);
    let plan = serverless(Capacity::Provisioned { tps: 1_000 }, true);
    let spec = InstanceSpec {
        series: Series::V5,
        plan: Some(plan),
        ..InstanceSpec::default()
    };
    let id = block_on(node.instances.create(spec)).unwrap().id.clone();
    let bench = of_node(&shared, &node, &id);
    bench.create_topic("orders");
    let written = || {
        let (entries, _) = block_on(shared.metadata.range(&format!("instances/{id}/growth/")))
            .expect("the test allows no failure here");
        entries.into_iter().map(|entry| entry.revision).next()
    };
    assert_eq!(press(&bench, 3), 3);
    block_on(node.instances.keep_growth());
    assert_eq!(written(), None);
    assert_eq!(press(&bench, 1), 5);
    block_on(node.instances.keep_growth());
    let first = written();
    assert!(first.is_some());
    block_on(node.instances.keep_growth());
    assert_eq!(written(), first);
    drop((bench, node));

    let node = shared.node(0);
    let bench = of_node(&shared, &node, &id);
    shared.clock.advance(60 * SECOND);
    assert_eq!(press(&bench, 1), 5);
    // It shrinks after as long as ever.
    for _ in 0..9 {
        shared.clock.advance(60 * SECOND);
        bench.instance.look_at_storage();
    }
    assert_eq!(press(&bench, 1), 5);
    for _ in 0..10 {
        shared.clock.advance(60 * SECOND);
        bench.instance.look_at_storage();
    }
    assert_eq!(press(&bench, 1), 3);
    block_on(node.instances.keep_growth());
    assert_eq!(written(), None);

    // What has grown under another plan does not count.
    assert_eq!(press(&bench, 3), 5);
    block_on(node.instances.keep_growth());
    assert!(written().is_some());
    drop((bench, node));
    let other = shared.node(1);
    let capacity = Capacity::Provisioned { tps: 2_000 };
    let change = InstanceChange {
        plan: Some(PlanChange {
            capacity: Some(capacity),
            ..PlanChange::default()
        }),
        ..InstanceChange::default()
    };
    block_on(other.instances.update(&id, change)).unwrap();
    let node = shared.node(0);
    let bench = of_node(&shared, &node, &id);
    assert_eq!(press(&bench, 1), 7);
    block_on(node.instances.keep_growth());
    assert_eq!(written(), None);
}
