//! What one client sent and received: the judge of "nothing lost, nothing late, nothing overtaken".

use std::collections::BTreeMap;

use serde::Serialize;

use crate::conformance::event::Event;

/// Errors of sends that are kept to be shown.
const ERRORS_SHOWN_MAX: usize = 3;

/// What is known of one message.
#[derive(Default)]
struct Message {
    acknowledged: bool,
    deliveries: u32,
}

/// What is known of messages that are sent one after the other.
#[derive(Default)]
struct Lane {
    acknowledged_at_ms: Option<u64>,
    gap_ms_max: u64,
    newest_received: Option<u64>,
}

/// The messages of one client.
#[derive(Default)]
pub(super) struct Ledger {
    messages: BTreeMap<String, Message>,
    lanes: BTreeMap<String, Lane>,
    together: Lane,
    acknowledged: u64,
    send_errors: u64,
    ack_errors: u64,
    overtaken: u64,
    errors_shown: Vec<String>,
}

/// What became of the messages of one client.
#[derive(Clone, Debug, Default, Serialize)]
pub(super) struct Account {
    /// Messages whose send succeeded.
    pub(super) acknowledged: u64,
    /// How many of them were received.
    pub(super) received: u64,
    /// How many of them were not.
    pub(super) lost: u64,
    /// Deliveries of messages that were delivered already.
    pub(super) duplicates: u64,
    /// Sends that failed after the library's own attempts.
    pub(super) send_errors: u64,
    /// Acknowledgements that the library could not deliver.
    pub(super) ack_errors: u64,
    /// Messages that came after a later one of their lane.
    pub(super) overtaken: u64,
    /// The longest time in which no send of any lane succeeded.
    pub(super) gap_ms: u64,
    /// The longest time in which no send of a lane succeeded that had one before.
    pub(super) lane_gap_ms: u64,
    /// Some keys that were lost.
    #[serde(skip_serializing_if = "Vec::is_empty")]
    pub(super) lost_keys: Vec<String>,
    /// The first errors of sends.
    #[serde(skip_serializing_if = "Vec::is_empty")]
    pub(super) first_errors: Vec<String>,
}

impl Lane {
    /// Notes that a send succeeded.
    fn acknowledge(&mut self, at_ms: u64) {
        self.end(at_ms);
        self.acknowledged_at_ms = Some(at_ms);
    }

    /// A silence that has not ended counts too.
    fn end(&mut self, at_ms: u64) {
        if let Some(before) = self.acknowledged_at_ms {
            self.gap_ms_max = self.gap_ms_max.max(at_ms.saturating_sub(before));
        }
    }
}

impl Ledger {
    /// Notes what a driver said.
    pub(super) fn note(&mut self, event: Event) {
        match event {
            Event::Sent { key, at_ms, .. } => {
                self.together.acknowledge(at_ms);
                let (lane, _) = place(&key);
                let lane = self.lanes.entry(lane.to_owned()).or_default();
                lane.acknowledge(at_ms);
                self.messages.entry(key).or_default().acknowledged = true;
                self.acknowledged += 1;
            }
            Event::SendFailed { key, error } => {
                self.send_errors += 1;
                self.show(format!("{key}: {error}"));
            }
            Event::Received(received) => self.receive(received.key()),
            Event::AckFailed { keys, error } => {
                self.ack_errors += 1;
                self.show(format!("ack of {}: {error}", keys.join(", ")));
            }
            // Nothing is to be learnt from what the library repeats by itself.
            _ => {}
        }
    }

    fn receive(&mut self, key: &str) {
        let message = self.messages.entry(key.to_owned()).or_default();
        message.deliveries += 1;
        let is_first = message.deliveries == 1;
        let (lane, number) = place(key);
        let lane = self.lanes.entry(lane.to_owned()).or_default();
        // A message that comes again has been overtaken by nobody.
        if is_first && lane.newest_received > number {
            self.overtaken += 1;
        }
        lane.newest_received = lane.newest_received.max(number);
    }

    fn show(&mut self, error: String) {
        if self.errors_shown.len() < ERRORS_SHOWN_MAX {
            self.errors_shown.push(error);
        }
    }

    /// Messages whose send succeeded so far.
    pub(super) fn acknowledged(&self) -> u64 {
        self.acknowledged
    }

