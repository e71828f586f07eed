//! What clients sent, got and were told, and what must be true of it: the checkers.
//!
//! The ledger outlives every node. It knows only what a client could know, and up to where the log
//! was durable at each crash; from this follows what may have been lost and what may not.

pub mod deliveries;
mod end;
pub mod lite;
pub mod locks;
mod order;
mod priorities;
pub mod returned;
pub mod waiting;

use std::{
    collections::{BTreeMap, BTreeSet, VecDeque},
    sync::Arc,
    time::Duration,
};

use base::{GroupName, LiteTopicName, LogPosition, QueueId, QueueOffset, Timestamp, TopicName};
use broker::{ReceiptHandle, Retention, Sent};
use wire::message::{StoredMessage, properties};

use crate::{
    body,
    node::Node,
    plan::{Checks, Settings},
    world::World,
};
use lite::LiteTopics;
use locks::Turns;
use order::Lines;
use priorities::Priorities;
use returned::{Returned, retry_group};
use waiting::Waiting;

/// A message that a client tried to send.
#[derive(Clone, Debug)]
pub struct Letter {
    /// Its topic.
    pub topic: TopicName,
    /// Whether its topic is deleted now and then, so that it may be gone.
    pub volatile: bool,
    /// Its tag.
    pub tag: Option<String>,
    /// Its message group.
    pub message_group: Option<String>,
    /// Its priority, and the queue that messages of that priority go to.
    pub priority: Option<(u32, QueueId)>,
    /// Its LiteTopic.
    pub lite_topic: Option<LiteTopicName>,
    /// Bytes of its body.
    pub body_bytes: usize,
    /// Where the answer said it is; if it waits, where it was first stored.
    pub sent: Option<Sent>,
    /// What it waits for outside its queue, if it does.
    pub waiting: Option<Waiting>,
    /// Queue and offset where it was first seen or said to be.
    place: Option<(QueueId, u64)>,
    /// Where in the log it was seen.
    position: Option<LogPosition>,
}

/// A delivery to a client of a group.
#[derive(Clone, Debug)]
struct Delivery {
    /// Tells it from all others.
    serial: u64,
    life: u64,
    attempt: u32,
    until: Timestamp,
    /// The log reached to here once the receipt was in it.
    tail: LogPosition,
    /// The receipt survives whatever happens.
    firm: bool,
}

/// How far one group is with one message.
#[derive(Clone, Debug, Default)]
struct Progress {
    delivered: bool,
    last: Option<Delivery>,
    /// The latest end that any delivery had: a crash may bring that one back.
    latest_end: Timestamp,
    /// Acked or forwarded with success; the record of it is before this position.
    settled: Option<LogPosition>,
    settled_firmly: bool,
    /// Settlements since the last delivery whose answer has not come: they may have happened.
    perhaps_settled: u32,
    /// It was in flight, durably, when retention ran: it must not expire.
    owed: bool,
}

/// How far a pulling group is on a queue.
#[derive(Clone, Debug, Default)]
struct Commits {
    /// Commits that may be lost, with the log's tail after each.
    unsure: VecDeque<(u64, LogPosition)>,
    firm: Option<u64>,
    largest: u64,
}

impl Commits {
    /// The last of them, as far as it is not lost.
    fn newest(&self) -> Option<u64> {
        let unsure = self.unsure.back().map(|(offset, _)| *offset);
        unsure.or(self.firm)
    }
}

/// A receipt that a client holds.
#[derive(Clone, Debug)]
pub struct Held {
    /// Group of the client.
    pub group: GroupName,
    /// Topic of the message.
    pub topic: TopicName,
    /// The message.
    pub letter: u64,
    /// The receipt.
    pub handle: ReceiptHandle,
    /// Until when it is good.
    pub until: Timestamp,
    serial: u64,
}

/// Where half messages go that nobody decides about.
pub const ASIDE: &str = "TRANS_CHECK_MAX_TIME_TOPIC";

/// A position that the log never reaches.
const NEVER: LogPosition = LogPosition::new(u64::MAX);

