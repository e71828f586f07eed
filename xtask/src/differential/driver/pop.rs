//! Receiving with receipts.

use std::collections::{BTreeMap, HashMap};

use base64::{Engine as _, engine::general_purpose::STANDARD};
use wire::message::{StoredMessage, properties, split};
use wire::remoting::{
    Command, RequestCode,
    body::{BatchAck, BatchAckRequest, Body as _},
    header::{
        AckMessageRequest, ChangeInvisibleDurationRequest, ChangeInvisibleDurationResponse,
        PopMessageRequest, PopMessageResponse,
    },
};

use super::send::now;
use super::{Asked, BROKER_NAME, Driver, Fault, PAUSE, Taken, forged_success, not_asked, pause};
use crate::conformance::deadline::Deadline;
use crate::differential::operation::{Group, Operation, Receipt, Topic};
use crate::differential::outcome::{self, Outcome};

/// For messages to become visible again: the original looks for them once a second, and late on a
/// busy machine.
const AGAIN: std::time::Duration = std::time::Duration::from_secs(30);

/// How long what was waited for stays invisible then: beyond the end of any run, ms.
const FOR_GOOD_MS: i64 = 600_000;

impl Driver {
    pub(super) async fn pop(&mut self, index: usize, operation: &Operation) -> Outcome {
        let Operation::Pop {
            count,
            invisible_ms,
            is_from_start,
            filter,
            topic: place,
            is_ordered,
        } = operation
        else {
            return not_asked();
        };
        let by = match is_ordered {
            true => Group::Ordering,
            false => Group::Popping,
        };
        let (topic, group) = (self.topic(*place), self.group(by));
        let header = PopMessageRequest {
            consumer_group: &group,
            topic: &topic,
            queue_id: -1,
            max_message_count: *count,
            invisible_ms: *invisible_ms,
            poll_ms: 0,
            born_timestamp: now(),
            init_mode: i32::from(!is_from_start),
            expression_type: filter.map(|filter| filter.kind),
            expression: filter.map(|filter| filter.expression),
            order: *is_ordered,
            attempt_id: None,
            broker_name: None,
        };
        let asked = self
            .ask(Command::request(RequestCode::PopMessage, &header))
            .await;
        let mut outcome = asked.outcome();
        let (messages, receipts) = read(&asked);
        let response = asked.header::<PopMessageResponse<'_>>();
        let failures = by_queue(response.and_then(|header| header.order_count_info));
        let mut taken = Vec::new();
        for (message, receipt) in messages.iter().zip(receipts) {
            let line = outcome::message(message);
            outcome.lines.push(with_failures(message, line, &failures));
            taken.push(Taken {
                topic: *place,
                group: by,
                queue: message.queue_id().cast_signed(),
                offset: message.queue_offset(),
                is_settled: receipt.is_empty(),
                extra_info: receipt,
                unique_key: message.view().unique_key().unwrap_or_default().to_owned(),
            });
        }
        self.popped.insert(index, taken);
        outcome
    }

    /// What is handed out once the time of a pop in order has ended.
    pub(super) async fn pop_ordered_again(&mut self, index: usize, pop: usize) -> Outcome {
        let taken = self.popped.get(&pop);
        if taken.is_none_or(|taken| taken.iter().all(|taken| taken.is_settled)) {
            return not_asked();
        }
        let operation = Operation::Pop {
            count: 32,
            invisible_ms: FOR_GOOD_MS,
            is_from_start: true,
            filter: None,
            topic: Topic::Ordered,
            is_ordered: true,
        };
        let deadline = Deadline::after(AGAIN);
        let outcome = loop {
            let outcome = self.pop(index, &operation).await;
            if !outcome.lines.is_empty() || deadline.remaining().is_zero() {
                break outcome;
            }
            pause(PAUSE * 5).await;
        };
        for taken in self.popped.get_mut(&pop).into_iter().flatten() {
            // Its time has passed.
            taken.is_settled = true;
        }
        outcome
    }

