//! Rolling updates of simulated nodes, by a driver that is killed wherever it can be.

mod simulated;

use std::{future::ready, num::NonZeroUsize, sync::Arc};

use base::{Clock, Timestamp};
use proptest::prelude::*;
use store::meta::MetadataStore;

use self::simulated::SimulatedNodes;
use super::*;
use crate::{
    StepState, TaskState, UpdateRecord, WorkflowStatus, Zone,
    test_world::{
        Fault, MemoryMetadata, NEW, OLD, POLLS_MAX, TestClock, at, instance, poll, polls_of,
        release, version,
    },
};

/// What outlives the control process.
struct World {
    metadata: Arc<MemoryMetadata>,
    clock: Arc<TestClock>,
    nodes: Arc<SimulatedNodes>,
    batch_size: NonZeroUsize,
}

impl World {
    /// An instance whose update has just begun.
    fn new(nodes: usize, batch_size: usize) -> Self {
        let world = Self::due(nodes, batch_size);
        let started = async {
            let updates = world.updates().await;
            updates.start(&instance(), ready(())).await.unwrap();
        };
        poll(started, POLLS_MAX).unwrap();
        world
    }

    /// An instance whose update is due.
    fn due(nodes: usize, batch_size: usize) -> Self {
        let zone = Zone::utc();
        let world = Self {
            metadata: Arc::default(),
            clock: Arc::default(),
            nodes: Arc::new(SimulatedNodes::new(nodes, batch_size, version(OLD))),
            batch_size: NonZeroUsize::new(batch_size).unwrap(),
        };
        world.clock.set(at(&zone, "2026-03-11T02:00"));
        let announced = async {
            let updates = world.updates().await;
            let record = UpdateRecord::new(instance(), true, version(OLD), zone);
            updates.register(record).await.unwrap();
            updates
                .announce(&release(NEW, world.clock.now()))
                .await
                .unwrap();
        };
        poll(announced, POLLS_MAX).unwrap();
        world
    }

    async fn updates(&self) -> Updates {
        let metadata = Arc::clone(&self.metadata) as Arc<dyn MetadataStore>;
        let clock = Arc::clone(&self.clock) as Arc<dyn Clock>;
        Updates::open(metadata, clock, None).await.unwrap()
    }

    async fn rollout(&self) -> Rollout {
        Rollout {
            metadata: Arc::clone(&self.metadata) as Arc<dyn MetadataStore>,
            clock: Arc::clone(&self.clock) as Arc<dyn Clock>,
            updates: Arc::new(self.updates().await),
            nodes: Arc::clone(&self.nodes) as Arc<dyn Nodes>,
            batch_size: self.batch_size,
        }
    }

    /// One life of the control process, which goes on with what it finds running.
    async fn life(&self) -> Option<Outcome> {
        let rollout = self.rollout().await;
        let running = rollout.updates.running();
        let instance = running.first()?;
        Some(rollout.carry_out(instance).await.unwrap())
    }

    fn record(&self) -> UpdateRecord {
        let described = async { self.updates().await.describe(&instance()).unwrap() };
        (*poll(described, POLLS_MAX).unwrap()).clone()
    }

    /// Goes on until the task has ended, killed after each of `lives` polls, then undisturbed.
    fn finish(&self, lives: &[usize]) -> UpdateRecord {
        for polls in lives {
            _ = poll(self.life(), *polls);
        }
        for _ in 0..50 {
            let ended = poll(self.life(), POLLS_MAX).expect("it hangs");
            if !matches!(ended, Some(Outcome::Stuck { .. })) {
                let record = self.record();
                assert_eq!(record.running(), None);
                return record;
            }
        }
        panic!("it stays stuck");
    }

