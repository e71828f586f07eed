//! The operations of a seed.

use base::{Random as _, SeededRandom};
use wire::message::{properties, sys_flag};

use super::operation::{Client, Content, Delay, Filter, Group, Offset, Operation, Time, Topic};

mod receive;
mod vocabulary;

use vocabulary::{FILTERS, SUBSCRIPTIONS, TAGS};

/// Queues of [`Topic::Plain`].
pub(super) const PLAIN_QUEUES: i32 = 2;

/// Queues of [`Topic::Sink`].
pub(super) const SINK_QUEUES: i32 = 7;

/// Queues of [`Topic::Timed`]: no more timed messages than that in a seed.
pub(super) const TIMED_QUEUES: i32 = 8;

/// Most messages that a seed sends back: each is waited for.
const SENT_BACK_MAX: usize = 3;

/// Most transactions of a seed that end once the server asks: it takes seconds.
const CHECKED_MAX: usize = 1;

/// Makes the operations of a seed.
pub(super) struct Workload {
    random: SeededRandom,
    operations: Vec<Operation>,
    timed: i32,
    sent_back: usize,
    popped_again: usize,
    ordered_again: usize,
    checked: usize,
}

impl Workload {
    /// So many operations, always the same ones for the same seed.
    pub(super) fn generate(seed: u64, count: usize) -> Vec<Operation> {
        let mut workload = Self {
            random: SeededRandom::new(seed),
            operations: Vec::new(),
            timed: 0,
            sent_back: 0,
            popped_again: 0,
            ordered_again: 0,
            checked: 0,
        };
        while workload.operations.len() < count {
            workload.add();
        }
        workload.finish();
        workload.operations
    }

    fn below(&self, bound: usize) -> usize {
        let bound = u64::try_from(bound).unwrap_or(u64::MAX);
        usize::try_from(self.random.below(bound)).unwrap_or(0)
    }

    fn number(&self, from: i64, to: i64) -> i64 {
        from + self
            .random
            .below((to - from + 1).cast_unsigned())
            .cast_signed()
    }

    fn chance(&self, percent: u64) -> bool {
        self.random.below(100) < percent
    }

    fn pick<T: Copy>(&self, from: &[T]) -> T {
        from[self.below(from.len())]
    }

    fn next(&self) -> usize {
        self.operations.len()
    }

    fn push(&mut self, operation: Operation) -> usize {
        self.operations.push(operation);
        self.operations.len() - 1
    }

    /// An earlier operation that is one of those.
    fn earlier(&self, is_one: impl Fn(&Operation) -> bool) -> Option<usize> {
        let found: Vec<usize> = (0..self.next())
            .filter(|index| is_one(&self.operations[*index]))
            .collect();
        (!found.is_empty()).then(|| self.pick(&found))
    }

    fn add(&mut self) {
        let send = self.send();
        match self.below(35) {
            0..=5 => _ = self.push(send),
            6 => self.send_batch(),
            7 | 8 => self.transaction(),
            9 => self.timed(),
            10..=13 => _ = self.push(self.pull()),
            14 => self.send_back(),
            15 | 16 => self.commit(),
            17..=19 => _ = self.push(self.ask_offset()),
            20 => _ = self.push(self.reset()),
            21..=23 => self.pop(),
            24 | 25 => self.ordered(),
            26 => _ = self.push(self.lock()),
            27 | 28 => self.find(),
            29..=31 => _ = self.push(self.member()),
            32 => _ = self.push(self.route()),
            33 => _ = self.push(self.bad_send()),
            _ => _ = self.push(self.raw()),
        }
    }

    /// What was begun is looked at, at the end.
    fn finish(&mut self) {
        for queue in 0..PLAIN_QUEUES {
            for offset in [0, 32] {
                self.push(Operation::Pull {
                    group: Group::First,
                    topic: Topic::Plain,
                    queue,
                    offset: Offset::At(offset),
                    count: 32,
                    filter: Some(Filter {
                        kind: "TAG",
                        expression: "*",
                    }),
                    suspend_ms: 0,
                    commit: None,
                    is_lite: false,
                });
            }
            for group in [Group::First, Group::Second] {
                self.push(Operation::Committed {
                    group,
                    topic: Topic::Plain,
                    queue,
                    zero_if_none: None,
                });
            }
        }
        self.push(Operation::AllCommitted);
        self.contend();
        self.pop_and_keep();
    }

