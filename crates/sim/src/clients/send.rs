//! Clients that send.

use base::{QueueId, Timestamp};
use broker::{Message, QueueChoice, SendRequest};
use wire::message::properties;

use super::Client;
use crate::{
    body,
    ledger::{Ledger, Letter, waiting::Waiting},
    plan::TAGS,
};

impl Client {
    pub(super) async fn send_on(&self) {
        loop {
            self.pause(60).await;
            self.send_some().await;
        }
    }

    async fn send_some(&self) {
        let topic = self.any_topic();
        let queue = match self.chance(60) {
            true => QueueChoice::Queue(QueueId::new(self.below(u64::from(topic.queues)) as u32)),
            false => QueueChoice::Any,
        };
        // Large batches of small messages fill whole blocks of a queue's index.
        let largest = 6_000 / self.settings.body_bytes_max;
        let count = match self.below(10) {
            0 => self.node.world.between(2, largest.max(6)),
            1 => self.node.world.between(2, 6),
            _ => 1,
        };
        let mut numbers = Vec::new();
        let mut messages = Vec::new();
        // One for all of a batch; now and then one that is higher than there are queues.
        let priority = topic.priority.then(|| {
            let priority = self.below(u64::from(topic.queues) + 1) as u32;
            (priority, QueueId::new(priority.min(topic.queues - 1)))
        });
        for _ in 0..count {
            let tag = self.below(4) as usize;
            let tag = TAGS.get(tag).map(|tag| (*tag).to_owned());
            let extra = self.below(self.settings.body_bytes_max) as usize;
            let mut letter = Ledger::letter(
                topic.name.clone(),
                topic.volatile,
                tag,
                body::NUMBER_BYTES + extra,
            );
            let mut asked = Vec::new();
            letter.priority = priority;
            match priority {
                Some((priority, _)) => asked.push((properties::PRIORITY, priority.to_string())),
                None => letter.message_group = self.choose_message_group(),
            }
            if priority.is_none() && self.chance(self.settings.timed_percent) {
                let (delay_ms, property) = self.choose_delay();
                letter.waiting = Some(Waiting::timed(self.node.world.now(), delay_ms));
                asked.push(property);
            }
            let number = self.ledger().will_send(letter.clone());
            numbers.push(number);
            messages.push(message(number, &letter, self.node.world.now(), &asked));
        }
        self.note(format_args!("send {numbers:?} to {}", topic.name));
        let request = SendRequest {
            topic: topic.name,
            queue,
            messages,
            store_host: "127.0.0.1:8080".parse().expect("an address"),
            retries_max: None,
        };
        match self.answer(self.node.shard.send(request)).await {
            Some(Ok(sent)) => {
                self.note(format_args!("sent {numbers:?} at {:?}", sent[0]));
                let mut ledger = self.ledger();
                if sent.len() != numbers.len() {
                    ledger.violate(format!("sent {numbers:?} but got {} answers", sent.len()));
                }
                for (number, sent) in numbers.into_iter().zip(sent) {
                    ledger.was_sent(number, sent);
                }
            }
            Some(Err(error)) => self.note(format_args!("send {numbers:?}: {error}")),
            None => self.note(format_args!("gave up sending {numbers:?}")),
        }
    }
}

/// Pauses of RocketMQ's first delay levels, in milliseconds.
const LEVELS_MS: [u64; 5] = [1_000, 5_000, 10_000, 30_000, 60_000];

impl Client {
    fn choose_message_group(&self) -> Option<String> {
        let count = self.settings.message_groups;
        (count > 0 && self.chance(80)).then(|| format!("line{}", self.below(count)))
    }

    /// A delay in milliseconds, and how a client asks for it.
    pub(super) fn choose_delay(&self) -> (u64, (&'static str, String)) {
        let ms = self.node.world.between(1, self.settings.delay_ms_max);
        let at = self.node.world.now().ms() + ms.cast_signed();
        match self.below(10) {
            0 => {
                let level = self.below(LEVELS_MS.len() as u64);
                let ms = LEVELS_MS[level as usize];
                (ms, (properties::DELAY_LEVEL, (level + 1).to_string()))
            }
            1 => {
                let seconds = self.node.world.between(1, 3);
                let asked = (properties::TIMER_DELAY_SECONDS, seconds.to_string());
                (seconds * 1_000, asked)
            }
            2 | 3 => (ms, (properties::TIMER_DELIVER_MS, at.to_string())),
            4 => (ms, (properties::START_DELIVER_TIME, at.to_string())),
            _ => (ms, (properties::TIMER_DELAY_MS, ms.to_string())),
        }
    }
}

/// The message of a letter, with more properties.
pub(super) fn message(
    number: u64,
    letter: &Letter,
    now: Timestamp,
    more: &[(&str, String)],
) -> Message {
    let mut raw = String::new();
    let set = |raw: &mut String, name, value: &str| {
        properties::set(raw, name, value).expect("a plain property");
    };
    set(&mut raw, properties::UNIQUE_KEY, &format!("u{number}"));
    set(
        &mut raw,
        properties::KEYS,
        &format!("k{number} shared{}", number % 5),
    );
    if let Some(tag) = &letter.tag {
        set(&mut raw, properties::TAGS, tag);
    }
    if let Some(message_group) = &letter.message_group {
        set(&mut raw, properties::SHARDING_KEY, message_group);
    }
    if let Some(lite_topic) = &letter.lite_topic {
        set(&mut raw, properties::LITE_TOPIC, lite_topic.as_str());
    }
    for (name, value) in more {
        set(&mut raw, name, value);
    }
    Message {
        flag: 0,
        sys_flag: 0,
        born_timestamp: now,
        born_host: "127.0.0.1:1".parse().expect("an address"),
        reconsume_times: 0,
        body: body::of(number, letter.body_bytes),
        properties: raw.into(),
    }
}
