//! A node: the real log, shard and instance, on a machine of the simulator, and the tasks that
//! drive them as threads do in the server.

use std::{
    cell::{Cell, RefCell},
    rc::Rc,
    sync::{Arc, Weak},
    time::Duration,
};

use base::{Clock, InstanceId, LogPosition, Random, ShardId};
use broker::{
    Instance, InstanceSettings, OpenShardError, Retention, Shard, ShardParts, ShardState,
};
use futures::future::{BoxFuture, Either, select};
use store::{
    log::{
        AppendError, Appended, DurableObserver, Log, NewRecord, ReadError, Record, RecordPlace,
        SegmentSummary, Urgency,
        local::{LocalLog, LocalLogOptions, OpenError},
    },
    meta::MetadataError,
};
use tokio::sync::Notify;

use crate::{
    disk::SimDisk,
    kv::SimKv,
    ledger::Ledger,
    machine::Machine,
    meta::SimMetadata,
    plan::Settings,
    planted::Planted,
    scheduler::{Scheduler, yield_now},
    world::{SimClock, SimRandom, World},
};

/// The only shard of a run.
pub const SHARD: ShardId = ShardId::new(0);

/// Who drives commits looks for work after this long at the latest.
const IDLE: Duration = Duration::from_secs(10);

/// What outlives a node: its world, and what it stored.
pub struct Site {
    /// Time, chance and trace.
    pub world: Arc<World>,
    /// What can stop.
    pub machine: Arc<Machine>,
    /// Where the log is.
    pub disk: Arc<SimDisk>,
    /// Where the state is.
    pub kv: Arc<SimKv>,
    /// Where topics and groups are.
    pub metadata: Arc<SimMetadata>,
    /// Which bugs are planted.
    pub planted: Planted,
}

/// Why a node did not open.
#[derive(Debug, thiserror::Error)]
pub enum OpenNodeError {
    /// The log refused.
    #[error(transparent)]
    Log(#[from] OpenError),
    /// The state refused.
    #[error(transparent)]
    Shard(#[from] OpenShardError),
    /// The catalogue could not be read.
    #[error(transparent)]
    Metadata(#[from] MetadataError),
}

impl OpenNodeError {
    /// Whether a machine that fails now and then explains it; anything else means that something
    /// that was durable is gone or wrong.
    pub fn is_fault(&self) -> bool {
        match self {
            Self::Log(OpenError::Disk { .. } | OpenError::Opening(_)) => true,
            Self::Shard(OpenShardError::State(_)) => true,
            Self::Shard(OpenShardError::Apply { source, .. }) => {
                matches!(source, broker::ApplyError::State(_))
            }
            Self::Log(_) | Self::Metadata(_) => false,
        }
    }
}

/// A node in one of its lives.
pub struct Node {
    /// Time, chance and trace.
    pub world: Arc<World>,
    /// The broker's clock as clients have it, too.
    pub clock: Arc<SimClock>,
    /// The tenant.
    pub instance: Arc<Instance>,
    /// Its only shard.
    pub shard: Arc<Shard>,
    /// Which bugs are planted.
    pub planted: Planted,
    log: Arc<LocalLog>,
    bell: Arc<Notify>,
    /// A commit failed: the log is of no use until a restart.
    pub broken: Cell<bool>,
}

/// The log as the shard sees it: the real one, with a bell for whoever drives it.
struct BelledLog {
    log: Arc<LocalLog>,
    bell: Arc<Notify>,
    world: Arc<World>,
    planted: Planted,
}

impl Log for BelledLog {
    fn append(
        &self,
        records: &[NewRecord],
        urgency: Urgency,
        write: &mut dyn FnMut(usize, LogPosition, &mut Vec<u8>),
    ) -> Result<Appended, AppendError> {
        let forged: Vec<NewRecord> = records.iter().map(|r| self.planted.forge(r)).collect();
        let result = self
            .log
            .append(&forged, urgency, &mut |index, position, out| {
                let at = out.len();
                write(index, position, out);
                self.planted.falsify(records[index].kind, &mut out[at..]);
            });
        if result.is_err() {
            self.world.note_trouble();
        }
        self.bell.notify_one();
        result
    }

    fn writable(&self) -> BoxFuture<'static, ()> {
        self.bell.notify_one();
        self.log.writable()
    }

    fn durable(&self, end: LogPosition) -> BoxFuture<'static, Result<(), AppendError>> {
        self.bell.notify_one();
        self.log.durable(end)
    }

    fn start(&self) -> LogPosition {
        self.log.start()
    }

    fn durable_end(&self) -> LogPosition {
        self.log.durable_end()
    }

    fn tail(&self) -> LogPosition {
        self.log.tail()
    }

    fn read(&self, position: LogPosition, len: usize) -> BoxFuture<'_, Result<Record, ReadError>> {
        self.log.read(position, len)
    }