    /// Messages whose send succeeded and that were not received so far.
    pub(super) fn missing(&self) -> u64 {
        let missing = self.messages.values();
        count(missing.filter(|message| message.acknowledged && message.deliveries == 0))
    }

    /// Notes that nothing is sent any more from now on.
    pub(super) fn end_sending(&mut self, at_ms: u64) {
        self.together.end(at_ms);
        for lane in self.lanes.values_mut() {
            lane.end(at_ms);
        }
    }

    /// What became of all messages.
    pub(super) fn account(&self) -> Account {
        let lost = self.missing();
        let again = |message: &Message| u64::from(message.deliveries.saturating_sub(1));
        let is_lost = |message: &Message| message.acknowledged && message.deliveries == 0;
        let lost_keys = self.messages.iter().filter(|(_, it)| is_lost(it));
        let lost_keys = lost_keys.map(|(key, _)| key.clone());
        Account {
            acknowledged: self.acknowledged,
            received: self.acknowledged - lost,
            lost,
            duplicates: self.messages.values().map(again).sum(),
            send_errors: self.send_errors,
            ack_errors: self.ack_errors,
            overtaken: self.overtaken,
            gap_ms: self.together.gap_ms_max,
            lane_gap_ms: self
                .lanes
                .values()
                .map(|it| it.gap_ms_max)
                .max()
                .unwrap_or(0),
            lost_keys: lost_keys.take(ERRORS_SHOWN_MAX).collect(),
            first_errors: self.errors_shown.clone(),
        }
    }
}

fn count<T>(of: impl Iterator<Item = T>) -> u64 {
    u64::try_from(of.count()).unwrap_or(u64::MAX)
}

/// The lane of a message and its number in it.
fn place(key: &str) -> (&str, Option<u64>) {
    match key.rsplit_once('-') {
        Some((lane, number)) => (lane, number.parse().ok()),
        None => (key, None),
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::conformance::event::decode;
    use crate::conformance::process::Line;

    fn ledger(events: &[(u64, &str, &str)]) -> Ledger {
        let mut ledger = Ledger::default();
        for (at_ms, event, key) in events {
            let text = match *event {
                "received" => format!(
                    r#"{{"event":"received","topic":"t","keys":["{key}"],"body_base64":"","attempt":1}}"#
                ),
                "send_failed" => {
                    format!(r#"{{"event":"send_failed","key":"{key}","error":"away"}}"#)
                }
                other => format!(r#"{{"event":"{other}","key":"{key}","id":"x"}}"#),
            };
            let line = Line {
                text,
                at_ms: *at_ms,
            };
            ledger.note(decode(&line).expect("event"));
        }
        ledger
    }

    #[test]
    fn what_was_acknowledged_and_not_received_is_lost_and_what_failed_is_not() {
        let ledger = ledger(&[
            (0, "sent", "a-0"),
            (1, "sent", "a-1"),
            (2, "send_failed", "a-2"),
            (3, "received", "a-1"),
            (4, "received", "a-1"),
            (5, "received", "a-3"),
        ]);
        let account = ledger.account();
        let found = (account.acknowledged, account.received, account.lost);
        assert_eq!(found, (2, 1, 1));
        assert_eq!((account.duplicates, account.send_errors), (1, 1));
        assert_eq!(account.lost_keys, ["a-0"]);
        assert_eq!(account.first_errors, ["a-2: away"]);
    }

    #[test]
    fn gaps_are_of_all_lanes_together_and_of_the_worst_one() {
        let mut ledger = ledger(&[
            (0, "sent", "a-0"),
            (10, "sent", "b-0"),
            (20, "sent", "b-1"),
            (50, "sent", "a-1"),
        ]);
        let account = ledger.account();
        assert_eq!((account.gap_ms, account.lane_gap_ms), (30, 50));
        ledger.end_sending(100);
        let account = ledger.account();
        assert_eq!((account.gap_ms, account.lane_gap_ms), (50, 80));
    }

    #[test]
    fn only_the_first_delivery_can_be_overtaken() {
        let received = ["a-0", "a-2", "a-2", "a-0", "b-7", "a-1", "a-3"];
        let events: Vec<_> = received.iter().map(|key| (0, "received", *key)).collect();
        assert_eq!(ledger(&events).account().overtaken, 1);
    }
}
