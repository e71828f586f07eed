//! Offsets of queues and groups.

use wire::remoting::{
    Command, RequestCode,
    body::{Body as _, ConsumeStats, ConsumerOffsets},
    header::{
        GetConsumeStatsRequest, GetMaxOffsetRequest, OffsetResponse, QueryConsumerOffsetRequest,
        QueueRequest, SearchOffsetRequest, TimestampResponse, UpdateConsumerOffsetRequest,
    },
};

use super::send::now;
use super::{Asked, Driver, Fault, forged_success, not_asked};
use crate::differential::operation::{Group, Operation, Time, Topic};
use crate::differential::outcome::Outcome;
use crate::differential::workload::PLAIN_QUEUES;

/// An hour, ms.
const HOUR_MS: i64 = 3_600_000;

/// Where each queue ends and how far the group has come there.
fn consume_stats(asked: &Asked, mut outcome: Outcome) -> Outcome {
    let body = asked
        .answer()
        .map(|answer| ConsumeStats::decode(&answer.body));
    if let Some(Ok(stats)) = body {
        let lines = stats.offset_table.0.iter().map(|(queue, offsets)| {
            format!(
                "queue {} ends {} committed {}",
                queue.queue_id, offsets.broker_offset, offsets.consumer_offset
            )
        });
        outcome.lines.extend(lines);
        outcome.lines.sort();
    }
    outcome
}

impl Driver {
    pub(super) async fn offset(&mut self, operation: &Operation) -> Outcome {
        let Some(request) = self.offset_request(operation).await else {
            return not_asked();
        };
        if self.fault == Some(Fault::CommitDropped) && matches!(operation, Operation::Commit { .. })
        {
            return forged_success();
        }
        let asked = self.ask(request).await;
        let outcome = asked.outcome();
        match operation {
            Operation::EarliestStoreTime { .. } => match asked.header::<TimestampResponse>() {
                Some(header) if header.timestamp > 0 => outcome.with("time=some"),
                Some(header) => outcome.with(format!("time={}", header.timestamp)),
                None => outcome,
            },
            Operation::Commit { .. } | Operation::Reset { .. } => outcome,
            Operation::AllCommitted => self.all_committed(&asked, outcome),
            Operation::ConsumeStats { .. } => consume_stats(&asked, outcome),
            _ => match asked.header::<OffsetResponse>() {
                Some(header) => outcome.with(format!("offset={}", header.offset)),
                None => outcome,
            },
        }
    }

    async fn offset_request(&self, operation: &Operation) -> Option<Command> {
        let broker_name = None;
        Some(match operation {
            Operation::Commit {
                group,
                topic,
                queue,
                offset,
            } => {
                let header = UpdateConsumerOffsetRequest {
                    consumer_group: &self.group(*group),
                    topic: &self.topic(*topic),
                    queue_id: *queue,
                    commit_offset: self.number(*offset, *topic, *queue).await,
                    broker_name,
                };
                Command::request(RequestCode::UpdateConsumerOffset, &header)
            }
            Operation::Committed {
                group,
                topic,
                queue,
                zero_if_none,
            } => {
                let header = QueryConsumerOffsetRequest {
                    consumer_group: &self.group(*group),
                    topic: &self.topic(*topic),
                    queue_id: *queue,
                    set_zero_if_not_found: *zero_if_none,
                    broker_name,
                };
                Command::request(RequestCode::QueryConsumerOffset, &header)
            }
            Operation::Search {
                topic,
                queue,
                time,
                boundary,
            } => {
                let header = SearchOffsetRequest {
                    topic: &self.topic(*topic),
                    lite_topic: None,
                    queue_id: *queue,
                    timestamp: self.time(*time)?,
                    boundary: *boundary,
                    broker_name,
                };
                Command::request(RequestCode::SearchOffsetByTimestamp, &header)
            }
            Operation::MaxOffset { topic, queue } => {
                let header = GetMaxOffsetRequest {
                    topic: &self.topic(*topic),
                    queue_id: *queue,
                    committed: true,
                    broker_name,
                };
                Command::request(RequestCode::GetMaxOffset, &header)
            }
            Operation::MinOffset { topic, queue }
            | Operation::EarliestStoreTime { topic, queue } => {
                let header = QueueRequest {
                    topic: &self.topic(*topic),
                    queue_id: *queue,
                    broker_name,
                };
                let code = match operation {
                    Operation::MinOffset { .. } => RequestCode::GetMinOffset,
                    _ => RequestCode::GetEarliestStoreTime,
                };
                Command::request(code, &header)
            }
            Operation::Reset { group, topic, time } => {
                let mut request = Command::request(RequestCode::InvokeBrokerToResetOffset, &());
                let fields = &mut request.fields;
                fields.push_str("group", &self.group(*group));
                fields.push_str("topic", &self.topic(*topic));
                fields.push("timestamp", self.time(*time)?);
                fields.push("isForce", true);
                fields.push("queueId", -1);
                request
            }
            Operation::AllCommitted => Command::request(RequestCode::GetAllConsumerOffset, &()),
            Operation::ConsumeStats { group } => {
                let header = GetConsumeStatsRequest {
                    consumer_group: &self.group(*group),
                    topic: Some(&self.topic(Topic::Plain)),
                    topic_list: None,
                };
                Command::request(RequestCode::GetConsumeStats, &header)
            }
            _ => return None,
        })
    }

    /// The offsets of this seed's groups, topic by topic and queue by queue.
    fn all_committed(&self, asked: &Asked, mut outcome: Outcome) -> Outcome {
        let body = asked
            .answer()
            .map(|answer| ConsumerOffsets::decode(&answer.body));
        let Some(Ok(table)) = body else {
            return outcome;
        };
        let topic = self.topic(Topic::Plain);
        for group in [Group::First, Group::Second] {
            let offsets = table
                .offset_table
                .get(&format!("{topic}@{}", self.group(group)));
            for queue in 0..PLAIN_QUEUES {
                let offset = offsets.and_then(|offsets| offsets.get(&queue));
                let offset = offset.map_or("none".to_owned(), i64::to_string);
                outcome = outcome.with(format!("{group:?}[{queue}]={offset}"));
            }
        }
        outcome
    }

    fn time(&self, time: Time) -> Option<i64> {
        match time {
            Time::Start => Some(0),
            Time::Future => Some(now() + HOUR_MS),
            Time::Of(pull) => {
                let message = self.pulled.get(&pull)?.first()?;
                Some(message.store_timestamp())
            }
        }
    }
}
