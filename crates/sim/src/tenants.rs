//! Two tenants of one server in virtual time: one floods, and what the other feels of it.
//!
//! The broker is the real one: two instances with a plan each, their quotas, shards and logs. What
//! is modelled is time. The server does one request after the other, in the order in which they
//! come: a send takes [`SEND_MS`], a refusal [`REFUSAL_MS`]. One committer makes both logs durable,
//! as the server's does: all write, then one after the other syncs, of which the first takes
//! [`SYNC_MS`] and the next less, since the device has begun with it. A send is confirmed when its
//! sync is done. All of that is slow, so that whole milliseconds tell enough; the flood, ten times
//! a quota that is a tenth of what the server can do, would fill it.

use std::{
    cell::{Cell, RefCell},
    collections::BTreeMap,
    future::poll_fn,
    rc::Rc,
    sync::{Arc, Weak},
    task::Poll,
    time::Duration,
};

use base::{Clock, InstanceId, ShardId, TopicName};
use broker::{
    Instance, InstanceSettings, Message, QueueChoice, SendError, SendRequest, Shard, ShardParts,
    ShardState, TopicSpec,
    plan::{Edition, InstanceStatus, Plan, SubSeries},
};
use bytes::Bytes;
use futures::executor::block_on;
use store::log::{
    DurableObserver,
    local::{LocalLog, LocalLogOptions},
};
use tokio::sync::{Mutex, Notify};

use crate::{
    disk::{DiskLies, SimDisk},
    kv::SimKv,
    machine::{Faults, Machine},
    meta::SimMetadata,
    scheduler::{Scheduler, Step},
    world::{SimClock, SimRandom, World},
};

/// What the server does for a send, in milliseconds.
pub const SEND_MS: u64 = 10;

/// What it does for a send that is past the quota, in milliseconds.
pub const REFUSAL_MS: u64 = 1;

/// What the device takes to sync a log, in milliseconds.
pub const SYNC_MS: u64 = 50;

/// What it takes for a further log that was written at the same time, in milliseconds.
pub const SYNC_MORE_MS: u64 = 12;

/// Messages that a tenant may send in a second: its plan has 250 units for sends, and each of
/// these messages has 25.
pub const QUOTA: u64 = 10;

/// Messages that the flooder sends in a second.
pub const FLOOD: u64 = 10 * QUOTA;

/// Messages that the other sends in a second.
pub const CALM: u64 = QUOTA / 2;

const BODY_BYTES: usize = 1_000;
const UNIT_BYTES: u64 = 40;

/// Steps of the scheduler that no run needs.
const STEPS_MAX: u64 = 20_000_000;

/// What to run.
#[derive(Clone, Copy, Debug)]
pub struct TenantOptions {
    /// Decides everything else.
    pub seed: u64,
    /// How long the tenants send, in virtual seconds.
    pub seconds: u64,
    /// Whether one of them floods; else the other is alone.
    pub flood: bool,
    /// Whether quotas are kept. Without is a bug that is to be found.
    pub quotas: bool,
}

/// How one tenant fared.
#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub struct Fare {
    /// Of sends that were confirmed, from when each was due, in milliseconds, in rising order.
    pub latencies_ms: Vec<u64>,
    /// Sends past the quota.
    pub refused: u64,
    /// The most messages that were taken in a second of the clock.
    pub taken_per_second_max: u64,
    /// What went wrong otherwise.
    pub failures: Vec<String>,
    taken_in: BTreeMap<i64, u64>,
}

impl Fare {
    /// What 99 of 100 sends took at most, in milliseconds.
    pub fn p99_ms(&self) -> u64 {
        let rank = (self.latencies_ms.len() * 99).div_ceil(100).max(1);
        self.latencies_ms.get(rank - 1).copied().unwrap_or(0)
    }
}

/// What came of a run.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct TenantOutcome {
    /// The tenant that stays within its quota.
    pub calm: Fare,
    /// The other.
    pub flooder: Fare,
    /// Hash of the trace: equal for equal runs.
    pub trace_hash: u64,
}

