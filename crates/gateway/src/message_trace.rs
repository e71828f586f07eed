//! What happens to messages of gRPC clients, told to those who ask later.
//!
//! Remoting clients write traces themselves, to a topic; gRPC clients leave that to their server.
//! Front ends say what happened, in [`MessageTraces::tell`], which never waits: events go into a
//! bounded queue, and those that find no room are lost and counted. One task (`recorder.rs`) takes
//! them out, writes them to the trace topic (`topic.rs`), and makes spans of them (`spans.rs`).

mod deliveries;
mod read;
mod recorder;
mod spans;
mod topic;

use std::{
    net::SocketAddr,
    sync::{
        Arc,
        atomic::{AtomicU64, Ordering},
    },
    time::Duration,
};

use base::{GroupName, Timestamp, TopicName, limits};
use broker::{Instance, MessageType, ReceiptHandle, Resolution};
use parking_lot::Mutex;
use tokio::sync::mpsc;
use wire::{message::properties, otlp::trace::v1::Span};

use self::spans::Parent;
pub(crate) use self::{
    read::{Step, sort, steps},
    recorder::start,
    topic::TRACE_TOPIC,
};

/// Where instrumented applications put the context of a message: W3C Trace Context.
const TRACE_PARENT: &str = "traceparent";

/// What is told of a message.
#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub(crate) struct Subject {
    /// The id that its sender gave it.
    pub(crate) id: String,
    /// Its tag, empty for none.
    pub(crate) tag: String,
    /// Its keys, separated by blanks.
    pub(crate) keys: String,
    /// Bytes of its body.
    pub(crate) body_bytes: usize,
    /// The trace that it belongs to, if it says so.
    pub(crate) parent: Option<Parent>,
}

impl Subject {
    /// The message with these properties, in their stored form.
    pub(crate) fn of(raw: &str, body_bytes: usize) -> Self {
        let mut subject = Self {
            body_bytes,
            ..Self::default()
        };
        for (name, value) in properties::iterate(raw) {
            match name {
                properties::UNIQUE_KEY => value.clone_into(&mut subject.id),
                properties::TAGS => value.clone_into(&mut subject.tag),
                properties::KEYS => subject.keys = fitting(value),
                TRACE_PARENT => subject.parent = Parent::read(value),
                properties::TRACE_CONTEXT => {
                    subject.parent = subject.parent.or_else(|| Parent::read(value));
                }
                _ => {}
            }
        }
        subject
    }

    /// A message of which its client said the id only.
    pub(crate) fn named(id: &str) -> Self {
        // Longer than any SDK makes one, shorter than what would fill the queue.
        const ID_BYTES_MAX: usize = 256;
        Self {
            id: id[..id.floor_char_boundary(ID_BYTES_MAX)].to_owned(),
            ..Self::default()
        }
    }
}

/// As many whole keys as find room.
fn fitting(keys: &str) -> String {
    let mut kept = String::new();
    for key in properties::keys(keys) {
        if kept.len() + 1 + key.len() > limits::TRACE_KEYS_BYTES_MAX {
            break;
        }
        if !kept.is_empty() {
            kept.push(properties::KEY_SEPARATOR);
        }
        kept.push_str(key);
    }
    kept
}

/// How a delivery ended.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) enum Outcome {
    /// The message is done.
    Acked,
    /// The consumer failed, and gets it again.
    Failed,
    /// The consumer gave up on it.
    DeadLettered,
}

/// What happened.
#[derive(Clone, Debug)]
pub(crate) enum What {
    /// A producer sent it.
    Sent {
        /// How long that took.
        took: Duration,
        /// What it asked for.
        kind: MessageType,
        /// The id that the server gave it; `None` if it was not stored.
        stored: Option<String>,
    },
    /// A consumer got it.
    Received {
        /// Its group.
        group: GroupName,
        /// Which delivery it is.
        delivery: Delivery,
    },
    /// A consumer was done with it.
    Settled {
        /// Its group.
        group: GroupName,
        /// Which delivery it was.
        delivery: Delivery,
        /// How it ended.
        outcome: Outcome,
    },
    /// A producer said how its transaction ended.
    TransactionEnded {
        /// Its group, where the protocol tells it.
        group: Option<GroupName>,
        /// Id of the transaction.
        transaction: String,
        /// How.
        resolution: Resolution,
        /// Whether it was asked for it.
        from_check: bool,
    },
    /// A producer took it back before it was due.
    Recalled,
}

/// One delivery of a message, whatever its receipt handle has become since.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Hash)]
pub(crate) struct Delivery(ReceiptHandle);

