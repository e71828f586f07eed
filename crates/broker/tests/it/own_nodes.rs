//! Instances with nodes of their own: what of them is open where, and their life at a fleet.

use std::time::Duration;

use base::InstanceId;
use broker::{
    CreateInstanceError, DeleteInstanceError, DeleteTopicError, Description, GroupSpec,
    InstanceChange, InstanceSpec, JoinError, NodeWish, Nodes, OpenInstancesError, OwnNodesError,
    RemoveNodeError, Series, Serves, TopicSpec, UpdateInstanceError,
    access::{Secret, UserChange},
    plan::{Edition, InstanceStatus, Plan, SubSeries},
};
use futures::{FutureExt as _, executor::block_on};

use crate::{
    nodes::{Node, Shared, identity},
    support::{group, topic},
};

const FLEET: Serves = Serves::Metadata { own_nodes: 2 };

fn fleet(shared: &Shared) -> Node {
    shared
        .open(None, Vec::new(), FLEET)
        .expect("the test allows no failure here")
}

fn ultimate(nodes: Option<u16>) -> InstanceSpec {
    let specification = Some("rmq.u2.10xlarge".to_owned());
    InstanceSpec {
        series: Series::V5,
        plan: Some(Plan::new(
            Edition::Ultimate,
            SubSeries::ClusterHa,
            specification,
        )),
        nodes,
        ..InstanceSpec::default()
    }
}

fn open_at(node: &Node) -> Vec<InstanceId> {
    let instances = node.router.instances();
    instances.iter().map(|it| it.id().clone()).collect()
}

fn status(node: &Node, id: &InstanceId) -> (InstanceStatus, u16) {
    let record = node
        .instances
        .get(id)
        .expect("the test allows no failure here");
    (record.status, record.nodes)
}

fn resized(nodes: u16) -> InstanceChange {
    InstanceChange {
        nodes: Some(nodes),
        ..InstanceChange::default()
    }
}

#[test]
fn each_server_opens_what_it_is_for() {
    let shared = Shared::new();
    let mut fleet = fleet(&shared);
    let mut tenants = shared.node(0);
    let tenant = block_on(fleet.instances.create(InstanceSpec {
        series: Series::V5,
        ..InstanceSpec::default()
    }));
    let tenant = tenant.unwrap().id.clone();
    let own = block_on(fleet.instances.create(ultimate(None))).unwrap();
    assert_eq!((own.status, own.nodes), (InstanceStatus::Creating, 2));
    let own = own.id.clone();
    let default = InstanceId::default_instance();
    tenants.catch_up();
    fleet.catch_up();
    let mut all = vec![default.clone(), tenant.clone(), own.clone()];
    all.sort();
    assert_eq!(open_at(&fleet), all);
    let mut shares = vec![default.clone(), tenant.clone()];
    shares.sort();
    assert_eq!(open_at(&tenants), shares);
    assert!(tenants.instances.get(&own).is_err());

    let serves = Serves::One(own.clone());
    let mut node = shared.open(Some(1), Vec::new(), serves.clone()).unwrap();
    let mut of_node = vec![default.clone(), own.clone()];
    of_node.sort();
    assert_eq!(open_at(&node), of_node);
    let of_router = node.router.instance(&own).unwrap();
    assert!(of_router.settings().has_own_nodes);
    assert!(
        !fleet
            .router
            .instance(&tenant)
            .unwrap()
            .settings()
            .has_own_nodes
    );

    // What is created at the fleet is at the node: topics of its instance, users of the account.
    let at_fleet = fleet.router.instance(&own).unwrap();
    block_on(at_fleet.create_topic(TopicSpec::new(topic("orders"), 2))).unwrap();
    let user = UserChange {
        secret: Some(Secret::new("12345678")),
        ..UserChange::default()
    };
    let account = fleet.router.instance(&default).unwrap();
    block_on(account.access().create_user("ann", user)).unwrap();
    node.catch_up();
    assert!(of_router.topic(&topic("orders")).is_some());
    let account = node.router.instance(&default).unwrap();
    assert!(account.access().user("ann").is_some());

    // After a restart as before it. A folder of an instance that is served elsewhere stays.
    drop((node, fleet));
    let again = shared.node_with(0, vec![own.clone()]);
    assert_eq!(open_at(&again), shares);
    assert!(again.host.seen.lock().removed.is_empty());
    let again = shared.open(Some(1), Vec::new(), serves).unwrap();
    assert_eq!(open_at(&again), of_node);
    assert_eq!(open_at(&shared.open(None, Vec::new(), FLEET).unwrap()), all);

    // Nobody is a node of a tenant.
    let wrong = shared.open(Some(2), Vec::new(), Serves::One(tenant));
    assert!(matches!(wrong, Err(OpenInstancesError::NotFound { .. })));
}

