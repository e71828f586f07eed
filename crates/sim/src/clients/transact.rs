//! Producers of transactions: they send half messages, tell how they ended, or vanish, and answer
//! when they are asked.

use std::{pin::pin, time::Duration};

use base::{Clock, GroupName, PhysicalOffset, QueueId};
use broker::{
    ClientCommand, ClientIdentity, EndTransactionError, EndTransactionRequest, Heartbeat,
    QueueChoice, Resolution, SendRequest,
};
use futures::future::{Either, select};
use tokio::sync::mpsc;
use wire::message::properties;

use super::{Client, send::message};
use crate::{
    body,
    ledger::{
        Ledger,
        waiting::{Decision, HalfTerms, Waiting},
    },
    plan::TAGS,
};

const PRODUCERS: &str = "producers";

fn producers() -> GroupName {
    GroupName::new(PRODUCERS).expect("a plain name")
}

impl Client {
    pub(super) async fn transact_on(&self) {
        loop {
            self.pause(200).await;
            let Some((number, half)) = self.send_half().await else {
                continue;
            };
            // Some vanish here, and leave it to others.
            while self.chance(60) {
                self.pause(400).await;
                self.end(number, half, false).await;
            }
        }
    }

    async fn send_half(&self) -> Option<(u64, PhysicalOffset)> {
        let topic = self.any_plain_topic();
        let world = &self.node.world;
        let tag = TAGS
            .get(self.below(4) as usize)
            .map(|tag| (*tag).to_owned());
        let bytes = body::NUMBER_BYTES + self.below(self.settings.body_bytes_max) as usize;
        let mut letter = Ledger::letter(topic.name.clone(), topic.volatile, tag, bytes);
        let decision = match self.below(20) {
            0..10 => Decision::Commit,
            10..15 => Decision::Rollback,
            15..17 => Decision::Contested,
            _ => Decision::Never,
        };
        let mut asked = vec![
            (properties::TRANSACTION_PREPARED, "true".to_owned()),
            (properties::PRODUCER_GROUP, PRODUCERS.to_owned()),
        ];
        let own_patience = self.chance(20);
        let mut patience_ms = self.settings.checks.timeout_ms;
        if own_patience {
            let seconds = world.between(1, 2);
            patience_ms = seconds * 1_000;
            asked.push((properties::CHECK_IMMUNITY_TIME_SECONDS, seconds.to_string()));
        }
        let mut delay_ms = 0;
        if self.chance(25) {
            delay_ms = world.between(1, 3_000);
            asked.push((properties::TIMER_DELAY_MS, delay_ms.to_string()));
        }
        let terms = HalfTerms {
            decision,
            patience_ms,
            own_patience,
        };
        letter.waiting = Some(Waiting::half(world.now(), terms, delay_ms));
        let number = self.ledger().will_send(letter.clone());
        self.note(format_args!("half {number} to {}: {terms:?}", topic.name));
        let queue = QueueId::new(self.below(u64::from(topic.queues)) as u32);
        let request = SendRequest {
            topic: topic.name,
            queue: QueueChoice::Queue(queue),
            messages: vec![message(number, &letter, world.now(), &asked)],
            store_host: "127.0.0.1:8080".parse().expect("an address"),
            retries_max: None,
        };
        match self.answer(self.node.shard.send(request)).await {
            Some(Ok(sent)) => {
                self.note(format_args!("half {number} is at {:?}", sent[0]));
                self.ledger().was_sent(number, sent[0]);
                Some((number, sent[0].physical_offset))
            }
            Some(Err(error)) => {
                self.note(format_args!("half {number}: {error}"));
                None
            }
            None => None,
        }
    }

