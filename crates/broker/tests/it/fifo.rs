//! FIFO groups: order inside a message group, and none of another held back.

use std::{
    pin::pin,
    sync::{Arc, atomic::Ordering},
    task::{Context, Poll, Waker},
    time::Duration,
};

use base::{GroupName, QueueOffset, limits};
use broker::{GroupSpec, ReceiveRequest, Received, Receiver, Start};
use wire::message::properties;

use crate::support::{Bench, Count, group, poll, receive_request, topic};

/// A bench with a FIFO group of three attempts.
fn bench() -> (Bench, GroupName) {
    let bench = Bench::new();
    let ledgers = group("ledgers");
    let mut spec = GroupSpec::new(ledgers.clone());
    (spec.fifo, spec.max_attempts) = (true, 3);
    bench
        .run(bench.instance.create_group(spec))
        .expect("the test allows no failure here");
    (bench, ledgers)
}

/// Sends one message each: the first letter is the message group, `-` for none.
fn send(bench: &Bench, names: &[&str]) {
    for name in names {
        let property = match &name[..1] {
            "-" => (properties::TAGS, "none"),
            message_group => (properties::SHARDING_KEY, message_group),
        };
        bench.send_with(&[property, (properties::KEYS, name)]);
    }
}

fn request(count: usize, wait_ms: u64) -> ReceiveRequest {
    ReceiveRequest {
        group: group("ledgers"),
        max_messages: count,
        ..receive_request(None, 10_000, wait_ms)
    }
}

fn receive(bench: &Bench, count: usize) -> Vec<Received> {
    bench
        .run(bench.shard.receive(request(count, 0)))
        .expect("the test allows no failure here")
}

fn names(received: &[Received]) -> Vec<String> {
    let name = |received: &Received| {
        received
            .message
            .property(properties::KEYS)
            .map(str::to_owned)
    };
    received.iter().filter_map(name).collect()
}

fn ack(bench: &Bench, received: &Received) {
    let (ledgers, orders) = (group("ledgers"), topic("orders"));
    bench
        .run(bench.shard.ack(&ledgers, &orders, &received.handle))
        .expect("the test allows no failure here");
}

/// Gives back, to come again after `ms`.
fn give_back(bench: &Bench, received: &Received, ms: u64) {
    let (ledgers, orders) = (group("ledgers"), topic("orders"));
    let pause = Duration::from_millis(ms);
    let change = bench
        .shard
        .change_invisible_duration(&ledgers, &orders, &received.handle, pause);
    bench.run(change).expect("the test allows no failure here");
}

#[test]
fn a_message_group_that_fails_holds_back_no_other() {
    let (bench, _) = bench();
    send(&bench, &["a0", "a1", "b0", "a2", "b1"]);
    let first = receive(&bench, 1);
    assert_eq!(names(&first), ["a0"]);
    let others = receive(&bench, 9);
    assert_eq!(names(&others), ["b0", "b1"]);
    assert!(receive(&bench, 9).is_empty());
    give_back(&bench, &first[0], 100);
    send(&bench, &["a3", "b2", "c0"]);
    // b0 and b1 are with somebody still.
    assert_eq!(names(&receive(&bench, 9)), ["c0"]);
    bench.clock.advance(Duration::from_millis(100));
    let again = receive(&bench, 9);
    assert_eq!(names(&again), ["a0"]);
    assert_eq!(again[0].attempt, 2);
    others.iter().for_each(|received| ack(&bench, received));
    assert_eq!(names(&receive(&bench, 9)), ["b2"]);
    ack(&bench, &again[0]);
    let rest = receive(&bench, 9);
    assert_eq!(names(&rest), ["a1", "a2", "a3"]);
    assert!(rest.iter().all(|received| received.attempt == 1));
}

#[test]
fn what_waits_for_its_message_group_survives_a_restart() {
    let (bench, ledgers) = bench();
    send(&bench, &["a0", "a1", "b0", "a2"]);
    let first = receive(&bench, 1);
    ack(&bench, &receive(&bench, 9)[0]);
    bench.commit();
    bench.shard.checkpoint().unwrap();
    send(&bench, &["a3", "b1"]);
    assert_eq!(names(&receive(&bench, 9)), ["b1"]);
    let bench = bench.reopen();
    assert!(receive(&bench, 9).is_empty());
    let orders = topic("orders");
    let committed = bench
        .shard
        .committed_offset(&ledgers, &orders, base::QueueId::new(0));
    assert_eq!(committed.unwrap(), Some(QueueOffset::new(0)));
    ack(&bench, &first[0]);
    assert_eq!(names(&receive(&bench, 9)), ["a1", "a2", "a3"]);
}

#[test]
fn an_ack_wakes_who_waits_for_the_message_group() {
    let (bench, ledgers) = bench();
    send(&bench, &["a0", "a1"]);
    let first = receive(&bench, 1);
    let woken = Arc::new(Count::default());
    let waker = Waker::from(woken.clone());
    let mut waiting = pin!(bench.shard.receive(request(9, 5_000)));
    let mut poll_waiting = || waiting.as_mut().poll(&mut Context::from_waker(&waker));
    assert!(poll_waiting().is_pending());
    // Nor does who only asks whether there is a message see one.
    let receiver = Receiver {
        group: ledgers,
        topic: topic("orders"),
        queue: None,
        start: Start::Oldest,
    };
    let mut looking = pin!(
        bench
            .shard
            .wait_for_message(&receiver, Duration::from_secs(5))
    );
    assert!(poll(looking.as_mut()).is_pending());
    woken.0.store(0, Ordering::Relaxed);
    ack(&bench, &first[0]);
    assert!(woken.0.load(Ordering::Relaxed) > 0, "not woken");
    let Poll::Ready(Ok(second)) = poll_waiting() else {
        panic!("nothing received");
    };
    assert_eq!(names(&second), ["a1"]);
}

