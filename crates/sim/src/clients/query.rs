//! Clients that look messages up, by key and by where they are.

use std::collections::BTreeSet;

use base::Timestamp;
use broker::{QueryError, QueryRequest, TimeBoundary};

use super::Client;

impl Client {
    pub(super) async fn query_on(&self) {
        loop {
            self.pause(400).await;
            let count = self.ledger().letters().len() as u64;
            if count == 0 {
                continue;
            }
            let number = self.below(count);
            let letter = self.ledger().letters()[number as usize].clone();
            let Some(sent) = letter
                .sent
                .filter(|_| !letter.volatile && letter.waiting.is_none())
                .filter(|_| letter.lite_topic.is_none())
            else {
                continue;
            };
            let key = match self.below(3) {
                0 => format!("k{number}"),
                1 => format!("u{number}"),
                _ => format!("shared{}", number % 5),
            };
            let request = QueryRequest {
                topic: letter.topic.clone(),
                key: key.clone(),
                max_messages: 64,
                from: Timestamp::from_ms(0),
                to: Timestamp::from_ms(i64::MAX),
            };
            let position = sent.physical_offset.position();
            let start = self.node.shard.log().start();
            if let Some(Ok(found)) = self.answer(self.node.shard.query(request)).await {
                let places: BTreeSet<i64> = found.iter().map(|m| m.physical_offset()).collect();
                let mut ledger = self.ledger();
                if places.len() != found.len() {
                    ledger.violate(format!("a query for {key} found a message twice"));
                }
                for message in &found {
                    ledger.identify(&letter.topic, message);
                }
                let there = places.contains(&sent.physical_offset.wire());
                if !there && found.len() < 64 && position >= self.node.shard.log().start() {
                    ledger.violate(format!("a query for {key} did not find message {number}"));
                }
            }
            match self.answer(self.node.shard.message_at(position)).await {
                Some(Ok(message)) => {
                    if self.ledger().identify(&letter.topic, &message) != Some(number) {
                        self.ledger()
                            .violate(format!("message {number} is not at {position}"));
                    }
                }
                Some(Err(QueryError::MessageNotFound { .. }))
                    if position >= start && position >= self.node.shard.log().start() =>
                {
                    self.ledger()
                        .violate(format!("message {number} is not there at {position}"));
                }
                Some(Err(_)) | None => {}
            }
            let by_time = self.node.shard.offset_by_time(
                &letter.topic,
                sent.queue,
                sent.store_timestamp,
                TimeBoundary::Lower,
            );
            if let Ok(offset) = by_time
                && offset > sent.queue_offset
                && position >= self.node.shard.log().start()
            {
                self.ledger().violate(format!(
                    "the offset for the time of message {number} at {} is {offset}",
                    sent.queue_offset
                ));
            }
        }
    }
}
