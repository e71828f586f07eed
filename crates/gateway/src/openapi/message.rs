//! Messages in answers.

use std::collections::BTreeMap;

use base::limits;
use broker::{MessageType, shown_id};
use serde_json::{Value, json};
use wire::{
    message::{StoredMessage, properties},
    openapi::date_time,
};

use super::call::Call;

/// The content of a message as text. One that cannot be inflated, or not to what a message may
/// have, is shown as it is.
fn content(message: &StoredMessage) -> (String, usize) {
    let content = message.content().ok();
    let content = content.filter(|content| content.len() <= limits::MESSAGE_BODY_BYTES_MAX);
    let content = content.unwrap_or_else(|| message.body());
    (
        String::from_utf8_lossy(&content).into_owned(),
        content.len(),
    )
}

/// A message in a list.
pub(super) fn shown(call: &Call, instance: &str, message: &StoredMessage) -> Value {
    let property = |name: &str| message.property(name).unwrap_or_default();
    let (body, body_size) = content(message);
    let user = message.properties().filter(|(name, _)| is_of_user(name));
    let user: BTreeMap<&str, &str> = user.collect();
    let ip = |host: std::net::SocketAddr| host.ip().to_canonical().to_string();
    json!({
        "body": body,
        "bodySize": body_size,
        "bornHost": ip(message.born_host()),
        "bornTime": date_time(message.born_timestamp()),
        "instanceId": instance,
        "liteTopicName": property(properties::LITE_TOPIC),
        "messageGroup": property(properties::SHARDING_KEY),
        "messageId": shown_id(message),
        "messageKeys": keys(message),
        "messageTag": property(properties::TAGS),
        "messageType": MessageType::of_stored(message).to_string(),
        "regionId": call.region(),
        "storeHost": ip(message.store_host()),
        "storeTime": date_time(message.store_timestamp()),
        "topicName": message.topic(),
        "userProperties": user,
    })
}

/// A message alone, with what the system noted of it.
pub(super) fn detailed(call: &Call, instance: &str, message: &StoredMessage) -> Value {
    let mut shown = shown(call, instance, message);
    let system = message.properties().filter(|(name, _)| !is_of_user(name));
    let system: BTreeMap<&str, &str> = system.collect();
    shown["systemProperties"] = json!(system);
    let priority = message.property(properties::PRIORITY);
    if let Some(priority) = priority.and_then(|text| text.parse::<i64>().ok()) {
        shown["priority"] = priority.into();
    }
    shown
}

/// The keys of a message.
pub(super) fn keys(message: &StoredMessage) -> Vec<&str> {
    let keys = message.property(properties::KEYS).unwrap_or_default();
    properties::keys(keys)
        .filter(|key| !key.is_empty())
        .collect()
}

/// Whether an application chose the name of a property.
pub(super) fn is_of_user(name: &str) -> bool {
    !properties::WELL_KNOWN.contains(&name)
}
