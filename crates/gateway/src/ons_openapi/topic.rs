//! Operations on topics.

use std::{collections::BTreeSet, sync::Arc};

use base::{GroupName, QueueOffset, Timestamp};
use broker::{Description, Permission, ProgressOf, Topic, TopicSpec, TopicType};
use serde_json::{Value, json};

use super::{
    Fields,
    call::Call,
    group,
    status::{Code, Refusal},
    text::{check_name, is_name_letter, remark, shown_tags},
};
use crate::system_names::is_application_topic;

/// Queues of a new topic whose messages are not in one order; the API does not say.
const QUEUES: u32 = 8;

/// What topic names may not begin with, so that they are not taken for groups.
const GROUP_PREFIXES: [&str; 2] = ["CID", "GID"];

/// OnsTopicCreate.
pub(super) async fn create(call: &Call) -> Result<Fields, Refusal> {
    let text = call.required("Topic")?;
    check_name("Topic", text, 3, is_name_letter)?;
    if let Some(prefix) = GROUP_PREFIXES
        .into_iter()
        .find(|prefix| text.starts_with(prefix))
    {
        let reason = format!("`{text}` begins with `{prefix}`, which only groups do");
        return Err(Refusal::field("Topic", reason));
    }
    let name = call.topic_name()?;
    let instance = call.instance();
    if GroupName::new(text).is_ok_and(|name| instance.group(&name).is_some()) {
        let reason = format!("`{text}` is the name of a group of the instance");
        return Err(Refusal::field("Topic", reason));
    }
    let (queues, topic_type) = match call.required_integer("MessageType")? {
        0 => (QUEUES, TopicType::Normal),
        1 => (QUEUES, TopicType::Fifo),
        2 => (1, TopicType::Fifo),
        4 => (QUEUES, TopicType::Transaction),
        5 => (QUEUES, TopicType::Delay),
        other => {
            let reason = format!("{other}, expected 0, 1, 2, 4 or 5");
            return Err(Refusal::field("MessageType", reason));
        }
    };
    let spec = TopicSpec {
        topic_type: Some(topic_type),
        ..TopicSpec::new(name, queues)
    };
    let description = Description {
        remark: remark(call)?,
        ..Description::default()
    };
    if instance.add_topic(spec, description).await?.is_none() {
        let text = format!("topic `{text}` exists in instance `{}`", instance.id());
        return Err(Refusal::new(Code::BizTopicExisted, text));
    }
    Ok(Fields::new())
}

/// The number of a topic's type of messages; the types that the API does not know are 0.
fn message_type(topic: &Topic) -> u8 {
    match topic.spec.topic_type {
        Some(TopicType::Fifo) if topic.spec.queues == 1 => 2,
        Some(TopicType::Fifo) => 1,
        Some(TopicType::Transaction) => 4,
        Some(TopicType::Delay) => 5,
        Some(TopicType::Normal | TopicType::Lite | TopicType::Priority | TopicType::Mixed)
        | None => 0,
    }
}

/// OnsTopicUpdate.
pub(super) async fn update(call: &Call) -> Result<Fields, Refusal> {
    let bits = match call.required_integer("Perm")? {
        2 => 2,
        4 => 4,
        6 => 6,
        other => {
            return Err(Refusal::field(
                "Perm",
                format!("{other}, expected 2, 4 or 6"),
            ));
        }
    };
    let spec = TopicSpec {
        permission: Permission::from_bits(bits),
        ..call.topic()?.spec.clone()
    };
    call.instance().create_topic(spec).await?;
    Ok(Fields::new())
}

/// OnsTopicDelete.
pub(super) async fn delete(call: &Call) -> Result<Fields, Refusal> {
    call.instance().delete_topic(&call.topic_name()?).await?;
    Ok(Fields::new())
}

/// The topics that applications made and use.
pub(super) fn of_applications(topics: Vec<Arc<Topic>>) -> impl Iterator<Item = Arc<Topic>> {
    let topics = topics.into_iter();
    topics.filter(|topic| is_application_topic(topic.name()))
}

/// OnsTopicList.
pub(super) async fn list(call: &Call) -> Result<Fields, Refusal> {
    let instance = call.instance();
    let (wanted, tags) = (call.text("Topic"), call.tags("Tag")?);
    let topics = of_applications(instance.topics()).filter(|topic| {
        wanted.is_none_or(|name| topic.name().as_str() == name)
            && group::has_tags(&topic.description, &tags)
    });
    let shown = topics.map(|topic| {
        let description = &topic.description;
        json!({
            "CreateTime": description.created_at.map_or(0, Timestamp::ms),
            "IndependentNaming": call.has_namespace(instance),
            "InstanceId": instance.id().as_str(),
            "MessageType": message_type(&topic),
            "Owner": call.account(),
            "Relation": 1,
            "RelationName": "Owner",
            "Remark": description.remark,
            "ServiceStatus": 0,
            "Tags": shown_tags(&description.tags),
            "Topic": topic.name().as_str(),
        })
    });
    let data = json!({ "PublishInfoDo": shown.collect::<Vec<Value>>() });
    Ok(Fields::from_iter([("Data".to_owned(), data)]))
}

/// OnsTopicStatus.
pub(super) async fn status(call: &Call) -> Result<Fields, Refusal> {
    let (topic, shard) = (call.topic()?, call.shard()?);
    let (mut count, mut last) = (0, 0);
    for queue in topic.queues() {
        let range = shard.queue_range(topic.name(), queue)?;
        count += range.max.get().saturating_sub(range.min.get());
        let newest = range.max.get().checked_sub(1).map(QueueOffset::new);
        if let Some(newest) = newest.filter(|newest| *newest >= range.min) {
            let stored = shard.store_time(topic.name(), queue, newest)?;
            last = last.max(stored.map_or(0, Timestamp::ms));
        }
    }
    let data = json!({
        "LastTimeStamp": last,
        "Perm": topic.spec.permission.bits(),
        "TotalCount": count,
    });
    Ok(Fields::from_iter([("Data".to_owned(), data)]))
}

/// OnsTopicSubDetail: the groups of which a member subscribes now, and those that have come some
/// way in the topic.
pub(super) async fn sub_detail(call: &Call) -> Result<Fields, Refusal> {
    let (topic, instance) = (call.topic()?, call.instance());
    let mut groups: BTreeSet<GroupName> = instance.subscribed_groups(topic.name());
    for progress in call.shard()?.progress(ProgressOf::Topic(topic.name()))? {
        groups.insert(progress.group);
    }
    let shown = groups.into_iter().map(|group| {
        let members = instance.consumers(&group);
        let subscription = instance.subscription(&group, topic.name());
        let filter = subscription.map(|subscription| subscription.filter.expression());
        let is_online = filter.is_some() && !members.is_empty();
        json!({
            "GroupId": group.as_str(),
            "MessageModel": group::message_model(&members),
            // A text here, where other operations have a truth value.
            "Online": if is_online { "true" } else { "false" },
            "SubString": filter.unwrap_or_default(),
        })
    });
    let data = json!({
        "SubscriptionDataList": { "SubscriptionDataList": shown.collect::<Vec<Value>>() },
        "Topic": topic.name().as_str(),
    });
    Ok(Fields::from_iter([("Data".to_owned(), data)]))
}