/// The ledger of a run.
pub struct Ledger {
    world: Arc<World>,
    /// How producers are asked.
    checks: Checks,
    /// How long a queue lock lasts.
    lock_ms: u64,
    life: u64,
    /// When each life began.
    life_begins: Vec<Duration>,
    letters: Vec<Letter>,
    places: BTreeMap<(TopicName, QueueId, u64), u64>,
    progress: BTreeMap<(GroupName, u64), Progress>,
    pulled: BTreeSet<(GroupName, u64)>,
    returned: Returned,
    commits: BTreeMap<(GroupName, TopicName, QueueId), Commits>,
    turns: Turns,
    lines: Lines,
    priorities: Priorities,
    lite: LiteTopics,
    /// Deliveries so far.
    deliveries: u64,
    /// Receipts that clients of this or an earlier life hold.
    pub held: Vec<Held>,
    /// Up to where the log was durable, and since when.
    durable: Vec<(LogPosition, Duration)>,
    /// Last time that something happened to a group's receives that may delay a delivery.
    disturbed: BTreeMap<GroupName, Duration>,
    /// Where the log starts at least.
    start: LogPosition,
    retention_began: Timestamp,
    violation: Option<String>,
}

impl Ledger {
    /// An empty ledger.
    pub fn new(world: &Arc<World>, settings: &Settings) -> Self {
        Self {
            world: Arc::clone(world),
            checks: settings.checks,
            lock_ms: settings.lock_ms,
            life: 0,
            life_begins: Vec::new(),
            letters: Vec::new(),
            places: BTreeMap::new(),
            progress: BTreeMap::new(),
            pulled: BTreeSet::new(),
            returned: Returned::default(),
            commits: BTreeMap::new(),
            turns: Turns::default(),
            lines: Lines::default(),
            priorities: Priorities::default(),
            lite: LiteTopics::of(settings.lite.as_ref()),
            deliveries: 0,
            held: Vec::new(),
            durable: Vec::new(),
            disturbed: BTreeMap::new(),
            start: LogPosition::default(),
            retention_began: Timestamp::default(),
            violation: None,
        }
    }

    /// The first thing that should not have happened.
    pub fn violation(&self) -> Option<&str> {
        self.violation.as_deref()
    }

    /// Notes that something happened that never should.
    pub fn violate(&mut self, what: String) {
        self.world.note(format_args!("VIOLATION {what}"));
        self.violation.get_or_insert(what);
    }

    fn check(&mut self, holds: bool, what: impl FnOnce() -> String) {
        if !holds {
            let what = what();
            self.violate(what);
        }
    }

    /// Messages that clients tried to send.
    pub fn letters(&self) -> &[Letter] {
        &self.letters
    }

    /// A node is open on what was left.
    pub fn life_begins(&mut self, node: &Node) {
        self.life_begins.push(self.world.elapsed());
        self.life = self.life_begins.len() as u64;
        self.start = node.shard.log().start().max(self.start);
        self.durable = vec![(node.durable_end(), self.world.elapsed())];
        self.disturbed.clear();
        self.turns.node_is_new();
        self.lines.node_is_new();
        self.priorities.node_is_new();
        self.lite.node_is_new();
    }

    /// The node is gone; its log was durable up to `end`. What was not is as if it had never been.
    pub fn life_ends(&mut self, end: LogPosition) {
        for progress in self.progress.values_mut() {
            if let Some(settled) = progress.settled
                && !progress.settled_firmly
            {
                progress.settled_firmly = settled <= end;
                if settled > end {
                    progress.settled = None;
                    progress.perhaps_settled += 1;
                }
            }
            if let Some(last) = &mut progress.last
                && last.life == self.life
            {
                last.firm = last.tail <= end;
            }
        }
        for commits in self.commits.values_mut() {
            while let Some((offset, tail)) = commits.unsure.pop_front() {
                if tail <= end {
                    commits.firm = Some(offset);
                }
            }
        }
    }

    /// The log is durable up to `end` as of now.
    pub fn became_durable(&mut self, end: LogPosition) {
        self.durable.push((end, self.world.elapsed()));
    }

