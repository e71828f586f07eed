//! What a workload is made of. Operations name topics, groups and earlier operations in place of
//! what a server gave out, so that the same list can be run against any server, or a part of it.

/// A topic of a seed. Every seed has its own.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Hash, PartialOrd, Ord)]
pub(super) enum Topic {
    /// Two queues, read and written in all ways.
    Plain,
    /// Eight queues for timed messages, one for each.
    Timed,
    /// One queue, read by receipt.
    Popped,
    /// One queue, read by receipt and in order.
    Ordered,
    /// Created by the first send to it.
    Automatic,
    /// For messages that one of the servers may refuse.
    Sink,
    /// The retry topic of a group.
    Retry(Group),
    /// The dead letters of a group.
    DeadLetter(Group),
    /// Was never created.
    Missing,
    /// A name longer than any server takes.
    OverLong,
    /// A name with characters that no server takes.
    OddName,
}

/// A group of a seed.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Hash, PartialOrd, Ord)]
pub(super) enum Group {
    /// Pulls.
    First,
    /// Pulls.
    Second,
    /// Commits numbers and pulls with filters that one of the servers may refuse.
    Careless,
    /// Receives with receipts.
    Popping,
    /// Receives with receipts, in order.
    Ordering,
    /// Was never created.
    Missing,
}

/// One of the two clients of a seed, each with a connection of its own.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Hash)]
pub(super) enum Client {
    /// Sends all that no other is named for.
    One,
    /// The other.
    Two,
}

/// A queue offset that depends on what happened before.
#[derive(Clone, Copy, Debug)]
pub(super) enum Offset {
    /// This number.
    At(i64),
    /// As many after the last message, or before.
    End(i64),
}

/// A time that depends on the clock.
#[derive(Clone, Copy, Debug)]
pub(super) enum Time {
    /// 1970.
    Start,
    /// An hour from now.
    Future,
    /// When a message was stored that an earlier pull read.
    Of(usize),
}

/// When a timed message is due.
#[derive(Clone, Copy, Debug)]
pub(super) enum Delay {
    /// By level.
    Level(i32),
    /// At a time, ms from now.
    AtMs(i64),
    /// After a time, ms.
    AfterMs(i64),
    /// After a time, s.
    AfterSeconds(i64),
}

/// A filter of a pull or pop.
#[derive(Clone, Copy, Debug)]
pub(super) struct Filter {
    /// `TAG` or `SQL92`.
    pub(super) kind: &'static str,
    /// The expression.
    pub(super) expression: &'static str,
}

impl Filter {
    /// Whether a server can evaluate it.
    pub(super) fn is_readable(self) -> bool {
        self.kind != "NONE" && self.expression != "size >"
    }
}

/// A message to be sent.
#[derive(Clone, Debug)]
pub(super) struct Content {
    /// Where to.
    pub(super) topic: Topic,
    /// Which queue.
    pub(super) queue: i32,
    /// Bytes of the body.
    pub(super) size: usize,
    /// The tag, if any.
    pub(super) tag: Option<&'static str>,
    /// Whether it has a key, which is the number of the operation.
    pub(super) has_key: bool,
    /// Further properties.
    pub(super) properties: Vec<(&'static str, String)>,
    /// The flag that only applications read.
    pub(super) flag: i32,
    /// Bits of the system flag.
    pub(super) sys_flag: i32,
}

/// How a receipt is presented.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(super) enum Receipt {
    /// As it was given out.
    Genuine,
    /// Text that is none.
    Garbage,
    /// With an offset that it does not name.
    WrongOffset,
}