    /// Tells how the transaction of a half message ended, as far as this producer knows.
    async fn end(&self, number: u64, half: PhysicalOffset, from_check: bool) {
        let terms = {
            let ledger = self.ledger();
            let waiting = ledger.letters()[number as usize].waiting.as_ref();
            waiting.and_then(Waiting::half_terms)
        };
        let Some(terms) = terms else {
            return;
        };
        let resolution = match terms.decision {
            _ if self.chance(20) => Resolution::Unknown,
            Decision::Commit => Resolution::Commit,
            Decision::Rollback => Resolution::Rollback,
            Decision::Contested if self.chance(50) => Resolution::Commit,
            Decision::Contested => Resolution::Rollback,
            Decision::Never => Resolution::Unknown,
        };
        self.ledger().will_end(number, resolution);
        let request = EndTransactionRequest {
            topic: None,
            group: self.chance(80).then(producers),
            half,
            resolution,
            from_check,
        };
        let answer = self.answer(self.node.shard.end_transaction(request)).await;
        let answer = answer.map(|ended| ended.map(drop));
        self.note(format_args!("end of {number}, {resolution:?}: {answer:?}"));
        let mut ledger = self.ledger();
        match answer {
            Some(Ok(())) => ledger.was_ended(number, resolution),
            Some(Err(EndTransactionError::NotFound { .. })) => {
                ledger.was_not_ended(number, resolution, true);
            }
            Some(Err(EndTransactionError::TooLate { .. })) if terms.own_patience && !from_check => {
                ledger.was_not_ended(number, resolution, false);
            }
            Some(Err(
                error @ (EndTransactionError::TooLate { .. }
                | EndTransactionError::OtherGroup { .. }),
            )) => ledger.violate(format!("the end of message {number} is refused: {error}")),
            // It may have happened.
            Some(Err(_)) | None => {}
        }
    }

    /// A member of the producer group that answers when it is asked; away now and then.
    pub(super) async fn answer_checks_on(&self, nth: u64) {
        let world = &self.node.world;
        let mut connection = nth << 32;
        loop {
            connection += 1;
            let (commands, mut told) = mpsc::channel(world.between(1, 8) as usize);
            let mut emptied = Duration::ZERO;
            loop {
                let heartbeat = Heartbeat {
                    client: ClientIdentity {
                        id: format!("producer-{nth}"),
                        connection,
                        address: "127.0.0.1:1".parse().expect("an address"),
                        language: String::new(),
                        version: String::new(),
                    },
                    commands: commands.clone(),
                    producer_groups: vec![producers()],
                    consumers: Vec::new(),
                };
                if let Err(error) = self.node.instance.heartbeat(heartbeat) {
                    self.ledger().violate(format!("heartbeat: {error}"));
                }
                if told.is_empty() {
                    emptied = world.elapsed();
                }
                let sleep = self.node.clock.sleep(Duration::from_millis(500));
                let command = match select(pin!(told.recv()), sleep).await {
                    Either::Left((command, _)) => command.map(|command| *command),
                    Either::Right(_) => None,
                };
                if let Some(ClientCommand::CheckTransaction { half, message, .. }) = command {
                    self.answer_check(half, &message, emptied).await;
                }
                if !self.settings.last && self.chance(5) {
                    break;
                }
            }
            // What was in the channel is never answered.
            match self.chance(50) {
                true => self.node.instance.disconnect(connection),
                false => drop(told),
            }
            self.pause(1_000).await;
        }
    }

    async fn answer_check(
        &self,
        half: PhysicalOffset,
        message: &wire::message::StoredMessage,
        emptied: Duration,
    ) {
        let number = body::number_of(&message.body());
        let known = self.ledger().letters().len() as u64;
        let Some(number) = number.filter(|number| *number < known) else {
            self.ledger().violate(format!("asked about {message:?}"));
            return;
        };
        self.note(format_args!("asked about {number}"));
        let sent = {
            let mut ledger = self.ledger();
            ledger.asked(number, emptied);
            ledger.letters()[number as usize].sent
        };
        if sent.is_some_and(|sent| sent.physical_offset != half) {
            self.ledger().violate(format!(
                "message {number} is asked about as {half:?}, is at {sent:?}"
            ));
        }
        if self.chance(20) {
            return;
        }
        self.end(number, half, true).await;
    }
}
