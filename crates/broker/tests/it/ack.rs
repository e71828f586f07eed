//! Receipts: settled once, by the latest delivery, by its owner.

use std::{pin::pin, task::Poll, time::Duration};

use base::{QueueId, QueueOffset, TopicName};
use broker::{AckError, ForwardToDeadLetterError};

use crate::support::{Bench, group, poll, receive_request, request, topic};

#[test]
fn an_ack_settles_once_and_only_by_the_latest_receipt() {
    let bench = Bench::new();
    let (billing, orders) = (group("billing"), topic("orders"));
    bench.send(0, &["a"]);
    let late = bench.receive(1_000).unwrap();
    bench.clock.advance(Duration::from_secs(1));
    let ack = |handle| bench.run(bench.shard.ack(&billing, &orders, &handle));
    assert!(matches!(ack(late.handle), Err(AckError::Expired { .. })));
    let current = bench.receive(1_000).unwrap();
    assert!(matches!(ack(late.handle), Err(AckError::Expired { .. })));
    assert!(ack(current.handle).is_ok());
    assert!(matches!(ack(current.handle), Err(AckError::Expired { .. })));
    bench.clock.advance(Duration::from_secs(60));
    assert!(bench.receive(1_000).is_none());
}

#[test]
fn a_receipt_of_another_life_of_the_topic_is_foreign() {
    let bench = Bench::new();
    let (billing, orders) = (group("billing"), topic("orders"));
    bench.send(0, &["a"]);
    let old = bench.receive(10_000).unwrap();
    bench.run(bench.instance.delete_topic(&orders)).unwrap();
    bench.create_topic("orders");
    let ack = bench.run(bench.shard.ack(&billing, &orders, &old.handle));
    assert!(matches!(ack, Err(AckError::Foreign { .. })), "{ack:?}");
}

#[test]
fn a_changed_duration_replaces_the_receipt() {
    let bench = Bench::new();
    let (billing, orders) = (group("billing"), topic("orders"));
    bench.send(0, &["a"]);
    let first = bench.receive(10_000).unwrap();
    let pause = Duration::from_millis(100);
    let change = bench
        .shard
        .change_invisible_duration(&billing, &orders, &first.handle, pause);
    let (second, until) = bench.run(change).unwrap();
    assert!(
        bench
            .run(bench.shard.ack(&billing, &orders, &first.handle))
            .is_err()
    );
    assert!(bench.receive(10_000).is_none());
    bench.clock.advance(pause);
    assert_eq!(until, base::Clock::now(&*bench.clock));
    assert_eq!(bench.receive(10_000).unwrap().attempt, 2);
    assert!(
        bench
            .run(bench.shard.ack(&billing, &orders, &second))
            .is_err()
    );
}

#[test]
fn a_message_forwarded_by_two_calls_at_once_is_buried_once() {
    let bench = Bench::new();
    let (billing, orders) = (group("billing"), topic("orders"));
    bench.send(0, &["a"]);
    let receipt = bench.receive(10_000).unwrap().handle;
    let forward = || {
        bench
            .shard
            .forward_to_dead_letter(&billing, &orders, &receipt)
    };
    let (mut first, mut second) = (pin!(forward()), pin!(forward()));
    assert!(poll(first.as_mut()).is_pending());
    // The copy is on its way to the disk, its receipt is over.
    let second = match poll(second.as_mut()) {
        Poll::Ready(second) => second,
        Poll::Pending => bench.run(second),
    };
    assert!(bench.run(first).is_ok());
    assert!(
        matches!(second, Err(ForwardToDeadLetterError::Receipt(_))),
        "{second:?}"
    );
    let dead = TopicName::dead_letter_of(&billing);
    let range = bench.shard.queue_range(&dead, QueueId::new(0)).unwrap();
    assert_eq!(range.max, QueueOffset::new(1));
}

#[test]
fn a_receipt_that_has_ended_counts_no_more_while_its_message_is_buried() {
    let bench = Bench::new();
    let (billing, orders) = (group("billing"), topic("orders"));
    bench.send(0, &["a"]);
    for _ in 1..3 {
        bench.receive(1_000).unwrap();
        bench.clock.advance(Duration::from_secs(1));
    }
    let last = bench.receive(1_000).unwrap();
    bench.clock.advance(Duration::from_secs(1));
    let mut burying = pin!(bench.shard.receive(receive_request(None, 1_000, 0)));
    assert!(poll(burying.as_mut()).is_pending());
    let ack = bench.run(bench.shard.ack(&billing, &orders, &last.handle));
    assert!(matches!(ack, Err(AckError::Expired { .. })), "{ack:?}");
    assert!(bench.run(burying).unwrap().is_empty());
    let dead = TopicName::dead_letter_of(&billing);
    let range = bench.shard.queue_range(&dead, QueueId::new(0)).unwrap();
    assert_eq!(range.max, QueueOffset::new(1));
}

#[test]
fn a_dead_letter_waits_for_room_in_the_log_as_a_send_does() {
    let bench = Bench::new();
    let large = "x".repeat(3 * 1_024);
    bench.send(0, &[&large]);
    let receipt = bench.receive(10_000).unwrap().handle;
    let mut sending: Vec<_> = (0..2)
        .map(|_| Box::pin(bench.shard.send(request(0, &[&large]))))
        .collect();
    for send in &mut sending {
        assert!(poll(send.as_mut()).is_pending());
    }
    let (billing, orders) = (group("billing"), topic("orders"));
    let forward = bench
        .shard
        .forward_to_dead_letter(&billing, &orders, &receipt);
    bench.run(forward).unwrap();
    assert_eq!(bench.bodies("%DLQ%billing"), [large]);
}
