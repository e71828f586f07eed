//! The rules of version management one by one, on a clock that the tests set.

use std::{future::ready, sync::Arc, time::Duration};

use base::Clock;
use store::meta::MetadataStore;

use super::*;
use crate::{
    Release,
    test_world::{
        MemoryMetadata, NEW, OLD, POLLS_MAX, TestClock, at, poll, polls_of, release, version,
    },
};

const NEWEST: &str = "5.0-rmq-20230501";

fn shanghai() -> Zone {
    Zone::new("Asia/Shanghai").unwrap()
}

fn id(name: &str) -> InstanceId {
    InstanceId::new(name).unwrap()
}

fn record_in(zone: Zone, window: &str) -> UpdateRecord {
    UpdateRecord {
        window: window.parse().unwrap(),
        ..UpdateRecord::new(id("rmq-cn-1"), true, version(OLD), zone)
    }
}

fn record(window: &str) -> UpdateRecord {
    record_in(shanghai(), window)
}

/// The open task, with its times as people in its zone write them.
fn times(record: &UpdateRecord) -> (String, String) {
    let task = record.open.as_ref().unwrap();
    let show = |at| task.zone.show(at)[..16].to_owned();
    (show(task.scheduled_at), show(task.deadline_at))
}

#[track_caller]
fn assert_scheduled(window: &str, announced: &str, scheduled: &str, deadline: &str) {
    let mut record = record(window);
    let announced_at = at(&record.zone, announced);
    assert!(record.announce(version(NEW), announced_at));
    let expected = (scheduled.to_owned(), deadline.to_owned());
    assert_eq!(times(&record), expected, "{window} announced {announced}");
    assert_eq!(record.open.unwrap().created_at, announced_at);
}

#[test]
fn a_task_is_scheduled_for_the_next_start_of_the_window() {
    let nights = "02:00-06:00";
    for (announced, scheduled, deadline) in [
        ("2026-03-11T00:10", "2026-03-11T02:00", "2026-03-18T02:00"),
        (
            "2026-03-11T02:00:00",
            "2026-03-11T02:00",
            "2026-03-18T02:00",
        ),
        ("2026-03-11T03:00", "2026-03-12T02:00", "2026-03-19T02:00"),
        ("2026-03-11T12:00", "2026-03-12T02:00", "2026-03-19T02:00"),
    ] {
        assert_scheduled(nights, announced, scheduled, deadline);
    }
    let midnight = "23:00-02:00";
    assert_scheduled(
        midnight,
        "2026-03-11T00:30",
        "2026-03-11T23:00",
        "2026-03-18T23:00",
    );
    assert_scheduled(
        midnight,
        "2026-03-11T23:30",
        "2026-03-12T23:00",
        "2026-03-19T23:00",
    );
    let always = "00:00-00:00";
    assert_scheduled(
        always,
        "2026-03-11T00:00:01",
        "2026-03-12T00:00",
        "2026-03-19T00:00",
    );
    assert_scheduled(
        "05:00-05:00",
        "2026-03-11T06:00",
        "2026-03-12T05:00",
        "2026-03-19T05:00",
    );
}

#[test]
fn clocks_that_are_set_forward_move_the_schedule_to_the_next_minute_there_is() {
    let mut record = record_in(Zone::new("Europe/Berlin").unwrap(), "02:00-06:00");
    record.announce(version(NEW), at(&record.zone, "2026-03-29T00:10"));
    let expected = ("2026-03-29T03:00".to_owned(), "2026-04-05T03:00".to_owned());
    assert_eq!(times(&record), expected);
    // And a deadline is seven days on the calendar, not 168 hours.
    let mut record = record_in(Zone::new("Europe/Berlin").unwrap(), "02:00-06:00");
    record.announce(version(NEW), at(&record.zone, "2026-03-25T00:10"));
    let expected = ("2026-03-25T02:00".to_owned(), "2026-04-01T02:00".to_owned());
    assert_eq!(times(&record), expected);
}

