//! The differences that are accepted, each by name.
//!
//! A rule is narrow: it says of which operations or messages it speaks, what Apache's answer to
//! them is and what ours is. What it says of Apache is checked on every such operation of every
//! run, also where nothing differs: should Apache do otherwise, the rule is refuted and the run
//! fails, for the reason of the rule is gone.

use wire::message::properties;
use wire::remoting::ResponseCode;

use super::driver::TOLD;
use super::operation::{Delay, Group, Offset, Operation, Receipt, Topic};
use super::outcome::{Outcome, PROPERTY, Reaction};
use super::workload::PLAIN_QUEUES;

/// An accepted difference of answers.
pub(super) struct Rule {
    /// Its name.
    pub(super) name: &'static str,
    /// What Apache does, and why ours differs.
    pub(super) reason: &'static str,
    /// Which operations it speaks of.
    pub(super) speaks_of: fn(&Operation) -> bool,
    /// What Apache does; all that Apache may answer to such an operation.
    pub(super) apache: fn(&Outcome) -> bool,
    /// What Carrack may answer where Apache answered so: the whole difference.
    pub(super) accepts: fn(&Outcome, &Outcome) -> bool,
}

/// Who writes a property into messages.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(super) enum Writer {
    /// Apache, and not Carrack.
    Apache,
    /// Carrack, and not Apache.
    Carrack,
}

/// Properties that only one of the servers writes into messages.
pub(super) struct PropertyRule {
    /// Its name.
    pub(super) name: &'static str,
    /// What Apache does, and why ours differs.
    pub(super) reason: &'static str,
    /// Who writes them.
    pub(super) writer: Writer,
    /// The properties: at least one of them in every such message of the writer.
    pub(super) properties: &'static [&'static str],
    /// Which messages of which operations it speaks of, by their lines.
    pub(super) speaks_of: fn(&Operation, &str) -> bool,
}

