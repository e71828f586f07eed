//! What a restart finds: the state as it was, from the checkpoint and the log after it.

use std::time::Duration;

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