#[test]
fn a_failed_message_waits_for_those_of_its_batch_and_no_longer() {
    let (bench, _) = bench();
    send(&bench, &["a0", "a1", "a2"]);
    let batch = receive(&bench, 2);
    assert_eq!(names(&batch), ["a0", "a1"]);
    give_back(&bench, &batch[0], 100);
    bench.clock.advance(Duration::from_millis(100));
    let woken = Arc::new(Count::default());
    let waker = Waker::from(woken.clone());
    let mut waiting = pin!(bench.shard.receive(request(9, 5_000)));
    let mut poll_waiting = || waiting.as_mut().poll(&mut Context::from_waker(&waker));
    assert!(poll_waiting().is_pending());
    woken.0.store(0, Ordering::Relaxed);
    ack(&bench, &batch[1]);
    assert!(woken.0.load(Ordering::Relaxed) > 0, "not woken");
    let Poll::Ready(Ok(again)) = poll_waiting() else {
        panic!("nothing received");
    };
    assert_eq!(names(&again), ["a0"]);
}

#[test]
fn a_dead_letter_frees_its_message_group() {
    let (bench, _) = bench();
    send(&bench, &["a0", "a1"]);
    for attempt in 1..=3 {
        let received = receive(&bench, 9);
        assert_eq!(names(&received)[0], "a0");
        assert_eq!(received[0].attempt, attempt);
        // Both were handed out at first.
        received
            .iter()
            .for_each(|received| give_back(&bench, received, 100));
        bench.clock.advance(Duration::from_millis(100));
    }
    assert_eq!(names(&receive(&bench, 9)), ["a1"]);
    assert_eq!(bench.bodies("%DLQ%ledgers"), ["body"]);
}

#[test]
fn messages_without_a_message_group_keep_the_order_of_their_queue() {
    let (bench, _) = bench();
    send(&bench, &["-0", "-1", "b0"]);
    let first = receive(&bench, 1);
    assert_eq!(names(&receive(&bench, 9)), ["b0"]);
    ack(&bench, &first[0]);
    assert_eq!(names(&receive(&bench, 9)), ["-1"]);
}

#[test]
fn what_was_not_handed_out_after_all_comes_in_order() {
    let (bench, _) = bench();
    send(&bench, &["a0", "a1", "b0"]);
    {
        // The read waits for nothing here, so a call that is dropped was never polled to its end.
        let mut dropped = pin!(bench.shard.receive(request(2, 0)));
        drop(poll(dropped.as_mut()));
    }
    // Handed out or not, the answer is lost: they come again when their time is over, in order.
    bench.clock.advance(Duration::from_secs(10));
    let again = receive(&bench, 9);
    assert_eq!(names(&again)[..1], ["a0"]);
    ack(&bench, &again[0]);
    let rest = receive(&bench, 9);
    assert!(
        names(&rest).contains(&"a1".to_owned()),
        "{:?}",
        names(&rest)
    );
}

#[test]
fn a_long_line_of_one_message_group_is_passed_over_once() {
    let (bench, _) = bench();
    send(&bench, &["a0"]);
    let first = receive(&bench, 1);
    send(&bench, &["a1"; 100]);
    send(&bench, &["b0"]);
    assert_eq!(names(&receive(&bench, 9)), ["b0"]);
    let metrics = bench.instance.metrics();
    let ledgers = metrics
        .groups
        .iter()
        .find(|of| of.group.as_str() == "ledgers");
    let ledgers = ledgers.unwrap();
    assert_eq!(
        (ledgers.in_flight, ledgers.ready, ledgers.lag),
        (2, 100, 102)
    );
    ack(&bench, &first[0]);
    let rest = receive(&bench, 1_000);
    assert_eq!(rest.len(), limits::PULL_MESSAGES_MAX.min(100));
}

#[test]
fn who_waits_learns_of_a_delivery_that_ends_early_though_others_are_parked() {
    let (bench, _) = bench();
    send(&bench, &["a0", "a1"]);
    assert_eq!(names(&receive(&bench, 1)), ["a0"]);
    let mut short = request(1, 30_000);
    short.invisible = Duration::from_secs(1);
    let mut faster = pin!(bench.shard.receive(short));
    assert!(poll(faster.as_mut()).is_pending());
    let woken = Arc::new(Count::default());
    let waker = Waker::from(woken.clone());
    let mut waiting = pin!(bench.shard.receive(request(1, 30_000)));
    let mut poll_waiting = || waiting.as_mut().poll(&mut Context::from_waker(&waker));
    assert!(poll_waiting().is_pending());
    send(&bench, &["b0"]);
    let Poll::Ready(Ok(taken)) = poll(faster.as_mut()) else {
        panic!("nothing received");
    };
    assert_eq!(names(&taken), ["b0"]);
    assert!(woken.0.swap(0, Ordering::Relaxed) > 0, "not woken");
    assert!(poll_waiting().is_pending());
    woken.0.store(0, Ordering::Relaxed);
    bench.clock.advance(Duration::from_secs(1));
    assert!(woken.0.load(Ordering::Relaxed) > 0, "not woken");
    let Poll::Ready(Ok(again)) = poll_waiting() else {
        panic!("nothing received");
    };
    assert_eq!(names(&again), ["b0"]);
}
