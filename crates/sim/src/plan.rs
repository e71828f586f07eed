//! What a run will be: all of it follows from the seed.

use std::time::Duration;

use base::{GroupName, LiteTopicName, TopicName};
use broker::{GroupSpec, Retention, TopicSpec, TopicType};

use crate::{
    machine::{Crash, Faults},
    planted::Planted,
    world::World,
};

/// How a life of the node ends.
#[derive(Clone, Copy, Debug)]
pub enum Ending {
    /// After so many operations of disk and KV.
    AtOperation(u64, Crash),
    /// After so many steps of the scheduler.
    AtStep(u64, Crash),
    /// After so many steps, in order: drained, committed, checkpointed.
    Clean(u64),
}

/// A topic of the run.
#[derive(Clone, Debug)]
pub struct PlannedTopic {
    /// Its name.
    pub name: TopicName,
    /// Its queues.
    pub queues: u32,
    /// Deleted and created again now and then.
    pub volatile: bool,
    /// Every message has a priority, and the highest comes first.
    pub priority: bool,
}

impl PlannedTopic {
    /// What it is created with.
    pub fn spec(&self, planted: Planted) -> TopicSpec {
        let mut spec = TopicSpec::new(self.name.clone(), self.queues);
        let declared = self.priority && planted != Planted::FlatPriorities;
        spec.topic_type = declared.then_some(TopicType::Priority);
        spec
    }

    /// The topic of what `group` has sent back.
    pub fn retry_of(group: &PlannedGroup) -> Self {
        Self {
            name: TopicName::retry_of(&group.name),
            queues: 1,
            volatile: false,
            priority: false,
        }
    }
}

/// How a group of the run consumes.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Mode {
    /// By pulling and committing offsets.
    Pull,
    /// By receiving and settling receipts.
    Receive,
    /// As [`Mode::Receive`], the messages of each queue strictly in order.
    InOrder,
    /// As [`Mode::Receive`], the messages of each message group in order.
    Fifo,
    /// In turns: by locking a queue, pulling and committing offsets, and by receiving in between.
    Locks,
    /// By receiving LiteTopics, each in order, as its members choose them.
    Lite,
}

/// A group of the run; it consumes all topics.
#[derive(Clone, Debug)]
pub struct PlannedGroup {
    /// Its name.
    pub name: GroupName,
    /// How it consumes.
    pub mode: Mode,
    /// Deliveries of one message.
    pub max_attempts: u32,
    /// The tag it wants; `None` for everything.
    pub tag: Option<String>,
}

/// The LiteTopics of a run.
#[derive(Clone, Debug)]
pub struct PlannedLite {
    /// Their topic.
    pub topic: TopicName,
    /// The group whose members choose some.
    pub group: PlannedGroup,
    /// Whether no two of its members have the same one.
    pub exclusive: bool,
    /// The group that consumes all of them.
    pub whole: Option<PlannedGroup>,
    /// Their names.
    pub names: Vec<LiteTopicName>,
    /// Minutes after the last message at which one ends.
    pub expiration_minutes: u64,
}

impl PlannedLite {
    fn choose(world: &World) -> Self {
        let name = |n| LiteTopicName::new(&format!("chat{n}")).expect("a plain name");
        let group = |name| PlannedGroup {
            name: GroupName::new(name).expect("a plain name"),
            mode: Mode::Lite,
            // What was not seen is lost then, and not a dead letter.
            max_attempts: 1_000,
            tag: None,
        };
        Self {
            topic: TopicName::new("chats").expect("a plain name"),
            group: group("agents"),
            exclusive: world.chance(40),
            whole: world.chance(50).then(|| group("archive")),
            names: (0..2 * world.between(1, 4)).map(name).collect(),
            expiration_minutes: world.between(2, 3),
        }
    }

    /// Time after the last message at which a LiteTopic ends.
    pub fn expiration(&self) -> Duration {
        Duration::from_secs(self.expiration_minutes * 60)
    }

    /// What the topic is created with.
    pub fn topic_spec(&self, planted: Planted) -> TopicSpec {
        let mut spec = TopicSpec::new(self.topic.clone(), 1);
        spec.topic_type = Some(TopicType::Lite);
        let minutes = match planted {
            Planted::HastyEnds => 1,
            _ => self.expiration_minutes,
        };
        let expiration = TopicSpec::LITE_TOPIC_EXPIRATION.to_owned();
        spec.attributes.insert(expiration, minutes.to_string());
        spec
    }

