//! A shard on real files, whose time and commits belong to the test.

use std::{
    pin::{Pin, pin},
    sync::{
        Arc, Weak,
        atomic::{AtomicBool, AtomicUsize, Ordering},
    },
    task::{Context, Poll, Wake, Waker},
    time::Duration,
};

use base::{
    Clock, GroupName, InstanceId, LogPosition, QueueId, QueueOffset, Random, SeededRandom, ShardId,
    Sleep, Timestamp, TopicName,
};
use broker::{
    Filter, GroupSpec, Instance, InstanceSettings, Message, PullRequest, QueueChoice, ReceiveError,
    ReceiveRequest, Received, SendRequest, Sent, Series, Shard, ShardParts, ShardState, Start,
    TopicSpec,
};
use bytes::Bytes;
use store::{
    fs::FolderDisk,
    kv::{Batch, FjallDatabase, FjallKv, KvError, StateKv},
    log::{
        DurableObserver,
        local::{LocalLog, LocalLogOptions},
    },
    meta::EmbeddedMetadata,
};
use tempfile::TempDir;
use tokio::sync::watch;
use wire::message::{StoredMessage, properties};

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

/// An instance with one shard.
pub(crate) struct Bench {
    pub(crate) clock: Arc<TestClock>,
    pub(crate) instance: Arc<Instance>,
    pub(crate) shard: Arc<Shard>,
    /// Its KV.
    pub(crate) kv: Arc<WatchedKv>,
    series: Series,
    log: Arc<LocalLog>,
    folder: TempDir,
}

/// A KV that tells what is written and can be made to fail.
pub(crate) struct WatchedKv {
    inner: FjallKv,
    /// Whether batches fail.
    pub(crate) fails: AtomicBool,
    /// Keys that the last batch changed.
    pub(crate) changed: AtomicUsize,
}

impl StateKv for WatchedKv {
    fn get(&self, key: &[u8]) -> Result<Option<Bytes>, KvError> {
        self.inner.get(key)
    }

    fn range(
        &self,
        from: &[u8],
        to: &[u8],
        reverse: bool,
        limit: usize,
    ) -> Result<Vec<(Bytes, Bytes)>, KvError> {
        self.inner.range(from, to, reverse, limit)
    }

    fn apply(&self, batch: &Batch, position: LogPosition) -> Result<(), KvError> {
        if self.fails.load(Ordering::Relaxed) {
            return Err(KvError::Engine {
                operation: "apply to",
                reason: "the test wants it so".to_owned(),
            });
        }
        self.changed.store(batch.iter().count(), Ordering::Relaxed);
        self.inner.apply(batch, position)
    }

    fn flush(&self) -> Result<LogPosition, KvError> {
        self.inner.flush()
    }

    fn position(&self) -> Result<LogPosition, KvError> {
        self.inner.position()
    }
}

pub(crate) fn topic(name: &str) -> TopicName {
    TopicName::new(name).expect("a plain name")
}

pub(crate) fn group(name: &str) -> GroupName {
    GroupName::new(name).expect("a plain name")
}

impl Bench {
    /// With a topic `orders` of two queues and a group `billing` of three attempts.
    pub(crate) fn new() -> Self {
        Self::of(Series::Any)
    }

    /// The same, of that series.
    pub(crate) fn of(series: Series) -> Self {
        Self::at_node(ShardId::new(0), series)
    }

    /// The same, at the node of that number.
    pub(crate) fn at_node(number: ShardId, series: Series) -> Self {
        let clock = TestClock::new();
        let bench = Self::open(
            tempfile::tempdir().expect("the test allows no failure here"),
            clock,
            number,
            series,
        );
        bench.create_topic("orders");
        let mut spec = GroupSpec::new(group("billing"));
        spec.max_attempts = 3;
        bench
            .run(bench.instance.create_group(spec))
            .expect("the test allows no failure here");
        bench
    }

    pub(crate) fn create_topic(&self, name: &str) {
        let spec = TopicSpec::new(topic(name), 2);
        self.run(self.instance.create_topic(spec))
            .expect("the test allows no failure here");
    }

