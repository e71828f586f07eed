//! ListSubscription, DescribeSubscription and DeleteSubscription: which group consumes which topic.

use std::{
    collections::{BTreeMap, BTreeSet},
    sync::Arc,
};

use base::{GroupName, Timestamp, TopicName};
use broker::{Filter, Instance, MessageModel, ProgressOf, RegisteredClient, Subscription};
use wire::grpc_v2::{self as v2, Code, FilterType};

use super::{
    super::{names, shards, time::from_timestamp},
    Call, Refusal, clients,
};

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
        let of = match (&self.group, &self.topic) {
            (Some(group), _) => ProgressOf::Group(group),
            (None, Some(topic)) => ProgressOf::Topic(topic),
            (None, None) => ProgressOf::All,
        };
        let mut pairs: BTreeMap<GroupName, BTreeSet<TopicName>> = BTreeMap::new();
        for progress in shard.progress(of)? {
            let topics = pairs.entry(progress.group).or_default();
            topics.insert(progress.topic);
        }
        let groups = match (&self.group, &self.topic) {
            (Some(group), _) => BTreeSet::from([group.clone()]),
            (None, Some(topic)) => self.instance.subscribed_groups(topic),
            (None, None) => BTreeSet::new(),
        };
        for group in groups {
            let members = self.instance.consumers(&group);
            let subscribed = members
                .iter()
                .filter_map(|member| member.consumer.as_ref())
                .flat_map(|consumer| &consumer.subscriptions)
                .map(|subscription| subscription.topic.clone());
            pairs.entry(group).or_default().extend(subscribed);
        }
        for topics in pairs.values_mut() {
            topics.retain(|topic| {
                // Retries belong to the subscription that they come from.
                let is_asked = self.topic.as_ref().is_none_or(|asked| asked == topic);
                is_asked && topic.retry_group().is_none()
            });
        }
        Ok(pairs)
    }
}

/// A member of a group and its subscription to one topic.
type Subscriber<'a> = (&'a RegisteredClient, MessageModel, &'a Subscription);

fn subscribers<'a>(members: &'a [RegisteredClient], topic: &TopicName) -> Vec<Subscriber<'a>> {
    let of = |member: &'a RegisteredClient| {
        let consumer = member.consumer.as_ref()?;
        let mut subscriptions = consumer.subscriptions.iter();
        let found = subscriptions.find(|subscription| subscription.topic == *topic)?;
        Some((member, consumer.model, found))
    };
    members.iter().filter_map(of).collect()
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

/// Whether all members say the same.
fn is_consistent(members: &[RegisteredClient], subscribers: &[Subscriber<'_>]) -> bool {
    let mut filters = subscribers.iter().map(|(_, _, it)| &it.filter);
    let first = filters.next();
    members.len() == subscribers.len() && filters.all(|filter| Some(filter) == first)
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