#[test]
fn a_changed_window_counts_for_later_tasks_only() {
    let mut record = record("02:00-06:00");
    let announced_at = at(&record.zone, "2026-03-11T00:10");
    record.announce(version(NEW), announced_at);
    let pending = record.open.clone();
    record
        .set_window(Some("22:00-23:00".parse().unwrap()), None)
        .unwrap();
    assert_eq!(record.open, pending);
    let scheduled = pending.unwrap().scheduled_at;
    record.start(scheduled).unwrap();
    record.succeed(version(NEW), scheduled).unwrap();
    record.announce(version(NEWEST), scheduled);
    assert_eq!(times(&record).0, "2026-03-11T22:00");
}

#[test]
fn a_pending_task_moves_within_its_deadline_which_stays() {
    let mut record = record("02:00-06:00");
    let now = at(&record.zone, "2026-03-11T00:10");
    record.announce(version(NEW), now);
    let deadline = record.open.as_ref().unwrap().deadline_at;
    let minute = Duration::from_secs(60);
    for refused in [
        deadline.after(minute),
        deadline.after(Duration::from_millis(1)),
        now,
        Timestamp::from_ms(now.ms() - 1),
    ] {
        let error = record.reschedule(refused, now).unwrap_err();
        assert!(
            matches!(error, UpdateError::TimeOutOfBounds { .. }),
            "{error}"
        );
        let text = error.to_string();
        assert!(text.contains("until 2026-03-18T02:00:00+08:00"), "{text}");
    }
    // Outside the window, and again.
    for taken in [
        now.after(minute),
        at(&record.zone, "2026-03-12T15:17"),
        deadline,
    ] {
        record.reschedule(taken, now).unwrap();
        let task = record.open.as_ref().unwrap();
        assert_eq!((task.scheduled_at, task.deadline_at), (taken, deadline));
        assert_eq!(task.due(taken), Due::Now);
    }
    record.start(deadline).unwrap();
    let error = record.reschedule(deadline, now).unwrap_err();
    assert!(matches!(error, UpdateError::WrongState { .. }), "{error}");
}

#[test]
fn a_task_cannot_be_cancelled() {
    let mut record = record("02:00-06:00");
    assert!(matches!(record.cancel(), Err(UpdateError::NoTask { .. })));
    let now = at(&record.zone, "2026-03-11T00:10");
    record.announce(version(NEW), now);
    for _ in 0..2 {
        let error = record.cancel().unwrap_err();
        assert!(
            matches!(error, UpdateError::NotCancellable { task: 1, .. }),
            "{error}"
        );
        assert!(record.open.is_some());
        _ = record.start(record.open.as_ref().unwrap().scheduled_at);
    }
}

#[test]
fn other_editions_show_a_version_and_have_no_tasks() {
    let mut record = record("02:00-06:00");
    record.managed = false;
    let now = at(&record.zone, "2026-03-11T00:10");
    assert!(!record.announce(version(NEW), now));
    assert_eq!(record.version, version(OLD));
    let refused = [
        record.tasks().map(drop),
        record.cancel(),
        record.reschedule(now, now),
        record.set_window(Some(Window::DEFAULT), None),
        record.start(now),
        record.succeed(version(NEW), now),
        record.fail("", version(NEW), now),
    ];
    for refused in refused {
        let error = refused.unwrap_err();
        assert!(matches!(error, UpdateError::NotManaged { .. }), "{error}");
    }
}

#[test]
fn the_target_is_the_newest_version_and_a_pending_task_follows_it() {
    let mut record = record("02:00-06:00");
    let now = at(&record.zone, "2026-03-11T00:10");
    assert!(!record.announce(version(OLD), now), "it runs that already");
    assert!(record.announce(version(NEW), now));
    let first = record.open.clone().unwrap();
    let later = at(&record.zone, "2026-03-11T01:00");
    assert!(record.announce(version(NEWEST), later));
    assert!(
        !record.announce(version(NEW), later),
        "an older one changes nothing"
    );
    let target = version(NEWEST);
    assert_eq!(record.open, Some(Task { target, ..first }));
}

#[test]
fn there_is_no_way_back() {
    let mut record = record("02:00-06:00");
    let now = at(&record.zone, "2026-03-11T02:00");
    record.announce(version(NEW), now);
    record.start(now).unwrap();
    record.check_version(version(OLD)).unwrap();
    record.succeed(version(NEW), now).unwrap();
    assert_eq!(record.version, version(NEW));
    assert_eq!(record.open, None);
    assert_eq!(record.ended[0].state, TaskState::Succeeded);
    let error = record.check_version(version(OLD)).unwrap_err();
    assert!(matches!(error, UpdateError::NoWayBack { .. }), "{error}");
    record.check_version(version(NEWEST)).unwrap();
}