    /// Two clients want the same queue, which random ones seldom do.
    fn contend(&mut self) {
        let group = Group::First;
        for client in [Client::One, Client::Two] {
            self.push(Operation::Unlock {
                client,
                group,
                queues: vec![0, 1],
            });
        }
        for (client, queues) in [(Client::One, vec![0]), (Client::Two, vec![0, 1])] {
            self.push(Operation::Lock {
                client,
                group,
                queues,
            });
        }
    }

    fn content(&self, topic: Topic) -> Content {
        let queues = match topic {
            Topic::Plain => i64::from(PLAIN_QUEUES),
            _ => 1,
        };
        let mut properties = Vec::new();
        if self.chance(60) {
            properties.push(("size", self.number(0, 8).to_string()));
        }
        if self.chance(50) {
            properties.push(("colour", self.pick(&["red", "blue", "it's"]).to_owned()));
        }
        if self.chance(10) {
            properties.push((properties::WAIT, self.pick(&["true", "false"]).to_owned()));
        }
        Content {
            topic,
            queue: i32::try_from(self.number(0, queues - 1)).unwrap_or(0),
            size: self.pick(&[1, 3, 20, 200, 5_000]),
            tag: self.pick(&TAGS),
            has_key: self.chance(40),
            properties,
            flag: i32::try_from(self.pick(&[0, 0, 0, 7, -1_i64])).unwrap_or(0),
            sys_flag: self.pick(&[
                0,
                0,
                0,
                sys_flag::COMPRESSED,
                sys_flag::COMPRESSED | sys_flag::COMPRESSION_ZSTD,
                sys_flag::MULTI_TAGS,
            ]),
        }
    }

    fn send(&self) -> Operation {
        let topic = self.pick(&[
            Topic::Plain,
            Topic::Plain,
            Topic::Plain,
            Topic::Plain,
            Topic::Automatic,
        ]);
        Operation::Send {
            content: self.content(topic),
            is_short: self.chance(70),
        }
    }

    fn bad_send(&self) -> Operation {
        let mut content = self.content(Topic::Sink);
        let kind = self.below(7);
        // What one of the servers may take has a queue of its own kind.
        content.queue = i32::try_from(kind).unwrap_or(0);
        match kind {
            0 => content.topic = Topic::OverLong,
            1 => content.topic = Topic::OddName,
            2 => content.queue = 99,
            3 => content.size = 4 * 1024 * 1024 + 1,
            4 => content.size = 0,
            5 => content.properties.push(("long", "x".repeat(33_000))),
            _ => content
                .properties
                .push((properties::DELAY_LEVEL, "-3".to_owned())),
        }
        Operation::Send {
            content,
            is_short: self.chance(50),
        }
    }

    fn send_batch(&mut self) {
        let mut content = self.content(Topic::Plain);
        content.sys_flag = 0;
        content.size = content.size.min(200);
        let count = self.below(4) + 1;
        self.push(Operation::SendBatch { content, count });
    }

    fn transaction(&mut self) {
        let mut content = self.content(Topic::Plain);
        content.sys_flag &= !sys_flag::TRANSACTION;
        let commit = sys_flag::TRANSACTION_COMMIT;
        let rollback = sys_flag::TRANSACTION_ROLLBACK;
        let decision = self.pick(&[commit, commit, rollback]);
        let is_checked = self.checked < CHECKED_MAX && self.chance(30);
        if is_checked {
            // The original loses it in a message that it stores anew after each question.
            content.flag = 0;
        }
        let half = self.push(Operation::SendHalf {
            content,
            is_checked,
        });
        if is_checked {
            self.checked += 1;
            self.push(Operation::AwaitCheck { half, decision });
            return;
        }
        let mut end = |decision, is_right_group, shift, is_again| {
            self.operations.push(Operation::EndTransaction {
                half,
                decision,
                is_right_group,
                shift,
                is_again,
            });
        };
        let before = self.random.below(8);
        match before {
            0 => end(decision, false, 0, false),
            1 => end(decision, true, 1, false),
            _ => {}
        }
        end(decision, true, 0, before == 1);
        // Never a commit: the original would deliver the message twice.
        if self.random.below(4) == 0 {
            end(rollback, true, 0, true);
        }
    }

