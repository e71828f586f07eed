//! Operations on groups.

use base::{Timestamp, TopicName};
use broker::{Description, GroupProtocol, GroupSpec, MessageModel, RegisteredClient};
use serde_json::{Value, json};

use super::{
    Fields,
    call::Call,
    status::{Code, Refusal},
    text::{check_name, is_name_letter, remark, shown_tags},
};
use crate::system_names::is_system_group;

/// OnsGroupCreate.
pub(super) async fn create(call: &Call) -> Result<Fields, Refusal> {
    let text = call.required("GroupId")?;
    check_name("GroupId", text, 2, is_name_letter)?;
    let (name, instance) = (call.group_name()?, call.instance());
    if TopicName::new(text).is_ok_and(|name| instance.topic(&name).is_some()) {
        let reason = format!("`{text}` is the name of a topic of the instance");
        return Err(Refusal::field("GroupId", reason));
    }
    let description = Description {
        remark: remark(call)?,
        protocol: Some(protocol(call)?.unwrap_or(GroupProtocol::Tcp)),
        ..Description::default()
    };
    if instance
        .add_group(GroupSpec::new(name), description)
        .await?
        .is_none()
    {
        let text = format!("group `{text}` exists in instance `{}`", instance.id());
        return Err(Refusal::new(Code::BizSubscriptionExisted, text));
    }
    Ok(Fields::new())
}

fn protocol(call: &Call) -> Result<Option<GroupProtocol>, Refusal> {
    match call.text("GroupType") {
        None => Ok(None),
        Some(text) if text.eq_ignore_ascii_case("tcp") => Ok(Some(GroupProtocol::Tcp)),
        Some(text) if text.eq_ignore_ascii_case("http") => Ok(Some(GroupProtocol::Http)),
        Some(text) => {
            let text: String = text.chars().take(64).collect();
            Err(Refusal::field(
                "GroupType",
                format!("`{text}`, expected tcp or http"),
            ))
        }
    }
}

/// OnsGroupConsumerUpdate.
pub(super) async fn consumer_update(call: &Call) -> Result<Fields, Refusal> {
    let is_enabled = call.boolean("ReadEnable")?;
    let is_enabled = is_enabled.ok_or_else(|| Refusal::missing("ReadEnable"))?;
    let mut spec = call.group()?.spec.clone();
    let (name, value) = (GroupSpec::CONSUME_ENABLE.to_owned(), is_enabled.to_string());
    spec.settings.insert(name, value);
    call.instance().create_group(spec).await?;
    Ok(Fields::new())
}

/// OnsGroupDelete.
pub(super) async fn delete(call: &Call) -> Result<Fields, Refusal> {
    let (name, instance) = (call.group_name()?, call.instance());
    if instance.delete_group(&name).await? {
        return Ok(Fields::new());
    }
    let text = format!("group `{name}` not found in instance `{}`", instance.id());
    Err(Refusal::new(Code::BizSubscriptionNotFound, text))
}

/// Whether a description has all these tags. An empty value stands for every value.
pub(super) fn has_tags(description: &Description, tags: &[(&str, &str)]) -> bool {
    tags.iter().all(|(key, value)| {
        let found = description.tags.get(*key);
        found.is_some_and(|found| value.is_empty() || found == value)
    })
}

/// OnsGroupList.
pub(super) async fn list(call: &Call) -> Result<Fields, Refusal> {
    let instance = call.instance();
    let (part, tags) = (call.text("GroupId"), call.tags("Tag")?);
    let wanted = protocol(call)?;
    let groups = instance.groups().into_iter().filter(|group| {
        let name = group.name().as_str();
        let protocol = group.description.protocol.unwrap_or(GroupProtocol::Tcp);
        !is_system_group(name)
            && part.is_none_or(|part| name.contains(part))
            && wanted.is_none_or(|wanted| wanted == protocol)
            && has_tags(&group.description, &tags)
    });
    let shown = groups.map(|group| {
        let description = &group.description;
        json!({
            "CreateTime": description.created_at.map_or(0, Timestamp::ms),
            "GroupId": group.name().as_str(),
            "GroupType": match description.protocol {
                Some(GroupProtocol::Http) => "http",
                Some(GroupProtocol::Tcp) | None => "tcp",
            },
            "IndependentNaming": call.has_namespace(instance),
            "InstanceId": instance.id().as_str(),
            "Owner": call.account(),
            "Remark": description.remark,
            "Tags": shown_tags(&description.tags),
            "UpdateTime": description.updated_at.map_or(0, Timestamp::ms),
        })
    });
    let data = json!({ "SubscribeInfoDo": shown.collect::<Vec<Value>>() });
    Ok(Fields::from_iter([("Data".to_owned(), data)]))
}

/// How the members of a group share its messages; they should all say the same. That of a group of
/// which nobody is there is what most groups do.
pub(super) fn message_model(members: &[RegisteredClient]) -> &'static str {
    let consumer = members.iter().find_map(|member| member.consumer.as_ref());
    match consumer.map(|consumer| consumer.model) {
        Some(MessageModel::Broadcasting) => "BROADCASTING",
        Some(MessageModel::Clustering) | None => "CLUSTERING",
    }
}

/// OnsGroupSubDetail: what the members that are there subscribe to.
pub(super) async fn sub_detail(call: &Call) -> Result<Fields, Refusal> {
    let (group, instance) = (call.group()?, call.instance());
    let members = instance.consumers(group.name());
    let is_online = !members.is_empty();
    let subscriptions = match is_online {
        true => instance.subscriptions(group.name()),
        false => Vec::new(),
    };
    let shown = subscriptions
        .iter()
        .filter(|subscription| subscription.topic.retry_group().is_none())
        .map(|subscription| {
            json!({
                "SubString": subscription.filter.expression(),
                "Topic": subscription.topic.as_str(),
            })
        });
    let data = json!({
        "GroupId": group.name().as_str(),
        "MessageModel": message_model(&members),
        "Online": is_online,
        "SubscriptionDataList": { "SubscriptionDataList": shown.collect::<Vec<Value>>() },
    });
    Ok(Fields::from_iter([("Data".to_owned(), data)]))
}