    /// Which messages of a pop come again, and with how many deliveries counted.
    pub(super) async fn pop_again(&mut self, pop: usize) -> Outcome {
        let Some(taken) = self.popped.get(&pop).filter(|taken| !taken.is_empty()) else {
            return not_asked();
        };
        let mut waited: Vec<String> = taken
            .iter()
            .filter(|taken| !taken.is_settled)
            .map(|taken| taken.unique_key.clone())
            .collect();
        let all: Vec<String> = taken.iter().map(|taken| taken.unique_key.clone()).collect();
        let mut again = BTreeMap::new();
        let deadline = Deadline::after(AGAIN);
        // One look more than needed: what was acknowledged must not come.
        loop {
            let is_last = waited.is_empty();
            for message in self.pop_for_good().await {
                let key = message.view().unique_key().unwrap_or_default().to_owned();
                waited.retain(|waited| *waited != key);
                if all.contains(&key) {
                    again.insert(key, outcome::content(&message));
                }
            }
            if is_last || deadline.remaining().is_zero() {
                break;
            }
            pause(PAUSE * 5).await;
        }
        for taken in self.popped.get_mut(&pop).into_iter().flatten() {
            // Its time has passed.
            taken.is_settled = true;
        }
        let mut outcome = not_asked();
        outcome.lines.extend(again.into_values());
        outcome
            .lines
            .extend(waited.iter().map(|key| format!("{key} never came again")));
        outcome
    }

    async fn pop_for_good(&mut self) -> Vec<StoredMessage> {
        let (topic, group) = (self.topic(Topic::Popped), self.group(Group::Popping));
        let header = PopMessageRequest {
            consumer_group: &group,
            topic: &topic,
            queue_id: -1,
            max_message_count: 32,
            invisible_ms: FOR_GOOD_MS,
            poll_ms: 0,
            born_timestamp: now(),
            init_mode: 0,
            expression_type: None,
            expression: None,
            order: false,
            attempt_id: None,
            broker_name: None,
        };
        let asked = self
            .ask(Command::request(RequestCode::PopMessage, &header))
            .await;
        read(&asked).0
    }

    pub(super) async fn ack(&mut self, pop: usize, message: usize, receipt: Receipt) -> Outcome {
        let Some((taken, extra_info)) = self.receipt(pop, message, receipt) else {
            return not_asked();
        };
        let header = AckMessageRequest {
            consumer_group: &self.group(taken.group),
            topic: &self.topic(taken.topic),
            queue_id: taken.queue,
            extra_info: &extra_info,
            offset: taken.offset,
            lite_topic: None,
            broker_name: None,
        };
        let request = Command::request(RequestCode::AckMessage, &header);
        if receipt == Receipt::Genuine {
            self.settled(pop, message);
        }
        if self.fault == Some(Fault::AckIgnored) && receipt == Receipt::Genuine {
            return forged_success();
        }
        self.ask(request).await.outcome()
    }

    pub(super) async fn ack_all(&mut self, pop: usize) -> Outcome {
        let is_open = |taken: &&Vec<Taken>| taken.iter().any(|taken| !taken.is_settled);
        let Some(taken) = self.popped.get(&pop).filter(is_open) else {
            return not_asked();
        };
        let mut acks = Vec::new();
        for taken in taken {
            let parts: Vec<&str> = taken.extra_info.split(' ').collect();
            let number = |at: usize| parts.get(at).and_then(|part| part.parse::<i64>().ok());
            let [Some(start), Some(popped), Some(invisible), Some(revive)] =
                [number(0), number(1), number(2), number(3)]
            else {
                continue;
            };
            let offset = number(7).unwrap_or(taken.offset);
            let bit = usize::try_from(offset - start).unwrap_or(0);
            let mut bits = vec![0_u8; bit / 8 + 1];
            bits[bit / 8] |= 1 << (bit % 8);
            acks.push(BatchAck {
                bit_set: STANDARD.encode(bits),
                consumer_group: self.group(taken.group),
                invisible_ms: invisible,
                pop_timestamp: popped,
                queue_id: taken.queue,
                retry: parts.get(4).copied().unwrap_or("0").to_owned(),
                revive_queue_id: i32::try_from(revive).unwrap_or(0),
                start_offset: start,
                topic: self.topic(taken.topic),
            });
        }
        let count = taken.len();
        let body = BatchAckRequest {
            acks,
            broker_name: BROKER_NAME.to_owned(),
        };
        let request = Command::request(RequestCode::BatchAckMessage, &());
        let request = request.with_body(body.encode());
        for message in 0..count {
            self.settled(pop, message);
        }
        self.ask(request).await.outcome()
    }