#[test]
fn a_failed_update_keeps_the_version_and_opens_the_next_task() {
    let mut record = record("02:00-06:00");
    let now = at(&record.zone, "2026-03-11T02:00");
    record.announce(version(NEW), now);
    record.start(now).unwrap();
    let failed_at = at(&record.zone, "2026-03-11T02:20");
    let reason = "node 2 is not healthy ".repeat(1_000);
    record.fail(&reason, version(NEW), failed_at).unwrap();
    assert_eq!(record.version, version(OLD));
    let failed = &record.ended[0];
    assert_eq!(
        (failed.state, failed.ended_at),
        (TaskState::Failed, Some(failed_at))
    );
    let kept = failed.reason.as_ref().unwrap();
    assert!(kept.len() <= FAILURE_REASON_CHARACTERS_MAX && reason.starts_with(kept));
    let expected = ("2026-03-12T02:00".to_owned(), "2026-03-19T02:00".to_owned());
    assert_eq!(times(&record), expected);
    let next = record.open.as_ref().unwrap();
    assert_eq!((next.number, next.target), (2, version(NEW)));
}

#[test]
fn what_is_announced_while_a_task_runs_gets_its_task_when_that_ends() {
    let mut record = record("02:00-06:00");
    let now = at(&record.zone, "2026-03-11T02:00");
    record.announce(version(NEW), now);
    record.start(now).unwrap();
    assert!(!record.announce(version(NEWEST), now));
    assert_eq!(record.open.as_ref().unwrap().target, version(NEW));
    let ended_at = at(&record.zone, "2026-03-11T02:20");
    record.succeed(version(NEWEST), ended_at).unwrap();
    let next = record.open.as_ref().unwrap();
    assert_eq!((next.from, next.target), (version(NEW), version(NEWEST)));
    assert_eq!(times(&record).0, "2026-03-12T02:00");
    let numbers: Vec<u64> = record.tasks().unwrap().map(|task| task.number).collect();
    assert_eq!(numbers, [2, 1]);
}

#[test]
fn only_so_many_ended_tasks_are_remembered() {
    let mut record = record("00:00-00:00");
    let mut now = at(&record.zone, "2026-03-11T00:00");
    record.announce(version(NEW), now);
    for _ in 0..2 * UPDATE_TASKS_ENDED_MAX {
        now = record.open.as_ref().unwrap().scheduled_at;
        record.start(now).unwrap();
        record
            .fail("again", version(NEW), now.after(Duration::from_secs(1)))
            .unwrap();
    }
    assert_eq!(record.ended.len(), UPDATE_TASKS_ENDED_MAX);
    assert_eq!(record.ended[0].number, 2 * UPDATE_TASKS_ENDED_MAX as u64);
}

#[test]
fn an_update_that_was_missed_begins_in_a_window_or_at_the_deadline() {
    let mut record = record("02:00-06:00");
    record.announce(version(NEW), at(&record.zone, "2026-03-11T00:10"));
    let zone = record.zone.clone();
    let due = |record: &UpdateRecord, now: &str| record.open.as_ref().unwrap().due(at(&zone, now));
    assert_eq!(
        due(&record, "2026-03-11T01:59"),
        Due::At(at(&zone, "2026-03-11T02:00"))
    );
    assert_eq!(due(&record, "2026-03-11T02:00"), Due::Now);
    assert_eq!(due(&record, "2026-03-11T05:59"), Due::Now);
    assert_eq!(
        due(&record, "2026-03-11T06:00"),
        Due::At(at(&zone, "2026-03-12T02:00"))
    );
    assert_eq!(
        due(&record, "2026-03-14T12:00"),
        Due::At(at(&zone, "2026-03-15T02:00"))
    );
    assert_eq!(due(&record, "2026-03-18T02:00"), Due::Now);
    assert_eq!(due(&record, "2026-03-20T12:00"), Due::Now);
    let early = record.start(at(&zone, "2026-03-11T06:00")).unwrap_err();
    assert!(matches!(early, UpdateError::NotDue { .. }), "{early}");
    // A time that the user chose counts, window or not, and so does the deadline.
    let now = at(&zone, "2026-03-11T00:10");
    record
        .reschedule(at(&zone, "2026-03-17T12:00"), now)
        .unwrap();
    assert_eq!(due(&record, "2026-03-17T12:00"), Due::Now);
    assert_eq!(due(&record, "2026-03-17T12:04"), Due::Now);
    assert_eq!(
        due(&record, "2026-03-17T13:00"),
        Due::At(at(&zone, "2026-03-18T02:00"))
    );
}

