//! Sending, transactions and sending back.

use bytes::Bytes;
use wire::message::{MessageId, properties, sys_flag};
use wire::remoting::{
    Command, RequestCode,
    header::{
        ConsumerSendMessageBackRequest, EndTransactionRequest, SendMessageRequest,
        SendMessageRequestV2, SendMessageResponse,
    },
};

use super::{Asked, Driver, Return, SETTLED, Sent, not_asked, pause};
use crate::conformance::deadline::{Deadline, unix_ms};
use crate::differential::operation::{Content, Group, Topic};
use crate::differential::outcome::{self, Outcome};

/// When a server may first ask how the transaction of a half message ended, s.
const CHECKED_AFTER_SECONDS: u32 = 1;

impl Driver {
    pub(super) async fn send(
        &mut self,
        index: usize,
        content: &Content,
        is_short: bool,
    ) -> Outcome {
        let properties = self.properties(index, content, &[]);
        let asked = self.store(index, content, &properties, is_short).await;
        let outcome = self.remember(index, content, &asked, now());
        if let Some(sent) = self.sent.get(&index).cloned() {
            let end = sent.queue_offset + 1;
            self.settle(content.topic, sent.queue, end).await;
            self.ends.insert((content.topic, sent.queue), end);
            if content.has_key {
                *self.keys.entry(key(index)).or_default() += 1;
            }
        }
        outcome
    }