    pub(super) async fn change_invisible(
        &mut self,
        pop: usize,
        message: usize,
        invisible_ms: i64,
        receipt: Receipt,
    ) -> Outcome {
        let Some((taken, extra_info)) = self.receipt(pop, message, receipt) else {
            return not_asked();
        };
        let header = ChangeInvisibleDurationRequest {
            consumer_group: &self.group(taken.group),
            topic: &self.topic(taken.topic),
            queue_id: taken.queue,
            extra_info: &extra_info,
            offset: taken.offset,
            invisible_ms,
            lite_topic: None,
            suspend: false,
            broker_name: None,
        };
        let request = Command::request(RequestCode::ChangeInvisibleDuration, &header);
        if self.fault == Some(Fault::ChangeIgnored) && receipt == Receipt::Genuine {
            self.settled(pop, message);
            return forged_success().with(format!("invisible={invisible_ms}"));
        }
        let asked = self.ask(request).await;
        let mut outcome = asked.outcome();
        if let Some(header) = asked.header::<ChangeInvisibleDurationResponse>() {
            outcome = outcome.with(format!("invisible={}", header.invisible_ms));
            if invisible_ms >= FOR_GOOD_MS {
                // The receipt is spent; its successor is not asked for.
                self.settled(pop, message);
            }
        }
        outcome
    }

    fn settled(&mut self, pop: usize, message: usize) {
        let taken = self.popped.get_mut(&pop);
        if let Some(taken) = taken.and_then(|taken| taken.get_mut(message)) {
            taken.is_settled = true;
        }
    }

    /// A message of a pop with its receipt, or with one that is none.
    fn receipt(&self, pop: usize, message: usize, receipt: Receipt) -> Option<(Taken, String)> {
        let mut taken = self.popped.get(&pop)?.get(message)?.clone();
        let extra_info = match receipt {
            Receipt::Genuine if taken.is_settled => return None,
            Receipt::Genuine => taken.extra_info.clone(),
            Receipt::Garbage => "no receipt".to_owned(),
            Receipt::WrongOffset => {
                taken.offset += 1_000_000;
                let mut parts: Vec<String> =
                    taken.extra_info.split(' ').map(str::to_owned).collect();
                if let Some(offset) = parts.get_mut(7) {
                    *offset = taken.offset.to_string();
                }
                parts.join(" ")
            }
        };
        Some((taken, extra_info))
    }
}

/// The messages of a pop and their receipts, put together as the released clients do.
fn read(asked: &Asked) -> (Vec<StoredMessage>, Vec<String>) {
    let (Some(answer), Some(header)) = (asked.answer(), asked.header::<PopMessageResponse<'_>>())
    else {
        return (Vec::new(), Vec::new());
    };
    let messages: Vec<StoredMessage> = split(answer.body.clone()).flatten().collect();
    let starts = by_queue(header.start_offset_info);
    let offsets = by_queue(header.message_offset_info);
    let mut given: HashMap<(String, String), usize> = HashMap::new();
    let receipts = messages
        .iter()
        .map(|message| {
            if let Some(receipt) = message.property(properties::POP_CK) {
                return receipt.to_owned();
            }
            let kind = if message.topic().starts_with("%RETRY%") {
                "1"
            } else {
                "0"
            };
            let place = (kind.to_owned(), message.queue_id().to_string());
            let nth = given.entry(place.clone()).or_default();
            let start = starts.get(&place).cloned().unwrap_or_default();
            let offset = offsets
                .get(&place)
                .and_then(|offsets| offsets.split(',').nth(*nth))
                .unwrap_or_default();
            *nth += 1;
            format!(
                "{start} {} {} {} {kind} {BROKER_NAME} {} {offset}",
                header.pop_timestamp,
                header.invisible_ms,
                header.revive_queue_id,
                message.queue_id()
            )
        })
        .collect();
    (messages, receipts)
}

/// A message's line with the failures that the answer tells of it, as the released clients read
/// them: of its offset, or of its queue.
fn with_failures(
    message: &StoredMessage,
    line: String,
    failures: &HashMap<(String, String), String>,
) -> String {
    let queue = message.queue_id();
    let places = [
        format!("qo{queue}%{}", message.queue_offset()),
        queue.to_string(),
    ];
    let places = places.into_iter().map(|place| ("0".to_owned(), place));
    let told = places.into_iter().find_map(|place| failures.get(&place));
    match told {
        Some(told) if told != "0" => line.replace("deliveries=0", &format!("deliveries={told}")),
        _ => line,
    }
}

/// Entries `retry queue value`, separated by semicolons.
fn by_queue(info: Option<&str>) -> HashMap<(String, String), String> {
    info.unwrap_or_default()
        .split(';')
        .filter_map(|entry| {
            let mut parts = entry.split(' ');
            let (retry, queue, value) = (parts.next()?, parts.next()?, parts.next()?);
            Some(((retry.to_owned(), queue.to_owned()), value.to_owned()))
        })
        .collect()
}
