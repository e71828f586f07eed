//! What the 4.x series allows less than others.

use std::time::Duration;

use base::{QueueId, Timestamp};
use broker::{
    CreateGroupError, CreateTopicError, GroupSpec, ResetOffsetError, ResetTo, Retention, SendError,
    Series, TopicSpec,
};
use bytes::Bytes;
use store::log::AppendError;
use wire::message::MessageError;

use crate::support::{Bench, group, request, request_with, topic};

const SMALL: usize = 64 * 1024;
const DAY_MS: u64 = 24 * 3_600_000;

const NORMAL: (&str, &str) = ("TAGS", "t");
const TIMED: (&str, &str) = ("TIMER_DELAY_MS", "1000");
const HALF: (&str, &str) = ("TRAN_MSG", "true");

/// Why a message of that kind with that body is refused.
fn refused(bench: &Bench, kind: (&str, &str), to: &str, length: usize) -> Option<MessageError> {
    let mut request = request_with(&[kind, ("PGROUP", "billing")]);
    request.topic = topic(to);
    request.messages[0].body = Bytes::from(vec![b'x'; length]);
    match bench.run(bench.shard.send(request)) {
        // The segments of the test's log are smaller than the message, which is past the check.
        Ok(_)
        | Err(SendError::Log {
            source: AppendError::TooLarge { .. },
            ..
        }) => None,
        Err(SendError::Message { source, .. }) => Some(source),
        Err(other) => panic!("{other}"),
    }
}

#[test]
fn timed_and_half_messages_are_small_and_others_are_not() {
    let (old, new) = (Bench::of(Series::V4), Bench::of(Series::V5));
    for kind in [TIMED, HALF] {
        assert_eq!(refused(&old, kind, "orders", SMALL), None);
        let (field, length, max) = ("body", SMALL + 1, SMALL);
        let too_long = MessageError::TooLong { field, length, max };
        assert_eq!(refused(&old, kind, "orders", length), Some(too_long));
        assert_eq!(refused(&new, kind, "orders", length), None);
    }
    assert_eq!(refused(&old, NORMAL, "orders", SMALL + 1), None);
}

#[test]
fn properties_are_limited_and_batches_are_not_there() {
    let (old, new) = (Bench::of(Series::V4), Bench::of(Series::V5));
    let large = "x".repeat(16 * 1024);
    let send = |bench: &Bench| bench.run(bench.shard.send(request_with(&[("a", &large)])));
    let Err(SendError::Message { source, .. }) = send(&old) else {
        panic!("taken");
    };
    let (field, max) = ("properties", 16 * 1024);
    let length = max + 3;
    assert_eq!(source, MessageError::TooLong { field, length, max });
    assert!(send(&new).is_ok());

    let batch = |bench: &Bench| bench.run(bench.shard.send(request(0, &["a", "b"])));
    let refused = batch(&old).unwrap_err();
    let text = "send to topic `orders` holds 2 messages, expected 1 to 1";
    assert_eq!(refused.to_string(), text);
    assert!(batch(&new).is_ok());
}

#[test]
fn a_message_is_due_within_40_days() {
    let bench = Bench::of(Series::V4);
    let send = |ms: u64| {
        let delay = ms.to_string();
        bench.run(
            bench
                .shard
                .send(request_with(&[("TIMER_DELAY_MS", &delay)])),
        )
    };
    assert!(send(40 * DAY_MS).is_ok());
    let refused = send(40 * DAY_MS + 1);
    assert!(matches!(refused, Err(SendError::DueTime { .. })));
}

#[test]
fn what_the_system_does_for_a_group_is_not_held_to_the_limits() {
    let bench = Bench::of(Series::V4);
    let name = format!("GID_{}", "x".repeat(60));
    let spec = GroupSpec::new(group(&name));
    bench.run(bench.instance.create_group(spec)).unwrap();
    bench
        .run(bench.instance.retry_topic(&group(&name)))
        .unwrap();
    let retry = format!("%RETRY%{name}");
    assert_eq!(refused(&bench, TIMED, &retry, SMALL + 1), None);
}

#[test]
fn names_have_64_bytes_and_there_are_1000_groups() {
    let (old, new) = (Bench::of(Series::V4), Bench::of(Series::V5));
    let create_topic = |bench: &Bench, length| {
        let spec = TopicSpec::new(topic(&"x".repeat(length)), 1);
        bench.run(bench.instance.create_topic(spec)).map(drop)
    };
    let create_group = |bench: &Bench, name: &str| {
        let spec = GroupSpec::new(group(name));
        bench.run(bench.instance.create_group(spec)).map(drop)
    };
    create_topic(&old, 64).unwrap();
    let refused = create_topic(&old, 65);
    assert!(matches!(
        refused,
        Err(CreateTopicError::Name { max: 64, .. })
    ));
    create_topic(&new, 65).unwrap();

    let long = "x".repeat(65);
    let refused = create_group(&old, &long);
    assert!(matches!(
        refused,
        Err(CreateGroupError::Name { max: 64, .. })
    ));
    create_group(&new, &long).unwrap();

    // `billing` is there already.
    for number in 1..1_000 {
        create_group(&old, &number.to_string()).unwrap();
    }
    let refused = create_group(&old, "one-more");
    let (count, limit) = (1_000, 1_000);
    match refused {
        Err(CreateGroupError::TooMany { count: c, limit: l }) => assert_eq!((c, l), (count, limit)),
        other => panic!("{other:?}"),
    }
}

#[test]
fn a_group_is_reset_to_the_last_three_days() {
    let (old, new) = (Bench::of(Series::V4), Bench::of(Series::V5));
    let ago = 3 * DAY_MS as i64;
    let reset = |bench: &Bench, ago: i64| {
        let now = Timestamp::from_ms(1_700_000_000_000);
        let to = ResetTo::Time(Timestamp::from_ms(now.ms() - ago));
        let (billing, orders) = (group("billing"), topic("orders"));
        bench.run(bench.shard.reset_offset(&billing, &orders, None, to))
    };
    assert!(reset(&old, ago).is_ok());
    let refused = reset(&old, ago + 1);
    assert!(matches!(refused, Err(ResetOffsetError::TooLongAgo { .. })));
    assert!(reset(&new, ago + 1).is_ok());
}

#[test]
fn a_timed_message_is_kept_as_long_after_its_delivery_as_others_after_their_sending() {
    let bench = Bench::of(Series::V4);
    bench.send_with(&[("TIMER_DELAY_MS", &(10 * DAY_MS).to_string())]);
    let retention = Retention {
        time: Duration::from_millis(3 * DAY_MS),
        bytes: None,
    };
    let large = "x".repeat(4 * 1_024);
    // Bytes that are given back after so many days more, in which some segments are filled.
    let after = |days: u64| {
        for _ in 0..40 {
            bench.send(1, &[&large]);
        }
        bench.shard.checkpoint().unwrap();
        bench.clock.advance(Duration::from_millis(days * DAY_MS));
        bench.release();
        bench.run(bench.shard.retain(retention)).unwrap().bytes
    };
    assert!(after(10) > 0);
    assert_eq!(bench.bodies("orders"), ["body"]);
    // Sent 12 days ago, delivered 2 days ago.
    assert_eq!(after(2), 0);
    assert_eq!(bench.bodies("orders"), ["body"]);
    assert!(after(2) > 0);
    let range = bench.shard.queue_range(&topic("orders"), QueueId::new(0));
    let range = range.unwrap();
    assert_eq!(range.min, range.max, "nothing is kept for ever");
}