#[test]
fn an_instance_with_own_nodes_is_made_changed_and_released_in_steps() {
    use InstanceStatus::{Changing, Creating, Released, Running};
    let shared = Shared::new();
    let fleet = fleet(&shared);
    let id = block_on(fleet.instances.create(ultimate(Some(3)))).unwrap();
    let id = id.id.clone();
    assert_eq!(status(&fleet, &id), (Creating, 3));
    let busy = block_on(fleet.instances.update(&id, resized(2)));
    assert!(matches!(busy, Err(UpdateInstanceError::Busy { .. })));
    block_on(fleet.instances.completed(&id, 2)).unwrap();
    assert_eq!(status(&fleet, &id), (Creating, 3));
    block_on(fleet.instances.completed(&id, 3)).unwrap();
    assert_eq!(status(&fleet, &id), (Running, 3));

    block_on(fleet.instances.update(&id, resized(2))).unwrap();
    assert_eq!(status(&fleet, &id), (Changing, 2));
    drop(fleet);
    let fleet = shared.open(None, Vec::new(), FLEET).unwrap();
    assert_eq!(status(&fleet, &id), (Changing, 2));
    block_on(fleet.instances.completed(&id, 2)).unwrap();
    block_on(fleet.instances.update(&id, resized(2))).unwrap();
    assert_eq!(status(&fleet, &id), (Running, 2));
    for count in [0, 1, 17] {
        let wrong = block_on(fleet.instances.update(&id, resized(count)));
        let wrong = wrong.unwrap_err();
        assert!(matches!(
            wrong,
            UpdateInstanceError::Nodes(OwnNodesError::Count { .. })
        ));
    }

    let mut node = shared
        .open(Some(0), Vec::new(), Serves::One(id.clone()))
        .unwrap();
    let refused = block_on(node.instances.delete(&id));
    assert!(matches!(refused, Err(DeleteInstanceError::OwnNodes { .. })));
    let instance = fleet.router.instance(&id).unwrap();
    block_on(instance.create_topic(TopicSpec::new(topic("orders"), 1))).unwrap();
    let refused = block_on(fleet.instances.delete(&id));
    assert!(matches!(refused, Err(DeleteInstanceError::NotEmpty { .. })));
    block_on(instance.delete_topic(&topic("orders"))).unwrap();
    let early = block_on(fleet.instances.remove(&id));
    assert!(matches!(early, Err(DeleteInstanceError::Busy { .. })));
    block_on(fleet.instances.delete(&id)).unwrap();
    assert_eq!(status(&fleet, &id), (Released, 2));
    // Again, and after a crash.
    block_on(fleet.instances.delete(&id)).unwrap();
    drop(fleet);
    let fleet = shared.open(None, Vec::new(), FLEET).unwrap();
    assert_eq!(status(&fleet, &id), (Released, 2));
    block_on(fleet.instances.remove(&id)).unwrap();
    block_on(fleet.instances.remove(&id)).unwrap();
    assert!(fleet.instances.get(&id).is_err());
    node.catch_up();
    assert!(node.router.instance(&id).is_err());
    assert_eq!(node.host.seen.lock().removed, [id]);
}