    /// All groups.
    pub fn groups(&self) -> impl Iterator<Item = &PlannedGroup> {
        std::iter::once(&self.group).chain(&self.whole)
    }

    /// What a group is created with.
    pub fn group_spec(&self, group: &PlannedGroup, planted: Planted) -> GroupSpec {
        let mut spec = GroupSpec::new(group.name.clone());
        spec.max_attempts = group.max_attempts;
        let chooses = group.name == self.group.name;
        spec.lite_topic = chooses.then(|| self.topic.clone());
        if chooses && self.exclusive && planted != Planted::SharedLiteTopics {
            let model = GroupSpec::LITE_SUB_MODEL.to_owned();
            spec.settings.insert(model, "Exclusive".to_owned());
        }
        spec
    }
}

/// How producers are asked how their transactions ended.
#[derive(Clone, Copy, Debug)]
pub struct Checks {
    /// Time after which the first question comes, in milliseconds.
    pub timeout_ms: u64,
    /// Time between two questions, in milliseconds.
    pub interval_ms: u64,
    /// Questions before a half message is put aside.
    pub max: u32,
}

/// When what failed comes again.
#[derive(Clone, Copy, Debug)]
pub enum Retry {
    /// After so many milliseconds.
    Fixed(u64),
    /// After RocketMQ's steps.
    Steps,
}

impl Retry {
    /// The pause after so many failures, not counting the last one, in milliseconds.
    pub fn pause_ms(self, failures: i32) -> u64 {
        const STEPS_S: [u64; 6] = [10, 30, 60, 120, 180, 240];
        match self {
            Self::Fixed(ms) => ms,
            Self::Steps => STEPS_S[(failures as usize).min(STEPS_S.len() - 1)] * 1_000,
        }
    }
}

/// Everything about a run that is decided before it begins.
#[derive(Clone, Debug)]
pub struct Settings {
    /// Topics.
    pub topics: Vec<PlannedTopic>,
    /// Groups.
    pub groups: Vec<PlannedGroup>,
    /// LiteTopics, beside the topics and groups.
    pub lite: Option<PlannedLite>,
    /// Size of the log's first segments.
    pub segment_bytes: u64,
    /// Bytes that may wait for the disk.
    pub pending_bytes_max: u64,
    /// Bytes of the newest records kept in memory.
    pub recent_bytes_max: u64,
    /// Longest pause between checkpoints.
    pub checkpoint_interval_ms: u64,
    /// What is kept.
    pub retention: Option<Retention>,
    /// Longest pause between runs of retention.
    pub retain_interval_ms: u64,
    /// What fails now and then.
    pub faults: Faults,
    /// In how many of a hundred cases a client goes away before its answer comes.
    pub cancel_percent: u64,
    /// Most body bytes of a message.
    pub body_bytes_max: u64,
    /// Message groups that messages may belong to.
    pub message_groups: u64,
    /// Of a hundred messages, how many are timed.
    pub timed_percent: u64,
    /// Longest delay of most timed messages, in milliseconds.
    pub delay_ms_max: u64,
    /// Time after which a queue lock that is not renewed is free, in milliseconds.
    pub lock_ms: u64,
    /// Whether there are transactions.
    pub transactions: bool,
    /// How producers are asked.
    pub checks: Checks,
    /// Of a hundred messages that are pulled, how many are sent back.
    pub back_percent: u64,
    /// Pause before a message that was sent back comes again.
    pub retry: Retry,
    /// Whether this is the last life, in which nothing goes wrong any more.
    pub last: bool,
    /// Lives before the last one, and how each ends.
    pub endings: Vec<Ending>,
}

/// Tags that messages have. The last two share a hash, by which the index tells tags apart.
pub const TAGS: [&str; 3] = ["TagA", "Aa", "BB"];

impl Settings {
    /// What `group` consumes.
    pub fn topics_of(&self, group: &PlannedGroup) -> Vec<PlannedTopic> {
        let sends_back = group.mode == Mode::Pull && self.back_percent > 0;
        let retry = sends_back.then(|| PlannedTopic::retry_of(group));
        self.topics.iter().cloned().chain(retry).collect()
    }