    fn open(folder: TempDir, clock: Arc<TestClock>, number: ShardId, series: Series) -> Self {
        let meta =
            FolderDisk::open(&folder.path().join("meta")).expect("the test allows no failure here");
        let meta =
            EmbeddedMetadata::open(meta, clock.clone()).expect("the test allows no failure here");
        let settings = InstanceSettings {
            create_automatically: false,
            automatic_queues: 1,
            access_control: true,
            series,
            ..InstanceSettings::default()
        };
        let id = InstanceId::default_instance();
        let instance = Instance::open(id, settings, meta, clock.clone());
        let instance =
            futures::executor::block_on(instance).expect("the test allows no failure here");
        Self::on(instance, folder, clock, number)
    }

    /// Gives an instance that has none a shard in that folder.
    pub(crate) fn on(
        instance: Arc<Instance>,
        folder: TempDir,
        clock: Arc<TestClock>,
        number: ShardId,
    ) -> Self {
        let path = folder.path();
        let kv = FjallDatabase::open(&path.join("kv")).expect("the test allows no failure here");
        let kv = Arc::new(WatchedKv {
            inner: kv.shard(number).expect("the test allows no failure here"),
            fails: AtomicBool::new(false),
            changed: AtomicUsize::new(0),
        });
        let mut state = ShardState::open(kv.clone()).expect("the test allows no failure here");
        let options = LocalLogOptions {
            segment_bytes_min: 64 * 1024,
            segment_bytes_max: 64 * 1024,
            pending_bytes_max: 8 * 1024,
            recent_bytes_max: 1024 * 1024,
            ride_delay: Duration::from_millis(20),
        };
        let (log, _) = LocalLog::open(
            FolderDisk::open(&path.join("log")).expect("the test allows no failure here"),
            number,
            options,
            clock.clone(),
            state.replay_from(),
            &mut |record| state.replay(&record),
        )
        .expect("the test allows no failure here");
        let random: Arc<dyn Random> = Arc::new(SeededRandom::new(7));
        let shard = instance
            .add_shard(ShardParts {
                id: number,
                log: log.clone(),
                state,
                clock: clock.clone(),
                random,
            })
            .expect("the test allows no failure here");
        let observer: Weak<dyn DurableObserver> = Arc::downgrade(&shard.observer());
        log.observe(observer);
        let series = instance.settings().series;
        Self {
            clock,
            instance,
            shard,
            kv,
            series,
            log,
            folder,
        }
    }

    /// Stops without a checkpoint, after a commit, and starts again on what is there.
    pub(crate) fn reopen(self) -> Self {
        self.commit();
        let Self {
            clock,
            instance,
            shard,
            kv,
            series,
            log,
            folder,
        } = self;
        let number = shard.id();
        drop((instance, shard, kv, log));
        Self::open(folder, clock, number, series)
    }

    /// Makes durable what waits for it.
    pub(crate) fn commit(&self) {
        while let Some(mut commit) = self.log.begin_commit() {
            commit.write().expect("the test allows no failure here");
            commit.sync().expect("the test allows no failure here");
            commit.finish();
        }
        self.log.prepare();
    }

    /// Runs a call to its end; it may wait for the disk but for nothing else.
    pub(crate) fn run<F: Future>(&self, call: F) -> F::Output {
        let mut call = pin!(call);
        for _ in 0..100 {
            if let Poll::Ready(output) = poll(call.as_mut()) {
                return output;
            }
            self.commit();
        }
        panic!("the call waits for more than the disk");
    }

    pub(crate) fn send(&self, queue: u32, tags: &[&str]) -> Vec<Sent> {
        self.run(self.shard.send(request(queue, tags)))
            .expect("the test allows no failure here")
    }

    /// Sends one message with these properties.
    pub(crate) fn send_with(&self, asked: &[(&str, &str)]) -> Sent {
        let sent = self.run(self.shard.send(request_with(asked)));
        sent.expect("the test allows no failure here")[0]
    }