#[test]
fn only_a_fleet_gives_nodes_and_only_to_the_edition_that_has_them() {
    let shared = Shared::new();
    let (fleet, node) = (fleet(&shared), shared.node(0));
    let create = |at: &Node, spec| block_on(at.instances.create(spec));
    let no_fleet = create(&node, ultimate(Some(2)));
    assert!(matches!(
        no_fleet,
        Err(CreateInstanceError::Nodes(OwnNodesError::NoFleet {
            count: 2
        }))
    ));
    // Without a fleet it is a tenant as all others are.
    assert_eq!(create(&node, ultimate(None)).unwrap().nodes, 0);
    let plain = InstanceSpec {
        plan: None,
        ..ultimate(Some(2))
    };
    assert!(matches!(
        create(&fleet, plain),
        Err(CreateInstanceError::Nodes(OwnNodesError::Edition))
    ));
    let alone = create(&fleet, ultimate(Some(1)));
    assert!(matches!(
        alone,
        Err(CreateInstanceError::Nodes(OwnNodesError::Count { .. }))
    ));
    let tenant = create(
        &fleet,
        InstanceSpec {
            series: Series::V5,
            ..InstanceSpec::default()
        },
    );
    let tenant = tenant.unwrap().id.clone();
    assert!(matches!(
        block_on(fleet.instances.update(&tenant, resized(2))),
        Err(UpdateInstanceError::Nodes(OwnNodesError::Tenant { .. }))
    ));
}

#[test]
fn routes_list_the_nodes_of_the_instance() {
    let shared = Shared::new();
    let own = InstanceId::new("rmq-cn-5yd34ft5y02").unwrap();
    let join = |name: &str, instance: Option<&InstanceId>| {
        let identity = broker::NodeIdentity {
            instance: instance.cloned(),
            ..identity(name, name, None)
        };
        let joined = block_on(Nodes::join(shared.nodes(), &identity, "1.0.0"));
        joined.inspect(|nodes| block_on(nodes.announce(vec![name.to_owned()])).unwrap())
    };
    join("shared", None).unwrap();
    let one = join("one", Some(&own)).unwrap();
    join("two", Some(&own)).unwrap();
    let fleet = block_on(Nodes::look_on(shared.nodes())).unwrap();
    let names = |nodes: &Nodes, of: Option<&InstanceId>| {
        let peers = nodes.peers(of, false).into_iter();
        peers
            .map(|peer| peer.record.name.clone())
            .collect::<Vec<_>>()
    };
    assert_eq!(fleet.number(), None);
    assert_eq!(names(&fleet, None), ["shared"]);
    assert_eq!(names(&fleet, Some(&own)), ["one", "two"]);
    assert_eq!(fleet.all().len(), 3);
    let other = InstanceId::new("rmq-cn-other").unwrap();
    assert!(names(&fleet, Some(&other)).is_empty());
    drop(one);
    // A node does not change what it is for.
    assert!(matches!(join("one", None), Err(JoinError::Instance { .. })));
    assert!(matches!(
        join("shared", Some(&own)),
        Err(JoinError::Instance { .. })
    ));
}