/// Accepted differences of answers.
pub(super) const RULES: &[Rule] = &[
    Rule {
        name: "numbers below zero are refused",
        reason: "Apache commits offsets below zero, and commits to and looks into queues below \
                 zero as into empty ones; Carrack says which number is wrong",
        speaks_of: |operation| match operation {
            Operation::Commit {
                group: Group::Careless,
                queue,
                offset,
                ..
            } => *queue < 0 || matches!(offset, Offset::At(..0)),
            Operation::Committed { queue, .. }
            | Operation::Search { queue, .. }
            | Operation::MaxOffset { queue, .. }
            | Operation::MinOffset { queue, .. }
            | Operation::EarliestStoreTime { queue, .. } => *queue < 0,
            _ => false,
        },
        apache: |apache| {
            apache.is(ResponseCode::Success)
                || apache.is(ResponseCode::QueryNotFound)
                || apache.is(ResponseCode::TopicNotExist)
                || apache.reaction == Reaction::NotAsked
        },
        accepts: |_, carrack| carrack.is(ResponseCode::InvalidParameter),
    },
    Rule {
        name: "offsets are committed in queues that are there",
        reason: "Apache keeps any queue number for a group; Carrack says that there is no such \
                 queue",
        speaks_of: |operation| {
            matches!(operation, Operation::Commit { queue: PLAIN_QUEUES.., group, offset, .. }
                if *group != Group::Missing && !matches!(offset, Offset::At(..0)))
        },
        apache: |apache| apache.is(ResponseCode::Success),
        accepts: |_, carrack| carrack.is(ResponseCode::InvalidParameter),
    },
    Rule {
        name: "no offsets are kept for queues that are not there",
        reason: "Apache finds again what it has kept for such a queue; Carrack has refused it",
        speaks_of: |operation| {
            matches!(
                operation,
                Operation::Committed {
                    queue: PLAIN_QUEUES..,
                    ..
                }
            )
        },
        apache: |apache| apache.is(ResponseCode::Success) || apache.is(ResponseCode::QueryNotFound),
        accepts: |apache, carrack| {
            apache.is(ResponseCode::Success) && carrack.is(ResponseCode::QueryNotFound)
        },
    },
    Rule {
        name: "who pulls where the offset was reset to knows of it",
        reason: "Apache tells every next pull that the offset was reset, also one from there; \
                 Carrack pushes the reset to its clients as well, and those it reached have begun \
                 anew already",
        speaks_of: |operation| matches!(operation, Operation::Pull { .. }),
        apache: |_| true,
        accepts: |apache, carrack| {
            let lines = apache.lines.iter().filter(|line| *line != TOLD);
            apache.reaction == carrack.reaction
                && apache.lines.last().is_some_and(|line| line == TOLD)
                && lines.eq(&carrack.lines)
        },
    },
    Rule {
        name: "receipts that are none are refused as such",
        reason: "Apache fails on text that is no receipt; Carrack says what is wrong with it",
        speaks_of: |operation| {
            matches!(
                operation,
                Operation::Ack {
                    receipt: Receipt::Garbage,
                    ..
                } | Operation::ChangeInvisible {
                    receipt: Receipt::Garbage,
                    ..
                }
            )
        },
        apache: |apache| {
            apache.is(ResponseCode::SystemError) || apache.reaction == Reaction::NotAsked
        },
        accepts: |apache, carrack| {
            apache.is(ResponseCode::SystemError) && carrack.is(ResponseCode::InvalidParameter)
        },
    },
    Rule {
        name: "queues that are not there are said to be missing",
        reason: "Apache answers as for an empty queue, and in part makes one; Carrack says that \
                 topic or queue are not there",
        speaks_of: |operation| match operation {
            Operation::Search { topic, queue, .. }
            | Operation::MaxOffset { topic, queue }
            | Operation::MinOffset { topic, queue }
            | Operation::EarliestStoreTime { topic, queue } => {
                *topic == Topic::Missing || *queue >= PLAIN_QUEUES
            }
            _ => false,
        },
        apache: |apache| {
            let value = apache.value("offset").or(apache.value("time"));
            apache.reaction == Reaction::NotAsked
                || apache.is(ResponseCode::Success) && matches!(value, Some("0" | "-1"))
        },
        accepts: |_, carrack| {
            carrack.is(ResponseCode::TopicNotExist) || carrack.is(ResponseCode::InvalidParameter)
        },
    },
    Rule {
        name: "empty bodies are stored",
        reason: "Apache fails on a message without a body (a null pointer inside); its clients \
                 refuse it before. Carrack stores it, as gRPC allows",
        speaks_of: |operation| matches!(operation, Operation::Send { content, .. } if content.size == 0),
        apache: |apache| apache.is(ResponseCode::SystemError),
        accepts: |_, carrack| carrack.is(ResponseCode::Success),
    },
    Rule {
        name: "messages with a delay level can be recalled",
        reason: "Apache gives recall handles for exact times only; Carrack has one kind of timer",
        speaks_of: |operation| {
            matches!(
                operation,
                Operation::SendTimed {
                    delay: Delay::Level(_),
                    ..
                }
            )
        },
        apache: |apache| apache.value("recall") == Some("false"),
        accepts: |apache, carrack| {
            let as_here = |line: &String| line.replace("recall=false", "recall=true");
            apache
                .lines
                .iter()
                .map(as_here)
                .eq(carrack.lines.iter().cloned())
        },
    },
    Rule {
        name: "a message that is not there is not found",
        reason: "Apache has one code for that and for faults when asked by id; Carrack says what \
                 it is",
        speaks_of: |operation| matches!(operation, Operation::ViewById { shift: 1.., .. }),
        apache: |apache| {
            apache.is(ResponseCode::SystemError) || apache.reaction == Reaction::NotAsked
        },
        accepts: |apache, carrack| {
            apache.is(ResponseCode::SystemError) && carrack.is(ResponseCode::QueryNotFound)
        },
    },
    Rule {
        name: "malformed requests are refused as such",
        reason: "Apache fails on missing and unreadable fields; Carrack names the field",
        speaks_of: |operation| {
            matches!(operation, Operation::Raw { code, fields }
                if *code < 9_000 && !is_answered_first(*code, !fields.is_empty()))
        },
        apache: |apache| apache.is(ResponseCode::SystemError),
        accepts: |_, carrack| carrack.is(ResponseCode::InvalidParameter),
    },
    Rule {
        name: "malformed requests are refused before anything is looked up",
        reason: "Apache looks a route's missing topic up, and a commit's group before it reads its \
                 queue; Carrack names the field",
        speaks_of: |operation| {
            matches!(operation, Operation::Raw { code, fields }
                if is_answered_first(*code, !fields.is_empty()))
        },
        apache: |apache| {
            apache.is(ResponseCode::TopicNotExist) || apache.is(ResponseCode::GroupNotExist)
        },
        accepts: |_, carrack| carrack.is(ResponseCode::InvalidParameter),
    },
    Rule {
        name: "a transaction ends once",
        reason: "Apache ends a transaction as often as it is told to, and with a second commit \
                 delivers the message twice; Carrack says that there is no such half message",
        speaks_of: |operation| {
            matches!(operation, Operation::EndTransaction { is_again: true, .. })
        },
        apache: |apache| apache.is(ResponseCode::Success) || apache.reaction == Reaction::NotAsked,
        accepts: |_, carrack| carrack.is(ResponseCode::SystemError),
    },
    Rule {
        name: "the id of a half message is its place in the log",
        reason: "Apache also compares its place in a queue of half messages; Carrack has no such \
                 queue",
        speaks_of: |operation| matches!(operation, Operation::EndTransaction { shift: 1.., .. }),
        apache: |apache| {
            apache.is(ResponseCode::SystemError) || apache.reaction == Reaction::NotAsked
        },
        accepts: |_, carrack| carrack.is(ResponseCode::Success),
    },
    Rule {
        name: "who is asked of a transaction is told its topic",
        reason: "Apache names the topic in which half messages wait; Carrack has none",
        speaks_of: |operation| matches!(operation, Operation::AwaitCheck { .. }),
        apache: |apache| {
            apache.value("topic") == Some("false") || apache.reaction == Reaction::NotAsked
        },
        accepts: |apache, carrack| {
            let as_here = |line: &String| line.replace("topic=false", "topic=true");
            let as_here = apache.lines.iter().map(as_here);
            as_here.eq(carrack.lines.iter().cloned())
        },
    },
    Rule {
        name: "filters that cannot be read are refused",
        reason: "Apache pulls on without a filter where the type of a filter is unknown or an \
                 expression is wrong; Carrack delivers nothing that a filter may have held back",
        speaks_of: |operation| {
            matches!(operation, Operation::Pull { filter: Some(filter), .. }
                if !filter.is_readable())
        },
        apache: |apache| !apache.is(ResponseCode::SubscriptionParseFailed),
        accepts: |apache, carrack| {
            let has_read = [
                ResponseCode::Success,
                ResponseCode::PullNotFound,
                ResponseCode::PullRetryImmediately,
                ResponseCode::PullOffsetMoved,
            ];
            carrack.is(ResponseCode::SubscriptionParseFailed)
                && has_read.iter().any(|code| apache.is(*code))
        },
    },
];