    fn read_all<'a>(
        &'a self,
        places: &'a [RecordPlace],
    ) -> BoxFuture<'a, Vec<Result<Record, ReadError>>> {
        self.log.read_all(places)
    }

    fn read_at(&self, position: LogPosition) -> BoxFuture<'_, Result<Record, ReadError>> {
        self.log.read_at(position)
    }

    fn trim(&self, position: LogPosition) -> std::io::Result<LogPosition> {
        self.log.trim(position)
    }

    fn segments(&self) -> Vec<SegmentSummary> {
        self.log.segments()
    }
}

impl Node {
    /// Opens the node on what is left at `site`, as the server does at its start.
    pub fn open(site: &Site, settings: &Settings, life: u64) -> Result<Rc<Self>, OpenNodeError> {
        let clock = SimClock::planted(&site.world, site.planted);
        let mut state = ShardState::open(site.kv.open(life))?;
        let options = LocalLogOptions {
            segment_bytes_min: settings.segment_bytes,
            segment_bytes_max: settings.segment_bytes * 2,
            pending_bytes_max: settings.pending_bytes_max,
            recent_bytes_max: settings.recent_bytes_max,
            ride_delay: Duration::from_millis(20),
        };
        let from = state.replay_from();
        let (log, recovery) = LocalLog::open(
            site.disk.mount(life),
            SHARD,
            options,
            clock.clone(),
            from,
            &mut |record| state.replay(&record),
        )?;
        site.world
            .note(format_args!("opened from {from}: {recovery:?}"));
        let instance = futures::executor::block_on(Instance::open(
            InstanceId::default_instance(),
            InstanceSettings {
                create_automatically: true,
                automatic_queues: 2,
                access_control: false,
                transaction_timeout_ms: settings.checks.timeout_ms,
                transaction_check_interval_ms: settings.checks.interval_ms,
                transaction_checks_max: settings.checks.max,
                queue_lock_expiry_ms: settings.lock_ms,
                ..InstanceSettings::default()
            },
            site.metadata.clone(),
            clock.clone(),
        ))?;
        let bell = Arc::new(Notify::new());
        let random: Arc<dyn Random> = Arc::new(SimRandom(Arc::clone(&site.world)));
        let shard = instance.add_shard(ShardParts {
            id: SHARD,
            log: Arc::new(BelledLog {
                log: Arc::clone(&log),
                bell: Arc::clone(&bell),
                world: Arc::clone(&site.world),
                planted: site.planted,
            }),
            state,
            clock: clock.clone(),
            random,
        })?;
        let observer: Weak<dyn DurableObserver> = Arc::downgrade(&shard.observer());
        log.observe(observer);
        Ok(Rc::new(Self {
            world: Arc::clone(&site.world),
            clock: SimClock::new(&site.world),
            instance,
            shard,
            planted: site.planted,
            log,
            bell,
            broken: Cell::new(false),
        }))
    }

    /// Waits in virtual time.
    pub async fn pause(&self, ms: u64) {
        self.clock.sleep(Duration::from_millis(ms)).await;
    }