#[test]
fn a_node_does_as_it_is_wished_says_so_and_is_taken_out() {
    let shared = Shared::new();
    let at_fleet = fleet(&shared);
    let own = block_on(at_fleet.instances.create(ultimate(None))).unwrap();
    let own = own.id.clone();
    let instance = Some(own.clone());
    let who = |number| broker::NodeIdentity {
        instance: instance.clone(),
        ..identity("a", "folder", number)
    };
    let join = |number| block_on(Nodes::join(shared.nodes(), &who(number), "1.0.0"));
    let nodes = join(None).unwrap();
    block_on(nodes.announce(vec!["a:1".to_owned()])).unwrap();
    let serves = Serves::One(own.clone());
    let node = shared.open(Some(0), Vec::new(), serves).unwrap();
    let fleet = block_on(Nodes::look_on(shared.nodes())).unwrap();
    let mut follow = (Box::pin(nodes.follow()), Box::pin(fleet.follow()));
    let mut act = (
        Box::pin(nodes.act(&node.router)),
        Box::pin(fleet.act(&at_fleet.router)),
    );
    let mut go_on = || {
        for _ in 0..3 {
            assert!((&mut follow.0).now_or_never().is_none());
            assert!((&mut act.0).now_or_never().is_none());
            assert!((&mut follow.1).now_or_never().is_none());
            assert!((&mut act.1).now_or_never().is_none());
        }
    };
    let state = || fleet.all()[0].state.clone().unwrap();
    go_on();
    assert!(state().sends && state().healthy && state().lock.is_none());
    assert_eq!(state().instance, Some(own.to_string()));

    let task = "task 7 updates it";
    let lock = |wish: &mut NodeWish| wish.lock = Some(task.to_owned());
    block_on(fleet.wish("a", lock)).unwrap();
    go_on();
    assert_eq!(state().lock.as_deref(), Some(task));
    let orders = || TopicSpec::new(topic("orders"), 1);
    for router in [&node.router, &at_fleet.router] {
        let instance = router.instance(&own).unwrap();
        let refused = block_on(instance.create_topic(orders())).unwrap_err();
        assert!(refused.to_string().contains(task), "{refused}");
        let billing = GroupSpec::new(group("billing"));
        let added = instance.add_group(billing.clone(), Description::default());
        assert!(block_on(added).is_err());
        let added = instance.add_topic(orders(), Description::default());
        assert!(block_on(added).is_err());
        assert!(block_on(instance.create_group(billing)).is_err());
        assert!(block_on(instance.delete_group(&group("billing"))).is_err());
        let refused = block_on(instance.delete_topic(&topic("orders"))).unwrap_err();
        assert!(matches!(refused, DeleteTopicError::Locked(_)));
        // What comes into being by itself does so still.
        block_on(instance.retry_topic(&group("billing"))).unwrap();
    }
    assert!(matches!(
        block_on(at_fleet.instances.delete(&own)),
        Err(DeleteInstanceError::Locked(_))
    ));
    assert!(matches!(
        block_on(at_fleet.instances.update(&own, resized(3))),
        Err(UpdateInstanceError::Locked(_))
    ));
    let renamed = InstanceChange {
        remark: Some("for the shop".to_owned()),
        ..InstanceChange::default()
    };
    block_on(at_fleet.instances.update(&own, renamed)).unwrap();

    // A restart finds the wish before anybody can ask for anything.
    let again = join(Some(0)).unwrap();
    let router = node.router.clone();
    let instance = router.instance(&own).unwrap();
    instance.lock(None);
    again.apply(&router);
    assert!(block_on(instance.create_topic(orders())).is_err());
    drop(again);
    block_on(fleet.wish("a", |wish| wish.lock = None)).unwrap();
    go_on();
    block_on(instance.create_topic(orders())).unwrap();

    let refused = block_on(fleet.remove("a", false));
    assert!(matches!(refused, Err(RemoveNodeError::NotDrained { .. })));
    block_on(fleet.wish("a", |wish| wish.sends = false)).unwrap();
    go_on();
    assert!(!state().sends && !state().quiet);
    let refused = block_on(fleet.remove("a", false));
    assert!(matches!(refused, Err(RemoveNodeError::Unknown { .. })));
    shared.clock.advance(Duration::from_secs(1));
    go_on();
    assert_eq!((state().quiet, state().unconsumed), (true, Some(0)));
    assert!(!state().deserted, "who sends seldom may still have it");
    let mut stay = Box::pin(nodes.stay());
    for _ in 1..30 {
        shared.clock.advance(Duration::from_secs(1));
        assert!((&mut stay).now_or_never().is_none());
        go_on();
    }
    assert!(state().deserted);
    assert!(nodes.taken_out().now_or_never().is_none());
    block_on(fleet.remove("a", false)).unwrap();
    let gone = block_on(fleet.remove("a", false));
    assert!(matches!(gone, Err(RemoveNodeError::NotFound { .. })));
    go_on();
    assert!(nodes.taken_out().now_or_never().is_some());
    assert!(matches!(join(Some(0)), Err(JoinError::Unknown { .. })));
    assert!(
        block_on(shared.metadata.range("nodes/wanted/"))
            .unwrap()
            .0
            .is_empty()
    );
}