/// Whether Apache answers to the malformed request before it misses a field.
fn is_answered_first(code: i32, has_names: bool) -> bool {
    matches!((code, has_names), (15, true) | (105, _))
}

/// Accepted differences of messages.
pub(super) const PROPERTY_RULES: &[PropertyRule] = &[
    PropertyRule {
        name: "marks of the server",
        reason: "Apache writes its cluster, its region and whether to trace into every message \
                 that is not sent in a batch; Carrack says so in the answer to the send",
        writer: Writer::Apache,
        properties: &[
            properties::CLUSTER,
            properties::MSG_REGION,
            properties::TRACE_ON,
        ],
        speaks_of: |_, line| line.contains("flag=") && !is_of_batch(line),
    },
    PropertyRule {
        name: "where a timed message waited",
        reason: "Apache keeps timed messages in a topic of its own and leaves what it needed for \
                 that in them; Carrack's timers leave nothing",
        writer: Writer::Apache,
        properties: &[
            properties::REAL_TOPIC,
            properties::REAL_QUEUE_ID,
            properties::DELAY_LEVEL,
            properties::TIMER_OUT_MS,
            properties::TIMER_ENQUEUE_MS,
            properties::TIMER_DEQUEUE_MS,
        ],
        speaks_of: |operation, line| {
            matches!(operation, Operation::Await { .. }) && line.contains("flag=")
        },
    },
    PropertyRule {
        name: "how a message was sent back",
        reason: "Apache stores a message that was sent back anew, as a timed one that its sender \
                 does not wait for; Carrack delivers it as it was",
        writer: Writer::Apache,
        properties: &[
            properties::WAIT,
            properties::DELAY_LEVEL,
            properties::REAL_TOPIC,
            properties::REAL_QUEUE_ID,
        ],
        speaks_of: |operation, line| {
            matches!(operation, Operation::AwaitSentBack { .. }) && line.contains("flag=")
        },
    },
    PropertyRule {
        name: "how a message was received before",
        reason: "Apache stores a message that was not acknowledged anew in a retry topic, with its \
                 receipt, group and first time in it; Carrack delivers it as it was",
        writer: Writer::Apache,
        properties: &[
            properties::FIRST_POP_TIME,
            properties::POP_CK,
            properties::ORIGIN_GROUP,
        ],
        speaks_of: |operation, line| {
            matches!(operation, Operation::PopAgain { .. }) && line.contains("flag=")
        },
    },
    PropertyRule {
        name: "dead letters say where they are from",
        reason: "Apache writes origin topic and id into dead letters of other protocols only; \
                 Carrack into all",
        writer: Writer::Carrack,
        properties: &[
            properties::DLQ_ORIGIN_TOPIC,
            properties::DLQ_ORIGIN_MESSAGE_ID,
        ],
        speaks_of: |operation, line| {
            matches!(operation, Operation::AwaitSentBack { .. }) && line.starts_with("dead=flag=")
        },
    },
    PropertyRule {
        name: "where a half message waits",
        reason: "Apache asks with the half message as it stored it anew in the topic of half \
                 messages; Carrack with the message itself",
        writer: Writer::Apache,
        properties: &[
            properties::REAL_TOPIC,
            properties::REAL_QUEUE_ID,
            properties::TRANSACTION_ID,
            properties::TRANSACTION_PREPARED_QUEUE_OFFSET,
            properties::WAIT,
        ],
        speaks_of: |operation, line| {
            matches!(operation, Operation::AwaitCheck { .. }) && line.contains("flag=")
        },
    },
    PropertyRule {
        name: "how often a producer was asked",
        reason: "Apache leaves the number of its questions in the committed message, and what it \
                 wrote to store it anew for each; Carrack's is as it was sent",
        writer: Writer::Apache,
        properties: &[
            properties::TRANSACTION_CHECK_TIMES,
            properties::TRANSACTION_PREPARED_QUEUE_OFFSET,
            properties::WAIT,
        ],
        speaks_of: |operation, line| {
            line.contains(CHECKED) && !matches!(operation, Operation::AwaitCheck { .. })
        },
    },
    PropertyRule {
        name: "that a message was half a transaction",
        reason: "Apache leaves the mark of half messages and the transaction's id in committed \
                 ones, and its system flag says so too; Carrack leaves the flag",
        writer: Writer::Apache,
        properties: &[properties::TRANSACTION_PREPARED, properties::TRANSACTION_ID],
        speaks_of: |operation, line| {
            line.contains("; PGROUP=")
                && !matches!(
                    operation,
                    Operation::AwaitSentBack { .. } | Operation::AwaitCheck { .. }
                )
        },
    },
    PropertyRule {
        name: "that a message sent back was half a transaction",
        reason: "as for committed messages, which these were",
        writer: Writer::Apache,
        properties: &[properties::TRANSACTION_PREPARED, properties::TRANSACTION_ID],
        speaks_of: |operation, line| {
            line.contains("; PGROUP=") && matches!(operation, Operation::AwaitSentBack { .. })
        },
    },
];

