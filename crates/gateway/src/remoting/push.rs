//! Push: what the broker tells or asks clients over their own connections (codes 39, 40, 220, 221,
//! 307, 309, 326).

use std::collections::HashMap;

use base::limits;
use broker::{ClientAnswer, ClientCommand, ClientQuestion};
use bytes::Bytes;
use tokio::sync::oneshot;
use wire::{
    message::{MessageId, Rewrite, StoredMessage, properties, sys_flag},
    remoting::{
        Command, RequestCode, ResponseCode,
        body::{Body, MessageQueue, QueueTable, ResetOffsetBody},
        header::{
            CheckTransactionStateRequest, ConsumeMessageDirectlyRequest, ConsumerGroupRequest,
            GetConsumerRunningInfoRequest, GetConsumerStatusRequest, ReplyMessageRequest,
            ResetOffsetRequest,
        },
    },
};

use super::{connection::Connection, route::TEMPLATE_TOPIC};

/// A command for the peer, ready but for its number.
pub(super) struct Pushed {
    pub(super) request: Command,
    /// Where the peer's answer goes; without one, none is wanted.
    pub(super) answer: Option<oneshot::Sender<ClientAnswer>>,
}

/// Questions that the peer has yet to answer, by their numbers.
#[derive(Default)]
pub(super) struct Asked {
    answers: HashMap<i32, oneshot::Sender<ClientAnswer>>,
}

impl Asked {
    /// Keeps a question until it is answered or nobody waits for it any more. Past the limit it is
    /// forgotten, which who asked learns at once.
    pub(super) fn wait(&mut self, number: i32, answer: oneshot::Sender<ClientAnswer>) {
        if self.answers.len() >= limits::CLIENT_COMMANDS_QUEUED_MAX {
            self.answers.retain(|_, answer| !answer.is_closed());
        }
        if self.answers.len() < limits::CLIENT_COMMANDS_QUEUED_MAX {
            self.answers.insert(number, answer);
        }
    }

    /// Hands an answer on; one that nobody asked for is dropped.
    pub(super) fn answered(&mut self, response: Command) {
        let Some(answer) = self.answers.remove(&response.opaque) else {
            return;
        };
        let told = match response.response_code() {
            Some(ResponseCode::Success) => ClientAnswer::Done(response.body),
            _ => ClientAnswer::Refused(response.remark.unwrap_or_default().to_string()),
        };
        // Who asked may have gone in this very moment.
        let _ = answer.send(told);
    }
}

/// The command as this connection's client reads it; `None` if the protocol has no such command.
pub(super) fn encode(connection: &Connection, command: ClientCommand) -> Option<Pushed> {
    let pushed = match command {
        ClientCommand::ConsumersChanged { group } => {
            let consumer_group = &connection.told_group(&group);
            let header = ConsumerGroupRequest { consumer_group };
            oneway(Command::request(
                RequestCode::NotifyConsumerIdsChanged,
                &header,
            ))
        }
        ClientCommand::CheckTransaction {
            group,
            half,
            message,
            times,
        } => {
            let topic = connection.told_topic(&group, message.topic());
            let group = connection.told_group(&group);
            let broker = connection.told_broker(half.shard());
            let offset_id = MessageId {
                store_host: message.store_host(),
                physical_offset: half.wire(),
            };
            let header = CheckTransactionStateRequest {
                topic: Some(&topic),
                transaction_state_offset: message.queue_offset(),
                physical_offset: half.wire(),
                message_id: message.property(properties::UNIQUE_KEY),
                transaction_id: message.property(properties::UNIQUE_KEY),
                offset_message_id: Some(&offset_id.to_string()),
                broker_name: broker.as_deref(),
            };
            let command = Command::request(RequestCode::CheckTransactionState, &header);
            let times = times.to_string();
            // Applications count the questions by it, as on Apache.
            let set = [
                (properties::PRODUCER_GROUP, group.as_str()),
                (properties::TRANSACTION_CHECK_TIMES, times.as_str()),
            ];
            let rewrite = Rewrite {
                topic: Some(&topic),
                physical_offset: Some(half.wire()),
                sys_flag: Some(message.sys_flag() & !sys_flag::TRANSACTION),
                set_properties: &set,
                ..Rewrite::default()
            };
            oneway(command.with_body(whole(&message, &rewrite)))
        }
        ClientCommand::OffsetsReset {
            group,
            topic,
            offsets,
        } => {
            let topic = connection.told_topic(&group, topic.as_str());
            let header = ResetOffsetRequest {
                topic: &topic,
                group: &connection.told_group(&group),
                queue_id: None,
                offset: None,
                timestamp: -1,
                is_force: true,
            };
            let broker = connection.told_broker(connection.shard_id());
            let offsets = offsets.into_iter().map(|(queue, offset)| {
                let queue = MessageQueue {
                    broker_name: broker.clone().unwrap_or_default(),
                    queue_id: queue.get().cast_signed(),
                    topic: topic.clone(),
                };
                (queue, offset.get().cast_signed())
            });
            let body = ResetOffsetBody {
                offset_table: QueueTable(offsets.collect()),
            };
            let command = Command::request(RequestCode::ResetConsumerClientOffset, &header);
            oneway(command.with_body(body.encode()))
        }
        // Remoting consumers set their retries themselves.
        // Only gRPC clients choose LiteTopics.
        ClientCommand::GroupChanged { .. } | ClientCommand::UnsubscribeLite { .. } => return None,
        ClientCommand::Ask { question, answer } => Pushed {
            request: ask(connection, question),
            answer: Some(answer),
        },
    };
    Some(pushed)
}

