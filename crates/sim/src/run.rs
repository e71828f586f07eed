//! One run: a seed, several lives of a node that end in crashes or stops, and a last one in which
//! everything that is left must come out.

use std::{
    cell::RefCell,
    collections::{BTreeMap, BTreeSet},
    rc::Rc,
    sync::Arc,
    time::Duration,
};

use base::{GroupName, QueueId, TopicName};
use broker::{GroupSpec, RetryPolicy};

use crate::{
    clients::{Client, read_queue},
    disk::SimDisk,
    figures::Figures,
    kv::SimKv,
    ledger::{ASIDE, Ledger},
    machine::{Crash, Faults, Machine},
    meta::SimMetadata,
    node::{Node, OpenNodeError, Site},
    plan::{Ending, Mode, Retry, Settings},
    planted::Planted,
    scheduler::{Scheduler, Step},
    world::World,
};

/// What to run.
#[derive(Clone, Copy, Debug)]
pub struct Options {
    /// Decides everything else.
    pub seed: u64,
    /// Most scheduler steps in a life before the last.
    pub steps: u64,
    /// A bug to be found.
    pub planted: Planted,
    /// Whether to keep every line of the trace.
    pub keep_trace: bool,
}

impl Options {
    /// A run of `seed` as the tests do it.
    pub const fn of_seed(seed: u64) -> Self {
        Self {
            seed,
            steps: 3_000,
            planted: Planted::Nothing,
            keep_trace: false,
        }
    }
}

/// How a run went.
#[derive(Clone, Debug)]
pub struct Outcome {
    /// What should not have happened, if anything did.
    pub violation: Option<String>,
    /// Hash of the trace: equal for equal runs.
    pub trace_hash: u64,
    /// Lines of the trace.
    pub trace_count: u64,
    /// The lines that were kept: all, or the last ones.
    pub trace: Vec<String>,
    /// What happened, in numbers.
    pub figures: Figures,
    /// Lives of the node.
    pub lives: u64,
}

/// Steps of the last life at most: far more than any run needs.
const LAST_STEPS_MAX: u64 = 2_000_000;

/// Attempts to open a node whose machine fails now and then, before it is healed.
const OPEN_ATTEMPTS_MAX: u64 = 5;

/// Runs `options.seed`. Deterministic: the same options give the same outcome, line by line.
pub fn run(options: Options) -> Outcome {
    let world = World::new(options.seed, options.keep_trace);
    let settings = Settings::choose(&world, options.steps);
    world.note(format_args!("seed {} {settings:?}", options.seed));
    let machine = Machine::new(&world);
    let site = Site {
        disk: SimDisk::new(&world, &machine, options.planted.disk_lies()),
        kv: SimKv::new(
            &world,
            &machine,
            options.planted == Planted::TrimBeforeCheckpoint,
        ),
        metadata: SimMetadata::new(&world),
        machine,
        world: Arc::clone(&world),
        planted: options.planted,
    };
    let mut run = Run {
        ledger: Rc::new(RefCell::new(Ledger::new(&world, &settings))),
        settings: Rc::new(settings),
        site,
        steps: options.steps,
        lives: 0,
    };
    run.all_lives();
    let (trace_hash, trace_count) = world.trace_hash();
    let ledger = run.ledger.borrow();
    Outcome {
        violation: ledger.violation().map(str::to_owned),
        trace_hash,
        trace_count,
        trace: world.trace_lines(),
        figures: ledger.figures(),
        lives: run.lives,
    }
}

struct Run {
    site: Site,
    settings: Rc<Settings>,
    ledger: Rc<RefCell<Ledger>>,
    steps: u64,
    lives: u64,
}

impl Run {
    fn is_violated(&self) -> bool {
        self.ledger.borrow().violation().is_some()
    }

    fn violate(&self, what: String) {
        self.ledger.borrow_mut().violate(what);
    }

    fn all_lives(&mut self) {
        for ending in self.settings.endings.clone() {
            self.live(ending);
            if self.is_violated() {
                return;
            }
        }
        self.last_life();
    }

    /// Opens the node, in as many attempts as its machine makes necessary.
    fn open(&mut self, operations: Option<u64>, faults: Faults) -> Option<Rc<Node>> {
        for attempt in 0..2 * OPEN_ATTEMPTS_MAX {
            let life = match attempt < OPEN_ATTEMPTS_MAX {
                true => self.site.machine.start(operations, faults),
                false => self.site.machine.start(None, Faults::default()),
            };
            self.lives = life;
            match Node::open(&self.site, &self.settings, life) {
                Ok(node) if !self.site.machine.is_stopped() => return Some(node),
                Ok(node) => {
                    drop(node);
                    self.crash(Crash::PowerLoss);
                }
                Err(error) => {
                    self.site.world.note(format_args!("open: {error:?}"));
                    if !error.is_fault() {
                        self.refuse(&error);
                        return None;
                    }
                    // Whoever restarts a machine that failed to start may pull its plug first.
                    let crash = match self.site.world.chance(50) {
                        true => Crash::PowerLoss,
                        false => Crash::Kill,
                    };
                    self.crash(crash);
                }
            }
        }
        self.violate("the node does not open on a machine that works".to_owned());
        None
    }

