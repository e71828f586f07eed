//! Consumption in order: of a line of messages, only the first that are not done are ever out, and
//! to one client.

use std::{collections::BTreeMap, time::Duration};

use base::{GroupName, LogPosition, QueueId, TopicName};
use broker::Received;

use super::{Delivery, Ledger, Letter, Progress};
use crate::plan::{Mode, PlannedGroup};

/// Messages of a group that keep their order among one another: those of a queue, or of a queue
/// and a message group; those without one are a message group, too.
type Line = (GroupName, TopicName, QueueId, Option<String>);

/// What is known of a line.
#[derive(Clone, Copy, Debug, Default)]
struct Known {
    /// Everything before this offset is done, as far as this life knows.
    first: u64,
    /// When the last message was settled.
    moved: Duration,
}

/// All lines of a run.
#[derive(Debug, Default)]
pub(super) struct Lines {
    of: BTreeMap<Line, Known>,
    /// Messages that were handed out in order.
    pub(super) brought: usize,
}

impl Lines {
    /// What was done may be forgotten.
    pub(super) fn node_is_new(&mut self) {
        self.of.clear();
    }
}

impl Letter {
    /// The line it is in, and its offset.
    fn line_of(&self, group: &GroupName, mode: Mode) -> Option<(Line, u64)> {
        let (queue, offset) = self.place?;
        let message_group = self.message_group.clone().unwrap_or_default();
        let message_group = (mode == Mode::Fifo).then_some(message_group);
        Some((
            (group.clone(), self.topic.clone(), queue, message_group),
            offset,
        ))
    }
}

impl Ledger {
    /// Messages are handed out by one receive: those of each line in order, none of them before an
    /// earlier one is done, and none while another is with somebody else. Returns since when each
    /// could be handed out, as far as its line goes.
    pub(super) fn check_order(
        &mut self,
        group: &PlannedGroup,
        batch: &[(u64, &Received)],
    ) -> Vec<Duration> {
        let mut lines: BTreeMap<Line, Vec<(u64, u64)>> = BTreeMap::new();
        let mut line_of = Vec::new();
        for (number, _) in batch {
            let line = self.letters[*number as usize].line_of(&group.name, group.mode);
            line_of.push(line.clone().map(|(line, _)| line));
            if let Some((line, offset)) = line {
                lines.entry(line).or_default().push((offset, *number));
            }
        }
        self.lines.brought += batch.len();
        let mut since = BTreeMap::new();
        for (line, out) in lines {
            let sorted = out.is_sorted_by(|a, b| a.0 < b.0);
            self.check(sorted, || format!("{line:?} came in the order {out:?}"));
            since.insert(line.clone(), self.check_line(group, &line, &out));
        }
        let since = |line: Option<Line>| line.and_then(|line| since.get(&line).copied());
        line_of
            .into_iter()
            .map(|line| since(line).unwrap_or_default())
            .collect()
    }

    /// Since when the messages of `out`, as offsets and numbers, could be handed out.
    fn check_line(&mut self, group: &PlannedGroup, line: &Line, out: &[(u64, u64)]) -> Duration {
        let (_, topic, queue, _) = line;
        let mut known = self.lines.of.get(line).copied().unwrap_or_default();
        let from = (topic.clone(), *queue, known.first);
        let to = (topic.clone(), *queue, u64::MAX);
        let there: Vec<(u64, u64)> = self
            .places
            .range(from..=to)
            .map(|((.., offset), number)| (*offset, *number))
            .collect();
        let (now, life) = (self.world.now(), self.life);
        let last = out.last().map_or(0, |(offset, _)| *offset);
        let mut since = known.moved;
        let mut whole = true;
        for (offset, number) in there {
            let letter = &self.letters[number as usize];
            let in_line = letter
                .line_of(&group.name, group.mode)
                .is_some_and(|(of, _)| of == *line)
                && (group.tag.is_none() || group.tag == letter.tag);
            let progress = self.progress_of(&group.name, number);
            let done = !in_line || self.is_done(group, number, &progress);
            let is_out = out.iter().any(|(_, other)| *other == number);
            whole &= !in_line || progress.settled.is_some();
            if whole {
                known.first = offset + 1;
            }
            if !in_line {
                continue;
            }
            self.check(is_out || done || offset > last, || {
                format!("{line:?} brought {out:?} before message {number}: {progress:?}")
            });
            self.check(is_out || !progress.is_out(life, now), || {
                format!("{line:?} brought {out:?} while {number} is out: {progress:?}")
            });
            // Somebody may have had it whose answer is lost: until when, nobody knows.
            let is_lost = progress.settled.is_none()
                && self.is_old(number)
                && progress.last.as_ref().is_none_or(|last| last.life != life);
            if is_lost && !is_out && offset < last {
                since = self.world.elapsed();
            }
            // A delivery that has ended held up the others until then.
            if let Some(last) = progress.last.filter(|_| progress.settled.is_none()) {
                since = since.max(last.until.since(self.beginning()));
            }
        }
        self.lines.of.insert(line.clone(), known);
        since
    }

    /// Whether the group is through with a message, or may be.
    fn is_done(&self, group: &PlannedGroup, number: u64, progress: &Progress) -> bool {
        let now = self.world.now();
        let expired = self.letters[number as usize]
            .known_place()
            .is_some_and(|(.., position): (_, _, LogPosition)| position < self.start);
        // Of a delivery, or a change, that a crash may have undone nobody knows when it ended.
        let is_over = |last: &Delivery| last.until <= now || (last.life != self.life && !last.firm);
        let used_up = match &progress.last {
            Some(last) => last.attempt + self.lives_since(last.life) >= group.max_attempts,
            None => self.is_old(number) && self.lives_since(0) >= group.max_attempts,
        } && progress.last.as_ref().is_none_or(is_over);
        progress.settled.is_some() || progress.perhaps_settled > 0 || expired || used_up
    }

    /// Crashes since `life`. Each may have lost an answer, whose messages have one attempt less.
    fn lives_since(&self, life: u64) -> u32 {
        u32::try_from(self.life - life).unwrap_or(u32::MAX)
    }

    /// Whether the message was there when this life began.
    fn is_old(&self, number: u64) -> bool {
        self.letters[number as usize]
            .known_place()
            .is_some_and(|(.., position)| position < self.durable[0].0)
    }

    /// A message was settled: the next of its line can be handed out.
    pub(super) fn line_moved(&mut self, group: &GroupName, number: u64, now: Duration) {
        for mode in [Mode::InOrder, Mode::Fifo] {
            if let Some((line, _)) = self.letters[number as usize].line_of(group, mode) {
                self.lines.of.entry(line).or_default().moved = now;
            }
        }
    }
}
