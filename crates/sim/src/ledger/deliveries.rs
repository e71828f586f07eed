//! Deliveries to clients that receive: given to one at a time, settled once, by their receipt.

use std::time::Duration;

use base::{GroupName, LogPosition, QueueId, Timestamp, TopicName};
use broker::{ReceiptHandle, Received};

use super::{Delivery, Held, Ledger, NEVER, Progress};
use crate::{
    node::Node,
    plan::{Mode, PlannedGroup},
};

/// The log's tail, and the time, before an attempt to settle a receipt.
pub type Before = (LogPosition, Duration);

/// A receive that was answered.
#[derive(Clone, Copy, Debug)]
pub struct Asked {
    /// When it began.
    pub called: Duration,
    /// The one queue that it was for.
    pub queue: Option<QueueId>,
    /// The client that chose the LiteTopics that it was for; `None` if it was for all.
    pub lite_client: Option<u64>,
}

impl Delivery {
    /// Whether this is what the receipt is for. A crash may have undone a later one.
    fn is_by(&self, held: &Held, life: u64) -> bool {
        let undone = self.life != life && !self.firm;
        self.serial == held.serial || (undone && held.serial < self.serial)
    }
}

impl Progress {
    /// Whether it is with a client at `now`, as far as is known.
    pub(super) fn is_out(&self, life: u64, now: Timestamp) -> bool {
        let last = self.last.as_ref();
        self.perhaps_settled == 0
            && self.may_be_out(now)
            && last.is_some_and(|last| last.life == life || last.firm)
    }

    /// Whether it may be with a client at `now`.
    fn may_be_out(&self, now: Timestamp) -> bool {
        self.settled.is_none() && self.last.as_ref().is_some_and(|last| last.until > now)
    }

    /// The same, or a crash has undone how it was shortened.
    pub(super) fn may_be_back(&self, life: u64, now: Timestamp) -> bool {
        let undone = |last: &Delivery| last.life != life && !last.firm && self.latest_end > now;
        self.may_be_out(now) || self.settled.is_none() && self.last.as_ref().is_some_and(undone)
    }
}

impl Ledger {
    /// Messages were handed out by a receive.
    pub fn received(
        &mut self,
        node: &Node,
        group: &PlannedGroup,
        topic: &TopicName,
        received: &[Received],
        asked: Asked,
    ) {
        let mut batch = Vec::new();
        for received in received {
            if let Some(number) = self.identify(topic, &received.message) {
                batch.push((number, received));
            }
        }
        let from = match group.mode {
            Mode::Pull | Mode::Receive => vec![Duration::ZERO; batch.len()],
            Mode::InOrder | Mode::Fifo => self.check_order(group, &batch),
            Mode::Locks => self.check_unlocked(group, &batch),
            Mode::Lite => self.check_lite(group, &batch, asked),
        };
        if asked.queue.is_none() && group.mode == Mode::Receive {
            self.compare_priorities(group, topic, &batch, asked.called);
        }
        for ((number, received), from) in batch.into_iter().zip(from) {
            self.world.note(format_args!(
                "{} got {number} attempt {} until {}",
                group.name, received.attempt, received.invisible_until
            ));
            self.check_passed_over(&group.name, number, asked.called);
            self.delivered(node, group, number, received, asked.called.max(from));
        }
    }

    /// Message `number` was handed out to a client that waits since `called`.
    fn delivered(
        &mut self,
        node: &Node,
        group: &PlannedGroup,
        number: u64,
        received: &Received,
        called: Duration,
    ) {
        let (now, elapsed) = (self.world.now(), self.world.elapsed());
        let position = LogPosition::new(received.message.physical_offset().cast_unsigned());
        let visible = self.durable_since(position);
        let disturbed = self.disturbed.get(&group.name).copied().unwrap_or_default();
        let letter = &self.letters[number as usize];
        let (volatile, tag) = (letter.volatile, letter.tag.clone());
        let life = self.life;
        let key = (group.name.clone(), number);
        let progress = self.progress.entry(key.clone()).or_default().clone();
        let attempt = received.attempt;
        let name = &group.name;
        self.check(group.tag.is_none() || group.tag == tag, || {
            format!("{name} got message {number} with tag {tag:?}")
        });
        self.check(attempt >= 1 && attempt <= group.max_attempts, || {
            format!("{name} got message {number} at attempt {attempt}")
        });
        self.check(
            received.handle.attempt == attempt && received.invisible_until > now,
            || format!("{name} got a receipt that is over: {received:?}"),
        );
        if volatile {
            return;
        }
        self.check(visible <= elapsed, || {
            format!("{name} got message {number} before it was durable")
        });
        self.check(progress.settled.is_none(), || {
            format!("{name} got message {number} again after it was settled: {progress:?}")
        });
        let mut available = visible;
        let mut known = position >= self.durable[0].0;
        if let Some(last) = &progress.last
            && (last.life == life || last.firm)
        {
            self.check(last.until <= now, || {
                format!("{name} got message {number} while it was in flight: {last:?}")
            });
            // A delivery that its client gave up does not count, unless a crash forgot that.
            let follows = match last.life == life {
                true => attempt == last.attempt + 1,
                false => attempt > last.attempt,
            };
            self.check(follows, || {
                format!("{name} got message {number} at attempt {attempt} after {last:?}")
            });
            known |= last.life == life;
            let ago = now.since(last.until);
            available = available.max(elapsed.saturating_sub(ago));
        }
        let awaited = available.max(called).max(disturbed);
        self.check(elapsed <= awaited || !known, || {
            format!("{name} waited since {called:?} and got message {number} of {available:?} late")
        });
        let delivery = self.delivery(node, attempt, received.invisible_until);
        let progress = self.progress.get_mut(&key).expect("inserted above");
        progress.delivered = true;
        progress.perhaps_settled = 0;
        self.held.push(Held {
            group: group.name.clone(),
            topic: self.letters[number as usize].topic.clone(),
            letter: number,
            handle: received.handle,
            until: received.invisible_until,
            serial: delivery.serial,
        });
        progress.latest_end = progress.latest_end.max(delivery.until);
        progress.last = Some(delivery);
    }

