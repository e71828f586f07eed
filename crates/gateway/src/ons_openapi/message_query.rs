//! OnsMessageGetByMsgId, OnsMessageGetByKey, OnsMessagePageQueryByTopic, OnsMessageDetail,
//! OnsMessageTrace and OnsMessagePush: messages found, followed and consumed again.

use base::{Timestamp, limits};
use broker::{QueryRequest, Track};
use serde_json::{Value, json};
use wire::message::StoredMessage;

use super::{Fields, call::Call, message, message_pages::Pages, status::Refusal};
use crate::client_answer::consume_directly;

async fn find(call: &Call) -> Result<StoredMessage, Refusal> {
    let topic = call.topic()?;
    let id = call.required("MsgId")?;
    Ok(call.shard()?.find(topic.name(), id).await?)
}

/// OnsMessageGetByMsgId.
pub(super) async fn by_id(call: &Call) -> Result<Fields, Refusal> {
    let found = find(call).await?;
    Ok(message::data(message::described(call, &found)))
}

/// OnsMessageDetail.
pub(super) async fn detail(call: &Call) -> Result<Fields, Refusal> {
    let found = find(call).await?;
    Ok(message::data(message::detailed(call, &found)))
}

/// OnsMessageGetByKey.
pub(super) async fn by_key(call: &Call) -> Result<Fields, Refusal> {
    let request = QueryRequest {
        topic: call.topic()?.name().clone(),
        key: call.required("Key")?.to_owned(),
        max_messages: limits::QUERY_MESSAGES_MAX,
        from: Timestamp::from_ms(i64::MIN),
        to: Timestamp::from_ms(i64::MAX),
    };
    let found = call.shard()?.query(request).await?;
    let found = found.iter().map(|found| message::described(call, found));
    let found: Vec<Value> = found.map(Value::from).collect();
    Ok(message::data(json!({ "OnsRestMessageDo": found })))
}

/// OnsMessagePageQueryByTopic.
pub(super) async fn page(call: &Call) -> Result<Fields, Refusal> {
    let topic = call.topic()?;
    let pages = Pages::of(call)?;
    let request = pages.request(topic.name().clone());
    let browsed = call.shard()?.browse(request).await?;
    Ok(pages.answer(call, &browsed))
}

/// OnsMessageTrace.
pub(super) async fn track(call: &Call) -> Result<Fields, Refusal> {
    let found = find(call).await?;
    let tracks = call.shard()?.track(&found)?;
    let instance = call.instance().id().as_str();
    let tracks = tracks.into_iter().map(|(group, track)| {
        json!({
            "ConsumerGroup": group.as_str(),
            "InstanceId": instance,
            "TrackType": match track {
                Track::Consumed => "CONSUMED",
                Track::Filtered => "CONSUMED_BUT_FILTERED",
                Track::Pull => "PULL",
                Track::NotYet => "NOT_CONSUME_YET",
                Track::NotOnline => "NOT_ONLINE",
            },
        })
    });
    let tracks: Vec<Value> = tracks.collect();
    Ok(message::data(json!({ "MessageTrack": tracks })))
}

/// OnsMessagePush.
pub(super) async fn push(call: &Call) -> Result<Fields, Refusal> {
    let group = call.group()?;
    let client = call.required("ClientId")?;
    let found = find(call).await?;
    let topic = call.topic()?.name().clone();
    consume_directly(call.instance(), group.name(), client, topic, found).await?;
    Ok(Fields::new())
}
