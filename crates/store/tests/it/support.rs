//! A clock that tests move, and shortcuts.

use std::{
    sync::{Arc, Weak},
    time::Duration,
};

use base::{Clock, LogPosition, ShardId, Sleep, StreamKey, Timestamp};
use parking_lot::Mutex;
use store::{
    disk::Disk,
    log::{
        AppendError, Appended, DurableObserver, Log, NewRecord, Record, RecordKind, Urgency,
        local::{LocalLog, LocalLogOptions, OpenError, Recovery},
    },
};
use tokio::sync::watch;

/// Time that stands still until it is moved.
pub(crate) struct TestClock {
    elapsed: watch::Sender<Duration>,
}

impl TestClock {
    pub(crate) fn new() -> Arc<Self> {
        Arc::new(Self {
            elapsed: watch::Sender::new(Duration::ZERO),
        })
    }

    pub(crate) fn advance(&self, by: Duration) {
        self.elapsed.send_modify(|elapsed| *elapsed += by);
    }
}

impl Clock for TestClock {
    fn now(&self) -> Timestamp {
        Timestamp::from_ms(1_700_000_000_000).after(self.elapsed())
    }

    fn elapsed(&self) -> Duration {
        *self.elapsed.borrow()
    }

    fn sleep(&self, duration: Duration) -> Sleep {
        let until = self.elapsed() + duration;
        let mut elapsed = self.elapsed.subscribe();
        Box::pin(async move {
            // The clock lives as long as the test.
            let _ = elapsed.wait_for(|now| *now >= until).await;
        })
    }
}

/// The machine's clock. It sleeps within a runtime only; the committer waits in a thread of its
/// own.
pub(crate) struct RealClock(std::time::Instant);

impl RealClock {
    #[expect(clippy::disallowed_methods, reason = "this is a clock")]
    pub(crate) fn new() -> Arc<Self> {
        Arc::new(Self(std::time::Instant::now()))
    }
}

impl Clock for RealClock {
    fn now(&self) -> Timestamp {
        Timestamp::from_ms(1_700_000_000_000).after(self.elapsed())
    }

    fn elapsed(&self) -> Duration {
        self.0.elapsed()
    }

    #[expect(clippy::disallowed_methods, reason = "this is a clock")]
    fn sleep(&self, duration: Duration) -> Sleep {
        Box::pin(tokio::time::sleep(duration))
    }
}

pub(crate) const SHARD: ShardId = ShardId::new(3);

/// Small enough that tests cross segments quickly.
pub(crate) fn options() -> LocalLogOptions {
    LocalLogOptions {
        segment_bytes_min: 64 * 1024,
        segment_bytes_max: 256 * 1024,
        pending_bytes_max: 4 * 1024 * 1024,
        recent_bytes_max: 1024 * 1024,
        ride_delay: Duration::from_millis(20),
    }
}

/// A record as tests compare it.
pub(crate) type Seen = (u64, u16, Vec<u8>);

pub(crate) fn seen(record: &Record) -> Seen {
    (
        record.position.get(),
        record.kind.get(),
        record.payload.to_vec(),
    )
}

/// Opens and returns what was replayed, too.
pub(crate) fn open_from(
    disk: &Arc<dyn Disk>,
    from: u64,
) -> Result<(Arc<LocalLog>, Recovery, Vec<Seen>), OpenError> {
    let mut replayed = Vec::new();
    let (log, recovery) = LocalLog::open(
        Arc::clone(disk),
        SHARD,
        options(),
        TestClock::new(),
        LogPosition::new(from),
        &mut |record| replayed.push(seen(&record)),
    )?;
    Ok((log, recovery, replayed))
}

pub(crate) fn open(disk: &Arc<dyn Disk>) -> (Arc<LocalLog>, Recovery, Vec<Seen>) {
    open_from(disk, 0).expect("the log opens")
}

pub(crate) fn append(log: &LocalLog, payload: &[u8]) -> Result<Appended, AppendError> {
    append_as(log, Urgency::Now, payload)
}

pub(crate) fn append_as(
    log: &LocalLog,
    urgency: Urgency,
    payload: &[u8],
) -> Result<Appended, AppendError> {
    let record = NewRecord {
        kind: RecordKind::new(16),
        stream: StreamKey::new(1),
        payload_len: payload.len(),
    };
    log.append(&[record], urgency, &mut |_, _, out| {
        out.extend_from_slice(payload);
    })
}

/// Commits all that waits, as a driver would.
pub(crate) fn commit(log: &Arc<LocalLog>) -> Result<(), AppendError> {
    while let Some(mut commit) = log.begin_commit() {
        commit.write()?;
        commit.sync()?;
        commit.finish();
    }
    log.prepare();
    Ok(())
}

/// Remembers what became durable.
#[derive(Default)]
pub(crate) struct Durable {
    pub(crate) records: Mutex<Vec<Seen>>,
}

impl DurableObserver for Durable {
    fn on_durable(&self, records: &[Record], _end: LogPosition) {
        self.records.lock().extend(records.iter().map(seen));
    }
}

impl Durable {
    pub(crate) fn observing(log: &LocalLog) -> Arc<Self> {
        let durable = Arc::new(Self::default());
        let observer: Arc<dyn DurableObserver> = Arc::<Self>::clone(&durable);
        let observer: Weak<dyn DurableObserver> = Arc::downgrade(&observer);
        log.observe(observer);
        durable
    }
}