impl Delivery {
    pub(crate) fn of(handle: &ReceiptHandle) -> Self {
        Self(ReceiptHandle {
            nonce: 0,
            ..*handle
        })
    }

    /// What joins the records of this delivery.
    fn id(&self) -> String {
        self.0.to_string()
    }

    /// How often the message was handed out before.
    fn retries(&self) -> u32 {
        self.0.attempt.saturating_sub(1)
    }
}

/// Something that happened to a message.
#[derive(Clone)]
pub(crate) struct Event {
    /// Where.
    pub(crate) instance: Arc<Instance>,
    /// Its topic.
    pub(crate) topic: TopicName,
    /// The message.
    pub(crate) message: Subject,
    /// The client's id.
    pub(crate) client: String,
    /// Where the client is.
    pub(crate) host: SocketAddr,
    /// The address that clients know the server by.
    pub(crate) server: SocketAddr,
    /// When it happened; of a send, when it began.
    pub(crate) at: Timestamp,
    /// What.
    pub(crate) what: What,
}

/// The way of events to their recorder.
#[derive(Debug)]
pub(crate) struct MessageTraces {
    /// Whether events go to the trace topic.
    has_topic: bool,
    spans: Option<Spans>,
    events: mpsc::Sender<Event>,
    /// Taken by the recorder when it starts.
    queue: Mutex<Option<mpsc::Receiver<Event>>>,
    /// Events that found no room, or could not be written.
    lost: AtomicU64,
    /// Events in the trace topic.
    written: AtomicU64,
    /// Spans that nobody took in time.
    spans_lost: AtomicU64,
}

/// Where spans go.
#[derive(Debug)]
struct Spans {
    sampled_percent: u64,
    out: mpsc::Sender<Vec<Span>>,
}

impl MessageTraces {
    pub(crate) fn new(has_topic: bool) -> Self {
        let (events, queue) = mpsc::channel(limits::TRACE_EVENTS_QUEUED_MAX);
        Self {
            has_topic,
            spans: None,
            events,
            queue: Mutex::new(Some(queue)),
            lost: AtomicU64::new(0),
            written: AtomicU64::new(0),
            spans_lost: AtomicU64::new(0),
        }
    }

    /// Makes spans of what happens to so many of a hundred messages that bring no trace of their
    /// own, and gives them to `out`.
    pub(crate) fn give_spans(&mut self, sampled_percent: u64, out: mpsc::Sender<Vec<Span>>) {
        self.spans = Some(Spans {
            sampled_percent,
            out,
        });
    }

    /// Whether anybody asks. Front ends gather nothing otherwise.
    pub(crate) fn is_on(&self) -> bool {
        self.has_topic || self.spans.is_some()
    }

    /// Says what happened. Never waits.
    pub(crate) fn tell(&self, event: Event) {
        if self.is_on() && self.events.try_send(event).is_err() {
            self.lose(1);
        }
    }

    fn lose(&self, count: usize) {
        self.lost.fetch_add(count as u64, Ordering::Relaxed);
    }

    fn wrote(&self, count: usize) {
        self.written.fetch_add(count as u64, Ordering::Relaxed);
    }

    /// Events lost, events written, and spans lost, since the start.
    pub(crate) fn counts(&self) -> [u64; 3] {
        let load = |counter: &AtomicU64| counter.load(Ordering::Relaxed);
        [&self.lost, &self.written, &self.spans_lost].map(load)
    }
}

/// The name of a message's type in spans.
fn kind_name(kind: MessageType) -> &'static str {
    match kind {
        MessageType::Normal => "normal",
        MessageType::Fifo => "fifo",
        MessageType::Delay => "delay",
        MessageType::Transaction => "transaction",
        MessageType::Lite => "lite",
        MessageType::Priority => "priority",
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_subject_is_what_the_properties_say() {
        let raw = "UNIQ_KEY\u{1}id-1\u{2}TAGS\u{1}new\u{2}KEYS\u{1}k1 k2\u{2}other\u{1}x\u{2}";
        let subject = Subject::of(raw, 7);
        assert_eq!((subject.id.as_str(), subject.tag.as_str()), ("id-1", "new"));
        assert_eq!((subject.keys.as_str(), subject.body_bytes), ("k1 k2", 7));
    }

    #[test]
    fn keys_are_kept_whole_or_not_at_all() {
        let long = "k".repeat(limits::TRACE_KEYS_BYTES_MAX - 3);
        assert_eq!(fitting(&format!("{long} ab")), format!("{long} ab"));
        assert_eq!(fitting(&format!("{long} abc")), long);
        assert_eq!(Subject::named(&"\u{e9}".repeat(500)).id.len(), 256);
    }
}
