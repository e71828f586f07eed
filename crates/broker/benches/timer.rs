//! What timed messages cost: holding 64 of them back, releasing them when their time has come (both
//! with the log that they are in, and the disk), and finding that nothing is due among many.

use std::hint::black_box;

use criterion::{BatchSize, Criterion, Throughput, criterion_group, criterion_main};

use crate::on_shard::OnShard;

mod on_shard;

/// Messages of one send.
const BATCH: usize = 64;

/// Due a second after they were sent.
const SOON: &str = "TIMER_DELAY_MS\u{1}1000\u{2}";

/// Due when no benchmark runs any more.
const LATE: &str = "TIMER_DELAY_MS\u{1}3000000000\u{2}";

fn timer(criterion: &mut Criterion) {
    let mut group = criterion.benchmark_group("timer");
    let on = OnShard::open();
    // A checkpoint each time, as the server makes one each few seconds: what is held is in the KV.
    for _ in 0..128 {
        on.send(BATCH, LATE);
    }
    on.shard.checkpoint().expect("the disk works");
    group.bench_function("nothing due of 8192", |bencher| {
        bencher.iter(|| {
            let next = on.run(on.shard.release_due()).expect("the state is there");
            assert!(black_box(next).is_some());
        });
    });
    group.throughput(Throughput::Elements(BATCH as u64));
    group.bench_function("hold 64", |bencher| {
        bencher.iter(|| on.send(BATCH, LATE));
    });
    group.bench_function("release 64", |bencher| {
        let held = || {
            on.send(BATCH, SOON);
            on.advance(1_000);
        };
        let release = |()| {
            on.run(on.shard.release_due()).expect("the state is there");
            on.commit();
        };
        bencher.iter_batched(held, release, BatchSize::PerIteration);
    });
    group.finish();
}

criterion_group!(benches, timer);
criterion_main!(benches);
