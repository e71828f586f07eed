//! What the log costs per record of 1 KiB: placing it, making 64 of them durable together, and
//! reading a page of them, out of memory and out of the page cache. What is measured includes the
//! file system of the folder for temporary files.

use std::{hint::black_box, sync::Arc, time::Duration};

use base::{Clock, LogPosition, ShardId, Sleep, StreamKey, Timestamp};
use criterion::{Criterion, Throughput, criterion_group, criterion_main};
use futures::executor::block_on;
use store::{
    fs::FolderDisk,
    log::{
        Appended, ENVELOPE_BYTES, Log, NewRecord, RecordKind, RecordPlace, Urgency,
        local::{LocalLog, LocalLogOptions},
    },
};

const PAYLOAD: [u8; 1024] = [7; 1024];
const RECORD_BYTES: usize = ENVELOPE_BYTES + PAYLOAD.len();

/// Time stands still: nothing here waits for it.
struct StoppedClock;

impl Clock for StoppedClock {
    fn now(&self) -> Timestamp {
        Timestamp::from_ms(1_700_000_000_000)
    }

    fn elapsed(&self) -> Duration {
        Duration::ZERO
    }

    fn sleep(&self, _duration: Duration) -> Sleep {
        Box::pin(std::future::pending())
    }
}

fn open(folder: &tempfile::TempDir, recent_bytes_max: u64) -> Arc<LocalLog> {
    let disk = FolderDisk::open(folder.path()).expect("the folder is free");
    let options = LocalLogOptions {
        recent_bytes_max,
        segment_bytes_min: 64 * 1024 * 1024,
        ..LocalLogOptions::default()
    };
    let (shard, from) = (ShardId::new(0), LogPosition::new(0));
    let opened = LocalLog::open(
        disk,
        shard,
        options,
        Arc::new(StoppedClock),
        from,
        &mut |_| (),
    );
    opened.expect("the folder is empty").0
}

fn append(log: &LocalLog) -> Appended {
    let record = NewRecord {
        kind: RecordKind::new(16),
        stream: StreamKey::new(1),
        payload_len: PAYLOAD.len(),
    };
    let write = &mut |_: usize, _: LogPosition, out: &mut Vec<u8>| out.extend_from_slice(&PAYLOAD);
    let appended = log.append(&[record], Urgency::Now, write);
    appended.expect("each commit makes room")
}

fn commit(log: &Arc<LocalLog>) {
    while let Some(mut commit) = log.begin_commit() {
        commit.write().expect("the disk writes");
        commit.sync().expect("the disk syncs");
        commit.finish();
    }
    log.prepare();
    // What was written is not read again, and the folder shall not fill the disk.
    log.trim(log.durable_end())
        .expect("segments can be removed");
}

fn appends(criterion: &mut Criterion) {
    let folder = tempfile::tempdir().expect("a folder can be made");
    let log = open(&folder, 0);
    let mut group = criterion.benchmark_group("log");
    group.throughput(Throughput::Elements(64));
    group.bench_function("append and commit 64", |bencher| {
        bencher.iter(|| {
            for _ in 0..64 {
                black_box(append(&log));
            }
            commit(&log);
        });
    });
    group.finish();
}

fn reads(criterion: &mut Criterion) {
    let mut group = criterion.benchmark_group("log");
    group.throughput(Throughput::Elements(32));
    for (name, recent_bytes_max) in [("memory", 64 * 1024 * 1024), ("page cache", 0)] {
        let folder = tempfile::tempdir().expect("a folder can be made");
        let log = open(&folder, recent_bytes_max);
        let positions: Vec<LogPosition> = (0..256).map(|_| append(&log).position).collect();
        commit(&log);
        for queues in [1, 8] {
            let of_queue = positions.iter().step_by(queues).take(32);
            let place = |&position: &LogPosition| RecordPlace {
                position,
                len: RECORD_BYTES,
            };
            let page: Vec<RecordPlace> = of_queue.map(place).collect();
            group.bench_function(format!("read 32 of {queues} queues, {name}"), |bencher| {
                bencher.iter(|| black_box(block_on(log.read_all(black_box(&page)))));
            });
        }
    }
    group.finish();
}

criterion_group!(benches, appends, reads);
criterion_main!(benches);
