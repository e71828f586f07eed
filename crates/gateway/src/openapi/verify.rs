//! VerifySendMessage and VerifyConsumeMessage: a message is sent, or consumed once more, to see
//! whether it works.

use base::{LiteTopicName, stdx::java_string_hash};
use broker::{Message, QueueChoice, SendRequest};
use bytes::Bytes;
use serde_json::{Value, json};
use wire::message::properties;

use super::{
    call::Call,
    message::is_of_user,
    message_query::in_path,
    status::{Code, Refusal},
};
use crate::client_answer::consume_directly;

const PROPERTIES: &str = "userProperties";

/// The properties of a message that is to be sent, in their stored form.
fn stored_properties(call: &Call, id: &str) -> Result<String, Refusal> {
    let mut raw = String::new();
    let mut put = |parameter: &'static str, name: &str, value: &str| {
        let put = properties::push(&mut raw, name, value);
        put.map_err(|error| Refusal::field(parameter, error))
    };
    put("messageId", properties::UNIQUE_KEY, id)?;
    for (parameter, name) in [
        ("messageTag", properties::TAGS),
        ("messageKey", properties::KEYS),
        ("messageGroup", properties::SHARDING_KEY),
        ("liteTopicName", properties::LITE_TOPIC),
    ] {
        if let Some(text) = call.text(parameter) {
            put(parameter, name, text)?;
        }
    }
    if let Some(time) = call.integer("deliveryTimeStamp") {
        put(
            "deliveryTimeStamp",
            properties::TIMER_DELIVER_MS,
            &time.to_string(),
        )?;
    }
    for (name, value) in call.map(PROPERTIES) {
        if !is_of_user(name) {
            return Err(Refusal::invalid(
                PROPERTIES,
                name,
                "a name that is not the system's",
            ));
        }
        put(PROPERTIES, name, value)?;
    }
    Ok(raw)
}

/// VerifySendMessage.
pub(super) async fn send(call: &Call) -> Result<Value, Refusal> {
    let (topic, instance) = (call.topic()?, call.instance()?);
    let body = call.text("message").unwrap_or_default();
    if body.is_empty() {
        return Err(Refusal::missing("message"));
    }
    if call.text("liteTopicName").is_some() {
        call.name("liteTopicName", LiteTopicName::new)?;
    }
    let id = format!("{:016X}{:016X}", call.now().ms(), call.front.next_serial());
    let message = Message {
        flag: 0,
        sys_flag: 0,
        born_timestamp: call.now(),
        born_host: call.connection.peer,
        reconsume_times: 0,
        body: Bytes::copy_from_slice(body.as_bytes()),
        properties: stored_properties(call, &id)?.into(),
    };
    let queue = match (call.text("liteTopicName"), call.text("messageGroup")) {
        (Some(_), _) => QueueChoice::LiteTopic,
        // The hash is that of the SDKs, so that a message group has one queue in all of them.
        (None, Some(group)) => QueueChoice::ByHash(java_string_hash(group).unsigned_abs().into()),
        (None, None) => QueueChoice::Any,
    };
    let size = message.body.len() + message.properties.len();
    let shard = call.shard_of(&instance)?;
    let sent = shard
        .send(SendRequest {
            topic: topic.name().clone(),
            queue,
            messages: vec![message],
            store_host: call.front.store_host(&call.connection),
            retries_max: None,
        })
        .await?;
    if sent.is_empty() {
        let text = "a message was sent and none was stored";
        return Err(Refusal::new(Code::InternalError, text));
    }
    call.front.metrics.message_stored(size);
    Ok(json!(id))
}

/// VerifyConsumeMessage.
pub(super) async fn consume(call: &Call) -> Result<Value, Refusal> {
    let (group, client) = (call.group()?, call.required("clientId")?);
    let (topic, instance) = (call.topic()?.name().clone(), call.instance()?);
    let found = in_path(call).await?;
    consume_directly(&instance, group.name(), client, topic, found).await?;
    Ok(json!(true))
}
