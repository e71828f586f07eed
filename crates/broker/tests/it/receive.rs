//! Receive: who is woken by what, and what a dropped call leaves.
//!
//! A waker that counts stands in for the runtime: a task that is not woken is not polled again.

use std::{
    future::Future,
    pin::{Pin, pin},
    sync::{Arc, atomic::Ordering},
    task::{Context, Poll, Waker},
    time::Duration,
};

use base::{QueueId, QueueOffset};
use broker::{
    AckError, Filter, GroupSpec, PullError, PullRequest, QueueChoice, ReceiveError, Received,
    Receiver, Start, TopicSpec, TopicType,
};

use crate::support::{Bench, Count, group, offsets, poll, receive_request, request_with, topic};

/// Polls `$call`, and again as long as it was woken.
macro_rules! drive {
    ($call:expr, $count:expr) => {{
        let waker = Waker::from($count.clone());
        loop {
            $count.0.store(0, Ordering::Relaxed);
            let polled = $call.as_mut().poll(&mut Context::from_waker(&waker));
            if polled.is_ready() || $count.0.load(Ordering::Relaxed) == 0 {
                break polled;
            }
        }
    }};
}

/// [`drive!`] if it was woken since, else nothing happens to it.
macro_rules! drive_if_woken {
    ($call:expr, $count:expr) => {
        if $count.0.load(Ordering::Relaxed) == 0 {
            Poll::Pending
        } else {
            drive!($call, $count)
        }
    };
}

#[test]
fn a_message_wakes_the_receive_that_waits_at_its_queue() {
    let bench = Bench::new();
    let (first, second) = (Arc::new(Count::default()), Arc::new(Count::default()));
    let mut at_zero = pin!(
        bench
            .shard
            .receive(receive_request(Some(0), 10_000, 30_000))
    );
    let mut at_one = pin!(
        bench
            .shard
            .receive(receive_request(Some(1), 10_000, 30_000))
    );
    assert!(drive!(at_zero, first).is_pending());
    assert!(drive!(at_one, second).is_pending());
    bench.send(1, &["a"]);
    assert!(drive_if_woken!(at_zero, first).is_pending());
    assert_eq!(offsets(drive_if_woken!(at_one, second)), Some(vec![0]));
}

#[test]
fn a_delivery_that_falls_due_wakes_who_waited_before_it_was_made() {
    let bench = Bench::new();
    let (first, second) = (Arc::new(Count::default()), Arc::new(Count::default()));
    let mut faster = pin!(bench.shard.receive(receive_request(None, 1_000, 30_000)));
    let mut waiting = pin!(bench.shard.receive(receive_request(None, 1_000, 30_000)));
    assert!(drive!(faster, first).is_pending());
    assert!(drive!(waiting, second).is_pending());
    bench.send(0, &["a"]);
    assert_eq!(offsets(drive_if_woken!(faster, first)), Some(vec![0]));
    assert!(drive_if_woken!(waiting, second).is_pending());
    bench.clock.advance(Duration::from_millis(999));
    assert!(drive_if_woken!(waiting, second).is_pending());
    bench.clock.advance(Duration::from_millis(1));
    let received = drive_if_woken!(waiting, second);
    assert!(matches!(&received, Poll::Ready(Ok(received)) if received[0].attempt == 2));
}

/// A receive and how often it was woken since it was last polled.
type Called<'a> = (
    Pin<Box<dyn Future<Output = Result<Vec<Received>, ReceiveError>> + 'a>>,
    Arc<Count>,
);

/// So many receives of one message at most each, which wait.
fn called(bench: &Bench, receives: usize) -> Vec<Called<'_>> {
    let one = || {
        let mut request = receive_request(None, 1_000, 30_000);
        request.max_messages = 1;
        let mut call = Box::pin(bench.shard.receive(request));
        let count = Arc::new(Count::default());
        assert!(drive!(call, count).is_pending());
        (call as Pin<Box<dyn Future<Output = _>>>, count)
    };
    (0..receives).map(|_| one()).collect()
}

/// Polls who was woken until nobody is. Says what they got, and how many it took; those that are
/// through are gone.
fn drive_woken(waiting: &mut Vec<Called<'_>>) -> (Vec<Vec<i64>>, usize) {
    let (mut got, mut woken) = (Vec::new(), 0);
    let is_woken = |(_, count): &Called<'_>| count.0.load(Ordering::Relaxed) > 0;
    while let Some(n) = waiting.iter().position(is_woken) {
        woken += 1;
        let (call, count) = &mut waiting[n];
        if let Some(received) = offsets(drive!(call, count)) {
            got.push(received);
            drop(waiting.remove(n));
        }
    }
    (got, woken)
}