    /// When the record at `position` became durable.
    fn durable_since(&self, position: LogPosition) -> Duration {
        let after = self.durable.partition_point(|(end, _)| *end <= position);
        self.durable
            .get(after)
            .map_or(Duration::MAX, |(_, since)| *since)
    }

    /// Something happened that may delay what clients of `group` get.
    pub fn disturb(&mut self, group: &GroupName) {
        self.disturbed.insert(group.clone(), self.world.elapsed());
    }

    /// A client is about to send a message; returns its number.
    pub fn will_send(&mut self, letter: Letter) -> u64 {
        self.letters.push(letter);
        self.letters.len() as u64 - 1
    }

    /// A letter that is yet to be sent.
    pub fn letter(
        topic: TopicName,
        volatile: bool,
        tag: Option<String>,
        body_bytes: usize,
    ) -> Letter {
        Letter {
            topic,
            volatile,
            tag,
            message_group: None,
            priority: None,
            lite_topic: None,
            body_bytes,
            sent: None,
            waiting: None,
            place: None,
            position: None,
        }
    }

    /// The send of message `number` was confirmed.
    pub fn was_sent(&mut self, number: u64, sent: Sent) {
        let position = sent.physical_offset.position();
        let since = self.durable_since(position);
        self.check(since <= self.world.elapsed(), || {
            format!("message {number} was confirmed at {position} before it was durable")
        });
        self.letters[number as usize].sent = Some(sent);
        if self.was_sent_to_wait(number, &sent) {
            return;
        }
        self.letters[number as usize].waiting = None;
        self.note_place(number, sent.queue, sent.queue_offset.get());
        self.is_in_lite_topic(number, sent.queue, sent.store_timestamp);
    }

    /// Message `number` is at this place: it always was, and nothing else is.
    fn note_place(&mut self, number: u64, queue: QueueId, offset: u64) {
        let letter = &mut self.letters[number as usize];
        if letter.volatile {
            return;
        }
        let known = *letter.place.get_or_insert((queue, offset));
        let topic = letter.topic.clone();
        self.check(known == (queue, offset), || {
            format!("message {number} of {topic} is at {queue}/{offset}, was at {known:?}")
        });
        let priority = self.letters[number as usize].priority;
        self.check(priority.is_none_or(|(_, wanted)| wanted == queue), || {
            format!("message {number} of {topic} is in {queue}, has priority {priority:?}")
        });
        let key = (topic.clone(), queue, offset);
        let there = *self.places.entry(key).or_insert(number);
        self.check(there == number, || {
            format!("offset {offset} of {topic}/{queue} holds message {number}, held {there}")
        });
    }

    /// A message came out: it must be one that went in, unchanged. Returns its number.
    pub fn identify(&mut self, topic: &TopicName, message: &StoredMessage) -> Option<u64> {
        let bytes = message.body();
        let number = body::number_of(&bytes).filter(|n| *n < self.letters.len() as u64);
        let Some(number) = number else {
            self.violate(format!("a message of {topic} was never sent: {message:?}"));
            return None;
        };
        let letter = &self.letters[number as usize];
        let intact = body::of(number, letter.body_bytes) == bytes
            && message.verify_body_crc().is_ok()
            && letter.tag.as_deref() == message.view().tags()
            && letter.lite_topic.as_ref().map(LiteTopicName::as_str)
                == message.property(properties::LITE_TOPIC)
            && message.view().unique_key() == Some(format!("u{number}").as_str());
        let volatile = letter.volatile;
        let dead_letter = topic.dead_letter_group().is_some();
        let aside = topic.as_str() == ASIDE;
        let retry = retry_group(topic);
        let same_topic = letter.topic == *topic && message.topic() == topic.as_str();
        self.check(intact, || {
            format!("message {number} of {topic} was changed")
        });
        self.check(
            same_topic || dead_letter || aside || retry.is_some(),
            || format!("message {number} was found in {topic}"),
        );
        if aside {
            self.was_put_aside(number, message);
            return Some(number);
        }
        if let Some(group) = retry {
            self.came_back(&group, number, false, message);
            return Some(number);
        }
        if !dead_letter {
            self.waited(number, message);
        }
        if !dead_letter && !volatile {
            let offset = message.queue_offset().cast_unsigned();
            let queue = QueueId::new(message.queue_id());
            self.note_place(number, queue, offset);
            let stored = Timestamp::from_ms(message.store_timestamp());
            self.is_in_lite_topic(number, queue, stored);
            let position = LogPosition::new(message.physical_offset().cast_unsigned());
            self.letters[number as usize].position = Some(position);
        }
        Some(number)
    }