    fn refuse(&self, error: &OpenNodeError) {
        self.violate(format!(
            "the node does not open on what was left: {error:?}"
        ));
    }

    fn crash(&self, crash: Crash) {
        self.site.world.note(format_args!("crash: {crash:?}"));
        self.site.machine.stop();
        self.site.disk.crash(crash);
        self.site.kv.crash(crash);
    }

    fn begin(&self, node: &Rc<Node>, scheduler: &mut Scheduler) -> Client {
        let mut ledger = self.ledger.borrow_mut();
        ledger.life_begins(node);
        drop(ledger);
        node.drive(scheduler, &self.settings, &self.ledger);
        Client {
            node: Rc::clone(node),
            ledger: Rc::clone(&self.ledger),
            settings: Rc::clone(&self.settings),
        }
    }

    /// A life of the node with everything that can go wrong, up to its end.
    fn live(&mut self, ending: Ending) {
        let (operations, steps, crash) = match ending {
            Ending::AtOperation(operations, crash) => {
                (Some(operations), 2 * self.steps, Some(crash))
            }
            Ending::AtStep(steps, crash) => (None, steps, Some(crash)),
            Ending::Clean(steps) => (None, steps, None),
        };
        let Some(node) = self.open(operations, self.settings.faults) else {
            return;
        };
        let mut scheduler = Scheduler::new(&self.site.world);
        let client = self.begin(&node, &mut scheduler);
        let (creator, settings) = (Rc::clone(&node), Rc::clone(&self.settings));
        let planted = self.site.planted;
        scheduler.spawn("creator".to_owned(), async move {
            for topic in &settings.topics {
                let _ = creator.instance.create_topic(topic.spec(planted)).await;
            }
            if let Some(lite) = &settings.lite {
                let _ = creator
                    .instance
                    .create_topic(lite.topic_spec(planted))
                    .await;
                for group in lite.groups() {
                    let spec = lite.group_spec(group, planted);
                    let _ = creator.instance.create_group(spec).await;
                }
            }
            for group in &settings.groups {
                let mut spec = GroupSpec::new(group.name.clone());
                spec.max_attempts = group.max_attempts;
                spec.fifo = group.mode == Mode::Fifo && planted != Planted::Disorder;
                spec.retry = match settings.retry {
                    Retry::Fixed(interval_ms) => RetryPolicy::Fixed { interval_ms },
                    Retry::Steps => RetryPolicy::Backoff,
                };
                let _ = creator.instance.create_group(spec).await;
                if settings.topics_of(group).len() > settings.topics.len() {
                    let _ = creator.instance.retry_topic(&group.name).await;
                }
            }
        });
        // Everybody finds the topics and groups as they were planned.
        let before = scheduler.task_count();
        let mut left = 100_000;
        while scheduler.task_count() == before && left > 0 {
            scheduler.step();
            left -= 1;
        }
        client.spawn_all(&mut scheduler);
        drop(client);
        let mut left = steps;
        let machine = Arc::clone(&self.site.machine);
        let ledger = Rc::clone(&self.ledger);
        let step = scheduler.run_until(|| {
            left = left.saturating_sub(1);
            left == 0
                || machine.is_stopped()
                || node.broken.get()
                || ledger.borrow().violation().is_some()
        });
        if step != Step::Polled {
            self.violate(format!("the run is {step:?}"));
        }
        self.end(node, scheduler, crash);
        self.stay_away();
    }

    /// Some nodes are away for long, so that LiteTopics are past their time when they are back.
    fn stay_away(&self) {
        let world = &self.site.world;
        if self.settings.lite.is_some() && world.chance(60) {
            world.pass(Duration::from_secs(world.between(30, 180)));
        }
    }

    fn end(&self, node: Rc<Node>, mut scheduler: Scheduler, crash: Option<Crash>) {
        let works = !self.site.machine.is_stopped() && !node.broken.get();
        let Some(crash) = crash.or((!works).then_some(Crash::Kill)) else {
            node.shard.drain();
            for _ in 0..200 {
                scheduler.step();
            }
            scheduler.cancel_all();
            let clean = node.finish();
            self.site.world.note(format_args!("clean stop: {clean}"));
            self.ledger.borrow_mut().life_ends(node.durable_end());
            drop(node);
            // From here on it makes no difference how the machine stops.
            let crash = if self.site.world.chance(50) {
                Crash::PowerLoss
            } else {
                Crash::Kill
            };
            self.crash(crash);
            return;
        };
        let end = node.durable_end();
        self.site.machine.stop();
        scheduler.cancel_all();
        self.ledger.borrow_mut().life_ends(end);
        drop(node);
        self.crash(crash);
    }

