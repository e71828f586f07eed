//! Instances that come, change and go on simulated machines, by a control process that is killed
//! wherever it can be.

mod simulated;

use std::future::ready;

use futures::FutureExt as _;
use proptest::prelude::*;

use self::simulated::{Machine, Status};
use super::*;
use crate::{
    TaskState,
    test_world::{
        Fault, MemoryMetadata, NEW, OLD, POLLS_MAX, TestClock, instance, poll, polls_of, release,
        version,
    },
};

/// What outlives the control process.
#[derive(Default)]
struct World {
    metadata: Arc<MemoryMetadata>,
    clock: Arc<TestClock>,
    machine: Arc<Machine>,
}

impl World {
    async fn updates(&self) -> Updates {
        let metadata = Arc::clone(&self.metadata) as Arc<dyn MetadataStore>;
        let clock = Arc::clone(&self.clock) as Arc<dyn Clock>;
        Updates::open(metadata, clock, None).await.unwrap()
    }

    async fn provision(&self) -> Provision {
        Provision {
            metadata: Arc::clone(&self.metadata) as Arc<dyn MetadataStore>,
            clock: Arc::clone(&self.clock) as Arc<dyn Clock>,
            updates: Arc::new(self.updates().await),
            nodes: Arc::clone(&self.machine) as Arc<dyn Nodes>,
            grounds: Arc::clone(&self.machine) as Arc<dyn Grounds>,
            orders: Arc::clone(&self.machine) as Arc<dyn Orders>,
            version: Box::new(|| version(OLD)),
            zone: Zone::utc(),
            routes_kept: Duration::from_secs(30),
        }
    }

    /// One life of the control process, which ends when nothing is due any more.
    async fn life(&self) {
        let provision = self.provision().await;
        let running = Box::pin(Provisioner::new(&provision).run());
        let done = std::future::poll_fn(|context| {
            if self.machine.is_settled() && self.workflows().is_empty() {
                return std::task::Poll::Ready(());
            }
            context.waker().wake_by_ref();
            std::task::Poll::Pending
        });
        futures::future::select(running, done).await;
    }

    /// Goes on until all is done, killed after each of `lives` polls, then undisturbed.
    fn finish(&self, lives: &[usize]) {
        for polls in lives {
            _ = poll(self.life(), *polls);
        }
        poll(self.life(), POLLS_MAX).expect("it hangs");
    }

    fn workflows(&self) -> Vec<String> {
        let ids = workflow::ids(&*self.metadata);
        ids.now_or_never().unwrap().unwrap()
    }

    fn update_record(&self) -> Option<Arc<crate::UpdateRecord>> {
        let described = async { self.updates().await.describe(&instance()).ok() };
        poll(described, POLLS_MAX).unwrap()
    }

    /// Writes an order, and carries it out with a control process that is killed so often.
    fn order(&self, status: Status, nodes: u16, lives: &[usize]) {
        self.machine.order(status, nodes);
        self.finish(lives);
    }
}

/// An instance is made, grows, shrinks and goes. Each time the control process is killed as told.
fn whole_life(world: &World, lives: &[usize]) {
    world.order(Status::Creating, 2, lives);
    let made = ["rmq-cn-1-1", "rmq-cn-1-2"];
    world.machine.assert_serving(&made, version(OLD));
    let record = world.update_record().unwrap();
    assert!(record.managed && record.version == version(OLD));

    world.order(Status::Changing, 3, lives);
    let grown = ["rmq-cn-1-1", "rmq-cn-1-2", "rmq-cn-1-3"];
    world.machine.assert_serving(&grown, version(OLD));

    world.order(Status::Changing, 1, lives);
    world.machine.assert_serving(&made[..1], version(OLD));

    world.order(Status::Released, 1, lives);
    world.machine.assert_nothing();
    assert!(world.update_record().is_none());
}

#[test]
fn an_instance_is_made_changed_and_released() {
    whole_life(&World::default(), &[]);
}

#[test]
fn whatever_is_killed_anywhere_is_followed_by_one_that_finishes() {
    let whole = {
        let world = World::default();
        world.machine.order(Status::Creating, 2);
        polls_of(world.life())
    };
    assert!(whole > 20, "only {whole} polls");
    for polls in 1..=2 * whole {
        whole_life(&World::default(), &[polls]);
    }
}

#[test]
fn an_instance_whose_nodes_do_not_start_can_be_released() {
    let world = World::default();
    world.machine.never_healthy(true);
    world.machine.order(Status::Creating, 2);
    assert!(poll(world.life(), 3_000).is_none());
    world.order(Status::Released, 2, &[]);
    world.machine.assert_nothing();
}

#[test]
fn what_is_mended_goes_on() {
    let world = World::default();
    world.machine.never_healthy(true);
    world.machine.order(Status::Creating, 1);
    assert!(poll(world.life(), 5_000).is_none());
    world.machine.never_healthy(false);
    world.finish(&[]);
    world.machine.assert_serving(&["rmq-cn-1-1"], version(OLD));
}

#[test]
fn a_node_goes_only_once_it_is_empty() {
    let world = World::default();
    world.order(Status::Creating, 2, &[]);
    world.machine.fill("rmq-cn-1-2", true);
    world.machine.order(Status::Changing, 1);
    assert!(poll(world.life(), 3_000).is_none());
    assert!(world.machine.has("rmq-cn-1-2"));
    world.machine.fill("rmq-cn-1-2", false);
    world.finish(&[]);
    world.machine.assert_serving(&["rmq-cn-1-1"], version(OLD));
}

#[test]
fn nodes_do_not_change_while_an_update_runs_and_run_what_the_others_do() {
    let world = World::default();
    world.order(Status::Creating, 1, &[]);
    let release = release(NEW, world.clock.now());
    let provision = poll(world.provision(), POLLS_MAX).unwrap();
    let updates = &provision.updates;
    let begin = async {
        updates.announce(&release).await.unwrap();
        let due = updates.describe(&instance()).unwrap().open.clone().unwrap();
        world.clock.set(due.scheduled_at);
        updates.start(&instance(), ready(())).await.unwrap();
    };
    poll(begin, POLLS_MAX).unwrap();
    world.machine.order(Status::Changing, 2);
    assert!(poll(Provisioner::new(&provision).run(), 2_000).is_none());
    assert!(!world.machine.has("rmq-cn-1-2"));
    let end = async {
        world.machine.run_all(version(NEW));
        updates.succeed(&instance()).await.unwrap();
    };
    poll(end, POLLS_MAX).unwrap();
    world.finish(&[]);
    world
        .machine
        .assert_serving(&["rmq-cn-1-1", "rmq-cn-1-2"], version(NEW));
    let record = world.update_record().unwrap();
    assert_eq!(record.ended[0].state, TaskState::Succeeded);
}

fn faults() -> impl Strategy<Value = Fault> {
    any::<bool>().prop_map(|after| Fault { again: true, after })
}

proptest! {
    #![proptest_config(ProptestConfig { cases: 64, failure_persistence: None, ..Default::default() })]

    #[test]
    fn whatever_fails_and_dies_it_ends_whole(
        lives in prop::collection::vec(1_usize..150, 0..6),
        faults in prop::collection::btree_map(0_usize..120, faults(), 0..14),
    ) {
        let world = World::default();
        world.machine.faults.plan(faults);
        whole_life(&world, &lives);
    }
}
