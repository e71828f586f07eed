//! ListConsumerConnections and GetConsumerStack: who is connected, and what its threads do.

use base::LiteTopicName;
use broker::{MessageModel, RegisteredClient};
use serde_json::{Value, json};

use super::{
    call::{Call, TOPIC},
    status::Refusal,
};
use crate::client_answer::stacks;

/// A client in an answer.
pub(super) fn shown(member: &RegisteredClient) -> Value {
    let model = member.consumer.as_ref().map(|consumer| consumer.model);
    json!({
        "clientId": member.client.id,
        "egressIp": member.client.address.ip().to_canonical().to_string(),
        // Clients tell it in their ids, each in its own way.
        "hostname": "",
        "language": member.client.language,
        "messageModel": model.map_or("UNSPECIFIED", model_name),
        "version": member.client.version,
    })
}

/// How members share messages, as the API calls it.
pub(super) fn model_name(model: MessageModel) -> &'static str {
    match model {
        MessageModel::Clustering => "CLUSTERING",
        MessageModel::Broadcasting => "BROADCASTING",
    }
}

/// ListConsumerConnections: those that subscribe to the topic or the LiteTopic that is named.
pub(super) async fn connections(call: &Call) -> Result<Value, Refusal> {
    let (group, instance) = (call.group()?, call.instance()?);
    let mut members = instance.consumers(group.name());
    let topic = match call.text(TOPIC) {
        Some(_) => Some(call.topic()?.name().clone()),
        None => None,
    };
    if call.text("liteTopicName").is_some() {
        let name = call.name("liteTopicName", LiteTopicName::new)?;
        let topic = topic.or_else(|| group.spec.lite_topic.clone());
        let topic = topic.ok_or_else(|| Refusal::missing(TOPIC))?;
        let mut subscribers = call.shard()?.lite_subscribers(&topic, &name)?;
        subscribers.retain(|subscriber| subscriber.group == *group.name());
        members.retain(|member| {
            let mut clients = subscribers.iter().map(|it| it.client.as_deref());
            clients.any(|client| client.is_none_or(|client| client == member.client.id))
        });
    } else if let Some(topic) = topic {
        members.retain(|member| {
            let consumer = member.consumer.as_ref();
            let mut subscriptions = consumer.into_iter().flat_map(|it| &it.subscriptions);
            subscriptions.any(|it| it.topic == topic)
        });
    }
    Ok(json!({
        "connections": members.iter().map(shown).collect::<Vec<Value>>(),
        "consumerGroupId": group.name().as_str(),
        "instanceId": instance.id().as_str(),
        "regionId": call.region(),
    }))
}

/// GetConsumerStack.
pub(super) async fn stack(call: &Call) -> Result<Value, Refusal> {
    let (group, instance) = (call.group()?, call.instance()?);
    let client = call.required("clientId")?;
    let threads = stacks(&instance, group.name(), client).await?.into_iter();
    let threads = threads.map(|(thread, tracks)| json!({ "thread": thread, "tracks": tracks }));
    Ok(json!({
        "consumerGroupId": group.name().as_str(),
        "instanceId": instance.id().as_str(),
        "regionId": call.region(),
        "stacks": threads.collect::<Vec<Value>>(),
    }))
}