#[test]
fn an_update_that_takes_too_long_is_flagged() {
    let mut record = record("02:00-06:00");
    let now = at(&record.zone, "2026-03-11T02:00");
    record.announce(version(NEW), now);
    let later = |minutes: u64| now.after(Duration::from_secs(60 * minutes));
    assert!(
        !record.open.as_ref().unwrap().is_overdue(later(600)),
        "it does not run"
    );
    record.start(now).unwrap();
    let task = record.open.as_ref().unwrap();
    assert!(!task.is_overdue(later(30)));
    assert!(task.is_overdue(later(31)));
}

struct World {
    metadata: Arc<MemoryMetadata>,
    clock: Arc<TestClock>,
}

impl World {
    fn new() -> Self {
        let world = Self {
            metadata: Arc::default(),
            clock: Arc::default(),
        };
        world.clock.set(at(&shanghai(), "2026-03-11T00:10"));
        world
    }

    async fn open(&self, newest: Option<&Release>) -> Updates {
        let metadata = Arc::clone(&self.metadata) as Arc<dyn MetadataStore>;
        let clock = Arc::clone(&self.clock) as Arc<dyn Clock>;
        Updates::open(metadata, clock, newest).await.unwrap()
    }
}

async fn register(updates: &Updates, name: &str, managed: bool, text: &str) {
    let record = UpdateRecord::new(id(name), managed, version(text), shanghai());
    updates.register(record).await.unwrap();
}

#[tokio::test]
async fn an_announcement_makes_tasks_for_every_instance_that_is_behind() {
    let world = World::new();
    let updates = world.open(None).await;
    register(&updates, "behind", true, OLD).await;
    register(&updates, "current", true, NEW).await;
    register(&updates, "professional", false, OLD).await;
    let announced = release(NEW, world.clock.now());
    assert_eq!(updates.announce(&announced).await.unwrap(), [id("behind")]);
    assert_eq!(updates.announce(&announced).await.unwrap(), []);
    register(&updates, "late", true, OLD).await;
    let due = at(&shanghai(), "2026-03-11T02:00");
    assert_eq!(updates.next_due(), Some(due));
    assert_eq!(updates.due(), []);
    world.clock.set(due);
    assert_eq!(updates.due(), [id("behind"), id("late")]);
    // All of it is there after a restart.
    let again = world.open(Some(&announced)).await;
    assert_eq!(again.list(), updates.list());
    // Retargeted, and the one that was current gets a task.
    let newer = release(NEWEST, due);
    let changed = again.announce(&newer).await.unwrap();
    assert_eq!(changed, [id("behind"), id("current"), id("late")]);
}

#[tokio::test]
async fn an_announcement_that_a_crash_cut_short_is_made_up_for_as_of_its_time() {
    let world = World::new();
    let updates = world.open(None).await;
    register(&updates, "behind", true, OLD).await;
    let announced = release(NEW, world.clock.now());
    world.clock.set(at(&shanghai(), "2026-03-13T12:00"));
    let again = world.open(Some(&announced)).await;
    let record = again.describe(&id("behind")).unwrap();
    assert_eq!(
        times(&record),
        ("2026-03-11T02:00".to_owned(), "2026-03-18T02:00".to_owned())
    );
    assert_eq!(again.next_due(), Some(at(&shanghai(), "2026-03-14T02:00")));
}

