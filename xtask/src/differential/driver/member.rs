//! Clients of groups, and the queues they lock.

use wire::message::tags_code;
use wire::remoting::{
    Command, RequestCode,
    body::{
        Body as _, ConsumeFromWhere, ConsumeType, ConsumerData, ConsumerList, HeartbeatData,
        LockQueuesRequest, LockQueuesResponse, MessageModel, MessageQueue, ProducerData,
        SubscriptionData,
    },
    header::{ConsumerGroupRequest, UnregisterClientRequest},
};

use super::{BROKER_NAME, Driver, Fault, REQUEST, forged_success, not_asked};
use crate::differential::operation::{Client, Filter, Group, Operation, Topic};
use crate::differential::outcome::Outcome;

impl Driver {
    pub(super) async fn member(&mut self, operation: &Operation) -> Outcome {
        match operation {
            Operation::Lock {
                client,
                group,
                queues,
            } => {
                self.lock(RequestCode::LockQueues, *client, *group, queues)
                    .await
            }
            Operation::Unlock {
                client,
                group,
                queues,
            } => {
                self.lock(RequestCode::UnlockQueues, *client, *group, queues)
                    .await
            }
            Operation::Heartbeat {
                client,
                group,
                filter,
            } => {
                if self.fault == Some(Fault::HeartbeatDropped) {
                    return forged_success();
                }
                let body = self.heartbeat(*client, *group, filter).encode();
                let request = Command::request(RequestCode::Heartbeat, &()).with_body(body);
                let client = self.client(*client);
                self.ask_through(client, request, REQUEST).await.outcome()
            }
            Operation::Unregister { client, group } => {
                let header = UnregisterClientRequest {
                    client_id: &self.client_id(*client),
                    producer_group: None,
                    consumer_group: Some(&self.group(*group)),
                };
                let request = Command::request(RequestCode::UnregisterClient, &header);
                let client = self.client(*client);
                self.ask_through(client, request, REQUEST).await.outcome()
            }
            Operation::Consumers { group } => {
                let header = ConsumerGroupRequest {
                    consumer_group: &self.group(*group),
                };
                let request = Command::request(RequestCode::GetConsumerListByGroup, &header);
                let asked = self.ask(request).await;
                let mut outcome = asked.outcome();
                let body = asked
                    .answer()
                    .map(|answer| ConsumerList::decode(&answer.body));
                if let Some(Ok(mut list)) = body {
                    list.client_ids.sort();
                    outcome.lines.extend(list.client_ids);
                }
                outcome
            }
            _ => not_asked(),
        }
    }

    async fn lock(
        &self,
        code: RequestCode,
        client: Client,
        group: Group,
        queues: &[i32],
    ) -> Outcome {
        let queue = |queue_id: &i32| MessageQueue {
            broker_name: BROKER_NAME.to_owned(),
            queue_id: *queue_id,
            topic: self.topic(Topic::Plain),
        };
        let body = LockQueuesRequest {
            consumer_group: self.group(group),
            client_id: self.client_id(client),
            only_this_broker: false,
            queues: queues.iter().map(queue).collect(),
        };
        if self.fault == Some(Fault::LockForged) && code == RequestCode::LockQueues {
            let lines = queues.iter().map(|queue| format!("holds {queue}"));
            return Outcome {
                lines: lines.collect(),
                ..forged_success()
            };
        }
        let request = Command::request(code, &()).with_body(body.encode());
        let asked = self.ask(request).await;
        let mut outcome = asked.outcome();
        let body = asked
            .answer()
            .map(|answer| LockQueuesResponse::decode(&answer.body));
        if let Some(Ok(mut locked)) = body {
            locked.locked_queues.sort();
            let lines = locked.locked_queues.iter();
            let lines = lines.map(|queue| format!("holds {}", queue.queue_id));
            outcome.lines.extend(lines);
        }
        outcome
    }

    /// Says that the first client sends, so that it can be asked how transactions ended.
    pub(super) async fn say_producer(&self) -> bool {
        let data = HeartbeatData {
            client_id: self.client_id(Client::One),
            producers: vec![ProducerData {
                group_name: self.producers(),
            }],
            consumers: Vec::new(),
            heartbeat_fingerprint: 0,
            is_without_subscriptions: false,
        };
        let request = Command::request(RequestCode::Heartbeat, &()).with_body(data.encode());
        let asked = self.ask(request).await;
        asked.header::<()>().is_some()
    }

    fn heartbeat(&self, client: Client, group: Group, filter: &Filter) -> HeartbeatData {
        let Filter { kind, expression } = *filter;
        // As the released clients read it: an expression has no tags.
        let tags: Vec<String> = match kind {
            "TAG" if expression != "*" => expression
                .split("||")
                .map(|it| it.trim().to_owned())
                .collect(),
            _ => Vec::new(),
        };
        let subscription = SubscriptionData {
            class_filter_mode: false,
            topic: self.topic(Topic::Plain),
            expression: expression.to_owned(),
            codes: tags.iter().map(|tag| tags_code(tag)).collect(),
            tags: tags.into_iter().collect(),
            version: super::send::now(),
            expression_type: kind.to_owned(),
        };
        HeartbeatData {
            client_id: self.client_id(client),
            producers: vec![ProducerData {
                group_name: self.producers(),
            }],
            consumers: vec![ConsumerData {
                group_name: self.group(group),
                consume_type: ConsumeType::Actively,
                message_model: MessageModel::Clustering,
                consume_from_where: ConsumeFromWhere::LastOffset,
                subscriptions: vec![subscription],
                unit_mode: false,
            }],
            heartbeat_fingerprint: 0,
            is_without_subscriptions: false,
        }
    }

    fn client_id(&self, client: Client) -> String {
        format!("{}-{client:?}", self.name)
    }
}
