//! Queue locks beside receives: a queue has one mode at a time.

use std::time::Duration;

use base::{QueueId, QueueOffset};

use crate::support::{Bench, group, topic};

/// Whether `client` holds queue 0 after it has asked for it.
fn lock(bench: &Bench, client: &str) -> bool {
    let queue = (topic("orders"), QueueId::new(0));
    let held = bench
        .shard
        .lock_queues(&group("billing"), client, &[queue])
        .expect("one queue");
    !held.is_empty()
}

fn unlock(bench: &Bench, client: &str) {
    let queue = (topic("orders"), QueueId::new(0));
    bench
        .shard
        .unlock_queues(&group("billing"), client, &[queue])
        .expect("one queue");
}

#[test]
fn a_lock_waits_for_what_is_in_flight_and_nothing_more_is_handed_out() {
    let bench = Bench::new();
    bench.send(0, &["a", "b", "c"]);
    let first = bench.receive(10_000).unwrap();
    assert!(!lock(&bench, "client"));
    assert!(bench.receive(10_000).is_none(), "the lock was asked for");
    let (billing, orders) = (group("billing"), topic("orders"));
    bench
        .run(bench.shard.ack(&billing, &orders, &first.handle))
        .unwrap();
    assert!(lock(&bench, "client"));
    assert!(bench.receive(10_000).is_none(), "the queue is locked");
    let queue = QueueId::new(0);
    let committed = bench.shard.committed_offset(&billing, &orders, queue);
    assert_eq!(committed.unwrap(), Some(QueueOffset::new(1)));
    unlock(&bench, "client");
    assert_eq!(bench.receive(10_000).unwrap().handle.offset.get(), 1);
}

#[test]
fn a_lock_that_is_asked_for_no_more_holds_nothing_up() {
    let bench = Bench::new();
    bench.send(0, &["a", "b", "c"]);
    bench.receive(600_000).unwrap();
    assert!(!lock(&bench, "client"));
    unlock(&bench, "client");
    assert_eq!(bench.receive(600_000).unwrap().handle.offset.get(), 1);
    assert!(!lock(&bench, "client"));
    bench.clock.advance(Duration::from_millis(59_999));
    assert!(bench.receive(600_000).is_none());
    bench.clock.advance(Duration::from_millis(1));
    assert_eq!(bench.receive(600_000).unwrap().handle.offset.get(), 2);
}

#[test]
fn deliveries_that_nobody_takes_again_stand_in_the_way_of_no_lock() {
    let bench = Bench::new();
    bench.send(0, &["a", "b"]);
    bench.receive(10_000).unwrap();
    bench.clock.advance(Duration::from_millis(9_999));
    assert!(!lock(&bench, "client"));
    bench.clock.advance(Duration::from_millis(1));
    assert!(lock(&bench, "client"));
    let (billing, orders) = (group("billing"), topic("orders"));
    let queue = QueueId::new(0);
    let committed = bench.shard.committed_offset(&billing, &orders, queue);
    assert_eq!(committed.unwrap(), Some(QueueOffset::new(0)));
    assert!(bench.receive(10_000).is_none());
    bench
        .run(
            bench
                .shard
                .commit_offset(&billing, &orders, queue, QueueOffset::new(1)),
        )
        .unwrap();
    assert!(!lock(&bench, "another"));
    bench.clock.advance(Duration::from_secs(60));
    let resumed = bench.receive(10_000).unwrap();
    assert_eq!((resumed.handle.offset.get(), resumed.attempt), (1, 1));
}