    pub(super) async fn send_batch(
        &mut self,
        index: usize,
        content: &Content,
        count: usize,
    ) -> Outcome {
        let mut body = Vec::new();
        for part in 0..count {
            let unique = format!("{}-{part}", self.unique_key(index));
            let mut properties = String::new();
            let tag = content.tag.map(|tag| (properties::TAGS, tag));
            let fields = [(properties::UNIQUE_KEY, unique.as_str())];
            for (name, value) in fields.into_iter().chain(tag) {
                properties::push(&mut properties, name, value).expect("names and values are short");
            }
            let bytes = bytes(index * 100 + part, content.size);
            wire::message::batch::encode(content.flag, &bytes, &properties, &mut body)
                .expect("the message is small");
        }
        let (topic, producers) = (self.topic(content.topic), self.producers());
        let header = header(&topic, &producers, content, "");
        let header = SendMessageRequestV2 {
            batch: Some(true),
            ..header
        };
        let request = Command::request(RequestCode::SendBatchMessage, &header).with_body(body);
        let asked = self.ask(request).await;
        let mut outcome = asked.outcome();
        if let Some(header) = asked.header::<SendMessageResponse<'_>>() {
            let ids = header.message_id.split(',').count();
            outcome = outcome
                .with(format!("queue={}", header.queue_id))
                .with(format!("offset={}", header.queue_offset))
                .with(format!("ids={ids}"));
            let end = header.queue_offset + i64::try_from(count).unwrap_or(0);
            self.settle(content.topic, header.queue_id, end).await;
            self.ends.insert((content.topic, header.queue_id), end);
        }
        outcome
    }

    pub(super) async fn send_half(
        &mut self,
        index: usize,
        content: &Content,
        is_checked: bool,
    ) -> Outcome {
        let mut more = vec![
            (properties::TRANSACTION_PREPARED, "true".to_owned()),
            (properties::PRODUCER_GROUP, self.producers()),
        ];
        if is_checked {
            if !self.say_producer().await {
                return not_asked();
            }
            let soon = CHECKED_AFTER_SECONDS.to_string();
            more.push((properties::CHECK_IMMUNITY_TIME_SECONDS, soon));
        }
        let properties = self.properties(index, content, &more);
        let content = Content {
            sys_flag: content.sys_flag | sys_flag::TRANSACTION_PREPARED,
            ..content.clone()
        };
        let asked = self.store(index, &content, &properties, true).await;
        let outcome = self.remember(index, &content, &asked, now());
        // Its offset is one of the server's own queue of half messages.
        let lines = outcome.lines.iter();
        let lines = lines.filter(|line| !line.starts_with("offset="));
        Outcome {
            lines: lines.cloned().collect(),
            ..outcome
        }
    }

    pub(super) async fn end_transaction(
        &mut self,
        half: usize,
        decision: i32,
        is_right_group: bool,
        shift: i64,
    ) -> Outcome {
        let Some(sent) = self.sent.get(&half).cloned() else {
            return not_asked();
        };
        let (topic, producers) = (self.topic(sent.topic), self.producers());
        let header = EndTransactionRequest {
            topic: Some(&topic),
            producer_group: if is_right_group { &producers } else { "others" },
            transaction_state_offset: sent.queue_offset + shift,
            physical_offset: sent.physical_offset,
            commit_or_rollback: decision,
            from_transaction_check: false,
            message_id: &sent.unique_key,
            transaction_id: Some(&sent.unique_key),
            broker_name: None,
        };
        let request = Command::request(RequestCode::EndTransaction, &header);
        let asked = self.ask(request).await;
        if asked.header::<()>().is_some() {
            self.settle_end(&sent, decision).await;
        }
        asked.outcome()
    }

    /// Waits until what a commit makes visible is there.
    pub(super) async fn settle_end(&mut self, half: &Sent, decision: i32) {
        if decision != sys_flag::TRANSACTION_COMMIT {
            return;
        }
        let place = (half.topic, half.queue);
        let end = self.ends.get(&place).copied().unwrap_or(0) + 1;
        if self.settle(half.topic, half.queue, end).await {
            self.ends.insert(place, end);
        }
    }

    pub(super) async fn send_back(
        &mut self,
        index: usize,
        pull: usize,
        group: Group,
        delay_level: i32,
        retries_max: i32,
    ) -> Outcome {
        let Some(message) = self.pulled.get(&pull).and_then(|messages| messages.first()) else {
            return not_asked();
        };
        let group_name = self.group(group);
        let message_id = MessageId {
            store_host: message.store_host(),
            physical_offset: message.physical_offset(),
        }
        .to_string();
        let header = ConsumerSendMessageBackRequest {
            offset: message.physical_offset(),
            group: &group_name,
            delay_level,
            origin_message_id: Some(&message_id),
            origin_topic: Some(message.topic()),
            unit_mode: false,
            max_reconsume_times: Some(retries_max),
            broker_name: None,
        };
        let request = Command::request(RequestCode::ConsumerSendMessageBack, &header);
        let retry = self.end(Topic::Retry(group), 0).await.unwrap_or(0);
        let dead = self.end(Topic::DeadLetter(group), 0).await.unwrap_or(0);
        let asked = self.ask(request).await;
        if asked.header::<()>().is_some() {
            self.returns.insert(index, Return { group, retry, dead });
        }
        asked.outcome()
    }

    pub(super) async fn await_sent_back(&mut self, send_back: usize) -> Outcome {
        let Some(place) = self.returns.get(&send_back).copied() else {
            return not_asked();
        };
        let deadline = Deadline::after(SETTLED);
        loop {
            let places = [
                ("retry", Topic::Retry(place.group), place.retry.max(0)),
                ("dead", Topic::DeadLetter(place.group), place.dead.max(0)),
            ];
            for (name, topic, from) in places {
                if self.end(topic, 0).await > Some(from) {
                    let found = self.read(place.group, topic, 0, from).await;
                    let content = found.first().map(outcome::content);
                    return not_asked().with(format!("{name}={}", content.unwrap_or_default()));
                }
            }
            if deadline.remaining().is_zero() {
                return not_asked().with("nowhere");
            }
            pause(super::PAUSE * 5).await;
        }
    }

    /// What a send says and leaves behind.
    pub(super) fn remember(
        &mut self,
        index: usize,
        content: &Content,
        asked: &Asked,
        due_ms: i64,
    ) -> Outcome {
        let outcome = asked.outcome();
        let Some(header) = asked.header::<SendMessageResponse<'_>>() else {
            return outcome;
        };
        let physical_offset = header
            .message_id
            .parse::<MessageId>()
            .map_or(-1, |id| id.physical_offset);
        let sent = Sent {
            topic: content.topic,
            queue: header.queue_id,
            queue_offset: header.queue_offset,
            physical_offset,
            recall_handle: header.recall_handle.map(str::to_owned),
            unique_key: self.unique_key(index),
            due_ms,
        };
        self.sent.insert(index, sent);
        outcome
            .with(format!("queue={}", header.queue_id))
            .with(format!("offset={}", header.queue_offset))
            .with(format!("transaction={}", header.transaction_id.is_some()))
            .with(format!("recall={}", header.recall_handle.is_some()))
    }

    pub(super) async fn store(
        &self,
        index: usize,
        content: &Content,
        properties: &str,
        is_short: bool,
    ) -> Asked {
        let (topic, producers) = (self.topic(content.topic), self.producers());
        let header = header(&topic, &producers, content, properties);
        let request = if is_short {
            Command::request(RequestCode::SendMessageV2, &header)
        } else {
            let header = SendMessageRequest::from(header);
            Command::request(RequestCode::SendMessage, &header)
        };
        let body = bytes(index, content.size);
        self.ask(request.with_body(body)).await
    }

    pub(super) fn properties(
        &self,
        index: usize,
        content: &Content,
        more: &[(&'static str, String)],
    ) -> String {
        let mut raw = String::new();
        let mut all = vec![(properties::UNIQUE_KEY, self.unique_key(index))];
        all.extend(content.tag.map(|tag| (properties::TAGS, tag.to_owned())));
        all.extend(content.has_key.then(|| (properties::KEYS, key(index))));
        all.extend(content.properties.iter().cloned());
        all.extend(more.iter().cloned());
        for (name, value) in all {
            properties::push(&mut raw, name, &value).expect("no name or value has a separator");
        }
        raw
    }

    pub(super) fn unique_key(&self, index: usize) -> String {
        format!("{:016X}{index:016X}", self.seed)
    }
}

/// The key of the message of an operation.
pub(super) fn key(index: usize) -> String {
    format!("key{index}")
}

fn header<'a>(
    topic: &'a str,
    producer_group: &'a str,
    content: &Content,
    properties: &'a str,
) -> SendMessageRequestV2<'a> {
    SendMessageRequestV2 {
        producer_group,
        topic,
        default_topic: "TBW102",
        default_topic_queue_count: 4,
        queue_id: content.queue,
        sys_flag: content.sys_flag,
        born_timestamp: now(),
        flag: content.flag,
        properties: Some(properties),
        reconsume_times: Some(0),
        unit_mode: Some(false),
        max_reconsume_times: None,
        batch: Some(false),
        broker_name: None,
    }
}

/// A body that no other operation has.
fn bytes(index: usize, size: usize) -> Bytes {
    let start = index.wrapping_mul(31);
    let byte = |at: usize| u8::try_from(start.wrapping_add(at) % 251).unwrap_or(0);
    (0..size).map(byte).collect()
}

/// The clock of both servers, ms since 1970.
pub(super) fn now() -> i64 {
    i64::try_from(unix_ms()).unwrap_or(i64::MAX)
}
