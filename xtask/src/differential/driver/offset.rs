//! Offsets of queues and groups.

use wire::remoting::{
    Command, RequestCode,
    header::{
        GetMaxOffsetRequest, OffsetResponse, QueryConsumerOffsetRequest, QueueRequest,
        SearchOffsetRequest, TimestampResponse, UpdateConsumerOffsetRequest,
    },
};

use super::send::now;
use super::{Driver, Fault, forged_success, not_asked};
use crate::differential::operation::{Operation, Time};
use crate::differential::outcome::Outcome;
use crate::differential::workload::PLAIN_QUEUES;

/// An hour, ms.
const HOUR_MS: i64 = 3_600_000;

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
            Operation::Reset { group, topic, .. } if asked.header::<()>().is_some() => {
                // The original hands the new offset out with the group's next pull.
                for queue in 0..PLAIN_QUEUES {
                    self.read(*group, *topic, queue, 0).await;
                }
                outcome
            }
            Operation::Commit { .. } | Operation::Reset { .. } => outcome,
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
            _ => return None,
        })
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
