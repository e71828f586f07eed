//! Messages that wait outside their queue: what must be true of timed and of half messages.

use std::time::Duration;

use base::{LogPosition, Timestamp, limits};
use broker::{Resolution, Sent};
use wire::message::StoredMessage;

use super::Ledger;
use crate::plan::Checks;

/// What producers know of a transaction, whoever of them is asked.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Decision {
    /// It is committed.
    Commit,
    /// It is rolled back.
    Rollback,
    /// One says this, another that; what is confirmed first counts.
    Contested,
    /// Nobody ever knows.
    Never,
}

/// A word that a client gives about a message, which may be given more than once.
#[derive(Clone, Copy, Debug, Default)]
struct Word {
    /// How often it was given without a refusal.
    given: u32,
    first_given: Option<Timestamp>,
    confirmed: Option<Duration>,
}

/// What a half message is sent with.
#[derive(Clone, Copy, Debug)]
pub struct HalfTerms {
    /// What its producers know.
    pub decision: Decision,
    /// How long the broker waits before it asks.
    pub patience_ms: u64,
    /// The producer has set that time itself: its word counts no longer after it, unless asked.
    pub own_patience: bool,
}

/// What a message waits for.
#[derive(Clone, Debug)]
pub struct Waiting {
    /// From the send to its time; for a half message, from its commit.
    delay_ms: u64,
    half: Option<HalfTerms>,
    /// When its send began.
    called: Timestamp,
    /// When its send was confirmed.
    confirmed: Option<Timestamp>,
    /// Its due time as the answer said.
    due: Option<Timestamp>,
    /// It is never to be seen: recalled, or rolled back.
    gone: Word,
    committed: Word,
    /// It was put aside for want of a word.
    aside: Option<u64>,
}

impl Waiting {
    /// A timed message.
    pub fn timed(called: Timestamp, delay_ms: u64) -> Self {
        Self {
            delay_ms,
            half: None,
            called,
            confirmed: None,
            due: None,
            gone: Word::default(),
            committed: Word::default(),
            aside: None,
        }
    }

    /// A half message; with a delay, it waits for that after its commit.
    pub fn half(called: Timestamp, terms: HalfTerms, delay_ms: u64) -> Self {
        Self {
            half: Some(terms),
            ..Self::timed(called, delay_ms)
        }
    }

    /// What it is sent with, if it is a half message.
    pub fn half_terms(&self) -> Option<HalfTerms> {
        self.half
    }

    /// Whether it can be recalled: a timed message that is confirmed and not recalled yet.
    pub fn is_recallable(&self) -> bool {
        self.half.is_none() && self.due.is_some() && self.gone.confirmed.is_none()
    }

    fn delay(&self) -> Duration {
        Duration::from_millis(self.delay_ms)
    }

    /// Before this it is not seen, as far as is known; `None` if never.
    fn not_before(&self) -> Option<Timestamp> {
        match self.half {
            None => Some(self.due.unwrap_or_else(|| self.called.after(self.delay()))),
            Some(_) => Some(self.committed.first_given?.after(self.delay())),
        }
    }

    /// Undisturbed, it is in its queue then at the latest, as far as is known.
    fn in_time(&self, beginning: Timestamp) -> Option<Timestamp> {
        match self.half {
            None => Some(self.due?.max(self.confirmed?)),
            Some(_) => {
                let confirmed = beginning.after(self.committed.confirmed?);
                Some(confirmed.after(self.delay()))
            }
        }
    }

    /// By then it has left, if its producers answer.
    fn left_by(&self, checks: Checks) -> Timestamp {
        let words = match self.half {
            None => 0,
            Some(terms) => terms.patience_ms + (u64::from(checks.max) + 2) * checks.interval_ms,
        };
        let timed = self.due.unwrap_or(self.called).after(self.delay());
        timed.after(Duration::from_millis(words))
    }

