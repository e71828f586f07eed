//! Pulling.

use std::time::Duration;

use wire::message::{StoredMessage, split};
use wire::remoting::{
    Command, RequestCode, ResponseCode,
    header::{PullMessageRequest, PullMessageResponse, pull_sys_flag},
};

use super::{Driver, REQUEST};
use crate::differential::operation::{Client, Filter, Group, Offset, Operation, Topic};
use crate::differential::outcome::{self, Outcome};

/// Says that a pull was first told to go on where it was.
pub(crate) const TOLD: &str = "told=reset";

impl Driver {
    /// The number that an offset stands for.
    pub(super) async fn number(&self, offset: Offset, topic: Topic, queue: i32) -> i64 {
        match offset {
            Offset::At(number) => number,
            Offset::End(shift) => self.end(topic, queue).await.unwrap_or(0) + shift,
        }
    }

    pub(super) async fn pull(&mut self, index: usize, operation: &Operation) -> Outcome {
        let Operation::Pull {
            group,
            topic,
            queue,
            offset,
            count,
            filter,
            suspend_ms,
            commit,
            is_lite,
        } = operation
        else {
            return super::not_asked();
        };
        let queue_offset = self.number(*offset, *topic, *queue).await;
        let (topic, group) = (self.topic(*topic), self.group(*group));
        let mut sys_flag = 0;
        if filter.is_some() {
            sys_flag |= pull_sys_flag::SUBSCRIPTION;
        }
        if *suspend_ms > 0 {
            sys_flag |= pull_sys_flag::SUSPEND;
        }
        if commit.is_some() {
            sys_flag |= pull_sys_flag::COMMIT_OFFSET;
        }
        let header = PullMessageRequest {
            consumer_group: &group,
            topic: &topic,
            lite_topic: None,
            queue_id: *queue,
            queue_offset,
            max_message_count: *count,
            sys_flag,
            commit_offset: commit.unwrap_or(0),
            suspend_timeout_ms: *suspend_ms,
            subscription: filter.map(|filter| filter.expression),
            subscription_version: 0,
            expression_type: filter.map(|filter| filter.kind),
            max_message_bytes: None,
            request_source: None,
            proxy_client_id: None,
            broker_name: None,
        };
        let code = match is_lite {
            true => RequestCode::LitePullMessage,
            false => RequestCode::PullMessage,
        };
        let request = Command::request(code, &header);
        let limit = REQUEST + Duration::from_millis(suspend_ms.cast_unsigned());
        let client = self.client(Client::One);
        let mut asked = self.ask_through(client, request.clone(), limit).await;
        let is_told = matches!(asked.answer(), Some(answer)
            if answer.response_code() == Some(ResponseCode::PullOffsetMoved)
                && answer.header::<PullMessageResponse>()
                    .is_ok_and(|header| header.next_begin_offset == queue_offset));
        if is_told {
            // Of a reset that goes where it is anyway: it goes on.
            asked = self.ask_through(client, request, limit).await;
        }
        let mut outcome = asked.outcome();
        let Some(answer) = asked.answer() else {
            return outcome;
        };
        if let Ok(header) = answer.header::<PullMessageResponse>() {
            outcome = outcome
                .with(format!("next={}", header.next_begin_offset))
                .with(format!("min={}", header.min_offset))
                .with(format!("max={}", header.max_offset));
        }
        let messages: Vec<StoredMessage> = split(answer.body.clone()).flatten().collect();
        outcome.lines.extend(messages.iter().map(outcome::message));
        if is_told {
            outcome = outcome.with(TOLD);
        }
        self.pulled.insert(index, messages);
        outcome
    }

    /// Reads a queue from an offset on, whatever its messages are.
    pub(super) async fn read(
        &mut self,
        group: Group,
        topic: Topic,
        queue: i32,
        offset: i64,
    ) -> Vec<StoredMessage> {
        let operation = Operation::Pull {
            group,
            topic,
            queue,
            offset: Offset::At(offset),
            count: 32,
            filter: Some(Filter {
                kind: "TAG",
                expression: "*",
            }),
            suspend_ms: 0,
            commit: None,
            is_lite: false,
        };
        self.pull(usize::MAX, &operation).await;
        self.pulled.remove(&usize::MAX).unwrap_or_default()
    }
}
