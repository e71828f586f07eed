//! OnsMessageGetByMsgId, OnsMessageGetByKey, OnsMessagePageQueryByTopic, OnsMessageDetail,
//! OnsMessageTrace and OnsMessagePush: messages found, followed and consumed again.

use std::time::Duration;

use base::{GroupName, Timestamp, TopicName, limits};
use broker::{AskError, ClientAnswer, ClientQuestion, QueryRequest, Track};
use serde_json::{Value, json};
use wire::{
    message::StoredMessage,
    remoting::body::{Body, ConsumeDirectlyResult},
};

use super::{
    Fields,
    call::Call,
    message,
    message_pages::Pages,
    status::{Code, Refusal},
};

/// How long a client may take to consume a message.
const PATIENCE: Duration = Duration::from_secs(10);

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
    consume_directly(call, group.name(), client, topic, found).await?;
    Ok(Fields::new())
}

async fn consume_directly(
    call: &Call,
    group: &GroupName,
    client: &str,
    topic: TopicName,
    message: StoredMessage,
) -> Result<(), Refusal> {
    let members = call.instance().consumers(group);
    if !members.iter().any(|member| member.client.id == client) {
        let client = client.to_owned();
        return Err(AskError::NotConnected { client }.into());
    }
    let question = ClientQuestion::ConsumeDirectly {
        group: group.clone(),
        topic,
        message,
    };
    let failed = |text: String| Err(Refusal::new(Code::OnsInvokeError, text));
    let answer = match call.instance().ask(client, question, PATIENCE).await? {
        ClientAnswer::Done(answer) => answer,
        ClientAnswer::Refused(remark) => return failed(format!("client `{client}`: {remark}")),
    };
    match ConsumeDirectlyResult::decode(&answer) {
        Ok(result) if result.consume_result == "CR_SUCCESS" => Ok(()),
        Ok(result) => {
            let (what, remark) = (result.consume_result, result.remark);
            failed(format!("client `{client}`: {what} {remark}"))
        }
        Err(error) => failed(format!("answer of client `{client}`: {error}")),
    }
}
