//! ListSubscription, DescribeSubscription and DeleteSubscription: which group consumes which topic.

use std::{
    collections::{BTreeMap, BTreeSet},
    sync::Arc,
};

use base::{GroupName, Timestamp, TopicName};
use broker::{Filter, Instance, MessageModel};
use wire::grpc_v2::{self as v2, Code, FilterType};

use super::{
    super::{names, shards, time::from_timestamp},
    Call, Refusal, clients,
};
use broker::subscriptions::{self, is_consistent, subscribers};

/// What a request asks about: topic, group, or both.
struct Asked {
    instance: Arc<Instance>,
    topic: Option<TopicName>,
    group: Option<GroupName>,
}

impl Asked {
    fn of(
        call: &Call,
        topic: Option<&v2::Resource>,
        group: Option<&v2::Resource>,
    ) -> Result<Self, Refusal> {
        let (instance, topic, group) = match (topic, group) {
            (Some(_), Some(_)) => {
                let (instance, topic, group) = names::topic_and_group(call, topic, group)?;
                (instance, Some(topic), Some(group))
            }
            (Some(_), None) => {
                let (instance, topic) = names::topic(call, topic)?;
                (instance, Some(topic), None)
            }
            (None, Some(_)) => {
                let (instance, group) = names::group(call, group)?;
                (instance, None, Some(group))
            }
            (None, None) => {
                let text = "request names neither topic nor group";
                return Err(Refusal::new(Code::BadRequest, text));
            }
        };
        if let Some(group) = &group {
            names::existing_group(&instance, group)?;
        }
        Ok(Self {
            instance,
            topic,
            group,
        })
    }

    /// The topics of each group, by what its members subscribe to and what it has committed in.
    fn pairs(&self, call: &Call) -> Result<BTreeMap<GroupName, BTreeSet<TopicName>>, Refusal> {
        let shard = shards::any_shard(call, &self.instance)?;
        let (topic, group) = (self.topic.as_ref(), self.group.as_ref());
        Ok(subscriptions::pairs(&self.instance, &shard, topic, group)?)
    }
}

pub(super) async fn list_subscription(
    call: Call,
    request: v2::ListSubscriptionRequest,
) -> Result<v2::ListSubscriptionResponse, Refusal> {
    let asked = Asked::of(&call, request.topic.as_ref(), request.group.as_ref())?;
    let mut subscription_info = Vec::new();
    for (group, topics) in asked.pairs(&call)? {
        let members = asked.instance.consumers(&group);
        for topic in topics {
            let subscribers = subscribers(&members, &topic);
            let mut info = v2::SubscriptionInfo {
                group: Some(names::told(&call, &asked.instance, group.as_str())),
                topic: Some(names::told(&call, &asked.instance, topic.as_str())),
                online: !subscribers.is_empty(),
                subscription_consistency: is_consistent(&members, &subscribers),
                ..Default::default()
            };
            let newest = subscribers
                .iter()
                .max_by_key(|(member, ..)| member.last_seen);
            if let Some((member, model, subscription)) = newest {
                describe(&mut info, member.last_seen, *model, &subscription.filter);
            }
            subscription_info.push(info);
        }
    }
    Ok(v2::ListSubscriptionResponse {
        status: None,
        subscription_info,
    })
}

fn describe(
    info: &mut v2::SubscriptionInfo,
    last_seen: Timestamp,
    model: MessageModel,
    filter: &Filter,
) {
    info.expression = Some(expression(filter));
    info.last_update_timestamp = Some(from_timestamp(last_seen));
    info.message_model = clients::message_model(model).into();
}

/// A filter as clients write it.
pub(super) fn expression(filter: &Filter) -> v2::FilterExpression {
    let kind = match filter {
        Filter::All | Filter::Tags(_) => FilterType::Tag,
        Filter::Sql(_) => FilterType::Sql,
    };
    v2::FilterExpression {
        r#type: kind.into(),
        expression: filter.expression(),
    }
}

pub(super) async fn describe_subscription(
    call: Call,
    request: v2::DescribeSubscriptionRequest,
) -> Result<v2::DescribeSubscriptionResponse, Refusal> {
    let asked = Asked::of(&call, request.topic.as_ref(), request.group.as_ref())?;
    let mut client_subscription_info = Vec::new();
    for (group, topics) in asked.pairs(&call)? {
        let members = asked.instance.consumers(&group);
        for topic in topics {
            let subscribers = subscribers(&members, &topic);
            let consistent = is_consistent(&members, &subscribers);
            for (member, model, subscription) in subscribers {
                let mut info = v2::SubscriptionInfo {
                    group: Some(names::told(&call, &asked.instance, group.as_str())),
                    topic: Some(names::told(&call, &asked.instance, topic.as_str())),
                    online: true,
                    subscription_consistency: consistent,
                    ..Default::default()
                };
                describe(&mut info, member.last_seen, model, &subscription.filter);
                client_subscription_info.push(
                    v2::describe_subscription_response::ClientSubscriptionInfo {
                        client_info: Some(clients::client_info(member)),
                        subscription_info: Some(info),
                    },
                );
            }
        }
    }
    Ok(v2::DescribeSubscriptionResponse {
        status: None,
        client_subscription_info,
    })
}

/// A subscription is what live consumers say, and how far the group has come: the first ends with
/// them, and the second is not forgotten topic by topic.
pub(super) async fn delete_subscription(
    call: Call,
    request: v2::DeleteSubscriptionRequest,
) -> Result<v2::DeleteSubscriptionResponse, Refusal> {
    let (instance, topic, group) =
        names::topic_and_group(&call, request.topic.as_ref(), request.group.as_ref())?;
    names::existing_group(&instance, &group)?;
    let members = instance.consumers(&group);
    let count = subscribers(&members, &topic).len();
    if count > 0 {
        let text = format!("group `{group}` has {count} consumers of topic `{topic}`, stop them");
        return Err(Refusal::new(Code::PreconditionFailed, text));
    }
    let text = "deletion of a subscription is not supported by this release, delete the group";
    Err(Refusal::new(Code::Unsupported, text))
}
