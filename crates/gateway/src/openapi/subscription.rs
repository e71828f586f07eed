//! Operations on subscriptions: which group consumes which topic, and by which filter.

use base::{GroupName, TopicName};
use broker::{Filter, Instance, Subscription};
use serde_json::{Value, json};

use super::{
    call::{Call, TOPIC},
    client,
    status::{Code, Refusal},
};
use broker::subscriptions::{is_consistent, pairs, subscribers};

fn filter_type(filter: &Filter) -> &'static str {
    match filter {
        Filter::All | Filter::Tags(_) => "TAG",
        Filter::Sql(_) => "SQL",
    }
}

/// What all members together subscribe to of a topic, and whether they agree.
fn joint(instance: &Instance, group: &GroupName, topic: &TopicName) -> (Value, bool) {
    let members = instance.consumers(group);
    let subscribers = subscribers(&members, topic);
    let newest = subscribers
        .iter()
        .max_by_key(|(member, ..)| member.last_seen);
    let (expression, kind, model) = match newest {
        Some((_, model, subscription)) => (
            subscription.filter.expression(),
            filter_type(&subscription.filter),
            client::model_name(*model),
        ),
        None => (String::new(), "UNSPECIFIED", "CLUSTERING"),
    };
    let shown = json!({
        "consumerGroupId": group.as_str(),
        "filterExpression": expression,
        "filterExpressionType": kind,
        "messageModel": model,
        "subscriptionStatus": if newest.is_some() { "ONLINE" } else { "OFFLINE" },
        "topicName": topic.as_str(),
    });
    (shown, is_consistent(&members, &subscribers))
}

/// ListTopicSubscriptions.
pub(super) async fn of_topic(call: &Call) -> Result<Value, Refusal> {
    let (topic, instance) = (call.topic()?, call.instance()?);
    let found = pairs(&instance, &*call.shard()?, Some(topic.name()), None)?;
    let shown = found
        .iter()
        .filter(|(_, topics)| !topics.is_empty())
        .map(|(group, _)| {
            let (mut shown, consistent) = joint(&instance, group, topic.name());
            // A text here, where that of groups has a truth value.
            shown["consistency"] = consistent.to_string().into();
            shown
        });
    Ok(shown.collect())
}

/// ListConsumerGroupSubscriptions.
pub(super) async fn of_group(call: &Call) -> Result<Value, Refusal> {
    let (group, instance) = (call.group()?, call.instance()?);
    let topic = match call.text(TOPIC) {
        Some(_) => Some(call.topic_name(TOPIC)?),
        None => None,
    };
    let found = pairs(
        &instance,
        &*call.shard()?,
        topic.as_ref(),
        Some(group.name()),
    )?;
    let topics = found.into_values().flatten();
    let shown = topics.map(|topic| {
        let (mut shown, consistent) = joint(&instance, group.name(), &topic);
        shown["consistency"] = consistent.into();
        shown["topicCreated"] = instance.topic(&topic).is_some().into();
        shown
    });
    Ok(shown.collect())
}

fn told(group: &GroupName, subscription: &Subscription, model: &str) -> Value {
    json!({
        "consumerGroupId": group.as_str(),
        "filterExpression": subscription.filter.expression(),
        "filterExpressionType": filter_type(&subscription.filter),
        "messageModel": model,
        "subscriptionStatus": "ONLINE",
        "topicName": subscription.topic.as_str(),
    })
}

/// GetConsumerGroupSubscription: what each member says of the topic.
pub(super) async fn get(call: &Call) -> Result<Value, Refusal> {
    let (group, topic) = (call.group()?, call.topic_name(TOPIC)?);
    let members = call.instance()?.consumers(group.name());
    let shown = subscribers(&members, &topic)
        .into_iter()
        .map(|(member, model, said)| {
            json!({
                "connectionDTO": client::shown(member),
                "subscriptionDTO": told(group.name(), said, client::model_name(model)),
            })
        });
    Ok(shown.collect())
}

/// DeleteConsumerGroupSubscription. A subscription is what live consumers say, and how far the
/// group has come: the first ends with them, and the second is not forgotten topic by topic.
pub(super) async fn delete(call: &Call) -> Result<Value, Refusal> {
    let (group, topic) = (call.group()?, call.topic_name(TOPIC)?);
    call.word("filterType", &[("TAG", ()), ("SQL", ())])?;
    let instance = call.instance()?;
    let members = instance.consumers(group.name());
    let count = subscribers(&members, &topic).len();
    let (group, found) = (
        group.name(),
        pairs(&instance, &*call.shard()?, Some(&topic), Some(group.name()))?,
    );
    if found.into_values().flatten().next().is_none() {
        let text = format!("group `{group}` has no subscription to topic `{topic}`");
        return Err(Refusal::new(Code::SubscriptionNotFound, text));
    }
    if count > 0 {
        let text = format!("group `{group}` has {count} consumers of topic `{topic}`, stop them");
        return Err(Refusal::new(Code::SubscriptionOnline, text));
    }
    let text = "deletion of a subscription is not supported by this release, delete the group";
    Err(Refusal::new(Code::OperationNotSupported, text))
}
