//! What the index of a queue costs: adding 64 messages to it (with the log that they are in, and
//! the disk), and looking up 32 entries or the entry of a time, in memory and in the KV.

use std::hint::black_box;

use base::{QueueId, QueueOffset, Timestamp};
use broker::TimeBoundary;
use criterion::{Criterion, Throughput, criterion_group, criterion_main};

use crate::on_shard::{OnShard, topic};

mod on_shard;

/// Messages in the queue that is looked into.
const STORED: u64 = 16 * 1024;

/// Messages of one send.
const BATCH: usize = 64;

fn adds(criterion: &mut Criterion) {
    let on = OnShard::open();
    let mut group = criterion.benchmark_group("index");
    group.throughput(Throughput::Elements(BATCH as u64));
    group.bench_function("add 64", |bencher| {
        bencher.iter(|| on.send(BATCH, ""));
    });
    group.finish();
}

fn looks(criterion: &mut Criterion) {
    let mut group = criterion.benchmark_group("index");
    let (topic, queue) = (topic(), QueueId::new(0));
    for place in ["memory", "kv"] {
        let on = OnShard::open();
        for _ in 0..STORED / BATCH as u64 {
            on.send(BATCH, "");
            on.advance(1);
        }
        if place == "kv" {
            on.shard.checkpoint().expect("the disk works");
        }
        let mut offset = 0;
        group.bench_function(format!("look up 32, {place}"), |bencher| {
            bencher.iter(|| {
                // All over the queue, in the same order in every run.
                offset = (offset + 4_999) % (STORED - 32);
                let first = QueueOffset::new(offset);
                let entries = on.shard.queue_entries(&topic, queue, first, 32);
                let entries = entries.expect("the topic is there").expect("stored");
                assert_eq!(black_box(entries).len(), 32);
            });
        });
        let mut ms = 0;
        group.bench_function(format!("look for a time, {place}"), |bencher| {
            bencher.iter(|| {
                ms = (ms + 97) % 256;
                let time = Timestamp::from_ms(1_700_000_000_000 + ms);
                let found = on
                    .shard
                    .offset_by_time(&topic, queue, time, TimeBoundary::Lower);
                black_box(found.expect("the topic is there"));
            });
        });
    }
    group.finish();
}

criterion_group!(benches, adds, looks);
criterion_main!(benches);
