//! Which messages were sent, received and acknowledged: the judge of "every one, exactly once".

use std::collections::BTreeMap;
use std::fmt::Write as _;

use anyhow::{Result, bail};

use super::deadline::{DELIVERY, Deadline};
use super::driver::Driver;
use super::event::{Event, Received};

/// How many keys an error names.
const KEYS_NAMED_MAX: usize = 5;

/// What is known of one message.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
enum State {
    /// The server took it.
    Sent,
    /// The client gave up on it: the server may have it, or not.
    MaybeSent,
    /// It was delivered, but not acknowledged yet.
    Received { attempts: u32 },
    /// The client acknowledged it: it must not come again.
    Acked,
}

/// The messages of one scenario, by key.
#[derive(Default)]
pub(crate) struct Ledger {
    states: BTreeMap<String, State>,
    /// Messages whose key starts with it are delivered exactly twice.
    held: Option<&'static str>,
    /// Whether messages may be delivered again after their ack.
    may_return: bool,
    warnings: u32,
    last_warning: String,
}

impl Ledger {
    /// A ledger that expects a second delivery of messages whose key starts with `prefix`.
    pub(crate) fn holding(prefix: &'static str) -> Self {
        Self {
            held: Some(prefix),
            ..Self::default()
        }
    }

    /// From now on messages may be delivered again, also after their ack: the client forgets what
    /// it has acknowledged.
    pub(crate) fn allow_returns(&mut self) {
        self.may_return = true;
    }

    /// Notes messages that the server took.
    pub(crate) fn sent(&mut self, keys: Vec<String>) -> Result<()> {
        for key in keys {
            if self.states.insert(key.clone(), State::Sent).is_some() {
                bail!("key `{key}` was sent twice");
            }
        }
        Ok(())
    }

    /// Notes messages that the client gave up on: they may come, once, but need not.
    pub(crate) fn maybe_sent(&mut self, keys: impl Iterator<Item = String>) {
        self.states.extend(keys.map(|key| (key, State::MaybeSent)));
    }

    /// Reads events until every message was received and acknowledged. Fails on the first delivery
    /// that must not be.
    pub(crate) fn settle(&mut self, driver: &mut Driver) -> Result<()> {
        let deadline = Deadline::after(DELIVERY);
        while self.open() {
            let event = match driver.next_event(deadline) {
                Ok(event) => event,
                Err(reason) => bail!("{reason}; {}", self.describe_open()),
            };
            self.note(event)?;
        }
        Ok(())
    }

    /// Reads events until `deadline` and notes them.
    pub(crate) fn observe(&mut self, driver: &mut Driver, deadline: Deadline) -> Result<()> {
        while let Some(event) = driver.next_event_until(deadline)? {
            self.note(event)?;
        }
        Ok(())
    }

    /// Whether a message is still owed, or its ack.
    fn open(&self) -> bool {
        self.states
            .values()
            .any(|state| matches!(state, State::Sent | State::Received { .. }))
    }

    fn note(&mut self, event: Event) -> Result<()> {
        match event {
            Event::Received(received) => self.received(&received),
            Event::Acked { keys } => self.acked(&keys),
            Event::AckFailed { keys, error } => bail!("acknowledging {keys:?} failed: {error}"),
            // Libraries report passing failures, such as a receive during a restart, and go on.
            Event::Warning { error } => {
                self.warnings += 1;
                self.last_warning = error;
                Ok(())
            }
            other => bail!("unexpected event {other:?}"),
        }
    }

    fn received(&mut self, received: &Received) -> Result<()> {
        let Some(key) = received
            .keys
            .iter()
            .find(|key| self.states.contains_key(*key))
        else {
            bail!("a message that was not sent here was received: {received:?}");
        };
        let held = self.held.is_some_and(|prefix| key.starts_with(prefix));
        match self.states.get_mut(key) {
            Some(state @ (State::Sent | State::MaybeSent)) => {
                *state = State::Received { attempts: 1 }
            }
            Some(State::Received { attempts }) if held && *attempts == 1 => {
                *attempts = 2;
                if received.attempt != 2 {
                    bail!(
                        "the second delivery of key `{key}` says attempt {}",
                        received.attempt
                    );
                }
            }
            Some(State::Received { .. } | State::Acked) if self.may_return => {}
            Some(State::Received { .. }) => {
                bail!("key `{key}` was delivered more often than expected")
            }
            Some(State::Acked) => bail!(
                "key `{key}` was delivered again after its ack, as attempt {}",
                received.attempt
            ),
            None => {}
        }
        Ok(())
    }