#[test]
fn a_message_wakes_few_of_many_who_wait() {
    let bench = Bench::new();
    let mut waiting = called(&bench, 20);
    bench.send(0, &["a"]);
    let (got, woken) = drive_woken(&mut waiting);
    assert_eq!(got, [[0]]);
    // Who took it, whom the delivery in flight woke, and whom it woke as it left.
    assert!(woken <= 3, "{woken} were woken for one message");
    // One of the others still knows when it is due.
    bench.clock.advance(Duration::from_millis(1_000));
    assert_eq!(drive_woken(&mut waiting).0, [[0]]);
}

#[test]
fn what_is_there_at_once_reaches_all_who_wait() {
    let bench = Bench::new();
    bench.send(0, &["a", "b", "c"]);
    let (billing, orders) = (group("billing"), topic("orders"));
    for _ in 0..3 {
        let taken = bench.receive(10_000).unwrap();
        bench
            .run(bench.shard.ack(&billing, &orders, &taken.handle))
            .unwrap();
    }
    let mut waiting = called(&bench, 4);
    let (queue, offset) = (QueueId::new(0), QueueOffset::new(0));
    bench
        .run(bench.shard.commit_offset(&billing, &orders, queue, offset))
        .unwrap();
    assert_eq!(drive_woken(&mut waiting).0, [[0], [1], [2]]);
}

#[test]
fn who_knows_when_to_look_again_passes_it_on_as_it_leaves() {
    for gone in [0, 1] {
        let bench = Bench::new();
        let mut waiting = called(&bench, 3);
        bench.send(0, &["a"]);
        assert_eq!(drive_woken(&mut waiting).0, [[0]]);
        drop(waiting.remove(gone));
        assert!(drive_woken(&mut waiting).0.is_empty());
        bench.clock.advance(Duration::from_millis(1_000));
        assert_eq!(drive_woken(&mut waiting).0, [[0]]);
    }
}

#[test]
fn a_reset_wakes_who_waits() {
    let bench = Bench::new();
    bench.send(0, &["a"]);
    let taken = bench.receive(10_000).unwrap();
    let (billing, orders) = (group("billing"), topic("orders"));
    bench
        .run(bench.shard.ack(&billing, &orders, &taken.handle))
        .unwrap();
    let count = Arc::new(Count::default());
    let mut waiting = pin!(bench.shard.receive(receive_request(None, 10_000, 30_000)));
    assert!(drive!(waiting, count).is_pending());
    let (queue, offset) = (QueueId::new(0), QueueOffset::new(0));
    bench
        .run(bench.shard.commit_offset(&billing, &orders, queue, offset))
        .unwrap();
    assert_eq!(offsets(drive_if_woken!(waiting, count)), Some(vec![0]));
}

#[test]
fn a_queue_lock_that_ends_wakes_who_waits() {
    let bench = Bench::new();
    let queue = (topic("orders"), QueueId::new(0));
    let locked = bench
        .shard
        .lock_queues(&group("billing"), "client", &[queue]);
    assert_eq!(locked.unwrap().len(), 1);
    bench.send(0, &["a"]);
    bench.clock.advance(Duration::from_secs(30));
    let count = Arc::new(Count::default());
    let mut waiting = pin!(
        bench
            .shard
            .receive(receive_request(Some(0), 10_000, 60_000))
    );
    assert!(drive!(waiting, count).is_pending());
    bench.clock.advance(Duration::from_millis(29_999));
    assert!(drive_if_woken!(waiting, count).is_pending());
    bench.clock.advance(Duration::from_millis(1));
    assert_eq!(offsets(drive_if_woken!(waiting, count)), Some(vec![0]));
}

#[test]
fn tags_that_share_a_hash_do_not_hide_the_one_behind_them() {
    let bench = Bench::new();
    bench.send(0, &["BB", "BB", "Aa"]);
    let mut request = receive_request(Some(0), 10_000, 30_000);
    request.filter = Filter::tags("Aa").unwrap();
    let mut call = pin!(bench.shard.receive(request));
    assert_eq!(offsets(poll(call.as_mut())), Some(vec![2]));
}

