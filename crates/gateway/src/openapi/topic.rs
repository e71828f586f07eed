//! Operations on topics.

use std::{collections::BTreeMap, sync::Arc};

use base::limits;
use broker::{Description, Topic, TopicSpec, TopicType};
use serde_json::{Value, json};

use super::{
    call::{Call, TOPIC},
    page::{Page, SIZE_MAX, shown_time},
    status::{Code, Refusal},
    text::{has_part, remark},
};
use crate::system_names::is_application_topic;

/// Queues of a new topic; the API does not say. A LiteTopic has one of its own.
const QUEUES: u32 = 8;

/// Minutes after its last message at which a LiteTopic ends.
const EXPIRATION_MINUTES: (i64, i64) = (15, 720);
/// The fewest with which a topic is created.
const EXPIRATION_MINUTES_NEW: i64 = 30;

/// Types of messages, as the API calls them.
const TYPES: [(&str, TopicType); 6] = [
    ("NORMAL", TopicType::Normal),
    ("FIFO", TopicType::Fifo),
    ("DELAY", TopicType::Delay),
    ("TRANSACTION", TopicType::Transaction),
    ("LITE", TopicType::Lite),
    ("PRIORITY", TopicType::Priority),
];

/// Puts what a request says of it into the attributes of a topic.
fn put_attributes(
    call: &Call,
    attributes: &mut BTreeMap<String, String>,
    is_lite: bool,
    least_minutes: i64,
) -> Result<(), Refusal> {
    let tps = call.integer_in("maxSendTps", (1, limits::OPENAPI_TPS_MAX))?;
    if let Some(tps) = tps {
        attributes.insert(TopicSpec::MAX_SEND_TPS.to_owned(), tps.to_string());
    }
    if let Some(minutes) = call.integer("liteTopicExpiration") {
        let (_, most) = EXPIRATION_MINUTES;
        if minutes != -1 && !(least_minutes..=most).contains(&minutes) {
            let reason = format!("{minutes}, expected {least_minutes} to {most} minutes, or -1");
            return Err(Refusal::field("liteTopicExpiration", reason));
        }
        if !is_lite {
            let reason = "only topics of type LITE have one";
            return Err(Refusal::field("liteTopicExpiration", reason));
        }
        let name = TopicSpec::LITE_TOPIC_EXPIRATION.to_owned();
        attributes.insert(name, minutes.to_string());
    }
    Ok(())
}

/// CreateTopic.
pub(super) async fn create(call: &Call) -> Result<Value, Refusal> {
    let (name, instance) = (call.topic_name(TOPIC)?, call.instance()?);
    let topic_type = call.word("messageType", &TYPES)?;
    let topic_type = topic_type.ok_or_else(|| Refusal::missing("messageType"))?;
    if !is_application_topic(&name) {
        let reason = format!("`{name}` is a name of a group's own topic");
        return Err(Refusal::field(TOPIC, reason));
    }
    let is_lite = topic_type == TopicType::Lite;
    let mut spec = TopicSpec {
        topic_type: Some(topic_type),
        ..TopicSpec::new(name.clone(), QUEUES)
    };
    put_attributes(call, &mut spec.attributes, is_lite, EXPIRATION_MINUTES_NEW)?;
    let description = Description {
        remark: remark(call)?.unwrap_or_default(),
        ..Description::default()
    };
    if instance.add_topic(spec, description).await?.is_none() {
        let text = format!("topic `{name}` exists in instance `{}`", instance.id());
        return Err(Refusal::new(Code::TopicExisted, text));
    }
    Ok(json!(true))
}

fn shown(call: &Call, instance: &str, topic: &Topic) -> Value {
    let attributes = &topic.spec.attributes;
    let number = |name: &str| {
        attributes
            .get(name)
            .and_then(|text| text.parse::<i64>().ok())
    };
    let description = &topic.description;
    let mut shown = json!({
        "createTime": shown_time(description.created_at),
        "instanceId": instance,
        "messageType": topic.spec.topic_type.map_or("UNSPECIFIED", TopicType::attribute),
        "regionId": call.region(),
        "remark": description.remark,
        "status": "RUNNING",
        "topicName": topic.name().as_str(),
        "updateTime": shown_time(description.updated_at),
    });
    // What nobody set is not told.
    for (field, attribute) in [
        ("maxSendTps", TopicSpec::MAX_SEND_TPS),
        ("liteTopicExpiration", TopicSpec::LITE_TOPIC_EXPIRATION),
    ] {
        if let Some(number) = number(attribute) {
            shown[field] = number.into();
        }
    }
    shown
}

/// GetTopic.
pub(super) async fn get(call: &Call) -> Result<Value, Refusal> {
    let (topic, instance) = (call.topic()?, call.instance()?);
    Ok(shown(call, instance.id().as_str(), &topic))
}

/// ListTopics.
pub(super) async fn list(call: &Call) -> Result<Value, Refusal> {
    let instance = call.instance()?;
    let types = call.texts("messageTypes");
    for text in &types {
        if !TYPES
            .iter()
            .any(|(word, _)| word.eq_ignore_ascii_case(text))
        {
            let words = TYPES.map(|(word, _)| word).join(", ");
            return Err(Refusal::invalid("messageTypes", text, &words));
        }
    }
    let is_asked = |topic: &Topic| {
        let name = topic
            .spec
            .topic_type
            .map_or("UNSPECIFIED", TopicType::attribute);
        types.is_empty() || types.iter().any(|asked| asked.eq_ignore_ascii_case(name))
    };
    let topics = instance.topics().into_iter().filter(|topic| {
        is_application_topic(topic.name())
            && is_asked(topic)
            && has_part(call, &[topic.name().as_str(), &topic.description.remark])
    });
    let topics: Vec<Arc<Topic>> = topics.collect();
    let page = Page::of(call, 1, SIZE_MAX);
    Ok(page.of_all(&topics, |topic| shown(call, instance.id().as_str(), topic)))
}

/// UpdateTopic.
pub(super) async fn update(call: &Call) -> Result<Value, Refusal> {
    let (topic, instance) = (call.topic()?, call.instance()?);
    let remark = remark(call)?;
    let mut spec = topic.spec.clone();
    let is_lite = spec.is_lite();
    put_attributes(call, &mut spec.attributes, is_lite, EXPIRATION_MINUTES.0)?;
    instance.create_topic(spec).await?;
    if let Some(remark) = remark {
        let change = |description: &mut Description| description.remark = remark;
        instance.describe_topic(topic.name(), change).await?;
    }
    Ok(json!(true))
}

/// DeleteTopic.
pub(super) async fn delete(call: &Call) -> Result<Value, Refusal> {
    let name = call.topic_name(TOPIC)?;
    call.instance()?.delete_topic(&name).await?;
    Ok(json!(true))
}
