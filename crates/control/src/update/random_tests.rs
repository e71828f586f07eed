//! What holds for an instance whatever happens to it, in whatever zone and window.

use std::time::Duration;

use proptest::prelude::*;

use super::*;

const ZONES: &[&str] = &[
    "UTC",
    "Asia/Shanghai",
    "Europe/Berlin",
    "America/New_York",
    "Asia/Beirut",
    "Australia/Lord_Howe",
    "Pacific/Apia",
];

/// Something that happens to an instance.
#[derive(Clone, Debug)]
enum Event {
    /// Time goes by, in seconds.
    Wait(u32),
    /// The release of that day is announced.
    Announce(u8),
    /// The task is moved to so many seconds from now.
    Reschedule(i32),
    SetWindow(u16, u16),
    /// The scheduler looks whether the task is due.
    Start,
    Succeed,
    Fail,
    Cancel,
}

fn events() -> impl Strategy<Value = Event> {
    prop_oneof![
        3 => (0_u32..3 * 86_400).prop_map(Event::Wait),
        2 => (1_u8..=28).prop_map(Event::Announce),
        2 => (-86_400..10 * 86_400).prop_map(Event::Reschedule),
        1 => (0_u16..1440, 0_u16..1440).prop_map(|(start, end)| Event::SetWindow(start, end)),
        3 => Just(Event::Start),
        1 => Just(Event::Succeed),
        1 => Just(Event::Fail),
        1 => Just(Event::Cancel),
    ]
}

fn window(start: u16, end: u16) -> Window {
    let text = format!(
        "{:02}:{:02}-{:02}:{:02}",
        start / 60,
        start % 60,
        end / 60,
        end % 60
    );
    text.parse().unwrap()
}

fn release(day: u8) -> Version {
    format!("5.0-rmq-202603{day:02}").parse().unwrap()
}

/// What is true of every record, and of every step from one to the next.
fn check(before: &UpdateRecord, after: &UpdateRecord, newest: Version, now: Timestamp) {
    assert!(after.version >= before.version, "there is no way back");
    let numbers: Vec<u64> = after.tasks().unwrap().map(|task| task.number).collect();
    assert!(
        numbers.is_sorted_by(|newer, older| newer > older),
        "{numbers:?}"
    );
    for task in &after.ended {
        assert!(matches!(
            task.state,
            TaskState::Succeeded | TaskState::Failed
        ));
        assert!(task.started_at <= task.ended_at && task.ended_at <= Some(now));
    }
    let Some(task) = &after.open else {
        assert!(after.version >= newest, "behind, and nothing is open");
        return;
    };
    assert!(task.target > after.version);
    let first = task.window.next_start(&task.zone, task.created_at);
    assert_eq!(
        task.deadline_at,
        task.zone.days_later(first, 7),
        "the deadline moved"
    );
    assert!(task.scheduled_at <= task.deadline_at);
    match task.state {
        TaskState::Pending => assert_eq!(task.target, newest, "not the newest"),
        TaskState::Running => assert!(task.started_at.is_some()),
        state => panic!("an open task is {state}"),
    }
    let old = before.open.as_ref();
    match old.filter(|old| old.number == task.number) {
        None => {
            assert!(old.is_none() || after.ended[0].number + 1 == task.number);
            assert_eq!(task.scheduled_at, first, "not at the start of a window");
            assert!(first >= task.created_at);
            assert_eq!(task.created_at, now);
        }
        Some(old) if old.state == TaskState::Running => assert_eq!(task, old),
        Some(old) => {
            assert_eq!((task.window, &task.zone), (old.window, &old.zone));
            let moved = task.scheduled_at != old.scheduled_at;
            assert!(!moved || (now < task.scheduled_at && task.scheduled_at <= old.deadline_at));
        }
    }
}

proptest! {
    #![proptest_config(ProptestConfig { failure_persistence: None, ..Default::default() })]

    #[test]
    fn the_rules_hold_whatever_happens(
        zone in prop::sample::select(ZONES),
        (start, end) in (0_u16..1440, 0_u16..1440),
        begin_ms in 1_577_836_800_000_i64..1_893_456_000_000,
        events in prop::collection::vec(events(), 1..60),
    ) {
        let instance = InstanceId::new("rmq-cn-1").unwrap();
        let zone = Zone::new(zone).unwrap();
        let first = "5.0-rmq-20260101".parse().unwrap();
        let mut record = UpdateRecord::new(instance, true, first, zone);
        record.set_window(Some(window(start, end)), None).unwrap();
        let (mut now, mut newest) = (Timestamp::from_ms(begin_ms), first);
        for event in events {
            let before = record.clone();
            let done = match event {
                Event::Wait(seconds) => {
                    now = now.after(Duration::from_secs(u64::from(seconds)));
                    Ok(())
                }
                Event::Announce(day) => {
                    newest = newest.max(release(day));
                    record.announce(release(day), now);
                    // The store asks with the newest one when nothing is open.
                    Ok(())
                }
                Event::Reschedule(seconds) => {
                    record.reschedule(Timestamp::from_ms(now.ms() + i64::from(seconds) * 1000), now)
                }
                Event::SetWindow(start, end) => record.set_window(Some(window(start, end)), None),
                Event::Start => {
                    let due = record.open.as_ref().map(|task| task.due(now));
                    let late = record.open.as_ref().is_some_and(|task| now >= task.deadline_at);
                    let started = record.start(now);
                    prop_assert!(started.is_err() || due == Some(Due::Now));
                    prop_assert!(!late || record.running().is_some(), "not even at the deadline");
                    started
                }
                Event::Succeed => record.succeed(newest, now),
                Event::Fail => record.fail("it did not start", newest, now),
                Event::Cancel => {
                    prop_assert!(record.cancel().is_err());
                    Ok(())
                }
            };
            if done.is_err() {
                prop_assert_eq!(&before, &record, "a refusal changes nothing");
            }
            check(&before, &record, newest, now);
            let stored = serde_json::to_vec(&record).unwrap();
            let read: UpdateRecord = serde_json::from_slice(&stored).unwrap();
            prop_assert_eq!(&read, &record);
        }
    }

    #[test]
    fn a_task_that_nobody_moves_begins_in_a_window_or_at_its_deadline(
        zone in prop::sample::select(ZONES),
        (start, end) in (0_u16..1440, 0_u16..1440),
        begin_ms in 1_577_836_800_000_i64..1_893_456_000_000,
        late_s in 0_u64..10 * 86_400,
    ) {
        let instance = InstanceId::new("rmq-cn-1").unwrap();
        let zone = Zone::new(zone).unwrap();
        let mut record = UpdateRecord::new(instance, true, release(1), zone);
        record.set_window(Some(window(start, end)), None).unwrap();
        record.announce(release(2), Timestamp::from_ms(begin_ms));
        let task = record.open.unwrap();
        let now = task.scheduled_at.after(Duration::from_secs(late_s));
        let begins = match task.due(now) {
            Due::Now => now,
            Due::At(at) => {
                prop_assert!(at > now);
                prop_assert!(matches!(task.due(at), Due::Now) || at < task.deadline_at);
                at
            }
        };
        let on_time = late_s <= 300;
        let at_its_end = begins >= task.deadline_at;
        let opens = task.window.next_start(&task.zone, begins) == begins;
        prop_assert!(on_time || at_its_end || opens || task.window.is_open(&task.zone, begins));
        prop_assert!(begins <= task.deadline_at.max(now));
    }
}