    /// The update has succeeded everywhere, or nothing is left of it anywhere.
    fn check_end(&self, record: &UpdateRecord) {
        let ended = &record.ended[0];
        match ended.state {
            TaskState::Succeeded => {
                assert_eq!(record.version, version(NEW));
                self.nodes.assert_all(version(NEW), version(NEW));
            }
            TaskState::Failed => {
                assert_eq!(record.version, version(OLD));
                self.nodes.assert_all(version(OLD), version(OLD));
                assert!(ended.reason.is_some());
                // And there is the next task.
                assert_eq!(record.open.as_ref().unwrap().state, TaskState::Pending);
            }
            state => panic!("the task ended {state}"),
        }
    }
}

#[test]
fn nodes_are_updated_batch_by_batch() {
    let world = World::new(3, 2);
    let record = world.finish(&[]);
    assert_eq!(record.ended[0].state, TaskState::Succeeded);
    world.check_end(&record);
    let progress = async {
        let rollout = world.rollout().await;
        let task = &record.ended[0];
        rollout.progress(&instance(), task).await.unwrap().unwrap()
    };
    let progress = poll(progress, POLLS_MAX).unwrap();
    assert_eq!(progress.status, WorkflowStatus::Succeeded);
    let steps: Vec<String> = progress
        .steps
        .iter()
        .map(|step| step.step.to_string())
        .collect();
    assert_eq!(
        steps,
        [
            "lock n0, n1, n2",
            "precheck n0, n1, n2",
            "drain n0, n1",
            "stop n0, n1",
            "start n0, n1",
            "rejoin n0, n1",
            "drain n2",
            "stop n2",
            "start n2",
            "rejoin n2",
            "confirm n0, n1, n2",
            "finalise n0, n1, n2",
            "unlock n0, n1, n2",
        ]
    );
    assert!(
        progress
            .steps
            .iter()
            .all(|step| step.state == StepState::Done)
    );
}

#[test]
fn a_new_binary_that_does_not_serve_is_taken_back_everywhere() {
    for bad in 0..3 {
        let world = World::new(3, 1);
        world.nodes.never_healthy_on(bad, version(NEW));
        let record = world.finish(&[]);
        assert_eq!(record.ended[0].state, TaskState::Failed);
        let reason = record.ended[0].reason.as_ref().unwrap();
        assert!(
            reason.contains(&format!("node `n{bad}` is not healthy")),
            "{reason}"
        );
        world.check_end(&record);
    }
}

#[test]
fn a_driver_that_is_killed_anywhere_is_followed_by_one_that_finishes() {
    let whole = polls_of(World::new(3, 1).life());
    assert!(whole > 50, "only {whole} polls");
    for polls in 1..whole {
        let world = World::new(3, 1);
        let record = world.finish(&[polls]);
        assert_eq!(
            record.ended[0].state,
            TaskState::Succeeded,
            "killed after {polls}"
        );
        world.check_end(&record);
    }
}

#[test]
fn an_undoing_driver_that_is_killed_anywhere_is_followed_by_one_that_undoes() {
    let broken = || {
        let world = World::new(2, 1);
        world.nodes.never_healthy_on(1, version(NEW));
        world
    };
    let whole = polls_of(broken().life());
    for polls in (1..whole).step_by(7) {
        let world = broken();
        let record = world.finish(&[polls]);
        assert_eq!(
            record.ended[0].state,
            TaskState::Failed,
            "killed after {polls}"
        );
        world.check_end(&record);
    }
}

#[test]
fn a_scheduler_begins_what_is_due_and_goes_on_with_what_runs() {
    let world = World::new(2, 1);
    let rollout = poll(world.rollout(), POLLS_MAX).unwrap();
    // Runs for ever; by then what was begun before it has ended.
    assert!(poll(Scheduler::new(&rollout).run(), 2_000).is_none());
    let record = world.record();
    assert_eq!(record.ended[0].state, TaskState::Succeeded);
    world.check_end(&record);
    // And a task that comes due while it looks.
    let newer = release("5.0-rmq-20230501", world.clock.now());
    let announced = async {
        rollout.updates.announce(&newer).await.unwrap();
        let to = Timestamp::from_ms(world.clock.now().ms() + 60_000);
        rollout.updates.reschedule(&instance(), to).await.unwrap()
    };
    let task = poll(announced, POLLS_MAX).unwrap();
    assert!(poll(Scheduler::new(&rollout).run(), 5_000).is_none());
    let record = world.record();
    assert_eq!((record.version, &record.open), (newer.version, &None));
    let started_at = record.ended[0].started_at.unwrap();
    assert!(started_at >= task.scheduled_at);
    assert!(
        started_at.ms() - task.scheduled_at.ms() <= 5_000,
        "{started_at}"
    );
}