    fn timed(&mut self) {
        if self.timed >= TIMED_QUEUES {
            return;
        }
        let mut content = self.content(Topic::Timed);
        content.queue = self.timed;
        self.timed += 1;
        let delay = match self.below(6) {
            0 | 1 => Delay::Level(1),
            2 => Delay::AfterSeconds(self.number(1, 3)),
            3 => Delay::AfterMs(self.number(1_200, 3_000)),
            _ => Delay::AtMs(self.number(1_500, 3_000)),
        };
        let is_recalled = self.chance(30);
        let is_exact = !matches!(delay, Delay::Level(_));
        // Long enough to be recalled in time on a busy machine.
        let delay = match delay {
            Delay::AtMs(_) if is_recalled => Delay::AtMs(6_000),
            other => other,
        };
        let is_gone = is_recalled && matches!(delay, Delay::AtMs(_));
        let send = self.push(Operation::SendTimed { content, delay });
        if is_exact && self.chance(20) {
            self.push(Operation::Recall {
                send,
                is_genuine: false,
            });
        }
        if is_gone {
            self.push(Operation::Recall {
                send,
                is_genuine: true,
            });
        }
        let between = self.send();
        self.push(between);
        self.push(Operation::Await {
            send,
            is_expected: !is_gone,
        });
    }

    fn pull(&self) -> Operation {
        let (topic, queue) = match self.below(20) {
            0 => (Topic::Missing, 0),
            1 => (Topic::Plain, 99),
            2 => (Topic::Plain, -1),
            3 => (Topic::Automatic, 0),
            _ => (
                Topic::Plain,
                i32::try_from(self.number(0, i64::from(PLAIN_QUEUES) - 1)).unwrap_or(0),
            ),
        };
        let offset = match self.below(10) {
            0 => Offset::End(0),
            1 => Offset::End(5),
            2 => Offset::At(-1),
            3 => Offset::End(-1),
            _ => Offset::At(self.number(0, 6)),
        };
        let (kind, expression) = self.pick(&FILTERS);
        let filter = self.chance(85).then_some(Filter { kind, expression });
        // Where one server refuses a filter and the other does not, the group shall not come
        // further on one of them, nor take notice of a reset.
        let is_readable = filter.is_none_or(Filter::is_readable);
        let group = match is_readable {
            true => self.pick(&[Group::First, Group::Second]),
            false => Group::Careless,
        };
        let may_commit = queue >= 0 && is_readable;
        Operation::Pull {
            group,
            topic,
            queue,
            offset,
            count: self.pick(&[1, 4, 32]),
            filter,
            suspend_ms: if self.chance(10) { 300 } else { 0 },
            commit: (may_commit && self.chance(15)).then(|| self.number(0, 4)),
            is_lite: self.chance(20),
        }
    }

    fn send_back(&mut self) {
        if self.sent_back >= SENT_BACK_MAX {
            return;
        }
        self.sent_back += 1;
        let group = self.pick(&[Group::First, Group::Second]);
        let pull = self.push(Operation::Pull {
            group,
            topic: Topic::Plain,
            queue: 0,
            offset: Offset::At(self.number(0, 3)),
            count: 1,
            filter: Some(Filter {
                kind: "TAG",
                expression: "*",
            }),
            suspend_ms: 0,
            commit: None,
            is_lite: false,
        });
        let send_back = self.push(Operation::SendBack {
            pull,
            group,
            delay_level: self.pick(&[1, 1, -1]),
            retries_max: self.pick(&[16, 16, 0]),
        });
        self.push(Operation::AwaitSentBack { send_back });
    }

    fn queue(&self) -> (Topic, i32) {
        match self.below(12) {
            0 => (Topic::Missing, 0),
            1 => (Topic::Plain, 99),
            2 => (Topic::Plain, -1),
            _ => (
                Topic::Plain,
                i32::try_from(self.number(0, i64::from(PLAIN_QUEUES) - 1)).unwrap_or(0),
            ),
        }
    }

