//! Workflows of steps that fail as they are told.

use std::{collections::BTreeMap, sync::Arc};

use base::Clock as _;
use futures::FutureExt as _;
use parking_lot::Mutex;

use super::*;
use crate::{
    NodeError, NodeName,
    test_world::{MemoryMetadata, TestClock},
};

/// Steps by name; one that begins with `!` is final.
#[derive(Default)]
struct Script {
    /// What the next calls of `carry_out` (or, with `-` in front, of `undo`) answer.
    failures: Mutex<BTreeMap<String, Vec<StepError>>>,
    calls: Mutex<Vec<String>>,
}

impl Script {
    fn fail(&self, call: &str, error: StepError, times: usize) {
        let mut failures = self.failures.lock();
        failures
            .entry(call.to_owned())
            .or_default()
            .extend(vec![error; times]);
    }

    fn call(&self, call: String) -> Result<(), StepError> {
        let failure = self.failures.lock().get_mut(&call).and_then(Vec::pop);
        self.calls.lock().push(call);
        failure.map_or(Ok(()), Err)
    }

    fn calls(&self) -> String {
        std::mem::take(&mut *self.calls.lock()).join(" ")
    }
}

impl Steps for Script {
    type Step = String;

    fn carry_out<'a>(&'a self, step: &'a String) -> BoxFuture<'a, Result<(), StepError>> {
        async move { self.call(step.clone()) }.boxed()
    }

    fn undo<'a>(&'a self, step: &'a String) -> BoxFuture<'a, Result<(), StepError>> {
        async move { self.call(format!("-{step}")) }.boxed()
    }

    fn is_final(&self, step: &String) -> bool {
        step.starts_with('!')
    }
}

#[derive(Default)]
struct World {
    metadata: Arc<MemoryMetadata>,
    clock: TestClock,
    script: Script,
}

impl World {
    async fn drive(&self) -> Outcome {
        let plan = async { Ok(["a", "b", "!c", "d"].map(str::to_owned).to_vec()) };
        drive(&*self.metadata, &self.clock, "w", &self.script, plan)
            .await
            .unwrap()
    }

    async fn record(&self) -> WorkflowRecord<String> {
        let record = WorkflowRecord::read(&*self.metadata, "w").await;
        record.unwrap().unwrap()
    }
}

fn again() -> StepError {
    StepError::Again("not yet".to_owned())
}

fn never() -> StepError {
    StepError::Never("broken".to_owned())
}

#[tokio::test]
async fn steps_are_carried_out_once_and_in_order() {
    let world = World::default();
    assert_eq!(world.drive().await, Outcome::Succeeded);
    assert_eq!(world.script.calls(), "a b !c d");
    let record = world.record().await;
    assert_eq!(record.status, WorkflowStatus::Succeeded);
    assert!(
        record
            .steps
            .iter()
            .all(|step| step.state == StepState::Done)
    );
    // One that has ended is not driven again, whatever is planned now.
    assert_eq!(world.drive().await, Outcome::Succeeded);
    assert_eq!(world.script.calls(), "");
}

#[tokio::test]
async fn a_step_is_tried_again_after_pauses_that_grow() {
    let world = World::default();
    world.script.fail("b", again(), 3);
    assert_eq!(world.drive().await, Outcome::Succeeded);
    assert_eq!(world.script.calls(), "a b b b b !c d");
    assert_eq!(world.clock.now().ms(), 1_000 + 2_000 + 4_000);
    assert_eq!(
        world.record().await.steps[1].error.as_deref(),
        Some("not yet")
    );
}

