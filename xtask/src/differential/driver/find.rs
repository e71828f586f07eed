//! Finding messages and routes.

use wire::message::{StoredMessage, split};
use wire::remoting::{
    Command, RequestCode, ResponseCode,
    body::{Body as _, TopicRouteData},
    header::{GetRouteRequest, QueryMessageRequest, ViewMessageRequest},
};

use super::send::{key, now};
use super::{Driver, PAUSE, REQUEST, SILENCE, not_asked, pause};
use crate::conformance::deadline::Deadline;
use crate::differential::operation::Topic;
use crate::differential::outcome::{self, Outcome};

impl Driver {
    pub(super) async fn query_key(&mut self, send: usize, is_unique: bool) -> Outcome {
        let Some(sent) = self.sent.get(&send) else {
            return not_asked();
        };
        let key = match is_unique {
            true => sent.unique_key.clone(),
            false => key(send),
        };
        let header = QueryMessageRequest {
            topic: &self.topic(sent.topic),
            key: &key,
            max_count: 32,
            begin_timestamp: 0,
            end_timestamp: now() + 3_600_000,
            index_type: Some(if is_unique { "U" } else { "K" }),
            last_key: None,
            is_unique_key: is_unique.then_some(true),
            broker_name: None,
        };
        let request = Command::request(RequestCode::QueryMessage, &header);
        // The original indexes behind its answers, and behind what pulls see.
        let deadline = Deadline::after(SILENCE);
        loop {
            let asked = self.ask(request.clone()).await;
            let mut outcome = asked.outcome();
            if let Some(answer) = asked.answer() {
                let messages = split(answer.body.clone()).flatten();
                outcome
                    .lines
                    .extend(messages.map(|found| outcome::message(&found)));
            }
            if outcome.is(ResponseCode::Success) || deadline.remaining().is_zero() {
                return outcome;
            }
            pause(PAUSE).await;
        }
    }

    pub(super) async fn view_by_id(&mut self, send: usize, shift: i64) -> Outcome {
        let Some(sent) = self.sent.get(&send) else {
            return not_asked();
        };
        let header = ViewMessageRequest {
            topic: Some(&self.topic(sent.topic)),
            offset: sent.physical_offset + shift,
        };
        let asked = self
            .ask(Command::request(RequestCode::ViewMessageById, &header))
            .await;
        let mut outcome = asked.outcome();
        if let Some(answer) = asked.answer()
            && let Ok(message) = StoredMessage::parse(answer.body.clone())
        {
            outcome = outcome.with(outcome::message(&message));
        }
        outcome
    }

    pub(super) async fn route(&mut self, topic: Topic) -> Outcome {
        let header = GetRouteRequest {
            topic: &self.topic(topic),
            accept_standard_json_only: Some(true),
        };
        let request = Command::request(RequestCode::GetRouteByTopic, &header);
        let asked = self.ask_through(&self.name_server, request, REQUEST).await;
        let mut outcome = asked.outcome();
        let body = asked
            .answer()
            .map(|answer| TopicRouteData::decode(&answer.body));
        if let Some(Ok(route)) = body {
            outcome = outcome.with(format!("brokers={}", route.brokers.len()));
            let lines = route.queues.iter().map(|queues| {
                format!(
                    "{} reads {} writes {} permission {} flag {}",
                    queues.broker_name,
                    queues.read_queue_count,
                    queues.write_queue_count,
                    queues.permission,
                    queues.topic_sys_flag
                )
            });
            outcome.lines.extend(lines);
        }
        outcome
    }
}