#[test]
fn what_does_not_match_takes_no_place_from_others_that_are_due() {
    let bench = Bench::new();
    bench.send(0, &["BB", "BB", "Aa"]);
    let mut request = receive_request(Some(0), 10_000, 0);
    request.max_messages = 3;
    let all = bench.run(bench.shard.receive(request.clone())).unwrap();
    assert_eq!(all.len(), 3);
    bench.clock.advance(Duration::from_secs(10));
    // The group has changed its mind about tags.
    request.max_messages = 1;
    request.filter = Filter::tags("Aa").unwrap();
    let mut call = pin!(bench.shard.receive(request));
    assert_eq!(offsets(poll(call.as_mut())), Some(vec![2]));
}

#[test]
fn a_low_priority_does_not_come_before_a_high_one_that_is_due() {
    let bench = Bench::new();
    let mut spec = TopicSpec::new(topic("urgent"), 2);
    spec.topic_type = Some(TopicType::Priority);
    bench.run(bench.instance.create_topic(spec)).unwrap();
    for (priority, tag) in [("1", "BB"), ("1", "Aa"), ("0", "Aa")] {
        let mut request = request_with(&[("_SYS_MSG_PRIORITY_", priority), ("TAGS", tag)]);
        request.topic = topic("urgent");
        request.queue = QueueChoice::ByPriority(priority.parse().unwrap());
        bench.run(bench.shard.send(request)).unwrap();
    }
    let mut receive = receive_request(Some(1), 10_000, 0);
    receive.topic = topic("urgent");
    receive.max_messages = 2;
    let high = bench.run(bench.shard.receive(receive.clone())).unwrap();
    assert_eq!(high.len(), 2);
    bench.clock.advance(Duration::from_secs(10));
    receive.queue = None;
    receive.max_messages = 1;
    receive.filter = Filter::tags("Aa").unwrap();
    let received = bench.run(bench.shard.receive(receive)).unwrap();
    let places: Vec<_> = received
        .iter()
        .map(|received| (received.handle.queue.get(), received.attempt))
        .collect();
    assert_eq!(places, [(1, 2)]);
}

#[test]
fn a_receive_does_not_wait_in_front_of_messages_it_has_not_looked_at() {
    let bench = Bench::new();
    for _ in 0..48 {
        bench.send(0, &["other"; 256]);
    }
    bench.send(0, &["wanted"]);
    let receive = || {
        let mut request = receive_request(Some(0), 10_000, 30_000);
        request.filter = Filter::tags("wanted").unwrap();
        bench.shard.receive(request)
    };
    assert_eq!(offsets(poll(pin!(receive()))), Some(vec![]));
    assert_eq!(offsets(poll(pin!(receive()))), Some(vec![12_288]));
}

#[test]
fn a_dropped_receive_hands_nothing_out() {
    let bench = Bench::new();
    let mut waiting = Box::pin(bench.shard.receive(receive_request(None, 10_000, 30_000)));
    assert!(poll(waiting.as_mut()).is_pending());
    bench.send(0, &["a"]);
    drop(waiting);
    let received = bench.receive(10_000).unwrap();
    assert_eq!(received.attempt, 1);
    assert!(bench.receive(10_000).is_none());
}

#[test]
fn a_receive_ends_when_its_topic_is_deleted() {
    let bench = Bench::new();
    let mut waiting = pin!(bench.shard.receive(receive_request(None, 10_000, 30_000)));
    assert!(poll(waiting.as_mut()).is_pending());
    bench
        .run(bench.instance.delete_topic(&topic("orders")))
        .unwrap();
    bench.create_topic("orders");
    bench.send(0, &["a"]);
    bench.clock.advance(Duration::from_secs(30));
    let Poll::Ready(Err(error)) = poll(waiting.as_mut()) else {
        panic!("the receive belongs to the deleted topic");
    };
    assert!(matches!(error, ReceiveError::Pull(_)), "{error:?}");
    assert!(bench.receive(10_000).is_some());
}

#[test]
fn a_message_becomes_a_dead_letter_after_its_last_attempt() {
    let bench = Bench::new();
    bench.send(0, &["a"]);
    for attempt in 1..=3 {
        assert_eq!(bench.receive(1_000).unwrap().attempt, attempt);
        assert!(bench.receive(1_000).is_none());
        bench.clock.advance(Duration::from_secs(1));
    }
    assert!(bench.receive(1_000).is_none());
    let dead = base::TopicName::dead_letter_of(&group("billing"));
    let range = bench.shard.queue_range(&dead, QueueId::new(0)).unwrap();
    assert_eq!(range.max, QueueOffset::new(1));
    bench.clock.advance(Duration::from_secs(60));
    assert!(bench.receive(1_000).is_none());
}