/// In messages that were half a transaction of which the server asked.
const CHECKED: &str = "; CHECK_IMMUNITY_TIME_IN_SECONDS=";

/// Messages of a batch have unique keys with a number at the end.
fn is_of_batch(line: &str) -> bool {
    let key = line
        .split(PROPERTY)
        .find_map(|part| part.strip_prefix("UNIQ_KEY="));
    key.is_some_and(|key| key.contains('-'))
}

/// What property rules make of two outcomes.
#[derive(Debug, Default)]
pub(super) struct Reconciled {
    /// Apache's lines without what only Apache writes.
    pub(super) apache: Vec<String>,
    /// Carrack's lines without what only Carrack writes.
    pub(super) carrack: Vec<String>,
    /// Rules that took something away.
    pub(super) used: Vec<&'static str>,
    /// Rules that Apache's messages speak against.
    pub(super) refuted: Vec<&'static str>,
}

/// Takes away what only one side writes by a rule, from messages in the same place.
pub(super) fn reconcile(operation: &Operation, apache: &Outcome, carrack: &Outcome) -> Reconciled {
    let mut all = Reconciled::default();
    for rule in PROPERTY_RULES {
        for line in &apache.lines {
            let speaks = (rule.speaks_of)(operation, line);
            let has = rule.properties.iter().any(|name| has(line, name));
            if speaks && has != (rule.writer == Writer::Apache) {
                all.refuted.push(rule.name);
            }
        }
    }
    for (index, line) in apache.lines.iter().enumerate() {
        let other = carrack.lines.get(index).map_or("", String::as_str);
        all.apache
            .push(strip(operation, line, other, Writer::Apache, &mut all.used));
    }
    for (index, line) in carrack.lines.iter().enumerate() {
        let other = apache.lines.get(index).map_or("", String::as_str);
        all.carrack.push(strip(
            operation,
            line,
            other,
            Writer::Carrack,
            &mut all.used,
        ));
    }
    all
}

