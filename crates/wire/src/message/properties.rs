//! The encoded form of message properties: `name \x01 value \x02`, repeated.
//!
//! The last separator may be missing (some 5.x clients leave it out). An entry without a name or
//! without a value is not a property, and of several entries with one name the last one counts, as
//! in `MessageDecoder.string2messageProperties` of RocketMQ.

/// Between a name and its value.
pub const NAME_VALUE_SEPARATOR: char = '\u{1}';
/// After each value.
pub const PROPERTY_SEPARATOR: char = '\u{2}';
/// Between the keys in the value of [`KEYS`].
pub const KEY_SEPARATOR: char = ' ';

macro_rules! names {
    ($($(#[$meta:meta])* $name:ident = $text:literal;)*) => {
        $($(#[$meta])* pub const $name: &str = $text;)*

        /// Names that RocketMQ gives a meaning; applications should use none of them.
        pub const WELL_KNOWN: &[&str] = &[$($text),*];
    };
}

names! {
    /// Keys of the application, separated by spaces.
    KEYS = "KEYS";
    /// Tag of the application.
    TAGS = "TAGS";
    /// Whether the client waits until the message is durable.
    WAIT = "WAIT";
    /// Delay level, 1 to 18.
    DELAY_LEVEL = "DELAY";
    /// Topic of a message that was sent to a group's retry topic.
    RETRY_TOPIC = "RETRY_TOPIC";
    /// Group that sent a message back.
    ORIGIN_GROUP = "ORIGIN_GROUP";
    /// Topic of a message that waits in another one (timer, half message).
    REAL_TOPIC = "REAL_TOPIC";
    /// Queue of a message that waits in another topic.
    REAL_QUEUE_ID = "REAL_QID";
    /// `true` on a half message.
    TRANSACTION_PREPARED = "TRAN_MSG";
    /// Producer group, which answers transaction checks.
    PRODUCER_GROUP = "PGROUP";
    /// Smallest offset of the queue, added by clients.
    MIN_OFFSET = "MIN_OFFSET";
    /// Largest offset of the queue, added by clients.
    MAX_OFFSET = "MAX_OFFSET";
    /// Used by unit-aware deployments.
    BUYER_ID = "BUYER_ID";
    /// Id of the first message of a chain of retries.
    ORIGIN_MESSAGE_ID = "ORIGIN_MESSAGE_ID";
    /// Used by message transfer tools.
    TRANSFER_FLAG = "TRANSFER_FLAG";
    /// Used by message transfer tools.
    CORRECTION_FLAG = "CORRECTION_FLAG";
    /// Used by message transfer tools.
    MQ2_FLAG = "MQ2_FLAG";
    /// Reconsume count that a producer carries over.
    RECONSUME_TIME = "RECONSUME_TIME";
    /// Region of the server; ONS clients derive the trace topic from it.
    MSG_REGION = "MSG_REGION";
    /// Whether the client traces the message.
    TRACE_ON = "TRACE_ON";
    /// Id that the client gave the message.
    UNIQUE_KEY = "UNIQ_KEY";
    /// Offset within a transaction.
    TRANSACTION_OFFSET = "TRANS_OFFSET";
    /// Extension of the unique key.
    EXTEND_UNIQUE_INFO = "EXTEND_UNIQ_INFO";
    /// Retry limit of the consumer that sent a message back.
    MAX_RECONSUME_TIMES = "MAX_RECONSUME_TIMES";
    /// When consumption of the message began, added by clients.
    CONSUME_START_TIME = "CONSUME_START_TIME";
    /// Priority of a priority message.
    PRIORITY = "_SYS_MSG_PRIORITY_";
    /// Messages in an inner batch.
    INNER_NUM = "INNER_NUM";
    /// First queue offset of an inner batch.
    INNER_BASE = "INNER_BASE";
    /// Used to detect duplicates.
    DUPLICATE_INFO = "DUP_INFO";
    /// Seconds before the first transaction check.
    CHECK_IMMUNITY_TIME_SECONDS = "CHECK_IMMUNITY_TIME_IN_SECONDS";
    /// Queue offset of the half message.
    TRANSACTION_PREPARED_QUEUE_OFFSET = "TRAN_PREPARED_QUEUE_OFFSET";
    /// Id of the transaction.
    TRANSACTION_ID = "__transactionId__";
    /// Transaction checks so far.
    TRANSACTION_CHECK_TIMES = "TRANSACTION_CHECK_TIMES";
    /// Instance of the client.
    INSTANCE_ID = "INSTANCE_ID";
    /// Joins a reply to its request.
    CORRELATION_ID = "CORRELATION_ID";
    /// Client that waits for the reply.
    REPLY_TO_CLIENT = "REPLY_TO_CLIENT";
    /// How long a request waits for its reply, ms.
    TTL = "TTL";
    /// When a reply reached the server, ms since 1970.
    ARRIVE_TIME = "ARRIVE_TIME";
    /// When a reply was pushed to its client, ms since 1970.
    PUSH_REPLY_TIME = "PUSH_REPLY_TIME";
    /// Cluster of the server.
    CLUSTER = "CLUSTER";
    /// `reply` on replies.
    MESSAGE_TYPE = "MSG_TYPE";
    /// Receipt of a popped message, read by Remoting clients.
    POP_CK = "POP_CK";
    /// Queue offset of a pop receipt.
    POP_CK_OFFSET = "POP_CK_OFFSET";
    /// When the message was first popped, ms since 1970.
    FIRST_POP_TIME = "1ST_POP_TIME";
    /// Message group of a FIFO message.
    SHARDING_KEY = "__SHARDINGKEY";
    /// LiteTopic of the message.
    LITE_TOPIC = "__LITE_TOPIC";
    /// Queue to forward to.
    FORWARD_QUEUE_ID = "PROPERTY_FORWARD_QUEUE_ID";
    /// Marks a redirected message.
    REDIRECT = "REDIRECT";
    /// Queues that also index the message.
    INNER_MULTI_DISPATCH = "INNER_MULTI_DISPATCH";
    /// Offsets in the queues that also index the message.
    INNER_MULTI_QUEUE_OFFSET = "INNER_MULTI_QUEUE_OFFSET";
    /// Trace context of gRPC clients.
    TRACE_CONTEXT = "TRACE_CONTEXT";
    /// Delay in seconds.
    TIMER_DELAY_SECONDS = "TIMER_DELAY_SEC";
    /// Due time, ms since 1970.
    TIMER_DELIVER_MS = "TIMER_DELIVER_MS";
    /// Delay in milliseconds.
    TIMER_DELAY_MS = "TIMER_DELAY_MS";
    /// Due time of a timed message that has become visible, ms since 1970.
    TIMER_OUT_MS = "TIMER_OUT_MS";
    /// When the timer took the message, ms since 1970.
    TIMER_ENQUEUE_MS = "TIMER_ENQUEUE_MS";
    /// When the timer released the message, ms since 1970.
    TIMER_DEQUEUE_MS = "TIMER_DEQUEUE_MS";
    /// Unique key of the timed message to be recalled.
    TIMER_DELETE_UNIQUE_KEY = "TIMER_DEL_UNIQKEY";
    /// Delay level of a timed message.
    TIMER_DELAY_LEVEL = "TIMER_DELAY_LEVEL";
    /// Due time that ONS clients set, ms since 1970.
    START_DELIVER_TIME = "__STARTDELIVERTIME";
    /// Address of the client behind a proxy.
    BORN_HOST = "__BORNHOST";
    /// Born time that gRPC clients set, ms since 1970.
    BORN_TIMESTAMP = "BORN_TIMESTAMP";
    /// Topic of a dead letter.
    DLQ_ORIGIN_TOPIC = "DLQ_ORIGIN_TOPIC";
    /// Id of the message that became a dead letter.
    DLQ_ORIGIN_MESSAGE_ID = "DLQ_ORIGIN_MESSAGE_ID";
    /// Queue and offset of a message that became a dead letter while it was received. Ours.
    DLQ_ORIGIN_PLACE = "DLQ_ORIGIN_PLACE";
    /// Checksum of the whole message.
    CRC32 = "__CRC32#";
}

/// A name or value that cannot be a property.
#[derive(Clone, Debug, PartialEq, Eq, thiserror::Error)]
pub enum PropertyError {
    /// Name or value is empty; readers would drop the property.
    #[error("property `{name}` has an empty name or value")]
    Empty {
        /// The name.
        name: String,
    },
    /// A name or value holds one of the two separators.
    #[error("property `{name}` holds a separator character (\\x01 or \\x02)")]
    Separator {
        /// The name.
        name: String,
    },
}

/// Names and values in encoded order. An entry that a later one replaces is still seen.
pub fn iterate(raw: &str) -> Properties<'_> {
    Properties { rest: raw }
}

/// Iterator of [`iterate`].
#[derive(Clone, Debug)]
pub struct Properties<'a> {
    rest: &'a str,
}

impl<'a> Iterator for Properties<'a> {
    type Item = (&'a str, &'a str);

    fn next(&mut self) -> Option<Self::Item> {
        while !self.rest.is_empty() {
            let (entry, rest) = cut(self.rest);
            self.rest = rest;
            if let Some(property) = parse(entry) {
                return Some(property);
            }
        }
        None
    }
}

/// The value of a property; the last one if the name is there more than once.
pub fn get<'a>(raw: &'a str, name: &str) -> Option<&'a str> {
    iterate(raw)
        .filter(|(n, _)| *n == name)
        .last()
        .map(|(_, value)| value)
}