/// What a scheduler leaves behind that is killed after so many polls.
fn scheduled(world: &World, polls: usize) {
    let rollout = poll(world.rollout(), POLLS_MAX).unwrap();
    assert!(poll(Scheduler::new(&rollout).run(), polls).is_none());
}

#[test]
fn nodes_are_locked_before_anybody_sees_that_a_task_runs() {
    let mut seen = [false; 2];
    for polls in 1..60 {
        let world = World::due(3, 1);
        scheduled(&world, polls);
        let (is_running, locked) = (world.record().running().is_some(), world.nodes.locked());
        assert!(!is_running || locked == 3, "{locked} locked after {polls}");
        seen[usize::from(is_running)] |= locked == 3;
        // Whatever it left, the next one finishes.
        scheduled(&world, 2_000);
        world.check_end(&world.record());
    }
    assert_eq!(
        seen,
        [true, true],
        "locked before it runs, and while it does"
    );
}

#[test]
fn nodes_that_were_locked_for_an_update_that_is_put_off_are_unlocked() {
    let mut were_locked = 0;
    for polls in 1..60 {
        let world = World::due(3, 1);
        scheduled(&world, polls);
        if world.record().running().is_some() {
            break;
        }
        were_locked += world.nodes.locked();
        let put_off = async {
            let to = world.clock.now().ms() + 24 * 60 * 60 * 1_000;
            let updates = world.updates().await;
            let to = Timestamp::from_ms(to);
            updates.reschedule(&instance(), to).await.unwrap();
        };
        poll(put_off, POLLS_MAX).unwrap();
        scheduled(&world, 500);
        assert_eq!(world.record().running(), None);
        assert_eq!(world.nodes.locked(), 0, "put off after {polls}");
    }
    assert!(were_locked > 0);
}

#[test]
fn an_update_waits_for_metadata_less_than_for_nodes() {
    let world = World::new(2, 1);
    let rollout = poll(world.rollout(), POLLS_MAX).unwrap();
    let began = world.clock.now();
    world.metadata.interrupt();
    assert!(poll(Scheduler::new(&rollout).run(), 2_000).is_none());
    let record = world.record();
    world.check_end(&record);
    let ended = record.ended[0].ended_at.unwrap();
    let stuck = std::time::Duration::from_millis(base::limits::STUCK_PAUSE_MS);
    assert!(ended.since(began) < stuck, "{ended}");
}

fn faults() -> impl Strategy<Value = Fault> {
    (any::<bool>(), any::<bool>()).prop_map(|(again, after)| Fault { again, after })
}

proptest! {
    #![proptest_config(ProptestConfig { cases: 128, failure_persistence: None, ..Default::default() })]

    #[test]
    fn whatever_fails_and_dies_it_ends_whole(
        nodes in 1_usize..6,
        batch_size in 1_usize..4,
        lives in prop::collection::vec(1_usize..250, 0..8),
        faults in prop::collection::btree_map(0_usize..150, faults(), 0..14),
        bad in prop::option::of(0_usize..6),
    ) {
        let world = World::new(nodes, batch_size);
        world.nodes.faults.plan(faults);
        if let Some(bad) = bad.filter(|bad| *bad < nodes) {
            world.nodes.never_healthy_on(bad, version(NEW));
        }
        let record = world.finish(&lives);
        world.check_end(&record);
        if bad.is_some_and(|bad| bad < nodes) {
            prop_assert_eq!(record.ended[0].state, TaskState::Failed);
        }
    }
}