#[tokio::test]
async fn while_an_instance_is_updated_its_resources_stay_as_they_are() {
    let world = World::new();
    let updates = world.open(None).await;
    register(&updates, "one", true, OLD).await;
    updates
        .announce(&release(NEW, world.clock.now()))
        .await
        .unwrap();
    let one = id("one");
    for operation in Operation::ALL {
        drop(updates.permit(&one, *operation).await.unwrap());
    }
    world.clock.set(at(&shanghai(), "2026-03-11T02:00"));
    // An update does not begin in the middle of a change.
    let permit = updates.permit(&one, Operation::CreateTopic).await.unwrap();
    let error = updates.start(&one, ready(())).await.unwrap_err();
    assert!(matches!(error, UpdateError::Busy { .. }), "{error}");
    drop(permit);
    updates.start(&one, ready(())).await.unwrap();
    assert_eq!(updates.running(), [id("one")]);
    use Operation as O;
    let refused = [
        O::DeleteInstance,
        O::ReleaseInstance,
        O::Unsubscribe,
        O::ChangeSpecification,
        O::CreateTopic,
        O::UpdateTopic,
        O::DeleteTopic,
        O::CreateGroup,
        O::UpdateGroup,
        O::DeleteGroup,
    ];
    let again = world.open(None).await;
    for operation in Operation::ALL {
        let permitted = again.permit(&one, *operation).await;
        assert_eq!(
            permitted.is_err(),
            refused.contains(operation),
            "{operation}"
        );
        if let Err(error) = permitted {
            let text = error.to_string();
            assert!(text.starts_with(&operation.to_string()), "{text}");
            assert!(
                text.contains("update task 1 has") || text.contains("task 1,"),
                "{text}"
            );
        }
    }
    let error = updates.remove(&one).await.unwrap_err();
    assert!(matches!(error, UpdateError::InProgress(_)), "{error}");
    updates.succeed(&one).await.unwrap();
    drop(updates.permit(&one, O::CreateTopic).await.unwrap());
    updates.remove(&one).await.unwrap();
    assert!(world.open(None).await.list().is_empty());
    // Nobody manages versions of instances that are not on record.
    drop(updates.permit(&one, O::DeleteInstance).await.unwrap());
}

#[tokio::test]
async fn changes_by_somebody_else_are_seen_before_a_decision() {
    let world = World::new();
    let (updates, other) = (world.open(None).await, world.open(None).await);
    register(&updates, "one", true, OLD).await;
    let one = id("one");
    let record = UpdateRecord::new(one.clone(), true, version(OLD), shanghai());
    let error = other.register(record).await.unwrap_err();
    assert!(
        matches!(error, UpdateError::AlreadyRegistered { .. }),
        "{error}"
    );
    updates
        .announce(&release(NEW, world.clock.now()))
        .await
        .unwrap();
    other
        .announce(&release(NEWEST, world.clock.now()))
        .await
        .unwrap();
    let to = at(&shanghai(), "2026-03-12T15:00");
    let task = updates.reschedule(&one, to).await.unwrap();
    assert_eq!((task.target, task.scheduled_at), (version(NEWEST), to));
    world.clock.set(to);
    other.start(&one, ready(())).await.unwrap();
    let error = updates.start(&one, ready(())).await.unwrap_err();
    assert!(matches!(error, UpdateError::WrongState { .. }), "{error}");
}

#[test]
fn an_announcement_that_is_cut_short_anywhere_can_be_repeated() {
    let world = || {
        let world = World::new();
        let registered = async {
            let updates = world.open(None).await;
            for name in ["a", "b", "c", "d"] {
                register(&updates, name, name != "b", OLD).await;
            }
            updates
        };
        let updates = poll(registered, POLLS_MAX).unwrap();
        let announced = release(NEW, world.clock.now());
        (world, updates, announced)
    };
    let (_whole, updates, announced) = world();
    let polls = polls_of(updates.announce(&announced));
    let expected = updates.list();
    assert!(polls > 6, "only {polls} polls");
    for cut in 0..polls {
        for restarted in [false, true] {
            let (world, updates, announced) = world();
            assert!(poll(updates.announce(&announced), cut).is_none());
            world.clock.set(at(&shanghai(), "2026-03-11T01:00"));
            let after = async {
                if restarted {
                    return world.open(Some(&announced)).await.list();
                }
                updates.announce(&announced).await.unwrap();
                updates.list()
            };
            assert_eq!(
                poll(after, POLLS_MAX).unwrap(),
                expected,
                "cut after {cut} polls"
            );
        }
    }
}
