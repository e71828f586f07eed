//! Timed messages: sent, recalled and waited for.

use std::time::Duration;

use wire::message::properties;
use wire::remoting::{Command, RequestCode, header::RecallMessageRequest};

use super::send::now;
use super::{Driver, Fault, PAUSE, not_asked, pause};
use crate::differential::operation::{Content, Delay, Group};
use crate::differential::outcome::{self, Outcome};

/// How much later than due a message may come: the original looks once a second, and two cores
/// that do much else are slow.
const LATE_MS: i64 = 6_000;

/// How long a recalled message is waited for beyond the time at which it was due.
const GONE_MS: i64 = 2_500;

/// What the planted fault takes away from every delay.
const EARLY_MS: i64 = 1_500;

impl Driver {
    pub(super) async fn send_timed(
        &mut self,
        index: usize,
        content: &Content,
        delay: Delay,
    ) -> Outcome {
        let sent_at = now();
        let taken = match self.fault {
            Some(Fault::DelayEarly) => EARLY_MS,
            _ => 0,
        };
        let (name, value, due_ms) = match delay {
            Delay::Level(level) => {
                // The first levels; no other is used, to keep runs short.
                let wait = [0, 1_000, 5_000][usize::try_from(level).unwrap_or(0).min(2)];
                let value = level.to_string();
                (properties::DELAY_LEVEL, value, sent_at + wait)
            }
            Delay::AtMs(wait) => {
                let due = sent_at + wait;
                let value = (due - taken).to_string();
                (properties::TIMER_DELIVER_MS, value, due)
            }
            Delay::AfterMs(wait) => {
                let value = (wait - taken).max(0).to_string();
                (properties::TIMER_DELAY_MS, value, sent_at + wait)
            }
            Delay::AfterSeconds(wait) => {
                let value = wait.to_string();
                let due = sent_at + wait * 1_000;
                (properties::TIMER_DELAY_SECONDS, value, due)
            }
        };
        let properties = self.properties(index, content, &[(name, value)]);
        let asked = self.store(index, content, &properties, true).await;
        let outcome = self.remember(index, content, &asked, due_ms);
        // Where it waits is the server's own matter.
        let lines = outcome.lines.iter();
        let lines = lines.filter(|line| !line.starts_with("offset="));
        Outcome {
            lines: lines.cloned().collect(),
            ..outcome
        }
    }

    pub(super) async fn recall(&mut self, send: usize, is_genuine: bool) -> Outcome {
        let Some(sent) = self.sent.get(&send) else {
            return not_asked();
        };
        let handle = match (&sent.recall_handle, is_genuine) {
            (Some(handle), true) => handle.as_str(),
            (None, true) => return not_asked(),
            (_, false) => "bm8gaGFuZGxl",
        };
        let topic = self.topic(sent.topic);
        let header = RecallMessageRequest {
            producer_group: Some(&self.producers()),
            topic: &topic,
            recall_handle: handle,
        };
        let request = Command::request(RequestCode::RecallMessage, &header);
        let asked = self.ask(request).await;
        let mut outcome = asked.outcome();
        if let Some(header) = asked.header::<wire::remoting::header::RecallMessageResponse<'_>>() {
            let is_right = header.message_id == sent.unique_key;
            outcome = outcome.with(format!("right id={is_right}"));
        }
        outcome
    }

    pub(super) async fn await_timed(&mut self, send: usize, is_expected: bool) -> Outcome {
        let Some(sent) = self.sent.get(&send).cloned() else {
            return not_asked();
        };
        let latest = sent.due_ms + if is_expected { 30_000 } else { GONE_MS };
        let mut seen_at = now();
        while self.end(sent.topic, sent.queue).await < Some(1) {
            if now() > latest {
                return not_asked().with("message=none");
            }
            pause(PAUSE).await;
            seen_at = now();
        }
        let seen_at = seen_at.max(now());
        let found = self.read(Group::First, sent.topic, sent.queue, 0).await;
        let Some(message) = found.first() else {
            return not_asked().with("message=unreadable");
        };
        let early = sent.due_ms - message.store_timestamp().min(seen_at);
        let when = match early {
            i64::MIN..=0 if -early > LATE_MS => "late".to_owned(),
            i64::MIN..=0 => "due".to_owned(),
            1..=1_000 => "in the second before".to_owned(),
            _ => format!(
                "early by {:?}",
                Duration::from_millis(early.cast_unsigned())
            ),
        };
        not_asked()
            .with(format!("when={when}"))
            .with(outcome::message(message))
    }
}