    /// The last life: nothing fails any more, and clients take all that is left.
    fn last_life(&mut self) {
        let Some(node) = self.open(None, Faults::default()) else {
            return;
        };
        self.site.machine.heal();
        // Much time passes while clients wait for what is in flight, and little happens.
        let mut settings = Settings::clone(&self.settings);
        settings.checkpoint_interval_ms = settings.checkpoint_interval_ms.max(3_000);
        settings.retain_interval_ms = settings.retain_interval_ms.max(3_000);
        settings.last = true;
        self.settings = Rc::new(settings);
        let mut scheduler = Scheduler::new(&self.site.world);
        self.check_queues(&node, &mut scheduler);
        let client = self.begin(&node, &mut scheduler);
        client.spawn_producers(&mut scheduler);
        let lasting = scheduler.task_count();
        // First, as their time runs out.
        client.spawn_lite_drain(&mut scheduler);
        self.run_down(&mut scheduler, lasting);
        self.ledger.borrow_mut().check_lite_end(&self.settings);
        client.spawn_patience(&mut scheduler);
        self.run_down(&mut scheduler, lasting);
        client.spawn_drain(&mut scheduler);
        client.spawn_lite_ends(&mut scheduler);
        drop(client);
        self.run_down(&mut scheduler, lasting);
        if !self.is_violated() {
            self.read_aside(&node);
            self.read_retries(&node);
            self.check_queues(&node, &mut scheduler);
            let dead = self.read_dead_letters(&node);
            self.ledger.borrow_mut().check_end(&self.settings, &dead);
        }
        scheduler.cancel_all();
    }

    /// Looks at what was sent back.
    fn read_retries(&self, node: &Node) {
        for group in &self.settings.groups {
            let topic = TopicName::retry_of(&group.name);
            if node.instance.topic(&topic).is_some() {
                self.read(node, &topic, QueueId::new(0));
            }
        }
    }

    /// Runs until all tasks but the `lasting` ones have come to their end.
    fn run_down(&self, scheduler: &mut Scheduler, lasting: usize) {
        let mut left = LAST_STEPS_MAX;
        while scheduler.task_count() > lasting && !self.is_violated() {
            let step = scheduler.step();
            left -= 1;
            if left == 0 || matches!(step, Step::Stuck | Step::Circling) {
                let left = scheduler.task_count() - lasting;
                self.violate(format!("{left} clients never came to an end: {step:?}"));
            }
        }
    }

    /// Looks at the half messages that nobody decided about.
    fn read_aside(&self, node: &Node) {
        let topic = TopicName::new(ASIDE).expect("a plain name");
        if node.instance.topic(&topic).is_some() {
            self.read(node, &topic, QueueId::new(0));
        }
    }

    /// Reads every queue from end to end and compares it with what was confirmed.
    fn check_queues(&self, node: &Rc<Node>, _scheduler: &mut Scheduler) {
        self.ledger
            .borrow_mut()
            .trimmed_to(node.shard.log().start());
        let mut queues = BTreeMap::new();
        for topic in self.settings.topics.iter().filter(|topic| !topic.volatile) {
            if node.instance.topic(&topic.name).is_none() {
                // The node never lived long enough to create it.
                continue;
            }
            for queue in (0..topic.queues).map(QueueId::new) {
                let found = self.read(node, &topic.name, queue);
                queues.insert((topic.name.clone(), queue), found);
            }
        }
        self.ledger.borrow_mut().check_queues(&queues);
    }

    fn read(&self, node: &Node, topic: &TopicName, queue: QueueId) -> (u64, Vec<u64>) {
        let mut found = Vec::new();
        let pulling = topic.dead_letter_group().filter(|dead| {
            let groups = self.settings.groups.iter();
            groups
                .clone()
                .any(|g| g.mode == Mode::Pull && g.name.as_str() == *dead)
        });
        let pulling = pulling.and_then(|group| GroupName::new(group).ok());
        let take = |message: &wire::message::StoredMessage| {
            let mut ledger = self.ledger.borrow_mut();
            let number = ledger.identify(topic, message);
            if let (Some(number), Some(group)) = (number, &pulling) {
                ledger.came_back(group, number, true, message);
            }
            found.extend(number);
        };
        // Nothing is waited for here, so nobody else has to run.
        let read = futures::executor::block_on(read_queue(node, None, topic, queue, take));
        match read {
            Ok(first) => (first, found),
            Err(error) => {
                self.violate(format!("{topic}/{queue} cannot be read: {error}"));
                (0, found)
            }
        }
    }

    /// The dead letters of each group, and whether some may have expired.
    fn read_dead_letters(&self, node: &Node) -> BTreeMap<GroupName, (bool, BTreeSet<u64>)> {
        let mut dead = BTreeMap::new();
        for group in &self.settings.groups {
            let topic = TopicName::dead_letter_of(&group.name);
            if node.instance.topic(&topic).is_none() {
                continue;
            }
            let (first, letters) = self.read(node, &topic, QueueId::new(0));
            dead.insert(
                group.name.clone(),
                (first > 0, letters.into_iter().collect()),
            );
        }
        dead
    }
}