    /// Releases what is due, and makes that durable.
    pub(crate) fn release(&self) -> Option<Timestamp> {
        let next = self.run(self.shard.release_due());
        self.commit();
        next.expect("the test allows no failure here")
    }

    /// Bodies of queue 0 of a topic, by offset.
    pub(crate) fn bodies(&self, name: &str) -> Vec<String> {
        let text = |message: &StoredMessage| String::from_utf8_lossy(&message.body()).into_owned();
        self.pull(name).iter().map(text).collect()
    }

    /// Messages of queue 0 of a topic, by offset.
    pub(crate) fn pull(&self, name: &str) -> Vec<StoredMessage> {
        let pull = PullRequest {
            group: None,
            topic: topic(name),
            queue: QueueId::new(0),
            offset: QueueOffset::new(0),
            max_messages: 100,
            max_bytes: usize::MAX,
            filter: Filter::All,
            wait: Duration::ZERO,
        };
        let pulled = self.run(self.shard.pull(pull));
        pulled.expect("the test allows no failure here").messages
    }

    /// Receives one message of `billing` in any queue, without waiting.
    pub(crate) fn receive(&self, invisible_ms: u64) -> Option<Received> {
        let request = receive_request(None, invisible_ms, 0);
        self.run(self.shard.receive(request))
            .expect("the test allows no failure here")
            .pop()
    }
}

/// A waker that counts how often it was woken.
#[derive(Default)]
pub(crate) struct Count(pub(crate) AtomicUsize);

impl Wake for Count {
    fn wake(self: Arc<Self>) {
        self.0.fetch_add(1, Ordering::Relaxed);
    }
}

/// Polls once; who wakes it does not matter.
pub(crate) fn poll<F: Future>(call: Pin<&mut F>) -> Poll<F::Output> {
    call.poll(&mut Context::from_waker(Waker::noop()))
}

/// A send of one message per tag; an empty tag is none.
pub(crate) fn request(queue: u32, tags: &[&str]) -> SendRequest {
    let message = |tag: &&str| {
        let mut raw = String::new();
        if !tag.is_empty() {
            properties::set(&mut raw, properties::TAGS, tag)
                .expect("the test allows no failure here");
        }
        Message {
            flag: 0,
            sys_flag: 0,
            born_timestamp: Timestamp::from_ms(0),
            born_host: "127.0.0.1:1"
                .parse()
                .expect("the test allows no failure here"),
            reconsume_times: 0,
            body: tag.to_string().into(),
            properties: raw.into(),
        }
    };
    SendRequest {
        topic: topic("orders"),
        queue: QueueChoice::Queue(QueueId::new(queue)),
        messages: tags.iter().map(message).collect(),
        store_host: "127.0.0.1:8080"
            .parse()
            .expect("the test allows no failure here"),
        retries_max: None,
    }
}

/// A send to queue 0 of one message with these properties.
pub(crate) fn request_with(asked: &[(&str, &str)]) -> SendRequest {
    let mut request = request(0, &["body"]);
    let raw = properties::encode(asked.iter().copied()).expect("the test's names are plain");
    request.messages[0].properties = raw.into();
    request
}

pub(crate) fn receive_request(
    queue: Option<u32>,
    invisible_ms: u64,
    wait_ms: u64,
) -> ReceiveRequest {
    ReceiveRequest {
        group: group("billing"),
        topic: topic("orders"),
        queue: queue.map(QueueId::new),
        max_messages: 1,
        invisible: Duration::from_millis(invisible_ms),
        filter: Filter::All,
        start: Start::Oldest,
        in_order: false,
        wait: Duration::from_millis(wait_ms),
        renew_while_alive: None,
    }
}

/// Offsets that a receive brought.
pub(crate) fn offsets(received: Poll<Result<Vec<Received>, ReceiveError>>) -> Option<Vec<i64>> {
    match received {
        Poll::Pending => None,
        Poll::Ready(received) => Some(
            received
                .expect("the test allows no failure here")
                .iter()
                .map(|received| received.message.queue_offset())
                .collect(),
        ),
    }
}