    fn acked(&mut self, keys: &[String]) -> Result<()> {
        let Some(key) = keys.iter().find(|key| self.states.contains_key(*key)) else {
            bail!("an ack of a message that was not sent here: {keys:?}");
        };
        match self.states.insert(key.clone(), State::Acked) {
            Some(State::Received { .. }) => Ok(()),
            Some(State::Acked) if self.may_return => Ok(()),
            before => bail!("an ack of key `{key}`, which was {before:?}"),
        }
    }

    fn describe_open(&self) -> String {
        let open = |wanted: fn(&State) -> bool| {
            let keys: Vec<&str> = self
                .states
                .iter()
                .filter(|(_, state)| wanted(state))
                .map(|(key, _)| key.as_str())
                .collect();
            let named = keys
                .iter()
                .take(KEYS_NAMED_MAX)
                .copied()
                .collect::<Vec<_>>()
                .join(", ");
            format!("{} ({named})", keys.len())
        };
        let mut text = format!(
            "of {} messages, not received: {}, received but not acknowledged: {}",
            self.states.len(),
            open(|state| *state == State::Sent),
            open(|state| matches!(state, State::Received { .. })),
        );
        if self.warnings > 0 {
            // Writing to a string cannot fail.
            let _ = write!(
                text,
                ", last of {} warnings: {}",
                self.warnings, self.last_warning
            );
        }
        text
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn received(key: &str, attempt: u32) -> Event {
        Event::Received(Received {
            topic: "t".to_owned(),
            keys: vec![key.to_owned()],
            tag: None,
            properties: BTreeMap::new(),
            body_base64: String::new(),
            attempt,
            lite_topic: None,
            at_ms: 0,
        })
    }

    fn acked(key: &str) -> Event {
        Event::Acked {
            keys: vec![key.to_owned()],
        }
    }

    fn ledger(keys: &[&str]) -> Ledger {
        let mut ledger = Ledger::default();
        ledger
            .sent(keys.iter().map(|key| (*key).to_owned()).collect())
            .expect("sent");
        ledger
    }

    #[test]
    fn a_message_settles_with_its_ack() {
        let mut ledger = ledger(&["a"]);
        ledger.note(received("a", 1)).expect("received");
        assert!(ledger.open());
        ledger.note(acked("a")).expect("acked");
        assert!(!ledger.open());
    }

    #[test]
    fn a_delivery_after_the_ack_fails() {
        let mut ledger = ledger(&["a"]);
        ledger.note(received("a", 1)).expect("received");
        ledger.note(acked("a")).expect("acked");
        let reason = ledger.note(received("a", 2)).expect_err("after the ack");
        assert!(
            reason.to_string().contains("delivered again after its ack"),
            "{reason}"
        );
    }

    #[test]
    fn a_second_delivery_before_the_ack_fails() {
        let mut ledger = ledger(&["a"]);
        ledger.note(received("a", 1)).expect("received");
        assert!(ledger.note(received("a", 1)).is_err());
    }

    #[test]
    fn a_client_that_forgets_may_get_a_message_again_but_owes_all_of_them() {
        let mut ledger = ledger(&["a", "b"]);
        ledger.allow_returns();
        for _ in 0..2 {
            ledger.note(received("a", 1)).expect("received");
            ledger.note(received("a", 1)).expect("again before the ack");
            ledger.note(acked("a")).expect("acked");
            ledger.note(acked("a")).expect("acked again");
        }
        assert!(ledger.open(), "b has not come");
        assert!(ledger.note(acked("b")).is_err());
    }

    #[test]
    fn foreign_messages_fail() {
        assert!(ledger(&["a"]).note(received("b", 1)).is_err());
    }

    #[test]
    fn a_held_message_comes_exactly_twice() {
        let mut ledger = Ledger::holding("held-");
        ledger.sent(vec!["held-1".to_owned()]).expect("sent");
        ledger.note(received("held-1", 1)).expect("first");
        ledger.note(received("held-1", 2)).expect("second");
        assert!(ledger.note(received("held-1", 3)).is_err());
    }

    #[test]
    fn the_second_delivery_must_count_itself() {
        let mut ledger = Ledger::holding("held-");
        ledger.sent(vec!["held-1".to_owned()]).expect("sent");
        ledger.note(received("held-1", 1)).expect("first");
        assert!(ledger.note(received("held-1", 1)).is_err());
    }
}