/// What is to be buried is nobody's; in order it would hold back the rest of its queue.
#[test]
fn a_receive_dropped_while_it_buries_holds_nothing_back() {
    let bench = Bench::new();
    bench.send(0, &["a", "b"]);
    let request = || broker::ReceiveRequest {
        max_messages: 2,
        in_order: true,
        ..receive_request(Some(0), 1_000, 0)
    };
    for _ in 1..=3 {
        let received = bench.run(bench.shard.receive(request())).unwrap();
        assert_eq!(received.len(), 2);
        bench.clock.advance(Duration::from_secs(1));
    }
    bench.send(0, &["c"]);
    let mut burying = Box::pin(bench.shard.receive(request()));
    assert!(poll(burying.as_mut()).is_pending());
    let waiting = broker::ReceiveRequest {
        wait: Duration::from_secs(30),
        ..request()
    };
    let count = Arc::new(Count::default());
    let mut waiting = pin!(bench.shard.receive(waiting));
    assert!(drive!(waiting, count).is_pending());
    drop(burying);
    let received = bench.run(waiting).unwrap();
    assert_eq!(received[0].message.queue_offset(), 2);
    assert_eq!(bench.bodies("%DLQ%billing").len(), 2);
}

#[test]
fn no_more_than_one_receive_gets_a_message() {
    let bench = Bench::new();
    bench.send(0, &["a", "b"]);
    let (mut first, mut second, mut third) = (
        pin!(bench.shard.receive(receive_request(Some(0), 10_000, 0))),
        pin!(bench.shard.receive(receive_request(None, 10_000, 0))),
        pin!(bench.shard.receive(receive_request(None, 10_000, 0))),
    );
    assert_eq!(offsets(poll(first.as_mut())), Some(vec![0]));
    assert_eq!(offsets(poll(second.as_mut())), Some(vec![1]));
    assert_eq!(offsets(poll(third.as_mut())), Some(vec![]));
}

#[test]
fn a_new_group_starts_where_it_is_asked_to() {
    let bench = Bench::new();
    bench.send(0, &["a", "b", "c"]);
    // A queue that has lost nothing: whatever is asked, nothing is skipped.
    let mut request = receive_request(Some(0), 10_000, 0);
    request.start = Start::Newest;
    let received = bench.run(bench.shard.receive(request)).unwrap();
    assert_eq!(received[0].message.queue_offset(), 0);
}

#[test]
fn who_waits_for_a_message_leaves_it_to_others() {
    let bench = Bench::new();
    // The group is made by its first receive.
    assert!(bench.receive(10_000).is_none());
    let receiver = Receiver {
        group: group("billing"),
        topic: topic("orders"),
        queue: None,
        start: Start::Oldest,
    };
    let (first, second) = (Arc::new(Count::default()), Arc::new(Count::default()));
    let wait = Duration::from_secs(30);
    let mut watching = pin!(bench.shard.wait_for_message(&receiver, wait));
    let mut taking = pin!(bench.shard.receive(receive_request(None, 10_000, 30_000)));
    assert!(drive!(watching, first).is_pending());
    assert!(drive!(taking, second).is_pending());
    assert_eq!(bench.shard.receives_under_way(&receiver).unwrap(), 2);
    bench.send(0, &["a"]);
    assert!(matches!(
        drive_if_woken!(watching, first),
        Poll::Ready(Ok(true))
    ));
    assert_eq!(offsets(drive_if_woken!(taking, second)), Some(vec![0]));
    assert_eq!(bench.shard.unseen_count(&receiver).unwrap(), 0);
}

#[test]
fn a_handle_is_found_by_its_nonce_alone() {
    let bench = Bench::new();
    bench.send(0, &["a"]);
    let taken = bench.receive(10_000).unwrap();
    let (billing, orders) = (group("billing"), topic("orders"));
    let find = |queue, offset, nonce| {
        let (queue, offset) = (QueueId::new(queue), QueueOffset::new(offset));
        let shard = &bench.shard;
        shard.receipt_handle(&billing, &orders, queue, offset, nonce)
    };
    assert_eq!(find(0, 0, taken.handle.nonce).unwrap(), taken.handle);
    for (queue, offset, nonce) in [(0, 0, 0), (0, 1, taken.handle.nonce), (99, 0, 1)] {
        assert!(matches!(
            find(queue, offset, nonce),
            Err(AckError::Expired { .. })
        ));
    }
}