#[tokio::test]
async fn a_step_that_keeps_failing_has_everything_undone() {
    let world = World::default();
    world.script.fail("b", again(), 100);
    let outcome = world.drive().await;
    let reason = "b: not yet".to_owned();
    assert_eq!(outcome, Outcome::Undone { reason });
    assert_eq!(world.script.calls(), "a b b b b b b b b -b -a");
    let record = world.record().await;
    assert_eq!(record.status, WorkflowStatus::Undone);
    let states = record.steps.iter().map(|step| step.state);
    let expected = [
        StepState::Undone,
        StepState::Undone,
        StepState::Waiting,
        StepState::Waiting,
    ];
    assert!(states.eq(expected));
    assert!(matches!(world.drive().await, Outcome::Undone { .. }));
    assert_eq!(world.script.calls(), "");
}

#[tokio::test]
async fn nothing_is_undone_once_a_final_step_has_begun() {
    for failing in ["!c", "d"] {
        let world = World::default();
        world.script.fail(failing, never(), 2);
        for _ in 0..2 {
            let reason = format!("{failing}: broken");
            assert_eq!(world.drive().await, Outcome::Stuck { reason });
            assert_eq!(world.record().await.status, WorkflowStatus::Stuck);
        }
        assert_eq!(world.drive().await, Outcome::Succeeded);
        assert!(!world.script.calls().contains('-'));
    }
}

#[tokio::test]
async fn an_undo_that_fails_goes_on_later() {
    let world = World::default();
    world.script.fail("b", never(), 1);
    world.script.fail("-b", again(), 10);
    let outcome = world.drive().await;
    let reason = "b: broken; undo b: not yet".to_owned();
    assert_eq!(outcome, Outcome::Stuck { reason });
    assert_eq!(world.script.calls(), "a b -b -b -b -b -b -b -b -b");
    assert!(matches!(world.drive().await, Outcome::Undone { .. }));
    assert_eq!(world.script.calls(), "-b -b -b -a");
}

#[tokio::test]
async fn a_workflow_is_planned_once_and_there_is_none_without_a_plan() {
    let world = World::default();
    let drive_unplanned = async || {
        let error = NodeError {
            node: NodeName::new("n0"),
            reason: "does not answer".to_owned(),
            again: true,
        };
        let plan = async { Err(error) };
        drive(&*world.metadata, &world.clock, "w", &world.script, plan).await
    };
    let error = drive_unplanned().await.unwrap_err();
    assert!(matches!(error, DriveError::Plan { .. }), "{error}");
    assert!(ids(&*world.metadata).await.unwrap().is_empty());
    world.script.fail("d", never(), 1);
    assert!(matches!(world.drive().await, Outcome::Stuck { .. }));
    assert_eq!(ids(&*world.metadata).await.unwrap(), ["w"]);
    assert_eq!(drive_unplanned().await.unwrap(), Outcome::Succeeded);
    for _ in 0..2 {
        forget(&*world.metadata, "w").await.unwrap();
        assert!(ids(&*world.metadata).await.unwrap().is_empty());
    }
}

#[tokio::test]
async fn two_drivers_of_one_workflow_do_not_both_go_on() {
    let world = World::default();
    // The first step of one driver is another driver's whole drive.
    struct Nested<'a>(&'a World);
    impl Steps for Nested<'_> {
        type Step = String;

        fn carry_out<'a>(&'a self, step: &'a String) -> BoxFuture<'a, Result<(), StepError>> {
            async move {
                assert_eq!(step, "a", "it went on");
                // Whoever looks sees what is under way.
                let record = self.0.record().await;
                assert_eq!(record.steps[0].state, StepState::Begun);
                self.0.drive().await;
                Ok(())
            }
            .boxed()
        }

        fn undo<'a>(&'a self, _: &'a String) -> BoxFuture<'a, Result<(), StepError>> {
            async { Ok(()) }.boxed()
        }

        fn is_final(&self, _: &String) -> bool {
            false
        }
    }
    let plan = async { Ok(["a", "b"].map(str::to_owned).to_vec()) };
    let outcome = drive(&*world.metadata, &world.clock, "w", &Nested(&world), plan).await;
    let error = outcome.unwrap_err();
    assert!(matches!(error, DriveError::Metadata { .. }), "{error}");
    assert_eq!(world.script.calls(), "a b");
}
