//! What can be seen of an operation, with all that must differ between two servers masked.

use std::fmt;

use wire::message::{StoredMessage, properties};
use wire::remoting::ResponseCode;

/// How a server reacted.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(super) enum Reaction {
    /// With this code.
    Code(i32),
    /// Not at all.
    Silence,
    /// By ending the connection, or with bytes that are no answer.
    Broken,
    /// It was not asked: what the operation refers to had failed before.
    NotAsked,
}

/// How a server reacted, and what else was to be seen, line by line.
#[derive(Clone, Debug, PartialEq, Eq)]
pub(super) struct Outcome {
    /// The reaction.
    pub(super) reaction: Reaction,
    /// Named values, and messages.
    pub(super) lines: Vec<String>,
}

impl Outcome {
    /// A reaction without more.
    pub(super) fn new(reaction: Reaction) -> Self {
        Self {
            reaction,
            lines: Vec::new(),
        }
    }

    /// The same with one line more.
    pub(super) fn with(mut self, line: impl Into<String>) -> Self {
        self.lines.push(line.into());
        self
    }

    /// Whether the server said so.
    pub(super) fn is(&self, code: ResponseCode) -> bool {
        self.reaction == Reaction::Code(code.into())
    }

    /// The value of a line `name=value`.
    pub(super) fn value(&self, name: &str) -> Option<&str> {
        self.lines
            .iter()
            .find_map(|line| line.strip_prefix(name)?.strip_prefix('='))
    }
}

impl fmt::Display for Outcome {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        match self.reaction {
            Reaction::Code(code) => {
                let name = ResponseCode::from_i32(code).map_or("unknown", ResponseCode::name);
                write!(f, "code={code} {name}")?;
            }
            Reaction::Silence => write!(f, "no answer")?,
            Reaction::Broken => write!(f, "connection ended")?,
            Reaction::NotAsked => write!(f, "not asked")?,
        }
        for line in &self.lines {
            write!(f, "\n{line}")?;
        }
        Ok(())
    }
}

/// Before each property of a message in a line.
pub(super) const PROPERTY: &str = "; ";

/// Properties whose values are times, ids or addresses of the server, or depend on when it looks.
const MASKED: [&str; 12] = [
    properties::ORIGIN_MESSAGE_ID,
    properties::POP_CK,
    properties::FIRST_POP_TIME,
    properties::TIMER_DELIVER_MS,
    properties::TIMER_OUT_MS,
    properties::TIMER_ENQUEUE_MS,
    properties::TIMER_DEQUEUE_MS,
    properties::TRANSACTION_PREPARED_QUEUE_OFFSET,
    properties::DLQ_ORIGIN_MESSAGE_ID,
    properties::TRANSACTION_ID,
    properties::TRANSACTION_CHECK_TIMES,
    "TIMER_ROLL_TIMES",
];

/// What an application sees of a message, without its place.
pub(super) fn content(message: &StoredMessage) -> String {
    let mut properties: Vec<String> = message
        .properties()
        .map(|(name, value)| {
            let shown = match value.len() {
                _ if MASKED.contains(&name) => "*".to_owned(),
                0..=80 => value.to_owned(),
                length => format!("{length} bytes"),
            };
            format!("{PROPERTY}{name}={shown}")
        })
        .collect();
    properties.sort();
    format!(
        "flag={} system={:#x} deliveries={} body={}:{:08x}{}",
        message.flag(),
        message.sys_flag(),
        message.reconsume_times(),
        message.body().len(),
        message.body_crc(),
        properties.concat()
    )
}

/// What an application sees of a message.
pub(super) fn message(message: &StoredMessage) -> String {
    format!(
        "message {}[{}]@{} {}",
        message.topic(),
        message.queue_id(),
        message.queue_offset(),
        content(message)
    )
}