/// One request and how its answer is read.
#[derive(Clone, Debug)]
pub(super) enum Operation {
    /// Send one message, with long (10) or short names (310).
    Send { content: Content, is_short: bool },
    /// Send several at once (320).
    SendBatch { content: Content, count: usize },
    /// Send a half message. If it is to be checked, nobody ends it until the server asks.
    SendHalf { content: Content, is_checked: bool },
    /// Wait until the server asks the producer how the transaction ended (39), and answer that.
    AwaitCheck { half: usize, decision: i32 },
    /// End the transaction of a half message (37).
    EndTransaction {
        half: usize,
        decision: i32,
        is_right_group: bool,
        /// Added to the half message's offset in its queue.
        shift: i64,
        /// Whether one of the servers has ended it already.
        is_again: bool,
    },
    /// Send a message that is due later; each has a queue of its own.
    SendTimed { content: Content, delay: Delay },
    /// Wait for the message of a timed send, and for a while if there is to be none.
    Await { send: usize, is_expected: bool },
    /// Recall a timed message (370).
    Recall { send: usize, is_genuine: bool },
    /// Pull (11 or 361).
    Pull {
        group: Group,
        topic: Topic,
        queue: i32,
        offset: Offset,
        count: i32,
        filter: Option<Filter>,
        suspend_ms: i64,
        commit: Option<i64>,
        /// By the code of lite pull consumers (361).
        is_lite: bool,
    },
    /// Send the first message that a pull read back (36).
    SendBack {
        pull: usize,
        group: Group,
        delay_level: i32,
        retries_max: i32,
    },
    /// Wait for what a send-back puts into the retry topic, or into the dead letters.
    AwaitSentBack { send_back: usize },
    /// Commit (15).
    Commit {
        group: Group,
        topic: Topic,
        queue: i32,
        offset: Offset,
    },
    /// Query the committed offset (14).
    Committed {
        group: Group,
        topic: Topic,
        queue: i32,
        zero_if_none: Option<bool>,
    },
    /// Find an offset by time (29).
    Search {
        topic: Topic,
        queue: i32,
        time: Time,
        boundary: Option<&'static str>,
    },
    /// The end of a queue (30).
    MaxOffset { topic: Topic, queue: i32 },
    /// The start of a queue (31).
    MinOffset { topic: Topic, queue: i32 },
    /// The store time of a queue's first message (32).
    EarliestStoreTime { topic: Topic, queue: i32 },
    /// How far all groups have come (43), of which those of the seed are looked at.
    AllCommitted,
    /// How far a group has come, beside where its queues end (208).
    ConsumeStats { group: Group },
    /// Set a group's offsets by time (222).
    Reset {
        group: Group,
        topic: Topic,
        time: Time,
    },
    /// Receive with receipts (200050).
    Pop {
        count: i32,
        invisible_ms: i64,
        is_from_start: bool,
        filter: Option<Filter>,
        topic: Topic,
        /// A queue hands out nothing while a message of it is out.
        is_ordered: bool,
    },
    /// Wait until what a pop received and nobody acknowledged can be received again, and do so.
    PopAgain { pop: usize },
    /// Wait until what a pop in order received and nobody acknowledged is handed out again.
    PopOrderedAgain { pop: usize },
    /// Acknowledge a message of a pop (200051).
    Ack {
        pop: usize,
        message: usize,
        receipt: Receipt,
    },
    /// Acknowledge all messages of a pop at once (200151).
    AckAll { pop: usize },
    /// Move the time at which a message of a pop becomes visible (200053).
    ChangeInvisible {
        pop: usize,
        message: usize,
        invisible_ms: i64,
        receipt: Receipt,
    },
    /// Lock queues of the plain topic (41).
    Lock {
        client: Client,
        group: Group,
        queues: Vec<i32>,
    },
    /// Unlock them (42).
    Unlock {
        client: Client,
        group: Group,
        queues: Vec<i32>,
    },
    /// Find messages by the key of a send (12).
    QueryKey { send: usize, is_unique: bool },
    /// Find a message by the server's id of a send (33).
    ViewById { send: usize, shift: i64 },
    /// Tell of a consumer (34).
    Heartbeat {
        client: Client,
        group: Group,
        filter: Filter,
    },
    /// Leave the group (35).
    Unregister { client: Client, group: Group },
    /// Who consumes (38).
    Consumers { group: Group },
    /// Where the queues of a topic are (105).
    Route { topic: Topic },
    /// A request made of names and values alone: what is missing or malformed.
    Raw {
        code: i32,
        fields: Vec<(&'static str, String)>,
    },
}