    /// A pulling client got a message.
    pub fn pulled(&mut self, group: &GroupName, number: u64) {
        self.pulled.insert((group.clone(), number));
    }

    /// A pull that began at `called` brought this message first.
    pub fn pull_ended(&mut self, message: &StoredMessage, called: Duration) {
        let position = LogPosition::new(message.physical_offset().cast_unsigned());
        let since = self.durable_since(position);
        let now = self.world.elapsed();
        self.check(since <= called || since == now, || {
            format!("a pull waited since {called:?} for what came at {since:?}: {message:?}")
        });
    }

    /// A pulling client committed `offset`.
    pub fn committed(
        &mut self,
        node: &Node,
        group: &GroupName,
        topic: &TopicName,
        queue: QueueId,
        offset: u64,
    ) {
        let tail = node.tail();
        let key = (group.clone(), topic.clone(), queue);
        let commits = self.commits.entry(key).or_default();
        commits.unsure.push_back((offset, tail));
        commits.largest = commits.largest.max(offset);
    }

    /// The broker says that the group has come to `found`.
    pub fn check_committed(
        &mut self,
        group: &GroupName,
        topic: &TopicName,
        queue: QueueId,
        found: Option<QueueOffset>,
    ) {
        let key = (group.clone(), topic.clone(), queue);
        let commits = self.commits.entry(key).or_default().clone();
        let newest = commits.newest();
        let found = found.map(QueueOffset::get);
        let holds = match (found, newest) {
            (Some(found), Some(newest)) => found >= newest && found <= commits.largest,
            (Some(found), None) => found <= commits.largest,
            (None, newest) => newest.is_none(),
        };
        self.check(holds, || {
            format!("{group} is at {found:?} of {topic}/{queue} after {commits:?}")
        });
    }

    /// Retention begins: what is in flight, durably, is owed.
    pub fn retention_begins(&mut self, node: &Node) {
        self.retention_began = self.world.now();
        self.ends_are_looked_for();
        let (end, life) = (node.durable_end(), self.life);
        for ((_, number), progress) in &mut self.progress {
            let durable = |last: &Delivery| last.firm || (last.life == life && last.tail <= end);
            // What was handed out while the last run took it away is with its client alone.
            let place = self.letters[*number as usize].known_place();
            let is_there = place.is_some_and(|(.., position)| position >= self.start);
            if is_there && progress.settled.is_none() && progress.last.as_ref().is_some_and(durable)
            {
                progress.owed = true;
            }
        }
    }

    /// Retention ended; the log starts at `start`.
    pub fn trimmed(&mut self, node: &Node, start: LogPosition, retention: Retention) {
        self.start = self.start.max(start);
        let log = node.shard.log();
        let young = self.letters.iter().position(|letter| {
            letter.sent.is_some_and(|sent| {
                sent.physical_offset.position() < start
                    && self.world.now().since(sent.store_timestamp) < retention.time
            })
        });
        let kept: u64 = log
            .segments()
            .iter()
            .map(|segment| segment.disk_bytes)
            .sum();
        // Sizes may take the young; without a limit of bytes nothing may.
        let holds = young.is_none()
            || retention
                .bytes
                .is_some_and(|limit| kept + 256 * 1024 > limit);
        self.check(holds, || {
            format!("message {young:?} was trimmed before its time")
        });
    }

    /// The log starts at `start`, whoever trimmed it.
    pub fn trimmed_to(&mut self, start: LogPosition) {
        self.start = self.start.max(start);
    }
}