    fn commit(&mut self) {
        let (topic, queue) = self.queue();
        let offset = match self.below(8) {
            0 => Offset::End(0),
            1 => Offset::End(10),
            2 => Offset::At(-1),
            _ => Offset::At(self.number(0, 5)),
        };
        let group = match offset {
            Offset::At(-1) => Group::Careless,
            _ if queue < 0 => Group::Careless,
            _ => self.pick(&[Group::First, Group::Second, Group::First, Group::Missing]),
        };
        self.push(Operation::Commit {
            group,
            topic,
            queue,
            offset,
        });
        if self.chance(20) {
            self.push(Operation::Committed {
                group,
                topic,
                queue,
                zero_if_none: Some(false),
            });
        }
    }

    fn ask_offset(&self) -> Operation {
        let (topic, queue) = self.queue();
        match self.below(9) {
            7 => Operation::AllCommitted,
            8 => Operation::ConsumeStats {
                group: self.pick(&[Group::First, Group::Second]),
            },
            0..=2 => Operation::Committed {
                group: self.pick(&[Group::First, Group::Second, Group::Missing]),
                topic,
                queue,
                zero_if_none: self.pick(&[None, Some(true), Some(false)]),
            },
            3 => Operation::MaxOffset { topic, queue },
            4 => Operation::MinOffset { topic, queue },
            5 => Operation::EarliestStoreTime { topic, queue },
            _ => Operation::Search {
                topic,
                queue,
                time: self.time(),
                boundary: self.pick(&[None, Some("lower"), Some("upper")]),
            },
        }
    }

    fn time(&self) -> Time {
        // Of a message that both servers gave out.
        let pull = self.earlier(|operation| {
            matches!(operation, Operation::Pull { filter, .. }
                if filter.is_none_or(Filter::is_readable))
        });
        match (self.below(3), pull) {
            (0, _) => Time::Start,
            (1, _) | (_, None) => Time::Future,
            (_, Some(pull)) => Time::Of(pull),
        }
    }

    fn reset(&self) -> Operation {
        Operation::Reset {
            // Never the missing group: here a commit may have made it.
            group: self.pick(&[Group::First, Group::Second]),
            topic: self.pick(&[Topic::Plain, Topic::Plain, Topic::Missing]),
            time: self.pick(&[Time::Start, Time::Future]),
        }
    }

    fn lock(&self) -> Operation {
        let client = self.pick(&[Client::One, Client::Two]);
        let group = Group::First;
        let queues = self.pick(&[&[0_i32][..], &[0, 1], &[1]]).to_vec();
        if self.chance(65) {
            Operation::Lock {
                client,
                group,
                queues,
            }
        } else {
            Operation::Unlock {
                client,
                group,
                queues,
            }
        }
    }

    fn find(&mut self) {
        let is_keyed = |operation: &Operation| match operation {
            Operation::Send { content, .. } => {
                content.has_key && matches!(content.topic, Topic::Plain)
            }
            _ => false,
        };
        let Some(send) = self.earlier(is_keyed) else {
            return;
        };
        let operation = match self.below(4) {
            0 => Operation::ViewById { send, shift: 0 },
            1 => Operation::ViewById {
                send,
                shift: 1_000_000_000_000,
            },
            _ => Operation::QueryKey {
                send,
                is_unique: self.chance(50),
            },
        };
        self.push(operation);
    }

    fn member(&self) -> Operation {
        let client = self.pick(&[Client::One, Client::Two]);
        let group = self.pick(&[Group::First, Group::First, Group::Second]);
        match self.below(5) {
            0 | 1 => Operation::Heartbeat {
                client,
                group,
                filter: self.pick(&SUBSCRIPTIONS),
            },
            2 => Operation::Unregister { client, group },
            3 => Operation::Consumers { group },
            _ => Operation::Consumers {
                group: Group::Missing,
            },
        }
    }

    fn route(&self) -> Operation {
        Operation::Route {
            topic: self.pick(&[Topic::Plain, Topic::Timed, Topic::Missing]),
        }
    }

    /// Requests without fields, or with values that are none.
    fn raw(&self) -> Operation {
        let code = self.pick(&[
            10, 11, 12, 14, 15, 29, 30, 31, 32, 33, 36, 38, 105, 310, 9_999,
        ]);
        let mut fields = Vec::new();
        if self.chance(50) {
            fields.push(("queueId", "many".to_owned()));
            fields.push(("topic", "T".to_owned()));
            fields.push(("consumerGroup", "G".to_owned()));
        }
        Operation::Raw { code, fields }
    }
}

#[cfg(test)]
mod tests;
