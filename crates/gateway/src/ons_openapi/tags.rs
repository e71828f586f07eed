//! TagResources, UntagResources and ListTagResources: labels on instances, topics and groups.
//!
//! A request names things of one kind. All must be there before the first is changed; the changes
//! themselves are one by one, and the same request again completes what a fault has cut short.

use std::collections::BTreeMap;

use base::{GroupName, InstanceId, TopicName, limits};
use broker::InstanceChange;
use serde_json::{Value, json};

use super::{
    Fields,
    call::Call,
    status::{Code, Refusal},
    text::check_tag,
    topic,
};

type Tags = BTreeMap<String, String>;

/// Something that has tags.
enum Resource {
    Instance(InstanceId),
    Topic(TopicName),
    Group(GroupName),
}

/// What kind of thing a request is about.
#[derive(Clone, Copy)]
pub(super) enum Kind {
    Instance,
    Topic,
    Group,
}

impl Kind {
    /// The kind that parameter `ResourceType` names.
    pub(super) fn of(call: &Call) -> Result<Self, Refusal> {
        let text = call.required("ResourceType")?;
        match text {
            text if text.eq_ignore_ascii_case("INSTANCE") => Ok(Self::Instance),
            text if text.eq_ignore_ascii_case("TOPIC") => Ok(Self::Topic),
            text if text.eq_ignore_ascii_case("GROUP") => Ok(Self::Group),
            text => {
                let text: String = text.chars().take(64).collect();
                let reason = format!("`{text}`, expected INSTANCE, TOPIC or GROUP");
                Err(Refusal::field("ResourceType", reason))
            }
        }
    }

    /// How answers call it.
    fn name(self) -> &'static str {
        match self {
            Self::Instance => "ALIYUN::MQ::INSTANCE",
            Self::Topic => "ALIYUN::MQ::TOPIC",
            Self::Group => "ALIYUN::MQ::GROUP",
        }
    }

    /// The thing of that id, with its tags.
    fn find(self, call: &Call, id: &str) -> Result<(Resource, Tags), Refusal> {
        let field = |error| Refusal::field("ResourceId", error);
        let instance = call.instance();
        let not_found = |code, what: &str| {
            let text = format!("{what} `{id}` not found in instance `{}`", instance.id());
            Refusal::new(code, text)
        };
        match self {
            Self::Instance => {
                let id = InstanceId::new(id).map_err(field)?;
                let record = call.instances()?.get(&id)?;
                Ok((Resource::Instance(id), record.tags.clone()))
            }
            Self::Topic => {
                let name = TopicName::new(id).map_err(field)?;
                let topic = instance.topic(&name);
                let topic = topic.ok_or_else(|| not_found(Code::BizTopicNotFound, "topic"))?;
                Ok((Resource::Topic(name), topic.description.tags.clone()))
            }
            Self::Group => {
                let name = GroupName::new(id).map_err(field)?;
                let group = instance.group(&name);
                let code = Code::BizSubscriptionNotFound;
                let group = group.ok_or_else(|| not_found(code, "group"))?;
                Ok((Resource::Group(name), group.description.tags.clone()))
            }
        }
    }

    /// All things of the kind, with their tags.
    fn all(self, call: &Call) -> Result<Vec<(String, Tags)>, Refusal> {
        let instance = call.instance();
        Ok(match self {
            Self::Instance => {
                let records = call.instances()?.list().into_iter();
                let all = records.map(|record| (record.id.to_string(), record.tags.clone()));
                all.collect()
            }
            Self::Topic => topic::of_applications(instance.topics())
                .map(|topic| (topic.name().to_string(), topic.description.tags.clone()))
                .collect(),
            Self::Group => {
                let groups = instance.groups().into_iter();
                let all =
                    groups.map(|group| (group.name().to_string(), group.description.tags.clone()));
                all.collect()
            }
        })
    }
}

/// The things that a request names, each with the tags that it is to have.
fn changed(
    call: &Call,
    change: impl Fn(&mut Tags) -> Result<(), Refusal>,
) -> Result<Vec<(Resource, Tags)>, Refusal> {
    let kind = Kind::of(call)?;
    let ids = call.list("ResourceId")?;
    let found = ids.into_iter().map(|id| {
        let (resource, mut tags) = kind.find(call, id)?;
        change(&mut tags)?;
        let (count, max) = (tags.len(), limits::OPENAPI_TAGS_MAX);
        if count > max {
            let reason = format!("`{id}` would have {count} tags, expected at most {max}");
            return Err(Refusal::field("Tag", reason));
        }
        Ok((resource, tags))
    });
    found.collect()
}