/// The line without the properties that one side alone writes, or writes over.
fn strip(
    operation: &Operation,
    line: &str,
    other: &str,
    writer: Writer,
    used: &mut Vec<&'static str>,
) -> String {
    let mut kept = Vec::new();
    for (index, part) in line.split(PROPERTY).enumerate() {
        let name = part.split_once('=').map_or(part, |(name, _)| name);
        let rule = PROPERTY_RULES.iter().find(|rule| {
            // Written by one side, in place of nothing or of another value.
            let is_written = rule.writer == writer || has(other, name);
            index > 0
                && is_written
                && rule.properties.contains(&name)
                && !other.split(PROPERTY).any(|it| it == part)
                && (rule.speaks_of)(operation, line)
        });
        match rule {
            Some(rule) => used.push(rule.name),
            None => kept.push(part),
        }
    }
    kept.join(PROPERTY)
}

fn has(line: &str, property: &str) -> bool {
    line.split(PROPERTY).skip(1).any(|part| {
        part.split_once('=')
            .is_some_and(|(name, _)| name == property)
    })
}

#[cfg(test)]
mod tests {
    use super::*;

    const AWAIT: Operation = Operation::Await {
        send: 0,
        is_expected: true,
    };

    fn message(line: &str) -> Outcome {
        Outcome::new(Reaction::NotAsked).with(line)
    }

    #[test]
    fn properties_go_only_where_a_rule_speaks_of_them() {
        let apache = message("message flag=0; CLUSTER=c; REAL_TOPIC=t; UNIQ_KEY=1; colour=red");
        let carrack = message("message flag=0; UNIQ_KEY=1");
        let all = reconcile(&AWAIT, &apache, &carrack);
        assert_eq!(all.apache, ["message flag=0; UNIQ_KEY=1; colour=red"]);
        assert_eq!(all.carrack, carrack.lines);
        assert!(all.refuted.is_empty(), "{all:?}");
        let pull = Operation::MaxOffset {
            topic: Topic::Plain,
            queue: 0,
        };
        let all = reconcile(&pull, &apache, &carrack);
        assert!(all.apache[0].contains("REAL_TOPIC"), "{all:?}");
    }

    #[test]
    fn a_rule_is_refuted_where_apache_does_otherwise() {
        let apache = message("message flag=0; UNIQ_KEY=1");
        let all = reconcile(&AWAIT, &apache, &apache);
        assert!(all.refuted.contains(&"marks of the server"), "{all:?}");
    }
}