    fn delivery(&mut self, node: &Node, attempt: u32, until: Timestamp) -> Delivery {
        self.deliveries += 1;
        Delivery {
            serial: self.deliveries,
            life: self.life,
            attempt,
            until,
            tail: node.tail(),
            firm: false,
        }
    }

    /// A receipt is about to be settled, or changed, and the answer may not come.
    pub fn will_settle(&mut self, held: &Held) {
        let key = (held.group.clone(), held.letter);
        self.progress.entry(key).or_default().perhaps_settled += 1;
    }

    /// The answer to a call at `called` came: the receipt was not settled.
    pub fn was_refused(&mut self, held: &Held, called: Duration) {
        let (life, called) = (self.life, self.beginning().after(called));
        let volatile = self.letters[held.letter as usize].volatile;
        let progress = self.take_back(held).clone();
        let good = progress.is_out(life, called)
            && !self.may_have_ended(held.letter)
            && progress
                .last
                .as_ref()
                .is_some_and(|last| last.serial == held.serial);
        self.check(!good || volatile, || {
            format!(
                "{} could not settle message {} by a good receipt: {progress:?}",
                held.group, held.letter
            )
        });
    }

    /// An attempt to settle a receipt has its answer.
    fn take_back(&mut self, held: &Held) -> &mut Progress {
        let key = (held.group.clone(), held.letter);
        let progress = self.progress.entry(key).or_default();
        progress.perhaps_settled = progress.perhaps_settled.saturating_sub(1);
        progress
    }

    /// A receipt was acked or forwarded; `before` is where the log's tail was before that, and
    /// when.
    pub fn settled(&mut self, node: &Node, held: &Held, before: Before) {
        let (before, called) = before;
        let (now, life) = (self.world.elapsed(), self.life);
        let trouble = self.world.last_trouble(now);
        let volatile = self.letters[held.letter as usize].volatile;
        let asked = self.beginning().after(called);
        let progress = self.take_back(held);
        // A log that is full to the brim takes no record of it; then a crash brings it back.
        // Of a forwarded message it may have taken the copy, and no more.
        let recorded = node.tail() > before && trouble.is_none_or(|trouble| trouble < called);
        progress.settled = Some(if recorded { node.tail() } else { NEVER });
        let last = progress.last.clone();
        let current = last.as_ref().is_some_and(|last| last.is_by(held, life));
        let (group, letter) = (held.group.clone(), held.letter);
        self.check(current || volatile, || {
            format!("{group} settled message {letter} by {held:?}, not the last: {last:?}")
        });
        self.check(held.until > asked || volatile, || {
            format!("{group} settled message {letter} at {asked}, after the end of {held:?}")
        });
        self.line_moved(&group, letter, now);
    }

    /// The invisible time of a receipt was changed; the new receipt.
    pub fn changed(&mut self, node: &Node, held: &Held, handle: ReceiptHandle, until: Timestamp) {
        let (now, life) = (self.world.now(), self.life);
        let delivery = self.delivery(node, handle.attempt, until);
        let serial = delivery.serial;
        let mut current = self.letters[held.letter as usize].volatile;
        if let Some(progress) = self.progress.get_mut(&(held.group.clone(), held.letter)) {
            progress.latest_end = progress.latest_end.max(until);
            if let Some(last) = progress.last.replace(delivery) {
                current |= last.is_by(held, life) && held.until > now;
            }
        }
        self.check(current, || {
            format!("the receipt is over that was changed: {held:?}")
        });
        self.held.push(Held {
            handle,
            until,
            serial,
            ..held.clone()
        });
    }

    /// What is known of a message of a group.
    pub(super) fn progress_of(&self, group: &GroupName, number: u64) -> Progress {
        let key = (group.clone(), number);
        self.progress.get(&key).cloned().unwrap_or_default()
    }
}
