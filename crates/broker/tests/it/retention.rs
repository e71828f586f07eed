//! Retention: what is old goes, what is owed stays.

use std::time::Duration;

use base::{QueueId, QueueOffset};
use broker::Retention;

use crate::support::{Bench, group, topic};

const HOUR: Retention = Retention {
    time: Duration::from_secs(3_600),
    bytes: None,
};

/// Fills some segments.
fn fill(bench: &Bench) {
    let large = "x".repeat(4 * 1024);
    for _ in 0..40 {
        bench.send(1, &[&large]);
    }
}

#[test]
fn old_segments_go_and_a_message_in_flight_comes_back_all_the_same() {
    let bench = Bench::new();
    let (billing, orders) = (group("billing"), topic("orders"));
    bench.send(0, &["owed", "not owed"]);
    let request = crate::support::receive_request(Some(0), 3_600_000 * 3, 0);
    let received = bench.run(bench.shard.receive(request)).unwrap();
    fill(&bench);
    bench.commit();
    bench.shard.checkpoint().unwrap();
    bench.clock.advance(Duration::from_secs(7_200));
    let trimmed = bench.run(bench.shard.retain(HOUR)).unwrap();
    assert!(trimmed.bytes > 0);
    let range = bench.shard.queue_range(&orders, QueueId::new(0)).unwrap();
    assert_eq!(range.min, QueueOffset::new(2));
    // Once more, so that the copy of the copy is needed; then from what a restart finds.
    fill(&bench);
    bench.shard.checkpoint().unwrap();
    bench.clock.advance(Duration::from_secs(3_600 * 2));
    assert!(bench.run(bench.shard.retain(HOUR)).unwrap().bytes > 0);
    let bench = bench.reopen();
    let request = crate::support::receive_request(Some(0), 10_000, 0);
    let again = bench.run(bench.shard.receive(request)).unwrap();
    assert_eq!(again.len(), 1);
    assert_eq!(again[0].attempt, 2);
    assert_eq!(again[0].message.body(), received[0].message.body());
    let ack = bench.shard.ack(&billing, &orders, &again[0].handle);
    bench.run(ack).unwrap();
}

#[test]
fn what_is_young_stays() {
    let bench = Bench::new();
    fill(&bench);
    bench.shard.checkpoint().unwrap();
    bench.clock.advance(Duration::from_secs(3_599));
    assert_eq!(bench.run(bench.shard.retain(HOUR)).unwrap().bytes, 0);
}