/// The single keys in the value of [`KEYS`].
pub fn keys(value: &str) -> impl Iterator<Item = &str> + use<'_> {
    value.split(KEY_SEPARATOR).filter(|key| !key.is_empty())
}

/// Appends a property without looking whether the name is there already.
///
/// # Errors
/// When name or value is empty or holds a separator.
pub fn push(raw: &mut String, name: &str, value: &str) -> Result<(), PropertyError> {
    check(name, value)?;
    if !raw.is_empty() && !raw.ends_with(PROPERTY_SEPARATOR) {
        raw.push(PROPERTY_SEPARATOR);
    }
    raw.reserve(name.len() + value.len() + 2);
    raw.push_str(name);
    raw.push(NAME_VALUE_SEPARATOR);
    raw.push_str(value);
    raw.push(PROPERTY_SEPARATOR);
    Ok(())
}

/// Gives a property a value, in place of the one it had.
///
/// # Errors
/// When name or value is empty or holds a separator.
pub fn set(raw: &mut String, name: &str, value: &str) -> Result<(), PropertyError> {
    check(name, value)?;
    remove(raw, name);
    push(raw, name, value)
}

/// Takes every entry of a name out; says whether there was one.
pub fn remove(raw: &mut String, name: &str) -> bool {
    let mut kept = String::new();
    let mut removed = false;
    let mut rest = raw.as_str();
    while !rest.is_empty() {
        let (entry, tail) = cut(rest);
        if parse(entry).is_some_and(|(n, _)| n == name) {
            if !removed {
                kept.reserve(raw.len());
                kept.push_str(&raw[..raw.len() - rest.len()]);
                removed = true;
            }
        } else if removed {
            kept.push_str(&rest[..rest.len() - tail.len()]);
        }
        rest = tail;
    }
    if removed {
        *raw = kept;
    }
    removed
}