    /// It is put aside no earlier than this.
    fn aside_from(&self, checks: Checks) -> Option<Timestamp> {
        let ms = self.half?.patience_ms + u64::from(checks.max) * checks.interval_ms;
        Some(self.called.after(Duration::from_millis(ms)))
    }
}

/// A release that failed is tried again after this long at most: the wait for room in the log, and
/// the pause after a failure.
const RELEASE_RETRY_MS: u64 = limits::SEND_WAIT_MS_MAX + 1_200;

impl Ledger {
    fn waiting(&mut self, number: u64) -> Option<&mut Waiting> {
        self.letters[number as usize].waiting.as_mut()
    }

    /// The send of a message that is to wait was confirmed. `false` if it does not wait.
    pub(super) fn was_sent_to_wait(&mut self, number: u64, sent: &Sent) -> bool {
        let now = self.world.now();
        let Some(waiting) = self.waiting(number) else {
            return false;
        };
        let due = waiting.called.after(waiting.delay());
        let is_half = waiting.half.is_some();
        if sent.due.is_none() && !is_half {
            // Its time had passed when it came.
            self.check(due <= now, || {
                format!("message {number} is due at {due} and went to its queue at once")
            });
            return false;
        }
        waiting.confirmed = Some(now);
        waiting.due = sent.due;
        let latest = now.after(waiting.delay());
        let holds = sent
            .due
            .is_some_and(|found| found >= due && found <= latest);
        self.check(holds || is_half, || {
            format!(
                "message {number} should be due at {due}, not {:?}",
                sent.due
            )
        });
        self.check(!is_half || sent.due.is_none(), || {
            format!("half message {number} is due at {:?}", sent.due)
        });
        true
    }

    /// A message that waited came out of its queue.
    pub(super) fn waited(&mut self, number: u64, message: &StoredMessage) {
        let letter = &self.letters[number as usize];
        let volatile = letter.volatile;
        let Some(waiting) = letter.waiting.clone() else {
            return;
        };
        let stored = Timestamp::from_ms(message.store_timestamp());
        self.check(waiting.gone.confirmed.is_none(), || {
            format!("message {number} is seen though it was taken back: {waiting:?}")
        });
        let not_before = waiting.not_before();
        let in_order = not_before.is_some_and(|from| stored >= from && self.world.now() >= from);
        self.check(in_order, || {
            format!("message {number} is seen early, at {stored}: {waiting:?}")
        });
        self.check(waiting.aside.is_none(), || {
            format!("message {number} is seen though it was put aside")
        });
        let beginning = self.beginning();
        if let Some(latest) = waiting.in_time(beginning).filter(|_| !volatile) {
            let late = stored > latest && !self.is_excused(stored);
            self.check(!late, || {
                format!("message {number} is seen late, at {stored} not {latest}: {waiting:?}")
            });
        }
    }

    pub(super) fn beginning(&self) -> Timestamp {
        let passed = i64::try_from(self.world.elapsed().as_millis()).unwrap_or(i64::MAX);
        Timestamp::from_ms(self.world.now().ms() - passed)
    }

    /// Whether what was released at `stored` may have been due before: the node was not there, or
    /// had trouble.
    pub(super) fn is_excused(&self, stored: Timestamp) -> bool {
        let at = stored.since(self.beginning());
        let began = self.life_begins.iter().rev().find(|began| **began <= at);
        let retry = Duration::from_millis(RELEASE_RETRY_MS);
        let troubled = self.world.last_trouble(at);
        began.is_some_and(|began| *began == at)
            || troubled.is_some_and(|troubled| troubled + retry >= at)
    }

    /// Whether retention may have taken what was stored at `from` or later.
    pub(super) fn may_be_trimmed(&self, from: Timestamp) -> bool {
        let stored = |letter: &super::Letter| {
            letter
                .sent
                .filter(|sent| sent.physical_offset.position() >= self.start)
                .map(|sent| sent.store_timestamp)
        };
        // Whatever is stored after something that is still there is still there.
        let oldest = self.letters.iter().filter_map(stored).min();
        self.start > LogPosition::default() && oldest.is_none_or(|oldest| from <= oldest)
    }

