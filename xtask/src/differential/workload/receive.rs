//! Operations of receiving with receipts.

use super::Workload;
use super::vocabulary::FILTERS;
use crate::differential::operation::{Filter, Operation, Receipt, Topic};

/// Most times that a seed waits for messages to become visible again.
const POPPED_AGAIN_MAX: usize = 2;

/// The same for what is received in order.
const ORDERED_AGAIN_MAX: usize = 1;

/// For good: what came back at a time of its own would come to any later pop, ms.
const FOR_GOOD_MS: i64 = 600_000;

impl Workload {
    /// So many messages for receivers.
    fn send_to(&mut self, topic: Topic, count: usize) {
        for _ in 0..count {
            let mut content = self.content(topic);
            content.sys_flag = 0;
            self.push(Operation::Send {
                content,
                is_short: true,
            });
        }
    }

    pub(super) fn pop(&mut self) {
        let pop = self.earlier(|operation| {
            matches!(
                operation,
                Operation::Pop {
                    is_ordered: false,
                    ..
                }
            )
        });
        match pop {
            Some(pop) if self.below(9) > 2 => self.settle(pop),
            _ if self.popped_again < POPPED_AGAIN_MAX => self.pop_and_wait(),
            _ => {
                let count = self.below(3) + 1;
                self.send_to(Topic::Popped, count);
                let (kind, expression) = self.pick(&FILTERS);
                let is_filtered = self.chance(50);
                self.push(Operation::Pop {
                    count: self.pick(&[1, 2, 8, 32]),
                    invisible_ms: FOR_GOOD_MS,
                    is_from_start: true,
                    filter: is_filtered.then_some(Filter { kind, expression }),
                    topic: match self.chance(85) {
                        true => Topic::Popped,
                        false => Topic::Missing,
                    },
                    is_ordered: false,
                });
            }
        }
    }

    /// A pop whose messages are waited for at once: one is acknowledged, one may come at another
    /// time, the others come again.
    fn pop_and_wait(&mut self) {
        self.popped_again += 1;
        let count = self.below(3) + 2;
        self.send_to(Topic::Popped, count);
        let pop = self.push(Operation::Pop {
            count: self.pick(&[1, 8, 32]),
            invisible_ms: 5_000,
            is_from_start: true,
            filter: None,
            topic: Topic::Popped,
            is_ordered: false,
        });
        let receipt = Receipt::Genuine;
        self.push(Operation::Ack {
            pop,
            message: 0,
            receipt,
        });
        if self.chance(70) {
            self.push(Operation::ChangeInvisible {
                pop,
                message: 1,
                invisible_ms: self.pick(&[2_000, FOR_GOOD_MS]),
                receipt,
            });
        }
        self.push(Operation::PopAgain { pop });
    }

    /// A pop of which one message is kept for good, and the others come again.
    pub(super) fn pop_and_keep(&mut self) {
        self.send_to(Topic::Popped, 2);
        let pop = self.push(Operation::Pop {
            count: 32,
            invisible_ms: 5_000,
            is_from_start: true,
            filter: None,
            topic: Topic::Popped,
            is_ordered: false,
        });
        self.push(Operation::ChangeInvisible {
            pop,
            message: 0,
            invisible_ms: FOR_GOOD_MS,
            receipt: Receipt::Genuine,
        });
        self.push(Operation::PopAgain { pop });
    }

    /// Something about the messages of a pop.
    fn settle(&mut self, pop: usize) {
        let receipt = if self.chance(80) {
            Receipt::Genuine
        } else {
            self.pick(&[Receipt::Garbage, Receipt::WrongOffset])
        };
        let operation = match self.below(6) {
            0..=2 => Operation::Ack {
                pop,
                message: self.below(3),
                receipt,
            },
            3 => Operation::AckAll { pop },
            _ => Operation::ChangeInvisible {
                pop,
                message: self.below(2),
                invisible_ms: FOR_GOOD_MS,
                receipt,
            },
        };
        self.push(operation);
    }

    /// A pop in order whose messages come again, unless they are acknowledged.
    fn pop_ordered_and_wait(&mut self) {
        self.ordered_again += 1;
        let count = self.below(2) + 1;
        self.send_to(Topic::Ordered, count);
        let pop = self.push(Operation::Pop {
            count: 8,
            invisible_ms: 3_000,
            is_from_start: true,
            filter: None,
            topic: Topic::Ordered,
            is_ordered: true,
        });
        if self.chance(50) {
            self.push(Operation::Ack {
                pop,
                message: 0,
                receipt: Receipt::Genuine,
            });
        }
        let pop = self.push(Operation::PopOrderedAgain { pop });
        self.push(Operation::AckAll { pop });
    }

    /// Receiving in order: what is out holds back the rest of its queue.
    pub(super) fn ordered(&mut self) {
        if self.ordered_again < ORDERED_AGAIN_MAX && self.chance(50) {
            self.pop_ordered_and_wait();
            return;
        }
        let pop = self.earlier(|operation| {
            matches!(
                operation,
                Operation::Pop {
                    is_ordered: true,
                    invisible_ms: FOR_GOOD_MS,
                    ..
                }
            )
        });
        match pop {
            Some(pop) if self.chance(50) => {
                let operation = match self.below(3) {
                    0 => Operation::AckAll { pop },
                    _ => Operation::Ack {
                        pop,
                        message: self.below(2),
                        receipt: Receipt::Genuine,
                    },
                };
                self.push(operation);
            }
            _ => {
                let count = self.below(3) + 1;
                self.send_to(Topic::Ordered, count);
            }
        }
        self.push(Operation::Pop {
            count: self.pick(&[1, 2, 8]),
            invisible_ms: FOR_GOOD_MS,
            is_from_start: true,
            filter: None,
            topic: Topic::Ordered,
            is_ordered: true,
        });
    }
}
