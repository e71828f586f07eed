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

use super::{BROKER_NAME, Driver, REQUEST, not_asked};
use crate::differential::operation::{Client, Group, Operation, Topic};
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
            Operation::Heartbeat { client, group, tag } => {
                let body = self.heartbeat(*client, *group, tag).encode();
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

    fn heartbeat(&self, client: Client, group: Group, tag: &str) -> HeartbeatData {
        let is_all = tag == "*";
        let subscription = SubscriptionData {
            class_filter_mode: false,
            topic: self.topic(Topic::Plain),
            expression: tag.to_owned(),
            tags: (!is_all).then(|| tag.to_owned()).into_iter().collect(),
            codes: (!is_all).then(|| tags_code(tag)).into_iter().collect(),
            version: super::send::now(),
            expression_type: "TAG".to_owned(),
        };
        HeartbeatData {
            client_id: self.client_id(client),
            producers: vec![ProducerData {
                group_name: "producers".to_owned(),
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
