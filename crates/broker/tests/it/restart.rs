//! What a restart finds: the state as it was, from the checkpoint and the log after it.

use std::{sync::atomic::Ordering, time::Duration};

use base::{QueueId, QueueOffset};

use crate::support::{Bench, group, topic};

#[test]
fn acks_receipts_and_offsets_survive_with_or_without_a_checkpoint() {
    for checkpoint in [false, true] {
        let bench = Bench::new();
        let (billing, orders) = (group("billing"), topic("orders"));
        bench.send(0, &["a", "b", "c"]);
        let acked = bench.receive(10_000).unwrap();
        let held = bench.receive(10_000).unwrap();
        let ack = bench.shard.ack(&billing, &orders, &acked.handle);
        bench.run(ack).unwrap();
        let (queue, offset) = (QueueId::new(1), QueueOffset::new(5));
        let commit = bench.shard.commit_offset(&billing, &orders, queue, offset);
        bench.run(commit).unwrap();
        bench.commit();
        if checkpoint {
            bench.shard.checkpoint().unwrap();
        }
        let bench = bench.reopen();
        let committed = bench.shard.committed_offset(&billing, &orders, queue);
        assert_eq!(committed.unwrap(), Some(offset));
        let next = bench.receive(20_000).unwrap();
        assert_eq!(next.message.queue_offset(), 2);
        assert!(bench.receive(10_000).is_none());
        // The receipt is good across the restart.
        let ack = bench.shard.ack(&billing, &orders, &held.handle);
        bench.run(ack).unwrap();
        bench.clock.advance(Duration::from_secs(10));
        assert!(bench.receive(10_000).is_none());
        bench.clock.advance(Duration::from_secs(10));
        let again = bench.receive(10_000).unwrap();
        assert_eq!((again.message.queue_offset(), again.attempt), (2, 2));
    }
}

impl Bench {
    /// Receives a message and acknowledges it, all durable.
    fn consume(&self) {
        let taken = self.receive(10_000).expect("there is a message");
        let (billing, orders) = (group("billing"), topic("orders"));
        let ack = self.shard.ack(&billing, &orders, &taken.handle);
        self.run(ack).expect("the receipt is good");
        self.commit();
    }

    /// Whether nothing comes again after a checkpoint and a restart.
    fn stays_done(self) -> bool {
        self.shard.checkpoint().expect("nothing fails any more");
        let bench = self.reopen();
        bench.clock.advance(Duration::from_secs(10));
        bench.receive(10_000).is_none()
    }
}

#[test]
fn the_kv_does_not_hear_of_receipts_that_are_settled_before_a_checkpoint() {
    let bench = Bench::new();
    bench.send(0, &["a"; 20]);
    bench.shard.checkpoint().unwrap();
    bench.consume();
    bench.shard.checkpoint().unwrap();
    let of_one = bench.kv.changed.load(Ordering::Relaxed);
    (0..19).for_each(|_| bench.consume());
    bench.shard.checkpoint().unwrap();
    assert_eq!(bench.kv.changed.load(Ordering::Relaxed), of_one);
    assert!(bench.stays_done());
}

#[test]
fn a_receipt_that_a_checkpoint_has_written_is_removed_by_a_later_one() {
    let bench = Bench::new();
    bench.send(0, &["a", "b"]);
    let held = bench.receive(10_000).unwrap();
    bench.commit();
    bench.shard.checkpoint().unwrap();
    // Others are new since.
    bench.consume();
    let (billing, orders) = (group("billing"), topic("orders"));
    let ack = bench.shard.ack(&billing, &orders, &held.handle);
    bench.run(ack).unwrap();
    bench.commit();
    assert!(bench.stays_done());
}

/// A group that is sent back receives again what the KV still has receipts of.
#[test]
fn receipts_from_before_a_group_was_sent_back_are_removed() {
    let back = |bench: &Bench| {
        let (billing, orders) = (group("billing"), topic("orders"));
        let (queue, offset) = (QueueId::new(0), QueueOffset::new(0));
        let commit = bench.shard.commit_offset(&billing, &orders, queue, offset);
        bench.run(commit).unwrap();
        bench.commit();
    };
    let held = || {
        let bench = Bench::new();
        bench.send(0, &["a"]);
        bench.receive(10_000).unwrap();
        bench.commit();
        bench.shard.checkpoint().unwrap();
        bench
    };
    // With the receipt in the KV.
    let bench = held();
    back(&bench);
    bench.consume();
    assert!(bench.stays_done());
    // With its removal in a checkpoint that failed.
    let bench = held();
    back(&bench);
    bench.kv.fails.store(true, Ordering::Relaxed);
    assert!(bench.shard.checkpoint().is_err());
    bench.kv.fails.store(false, Ordering::Relaxed);
    bench.consume();
    assert!(bench.stays_done());
    // With its removal in one that did not.
    let bench = held();
    back(&bench);
    bench.shard.checkpoint().unwrap();
    bench.consume();
    assert!(bench.stays_done());
}
