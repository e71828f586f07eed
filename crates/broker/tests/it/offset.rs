//! Offsets: pulled and committed, and queue locks beside them.

use std::{pin::pin, task::Poll, time::Duration};

use base::{QueueId, QueueOffset};
use broker::{Filter, PullOutcome, PullRequest};

use crate::support::{Bench, group, poll, topic};

fn pull(offset: u64, wait_ms: u64) -> PullRequest {
    PullRequest {
        group: Some(group("billing")),
        topic: topic("orders"),
        queue: QueueId::new(0),
        offset: QueueOffset::new(offset),
        max_messages: 32,
        max_bytes: 1024,
        filter: Filter::All,
        wait: Duration::from_millis(wait_ms),
    }
}

#[test]
fn a_full_answer_leaves_what_does_not_match_behind_it_to_the_next_pull() {
    let bench = Bench::new();
    bench.send(0, &["red", "green", "green"]);
    let pulled = |offset, max_messages| {
        let pull = PullRequest {
            max_messages,
            filter: Filter::tags("red || blue").unwrap(),
            ..pull(offset, 0)
        };
        let pulled = bench.run(bench.shard.pull(pull)).unwrap();
        (pulled.messages.len(), pulled.next.get())
    };
    assert_eq!(pulled(0, 1), (1, 1));
    // One with room left has looked at all of them.
    assert_eq!(pulled(0, 2), (1, 3));
    assert_eq!(pulled(1, 1), (0, 3));
}

#[test]
fn a_waiting_pull_is_ended_by_the_message_it_waits_for() {
    let bench = Bench::new();
    let mut waiting = pin!(bench.shard.pull(pull(0, 20_000)));
    assert!(poll(waiting.as_mut()).is_pending());
    bench.send(1, &["elsewhere"]);
    assert!(poll(waiting.as_mut()).is_pending());
    bench.send(0, &["a"]);
    let Poll::Ready(Ok(pulled)) = poll(waiting.as_mut()) else {
        panic!("the message ends the wait");
    };
    assert_eq!(pulled.outcome, PullOutcome::Found);
    assert_eq!(pulled.next, QueueOffset::new(1));
}

#[test]
fn a_pull_outside_the_queue_is_told_where_to_go_on() {
    let bench = Bench::new();
    bench.send(0, &["a", "b"]);
    let pulled = bench.run(bench.shard.pull(pull(u64::MAX, 20_000))).unwrap();
    assert_eq!(
        (pulled.outcome, pulled.next.get()),
        (PullOutcome::OffsetMoved, 2)
    );
    let pulled = bench.run(bench.shard.pull(pull(2, 0))).unwrap();
    assert_eq!(pulled.outcome, PullOutcome::NoNewMessage);
}

#[test]
fn a_drained_shard_answers_waiting_pulls() {
    let bench = Bench::new();
    let mut waiting = pin!(bench.shard.pull(pull(0, 20_000)));
    assert!(poll(waiting.as_mut()).is_pending());
    bench.shard.drain();
    let Poll::Ready(Ok(pulled)) = poll(waiting.as_mut()) else {
        panic!("the drain ends the wait");
    };
    assert_eq!(pulled.outcome, PullOutcome::NoNewMessage);
}

#[test]
fn no_lock_is_granted_while_a_delivery_is_in_flight() {
    let bench = Bench::new();
    bench.send(0, &["a"]);
    let received = bench.receive(10_000).unwrap();
    let (billing, queue) = (group("billing"), (topic("orders"), QueueId::new(0)));
    let lock = || {
        let held = bench
            .shard
            .lock_queues(&billing, "client", std::slice::from_ref(&queue));
        held.unwrap().len()
    };
    assert_eq!(lock(), 0);
    let orders = topic("orders");
    let ack = bench.shard.ack(&billing, &orders, &received.handle);
    bench.run(ack).unwrap();
    assert_eq!(lock(), 1);
    bench.send(0, &["b"]);
    assert!(bench.receive(10_000).is_none());
    bench
        .shard
        .unlock_queues(&billing, "client", &[queue])
        .unwrap();
    assert!(bench.receive(10_000).is_some());
}

/// Memory alone knows of the ack: the log was too busy to take it.
#[test]
fn what_is_behind_a_committed_offset_does_not_come_back() {
    let bench = Bench::new();
    bench.send(0, &["a"]);
    let handle = bench.receive(1_000).unwrap().handle;
    let (billing, orders) = (group("billing"), topic("orders"));
    let commit = |queue, offset| {
        let (queue, offset) = (QueueId::new(queue), QueueOffset::new(offset));
        bench.shard.commit_offset(&billing, &orders, queue, offset)
    };
    // As many small records as the log takes before it has written some.
    let is_taken = |n| match poll(pin!(commit(1, n)).as_mut()) {
        Poll::Ready(result) => result.is_ok(),
        Poll::Pending => panic!("a commit waits for nothing"),
    };
    assert!((1..10_000).any(|n| !is_taken(n)));
    {
        let mut ack = pin!(bench.shard.ack(&billing, &orders, &handle));
        assert!(matches!(poll(ack.as_mut()), Poll::Ready(Ok(()))));
    }
    bench.commit();
    bench.run(commit(0, 1)).unwrap();
    bench.commit();
    let bench = bench.reopen();
    let queue = QueueId::new(0);
    let committed = bench.shard.committed_offset(&billing, &orders, queue);
    assert_eq!(committed.unwrap(), Some(QueueOffset::new(1)));
    bench.clock.advance(Duration::from_secs(1));
    assert!(bench.receive(1_000).is_none());
}