/// Runs `options`. Deterministic: the same options give the same outcome.
///
/// # Panics
/// When the simulated machine, which works, fails.
pub fn run_tenants(options: TenantOptions) -> TenantOutcome {
    let world = World::new(options.seed, false);
    let server = Rc::new(Server {
        clock: SimClock::new(&world),
        world: Arc::clone(&world),
        turn: Mutex::new(()),
        bell: Notify::new(),
        left: Cell::new(0),
    });
    let calm = Tenant::open(&world, "calm", options.quotas);
    let flooder = Tenant::open(&world, "flooder", options.quotas);
    let mut scheduler = Scheduler::new(&world);
    // The one that is looked at comes last in each commit: it has the longer wait.
    let logs = [&flooder, &calm].map(|tenant| Arc::clone(&tenant.log));
    let committing = Rc::clone(&server);
    scheduler.spawn("commit".to_owned(), async move {
        committing.commit(&logs).await;
    });
    server.load(&mut scheduler, &calm, CALM, options.seconds);
    if options.flood {
        server.load(&mut scheduler, &flooder, FLOOD, options.seconds);
    }
    let mut steps = STEPS_MAX;
    let step = scheduler.run_until(|| {
        steps -= 1;
        server.left.get() == 0 || steps == 0
    });
    assert!(step == Step::Polled && steps > 0, "the run is {step:?}");
    scheduler.cancel_all();
    TenantOutcome {
        calm: calm.fare(),
        flooder: flooder.fare(),
        trace_hash: world.trace_hash().0,
    }
}

/// The one server, and what takes time there.
struct Server {
    world: Arc<World>,
    clock: Arc<SimClock>,
    /// Whose request is done now; others wait in the order in which they came.
    turn: Mutex<()>,
    /// Rung when something was appended.
    bell: Notify,
    /// Sends that have not ended.
    left: Cell<u64>,
}

impl Server {
    async fn takes(&self, ms: u64) {
        self.clock.sleep(Duration::from_millis(ms)).await;
    }

    /// Lets a tenant send so many messages a second, each when it is due, whatever became of those
    /// before.
    fn load(
        self: &Rc<Self>,
        scheduler: &mut Scheduler,
        tenant: &Rc<Tenant>,
        rate: u64,
        seconds: u64,
    ) {
        let gap_ms = 1_000 / rate;
        for number in 0..rate * seconds {
            let due_ms = number * gap_ms + self.world.below(gap_ms);
            let (server, tenant) = (Rc::clone(self), Rc::clone(tenant));
            self.left.set(self.left.get() + 1);
            scheduler.spawn(format!("{} {number}", tenant.name), async move {
                server.takes(due_ms).await;
                server.send(&tenant, due_ms).await;
                server.left.set(server.left.get() - 1);
            });
        }
    }

    async fn send(&self, tenant: &Tenant, due_ms: u64) {
        let turn = self.turn.lock().await;
        let mut sending = Box::pin(tenant.shard.send(tenant.request()));
        let second = self.world.now().ms() / 1_000;
        let first = poll_fn(|cx| Poll::Ready(sending.as_mut().poll(cx))).await;
        let is_refused = matches!(first, Poll::Ready(Err(SendError::Quota(_))));
        self.takes(if is_refused { REFUSAL_MS } else { SEND_MS })
            .await;
        self.bell.notify_one();
        drop(turn);
        let sent = match first {
            Poll::Ready(sent) => sent,
            Poll::Pending => sending.await,
        };
        let mut fare = tenant.fare.borrow_mut();
        match sent {
            Ok(_) => {
                let now_ms = self.world.elapsed().as_millis() as u64;
                fare.latencies_ms.push(now_ms - due_ms);
                *fare.taken_in.entry(second).or_default() += 1;
            }
            Err(SendError::Quota(_)) => fare.refused += 1,
            Err(error) => fare.failures.push(error.to_string()),
        }
    }

