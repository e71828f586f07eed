//! A shard on real files whose time and commits belong to the benchmark.

use std::{
    pin::pin,
    sync::{
        Arc, Weak,
        atomic::{AtomicI64, Ordering},
    },
    task::{Context, Poll, Waker},
    time::Duration,
};

use base::{Clock, InstanceId, QueueId, SeededRandom, ShardId, Sleep, Timestamp, TopicName};
use broker::{
    Instance, InstanceSettings, Message, QueueChoice, SendRequest, Shard, ShardParts, ShardState,
    TopicSpec,
};
use futures::executor::block_on;
use store::{
    fs::FolderDisk,
    kv::FjallDatabase,
    log::{
        DurableObserver,
        local::{LocalLog, LocalLogOptions},
    },
    meta::EmbeddedMetadata,
};
use tempfile::TempDir;

const EXPECT: &str = "the folder is empty and the disk works";

/// Time that stands still until it is moved; nothing here waits for it.
#[derive(Default)]
struct HandClock(AtomicI64);

impl Clock for HandClock {
    fn now(&self) -> Timestamp {
        Timestamp::from_ms(1_700_000_000_000 + self.0.load(Ordering::Relaxed))
    }

    fn elapsed(&self) -> Duration {
        Duration::from_millis(self.0.load(Ordering::Relaxed).unsigned_abs())
    }

    fn sleep(&self, _duration: Duration) -> Sleep {
        Box::pin(std::future::pending())
    }
}

/// An instance with a topic of one queue on one shard.
pub(crate) struct OnShard {
    clock: Arc<HandClock>,
    log: Arc<LocalLog>,
    pub(crate) shard: Arc<Shard>,
    _instance: Arc<Instance>,
    _folder: TempDir,
}

impl OnShard {
    pub(crate) fn open() -> Self {
        let folder = tempfile::tempdir().expect(EXPECT);
        let clock = Arc::new(HandClock::default());
        let kv = FjallDatabase::open(&folder.path().join("kv")).expect(EXPECT);
        let kv = kv.shard(ShardId::new(0)).expect(EXPECT);
        let mut state = ShardState::open(Arc::new(kv)).expect(EXPECT);
        let disk = |name| FolderDisk::open(&folder.path().join(name)).expect(EXPECT);
        let (log, _) = LocalLog::open(
            disk("log"),
            ShardId::new(0),
            LocalLogOptions::default(),
            clock.clone(),
            state.replay_from(),
            &mut |record| state.replay(&record),
        )
        .expect(EXPECT);
        let meta = EmbeddedMetadata::open(disk("meta"), clock.clone()).expect(EXPECT);
        let (id, settings) = (InstanceId::default_instance(), InstanceSettings::default());
        let instance = block_on(Instance::open(id, settings, meta, clock.clone())).expect(EXPECT);
        let shard = instance
            .add_shard(ShardParts {
                id: ShardId::new(0),
                log: log.clone(),
                state,
                clock: clock.clone(),
                random: Arc::new(SeededRandom::new(7)),
            })
            .expect(EXPECT);
        let observer: Weak<dyn DurableObserver> = Arc::downgrade(&shard.observer());
        log.observe(observer);
        block_on(instance.create_topic(TopicSpec::new(topic(), 1))).expect(EXPECT);
        Self {
            clock,
            log,
            shard,
            _instance: instance,
            _folder: folder,
        }
    }

    /// Moves the time on.
    pub(crate) fn advance(&self, ms: i64) {
        self.clock.0.fetch_add(ms, Ordering::Relaxed);
    }

    /// Runs a call to its end; it may wait for the disk but for nothing else.
    pub(crate) fn run<F: Future>(&self, call: F) -> F::Output {
        let mut call = pin!(call);
        loop {
            let mut cx = Context::from_waker(Waker::noop());
            if let Poll::Ready(output) = call.as_mut().poll(&mut cx) {
                return output;
            }
            self.commit();
        }
    }

    /// Makes durable what waits for it.
    pub(crate) fn commit(&self) {
        while let Some(mut commit) = self.log.begin_commit() {
            commit.write().expect(EXPECT);
            commit.sync().expect(EXPECT);
            commit.finish();
        }
        self.log.prepare();
    }

    /// Sends so many messages of 1 KiB with these properties, at once.
    pub(crate) fn send(&self, count: usize, properties: &'static str) {
        let address = "127.0.0.1:1".parse().expect("an address");
        let message = Message {
            flag: 0,
            sys_flag: 0,
            born_timestamp: self.clock.now(),
            born_host: address,
            reconsume_times: 0,
            body: vec![7; 1024].into(),
            properties: properties.into(),
        };
        let request = SendRequest {
            topic: topic(),
            queue: QueueChoice::Queue(QueueId::new(0)),
            messages: vec![message; count],
            store_host: address,
            retries_max: None,
        };
        let sent = self.run(self.shard.send(request));
        assert_eq!(sent.expect("there is room").len(), count);
    }
}

/// The topic that messages are in.
pub(crate) fn topic() -> TopicName {
    TopicName::new("orders").expect("a plain name")
}