    /// A timed message is about to be taken back, and the answer may not come.
    pub fn will_recall(&mut self, number: u64) {
        let now = self.world.now();
        if let Some(waiting) = self.waiting(number) {
            waiting.gone.give(now);
        }
    }

    /// It is taken back.
    pub fn was_recalled(&mut self, number: u64) {
        let now = self.world.elapsed();
        if let Some(waiting) = self.waiting(number) {
            waiting.gone.confirmed.get_or_insert(now);
        }
        self.check_gone(number);
    }

    /// It is not there to be taken back.
    pub fn was_not_recalled(&mut self, number: u64) {
        let now = self.world.now();
        let volatile = self.letters[number as usize].volatile;
        let Some(waiting) = self.waiting(number) else {
            return;
        };
        waiting.gone.given -= 1;
        let waiting = waiting.clone();
        let explained = waiting.gone.given > 0 || waiting.due.is_none_or(|due| due <= now);
        self.check(explained || volatile, || {
            format!("message {number} cannot be recalled before its time: {waiting:?}")
        });
    }

    /// The end of a transaction is about to be told, and the answer may not come.
    pub fn will_end(&mut self, number: u64, resolution: Resolution) {
        let now = self.world.now();
        if let Some(word) = self.word(number, resolution) {
            word.give(now);
        }
    }

    /// The end of a transaction was taken.
    pub fn was_ended(&mut self, number: u64, resolution: Resolution) {
        let now = self.world.elapsed();
        if let Some(word) = self.word(number, resolution) {
            word.confirmed.get_or_insert(now);
        }
        self.check_gone(number);
        let Some(waiting) = self.letters[number as usize].waiting.clone() else {
            return;
        };
        self.check(
            waiting.aside.is_none() || resolution == Resolution::Unknown,
            || format!("the end of message {number} is taken though it was put aside"),
        );
    }

    /// The word was refused: it changed nothing. `missing`: there is no such half message any more.
    pub fn was_not_ended(&mut self, number: u64, resolution: Resolution, missing: bool) {
        let (now, checks) = (self.world.now(), self.checks);
        if let Some(word) = self.word(number, resolution) {
            word.given -= 1;
        }
        let letter = &self.letters[number as usize];
        let Some(waiting) = letter.waiting.clone() else {
            return;
        };
        let may_be_aside = waiting.aside_from(checks).is_some_and(|from| from <= now);
        let ended = waiting.gone.given + waiting.committed.given > 0;
        let explained = !missing || ended || may_be_aside || letter.volatile;
        self.check(explained, || {
            format!("half message {number} is not there: {waiting:?}")
        });
    }

    fn word(&mut self, number: u64, resolution: Resolution) -> Option<&mut Word> {
        let waiting = self.waiting(number)?;
        match resolution {
            Resolution::Commit => Some(&mut waiting.committed),
            Resolution::Rollback => Some(&mut waiting.gone),
            Resolution::Unknown => None,
        }
    }

    /// What is gone was never seen, and was not committed either.
    fn check_gone(&mut self, number: u64) {
        let letter = &self.letters[number as usize];
        let (place, waiting) = (letter.place, letter.waiting.clone());
        let Some(waiting) = waiting.filter(|waiting| waiting.gone.confirmed.is_some()) else {
            return;
        };
        self.check(
            place.is_none() && waiting.committed.confirmed.is_none(),
            || format!("message {number} is taken back from {place:?}: {waiting:?}"),
        );
    }

    /// A producer is asked about a half message. Nothing was left to be told to it at `emptied`, so
    /// the question came after that.
    pub fn asked(&mut self, number: u64, emptied: Duration) {
        let now = self.world.now();
        let letter = &self.letters[number as usize];
        let Some(waiting) = letter.waiting.clone() else {
            self.violate(format!(
                "message {number} is asked about and no half message"
            ));
            return;
        };
        let patience = waiting.half.map_or(0, |terms| terms.patience_ms);
        let from = waiting.called.after(Duration::from_millis(patience));
        self.check(waiting.half.is_some() && now >= from, || {
            format!("message {number} is asked about early: {waiting:?}")
        });
        let ends = [waiting.gone.confirmed, waiting.committed.confirmed];
        let ended = ends.into_iter().flatten().any(|end| end < emptied);
        self.check(!ended, || {
            format!("message {number} is asked about after its end: {waiting:?}")
        });
    }