async fn put(call: &Call, changes: Vec<(Resource, Tags)>) -> Result<Fields, Refusal> {
    let instance = call.instance();
    for (resource, tags) in changes {
        match resource {
            Resource::Instance(id) => {
                let change = InstanceChange {
                    tags: Some(tags),
                    ..InstanceChange::default()
                };
                call.instances()?.update(&id, change).await?;
            }
            // One that is gone by now has no tags to be changed.
            Resource::Topic(name) => {
                let change = |description: &mut broker::Description| description.tags = tags;
                instance.describe_topic(&name, change).await?;
            }
            Resource::Group(name) => {
                let change = |description: &mut broker::Description| description.tags = tags;
                instance.describe_group(&name, change).await?;
            }
        }
    }
    Ok(Fields::new())
}

/// TagResources: a tag whose key is there already gets the new value.
pub(super) async fn tag(call: &Call) -> Result<Fields, Refusal> {
    let added = call.tags("Tag")?;
    for (key, value) in &added {
        check_tag(key, value)?;
    }
    let changes = changed(call, |tags| {
        let added = added.iter();
        tags.extend(added.map(|(key, value)| ((*key).to_owned(), (*value).to_owned())));
        Ok(())
    })?;
    put(call, changes).await
}

/// UntagResources: the tags of these keys, or all. `All` counts only where no key is named.
pub(super) async fn untag(call: &Call) -> Result<Fields, Refusal> {
    let keys = call.list("TagKey")?;
    let is_all = call.boolean("All")?.unwrap_or(false);
    if keys.is_empty() && !is_all {
        return Err(Refusal::missing("TagKey"));
    }
    let changes = changed(call, |tags| {
        tags.retain(|key, _| !keys.is_empty() && !keys.contains(&key.as_str()));
        Ok(())
    })?;
    put(call, changes).await
}

/// ListTagResources: every tag of the things that are named and have all tags that are named, in
/// the order of things and keys. Where no thing is named, all of the kind are meant.
pub(super) async fn list(call: &Call) -> Result<Fields, Refusal> {
    let kind = Kind::of(call)?;
    let wanted = call.tags("Tag")?;
    let skipped = match call.text("NextToken") {
        None => 0,
        Some(text) => text.parse::<usize>().map_err(|_| {
            Refusal::invalid("NextToken", text, "what the answer before this one gave")
        })?,
    };
    let ids = call.list("ResourceId")?;
    let mut things = match ids.is_empty() {
        true => kind.all(call)?,
        false => {
            let found = ids
                .into_iter()
                .map(|id| Ok((id.to_owned(), kind.find(call, id)?.1)));
            found.collect::<Result<Vec<_>, Refusal>>()?
        }
    };
    things.sort();
    things.dedup();
    let matches = |tags: &Tags| {
        wanted.iter().all(|(key, value)| {
            let found = tags.get(*key);
            found.is_some_and(|found| value.is_empty() || found == value)
        })
    };
    let instance = call.instance().id();
    let all = things.iter().filter(|(_, tags)| matches(tags));
    let all = all.flat_map(|(id, tags)| tags.iter().map(move |(key, value)| (id, key, value)));
    let page = limits::OPENAPI_TAGS_PER_PAGE_MAX;
    let mut shown: Vec<Value> = all
        .skip(skipped)
        .take(page + 1)
        .map(|(id, key, value)| {
            json!({
                "InstanceId": match kind {
                    Kind::Instance => id.as_str(),
                    Kind::Topic | Kind::Group => instance.as_str(),
                },
                "ResourceId": id,
                "ResourceType": kind.name(),
                "TagKey": key,
                "TagValue": value,
            })
        })
        .collect();
    let next = match shown.len() > page {
        true => skipped.saturating_add(page).to_string(),
        false => String::new(),
    };
    shown.truncate(page);
    Ok(Fields::from_iter([
        ("NextToken".to_owned(), json!(next)),
        ("TagResources".to_owned(), Value::Array(shown)),
    ]))
}