    /// Decides. `steps` is the largest number of scheduler steps in a life.
    pub fn choose(world: &World, steps: u64) -> Self {
        let topic = |name: &str, queues, volatile| PlannedTopic {
            name: TopicName::new(name).expect("a plain name"),
            queues,
            volatile,
            priority: false,
        };
        let mut topics = vec![topic("orders", world.between(1, 3) as u32, false)];
        if world.chance(50) {
            topics.push(topic("payments", 1, false));
        }
        if world.chance(40) {
            topics.push(topic("temporary", 2, true));
        }
        if world.chance(40) {
            topics.push(PlannedTopic {
                priority: true,
                ..topic("urgent", world.between(2, 4) as u32, false)
            });
        }
        let mut groups = Vec::new();
        for (name, mode) in [
            ("puller", Mode::Pull),
            ("receiver", Mode::Receive),
            ("impatient", Mode::Receive),
            ("picky", Mode::Receive),
            ("orderly", Mode::InOrder),
            ("fifo", Mode::Fifo),
            ("locker", Mode::Locks),
        ] {
            let picky = name == "picky";
            if world.chance(50) && (name != "locker" || groups.len() >= 2) {
                continue;
            }
            groups.push(PlannedGroup {
                name: GroupName::new(name).expect("a plain name"),
                mode,
                max_attempts: match name {
                    "impatient" => 2,
                    // Offsets tell how far it is, and dead letters would blur that.
                    "locker" => 1_000,
                    _ => world.between(1, 5) as u32,
                },
                tag: picky.then(|| TAGS[world.below(3) as usize].to_owned()),
            });
        }
        let retention = match world.below(4) {
            0 => Some(Retention {
                time: Duration::from_secs(world.between(2, 60)),
                bytes: None,
            }),
            1 => Some(Retention {
                time: Duration::from_secs(3_600),
                bytes: Some(world.between(1, 4) * 128 * 1024),
            }),
            _ => None,
        };
        let some = |per_mille: u64| if world.chance(25) { per_mille } else { 0 };
        let faults = Faults {
            read: some(20),
            write: some(5),
            sync: some(5),
            create: some(300),
            kv: some(50),
        };
        let endings = (0..world.between(1, 4))
            .map(|_| {
                let crash = if world.chance(70) {
                    Crash::PowerLoss
                } else {
                    Crash::Kill
                };
                match world.below(5) {
                    0 => Ending::Clean(world.between(200, steps)),
                    1 | 2 => Ending::AtStep(world.between(50, steps), crash),
                    _ => Ending::AtOperation(world.between(1, 600), crash),
                }
            })
            .collect();
        let checks = Checks {
            timeout_ms: world.between(20, 1_500),
            interval_ms: world.between(20, 800),
            max: world.between(1, 4) as u32,
        };
        Self {
            topics,
            groups,
            lite: world.chance(40).then(|| PlannedLite::choose(world)),
            message_groups: [0, 3, 20][world.below(3) as usize],
            timed_percent: [0, 0, 10, 40][world.below(4) as usize],
            delay_ms_max: [20, 500, 5_000, 90_000][world.below(4) as usize],
            lock_ms: [50, 400, 5_000, 60_000][world.below(4) as usize],
            transactions: world.chance(40),
            checks,
            back_percent: [0, 0, 4, 15][world.below(4) as usize],
            retry: match world.chance(30) {
                true => Retry::Steps,
                false => Retry::Fixed(world.between(1, 1_000)),
            },
            last: false,
            segment_bytes: 64 * 1024,
            pending_bytes_max: [16 * 1024, 256 * 1024][world.below(2) as usize],
            recent_bytes_max: [4 * 1024, 64 * 1024, 1024 * 1024][world.below(3) as usize],
            checkpoint_interval_ms: world.between(50, 3_000),
            retention,
            retain_interval_ms: world.between(50, 2_000),
            faults,
            cancel_percent: [0, 5, 20][world.below(3) as usize],
            body_bytes_max: [64, 1_500, 9_000][world.below(3) as usize],
            endings,
        }
    }
}