fn oneway(request: Command) -> Pushed {
    Pushed {
        request: request.as_oneway(),
        answer: None,
    }
}

fn ask(connection: &Connection, question: ClientQuestion) -> Command {
    match question {
        ClientQuestion::RunningInfo { group, with_stacks } => {
            let header = GetConsumerRunningInfoRequest {
                consumer_group: &connection.told_group(&group),
                client_id: "",
                with_stack: with_stacks,
            };
            Command::request(RequestCode::GetConsumerRunningInfo, &header)
        }
        ClientQuestion::ConsumerStatus { group, topic } => {
            let header = GetConsumerStatusRequest {
                topic: &connection.told_topic(&group, topic.as_str()),
                group: &connection.told_group(&group),
                client_id: None,
            };
            Command::request(RequestCode::GetConsumerStatusFromClient, &header)
        }
        ClientQuestion::ConsumeDirectly {
            group,
            topic,
            message,
        } => {
            let topic = connection.told_topic(&group, topic.as_str());
            let broker = connection.told_broker(connection.shard_id());
            let header = ConsumeMessageDirectlyRequest {
                consumer_group: &connection.told_group(&group),
                client_id: None,
                message_id: message.property(properties::UNIQUE_KEY),
                broker_name: broker.as_deref(),
                topic: Some(&topic),
            };
            let rewrite = Rewrite {
                topic: Some(&topic),
                ..Rewrite::default()
            };
            Command::request(RequestCode::ConsumeMessageDirectly, &header)
                .with_body(whole(&message, &rewrite))
        }
        ClientQuestion::TakeReply {
            reply,
            group,
            topic,
            arrived,
            store_host,
        } => {
            let header = ReplyMessageRequest {
                // Nobody needs the group and the template, but there are clients that take an empty
                // text for a missing field.
                producer_group: &group,
                topic: topic.as_str(),
                default_topic: TEMPLATE_TOPIC,
                default_topic_queue_count: 0,
                queue_id: 0,
                sys_flag: reply.sys_flag,
                born_timestamp: reply.born_timestamp.ms(),
                flag: reply.flag,
                properties: str::from_utf8(&reply.properties).ok(),
                reconsume_times: Some(reply.reconsume_times),
                unit_mode: false,
                born_host: &reply.born_host.to_string(),
                store_host: &store_host.to_string(),
                store_timestamp: arrived.ms(),
            };
            Command::request(RequestCode::PushReplyMessageToClient, &header).with_body(reply.body)
        }
    }
}

/// A message in one piece; as it is stored if it cannot be shown otherwise.
fn whole(message: &StoredMessage, rewrite: &Rewrite<'_>) -> Bytes {
    match rewrite.apply(message) {
        Ok(parts) => parts.into_parts().concat().into(),
        Err(error) => {
            tracing::debug!(%error, "pushed message shown as stored");
            message.bytes().clone()
        }
    }
}