/// The encoded form of names and values.
///
/// # Errors
/// When one of them is empty or holds a separator.
pub fn encode<'a>(
    properties: impl IntoIterator<Item = (&'a str, &'a str)>,
) -> Result<String, PropertyError> {
    let mut raw = String::new();
    for (name, value) in properties {
        push(&mut raw, name, value)?;
    }
    Ok(raw)
}

/// First entry, and what comes after its separator.
fn cut(raw: &str) -> (&str, &str) {
    split_at(raw, PROPERTY_SEPARATOR).unwrap_or((raw, ""))
}

/// `str::split_once` for a separator of one byte, several times as fast on short texts.
fn split_at(text: &str, separator: char) -> Option<(&str, &str)> {
    let at = memchr::memchr(separator as u8, text.as_bytes())?;
    Some((&text[..at], &text[at + 1..]))
}

fn parse(entry: &str) -> Option<(&str, &str)> {
    let (name, value) = split_at(entry, NAME_VALUE_SEPARATOR)?;
    (!name.is_empty() && !value.is_empty()).then_some((name, value))
}

fn check(name: &str, value: &str) -> Result<(), PropertyError> {
    if name.is_empty() || value.is_empty() {
        return Err(PropertyError::Empty { name: name.into() });
    }
    let separators = [NAME_VALUE_SEPARATOR, PROPERTY_SEPARATOR];
    if name.contains(separators) || value.contains(separators) {
        return Err(PropertyError::Separator { name: name.into() });
    }
    Ok(())
}