    /// A half message is found where those are that nobody decided about.
    pub(super) fn was_put_aside(&mut self, number: u64, message: &StoredMessage) {
        let checks = self.checks;
        let (place, stored) = (
            message.queue_offset().cast_unsigned(),
            Timestamp::from_ms(message.store_timestamp()),
        );
        let seen = self.letters[number as usize].place;
        let Some(waiting) = self.waiting(number) else {
            self.violate(format!(
                "message {number} was put aside and no half message"
            ));
            return;
        };
        let known = *waiting.aside.get_or_insert(place);
        let waiting = waiting.clone();
        let open = waiting.gone.confirmed.is_none() && waiting.committed.confirmed.is_none();
        let asked_out = waiting
            .aside_from(checks)
            .is_some_and(|from| stored >= from);
        self.check(
            open && asked_out && known == place && seen.is_none(),
            || format!("message {number} should not be aside at {place}, {stored}: {waiting:?}"),
        );
    }

    /// By then everything that waits has left, if producers answer.
    pub fn all_left_by(&self) -> Timestamp {
        let checks = self.checks;
        let waiting = self
            .letters
            .iter()
            .filter_map(|letter| letter.waiting.as_ref());
        let left = waiting.map(|waiting| waiting.left_by(checks)).max();
        // A word may be given, and a delay begin, until the last moment.
        let longest = self
            .letters
            .iter()
            .filter_map(|letter| letter.waiting.as_ref());
        let longest = longest.map(|waiting| waiting.delay_ms).max().unwrap_or(0);
        let words = (u64::from(checks.max) + 2) * checks.interval_ms + checks.timeout_ms;
        let left = left.unwrap_or_default().max(self.last_return());
        let from = left.max(self.world.now());
        from.after(Duration::from_millis(longest + words + 100))
    }

    /// Whatever waited and was confirmed is where it belongs.
    pub(super) fn check_waiting_end(&mut self) {
        for number in 0..self.letters.len() as u64 {
            let letter = &self.letters[number as usize];
            let seen = letter.place.is_some() || letter.volatile;
            let Some(waiting) = letter.waiting.clone().filter(|_| !seen) else {
                continue;
            };
            if waiting.confirmed.is_none() {
                continue;
            }
            let ended = waiting.committed.confirmed.is_some();
            let explained = waiting.gone.given > 0 || waiting.aside.is_some();
            let from = waiting.not_before().unwrap_or(waiting.called);
            let done = (explained && !ended) || self.may_be_trimmed(from);
            self.check(done, || format!("message {number} never came: {waiting:?}"));
        }
    }

    /// Of the messages that waited: seen after their time, seen after their commit, taken back, put
    /// aside.
    pub(super) fn waiting_figures(&self) -> [usize; 4] {
        let count = |is: &dyn Fn(&super::Letter, &Waiting) -> bool| {
            let waiting = |letter: &&super::Letter| {
                letter
                    .waiting
                    .as_ref()
                    .is_some_and(|waiting| is(letter, waiting))
            };
            self.letters.iter().filter(waiting).count()
        };
        [
            count(&|letter, waiting| letter.place.is_some() && waiting.half.is_none()),
            count(&|letter, waiting| letter.place.is_some() && waiting.half.is_some()),
            count(&|_, waiting| waiting.gone.confirmed.is_some()),
            count(&|_, waiting| waiting.aside.is_some()),
        ]
    }
}

impl Word {
    fn give(&mut self, now: Timestamp) {
        self.given += 1;
        self.first_given.get_or_insert(now);
    }
}