    /// The log's tail: whatever was appended so far is before it.
    pub fn tail(&self) -> LogPosition {
        self.log.tail()
    }

    /// Up to where the log is durable.
    pub fn durable_end(&self) -> LogPosition {
        self.log.durable_end()
    }

    /// Makes everything durable and the state too, as a clean stop does. `false` if the machine
    /// failed.
    pub fn finish(&self) -> bool {
        while let Some(mut commit) = self.log.begin_commit() {
            if commit.write().is_err() || commit.sync().is_err() {
                return false;
            }
            commit.finish();
        }
        self.log.durable_end() >= self.log.tail() && self.shard.checkpoint().is_ok()
    }

    /// The tasks that the server has threads for.
    pub fn drive(
        self: &Rc<Self>,
        scheduler: &mut Scheduler,
        settings: &Settings,
        ledger: &Rc<RefCell<Ledger>>,
    ) {
        let node = Rc::clone(self);
        let told = Rc::clone(ledger);
        scheduler.spawn("commit".to_owned(), async move { node.commit(&told).await });
        let shard = Arc::clone(&self.shard);
        scheduler.spawn("release".to_owned(), async move {
            shard.release_held().await;
        });
        let node = Rc::clone(self);
        let interval = settings.checkpoint_interval_ms;
        scheduler.spawn("checkpoint".to_owned(), async move {
            loop {
                node.pause(node.world.between(1, interval)).await;
                let done = node.shard.checkpoint();
                node.world.note(format_args!("checkpoint {:?}", done.ok()));
            }
        });
        if let Some(retention) = settings.retention {
            let (node, ledger) = (Rc::clone(self), Rc::clone(ledger));
            let interval = settings.retain_interval_ms;
            scheduler.spawn("retain".to_owned(), async move {
                loop {
                    node.pause(node.world.between(1, interval)).await;
                    node.retain(retention, &ledger).await;
                }
            });
        }
    }

    async fn retain(&self, retention: Retention, ledger: &RefCell<Ledger>) {
        ledger.borrow_mut().retention_begins(self);
        match self.shard.retain(retention).await {
            Ok(trimmed) => {
                self.world.note(format_args!("retained: {trimmed:?}"));
                ledger.borrow_mut().trimmed(self, trimmed.start, retention);
            }
            Err(error) => self.world.note(format_args!("retain: {error}")),
        }
    }

    /// Commits whenever something was appended; others go on between the phases.
    async fn commit(&self, ledger: &RefCell<Ledger>) {
        loop {
            while let Some(mut commit) = self.log.begin_commit() {
                yield_now().await;
                if commit.write().is_err() {
                    break;
                }
                yield_now().await;
                if commit.sync().is_err() {
                    break;
                }
                yield_now().await;
                commit.finish();
                ledger.borrow_mut().became_durable(self.log.durable_end());
            }
            if self.log.begin_commit().is_none() && self.is_poisoned() {
                self.broken.set(true);
                return;
            }
            let retry = self.log.prepare();
            yield_now().await;
            if self.log.pending_chunks() > 0 && self.world.chance(50) {
                continue;
            }
            let ride = match self.log.durable_end() < self.log.tail() {
                true => Duration::from_millis(20),
                false => IDLE,
            };
            let pause = retry.map_or(ride, |at| at.saturating_sub(self.clock.elapsed()).min(ride));
            let rung = std::pin::pin!(self.bell.notified());
            match select(rung, self.clock.sleep(pause.max(Duration::from_millis(1)))).await {
                Either::Left(_) | Either::Right(_) => {}
            }
        }
    }

    /// An empty wait tells: it fails only on a log that was given up.
    fn is_poisoned(&self) -> bool {
        use futures::FutureExt;
        let wait = self.log.durable(self.log.tail().plus(1)).now_or_never();
        matches!(wait, Some(Err(_)))
    }
}
