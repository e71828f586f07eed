//! Messages in answers.

use base::limits;
use base64::{Engine, engine::general_purpose::STANDARD};
use broker::shown_id;
use serde_json::{Map, Value, json};
use wire::message::StoredMessage;

use super::{Fields, call::Call};

/// An answer of one field, `Data`.
pub(super) fn data(value: impl Into<Value>) -> Fields {
    Fields::from_iter([("Data".to_owned(), value.into())])
}

/// A message without its body, its properties in an element of their own.
pub(super) fn described(call: &Call, message: &StoredMessage) -> Map<String, Value> {
    let mut fields = head(call, message);
    let list = json!({ "MessageProperty": properties(message) });
    fields.insert("PropertyList".to_owned(), list);
    fields
}

/// A message with its body, in Base64 and as text. One that cannot be inflated, or not to what a
/// message may have, is shown as it is.
pub(super) fn detailed(call: &Call, message: &StoredMessage) -> Map<String, Value> {
    let mut fields = head(call, message);
    let content = message.content().ok();
    let content = content.filter(|content| content.len() <= limits::MESSAGE_BODY_BYTES_MAX);
    let content = content.unwrap_or_else(|| message.body());
    let text = String::from_utf8_lossy(&content).into_owned();
    fields.insert("Body".to_owned(), STANDARD.encode(&content).into());
    fields.insert("BodyStr".to_owned(), text.into());
    fields.insert("PropertyList".to_owned(), properties(message));
    fields
}

fn head(call: &Call, message: &StoredMessage) -> Map<String, Value> {
    let value = json!({
        "InstanceId": call.instance().id().as_str(),
        "Topic": message.topic(),
        "MsgId": shown_id(message),
        "BodyCRC": message.body_crc(),
        "BornHost": message.born_host().to_string(),
        "BornTimestamp": message.born_timestamp(),
        "StoreHost": message.store_host().to_string(),
        "StoreTimestamp": message.store_timestamp(),
        "StoreSize": message.bytes().len(),
        "ReconsumeTimes": message.reconsume_times(),
    });
    match value {
        Value::Object(fields) => fields,
        _ => Map::new(),
    }
}

fn properties(message: &StoredMessage) -> Value {
    let pairs = message.properties();
    pairs
        .map(|(name, value)| json!({ "Name": name, "Value": value }))
        .collect()
}