    /// Commits whenever something was appended, as the server's committer does.
    async fn commit(&self, logs: &[Arc<LocalLog>]) {
        loop {
            self.bell.notified().await;
            loop {
                let begun = logs.iter().filter_map(LocalLog::begin_commit);
                let mut written: Vec<_> = begun.collect();
                if written.is_empty() {
                    break;
                }
                for commit in &mut written {
                    commit.write().expect("the machine works");
                }
                for (nth, mut commit) in written.into_iter().enumerate() {
                    self.takes(if nth == 0 { SYNC_MS } else { SYNC_MORE_MS })
                        .await;
                    commit.sync().expect("the machine works");
                    commit.finish();
                }
                for log in logs {
                    log.prepare();
                }
            }
        }
    }
}

/// An instance with its shard.
struct Tenant {
    name: &'static str,
    topic: TopicName,
    shard: Arc<Shard>,
    log: Arc<LocalLog>,
    fare: RefCell<Fare>,
    clock: Arc<SimClock>,
    _instance: Arc<Instance>,
}

impl Tenant {
    fn open(world: &Arc<World>, name: &'static str, quotas: bool) -> Rc<Self> {
        const SHARD: ShardId = ShardId::new(0);
        let clock = SimClock::new(world);
        let machine = Machine::new(world);
        let life = machine.start(None, Faults::default());
        let kv = SimKv::new(world, &machine, false).open(life);
        let mut state = ShardState::open(kv).expect("an empty state");
        let disk = SimDisk::new(world, &machine, DiskLies::default()).mount(life);
        let from = state.replay_from();
        let (log, _) = LocalLog::open(
            disk,
            SHARD,
            LocalLogOptions::default(),
            clock.clone(),
            from,
            &mut |record| state.replay(&record),
        )
        .expect("an empty log");
        let settings = InstanceSettings {
            unit_bytes: UNIT_BYTES,
            ..InstanceSettings::default()
        };
        let id = InstanceId::new(name).expect("a plain name");
        let instance = Instance::open(id, settings, SimMetadata::new(world), clock.clone());
        let instance = block_on(instance).expect("an empty catalogue");
        let shard = instance.add_shard(ShardParts {
            id: SHARD,
            log: log.clone(),
            state,
            clock: clock.clone(),
            random: Arc::new(SimRandom(Arc::clone(world))),
        });
        let shard = shard.expect("the first shard");
        let observer: Weak<dyn DurableObserver> = Arc::downgrade(&shard.observer());
        log.observe(observer);
        let topic = TopicName::new("orders").expect("a plain name");
        let created = instance.create_topic(TopicSpec::new(topic.clone(), 1));
        block_on(created).expect("a new topic");
        if quotas {
            let name = Some("rmq.s1.micro".to_owned());
            let plan = Plan::new(Edition::Standard, SubSeries::SingleNode, name);
            let ordered = instance.go_by(Some(&plan), InstanceStatus::Running);
            ordered.expect("a plan that can be ordered");
        }
        Rc::new(Self {
            name,
            topic,
            shard,
            log,
            fare: RefCell::default(),
            clock,
            _instance: instance,
        })
    }

    fn request(&self) -> SendRequest {
        let address = "127.0.0.1:1".parse().expect("an address");
        SendRequest {
            topic: self.topic.clone(),
            queue: QueueChoice::Any,
            messages: vec![Message {
                flag: 0,
                sys_flag: 0,
                born_timestamp: self.clock.now(),
                born_host: address,
                reconsume_times: 0,
                body: Bytes::from_static(&[b'x'; BODY_BYTES]),
                properties: Bytes::new(),
            }],
            store_host: address,
            retries_max: None,
        }
    }

    fn fare(&self) -> Fare {
        let mut fare = self.fare.take();
        fare.latencies_ms.sort_unstable();
        let taken = fare.taken_in.values().copied();
        fare.taken_per_second_max = taken.max().unwrap_or(0);
        fare
    }
}
