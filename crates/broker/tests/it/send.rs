//! Send: durable before the answer, and nothing for a topic that is gone.

use std::{pin::pin, task::Poll};

use broker::{ReceiveRequest, SendError, SendRequest, TopicSpec, TopicType};

use crate::support::{Bench, poll, receive_request, request, request_with, topic};

#[test]
fn a_send_is_answered_and_visible_once_it_is_durable() {
    let bench = Bench::new();
    let mut send = pin!(bench.shard.send(request(0, &["a", "b"])));
    assert!(poll(send.as_mut()).is_pending());
    assert!(bench.receive(10_000).is_none());
    bench.commit();
    let Poll::Ready(Ok(sent)) = poll(send.as_mut()) else {
        panic!("the commit ends the wait");
    };
    let offsets: Vec<u64> = sent.iter().map(|sent| sent.queue_offset.get()).collect();
    assert_eq!(offsets, [0, 1]);
    assert!(bench.receive(10_000).is_some());
}

/// The shard forgets the queues of a deleted topic. A message placed in one after that would begin
/// at offset 0 again, and the next start would find it out of order and refuse the log.
#[test]
fn a_send_that_waited_while_its_topic_was_deleted_is_refused() {
    let bench = Bench::new();
    bench.send(0, &["a"]);
    bench.shard.checkpoint().unwrap();
    // More waits for the disk than may, so the second send waits for room.
    let large = "x".repeat(9 * 1024);
    let mut first = Box::pin(bench.shard.send(request(0, &[&large])));
    assert!(poll(first.as_mut()).is_pending());
    let mut second = Box::pin(bench.shard.send(request(1, &[&large])));
    assert!(poll(second.as_mut()).is_pending());
    let orders = topic("orders");
    // The metadata store has a disk of its own: this waits for no commit of the log.
    let mut delete = Box::pin(bench.instance.delete_topic(&orders));
    assert!(matches!(poll(delete.as_mut()), Poll::Ready(Ok(()))));
    drop(delete);
    let second = bench.run(second);
    assert!(
        matches!(second, Err(SendError::TopicNotFound(_))),
        "{second:?}"
    );
    assert!(bench.run(first).is_ok());
    let bench = bench.reopen();
    bench.create_topic("orders");
    assert_eq!(bench.send(0, &["b"])[0].queue_offset.get(), 0);
}

#[test]
fn messages_of_higher_priority_come_first() {
    let bench = Bench::new();
    let mut spec = TopicSpec::new(topic("urgent"), 3);
    spec.topic_type = Some(TopicType::Priority);
    bench.run(bench.instance.create_topic(spec)).unwrap();
    let send = |name: &str, priority: &str| SendRequest {
        topic: topic("urgent"),
        ..request_with(&[("_SYS_MSG_PRIORITY_", priority), ("KEYS", name)])
    };
    let sends = [
        ("low", "0"),
        ("high", "2"),
        ("middle", "1"),
        ("higher", "9"),
    ];
    for (name, priority) in sends.into_iter().chain([("odd", "x")]) {
        bench.run(bench.shard.send(send(name, priority))).unwrap();
    }
    let receive = || {
        let request = ReceiveRequest {
            topic: topic("urgent"),
            ..receive_request(None, 10_000, 0)
        };
        let received = bench.run(bench.shard.receive(request)).unwrap();
        let name = received.first()?.message.property("KEYS")?.to_owned();
        Some(name)
    };
    let order: Vec<String> = std::iter::from_fn(receive).collect();
    assert_eq!(order, ["high", "higher", "middle", "low", "odd"]);
    // One place for all of a send, or none.
    let mut both = send("a", "1");
    both.messages.extend(send("b", "2").messages);
    let refused = bench.run(bench.shard.send(both));
    assert!(
        matches!(refused, Err(SendError::Priorities { .. })),
        "{refused:?}"
    );
}
