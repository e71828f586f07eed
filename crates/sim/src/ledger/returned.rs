//! Messages that pulling consumers have sent back: what must be true of their copies.

use std::{
    collections::{BTreeMap, BTreeSet},
    time::Duration,
};

use base::{GroupName, Timestamp, TopicName};
use wire::message::{StoredMessage, properties};

use super::Ledger;

/// Copies of a message that a group has sent back: which message, how often it had failed with
/// that, and whether it is a dead letter.
type Kind = (GroupName, u64, i32, bool);

/// What is known of the copies of one kind.
#[derive(Clone, Debug, Default)]
struct Copies {
    /// How many were asked for without a refusal.
    asked: usize,
    confirmed: usize,
    /// The first of them may be seen then.
    from: Option<Timestamp>,
    /// All that are confirmed are to be seen by then.
    by: Option<Timestamp>,
    /// Their offsets, as far as they were seen.
    seen: BTreeSet<u64>,
}

/// All that was sent back in a run.
#[derive(Debug, Default)]
pub(super) struct Returned {
    copies: BTreeMap<Kind, Copies>,
    /// What is at each offset of a retry topic.
    places: BTreeMap<(GroupName, u64), (u64, i32)>,
    /// When the last of them is due.
    last_due: Timestamp,
}

/// What a consumer gives back.
#[derive(Clone, Debug)]
pub struct Return {
    /// Its group.
    pub group: GroupName,
    /// The message.
    pub letter: u64,
    /// Failures, this one included.
    pub times: i32,
    /// It is to be a dead letter.
    pub dead: bool,
    /// It is to be seen again so long after it was taken back.
    pub pause: Duration,
    /// It is to be seen again then at the earliest.
    pub due: Timestamp,
}

impl Return {
    fn kind(&self) -> Kind {
        (self.group.clone(), self.letter, self.times, self.dead)
    }
}

impl Ledger {
    /// A consumer is about to give a message back, and the answer may not come.
    pub fn will_return(&mut self, back: &Return) {
        let copies = self.returned.copies.entry(back.kind()).or_default();
        copies.asked += 1;
        let from = copies.from.unwrap_or(back.due).min(back.due);
        copies.from = Some(from);
        self.returned.last_due = self.returned.last_due.max(back.due);
    }

    /// The message was taken back.
    pub fn was_returned(&mut self, back: &Return) {
        let by = self.world.now().after(back.pause);
        let copies = self.returned.copies.entry(back.kind()).or_default();
        copies.confirmed += 1;
        copies.by = copies.by.max(Some(by));
    }

    /// It was refused: nothing happened.
    pub fn was_not_returned(&mut self, back: &Return) {
        let copies = self.returned.copies.entry(back.kind()).or_default();
        copies.asked = copies.asked.saturating_sub(1);
    }

    /// When the last message that was sent back is due.
    pub(super) fn last_return(&self) -> Timestamp {
        self.returned.last_due
    }

    /// A copy was found in a retry topic, or among the dead letters of a pulling group.
    pub fn came_back(
        &mut self,
        group: &GroupName,
        number: u64,
        dead: bool,
        message: &StoredMessage,
    ) {
        let (times, offset) = (
            message.reconsume_times(),
            message.queue_offset().cast_unsigned(),
        );
        let stored = Timestamp::from_ms(message.store_timestamp());
        let kind = (group.clone(), number, times, dead);
        let copies = self.returned.copies.entry(kind).or_default();
        copies.seen.insert(offset);
        let copies = copies.clone();
        self.check(copies.seen.len() <= copies.asked, || {
            format!("{group} has too many copies {times} of message {number}: {copies:?}")
        });
        let in_time = copies.from.is_some_and(|from| stored >= from);
        self.check(in_time, || {
            format!("{group} has message {number} back early, at {stored}: {copies:?}")
        });
        // Of those whose answer never came nobody knows when they were taken back.
        let by = copies.by.filter(|_| copies.asked == copies.confirmed);
        let late = by.is_some_and(|by| stored > by && !self.is_excused(stored));
        self.check(!late, || {
            format!("{group} has message {number} back late, at {stored}: {copies:?}")
        });
        let origin = self.letters[number as usize].topic.clone();
        let named = message.property(properties::RETRY_TOPIC) == Some(origin.as_str());
        self.check(named, || {
            format!("message {number} of {origin} came back as {message:?}")
        });
        if !dead {
            let place = (group.clone(), offset);
            let there = *self.returned.places.entry(place).or_insert((number, times));
            self.check(there == (number, times), || {
                format!("{group} has copy {times} of {number} at {offset}, had {there:?}")
            });
        }
    }

    /// Every message that was taken back came again, or is a dead letter.
    pub(super) fn check_returned_end(&mut self) {
        for ((group, number, times, dead), copies) in self.returned.copies.clone() {
            let trimmed = copies.from.is_none_or(|from| self.may_be_trimmed(from));
            let volatile = self.letters[number as usize].volatile;
            let all = copies.seen.len() >= copies.confirmed;
            self.check(all || trimmed, || {
                format!(
                    "copy {times} of message {number} never came back to {group}, dead {dead}, \
                     volatile {volatile}: {copies:?}"
                )
            });
        }
    }

    /// Copies seen in retry topics, and among dead letters.
    pub(super) fn returned_figures(&self) -> [usize; 2] {
        let seen = |is_dead: bool| {
            let copies = self.returned.copies.iter();
            let of_kind = copies.filter(|((.., dead), _)| *dead == is_dead);
            of_kind.map(|(_, copies)| copies.seen.len()).sum()
        };
        [seen(false), seen(true)]
    }
}

/// The group whose retry topic this is.
pub(super) fn retry_group(topic: &TopicName) -> Option<GroupName> {
    topic
        .retry_group()
        .and_then(|group| GroupName::new(group).ok())
}