#[test]
fn a_group_that_is_switched_off_gets_nothing_until_it_is_on_again() {
    let bench = Bench::new();
    bench.send(0, &["a"]);
    let mut spec = GroupSpec::new(group("billing"));
    let off = (GroupSpec::CONSUME_ENABLE.to_owned(), "false".to_owned());
    spec.settings.extend([off]);
    bench
        .run(bench.instance.create_group(spec.clone()))
        .unwrap();
    let receive = || bench.run(bench.shard.receive(receive_request(None, 10_000, 0)));
    let refused = receive().unwrap_err();
    let is_disabled = |error: &PullError| matches!(error, PullError::GroupDisabled { .. });
    assert!(
        matches!(&refused, ReceiveError::Pull(error) if is_disabled(error)),
        "{refused:?}"
    );
    let pull = || {
        bench.run(bench.shard.pull(PullRequest {
            group: Some(group("billing")),
            topic: topic("orders"),
            queue: QueueId::new(0),
            offset: QueueOffset::new(0),
            max_messages: 1,
            max_bytes: usize::MAX,
            filter: Filter::All,
            wait: Duration::ZERO,
        }))
    };
    assert!(is_disabled(&pull().unwrap_err()));
    spec.settings.clear();
    bench.run(bench.instance.create_group(spec)).unwrap();
    assert_eq!(pull().unwrap().messages.len(), 1);
    assert_eq!(receive().unwrap().len(), 1);
}

/// The entries of a queue come from the KV and from memory, one after the other.
#[test]
fn in_order_a_receive_takes_what_there_is_across_a_checkpoint() {
    let bench = Bench::new();
    bench.send(0, &["", ""]);
    bench.shard.checkpoint().unwrap();
    bench.send(0, &["", ""]);
    let request = || broker::ReceiveRequest {
        max_messages: 8,
        in_order: true,
        ..receive_request(Some(0), 1_000, 0)
    };
    let mut call = pin!(bench.shard.receive(request()));
    assert_eq!(offsets(poll(call.as_mut())), Some(vec![0, 1, 2, 3]));
    bench.send(0, &[""]);
    let mut call = pin!(bench.shard.receive(request()));
    assert_eq!(offsets(poll(call.as_mut())), Some(vec![]));
}

#[test]
fn an_ack_in_order_wakes_who_waits_for_those_that_failed_with_it() {
    let bench = Bench::new();
    bench.send(0, &["a", "b"]);
    let request = |wait_ms| {
        let mut request = receive_request(Some(0), 1_000, wait_ms);
        request.in_order = true;
        request
    };
    let mut both = request(0);
    both.max_messages = 2;
    assert_eq!(bench.run(bench.shard.receive(both)).unwrap().len(), 2);
    bench.clock.advance(Duration::from_secs(1));
    // Both come again, one by one.
    let again = bench.run(bench.shard.receive(request(0))).unwrap();
    assert_eq!(again[0].handle.offset.get(), 0);
    let count = Arc::new(Count::default());
    let mut waiting = pin!(bench.shard.receive(request(30_000)));
    assert!(drive!(waiting, count).is_pending());
    let (billing, orders) = (group("billing"), topic("orders"));
    bench
        .run(bench.shard.ack(&billing, &orders, &again[0].handle))
        .unwrap();
    assert_eq!(offsets(drive_if_woken!(waiting, count)), Some(vec![1]));
}

#[test]
fn in_order_who_waits_learns_when_the_last_delivery_is_acked_early() {
    let bench = Bench::new();
    bench.send(0, &["a", "b"]);
    let request = |wait_ms| {
        let mut request = receive_request(Some(0), 10_000, wait_ms);
        request.in_order = true;
        request.max_messages = 2;
        request
    };
    let both = bench.run(bench.shard.receive(request(0))).unwrap();
    let (billing, orders) = (group("billing"), topic("orders"));
    let change = bench.shard.change_invisible_duration(
        &billing,
        &orders,
        &both[0].handle,
        Duration::from_secs(1),
    );
    bench.run(change).unwrap();
    let count = Arc::new(Count::default());
    let mut waiting = pin!(bench.shard.receive(request(30_000)));
    assert!(drive!(waiting, count).is_pending());
    bench
        .run(bench.shard.ack(&billing, &orders, &both[1].handle))
        .unwrap();
    assert!(drive_if_woken!(waiting, count).is_pending());
    bench.clock.advance(Duration::from_secs(1));
    assert_eq!(offsets(drive_if_woken!(waiting, count)), Some(vec![0]));
}
