//! Send: durable before the answer, and nothing for a topic that is gone.

use std::{pin::pin, task::Poll};

use broker::SendError;

use crate::support::{Bench, poll, request, topic};

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
